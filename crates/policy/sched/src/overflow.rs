//! When paths that are paid by the byte take what the others cannot carry.
//!
//! A moment in which the others are full is no reason to pay: they are asked first, for a second without a break, and once that is
//! over, what was needed stays for three seconds more, so that it does not come and go with each pause. Decides when; how
//! much and on which of them is the scheduler's, and a path that nothing better is left for is used at once in any case.

use tq_time::{Duration, Instant};

/// How long the others have to be short of room.
const SHORT: Duration = Duration::from_secs(1);
/// How long what was needed stays.
const STAYS: Duration = Duration::from_secs(3);

/// Whether the others were enough lately.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overflow {
    /// Since when something has waited for them all the time.
    since: Option<Instant>,
    /// Until when more is used.
    until: Option<Instant>,
}

impl Overflow {
    /// Something waits that none of the others has room for now.
    pub fn on_short(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now.saturating_since(since) >= SHORT {
            self.until = Some(now + STAYS);
        }
    }

    /// Nothing waits.
    pub fn on_clear(&mut self) {
        self.since = None;
    }

    /// Whether more than the others is to be used.
    pub fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests;
