//! Handshakes between a client and a server session, without packets: what one writes the other reads.

mod handshake;
mod key_log;
mod keys;
mod must;
mod resumption;
mod versions;

use std::sync::Arc;

use tq_quic::handshake::{ClientTls, KeyChange, Level, ServerTls, Session, TlsError};
use tq_wire::Version;

use crate::*;

pub(crate) const CLIENT_PARAMS: &[u8] = b"client parameters";
pub(crate) const SERVER_PARAMS: &[u8] = b"server parameters";
pub(crate) const NAME: &str = "server.test";

/// A session and what its TLS has given so far.
pub(crate) struct End {
    pub(crate) tls: Box<dyn Session>,
    level: Level,
    pub(crate) handshake: Option<tq_crypto::Keys>,
    pub(crate) one_rtt: Option<tq_crypto::Keys>,
}

impl End {
    pub(crate) fn new(tls: Box<dyn Session>) -> Self {
        Self { tls, level: Level::Initial, handshake: None, one_rtt: None }
    }

    /// All that is to send now, by level.
    pub(crate) fn flight(&mut self) -> Vec<(Level, Vec<u8>)> {
        let mut flight = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let change = self.tls.write(&mut bytes);
            let done = bytes.is_empty() && change.is_none();
            if !bytes.is_empty() {
                flight.push((self.level, bytes));
            }
            match change {
                Some(KeyChange::Handshake(keys)) => {
                    (self.level, self.handshake) = (Level::Handshake, Some(keys));
                }
                Some(KeyChange::OneRtt(keys)) => (self.level, self.one_rtt) = (Level::OneRtt, Some(keys)),
                None if done => return flight,
                None => {}
            }
        }
    }
}

/// Who failed, and how.
#[derive(Debug)]
pub(crate) enum Failed {
    Client(TlsError),
    Server(TlsError),
}

impl Failed {
    pub(crate) fn alert(&self) -> u8 {
        match self {
            Self::Client(error) | Self::Server(error) => error.alert,
        }
    }
}

/// Runs flights back and forth, `chunk` bytes a read, until neither has anything to send.
pub(crate) fn run(client: &mut End, server: &mut End, chunk: usize) -> Result<(), Failed> {
    loop {
        let mut quiet = true;
        for (level, bytes) in client.flight() {
            quiet = false;
            for part in bytes.chunks(chunk) {
                server.tls.read(level, part).map_err(Failed::Server)?;
            }
        }
        for (level, bytes) in server.flight() {
            quiet = false;
            for part in bytes.chunks(chunk) {
                client.tls.read(level, part).map_err(Failed::Client)?;
            }
        }
        if quiet {
            return Ok(());
        }
    }
}

pub(crate) fn start(client: &dyn ClientTls, server: &dyn ServerTls, version: Version) -> (End, End) {
    let client = client.start(version, NAME, CLIENT_PARAMS).expect("client starts");
    let server = server.start(version, SERVER_PARAMS).expect("server starts");
    (End::new(client), End::new(server))
}

/// A handshake that is expected to work.
pub(crate) fn connect(client: &dyn ClientTls, server: &dyn ServerTls, version: Version) -> (End, End) {
    let (mut client, mut server) = start(client, server, version);
    run(&mut client, &mut server, usize::MAX).expect("handshake completes");
    assert!(!client.tls.is_handshaking() && !server.tls.is_handshaking());
    (client, server)
}

/// A handshake that is expected not to.
pub(crate) fn refused(client: &dyn ClientTls, server: &dyn ServerTls) -> Failed {
    let (mut client, mut server) = start(client, server, Version::V1);
    run(&mut client, &mut server, usize::MAX).expect_err("handshake fails")
}

/// A server with an X.509 identity for [`NAME`], and a client that believes it.
pub(crate) fn x509() -> (ClientConfig, ServerConfig) {
    let (identity, roots) = self_signed(&[NAME]).expect("a certificate");
    (
        ClientConfig::with_roots(roots).alpn(["hq-interop"]),
        ServerConfig::new().certificate(identity).alpn(["hq-interop"]),
    )
}

/// A server with a raw key, and a client that pins it.
pub(crate) fn raw() -> (ClientConfig, ServerConfig) {
    let identity = RawIdentity::generate();
    (
        ClientConfig::pinned_key(identity.spki()).alpn(["tq1"]),
        ServerConfig::new().raw_key(identity).alpn(["tq1"]),
    )
}

pub(crate) fn client(config: ClientConfig) -> Arc<dyn ClientTls> {
    config.build().expect("client configuration")
}

pub(crate) fn server(config: ServerConfig) -> Arc<Server> {
    config.build().expect("server configuration")
}
