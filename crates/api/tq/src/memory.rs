//! What outlives a connection: tokens servers gave, and what was measured of links. Decides nothing: a host keeps it, in a
//! file if it likes, and hands it to a later endpoint.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tq_quic::cc::Profile;
use tq_time::Instant;
use tq_udp::Clock;
use tq_wire::Version;

use crate::endpoint::State;
use crate::{Endpoint, SocketId, lock};

/// Links an endpoint is told of at most; the oldest is forgotten.
const LINKS: usize = 64;

/// A token that a server gave for a later connection: it proves our address, and holds what the server measured of our links.
/// Nobody but the server can read it, and whoever shows it can be told to be the same client as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerToken {
    /// Version of QUIC it is good for.
    pub version: Version,
    /// The server's name and port.
    pub server: String,
    /// The token.
    pub token: Vec<u8>,
}

/// What is remembered of a link.
pub(crate) struct Link {
    socket: SocketId,
    remote: IpAddr,
    profile: Profile,
    age: Duration,
    told_at: Instant,
}

impl Endpoint {
    /// The newest token of each server.
    pub fn tokens(&self) -> Vec<ServerToken> {
        let state = lock(&self.inner().state);
        let token = |(version, server, token): (Version, &str, &[u8])| ServerToken {
            version,
            server: server.into(),
            token: token.into(),
        };
        state.core.tokens().map(token).collect()
    }

    /// Keeps a token that an earlier endpoint was given. Wrong ones cost nothing.
    pub fn add_token(&self, token: &ServerToken) {
        lock(&self.inner().state).core.add_token(token.version, &token.server, &token.token);
    }

    /// The way through `socket` to a server at `remote` was measured `age` ago, by the paths of an earlier connection
    /// ([`Path::stats`](crate::Path::stats), `learnt`). Connections that begin later make use of it with care, when the first
    /// round trip is like what was measured: a path begins with half of it at most, 1 MiB, and one that is not what it was is
    /// noticed by the first loss. After a day it is worth nothing. Of more than 64 links the oldest is forgotten.
    pub fn remember(&self, socket: SocketId, remote: IpAddr, profile: Profile, age: Duration) {
        let remote = remote.to_canonical();
        let mut state = lock(&self.inner().state);
        let told_at = state.at(Clock::now());
        state.links.retain(|link| (link.socket, link.remote) != (socket, remote));
        if state.links.len() >= LINKS {
            state.links.remove(0);
        }
        state.links.push(Link { socket, remote, profile, age, told_at });
    }
}

impl State {
    /// Tells a fresh connection what is remembered of its links.
    pub(crate) fn recall(&self, now: Instant, remote: SocketAddr, core: &mut tq_quic::Connection) {
        let remote = remote.ip().to_canonical();
        for link in self.links.iter().filter(|link| link.remote == remote) {
            let age = link.age.saturating_add(now.saturating_since(link.told_at));
            core.remember(now, (link.socket.0, None), link.profile, age);
        }
    }
}
