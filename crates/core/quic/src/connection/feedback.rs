//! What the scheduler hears of its decisions: whether what it gave to a slower path held everything up, and that round trips went
//! by without. It decides nothing; [`tq_sched::Scheduler::on_feedback`] does.

use tq_sched::Feedback;
use tq_time::Instant;
use tq_wire::PathId;

use super::Connection;
use super::ways::{Ways, nanos};

impl Connection {
    /// Data of path `ix` was acknowledged by a frame on path `on`; `round`: and a round trip of it is over.
    pub(super) fn tell_scheduler(&mut self, now: Instant, ix: usize, on: PathId, round: bool) {
        if !self.scheduler.kind().learns() {
            return;
        }
        let id = self.paths[ix].id;
        let outstanding = self.streams.unacked_bytes();
        let usable = self.paths.iter().filter(|path| path.state.is_usable()).map(|path| path.id);
        let Some(ways) = &mut self.multipath.ways else { return };
        let Some(least) = usable.filter_map(|path| ways.base_delay(path)).min() else { return };
        let Some(longer) = ways.base_delay(id).and_then(|own| u64::try_from(own - least).ok()) else {
            return;
        };
        let Some(back) = way_back(ways, on) else { return };
        let arrived = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX).saturating_sub(back);
        if ways.tail.on_arrived(id.0, longer, arrived, outstanding) {
            self.scheduler.on_feedback(Feedback::Blocked(id.0));
        } else if round && longer > 0 {
            self.scheduler.on_feedback(Feedback::Round(id.0));
        }
    }
}

/// How long an acknowledgement on path `on` took, ns, up to the offset of [`Ways::base_delay`].
fn way_back(ways: &Ways, on: PathId) -> Option<i64> {
    let there_and_back = i64::try_from(nanos(ways.own(on)?.min())).ok()?;
    Some(there_and_back - ways.base_delay(on)?)
}
