//! Shares of the paths for people and for the weighted scheduler: what each delivers of what all deliver.
//!
//! In percent, never below 5 for a path in service, so that a path that was slow once is not forgotten. Kept off the
//! data path: worked out every 10 ms at most. It never limits what a path may send; windows and the backlog rule do.

use tq_time::{Duration, Instant};

use crate::math::div;
use crate::view::{MAX_PATHS, PathView};

#[cfg(test)]
mod tests;

/// Least share of a path in service, percent.
const FLOOR: u64 = 5;
/// Age at which shares are worked out again.
const REFRESH: Duration = Duration::from_millis(10);

/// Shares of the paths of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights {
    slots: [(u32, u16); MAX_PATHS],
    len: u8,
    refreshed: Option<Instant>,
}

impl Weights {
    /// Whether [`Weights::refresh`] would do anything.
    pub fn is_due(&self, now: Instant) -> bool {
        self.refreshed.is_none_or(|at| now.saturating_since(at) >= REFRESH)
    }

    /// Works the shares out by measured delivery rates, else by cwnd/srtt. Paths that may carry no data have none.
    pub fn refresh(&mut self, now: Instant, views: &[PathView]) {
        self.refreshed = Some(now);
        let serving = || views.iter().filter(|view| view.tier() == Some(0)).take(MAX_PATHS);
        let sum = serving().fold(0u128, |sum, view| sum + u128::from(view.rate()));
        self.len = 0;
        for view in serving() {
            let share = if sum == 0 { 0 } else { div(u128::from(view.rate()) * 100, sum) };
            self.slots[usize::from(self.len)] = (view.id, share.clamp(FLOOR, 100) as u16);
            self.len += 1;
        }
    }

    /// Share of a path in percent, 5 to 100; `None` if it is not in service.
    pub fn of(&self, id: u32) -> Option<u16> {
        let slots = &self.slots[..usize::from(self.len)];
        slots.iter().find(|(known, _)| *known == id).map(|(_, share)| *share)
    }
}
