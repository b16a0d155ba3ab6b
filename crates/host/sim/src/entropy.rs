//! Entropy from a seed, and the numbers a scenario draws. Decides nothing but the next value: the same seed gives the
//! same values in the same order, on every machine, because nothing here computes with floating point. It is no
//! source of secrets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tq_crypto::Entropy;

#[cfg(test)]
mod tests;

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finisher of splitmix64: a bijection in which every bit of the input moves half of the output.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seed for something that is called `label` under `seed`; other labels give unrelated seeds.
pub const fn derive(seed: u64, label: u64) -> u64 {
    mix(mix(seed.wrapping_add(GAMMA)) ^ label.wrapping_mul(GAMMA).wrapping_add(GAMMA))
}

/// What a core draws from: connection ids, challenges, skipped packet numbers.
#[derive(Debug)]
pub struct Seeded(AtomicU64);

impl Seeded {
    /// A source of its own.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(mix(seed.wrapping_add(GAMMA))))
    }

    fn next(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }
}

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What a scenario draws from: sizes, pauses, choices.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A source of its own.
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GAMMA)))
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// A value of a distribution.
    pub fn draw(&mut self, from: &Quantiles) -> u64 {
        from.at(self.below(u64::from(Quantiles::WHOLE)) as u32)
    }

    /// A duration of a distribution given in microseconds.
    pub fn pause(&mut self, from: &Quantiles) -> Duration {
        Duration::from_micros(self.draw(from))
    }
}

/// A distribution as a list of its quantiles: pairs of parts in 100 000 and value, both rising. Between two of them
/// it is straight; below the first and above the last it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantiles(Vec<(u32, u64)>);

impl Quantiles {
    /// Parts of the whole.
    pub const WHOLE: u32 = 100_000;

    /// A distribution through these points, which are put in order. Without any it is always 0.
    pub fn new(points: &[(u32, u64)]) -> Self {
        let mut points = points.to_vec();
        points.sort_unstable();
        Self(points)
    }

    /// Always the same.
    pub fn constant(value: u64) -> Self {
        Self(vec![(0, value)])
    }

    /// The value below which `parts` of 100 000 lie.
    pub fn at(&self, parts: u32) -> u64 {
        let after = self.0.partition_point(|(at, _)| *at <= parts);
        match (after.checked_sub(1).map(|ix| self.0[ix]), self.0.get(after)) {
            (Some((x0, y0)), Some(&(x1, y1))) => {
                let rise = u128::from(y1.saturating_sub(y0)) * u128::from(parts - x0);
                y0 + (rise / u128::from(x1 - x0)) as u64
            }
            (Some((_, y)), None) | (None, Some(&(_, y))) => y,
            (None, None) => 0,
        }
    }
}
