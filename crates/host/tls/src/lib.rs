//! TLS 1.3 for the core: rustls behind [`tq_quic::handshake::Session`], aws-lc-rs behind [`tq_crypto::Crypto`].
//!
//! This crate decides who is believed (roots, pinned raw keys, client keys) and which identity answers a ClientHello;
//! one endpoint serves X.509 and RFC 7250 raw keys side by side. It never sees a packet, a socket or a timer, and
//! writes secrets to a key log only when a configuration asks for it.
#![forbid(unsafe_code)]

mod after;
mod awslc;
mod client;
mod error;
mod identity;
mod keys;
pub mod peek;
mod pem;
mod pool;
mod records;
mod secrets;
#[cfg(any(test, feature = "self-signed"))]
mod self_signed;
mod server;
mod session;
mod sha256;
mod tickets;
mod verify;

pub use awslc::AwsLc;
pub use client::ClientConfig;
pub use error::{ConfigError, LoadError};
pub use identity::{CertificateIdentity, Fingerprint, RawIdentity, ed25519_spki};
pub use peek::ClientHello;
pub use pem::Roots;
pub use pool::RandomPool;
#[cfg(any(test, feature = "self-signed"))]
pub use self_signed::self_signed;
pub use server::{ClientAuth, Server, ServerConfig, choose_by};
pub use verify::Allowed;

#[cfg(test)]
mod tests;
