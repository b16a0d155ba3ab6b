//! Look-up tables. Keys are what peers choose or see, so they are hashed with a secret (SipHash-1-3).

use core::fmt;
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::SocketAddr;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;
use tq_wire::Cid;

use super::Handle;

/// Makes hashers with a secret key.
#[derive(Clone)]
pub(super) struct Keyed(u64, u64);

impl Keyed {
    pub(super) const fn new(first: u64, second: u64) -> Self {
        Self(first, second)
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// An address without what hashing of `SocketAddr` would drag in.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ResetKey(SocketAddr, [u8; 16]);

impl Hash for ResetKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

/// Who is behind an id or a reset token.
pub(super) struct Routes {
    cids: HashMap<Cid, Handle, Keyed>,
    resets: HashMap<ResetKey, Handle, Keyed>,
}

impl Routes {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { cids: HashMap::with_hasher(keyed.clone()), resets: HashMap::with_hasher(keyed) }
    }

    pub(super) fn by_cid(&self, cid: &Cid) -> Option<Handle> {
        self.cids.get(cid).copied()
    }

    /// The connection a stateless reset ends, if `datagram` is one.
    pub(super) fn by_reset(&self, remote: SocketAddr, datagram: &[u8]) -> Option<Handle> {
        let token = datagram.last_chunk::<16>().filter(|_| datagram.len() >= 21)?;
        self.resets.get(&ResetKey(remote, *token)).copied()
    }

    pub(super) fn add_cid(&mut self, cid: Cid, handle: Handle) {
        self.cids.insert(cid, handle);
    }

    pub(super) fn remove_cid(&mut self, cid: &Cid) {
        self.cids.remove(cid);
    }

    pub(super) fn add_reset(&mut self, remote: SocketAddr, token: [u8; 16], handle: Handle) {
        self.resets.insert(ResetKey(remote, token), handle);
    }

    pub(super) fn remove_reset(&mut self, remote: SocketAddr, token: &[u8; 16]) {
        self.resets.remove(&ResetKey(remote, *token));
    }
}
