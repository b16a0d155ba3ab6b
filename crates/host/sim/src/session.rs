//! A handshake in the shape of TLS 1.3 whose secrets come from a seed: messages of realistic sizes, ALPN, server names,
//! tickets, key updates, over real AEADs. It proves nothing about TLS: whoever knows the seed, or just reads the
//! messages, knows every key, and no certificate is checked beyond the names written in it. What it buys is that the
//! same seed gives the same bytes on the wire.

mod messages;
mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use tq_crypto::Suite;
use tq_quic::handshake::{ClientTls, ServerTls, Session, StartError};
use tq_wire::{Side, Version};

use crate::entropy::Random;

/// Bytes of TLS messages, each with its header of 4. A message never becomes smaller than what it must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// ClientHello. Default 300; with a post-quantum key share about 1800.
    pub client_hello: usize,
    /// ServerHello. Default 122; with a post-quantum key share about 1210.
    pub server_hello: usize,
    /// Certificate. Default 2500.
    pub chain: usize,
    /// CertificateVerify. Default 264 (RSA with 2048 bits; ECDSA: about 80).
    pub verify: usize,
    /// Each NewSessionTicket. Default 240.
    pub ticket: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { client_hello: 300, server_hello: 122, chain: 2500, verify: 264, ticket: 240 }
    }
}

impl Sizes {
    /// With a hybrid key share of X25519 and ML-KEM-768.
    pub fn post_quantum() -> Self {
        Self { client_hello: 1800, server_hello: 1210, ..Self::default() }
    }
}

/// Makes sessions of both sides. Client and server need not be made from the same seed: each session mixes the two
/// randoms that went over the wire.
#[derive(Debug)]
pub struct SeededTls {
    pub(crate) config: TlsConfig,
    seed: u64,
    made: AtomicU64,
}

/// How [`SeededTls`] behaves.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Application protocols, preferred first. A server that finds none of the client's closes with alert 120. Default
    /// `sim`.
    pub alpn: Vec<Vec<u8>>,
    /// Names in the server's certificate; empty: it fits every name. A client that asked for another closes with
    /// alert 42.
    pub names: Vec<String>,
    /// Suite of a server. Default AES-128-GCM.
    pub suite: Suite,
    /// Tickets a server sends after the handshake. Default 2.
    pub tickets: usize,
    /// Message sizes.
    pub sizes: Sizes,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            alpn: vec![b"sim".to_vec()],
            names: Vec::new(),
            suite: Suite::Aes128Gcm,
            tickets: 2,
            sizes: Sizes::default(),
        }
    }
}

impl SeededTls {
    /// Sessions that draw their randoms from `seed`.
    pub fn new(seed: u64, config: TlsConfig) -> Self {
        Self { config, seed, made: AtomicU64::new(0) }
    }

    /// The random of the next session.
    fn random(&self) -> [u8; 32] {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let mut source = Random::new(crate::entropy::derive(self.seed, made));
        let mut random = [0; 32];
        for chunk in random.chunks_mut(8) {
            chunk.copy_from_slice(&source.next().to_le_bytes());
        }
        random
    }
}

impl ClientTls for SeededTls {
    fn start(&self, version: Version, name: &str, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        if name.is_empty() || name.len() > 253 {
            return Err(StartError(format!("{} bytes are no server name", name.len())));
        }
        let mut session = state::Seeded::new(Side::Client, version, &self.config, self.random(), params);
        session.hello(name);
        Ok(Box::new(session))
    }
}

impl ServerTls for SeededTls {
    fn start(&self, version: Version, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        Ok(Box::new(state::Seeded::new(Side::Server, version, &self.config, self.random(), params)))
    }
}
