//! One TLS handshake of rustls behind the core's [`Session`].
//!
//! A server session buffers the ClientHello, has the configuration picked from what it asks for and only then makes
//! the rustls connection. What TLS wants to send is drained after every read: rustls otherwise lets a Finished slip
//! out before the key change it belongs behind. Bytes at another level than TLS expects are refused here, because
//! rustls does not know levels.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rustls::quic::{self, ClientConnection, Connection, Secrets, ServerConnection};
use rustls::{CertificateError, OtherError};
use tq_crypto::{DirectionalKeys, KeyPair, Suite};
use tq_quic::handshake::{ExportError, KeyChange, Level, PeerIdentity, Session, StartError, TlsError};
use tq_wire::Version;

use crate::keys;
use crate::peek::{self, ClientHello, PeekError};

/// Answers a ClientHello: which configuration, and whether clients then show raw keys.
pub(crate) type Pick = Arc<dyn Fn(&ClientHello<'_>) -> Result<Picked, TlsError> + Send + Sync>;

/// What a server answers with.
#[derive(Clone)]
pub(crate) struct Picked {
    pub(crate) config: Arc<rustls::ServerConfig>,
    pub(crate) raw_clients: bool,
}

/// rustls' name for a version.
pub(crate) fn tls_version(version: Version) -> Result<quic::Version, StartError> {
    match version {
        Version::V1 => Ok(quic::Version::V1),
        Version::V2 => Ok(quic::Version::V2),
        other => Err(StartError(format!("no TLS for QUIC version {other:?}"))),
    }
}

/// A server session before its ClientHello is complete.
struct Waiting {
    pick: Pick,
    version: quic::Version,
    params: Vec<u8>,
    hello: Vec<u8>,
}

/// Exactly one is there; the connection is boxed because it is large and made late.
enum State {
    Waiting(Waiting),
    Running(Box<Connection>),
    Failed(TlsError),
}

/// Bytes to send, then perhaps keys for what follows.
struct Step {
    bytes: Vec<u8>,
    change: Option<KeyChange>,
}

pub(crate) struct TlsSession {
    state: State,
    steps: VecDeque<Step>,
    /// Level of the next bytes from the peer.
    expects: Level,
    next: Option<Secrets>,
    /// Whether a certificate the peer shows is a raw key.
    raw_peer: bool,
    /// What a client asked for.
    asked: Option<String>,
}

impl TlsSession {
    pub(crate) fn client(connection: ClientConnection, server_name: &str, raw_peer: bool) -> Self {
        let mut session = Self::new(State::Running(Box::new(connection.into())));
        session.raw_peer = raw_peer;
        session.asked = Some(server_name.to_owned());
        session.drain();
        session
    }

    pub(crate) fn server(pick: Pick, version: quic::Version, params: &[u8]) -> Self {
        Self::new(State::Waiting(Waiting { pick, version, params: params.to_vec(), hello: Vec::new() }))
    }

    fn new(state: State) -> Self {
        let (steps, expects) = (VecDeque::new(), Level::Initial);
        Self { state, steps, expects, next: None, raw_peer: false, asked: None }
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::Running(connection) => Some(connection),
            _ => None,
        }
    }

    /// Moves what TLS wants to send into `steps` and learns which level comes next.
    fn drain(&mut self) {
        let State::Running(connection) = &mut self.state else { return };
        loop {
            let mut bytes = Vec::new();
            let change = match connection.write_hs(&mut bytes) {
                Some(quic::KeyChange::Handshake { keys }) => {
                    self.expects = Level::Handshake;
                    Some(KeyChange::Handshake(keys::both(keys)))
                }
                Some(quic::KeyChange::OneRtt { keys, next }) => {
                    self.next = Some(next);
                    Some(KeyChange::OneRtt(keys::both(keys)))
                }
                None if bytes.is_empty() => break,
                None => None,
            };
            self.steps.push_back(Step { bytes, change });
        }
        if !connection.is_handshaking() {
            self.expects = Level::OneRtt;
        }
    }

    fn feed(&mut self, level: Level, bytes: &[u8]) -> Result<(), TlsError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if level != self.expects {
            return Err(TlsError { alert: 10, reason: Cow::Borrowed("handshake bytes at the wrong level") });
        }
        let waited;
        let mut bytes = bytes;
        if let State::Waiting(waiting) = &mut self.state {
            let Some((connection, raw_clients, hello)) = waiting.feed(bytes)? else { return Ok(()) };
            self.state = State::Running(Box::new(connection.into()));
            self.raw_peer = raw_clients;
            waited = hello;
            bytes = &waited;
        }
        if let State::Running(connection) = &mut self.state {
            connection.read_hs(bytes).map_err(|error| failure(connection, &error))?;
        }
        self.drain();
        Ok(())
    }
}

