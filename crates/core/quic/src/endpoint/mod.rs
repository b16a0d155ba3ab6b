//! From datagrams to connections: routing, new connections, Retry, version negotiation, stateless reset.
//!
//! It decides who a datagram is for and whether a stranger gets any memory. It never touches a connection's state;
//! connections tell it what it must know as [`EndpointEvent`]s.

mod early;
pub(crate) mod half_open;
mod incoming;
mod reset;
mod route;
pub(crate) mod token;

use core::net::SocketAddr;

pub use incoming::Incoming;
pub(crate) use incoming::InitialKeys;
use incoming::Recent;
use slab::Slab;
use tq_buf::mem::{Arc, BTreeMap, String, ToString, Vec, VecDeque, format};
use tq_crypto::{Crypto, Entropy};
use tq_event::{Counters, DropReason};
use tq_time::Instant;
use tq_wire::header::{Header, Invariants};
use tq_wire::{Cid, PathId, Side, Version};

use self::early::EarlyPackets;
use self::half_open::{HalfOpen, Prefix, Spent};
use self::reset::ResetLimiter;
use self::route::{Keyed, Routes};
use crate::config::{ClientConfig, EndpointConfig, MIN_MTU, ServerConfig};
use crate::connection::handshaking::{Handshaking, MAX_TOKEN};
use crate::connection::{Connection, EndpointEvent, Init, RecvMeta, Transmit};
use crate::handshake::StartError;
use crate::path::Tuple;
use crate::shared::Shared;

/// Tokens kept for a server a client may connect to again (threat 4: neqo keeps 8 too).
pub(crate) const TOKENS_PER_SERVER: usize = 8;
/// Servers for which tokens are kept.
const TOKEN_SERVERS: usize = 256;

/// Names a connection at its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// What to do with a datagram.
#[derive(Debug)]
pub enum Route {
    /// Give it to this connection.
    Connection(Handle),
    /// Somebody wants to connect: accept, retry, refuse or ignore it.
    Incoming(Incoming),
    /// Send the bytes in `reply`.
    Reply(Transmit),
    /// Nothing: it was kept for an [`Incoming`] that is not decided yet.
    Kept,
    /// Nothing.
    Drop(DropReason),
}

/// Where each path's reset token leads.
type Resets = Vec<(PathId, SocketAddr, [u8; 16])>;

/// Takes a path's token out.
fn take_reset(resets: &mut Resets, path: PathId) -> Option<(SocketAddr, [u8; 16])> {
    let at = resets.iter().position(|(of, ..)| *of == path)?;
    let (_, remote, token) = resets.swap_remove(at);
    Some((remote, token))
}

/// What the endpoint keeps of a connection.
struct Known {
    /// Where a handshake that is still going on comes from, and the ids it began with, before and after a Retry.
    half_open: Option<(Prefix, [Cid; 2])>,
    /// Under which name and port a client's tokens are kept.
    server_name: Option<String>,
    /// The reset tokens in the routing table, by path.
    resets: Resets,
}

/// Connections of a host's sockets.
pub struct Endpoint {
    config: EndpointConfig,
    shared: Arc<Shared>,
    server: Option<Arc<ServerConfig>>,
    routes: Routes,
    known: Slab<Known>,
    half_open: HalfOpen,
    /// Ids that handshakes began with that are over: a late copy of a first datagram opens nothing.
    begun: Spent,
    /// Tokens of NEW_TOKEN that proved an address: each does so once (RFC 9000 §8.1.4).
    shown: Spent,
    /// Strangers reported and not decided yet, and what else of their flight came.
    recent: VecDeque<Recent>,
    early: EarlyPackets,
    /// A stranger's Initial while it is looked at. Reused.
    copy: Vec<u8>,
    /// By version and server: a token is good for the version it came in (RFC 9369 §5).
    tokens: BTreeMap<(Version, String), VecDeque<Vec<u8>>>,
    resets: ResetLimiter,
    counters: Counters,
}

