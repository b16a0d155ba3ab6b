//! What is known across paths: round trips by data path and way back, differences of one-way delays, where
//! acknowledgements save time, and how much may be sent twice (decision 7, bonding of paths). Kept only while multipath
//! is in force.
//!
//! It is refreshed at most each millisecond and answers from what it found then. It never sends.

use core::time::Duration;

use smallvec::SmallVec;
use tq_cc::Rtt;
use tq_sched::{AckPath, AckRouting, Budget, Cell, Groups, MAX_PATHS, OneWay, Overflow, RttMatrix, Tail};
use tq_time::Instant;
use tq_wire::PathId;

use super::Connection;
use super::guard::Together;
use super::pauses::Pauses;
use crate::path::Path;
use crate::space::QUIET;

/// Age at which what was worked out is worked out again.
const REFRESH: Duration = Duration::from_millis(1);

/// Packets in flight from which on a path's round trips are of its own queue.
pub(super) const BUSY: u64 = 8;

/// Round trips that differ by less are alike.
const ALIKE: Duration = Duration::from_millis(2);

/// Knowledge across paths.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    matrix: RttMatrix,
    delays: OneWay,
    routing: AckRouting,
    places: SmallVec<[AckPath; MAX_PATHS]>,
    refreshed: Option<Instant>,
    /// When the host called last.
    called: Option<Instant>,
    /// When writers were told last how much to have ready.
    watered: Option<Instant>,
    /// Bytes that may be sent twice.
    pub(crate) budget: Budget,
    /// The bond, its guard and its books.
    pub(crate) together: Together,
    /// Which paths share a bottleneck.
    pub(crate) groups: Groups,
    /// Who was waited for at the end of what was sent.
    pub(crate) tail: Tail,
    /// Whether the scheduler may have paths that are paid by the byte.
    pub(crate) overflow: Overflow,
    /// When credit was told on another path as well.
    pub(crate) credit_copied: Option<Instant>,
    /// When paths came back from silence.
    pub(crate) pauses: Pauses,
}

/// An RTT sample that counts for congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// It is in the terms of those before.
    Yes,
    /// It is not: acknowledgements of this path return another way.
    No,
    /// Those before were in other terms.
    Anew,
}

impl Ways {
    /// The host calls; says when it did before.
    pub(crate) fn on_call(&mut self, now: Instant) -> Option<Instant> {
        self.called.replace(now)
    }

    /// Whether it is time to tell writers how much to have ready.
    pub(crate) fn low_water_due(&mut self, now: Instant) -> bool {
        let due = self.watered.is_none_or(|at| now.saturating_since(at) >= REFRESH);
        if due {
            self.watered = Some(now);
        }
        due
    }

    /// Takes a sample of `data` by an acknowledgement on `ack`.
    pub(crate) fn on_sample(
        &mut self,
        now: Instant,
        data: PathId,
        ack: PathId,
        sample: Duration,
        delay: Duration,
    ) -> Counts {
        let change = self.matrix.on_sample(now, data.0, ack.0, sample, delay);
        match self.matrix.control(data.0) {
            Some(_) if change.is_some() => Counts::Anew,
            Some(cell) if cell.ack_path != ack.0 => Counts::No,
            _ => Counts::Yes,
        }
    }

    /// The cell that serves the path's congestion control.
    pub(crate) fn control(&self, data: PathId) -> Option<&Cell> {
        self.matrix.control(data.0)
    }

    /// The cell of the slowest way back in use.
    pub(crate) fn slowest(&self, now: Instant, data: PathId) -> Option<&Cell> {
        self.matrix.slowest(now, data.0)
    }

    /// The cell of the fastest way back in use.
    pub(crate) fn fastest(&self, now: Instant, data: PathId) -> Option<&Cell> {
        self.matrix.fastest(now, data.0)
    }

    /// Round trips there and back on the path itself, if any were measured.
    pub(crate) fn own(&self, path: PathId) -> Option<&Rtt> {
        self.matrix.cell(path.0, path.0).map(|cell| &cell.rtt)
    }

    /// Smallest round trip in the terms of congestion control.
    pub(crate) fn control_min(&self, data: PathId) -> Option<Duration> {
        self.matrix.control(data.0).and(self.matrix.control_min(data.0))
    }

    /// Delay to the peer without queue less an offset common to all paths, ns.
    pub(crate) fn base_delay(&self, path: PathId) -> Option<i64> {
        self.delays.of(path.0).map(|delay| delay.base)
    }

    /// A path leads elsewhere: its round trips hold no longer.
    pub(crate) fn reset(&mut self, path: PathId) {
        self.matrix.reset(path.0);
        self.groups.forget(path.0);
        self.pauses.forget(path);
    }

    /// A path is over.
    pub(crate) fn forget(&mut self, path: PathId) {
        self.matrix.forget(path.0);
        self.groups.forget(path.0);
        self.routing.forget(path.0);
        self.tail.forget(path.0);
        self.pauses.forget(path);
        self.places.retain(|place| place.id != path.0);
    }

    /// When the path's own acknowledgement is due beside those that go on another; `None` if there are no others.
    pub(crate) fn own_ack_at(&self, now: Instant, path: PathId) -> Option<Instant> {
        self.routing.own_deadline(now, path.0, &self.places)
    }

