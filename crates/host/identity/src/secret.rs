//! The 32 bytes in a token, and what is derived from them: a key to prove oneself with once, and the name to ask for.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use tq_tls::RawIdentity;

use crate::text::base32;

/// Bytes of the HMAC that become the name.
const SNI_BYTES: usize = 16;

/// A token's secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) [u8; 32]);

struct Len;

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        32
    }
}

impl Secret {
    /// A new one from the system's randomness.
    ///
    /// # Panics
    /// The system has no randomness; nothing here could go on then.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
        Self(bytes)
    }

    /// These bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn into_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The Ed25519 key a device joins with: HKDF-SHA256 of the secret.
    ///
    /// # Panics
    /// Never: 32 bytes are within what HKDF gives.
    pub fn join_key(&self) -> RawIdentity {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tquic token 1");
        let prk = salt.extract(&self.0);
        let mut seed = [0; 32];
        let okm = prk.expand(&[b"device key"], Len).expect("32 bytes are few enough");
        okm.fill(&mut seed).expect("the length is the one asked for");
        RawIdentity::from_seed(seed)
    }

    /// The server name a device asks for: opaque to everybody who does not hold the secret.
    pub fn server_name(&self) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, b"sni");
        format!("{}.tq", base32(&tag.as_ref()[..SNI_BYTES]))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
