//! What is kept of sessions so that they can be resumed: bounded, once per ticket, and only in the version the ticket
//! was given in (RFC 9369 §5).
//!
//! A server's tickets name an entry here that is taken out when it is used. That is what stops a replay of 0-RTT
//! (RFC 8446 §8.1): the same flight finds nothing the second time, and neither does one sent to a sibling or after a
//! restart. An entry remembers our transport parameters too: one with limits we no longer grant is of no use
//! (RFC 9000 §7.4.1), and the client gets a full handshake.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::server::StoresServerSessions;
use tq_quic::handshake::limits_shrink;
use tq_wire::{Reader, Side, TransportParameters, Version};

/// Tickets a client keeps, 8 a server, for each version.
pub(crate) const CLIENT_TICKETS: usize = 256;
/// Sessions a server keeps unless told otherwise; each takes less than 1 KiB.
pub(crate) const SERVER_TICKETS: usize = 4096;

/// The version a session has come to speak, known to session and store.
#[derive(Clone, Debug)]
pub(crate) struct Spoken(Arc<AtomicU32>);

impl Spoken {
    pub(crate) fn new(version: Version) -> Self {
        Self(Arc::new(AtomicU32::new(version.0)))
    }

    pub(crate) fn set(&self, version: Version) {
        self.0.store(version.0, Ordering::Relaxed);
    }

    fn version(&self) -> Version {
        Version(self.0.load(Ordering::Relaxed))
    }
}

/// All tickets of a client.
#[derive(Clone, Debug)]
pub(crate) struct ClientTickets {
    v1: Arc<ClientSessionMemoryCache>,
    v2: Arc<ClientSessionMemoryCache>,
}

impl ClientTickets {
    pub(crate) fn new() -> Self {
        let cache = || Arc::new(ClientSessionMemoryCache::new(CLIENT_TICKETS));
        Self { v1: cache(), v2: cache() }
    }

    fn of(&self, version: Version) -> &ClientSessionMemoryCache {
        if version == Version::V2 { &self.v2 } else { &self.v1 }
    }
}

/// They, as one session sees them: a ticket to use is of the version it begins with, a ticket it gets of the one it
/// speaks by then.
#[derive(Debug)]
pub(crate) struct ClientView {
    pub(crate) tickets: ClientTickets,
    pub(crate) original: Version,
    pub(crate) spoken: Spoken,
}

impl ClientSessionStore for ClientView {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.tickets.of(self.original).set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.tickets.of(self.original).kx_hint(server_name)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.tickets.of(self.spoken.version()).insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tickets.of(self.original).take_tls13_ticket(server_name)
    }
}

/// A server's sessions, as one session sees them.
pub(crate) struct ServerView {
    pub(crate) sessions: Arc<dyn StoresServerSessions>,
    /// A session to resume must be of this version.
    pub(crate) original: Version,
    /// One to keep is of this.
    pub(crate) spoken: Version,
    /// Transport parameters of this connection.
    pub(crate) params: Vec<u8>,
}

impl ServerView {
    /// The session in an entry, if it may be resumed here.
    fn unwrap(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let mut r = Reader::new(entry);
        let version = Version(r.u32().ok()?);
        let len = usize::from(r.u16().ok()?);
        let params = r.slice(len).ok()?;
        let fits = version == self.original && !shrinks(params, &self.params);
        fits.then(|| r.rest().to_vec())
    }
}

/// Whether a client that remembers `old` could do what `new` does not allow.
// MUST 9000-7.4.1-7
fn shrinks(old: &[u8], new: &[u8]) -> bool {
    let decode = |params| TransportParameters::decode(params, Side::Server);
    match (decode(old), decode(new)) {
        (Ok(old), Ok(new)) => limits_shrink(&old, &new).is_some(),
        _ => old != new,
    }
}

impl StoresServerSessions for ServerView {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let Ok(len) = u16::try_from(self.params.len()) else { return false };
        let head = [&self.spoken.0.to_be_bytes()[..], &len.to_be_bytes()];
        self.sessions.put(key, [head[0], head[1], &self.params, &value].concat())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.unwrap(&self.sessions.get(key)?)
    }

    // MUST 9001-9.2-1
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.unwrap(&self.sessions.take(key)?)
    }

    fn can_cache(&self) -> bool {
        self.sessions.can_cache()
    }
}

impl fmt::Debug for ServerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerView")
    }
}
