//! Which paths share a bottleneck: what [`tq_sched::Groups`] is shown of them, the rests it asks for, and who is told.
//!
//! Off the way of packets: paths are looked at when books are kept, and a rest is nothing but a departure that is later. It
//! never decides what a group means; schedulers, the guard and people read [`Path::group`].

use smallvec::SmallVec;
use tq_event::PathGrouped;
use tq_sched::{CapacityState, Flow, Health, MAX_PATHS, Sought};
use tq_time::Instant;

use super::ways::nanos;
use super::{Connection, PathEvent};
use crate::path::{Path, PathState};

impl Connection {
    /// Shows paths to the test and does what it asks for; `waits` if there is more to send than windows let go.
    pub(super) fn seek_groups(&mut self, now: Instant, waits: bool) {
        let usable = self.paths.iter().filter(|path| path.state.is_usable()).count();
        let mut flows: SmallVec<[Flow; MAX_PATHS]> = SmallVec::new();
        if usable > 1 && self.config.pacing {
            flows.extend((0..self.paths.len()).map(|ix| self.flow(now, ix, waits)));
        }
        let Some(ways) = &mut self.multipath.ways else { return };
        if let Some(Sought::Rest(id, time)) = ways.groups.look(now, &flows)
            && let Some(path) = self.paths.iter_mut().find(|path| path.id.0 == id)
        {
            let rate = path.pacing_rate();
            path.pacer.pause(now, time, rate);
        }
        for ix in 0..self.paths.len() {
            let Some(ways) = &self.multipath.ways else { return };
            let (path, group) = (self.paths[ix].id, ways.groups.of(self.paths[ix].id.0));
            if core::mem::replace(&mut self.paths[ix].group, group) != group {
                self.emitter.emit(now.as_nanos(), || PathGrouped { path: path.0, group }.into());
                self.tell_path(PathEvent::Group { path, group });
            }
        }
    }

    fn flow(&self, now: Instant, ix: usize, waits: bool) -> Flow {
        let path = &self.paths[ix];
        let estimate = self.estimate_of(now, ix);
        let serves =
            path.state.is_usable() && path.state != PathState::Standby && path.health() == Health::Good;
        let full = self.in_flight(ix) * 4 >= path.cc.window() * 3;
        let min = self.multipath.ways.as_ref().and_then(|ways| ways.control_min(path.id));
        Flow {
            id: path.id.0,
            rate: if estimate.state == CapacityState::Measured { estimate.rate } else { 0 },
            rtt: if path.rtt.has_sample() { nanos(path.rtt.smoothed()) } else { 0 },
            queue: nanos(path.gauge.queue(min.unwrap_or_else(|| path.rtt.min()))),
            busy: waits && serves && full,
        }
    }
}

impl Path {
    /// Whether it shares its bottleneck with another one, as far as is known.
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        self.group != 0 && self.group == other.group
    }
}
