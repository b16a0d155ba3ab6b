//! From secrets to keys (RFC 9001 §5.1, §5.2, §5.8, §6.1; RFC 9369 §3.3).

use core::fmt;

use tq_buf::mem::Vec;
use tq_wire::{Cid, PathId, Side, Version, Writer};

use crate::{Crypto, DirectionalKeys, Hash, Keys, Suite, TAG_LEN};

/// What differs between versions.
struct Labels {
    salt: [u8; 20],
    key: &'static str,
    iv: &'static str,
    hp: &'static str,
    update: &'static str,
    retry_key: [u8; 16],
    retry_nonce: [u8; 12],
}

const V1: Labels = Labels {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
        0xbb, 0x7f, 0x0a,
    ],
    key: "quic key",
    iv: "quic iv",
    hp: "quic hp",
    update: "quic ku",
    retry_key: [
        0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e,
    ],
    retry_nonce: [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb],
};

const V2: Labels = Labels {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
        0xbd, 0x2e, 0xd9,
    ],
    key: "quicv2 key",
    iv: "quicv2 iv",
    hp: "quicv2 hp",
    update: "quicv2 ku",
    retry_key: [
        0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92,
    ],
    retry_nonce: [0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a],
};

fn labels(version: Version) -> &'static Labels {
    if version == Version::V2 { &V2 } else { &V1 }
}

/// Longest label of [`expand_label`], `tls13 ` aside: what TLS and QUIC have is no longer.
pub const LONGEST_LABEL: usize = 32;

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1); what of `label` exceeds [`LONGEST_LABEL`] does not count.
pub fn expand_label(crypto: &dyn Crypto, hash: Hash, secret: &[u8], label: &str, out: &mut [u8]) {
    const PREFIX: &[u8] = b"tls13 ";
    let mut room = [0; LONGEST_LABEL + 10];
    let mut info = Writer::new(&mut room);
    info.u16(out.len() as u16);
    let label = &label.as_bytes()[..label.len().min(LONGEST_LABEL)];
    info.u8((PREFIX.len() + label.len()) as u8);
    info.slice(PREFIX);
    info.slice(label);
    info.u8(0);
    let len = info.len();
    crypto.hkdf_expand(hash, secret, &room[..len], out);
}

/// What Initial keys of a version and a connection id are made of. Anybody who sees an Initial can make it.
#[derive(Clone, Copy)]
pub struct InitialSecret {
    version: Version,
    secret: [u8; 32],
}

impl InitialSecret {
    /// `dcid` is the destination of the client's first Initial (or of the one after Retry).
    pub fn new(crypto: &dyn Crypto, version: Version, dcid: &Cid) -> Self {
        Self { version, secret: crypto.hkdf_extract(&labels(version).salt, dcid) }
    }

    /// Keys of what `sender` sends.
    // MUST 9001-5.2-1
    pub fn keys_of(&self, crypto: &dyn Crypto, sender: Side) -> DirectionalKeys {
        let label = if sender.is_client() { "client in" } else { "server in" };
        let mut own = [0; 32];
        expand_label(crypto, Hash::Sha256, &self.secret, label, &mut own);
        let mut hp = [0; 16];
        expand_label(crypto, Hash::Sha256, &own, labels(self.version).hp, &mut hp);
        DirectionalKeys {
            header: crypto.initial_header_key(&hp),
            packet: packet_key(crypto, self.version, Suite::Aes128Gcm, &own),
        }
    }
}

impl fmt::Debug for InitialSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialSecret")
    }
}

/// Keys of Initial packets: `dcid` is the destination of the client's first Initial (or of the one after Retry).
pub fn initial_keys(crypto: &dyn Crypto, version: Version, dcid: &Cid, side: Side) -> Keys {
    let secret = InitialSecret::new(crypto, version, dcid);
    Keys { local: secret.keys_of(crypto, side), remote: secret.keys_of(crypto, !side) }
}

/// Key, IV and header key of a traffic secret.
pub fn directional_keys(
    crypto: &dyn Crypto,
    version: Version,
    suite: Suite,
    secret: &[u8],
) -> DirectionalKeys {
    let mut hp = [0; 32];
    let hp = &mut hp[..suite.key_len()];
    expand_label(crypto, suite.hash(), secret, labels(version).hp, hp);
    DirectionalKeys {
        header: crypto.header_key(suite, hp),
        packet: packet_key(crypto, version, suite, secret),
    }
}

/// The packet key alone, as a key update needs it.
pub fn packet_key(
    crypto: &dyn Crypto,
    version: Version,
    suite: Suite,
    secret: &[u8],
) -> tq_buf::mem::Box<dyn crate::PacketKey> {
    let (mut key, mut iv) = ([0; 32], [0; 12]);
    let key = &mut key[..suite.key_len()];
    expand_label(crypto, suite.hash(), secret, labels(version).key, key);
    expand_label(crypto, suite.hash(), secret, labels(version).iv, &mut iv);
    crypto.packet_key(suite, key, iv)
}

/// The secret of the next key phase, in place.
pub fn update_secret(crypto: &dyn Crypto, version: Version, hash: Hash, secret: &mut [u8]) {
    let mut next = [0; 48];
    let next = &mut next[..hash.len()];
    expand_label(crypto, hash, secret, labels(version).update, next);
    secret.copy_from_slice(next);
}

/// The integrity tag of a Retry packet (given without its tag), for the client whose first Initial went to `odcid`.
pub fn retry_tag(crypto: &dyn Crypto, version: Version, odcid: &Cid, retry: &[u8]) -> [u8; TAG_LEN] {
    let labels = labels(version);
    let mut pseudo = Vec::with_capacity(1 + odcid.len() + retry.len() + TAG_LEN);
    pseudo.push(odcid.len() as u8);
    pseudo.extend_from_slice(odcid);
    pseudo.extend_from_slice(retry);
    let header_len = pseudo.len();
    pseudo.resize(header_len + TAG_LEN, 0);
    let key = crypto.packet_key(Suite::Aes128Gcm, &labels.retry_key, labels.retry_nonce);
    key.seal(PathId::ZERO, 0, header_len, &mut pseudo);
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&pseudo[header_len..]);
    tag
}
