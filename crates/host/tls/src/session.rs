//! One TLS handshake of rustls behind the core's [`Session`].
//!
//! A server session buffers the ClientHello, has configuration and version picked from what it asks for and only then
//! makes the rustls connection. What TLS wants to send is drained after every read: rustls otherwise lets a Finished slip
//! out before the key change it belongs behind. Bytes at another level than TLS expects are refused here, because
//! rustls does not know levels.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rustls::quic::{self, ClientConnection, Connection, Secrets, ServerConnection};
use rustls::{CertificateError, HandshakeType, OtherError, PeerMisbehaved};
use tq_crypto::{DirectionalKeys, KeyPair, Suite};
use tq_quic::handshake::{
    Choose, ExportError, KeyChange, Level, PeerIdentity, Session, StartError, TlsError,
};
use tq_wire::{Side, Version};

use crate::after::After;
use crate::keys;
use crate::peek::{self, ClientHello, PeekError};
use crate::secrets::{Captured, Owned, Stage};
use crate::tickets::{ServerView, Spoken};

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
    version: Version,
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

/// Where keys of later phases come from.
enum Next {
    Tls(Secrets),
    Owned(Owned),
}

/// The version the server chose, if it is not the one TLS was started with, and the secrets its keys are made of.
#[derive(Default)]
struct Switch {
    to: Option<Version>,
    captured: Option<Arc<Captured>>,
}

pub(crate) struct TlsSession {
    state: State,
    steps: VecDeque<Step>,
    /// Level of the next bytes from the peer.
    expects: Level,
    next: Option<Next>,
    /// What came after the handshake.
    after: After,
    switch: Switch,
    /// On a client: tells the ticket store.
    spoken: Option<Spoken>,
    /// Whether a certificate the peer shows is a raw key.
    raw_peer: bool,
    /// What a client asked for.
    asked: Option<String>,
}

impl TlsSession {
    /// `captured` listens to the connection's secrets if the server may choose another version.
    pub(crate) fn client(
        connection: ClientConnection,
        server_name: &str,
        raw_peer: bool,
        spoken: Option<Spoken>,
        captured: Option<Arc<Captured>>,
    ) -> Self {
        let mut session = Self::new(State::Running(Box::new(connection.into())));
        session.raw_peer = raw_peer;
        session.asked = Some(server_name.to_owned());
        session.spoken = spoken;
        session.switch.captured = captured;
        if let Err(error) = session.drain() {
            session.state = State::Failed(error);
        }
        session
    }

    pub(crate) fn server(pick: Pick, version: Version, params: &[u8]) -> Result<Self, StartError> {
        tls_version(version)?;
        let waiting = Waiting { pick, version, params: params.to_vec(), hello: Vec::new() };
        Ok(Self::new(State::Waiting(waiting)))
    }

    fn new(state: State) -> Self {
        let (steps, expects) = (VecDeque::new(), Level::Initial);
        let switch = Switch::default();
        let after = After::default();
        Self { state, steps, expects, next: None, after, switch, spoken: None, raw_peer: false, asked: None }
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::Running(connection) => Some(connection),
            _ => None,
        }
    }

    /// Moves what TLS wants to send into `steps` and learns which level comes next.
    // MUST 9001-4.4-2, 9001-4.4-3, 9001-6-1, 9001-8.3-1
    fn drain(&mut self) -> Result<(), TlsError> {
        let State::Running(connection) = &mut self.state else { return Ok(()) };
        loop {
            let mut bytes = Vec::new();
            let change = match connection.write_hs(&mut bytes) {
                Some(quic::KeyChange::Handshake { keys }) => {
                    self.expects = Level::Handshake;
                    let owned = self.switch.take(connection, Stage::Handshake)?;
                    Some(KeyChange::Handshake(owned.map_or_else(|| keys::both(keys), |owned| owned.keys())))
                }
                Some(quic::KeyChange::OneRtt { keys, next }) => {
                    let owned = self.switch.take(connection, Stage::OneRtt)?;
                    self.switch.forget();
                    let (keys, next) = match owned {
                        Some(owned) => (owned.keys(), Next::Owned(owned)),
                        None => (keys::both(keys), Next::Tls(next)),
                    };
                    self.next = Some(next);
                    Some(KeyChange::OneRtt(keys))
                }
                None if bytes.is_empty() => break,
                None => None,
            };
            self.steps.push_back(Step { bytes, change });
        }
        if !connection.is_handshaking() {
            self.expects = Level::OneRtt;
        }
        Ok(())
    }

    fn read_with(
        &mut self,
        level: Level,
        bytes: &[u8],
        choose: Option<&mut Choose<'_>>,
    ) -> Result<(), TlsError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let result = self.feed(level, bytes, choose);
        if let Err(error) = &result {
            self.steps.clear();
            self.state = State::Failed(error.clone());
        }
        result
    }

    fn feed(&mut self, level: Level, bytes: &[u8], choose: Option<&mut Choose<'_>>) -> Result<(), TlsError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if level != self.expects {
            return Err(TlsError { alert: 10, reason: Cow::Borrowed("handshake bytes at the wrong level") });
        }
        let gathered;
        let mut bytes = bytes;
        if let State::Waiting(waiting) = &mut self.state {
            gathered = waiting.gather(bytes)?;
            let hello = gathered.as_deref().unwrap_or(bytes);
            let Some(answer) = waiting.feed(hello, choose)? else {
                waiting.hello = hello.to_vec();
                return Ok(());
            };
            self.state = State::Running(Box::new(answer.connection.into()));
            self.raw_peer = answer.raw_clients;
            self.switch = answer.switch;
            bytes = hello;
        }
        if let State::Running(connection) = &mut self.state {
            connection.read_hs(bytes).map_err(|error| failure(connection, &error))?;
        }
        if level == Level::OneRtt && self.after.breaks_rule(bytes) {
            let reason = Cow::Borrowed("ticket with another early_data size than 2^32 - 1");
            return Err(TlsError { alert: TlsError::QUIC_RULE, reason });
        }
        self.drain()
    }
}

