//! What the emulator itself did to packets, apart from what the links did.
//!
//! Decides what counts as the emulator's fault: packets the kernel dropped before it saw them, packets it could not
//! send, and packets it sent later than the link model said. The model's own counts are beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tq_linkmodel::{Counters, Drop};

use super::watch::Stall;

#[cfg(test)]
mod tests;

/// A histogram of lateness: bucket i counts what was below 2^i µs late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    buckets: [u64; 24],
    /// The latest, ns.
    pub most: u64,
}

impl Lateness {
    /// Takes note of one packet, `late` ns after its time.
    #[inline]
    pub fn add(&mut self, late: u64) {
        let bucket = (u64::BITS - (late / 1000).leading_zeros()) as usize;
        self.buckets[bucket.min(self.buckets.len() - 1)] += 1;
        self.most = self.most.max(late);
    }

    /// Adds another one's counts.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, more)| *sum += more);
        self.most = self.most.max(other.most);
    }

    /// How many were noted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many were later than this many µs, rounded up to a power of two.
    pub fn beyond(&self, micros: u64) -> u64 {
        let first = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets.iter().skip(first.min(self.buckets.len())).sum()
    }

    /// An upper bound of the quantile `q` (0 to 1), in ms.
    pub fn quantile_ms(&self, q: f64) -> f64 {
        let wanted = (self.count() as f64 * q).ceil() as u64;
        let mut sum = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            sum += count;
            if sum >= wanted && sum > 0 {
                return ((1_u64 << i) as f64 / 1e3).min(self.most as f64 / 1e6);
            }
        }
        0.0
    }
}

/// The emulator's own faults in one direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Dropped by the kernel because we did not come to fetch them.
    pub not_fetched: u64,
    /// Longer than a frame may be.
    pub cut: u64,
    /// No room to hold them.
    pub no_room: u64,
    /// Not taken by the kernel when we sent them.
    pub not_sent: u64,
}

impl Faults {
    /// All of them.
    pub const fn sum(&self) -> u64 {
        self.not_fetched + self.cut + self.no_room + self.not_sent
    }
}

/// One direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneBooks {
    /// Packets offered to the link.
    pub offered: u64,
    /// Bytes of IP offered.
    pub offered_bytes: u64,
    /// Packets that arrive.
    pub delivered: u64,
    /// Bytes of IP that arrive.
    pub delivered_bytes: u64,
    /// Packets that became CE.
    pub marked: u64,
    /// Packets that were damaged.
    pub corrupted: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets the link dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// The longest waiting time in its own queue, ns.
    pub longest_wait: u64,
    /// What the emulator did.
    pub faults: Faults,
    /// How late packets were sent.
    pub lateness: Lateness,
}

impl LaneBooks {
    /// With what the model says.
    pub fn model(counters: &Counters) -> Self {
        let dropped = Drop::ALL.iter().map(|reason| (reason.name().to_owned(), counters.dropped(*reason)));
        Self {
            offered: counters.offered,
            offered_bytes: counters.offered_bytes,
            delivered: counters.delivered,
            delivered_bytes: counters.delivered_bytes,
            marked: counters.marked,
            corrupted: counters.corrupted,
            duplicated: counters.duplicated,
            dropped: dropped.filter(|(_, count)| *count > 0).collect(),
            longest_wait: u64::try_from(counters.longest.delay.as_nanos()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// Packets the link dropped.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkBooks {
    /// Its name.
    pub name: String,
    /// From the user to the network.
    pub up: LaneBooks,
    /// From the network to the user.
    pub down: LaneBooks,
}

/// Everything since the last start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The links, in the order of the file.
    pub links: Vec<LinkBooks>,
    /// CPU time of each of the emulator's threads, ns, since it was started.
    pub cpu: Vec<u64>,
    /// Time each of them was ready and had no processor, ns, since it was started.
    pub queued: Vec<u64>,
    /// Why the latest packet of each was late.
    pub stalls: Vec<Stall>,
    /// How often the wall clock stepped.
    pub clock_steps: u64,
}

impl Books {
    /// All directions.
    pub fn lanes(&self) -> impl Iterator<Item = &LaneBooks> {
        self.links.iter().flat_map(|link| [&link.up, &link.down])
    }

    /// Why the latest packet of all was late, if one was.
    pub fn worst(&self) -> Option<Stall> {
        self.stalls.iter().copied().filter(|stall| stall.late > 0).max_by_key(|stall| stall.late)
    }

    /// The lateness of all directions together.
    pub fn lateness(&self) -> Lateness {
        let mut sum = Lateness::default();
        self.lanes().for_each(|lane| sum.merge(&lane.lateness));
        sum
    }
}
