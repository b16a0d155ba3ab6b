//! The handshake as the core sees it: levels, CRYPTO bytes in and out, keys when they come.
//!
//! TLS itself is a host's; the core never sees a certificate being checked or a secret being agreed on.

pub(crate) mod crypto_stream;
mod early;
pub(crate) mod keys;
mod session;

pub use early::limits_shrink;
pub use session::{
    Choose, ClientTls, ExportError, KeyChange, PeerIdentity, ServerTls, Session, StartError, TlsError,
};
pub use tq_crypto::{Crypto, Entropy};

/// Encryption levels with handshake bytes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Initial packets.
    Initial = 0,
    /// Handshake packets.
    Handshake = 1,
    /// 1-RTT packets (session tickets).
    OneRtt = 2,
}

impl Level {
    /// All levels in order.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::OneRtt];
}
