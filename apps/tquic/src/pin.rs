//! A server's raw public key as people copy it: `ed25519:` and 64 hex digits.

use std::fmt;
use std::str::FromStr;

use tq::tls::{RawIdentity, ed25519_spki};

const PREFIX: &str = "ed25519:";

/// An Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin([u8; 32]);

impl Pin {
    /// The key of this identity.
    pub(crate) fn of(identity: &RawIdentity) -> Self {
        Self(identity.public_key())
    }

    /// As TLS compares it.
    pub(crate) fn spki(&self) -> Vec<u8> {
        ed25519_spki(&self.0)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected {PREFIX} and 64 hex digits, as the server prints it");
        let digits = text.strip_prefix(PREFIX).ok_or_else(form)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(form());
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| form())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| form())?;
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests;
