//! The seam to TLS: one object per connection, made by a factory per endpoint.

use core::fmt;

use tq_buf::mem::{Box, Cow, String, Vec};
use tq_crypto::{DirectionalKeys, KeyPair, Keys, Suite};
use tq_wire::{Code, Version};

use super::Level;

/// A TLS failure; closes with CRYPTO_ERROR (0x100 + alert).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    /// TLS alert, 80 (internal_error) if the library names none; or [`TlsError::QUIC_RULE`].
    pub alert: u8,
    /// What was wrong.
    pub reason: Cow<'static, str>,
}

impl TlsError {
    /// In place of an alert (close_notify cannot fail a handshake): a message was in order for TLS but not in QUIC, which
    /// closes with PROTOCOL_VIOLATION (RFC 9001 §4.1.3, §4.4, §4.6.1).
    pub const QUIC_RULE: u8 = 0;

    /// The error to close with.
    pub(crate) fn code(&self) -> Code {
        match self.alert {
            Self::QUIC_RULE => Code::PROTOCOL_VIOLATION,
            alert => Code::crypto(alert),
        }
    }
}

/// A session could not be made: a caller's mistake, such as a name that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for StartError {}

/// Keying material is not to be had (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportError;

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keying material is available once the handshake is complete, up to 255 hashes long")
    }
}

impl core::error::Error for ExportError {}

/// Who the peer proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerIdentity {
    /// It did not prove anything (usual for a client).
    Anonymous,
    /// X.509 chain, leaf first, DER.
    Certificates(Vec<Vec<u8>>),
    /// RFC 7250 raw public key, DER SubjectPublicKeyInfo.
    RawKey(Vec<u8>),
}

/// Keys that [`Session::write`] makes ready; bytes written after it belong to the next level.
pub enum KeyChange {
    /// Handshake keys.
    Handshake(Keys),
    /// 1-RTT keys of phase 0.
    OneRtt(Keys),
}

/// A server's choice when it has seen the client's transport parameters: another version than the session was started
/// with, and our transport parameters for it; `None` leaves things as they are.
pub type Choose<'a> = dyn FnMut(&[u8]) -> Option<(Version, Vec<u8>)> + 'a;

/// TLS for one connection.
pub trait Session: Send {
    /// Feeds CRYPTO bytes, in order, as received at `level`.
    ///
    /// # Errors
    /// The alert to close with.
    fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), TlsError>;

    /// On a server: [`Session::read`] at [`Level::Initial`]. When the ClientHello is complete and before it is answered,
    /// `choose` is asked once with the client's transport parameters. If it names another version, Handshake and 1-RTT
    /// keys are that version's; 0-RTT keys stay those of the version the session was started with (RFC 9369 §4.1).
    ///
    /// A session that never asks serves the version it was started with, as this default does.
    ///
    /// # Errors
    /// The alert to close with.
    fn read_hello(&mut self, bytes: &[u8], choose: &mut Choose<'_>) -> Result<(), TlsError> {
        let _ = choose;
        self.read(Level::Initial, bytes)
    }

    /// On a client, before the server's first handshake bytes are read: the server chose `version`, whose keys are
    /// wanted from now on, 0-RTT keys aside. Says whether that can be done; not by default.
    fn switch_version(&mut self, version: Version) -> bool {
        let _ = version;
        false
    }

    /// Appends handshake bytes to send at the current write level. If a key change comes back, install it and call
    /// again: what comes next belongs to the next level. `None` and nothing appended: done for now.
    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange>;

    /// Whether our side still has work to do (RFC 9001 §4.1.1).
    fn is_handshaking(&self) -> bool;

    /// The peer's transport parameters extension, once received.
    fn peer_params(&self) -> Option<&[u8]>;

    /// Keys for 0-RTT, if there are any: local for a client, remote for a server. A client is asked once, when its
    /// ClientHello is written; [`Session::peer_params`] then are those the server had when it gave the ticket.
    fn early_keys(&mut self) -> Option<DirectionalKeys>;

    /// On a client, after the handshake: whether 0-RTT data counts. `None` while undecided.
    fn early_accepted(&self) -> Option<bool>;

    /// Whether the handshake went without certificates, on a ticket of an earlier one. Not known to every TLS.
    fn is_resumed(&self) -> bool {
        false
    }

    /// Packet keys of the next key phase; each call advances by one. `None` before 1-RTT keys exist.
    fn next_keys(&mut self) -> Option<KeyPair>;

    /// Negotiated suite, once known.
    fn suite(&self) -> Option<Suite>;

    /// Negotiated application protocol, once known.
    fn alpn(&self) -> Option<&[u8]>;

    /// Name the client asked for (on a server, once known).
    fn server_name(&self) -> Option<&str>;

    /// Who the peer proved to be, once the handshake is complete.
    fn peer(&self) -> PeerIdentity;

    /// RFC 8446 §7.5 exporter.
    ///
    /// # Errors
    /// The handshake is not complete or `out` is too long.
    fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), ExportError>;
}

/// Makes client sessions.
pub trait ClientTls: Send + Sync {
    /// A session that will send a ClientHello with these transport parameters.
    ///
    /// # Errors
    /// `server_name` is not a name or address TLS can use.
    fn start(
        &self,
        version: Version,
        server_name: &str,
        params: &[u8],
    ) -> Result<Box<dyn Session>, StartError>;
}

/// Makes server sessions.
pub trait ServerTls: Send + Sync {
    /// A session that waits for a ClientHello and answers with these transport parameters.
    ///
    /// # Errors
    /// The configuration cannot serve this version.
    fn start(&self, version: Version, params: &[u8]) -> Result<Box<dyn Session>, StartError>;
}