impl Endpoint {
    /// An endpoint that can connect, and accept once it has a [`ServerConfig`].
    pub fn new(config: EndpointConfig, crypto: Arc<dyn Crypto>, entropy: Arc<dyn Entropy>) -> Self {
        let shared = Arc::new(Shared::new(&config, crypto, entropy));
        let keyed = || Keyed::new(shared.entropy.u64(), shared.entropy.u64());
        Self {
            routes: Routes::new(keyed()),
            half_open: HalfOpen::new(keyed()),
            begun: Spent::new(keyed()),
            shown: Spent::new(keyed()),
            config,
            shared,
            server: None,
            known: Slab::new(),
            recent: VecDeque::new(),
            early: EarlyPackets::default(),
            copy: Vec::new(),
            tokens: BTreeMap::new(),
            resets: ResetLimiter::default(),
            counters: Counters::default(),
        }
    }

    /// Accepts connections with `config` from now on, or none.
    pub fn set_server(&mut self, config: Option<Arc<ServerConfig>>) {
        self.server = config;
    }

    /// Datagrams dropped here, by reason.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections alive.
    pub fn connections(&self) -> usize {
        self.known.len()
    }

    /// Handshakes going on as a server.
    pub fn half_open(&self) -> usize {
        self.half_open.total()
    }

    /// The newest token that each server gave in NEW_TOKEN, by version and by name and port: for a host to keep, and to
    /// [`Endpoint::add_token`] in a later process.
    pub fn tokens(&self) -> impl Iterator<Item = (Version, &str, &[u8])> {
        self.tokens
            .iter()
            .filter_map(|((version, name), tokens)| Some((*version, &**name, &**tokens.back()?)))
    }

    /// A token of an earlier process, for connections to a server by name and port. A wrong one costs nothing: the server
    /// takes no notice of it. 8 of a server are kept, and 256 servers; one that no Initial can carry is not.
    pub fn add_token(&mut self, version: Version, server: &str, token: &[u8]) {
        if !token.is_empty() {
            self.keep_token((version, server.to_string()), token.to_vec());
        }
    }

    /// Starts a connection to `remote` through the host's socket `socket`.
    ///
    /// # Errors
    /// `server_name` is not a name or address TLS can use.
    // MUST 9000-7.2-1, 9000-8.1.3-1, 9000-8.1.3-5
    pub fn connect(
        &mut self,
        now: Instant,
        config: &ClientConfig,
        remote: SocketAddr,
        socket: u32,
        server_name: &str,
    ) -> Result<(Handle, Connection), StartError> {
        let shared = Arc::clone(&self.shared);
        let local_cid = shared.new_cid();
        let mut odcid = [0; 8];
        shared.entropy.fill(&mut odcid);
        let odcid = Cid::new(&odcid).unwrap_or(Cid::EMPTY);
        let mut hs = Handshaking::new(odcid, local_cid, config.version);
        hs.client = Some((Arc::clone(&config.tls), server_name.to_string()));
        // another port may be another server's
        let audience = format!("{server_name}:{}", remote.port());
        let kept = self.tokens.get_mut(&(config.version, audience.clone()));
        hs.token = kept.and_then(VecDeque::pop_back).unwrap_or_default();
        let mut connection = Connection::new(
            now,
            Init {
                side: Side::Client,
                version: config.version,
                config: Arc::clone(&config.transport),
                shared,
                tuple: Tuple { remote, local_ip: None, socket },
                local_cid,
                peer_cid: odcid,
                hs,
            },
        );
        connection.start_client(now, &config.tls, server_name)?;
        let known = Known { half_open: None, server_name: Some(audience), resets: Resets::new() };
        let handle = Handle(self.known.insert(known) as u32);
        self.absorb(handle, &mut connection);
        Ok((handle, connection))
    }

