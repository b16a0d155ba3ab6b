//! Numbers that look random and are the same every time.
//!
//! SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014): eight bytes of
//! state, so each use has a stream of its own and turning one impairment on leaves the others' draws alone.
//! Never for secrets.

#[cfg(test)]
mod tests;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Probabilities are in parts per million.
pub(crate) const MILLION: u32 = 1_000_000;
const PER_MILLION: u64 = u64::MAX / MILLION as u64;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream `stream` of `seed`; streams of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut root = Self(seed);
        let mut branch = Self(root.next() ^ stream.wrapping_mul(GOLDEN));
        Self(branch.next())
    }

    /// 64 even bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `most`, both included.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        ((u128::from(self.next()) * (u128::from(most) + 1)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` if the range is upside down.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.up_to(high.saturating_sub(low))
    }

    /// True in `ppm` of a million cases. Never and always draw nothing.
    pub(crate) fn chance(&mut self, ppm: u32) -> bool {
        match ppm {
            0 => false,
            MILLION.. => true,
            _ => self.next() < u64::from(ppm) * PER_MILLION,
        }
    }
}
