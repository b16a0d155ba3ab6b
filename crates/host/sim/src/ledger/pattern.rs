//! The content of flows: eight bytes at a time from a bijection of their offset, so that any eight tell where they
//! belong. Cheap enough to make and to check every byte of a fast transfer.

use crate::entropy::derive;

/// The content of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    key: u64,
}

/// Odd, so that multiplication can be undone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut i = 0;
    while i < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        i += 1;
    }
    x
}

impl Pattern {
    /// Of `flow` under `seed`.
    pub const fn new(seed: u64, flow: u64) -> Self {
        Self { key: derive(seed, flow) }
    }

    /// Bytes `8 * block` and the seven after it.
    #[inline]
    const fn word(self, block: u64) -> [u8; 8] {
        let z = (block ^ self.key).wrapping_mul(FACTOR);
        (z ^ (z >> 32)).to_le_bytes()
    }

    /// The block a word belongs to.
    const fn block(self, word: [u8; 8]) -> u64 {
        let z = u64::from_le_bytes(word);
        (z ^ (z >> 32)).wrapping_mul(inverse(FACTOR)) ^ self.key
    }

    fn byte(self, offset: u64) -> u8 {
        self.word(offset / 8)[(offset % 8) as usize]
    }

    /// Writes the content from `offset` on.
    pub fn fill(self, offset: u64, out: &mut [u8]) {
        let lead = (((8 - offset % 8) % 8) as usize).min(out.len());
        let (lead, body) = out.split_at_mut(lead);
        for (at, byte) in (offset..).zip(&mut *lead) {
            *byte = self.byte(at);
        }
        let start = offset + lead.len() as u64;
        let (words, tail) = body.as_chunks_mut::<8>();
        for (block, word) in (start / 8..).zip(&mut *words) {
            *word = self.word(block);
        }
        let rest = start + 8 * words.len() as u64;
        for (at, byte) in (rest..).zip(tail) {
            *byte = self.byte(at);
        }
    }

    /// Place of the first of `bytes` that is not what belongs at `offset` and after it.
    pub fn check(self, offset: u64, bytes: &[u8]) -> Option<usize> {
        let lead = (((8 - offset % 8) % 8) as usize).min(bytes.len());
        let (head, body) = bytes.split_at(lead);
        let start = offset + lead as u64;
        let (words, tail) = body.as_chunks::<8>();
        let right =
            (start / 8..).zip(words).fold(true, |right, (block, word)| right & (self.word(block) == *word));
        let rest = start + 8 * words.len() as u64;
        let same = |from: u64, bytes: &[u8]| (from..).zip(bytes).all(|(at, byte)| self.byte(at) == *byte);
        if right && same(offset, head) && same(rest, tail) {
            return None;
        }
        (offset..).zip(bytes).position(|(at, byte)| self.byte(at) != *byte)
    }

    /// Where in the flow `bytes` belong, if two of its words in a row say so. Needs up to 23 bytes.
    pub fn locate(self, bytes: &[u8]) -> Option<u64> {
        (0..8).find_map(|skip| {
            let (words, _) = bytes.get(skip..)?.as_chunks::<8>();
            let [first, second, ..] = words else { return None };
            let block = self.block(*first);
            let follows = self.block(*second) == block.wrapping_add(1) && block < 1 << 60;
            follows.then(|| (8 * block).checked_sub(skip as u64)).flatten()
        })
    }
}
