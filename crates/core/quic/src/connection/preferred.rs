//! Moving on purpose: a server's preferred address and a client's own wish (RFC 9000 §9.2, §9.6). Decides whether a move
//! may begin and where to; how an address is proven is `aside.rs`, what happens to the path `migrate.rs`.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use tq_buf::mem::Box;
use tq_time::Instant;
use tq_wire::PathId;
use tq_wire::params::PreferredAddress;

use super::{Connection, EndpointEvent, Event};
use crate::path::Tuple;

/// Where a client's packets leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Which of the host's sockets.
    pub socket: u32,
    /// Its address, if it matters.
    pub ip: Option<IpAddr>,
}

/// A client cannot move; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateError {
    /// Only clients move (RFC 9000 §9): the caller's mistake.
    Server,
    /// The handshake is not confirmed yet (RFC 9000 §9): wait for it.
    Unconfirmed,
    /// The peer does not allow it (disable_active_migration): connect anew.
    Disabled,
    /// The peer has given no connection id to use there: try again later.
    NoSpareCid,
    /// The connection ended.
    Closed,
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "a server does not move: only clients do",
            Self::Unconfirmed => "the handshake is not confirmed yet: wait for that",
            Self::Disabled => "the server allows no migration: make a new connection",
            Self::NoSpareCid => "the server has issued no spare connection id: try again later",
            Self::Closed => "the connection is closed",
        })
    }
}

impl core::error::Error for MigrateError {}

impl Connection {
    /// Moves a client's packets to another of the host's sockets, or source address. The new way is probed first, with a
    /// connection id of its own, and used when it has answered: then [`Event::Moved`] comes, else [`Event::MoveFailed`]
    /// after three PTO, 3 s at least. `at_once` sends everything there from now on, because the old way is gone, and
    /// goes back if there is no answer. Window and round trip begin afresh (RFC 9000 §9.4). A move that has begun and
    /// is not done is replaced.
    ///
    /// # Errors
    /// See [`MigrateError`].
    // MUST 9000-9-1, 9000-9-2, 9000-18.2-2
    pub fn migrate(&mut self, now: Instant, local: Local, at_once: bool) -> Result<(), MigrateError> {
        if self.is_closed() {
            return Err(MigrateError::Closed);
        }
        if self.side.is_server() {
            return Err(MigrateError::Server);
        }
        if !self.hs.confirmed {
            return Err(MigrateError::Unconfirmed);
        }
        let here = self.paths[0].tuple;
        // not a rule for who has followed a preferred address (RFC 9000 §18.2)
        let moved = self.peer.preferred_address.is_some_and(|preferred| names(&preferred, here.remote));
        if self.peer.disable_active_migration && !moved {
            return Err(MigrateError::Disabled);
        }
        // it is path 0 that moves, if it still exists; others are opened
        if self.paths[0].id != PathId::ZERO || !self.cids[0].peer.has_spare() {
            return Err(MigrateError::NoSpareCid);
        }
        let tuple = Tuple { remote: here.remote, local_ip: local.ip, socket: local.socket };
        if !at_once {
            return if self.probe_before_moving(now, tuple) { Ok(()) } else { Err(MigrateError::NoSpareCid) };
        }
        self.rebind(now, tuple, 0, 0);
        self.events.push_back(Event::Moved { remote: tuple.remote, socket: tuple.socket });
        Ok(())
    }

    /// A server's wish, with an id for it (RFC 9000 §9.6.1). Before the parameters are written.
    pub(super) fn offer_preferred(&mut self) {
        let (v4, v6) = (self.config.preferred_v4, self.config.preferred_v6);
        if v4.is_none() && v6.is_none() || self.preferred.is_some() {
            return;
        }
        let cid = self.shared.new_cid();
        let token = self.shared.reset_token(&cid);
        // the next after that of the handshake, which makes its number 1
        self.cids[0].local.issue(cid, token, false);
        self.endpoint_events.push_back(EndpointEvent::CidIssued(cid));
        self.preferred = Some(Box::new(PreferredAddress { v4, v6, cid, token }));
    }

    /// The handshake is confirmed: a client tries the server's preferred address of the family in use.
    // MUST 9000-9-1, 9000-9.6.2-1, 9000-9.6.2-4, 9000-9.6.3-1
    pub(super) fn follow_preferred(&mut self, now: Instant) {
        let Some(preferred) = self.peer.preferred_address.filter(|_| self.side.is_client()) else { return };
        let here = self.paths[0].tuple;
        let remote = match here.remote {
            SocketAddr::V4(_) => preferred.v4.map(SocketAddr::V4),
            SocketAddr::V6(_) => preferred.v6.map(SocketAddr::V6),
        };
        let Some(remote) = remote.filter(|remote| *remote != here.remote) else { return };
        if self.config.follow_preferred && may_be_sent_to(here.remote, remote) {
            self.probe_before_moving(now, Tuple { remote, ..here });
        }
    }
}

/// Whether the address is one of those.
fn names(preferred: &PreferredAddress, remote: SocketAddr) -> bool {
    let (v4, v6) = (preferred.v4.map(SocketAddr::V4), preferred.v6.map(SocketAddr::V6));
    let same = |address: SocketAddr| (address.ip(), address.port()) == (remote.ip(), remote.port());
    v4.into_iter().chain(v6).any(same)
}

/// Whether a server at `from` may make us send to `to`: not to more than one host, and nowhere nearer to us than it is
/// itself, where it could not send (RFC 9000 §21.5.6).
fn may_be_sent_to(from: SocketAddr, to: SocketAddr) -> bool {
    let nobody = match to.ip() {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    let one = to.port() != 0 && !to.ip().is_unspecified() && !to.ip().is_multicast() && !nobody;
    one && reach(to.ip()) >= reach(from.ip())
}

/// How far an address reaches: this host, link, site, world.
fn reach(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => 0,
        IpAddr::V4(ip) if ip.is_link_local() => 1,
        IpAddr::V4(ip) if ip.is_private() => 2,
        IpAddr::V4(_) => 3,
        IpAddr::V6(ip) => match (ip.to_ipv4_mapped(), ip.segments()[0]) {
            (Some(ip), _) => reach(IpAddr::V4(ip)),
            _ if ip == Ipv6Addr::LOCALHOST => 0,
            (_, 0xfe80..=0xfebf) => 1,
            (_, 0xfc00..=0xfdff) => 2,
            _ => 3,
        },
    }
}