    /// Decides what a datagram is. `reply` is overwritten if there is something to send back.
    pub fn receive(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        datagram: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Route {
        let route = self.route(now, meta, datagram, reply);
        if let Route::Drop(reason) = &route {
            self.counters.drop_packet(*reason);
        }
        route
    }

    // MUST 9000-5.2.2-1, 9000-6.1-1, 9000-10.3-5, 9000-10.3.1-1, 9000-11-1, 9000-17.2.1-5
    fn route(&mut self, now: Instant, meta: &RecvMeta, datagram: &mut [u8], reply: &mut Vec<u8>) -> Route {
        if datagram.is_empty() {
            return Route::Drop(DropReason::Empty);
        }
        let header = Header::parse(datagram, self.shared.cid_len);
        let dcid = match &header {
            Ok(Header::Long { dcid, .. } | Header::Short { dcid, .. } | Header::Retry { dcid, .. }) => {
                Some(*dcid)
            }
            Ok(Header::VersionNegotiation { dcid, .. } | Header::Unknown { dcid, .. }) => {
                Cid::new(&datagram[dcid.clone()])
            }
            Err(_) => None,
        };
        if let Some(handle) = dcid.and_then(|dcid| self.routes.by_cid(&dcid)) {
            return Route::Connection(handle);
        }
        // whatever it looks like: other versions may reset with long headers (RFC 9000 §10.3)
        if let Some(handle) = self.routes.by_reset(meta.remote, datagram) {
            return Route::Connection(handle);
        }
        // A version that is not spoken here is judged by nothing but the invariants (RFC 8999 §5).
        if let Some(long) = Invariants::parse(datagram).filter(|long| self.is_foreign(long.version)) {
            if self.server.is_none() || datagram.len() < usize::from(MIN_MTU) {
                return Route::Drop(DropReason::UnknownVersion);
            }
            return self.negotiate_version(now, meta, &datagram[long.dcid], &datagram[long.scid], reply);
        }
        match header {
            Ok(Header::Short { .. }) => self.stateless_reset(now, meta, datagram, reply),
            Ok(header @ Header::Long { .. }) => self.first_datagram(now, meta, &header, datagram, reply),
            Ok(_) => Route::Drop(DropReason::UnknownConnection),
            Err(_) => Route::Drop(DropReason::BadHeader),
        }
    }

    /// Whether a long header is of a version not spoken here. Version Negotiation is none (RFC 9000 §6.1).
    fn is_foreign(&self, version: Version) -> bool {
        version != Version::NEGOTIATION && !self.shared.versions.contains(&version)
    }

    /// Learns what a connection has to say.
    pub fn handle_event(&mut self, handle: Handle, event: EndpointEvent) {
        let Some(known) = self.known.get_mut(handle.0 as usize) else { return };
        match event {
            EndpointEvent::CidIssued(cid) => self.routes.add_cid(cid, handle),
            EndpointEvent::CidRetired(cid) => self.routes.remove_cid(&cid),
            EndpointEvent::ResetToken(path, remote, token) => {
                if let Some((remote, token)) = take_reset(&mut known.resets, path) {
                    self.routes.remove_reset(remote, &token);
                }
                known.resets.reserve_exact(1);
                known.resets.push((path, remote, token.0));
                self.routes.add_reset(remote, token.0, handle);
            }
            EndpointEvent::ResetTokenGone(path) => {
                if let Some((remote, token)) = take_reset(&mut known.resets, path) {
                    self.routes.remove_reset(remote, &token);
                }
            }
            EndpointEvent::NewToken(version, token) => {
                if let Some(name) = known.server_name.clone() {
                    self.keep_token((version, name), token);
                }
            }
            EndpointEvent::Established => {
                if let Some((prefix, first)) = known.half_open.take() {
                    self.half_open.end(prefix);
                    for cid in &first {
                        self.begun.spend(cid);
                    }
                }
            }
            EndpointEvent::Drained => {
                if let Some((prefix, _)) = known.half_open.take() {
                    self.half_open.end(prefix);
                }
                for (_, remote, token) in core::mem::take(&mut known.resets) {
                    self.routes.remove_reset(remote, &token);
                }
                self.known.remove(handle.0 as usize);
            }
        }
    }

    /// Drains a connection's events.
    fn absorb(&mut self, handle: Handle, connection: &mut Connection) {
        while let Some(event) = connection.poll_endpoint_event() {
            self.handle_event(handle, event);
        }
    }

    fn keep_token(&mut self, name: (Version, String), token: Vec<u8>) {
        if token.len() > MAX_TOKEN {
            return;
        }
        if self.tokens.len() >= TOKEN_SERVERS && !self.tokens.contains_key(&name) {
            self.tokens.pop_first();
        }
        let tokens = self.tokens.entry(name).or_default();
        if tokens.len() == TOKENS_PER_SERVER {
            tokens.pop_front();
        }
        tokens.push_back(token);
    }

    /// A reply of ours to where a datagram came from.
    fn reply_to(&self, now: Instant, meta: &RecvMeta, reply: &[u8]) -> Transmit {
        Transmit {
            remote: meta.remote,
            local_ip: meta.local_ip,
            socket: meta.socket,
            ecn: tq_wire::Ecn::NotEct,
            len: reply.len(),
            segment: None,
            depart_at: now,
        }
    }
}
