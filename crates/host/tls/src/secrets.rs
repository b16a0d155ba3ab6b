//! Traffic secrets of a session whose version is not the one its TLS was started with (RFC 9369 §4).
//!
//! rustls fixes the version's labels when a session is made, and hands out keys but no secrets. Its key log does hand
//! them out, so a session that may change its version listens there and derives keys itself. Nothing is kept of a
//! session whose version stays, or longer than until its 1-RTT keys are made.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::KeyLog;
use tq_crypto::{KeyPair, Keys, Suite, schedule};
use tq_wire::{Side, Version};

use crate::AwsLc;

/// Handshake and 1-RTT secrets, each of client and server, by the names of the key log.
const LABELS: [&str; 4] = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
];

/// Which pair of [`LABELS`].
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Handshake = 0,
    OneRtt = 2,
}

/// The secrets TLS has made so far.
pub(crate) struct Captured {
    secrets: Mutex<[Vec<u8>; 4]>,
    /// Who else logs.
    log: Arc<dyn KeyLog>,
}

impl Captured {
    pub(crate) fn new(log: Arc<dyn KeyLog>) -> Arc<Self> {
        Arc::new(Self { secrets: Mutex::default(), log })
    }

    /// Takes the secrets of a stage, from the point of view of `side`.
    pub(crate) fn take(&self, stage: Stage, side: Side, version: Version, suite: Suite) -> Option<Owned> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let at = stage as usize;
        let client = std::mem::take(&mut secrets[at]);
        let server = std::mem::take(&mut secrets[at + 1]);
        drop(secrets);
        let len = suite.hash().len();
        let (local, remote) = if side.is_client() { (client, server) } else { (server, client) };
        (local.len() == len && remote.len() == len).then_some(Owned { version, suite, local, remote })
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }
}

impl KeyLog for Captured {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if self.log.will_log(label) {
            self.log.log(label, client_random, secret);
        }
        if let Some(at) = LABELS.iter().position(|known| *known == label) {
            self.secrets.lock().unwrap_or_else(PoisonError::into_inner)[at] = secret.to_vec();
        }
    }

    fn will_log(&self, label: &str) -> bool {
        LABELS.contains(&label) || self.log.will_log(label)
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Captured")
    }
}

/// A pair of traffic secrets from which keys are derived here.
pub(crate) struct Owned {
    version: Version,
    suite: Suite,
    local: Vec<u8>,
    remote: Vec<u8>,
}

impl Owned {
    /// Keys of the secrets as they are.
    pub(crate) fn keys(&self) -> Keys {
        let keys = |secret: &[u8]| schedule::directional_keys(&AwsLc, self.version, self.suite, secret);
        Keys { local: keys(&self.local), remote: keys(&self.remote) }
    }

    /// Packet keys of the next phase; moves on to it.
    pub(crate) fn next(&mut self) -> KeyPair {
        let (version, suite) = (self.version, self.suite);
        let step = |secret: &mut [u8]| {
            schedule::update_secret(&AwsLc, version, suite.hash(), secret);
            schedule::packet_key(&AwsLc, version, suite, secret)
        };
        KeyPair { local: step(&mut self.local), remote: step(&mut self.remote) }
    }
}