    /// An acknowledgement of `of` left on `on`.
    pub(crate) fn on_ack_sent(&mut self, now: Instant, of: PathId, on: PathId) {
        self.routing.on_ack_sent(now, of.0, on.0);
    }

    /// Delays and routes are to be worked out again: what opens a path is acknowledged within the next millisecond.
    pub(crate) fn stale(&mut self) {
        self.refreshed = None;
    }

    /// Works delays and routes out again if that was not done just now, and writes down for each path where its
    /// acknowledgements save time.
    pub(crate) fn refresh(&mut self, now: Instant, paths: &mut [Path]) {
        if self.refreshed.is_some_and(|at| now.saturating_since(at) < REFRESH) {
            return;
        }
        self.refreshed = Some(now);
        for path in paths.iter_mut().filter(|path| path.moved) {
            path.moved = false;
            self.reset(path.id);
        }
        self.delays = OneWay::new(now, &self.matrix);
        self.places.clear();
        for path in paths.iter().filter(|path| path.state.is_live()).take(MAX_PATHS) {
            // Who sends little has samples of different moments, with the queues of the other direction in them.
            let busy = path.space.sent.eliciting_in_flight() >= BUSY;
            let rtt = if busy { path.rtt.smoothed() } else { path.rtt.min() };
            let srtt = if path.rtt.has_sample() { nanos(rtt) } else { 0 };
            let half = i64::try_from(srtt / 2).unwrap_or(i64::MAX);
            let delay = self.delays.of(path.id.0);
            let delay = delay.map(|delay| if busy { delay.smoothed } else { delay.base });
            self.places.push(AckPath {
                id: path.id.0,
                healthy: path.state.is_usable() && path.is_healthy(),
                received_at: path.heard_at,
                received: path.bytes_received,
                srtt,
                return_delay: delay.unwrap_or(half),
                metered: false,
            });
        }
        self.routing.update(now, &self.places);
        for path in paths {
            let routes = self.routing.routes(now, path.id.0, true, false, &self.places);
            // Until it is in use its own round trip is what everybody waits for.
            path.ack_on = routes.fast.map(PathId).filter(|_| path.state.is_usable());
            path.space.owed.thin(path.ack_on.map_or(1, |on| self.routing.thinning(on.0)));
        }
    }
}

/// Nanoseconds, cut off at 64 bits.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Connection {
    /// Where acknowledgements of path `of` go: whether on itself, and on which other one. What is due goes on the other one
    /// if there is one; the path itself then has a copy in what goes there anyway, and one now and then.
    pub(crate) fn ack_routes(&self, of: usize) -> (bool, Option<usize>) {
        let able = |ix: usize| !self.paths[ix].is_blocked() && !self.is_full(self.paths[ix].tuple.socket);
        if self.paths.len() == 1 {
            return (able(of), None);
        }
        let speaks =
            |ix: &usize| self.paths[*ix].state.is_live() && able(*ix) && self.peer_cid(*ix).is_some();
        let serves = |ix: &usize| self.paths[*ix].state.is_usable() && self.paths[*ix].is_healthy();
        let own = speaks(&of);
        let fast = self.paths[of].ack_on.and_then(|id| self.path_index(id));
        let fast = fast.filter(|ix| *ix != of && speaks(ix) && serves(ix));
        if own && self.paths[of].is_healthy() || fast.is_some() {
            return (own, fast);
        }
        let others = || (0..self.paths.len()).filter(|ix| *ix != of).filter(speaks);
        let used = others().filter(serves).min_by_key(|ix| self.paths[*ix].rtt.smoothed());
        // No path in use is left: better any way than none.
        (own, used.or_else(|| if own { None } else { others().next() }))
    }

    /// The path on which an acknowledgement of path `of` that is due goes.
    pub(crate) fn ack_carrier(&self, of: usize) -> Option<usize> {
        let (own, other) = self.ack_routes(of);
        other.or(own.then_some(of))
    }

    /// Whether path `on` may repeat what path `of` was told last on itself: not if it would be there first while all is
    /// well. Where that is so by much, acknowledgements go on the faster one anyway. The least round trips tell: what one
    /// who only acknowledges has seen since waited in queues of the other direction. What is repeated has waited for [`QUIET`].
    pub(crate) fn may_repeat_ack(&self, of: usize, on: usize) -> bool {
        let (own, other) = (&self.paths[of].rtt, &self.paths[on].rtt);
        let longer = own.min() <= other.min() + (other.min() / 8).min(QUIET) + ALIKE;
        own.has_sample() && other.has_sample() && longer && self.ack_carrier(of) != Some(on)
    }

    /// When path `of` is owed an acknowledgement on itself although another one carries what is due.
    pub(crate) fn own_ack_at(&self, of: usize) -> Option<Instant> {
        let path = &self.paths[of];
        let ways = self.multipath.ways.as_ref().filter(|_| path.ack_on.is_some())?;
        if !path.space.owed.has_news() || !path.is_healthy() {
            return None;
        }
        let (own, other) = self.ack_routes(of);
        ways.own_ack_at(path.heard_at?, path.id).filter(|_| own && other.is_some())
    }

    /// Works out again what is known across paths.
    pub(crate) fn refresh_ways(&mut self, now: Instant) {
        if let Some(ways) = &mut self.multipath.ways {
            ways.refresh(now, &mut self.paths);
        }
    }
}
