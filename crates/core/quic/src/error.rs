//! Errors with a culprit. Numbers from [`EQUIC_BASE`] up are stable: the API, the tools and the counters share them.

use core::fmt::{self, Write};

use tq_buf::mem::{Cow, Vec};
use tq_wire::Code;
use tq_wire::frame::{DecodeError, Wrong};

/// First error number.
pub const EQUIC_BASE: u16 = 500;

/// A violation by the peer (or a bug of ours): what CONNECTION_CLOSE will carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// Code on the wire.
    pub code: Code,
    /// Frame type to blame, 0 if none.
    pub frame: u64,
    /// What was wrong, naming the frame; sent as reason phrase.
    pub reason: Cow<'static, str>,
}

impl TransportError {
    /// An error of `code` blamed on a frame type.
    pub const fn new(code: Code, frame: u64, reason: &'static str) -> Self {
        Self { code, frame, reason: Cow::Borrowed(reason) }
    }
}

impl From<DecodeError> for TransportError {
    // MUST 9000-4.6-1, 9000-12.4-4, 9000-19.3.1-1, 9000-19.7-2, 9000-19.11-1, 9000-19.15-1, 9000-19.15-6
    // MUST mp21-4.6-3
    fn from(error: DecodeError) -> Self {
        let code = match error.wrong {
            Wrong::LongType | Wrong::PathId => Code::PROTOCOL_VIOLATION,
            _ => Code::FRAME_ENCODING_ERROR,
        };
        Self::new(code, error.frame_type, error.wrong.reason())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)?;
        if self.frame != 0 { write!(f, " (frame {:#x})", self.frame) } else { Ok(()) }
    }
}

impl core::error::Error for TransportError {}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer speaks no version we do.
    VersionMismatch,
    /// We closed because of what the peer did.
    Violation(TransportError),
    /// The peer's transport closed.
    PeerTransport {
        /// Code it gave.
        code: Code,
        /// Frame type it blamed, 0 if none.
        frame: u64,
        /// Its reason phrase.
        reason: Vec<u8>,
    },
    /// The peer's application closed.
    PeerApplication {
        /// Code it gave.
        code: u64,
        /// Its reason phrase.
        reason: Vec<u8>,
    },
    /// The peer has lost the connection's state.
    Reset,
    /// Nothing was heard for the idle timeout.
    IdleTimeout,
    /// The handshake did not finish within 30 s.
    HandshakeTimeout,
    /// Our application closed.
    LocallyClosed,
    /// No connection id left to send with.
    CidsExhausted,
}

impl ConnectionError {
    /// The stable number, from [`EQUIC_BASE`] up.
    pub fn number(&self) -> u16 {
        EQUIC_BASE
            + match self {
                Self::LocallyClosed => 1,
                Self::PeerApplication { .. } => 2,
                Self::IdleTimeout => 3,
                Self::HandshakeTimeout => 4,
                Self::Reset => 5,
                Self::VersionMismatch => 6,
                Self::CidsExhausted => 7,
                Self::Violation(error) => 20 + transport_number(error.code),
                Self::PeerTransport { code, .. } => 50 + transport_number(*code),
            }
    }

    /// The stable name, `EQUIC_…`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LocallyClosed => "EQUIC_LOCALLY_CLOSED",
            Self::PeerApplication { .. } => "EQUIC_PEER_APPLICATION",
            Self::IdleTimeout => "EQUIC_IDLE_TIMEOUT",
            Self::HandshakeTimeout => "EQUIC_HANDSHAKE_TIMEOUT",
            Self::Reset => "EQUIC_STATELESS_RESET",
            Self::VersionMismatch => "EQUIC_VERSION_MISMATCH",
            Self::CidsExhausted => "EQUIC_CIDS_EXHAUSTED",
            Self::Violation(error) => transport_name(error.code).0,
            Self::PeerTransport { code, .. } => transport_name(*code).1,
        }
    }
}

/// RFC 9000 codes keep their order; alerts and extensions get one number each.
fn transport_number(code: Code) -> u16 {
    match code.0 {
        0..=0x11 => code.0 as u16,
        0x100..0x200 => 0x18,
        _ => 0x19,
    }
}

macro_rules! transport_names {
    ($($number:literal $name:ident),* $(,)?) => {
        /// Names of a transport error: found by us, told by the peer.
        fn transport_name(code: Code) -> (&'static str, &'static str) {
            match transport_number(code) {
                $($number => (
                    concat!("EQUIC_VIOLATION_", stringify!($name)),
                    concat!("EQUIC_PEER_", stringify!($name)),
                ),)*
                _ => ("EQUIC_VIOLATION_OTHER", "EQUIC_PEER_OTHER"),
            }
        }
    };
}

transport_names! {
    0x00 NO_ERROR, 0x01 INTERNAL, 0x02 CONNECTION_REFUSED, 0x03 FLOW_CONTROL, 0x04 STREAM_LIMIT,
    0x05 STREAM_STATE, 0x06 FINAL_SIZE, 0x07 FRAME_ENCODING, 0x08 TRANSPORT_PARAMETER, 0x09 CID_LIMIT,
    0x0a PROTOCOL, 0x0b INVALID_TOKEN, 0x0c APPLICATION, 0x0d CRYPTO_BUFFER, 0x0e KEY_UPDATE,
    0x0f AEAD_LIMIT, 0x10 NO_VIABLE_PATH, 0x11 VERSION_NEGOTIATION, 0x18 TLS,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionMismatch => f.write_str("the peer offers no QUIC version known here"),
            Self::Violation(error) => write!(f, "closed because of the peer: {error}"),
            Self::PeerTransport { code, frame, reason } => {
                write!(f, "closed by the peer's transport: {code}")?;
                if *frame != 0 {
                    write!(f, " (frame {frame:#x})")?;
                }
                phrase(f, reason)
            }
            Self::PeerApplication { code, reason } => {
                write!(f, "closed by the peer's application: code {code}")?;
                phrase(f, reason)
            }
            Self::Reset => f.write_str("the peer has lost this connection (stateless reset)"),
            Self::IdleTimeout => f.write_str("nothing heard from the peer for the idle timeout"),
            Self::HandshakeTimeout => f.write_str("the handshake did not finish within 30 s"),
            Self::LocallyClosed => f.write_str("closed by this application"),
            Self::CidsExhausted => f.write_str("the peer left no connection id to send with"),
        }
    }
}

/// A peer's reason phrase, if it is text; without what could steer a terminal.
fn phrase(f: &mut fmt::Formatter<'_>, reason: &[u8]) -> fmt::Result {
    match core::str::from_utf8(reason) {
        Ok("") | Err(_) => Ok(()),
        Ok(text) => {
            f.write_str(": ")?;
            text.chars()
                .try_for_each(|c| if c.is_control() { f.write_char('\u{fffd}') } else { f.write_char(c) })
        }
    }
}

impl core::error::Error for ConnectionError {}

impl From<TransportError> for ConnectionError {
    fn from(error: TransportError) -> Self {
        Self::Violation(error)
    }
}

#[cfg(test)]
mod tests;
