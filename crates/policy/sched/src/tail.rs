//! Whether the end of a finite backlog waited for a slower path: what a scheduler that weighs backlogs learns from.
//!
//! It is shown when data of each path arrived, and notices when nothing is outstanding any more. It decides nothing, and says
//! nothing of transfers without an end. Times are the peer's, up to an offset common to all paths.

use crate::math::MS;
use crate::memory::Memory;

#[cfg(test)]
mod tests;

/// So much later, or a tenth of the difference of the one-way delays, and it was waited for.
const LATE: u64 = 2 * MS;

/// The end of what is being sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    /// When each path's data last arrived since nothing was outstanding, ns.
    arrived: Memory,
    waits: bool,
}

impl Tail {
    /// Nothing is outstanding.
    pub fn new() -> Self {
        Self::default()
    }

    /// Data on path `id`, which takes `longer` ns than the fastest one (0: it is that), arrived at `at`, and `outstanding`
    /// bytes of all paths were not acknowledged then. Answers whether everything waited for this path.
    pub fn on_arrived(&mut self, id: u32, longer: u64, at: i64, outstanding: u64) -> bool {
        let before = self.arrived.of(id, at);
        self.arrived.set(id, before.max(at));
        let ended = outstanding == 0;
        if !ended {
            self.waits = true;
            return false;
        }
        let waited = core::mem::take(&mut self.waits);
        let arrived = core::mem::take(&mut self.arrived);
        let others = arrived.entries().iter().filter(|(other, _)| *other != id).map(|(_, at)| *at).max();
        let late = others.and_then(|others| u64::try_from(at.saturating_sub(others)).ok());
        waited && longer > 0 && late.is_some_and(|late| late > LATE.max(longer / 10))
    }

    /// A path is gone.
    pub fn forget(&mut self, id: u32) {
        self.arrived.forget(id);
    }
}