impl Waiting {
    /// A connection and all that was buffered, once the ClientHello is complete.
    fn feed(&mut self, bytes: &[u8]) -> Result<Option<(ServerConnection, bool, Vec<u8>)>, TlsError> {
        let room = peek::MAX_HELLO.saturating_sub(self.hello.len());
        if bytes.len() > room {
            return Err(refuse(PeekError::TooLong));
        }
        self.hello.extend_from_slice(bytes);
        let Some(hello) = peek::peek(&self.hello).map_err(refuse)? else { return Ok(None) };
        let picked = (self.pick)(&hello)?;
        let params = std::mem::take(&mut self.params);
        let connection = ServerConnection::new(picked.config, self.version, params)
            .map_err(|e| TlsError { alert: 80, reason: Cow::Owned(e.to_string()) })?;
        Ok(Some((connection, picked.raw_clients, std::mem::take(&mut self.hello))))
    }
}

fn refuse(error: PeekError) -> TlsError {
    TlsError { alert: error.alert(), reason: Cow::Borrowed(error.reason()) }
}

fn failure(connection: &Connection, error: &rustls::Error) -> TlsError {
    let alert = match (connection.alert(), error) {
        (Some(alert), _) => alert.into(),
        (None, rustls::Error::InvalidMessage(_)) => 50,
        (None, rustls::Error::PeerMisbehaved(_)) => 47,
        _ => 80,
    };
    let reason = match error {
        // rustls prints the wrapping of a verifier's own errors
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.to_string(),
        other => other.to_string(),
    };
    TlsError { alert, reason: Cow::Owned(reason) }
}

impl Session for TlsSession {
    fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), TlsError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let result = self.feed(level, bytes);
        if let Err(error) = &result {
            self.steps.clear();
            self.state = State::Failed(error.clone());
        }
        result
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        while let Some(step) = self.steps.pop_front() {
            out.extend_from_slice(&step.bytes);
            if step.change.is_some() {
                return step.change;
            }
        }
        None
    }

    fn is_handshaking(&self) -> bool {
        self.connection().is_none_or(|connection| connection.is_handshaking())
    }

    fn peer_params(&self) -> Option<&[u8]> {
        self.connection()?.quic_transport_parameters()
    }

    fn early_keys(&mut self) -> Option<DirectionalKeys> {
        self.connection()?.zero_rtt_keys().map(keys::directional)
    }

    fn early_accepted(&self) -> Option<bool> {
        match self.connection()? {
            Connection::Client(client) if !client.is_handshaking() => Some(client.is_early_data_accepted()),
            _ => None,
        }
    }

    fn next_keys(&mut self) -> Option<KeyPair> {
        self.next.as_mut().map(|secrets| keys::pair(secrets.next_packet_keys()))
    }

    fn suite(&self) -> Option<Suite> {
        keys::suite(self.connection()?.negotiated_cipher_suite()?.suite())
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.connection()?.alpn_protocol()
    }

    fn server_name(&self) -> Option<&str> {
        match self.connection()? {
            Connection::Client(_) => self.asked.as_deref(),
            Connection::Server(server) => server.server_name(),
        }
    }

    fn peer(&self) -> PeerIdentity {
        let Some(connection) = self.connection().filter(|connection| !connection.is_handshaking()) else {
            return PeerIdentity::Anonymous;
        };
        match connection.peer_certificates() {
            None | Some([]) => PeerIdentity::Anonymous,
            Some([key, ..]) if self.raw_peer => PeerIdentity::RawKey(key.to_vec()),
            Some(chain) => PeerIdentity::Certificates(chain.iter().map(|cert| cert.to_vec()).collect()),
        }
    }

    fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), ExportError> {
        let connection = self.connection().filter(|connection| !connection.is_handshaking());
        let connection = connection.ok_or(ExportError)?;
        connection.export_keying_material(out, label, Some(context)).map(drop).map_err(|_| ExportError)
    }
}
