//! CoDel (RFC 8289) over packets whose moment at the head of the queue is known in advance.
//!
//! Decides which packet goes; never touches the queue.

use tq_time::{Duration, Instant};

use crate::config::CoDel;

#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
pub(crate) struct Control {
    config: CoDel,
    /// When the waiting time will have been too long for an interval.
    above_until: Option<Instant>,
    dropping: bool,
    next: Instant,
    count: u64,
    last_count: u64,
}

impl Control {
    pub(crate) const fn new(config: CoDel) -> Self {
        Self { config, above_until: None, dropping: false, next: Instant::ZERO, count: 0, last_count: 0 }
    }

    /// Whether ECN-capable packets are marked instead.
    pub(crate) const fn marks(&self) -> bool {
        self.config.ecn
    }

    /// Whether the packet that reaches the head of the queue at `now` after `waited` should go. Called in the
    /// order of the queue.
    pub(crate) fn strikes(&mut self, now: Instant, waited: Duration) -> bool {
        let too_long = self.too_long(now, waited);
        if self.dropping {
            if !too_long {
                self.dropping = false;
            } else if now >= self.next {
                self.count += 1;
                self.next += self.gap();
                return true;
            }
            return false;
        }
        if !too_long {
            return false;
        }
        self.dropping = true;
        // Resume near the last rate of dropping if that was not long ago (RFC 8289 §5).
        let grown = self.count.saturating_sub(self.last_count);
        let recent = now - self.next < self.config.interval.saturating_mul(16);
        self.count = if grown > 1 && recent { grown } else { 1 };
        self.last_count = self.count;
        self.next = now + self.gap();
        true
    }

    fn too_long(&mut self, now: Instant, waited: Duration) -> bool {
        if waited < self.config.target {
            self.above_until = None;
            return false;
        }
        now >= *self.above_until.get_or_insert(now + self.config.interval)
    }

    /// The interval over the square root of the count.
    fn gap(&self) -> Duration {
        let interval = u64::try_from(self.config.interval.as_nanos()).unwrap_or(u64::MAX);
        let root = (u128::from(self.count) << 32).isqrt().max(1);
        Duration::from_nanos(((u128::from(interval) << 16) / root) as u64)
    }
}
