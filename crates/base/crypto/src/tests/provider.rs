//! Primitives for the tests, straight from aws-lc-rs. Hosts have their own; this one is as short as can be.

use std::boxed::Box;
use std::vec::Vec;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use aws_lc_rs::{hkdf, hmac};
use tq_wire::PathId;

use crate::{Crypto, Hash, HeaderKey, OpenFailed, PacketKey, SAMPLE_LEN, Suite, TAG_LEN};

pub(super) struct Provider;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Crypto for Provider {
    fn hkdf_extract(&self, salt: &[u8], ikm: &[u8]) -> [u8; 32] {
        self.hmac_sha256(salt, ikm)
    }

    fn hkdf_expand(&self, hash: Hash, prk: &[u8], info: &[u8], out: &mut [u8]) {
        let hash = if hash == Hash::Sha256 { hkdf::HKDF_SHA256 } else { hkdf::HKDF_SHA384 };
        let prk = hkdf::Prk::new_less_safe(hash, prk);
        prk.expand(&[info], Length(out.len())).unwrap().fill(out).unwrap();
    }

    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, data).as_ref().try_into().unwrap()
    }

    fn packet_key(&self, suite: Suite, key: &[u8], iv: [u8; 12]) -> Box<dyn PacketKey> {
        let algorithm = match suite {
            Suite::Aes128Gcm => &aead::AES_128_GCM,
            Suite::Aes256Gcm => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        Box::new(Key(LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap()), iv))
    }

    fn header_key(&self, suite: Suite, key: &[u8]) -> Box<dyn HeaderKey> {
        let algorithm = match suite {
            Suite::Aes128Gcm => &quic::AES_128,
            Suite::Aes256Gcm => &quic::AES_256,
            Suite::ChaCha20Poly1305 => &quic::CHACHA20,
        };
        Box::new(Mask(quic::HeaderProtectionKey::new(algorithm, key).unwrap()))
    }
}

/// IV xor (path, packet number).
pub(super) fn nonce(iv: [u8; 12], path: PathId, pn: u64) -> [u8; 12] {
    let input = [&path.0.to_be_bytes()[..], &pn.to_be_bytes()].concat();
    let nonce: Vec<u8> = iv.iter().zip(input).map(|(a, b)| a ^ b).collect();
    nonce.try_into().unwrap()
}

struct Key(LessSafeKey, [u8; 12]);

impl PacketKey for Key {
    fn seal(&self, path: PathId, pn: u64, header_len: usize, packet: &mut [u8]) {
        let nonce = Nonce::assume_unique_for_key(nonce(self.1, path, pn));
        let (header, payload) = packet.split_at_mut(header_len);
        let (plain, room) = payload.split_at_mut(payload.len() - TAG_LEN);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(&*header), plain).unwrap();
        room.copy_from_slice(tag.as_ref());
    }

    fn open(&self, path: PathId, pn: u64, header: &[u8], payload: &mut [u8]) -> Result<usize, OpenFailed> {
        let nonce = Nonce::assume_unique_for_key(nonce(self.1, path, pn));
        let plain = self.0.open_in_place(nonce, Aad::from(header), payload);
        plain.map(|plain| plain.len()).map_err(|_| OpenFailed)
    }
}

struct Mask(quic::HeaderProtectionKey);

impl HeaderKey for Mask {
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        self.0.new_mask(sample).unwrap()
    }
}
