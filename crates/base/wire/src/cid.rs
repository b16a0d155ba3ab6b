//! Connection ids, path ids and stateless reset tokens (RFC 9000 §5.1, §10.3; multipath §3).

use core::fmt;
use core::hash::{Hash, Hasher};

/// A connection id of 0 to 20 bytes, held inline.
#[derive(Clone, Copy)]
pub struct Cid {
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl Cid {
    /// Longest connection id of QUIC v1 and v2.
    pub const MAX_LEN: usize = 20;
    /// The zero-length connection id.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; Self::MAX_LEN] };

    /// Copies `bytes`; `None` if there are more than 20.
    // MUST 9000-17.2-2, 9000-17.2-4
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut cid = Self::EMPTY;
        cid.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        cid.len = bytes.len() as u8;
        Some(cid)
    }

    /// The bytes as sent.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// 0 to 20.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether this is the zero-length id.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl core::ops::Deref for Cid {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Cid {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Cid {}

impl Hash for Cid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Names a path for the life of a connection (multipath §3). Path 0 is the one of the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

impl PathId {
    /// The path the handshake ran on.
    pub const ZERO: Self = Self(0);
}

/// 16 bytes that end a connection whose state its owner has lost (RFC 9000 §10.3).
#[derive(Clone, Copy)]
pub struct ResetToken(pub [u8; Self::LEN]);

impl ResetToken {
    /// Length in bytes.
    pub const LEN: usize = 16;
}

/// Compares without an early exit, so that timing tells nothing about where the difference is.
impl PartialEq for ResetToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0u8, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

impl Eq for ResetToken {}

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(..)")
    }
}
