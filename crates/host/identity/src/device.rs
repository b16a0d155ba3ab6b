//! What a router remembers of its bond: where the server is, which key it pins, and the key it made for itself.
//!
//! Written before the key is offered to the server, so that a crash in the middle of joining leaves one of two keys that work:
//! the token's or its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tq_tls::{Fingerprint, RawIdentity};

use crate::files::{read_secret, write_secret};
use crate::{FileError, Name, Secret, Token};

/// A router's state, in a file that only its owner may read.
#[derive(Clone)]
pub struct DeviceFile {
    file: PathBuf,
    held: Held,
    /// The token's key, while it may be needed.
    join: Option<RawIdentity>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Held {
    /// Of the token it came from.
    token: String,
    addresses: Vec<IpAddr>,
    port: u16,
    server_key: [u8; 32],
    server_name: String,
    tenant: Name,
    device: Name,
    seed: [u8; 32],
    joined: bool,
}

impl DeviceFile {
    /// The state that belongs to `token`: what the file holds if it is this token's, else a new one, which is written.
    /// Without a token, what the file holds.
    ///
    /// # Errors
    /// The file can neither be read nor written, others may read it, or it holds something else.
    pub fn open(file: &Path, token: Option<&Token>) -> Result<Self, FileError> {
        let held = match read_secret(file) {
            Ok(text) => serde_json::from_str::<Held>(&text).map(Some).map_err(|error| {
                FileError::Contents { file: file.into(), why: format!("no state of a router: {error}") }
            })?,
            Err(FileError::Io { cause, .. })
                if token.is_some() && cause.kind() == std::io::ErrorKind::NotFound =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let of = token.map(|token| Fingerprint::of(token.to_string().as_bytes()).to_string());
        let join = token.map(|token| token.secret.join_key());
        match (held, token) {
            (Some(held), _) if of.as_ref().is_none_or(|of| held.token == *of) => {
                Ok(Self { file: file.into(), join: join.filter(|_| !held.joined), held })
            }
            (_, Some(token)) => {
                let held = Held::new(token, of.unwrap_or_default());
                let this = Self { file: file.into(), held, join };
                this.save()?;
                Ok(this)
            }
            // Read without a token it is always the one there is.
            (_, None) => Err(FileError::Contents { file: file.into(), why: "no state of a router".into() }),
        }
    }

    /// Where the server is.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.held.addresses
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.held.port
    }

    /// Its Ed25519 public key.
    pub fn server_key(&self) -> &[u8; 32] {
        &self.held.server_key
    }

    /// The name to ask it for.
    pub fn server_name(&self) -> &str {
        &self.held.server_name
    }

    /// Whose device this is, and which.
    pub fn names(&self) -> (&Name, &Name) {
        (&self.held.tenant, &self.held.device)
    }

    /// The key made here.
    pub fn own_key(&self) -> RawIdentity {
        RawIdentity::from_seed(self.held.seed)
    }

    /// The token's key, until the server has taken ours.
    pub fn join_key(&self) -> Option<&RawIdentity> {
        self.join.as_ref()
    }

    /// Whether the server is known to have taken our key.
    pub fn is_joined(&self) -> bool {
        self.held.joined
    }

    /// The server has taken our key.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_joined(&mut self) -> Result<(), FileError> {
        if !self.held.joined {
            self.held.joined = true;
            self.save()?;
            self.join = None;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), FileError> {
        let text = serde_json::to_string(&self.held)
            .map_err(|error| FileError::Contents { file: self.file.clone(), why: error.to_string() })?;
        write_secret(&self.file, &text)
    }
}

impl Held {
    fn new(token: &Token, of: String) -> Self {
        Self {
            token: of,
            addresses: token.addresses.clone(),
            port: token.port,
            server_key: token.server_key,
            server_name: token.secret.server_name(),
            tenant: token.tenant.clone(),
            device: token.device.clone(),
            seed: Secret::generate().0,
            joined: false,
        }
    }
}

impl std::fmt::Debug for DeviceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceFile({}/{}, joined: {})", self.held.tenant, self.held.device, self.held.joined)
    }
}

#[cfg(test)]
mod tests;
