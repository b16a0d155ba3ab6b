//! Impairments drawn per packet: jitter and burst loss.
//!
//! Integers only, so that every machine draws the same.

use tq_time::Duration;

use crate::rng::{MILLION, Rng};

#[cfg(test)]
mod tests;

/// Random time on top of the delay, never below zero: the delay is the least a packet takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Anything from 0 to this, evenly; mean ½ of it.
    Uniform(Duration),
    /// A bell from 0 to just below this: the sum of four even draws; mean ½ of it, standard deviation 1/√48 = 0.144 of it.
    Bell(Duration),
}

impl Jitter {
    /// Always zero.
    pub const NONE: Self = Self::Uniform(Duration::ZERO);

    /// The longest it can be, in nanoseconds.
    pub(crate) fn most(self) -> u64 {
        let (Self::Uniform(most) | Self::Bell(most)) = self;
        u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds for one packet.
    #[inline]
    pub(crate) fn draw(self, rng: &mut Rng) -> u64 {
        match (self, self.most()) {
            (_, 0) => 0,
            (Self::Uniform(_), most) => rng.up_to(most),
            (Self::Bell(_), most) => {
                let (a, b) = (rng.next(), rng.next());
                let sum = (a >> 32) + (a & 0xffff_ffff) + (b >> 32) + (b & 0xffff_ffff);
                // The sum is at most 4 (2^32 - 1), just below 2^34.
                ((u128::from(most) * u128::from(sum)) >> 34) as u64
            }
        }
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::NONE
    }
}

/// Loss in bursts: a good and a bad state, each with a loss of its own, and a step between packets (Gilbert 1960,
/// Elliott 1963). All figures in parts per million. It starts good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GilbertElliott {
    /// p: from good to bad, per packet.
    pub to_bad_ppm: u32,
    /// r: from bad to good, per packet. A bad stretch lasts 1/r packets on average.
    pub to_good_ppm: u32,
    /// Loss in the good state.
    pub loss_good_ppm: u32,
    /// Loss in the bad state.
    pub loss_bad_ppm: u32,
}

impl GilbertElliott {
    /// The loss in the long run: (r · good + p · bad) / (p + r), in parts per million. The good state's if it is
    /// never left.
    pub fn long_run_ppm(&self) -> u32 {
        let cut = |ppm: u32| u64::from(ppm.min(MILLION));
        let (p, r) = (cut(self.to_bad_ppm), cut(self.to_good_ppm));
        let (good, bad) = (cut(self.loss_good_ppm), cut(self.loss_bad_ppm));
        (r * good + p * bad).checked_div(p + r).unwrap_or(good) as u32
    }
}

/// The state of a [`GilbertElliott`] channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    config: GilbertElliott,
    bad: bool,
}

impl Channel {
    pub(crate) const fn new(config: GilbertElliott) -> Self {
        Self { config, bad: false }
    }

    /// Whether the next packet is lost.
    pub(crate) fn loses(&mut self, rng: &mut Rng) -> bool {
        let (loss, turn) = match self.bad {
            false => (self.config.loss_good_ppm, self.config.to_bad_ppm),
            true => (self.config.loss_bad_ppm, self.config.to_good_ppm),
        };
        let lost = rng.chance(loss);
        self.bad ^= rng.chance(turn);
        lost
    }
}