impl Switch {
    /// Secrets to make keys of, if rustls' are of the wrong version.
    fn take(&self, connection: &Connection, stage: Stage) -> Result<Option<Owned>, TlsError> {
        let Some(version) = self.to else { return Ok(None) };
        let side = match connection {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        };
        let suite = connection.negotiated_cipher_suite().and_then(|suite| keys::suite(suite.suite()));
        let owned = self.captured.as_ref().zip(suite);
        let owned = owned.and_then(|(captured, suite)| captured.take(stage, side, version, suite));
        owned.map(Some).ok_or(TlsError { alert: 80, reason: Cow::Borrowed("TLS gave no secrets") })
    }

    fn forget(&mut self) {
        if let Some(captured) = self.captured.take() {
            captured.clear();
        }
    }
}

/// What a complete ClientHello leads to.
struct Answer {
    connection: ServerConnection,
    raw_clients: bool,
    switch: Switch,
}

impl Waiting {
    /// What came earlier and `bytes`, if anything did.
    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, TlsError> {
        if bytes.len() > peek::MAX_HELLO.saturating_sub(self.hello.len()) {
            return Err(refuse(PeekError::TooLong));
        }
        if self.hello.is_empty() {
            return Ok(None);
        }
        let mut all = std::mem::take(&mut self.hello);
        all.extend_from_slice(bytes);
        Ok(Some(all))
    }

    /// A connection, once the ClientHello is complete.
    fn feed(&mut self, hello: &[u8], choose: Option<&mut Choose<'_>>) -> Result<Option<Answer>, TlsError> {
        let Some(hello) = peek::peek(hello).map_err(refuse)? else { return Ok(None) };
        let picked = (self.pick)(&hello)?;
        let chosen = choose.zip(hello.transport_parameters()).and_then(|(choose, params)| choose(params));
        let mut config = picked.config;
        let mut switch = Switch::default();
        if let Some((version, params)) = chosen {
            self.params = params;
            let captured = Captured::new(config.key_log.clone());
            Arc::make_mut(&mut config).key_log = captured.clone();
            switch = Switch { to: Some(version), captured: Some(captured) };
        }
        if config.session_storage.can_cache() {
            let own = Arc::make_mut(&mut config);
            own.session_storage = Arc::new(ServerView {
                sessions: own.session_storage.clone(),
                original: self.version,
                spoken: switch.to.unwrap_or(self.version),
                params: self.params.clone(),
            });
        }
        let broken = |why| TlsError { alert: 80, reason: Cow::Owned(why) };
        // 0-RTT keys are those of the version the client began with
        let version = tls_version(self.version).map_err(|error| broken(error.0))?;
        let connection = ServerConnection::new(config, version, std::mem::take(&mut self.params))
            .map_err(|error| broken(error.to_string()))?;
        Ok(Some(Answer { connection, raw_clients: picked.raw_clients, switch }))
    }
}

fn refuse(error: PeekError) -> TlsError {
    TlsError { alert: error.alert(), reason: Cow::Borrowed(error.reason()) }
}

/// Messages that TLS may allow and QUIC does not, or for which QUIC wants its own code.
// MUST 9001-4.1.3-3, 9001-4.4-4, 9001-4.6.1-2
fn breaks_quic(connection: &Connection, error: &rustls::Error) -> bool {
    match error {
        rustls::Error::PeerMisbehaved(PeerMisbehaved::KeyEpochWithPendingFragment) => true,
        rustls::Error::PeerMisbehaved(PeerMisbehaved::InvalidMaxEarlyDataSize) => true,
        rustls::Error::InappropriateHandshakeMessage { got_type, .. } => {
            *got_type == HandshakeType::CertificateRequest
                && matches!(connection, Connection::Client(client) if !client.is_handshaking())
        }
        _ => false,
    }
}

fn failure(connection: &Connection, error: &rustls::Error) -> TlsError {
    let alert = match (connection.alert(), error) {
        _ if breaks_quic(connection, error) => TlsError::QUIC_RULE,
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
        self.read_with(level, bytes, None)
    }

    fn read_hello(&mut self, bytes: &[u8], choose: &mut Choose<'_>) -> Result<(), TlsError> {
        self.read_with(Level::Initial, bytes, Some(choose))
    }

    fn switch_version(&mut self, version: Version) -> bool {
        let able = self.switch.captured.is_some() && self.expects == Level::Initial;
        if able {
            self.switch.to = Some(version);
            self.spoken.iter().for_each(|spoken| spoken.set(version));
        }
        able
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        while let Some(step) = self.steps.pop_front() {
            if self.steps.is_empty() {
                // a half-open handshake may wait for long
                self.steps = VecDeque::new();
            }
            if out.is_empty() {
                *out = step.bytes;
            } else {
                out.extend_from_slice(&step.bytes);
            }
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

    fn is_resumed(&self) -> bool {
        let kind = self.connection().and_then(|connection| connection.handshake_kind());
        kind == Some(rustls::HandshakeKind::Resumed)
    }

    fn next_keys(&mut self) -> Option<KeyPair> {
        match self.next.as_mut()? {
            Next::Tls(secrets) => Some(keys::pair(secrets.next_packet_keys())),
            Next::Owned(owned) => Some(owned.next()),
        }
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
