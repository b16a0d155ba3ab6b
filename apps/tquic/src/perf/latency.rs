//! How long things took, in a histogram of fixed size that is exact to one part in 32.
//!
//! The programs in `lab/peers` are built with this very file, so that every stack is measured alike. Adding one costs
//! a few instructions and never memory.

use std::time::Duration;

/// Steps between a power of two and the next.
const STEPS: u64 = 32;
/// Places for all nanoseconds below 2^32; what takes longer counts as that.
const PLACES: usize = (32 - STEPS.ilog2() as usize + 1) * STEPS as usize;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; PLACES] }
    }

    /// Takes note of one.
    pub(crate) fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        self.counts[place(nanos)] += 1;
    }

    /// Takes over what another has.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time, in microseconds, that the share `part` of all did not exceed; 0 of nothing.
    pub(crate) fn quantile_us(&self, part: f64) -> f64 {
        let wanted = (self.count() as f64 * part).ceil() as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            *count > 0 && seen >= wanted
        });
        place.map_or(0.0, |place| middle(place) * 1e-3)
    }
}

/// Where so many nanoseconds are counted.
fn place(nanos: u64) -> usize {
    let shift = (nanos / STEPS).checked_ilog2().unwrap_or(0);
    (u64::from(shift) * STEPS + (nanos >> shift)) as usize
}

/// The middle of what is counted in a place, in nanoseconds.
fn middle(place: usize) -> f64 {
    let place = place as u64;
    let shift = (place / STEPS).saturating_sub(1);
    let first = (place - shift * STEPS) << shift;
    first as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
// Said outright, because others include this file by its path.
#[path = "latency/tests.rs"]
mod tests;
