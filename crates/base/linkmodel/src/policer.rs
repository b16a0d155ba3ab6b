//! Token buckets, one for each flow.
//!
//! Decides which packets conform; never delays one. Levels are kept in byte-nanoseconds, so nothing is rounded.

use tq_buf::mem::BTreeMap;
use tq_time::Instant;

use crate::config::Policer;

#[cfg(test)]
mod tests;

/// Flows told apart.
const MOST_FLOWS: usize = 4096;
const SECOND: u128 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    config: Policer,
    flows: BTreeMap<u64, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u128,
    at: Instant,
}

impl Buckets {
    pub(crate) const fn new(config: Policer) -> Self {
        Self { config, flows: BTreeMap::new() }
    }

    /// Whether a packet of `flow` passes; if so its tokens are spent.
    pub(crate) fn admit(&mut self, now: Instant, flow: u64, len: u32) -> bool {
        let full = u128::from(self.config.burst) * SECOND;
        if self.flows.len() >= MOST_FLOWS && !self.flows.contains_key(&flow) {
            self.forget_oldest();
        }
        let bucket = self.flows.entry(flow).or_insert(Bucket { level: full, at: now });
        let earned = u128::from((now - bucket.at).as_nanos() as u64) * u128::from(self.config.rate);
        bucket.level = bucket.level.saturating_add(earned).min(full);
        bucket.at = bucket.at.max(now);
        let cost = u128::from(len) * SECOND;
        let conforms = cost <= bucket.level;
        if conforms {
            bucket.level -= cost;
        }
        conforms
    }

    fn forget_oldest(&mut self) {
        if let Some((&flow, _)) = self.flows.iter().min_by_key(|(_, bucket)| bucket.at) {
            self.flows.remove(&flow);
        }
    }
}
