//! Packet keys, header keys, HKDF, HMAC and randomness on aws-lc-rs; what is SHA-256, on `sha256`.
//!
//! Used for Initial and Retry packets, tokens and by sessions that bring their own secrets; 1-RTT keys of a TLS
//! handshake come from rustls and are wrapped in `keys`.

use aws_lc_rs::aead::quic::{self, HeaderProtectionKey};
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};
use tq_crypto::{Crypto, Entropy, Hash, HeaderKey, OpenFailed, PacketKey, SAMPLE_LEN, Suite, TAG_LEN};
use tq_wire::PathId;

use crate::sha256::Hmac;

/// The provider; has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

/// An output length, in the shape aws-lc-rs wants it.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Crypto for AwsLc {
    fn hkdf_extract(&self, salt: &[u8], ikm: &[u8]) -> [u8; 32] {
        // HKDF-Extract is HMAC with the salt as key (RFC 5869 §2.2)
        self.hmac_sha256(salt, ikm)
    }

    fn hkdf_expand(&self, hash: Hash, prk: &[u8], info: &[u8], out: &mut [u8]) {
        if hash == Hash::Sha256 {
            return Hmac::new(prk).expand(&[info], out);
        }
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA384, prk)
            .expand(&[info], Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("the trait allows at most 255 hashes of output");
    }

    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        Hmac::new(key).sign(&[data])
    }

    fn packet_key(&self, suite: Suite, key: &[u8], iv: [u8; 12]) -> Box<dyn PacketKey> {
        let algorithm = match suite {
            Suite::Aes128Gcm => &aead::AES_128_GCM,
            Suite::Aes256Gcm => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).expect("the trait asks for a key of the suite's length");
        Box::new(AwsPacketKey { key: LessSafeKey::new(key), iv })
    }

    fn header_key(&self, suite: Suite, key: &[u8]) -> Box<dyn HeaderKey> {
        let algorithm = match suite {
            Suite::Aes128Gcm => &quic::AES_128,
            Suite::Aes256Gcm => &quic::AES_256,
            Suite::ChaCha20Poly1305 => &quic::CHACHA20,
        };
        let key = HeaderProtectionKey::new(algorithm, key);
        Box::new(AwsHeaderKey(key.expect("the trait asks for a key of the suite's length")))
    }

    fn initial_header_key(&self, key: &[u8; 16]) -> Box<dyn HeaderKey> {
        Box::new(RawHeaderKey(*key))
    }
}

impl Entropy for AwsLc {
    fn fill(&self, out: &mut [u8]) {
        rand::fill(out).expect("the system has a random device");
    }
}

struct AwsPacketKey {
    key: LessSafeKey,
    iv: [u8; 12],
}

/// IV xor (path id, packet number), both big endian (multipath §2.4).
#[inline]
fn nonce(iv: [u8; 12], path: PathId, pn: u64) -> [u8; 12] {
    let mut nonce = iv;
    let input = path.0.to_be_bytes().into_iter().chain(pn.to_be_bytes());
    nonce.iter_mut().zip(input).for_each(|(byte, input)| *byte ^= input);
    nonce
}

impl AwsPacketKey {
    #[inline]
    fn nonce(&self, path: PathId, pn: u64) -> Nonce {
        Nonce::assume_unique_for_key(nonce(self.iv, path, pn))
    }
}

impl PacketKey for AwsPacketKey {
    #[inline]
    fn seal(&self, path: PathId, pn: u64, header_len: usize, packet: &mut [u8]) {
        let (header, payload) = packet.split_at_mut(header_len);
        let (plain, room) = payload.split_at_mut(payload.len() - TAG_LEN);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(path, pn), Aad::from(&*header), plain)
            .expect("a packet is far below the AEAD's length limit");
        room.copy_from_slice(tag.as_ref());
    }

    #[inline]
    fn open(&self, path: PathId, pn: u64, header: &[u8], payload: &mut [u8]) -> Result<usize, OpenFailed> {
        match self.key.open_in_place(self.nonce(path, pn), Aad::from(header), payload) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => Err(OpenFailed),
        }
    }
}

struct AwsHeaderKey(HeaderProtectionKey);

impl HeaderKey for AwsHeaderKey {
    #[inline]
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        self.0.new_mask(sample).expect("the sample has the length all suites want")
    }
}

/// The library's form of a key has half a KiB; this one makes it for each mask.
struct RawHeaderKey([u8; 16]);

impl HeaderKey for RawHeaderKey {
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        let key = HeaderProtectionKey::new(&quic::AES_128, &self.0).expect("16 bytes are an AES-128 key");
        key.new_mask(sample).expect("the sample has the length all suites want")
    }
}

#[cfg(test)]
mod tests;
