//! SHA-256, HMAC and HKDF over a block function (FIPS 180-4, RFC 2104, RFC 5869), for key schedules.
//!
//! A handshake derives some fifty secrets of one or two blocks each. The usual interfaces hash a key's two pads anew for
//! each of them, and extract again for each expansion of what was extracted; here a key is the two states behind its pads,
//! so that a derivation is two blocks. Decides nothing about what is derived.

use rustls::crypto::hash::{self, HashAlgorithm};
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};
use sha2::block_api::compress256;
use zeroize::Zeroize;

/// Bytes of a digest.
pub(crate) const LEN: usize = 32;
/// Bytes of a block.
const BLOCK: usize = 64;
/// The state of a hash of nothing.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A hash under way.
#[derive(Clone)]
pub(crate) struct Sha256 {
    state: [u32; 8],
    /// Bytes that are no whole block yet.
    rest: [u8; BLOCK],
    /// Bytes so far.
    len: u64,
}

impl Sha256 {
    pub(crate) const fn new() -> Self {
        Self::after_blocks(START, 0)
    }

    const fn after_blocks(state: [u32; 8], blocks: u64) -> Self {
        Self { state, rest: [0; BLOCK], len: blocks * BLOCK as u64 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let used = self.len as usize % BLOCK;
        self.len += bytes.len() as u64;
        if used > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - used));
            self.rest[used..used + now.len()].copy_from_slice(now);
            if used + now.len() < BLOCK {
                return;
            }
            compress256(&mut self.state, &[self.rest]);
            bytes = later;
        }
        let (blocks, rest) = bytes.as_chunks();
        compress256(&mut self.state, blocks);
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    pub(crate) fn finish(mut self) -> [u8; LEN] {
        let used = self.len as usize % BLOCK;
        self.rest[used] = 0x80;
        self.rest[used + 1..].fill(0);
        if used + 1 > BLOCK - 8 {
            compress256(&mut self.state, &[self.rest]);
            self.rest.fill(0);
        }
        self.rest[BLOCK - 8..].copy_from_slice(&(self.len * 8).to_be_bytes());
        compress256(&mut self.state, &[self.rest]);
        let mut out = [0; LEN];
        out.as_chunks_mut()
            .0
            .iter_mut()
            .zip(self.state)
            .for_each(|(word, state)| *word = state.to_be_bytes());
        out
    }
}

impl Drop for Sha256 {
    fn drop(&mut self) {
        self.state.zeroize();
        self.rest.zeroize();
    }
}

/// A key of HMAC, or a pseudorandom key of HKDF: the states of the hash behind its inner and outer pad.
pub(crate) struct Hmac {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Hmac {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            let mut hash = Sha256::new();
            hash.update(key);
            block[..LEN].copy_from_slice(&hash.finish());
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let mut pad = |with: u8| {
            let mut state = START;
            block.iter_mut().for_each(|byte| *byte ^= with);
            compress256(&mut state, &[block]);
            state
        };
        // The second takes the first off again.
        let (inner, outer) = (pad(0x36), pad(0x36 ^ 0x5c));
        block.zeroize();
        Self { inner, outer }
    }

    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; LEN] {
        let mut hash = Sha256::after_blocks(self.inner, 1);
        parts.iter().for_each(|part| hash.update(part));
        self.close(hash)
    }

    fn close(&self, inner: Sha256) -> [u8; LEN] {
        let mut outer = Sha256::after_blocks(self.outer, 1);
        outer.update(&inner.finish());
        outer.finish()
    }

    /// HKDF-Expand of no more than 255 digests.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        let mut last = [0; LEN];
        for (part, count) in out.chunks_mut(LEN).zip(1..=u8::MAX) {
            let mut hash = Sha256::after_blocks(self.inner, 1);
            if count > 1 {
                hash.update(&last);
            }
            info.iter().for_each(|piece| hash.update(piece));
            hash.update(&[count]);
            last = self.close(hash);
            part.copy_from_slice(&last[..part.len()]);
        }
        last.zeroize();
    }
}

impl Drop for Hmac {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// What rustls derives its secrets with.
pub(crate) struct KeySchedule;

impl Hkdf for KeySchedule {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.extract_from_secret(salt, &[0; LEN])
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        // A key shorter than a block is filled up with zeros: no salt is the salt of zeros.
        let mut extracted = Hmac::new(salt.unwrap_or_default()).sign(&[secret]);
        let key = Hmac::new(&extracted);
        extracted.zeroize();
        Box::new(key)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Hmac::new(okm.as_ref()))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Tag::new(&Hmac::new(key.as_ref()).sign(&[message]))
    }
}

impl HkdfExpander for Hmac {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        if output.len() > 255 * LEN {
            return Err(OutputLengthError);
        }
        self.expand(info, output);
        Ok(())
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        let mut out = [0; LEN];
        self.expand(info, &mut out);
        let block = OkmBlock::new(&out);
        out.zeroize();
        block
    }

    fn hash_len(&self) -> usize {
        LEN
    }
}

/// What rustls hashes the messages of a handshake with.
pub(crate) struct Transcript;

impl hash::Hash for Transcript {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Sha256::new())
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        let mut hash = Sha256::new();
        hash.update(data);
        hash::Output::new(&hash.finish())
    }

    fn output_len(&self) -> usize {
        LEN
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

impl hash::Context for Sha256 {
    fn fork_finish(&self) -> hash::Output {
        hash::Output::new(&self.clone().finish())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(self.clone())
    }

    fn finish(self: Box<Self>) -> hash::Output {
        hash::Output::new(&Self::finish(*self))
    }

    fn update(&mut self, data: &[u8]) {
        Self::update(self, data);
    }
}

#[cfg(test)]
mod tests;
