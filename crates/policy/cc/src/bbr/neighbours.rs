//! Paths of one connection take turns: while one probes for more, or drains its queue to see the least round trip, the
//! others wait with the same. So their sum stays even, and what one probe does to another path can be seen. None waits for
//! longer than a second, and it never makes a path probe.

use tq_time::{Duration, Instant};

use super::{Bbr, State};
use crate::controller::Probing;

/// Longest wait for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the others do, and since when this path waits for them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Neighbours {
    probing: Probing,
    more_due: Option<Instant>,
    least_due: Option<Instant>,
}

impl Neighbours {
    /// Whether a probe for more that is due may begin.
    pub(super) fn let_up(&mut self, now: Instant) -> bool {
        is_over(self.probing.more, &mut self.more_due, now)
    }

    /// Whether a look for the least round trip waits.
    pub(super) fn rest_is_due(&self) -> bool {
        self.least_due.is_some()
    }

    /// Whether a look for the least round trip that is due may begin.
    pub(super) fn let_rest(&mut self, now: Instant) -> bool {
        is_over(self.probing.least, &mut self.least_due, now)
    }
}

/// Whether a wait that began at `due`, or begins now, is over: nobody is `busy` or it lasts too long.
fn is_over(busy: bool, due: &mut Option<Instant>, now: Instant) -> bool {
    let since = *due.get_or_insert(now);
    let over = !busy || now.saturating_since(since) >= PATIENCE;
    if over {
        *due = None;
    }
    over
}

impl Bbr {
    /// What others had better not do now.
    pub(crate) fn probing(&self) -> Probing {
        Probing {
            more: matches!(self.state, State::Refill | State::Up),
            least: self.state == State::ProbeRtt,
        }
    }

    /// What others do.
    pub(crate) fn on_neighbours(&mut self, probing: Probing) {
        self.neighbours.probing = probing;
    }
}
