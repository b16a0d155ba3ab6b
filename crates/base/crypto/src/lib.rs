//! Packet protection without a provider: what a key does, how keys follow from secrets, how a header is masked.
//!
//! The AEADs themselves come from a host through [`Crypto`]; this crate decides nonces' inputs, labels, limits and
//! where the mask goes (RFC 9001 §5, RFC 9369 §3.3, multipath §2.4).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod header_protection;
mod key;
pub mod schedule;
mod suite;

pub use header_protection::{Unprotected, protect, unprotect};
pub use key::{
    Crypto, DirectionalKeys, Entropy, HeaderKey, KeyPair, Keys, OpenFailed, PacketKey, SAMPLE_LEN, Seal,
    TAG_LEN,
};
pub use suite::{Hash, Suite};

#[cfg(test)]
mod tests;
