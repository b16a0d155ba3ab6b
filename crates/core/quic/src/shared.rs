//! What all connections of an endpoint share: primitives, randomness, keys, how connection ids look.

use tq_buf::mem::{Arc, Box, Vec};
use tq_crypto::{Crypto, Entropy, PacketKey, Suite};
use tq_wire::{Cid, ResetToken, Version};

use crate::config::EndpointConfig;
use crate::stream::WindowBudget;

pub(crate) struct Shared {
    pub(crate) crypto: Arc<dyn Crypto>,
    pub(crate) entropy: Arc<dyn Entropy>,
    reset_key: [u8; 32],
    /// Seals tokens; its IV is zero.
    pub(crate) token_key: Box<dyn PacketKey>,
    pub(crate) cid_len: usize,
    worker: Option<u8>,
    pub(crate) versions: Vec<Version>,
    pub(crate) window_budget: Arc<WindowBudget>,
}

impl Shared {
    pub(crate) fn new(config: &EndpointConfig, crypto: Arc<dyn Crypto>, entropy: Arc<dyn Entropy>) -> Self {
        let key = |given: Option<[u8; 32]>| {
            given.unwrap_or_else(|| {
                let mut key = [0; 32];
                entropy.fill(&mut key);
                key
            })
        };
        Self {
            reset_key: key(config.reset_key),
            token_key: crypto.packet_key(Suite::Aes256Gcm, &key(config.token_key), [0; 12]),
            cid_len: config.cid_len.clamp(4, Cid::MAX_LEN),
            worker: config.worker,
            versions: config.versions.clone(),
            window_budget: Arc::clone(&config.window_budget),
            crypto,
            entropy,
        }
    }

    /// A connection id nobody can guess; octet 0 names the worker (decision 4).
    // MUST 9000-5.1-1, 9000-5.1-3, 9000-7.2-1, 9000-10.3.2-2, 9000-10.3.2-3, 9000-10.3.2-4, 9000-19.15-2
    pub(crate) fn new_cid(&self) -> Cid {
        let mut bytes = [0; Cid::MAX_LEN];
        let bytes = &mut bytes[..self.cid_len];
        self.entropy.fill(bytes);
        if let Some(worker) = self.worker {
            bytes[0] = worker;
        }
        Cid::new(bytes).unwrap_or(Cid::EMPTY)
    }

    /// Whether an id may be another worker's, who knows its connection.
    // MUST 9000-21.11-2
    pub(crate) fn is_elsewhere(&self, cid: &Cid) -> bool {
        self.worker.is_some_and(|worker| cid.first() != Some(&worker))
    }

    /// The stateless reset token of an id of ours: a keyed hash, so that it survives the connection's state
    /// (RFC 9000 §10.3.2).
    // MUST 9000-10.3.2-1, 9000-10.3.2-5
    pub(crate) fn reset_token(&self, cid: &Cid) -> ResetToken {
        let mac = self.crypto.hmac_sha256(&self.reset_key, cid);
        let mut token = [0; ResetToken::LEN];
        token.copy_from_slice(&mac[..ResetToken::LEN]);
        ResetToken(token)
    }
}
