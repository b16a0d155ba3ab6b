//! Which path speaks next. With one path there is no choice. With several, what is bound to a path goes there first, then
//! the scheduler says where data, control frames and retransmissions go, then each path sends what is left of its own:
//! acknowledgements, probes, pings. The seat of health and of acknowledgement routing: [`Connection::view`] is all a
//! scheduler knows, [`Connection::ack_carrier`] decides which path reports on which.

use smallvec::SmallVec;
use tq_sched::{Demand, Health, MAX_PATHS, PathView, Pick, Status};
use tq_time::Instant;
use tq_wire::Code;

use crate::connection::{Connection, Transmit};
use crate::error::TransportError;
use crate::path::PathState;

impl Connection {
    pub(super) fn transmit_open(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        max_segments: usize,
    ) -> Option<Transmit> {
        if self.ends_for_want_of_numbers(now) {
            return None;
        }
        self.update_keys_if_due(now);
        if self.keys_spent() {
            let why = "keys are used up and cannot be replaced";
            self.fail(now, TransportError::new(Code::AEAD_LIMIT_REACHED, 0, why));
            return self.transmit_close(now, buf);
        }
        if let Some(transmit) = self.transmit_aside(now, buf) {
            return Some(transmit);
        }
        if self.paths.len() == 1 {
            return self.transmit_on(now, 0, buf, max_segments);
        }
        self.transmit_among(now, buf, max_segments)
    }

    fn transmit_among(&mut self, now: Instant, buf: &mut [u8], max_segments: usize) -> Option<Transmit> {
        self.keys.one_rtt.as_ref()?;
        for ix in 0..self.paths.len() {
            if let Some(transmit) = self.transmit_bound(now, ix, buf) {
                return Some(transmit);
            }
        }
        if self.wants_shared()
            && let Some(ix) = self.pick_path(now)
            && let Some(transmit) = self.transmit_batch(now, ix, buf, max_segments, true)
        {
            self.scheduler.on_sent(self.paths[ix].id.0, transmit.len as u64);
            return Some(transmit);
        }
        (0..self.paths.len()).find_map(|ix| {
            // A probe takes data with it only if no other path can: on this one it may be lost.
            let shared = self.paths[ix].probes[2] > 0 && !self.has_other_usable(ix);
            self.transmit_batch(now, ix, buf, max_segments, shared)
                .or_else(|| self.transmit_mtu_probe(now, ix, buf))
        })
    }

    /// Where the scheduler wants what any path may carry; `None` if nowhere now.
    fn pick_path(&mut self, now: Instant) -> Option<usize> {
        let usable = |state: PathState| state.is_usable();
        // Without a path in use, one that is being validated serves: the peer must hear of the end of the others.
        let none = !self.paths.iter().any(|path| usable(path.state));
        let silent = !self.paths.iter().any(|path| usable(path.state) && !path.is_silent());
        let mut views: SmallVec<[PathView; MAX_PATHS]> = SmallVec::new();
        for ix in 0..self.paths.len() {
            let state = self.paths[ix].state;
            if (usable(state) || none && state.is_live()) && self.peer_cid(ix).is_some() {
                views.push(self.view(now, ix, silent));
            }
        }
        let backlog = self.streams.backlog() + self.datagrams.backlog();
        let demand = Demand { backlog: backlog.max(1), ..Demand::default() };
        self.pick_again = None;
        let id = match self.scheduler.pick(now, &views, &demand) {
            Pick::Send(id) | Pick::Reinject { on: id, .. } => id,
            Pick::Duplicate(paths) => *paths.as_slice().first()?,
            Pick::WaitUntil(at) => {
                self.pick_again = Some(at).filter(|at| *at > now);
                return None;
            }
            Pick::Nothing => return None,
        };
        self.paths.iter().position(|path| path.id.0 == id)
    }

    /// A path as schedulers see it. If all are silent, none is held against another.
    fn view(&mut self, now: Instant, ix: usize, all_silent: bool) -> PathView {
        let in_flight = self.in_flight(ix);
        let pacing = self.config.pacing;
        let path = &mut self.paths[ix];
        let nanos = |duration: core::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let rate = path.cc.pacing_rate(&path.rtt);
        let departure = if pacing { path.pacer.departure(now, rate) } else { now };
        PathView {
            id: path.id.0,
            link: path.tuple.socket,
            blocked: self.full.contains(&path.tuple.socket),
            status: if path.state == PathState::Standby { Status::Backup } else { Status::Available },
            health: if path.is_silent() && !all_silent { Health::Out } else { Health::Good },
            validated: true,
            min_rtt: if path.rtt.has_sample() { nanos(path.rtt.min()) } else { 0 },
            srtt: nanos(path.rtt.smoothed()),
            rttvar: nanos(path.rtt.var()),
            cwnd: path.cc.window(),
            in_flight,
            pacing_rate: if pacing { rate } else { 0 },
            next_departure: if departure > now { departure.as_nanos() } else { 0 },
            amplification_room: path.amplification_budget(),
            mtu: path.mtu.current(),
            ..PathView::default()
        }
    }

    /// Whether a path other than `ix` can take its data.
    pub(crate) fn has_other_usable(&self, ix: usize) -> bool {
        let usable = |(at, path): (usize, &crate::path::Path)| {
            at != ix && path.state.is_usable() && !path.is_silent() && !path.is_blocked()
        };
        self.paths.iter().enumerate().any(usable)
    }

    /// The path that carries acknowledgements of what comes on path `of`: the same if it can speak, so that a round trip
    /// is one of that path and paths of unknown capacity are not loaded; else the fastest that is in use.
    pub(crate) fn ack_carrier(&self, of: usize) -> Option<usize> {
        if self.paths.len() == 1 {
            return (!self.paths[of].is_blocked()).then_some(of);
        }
        let speaks = |ix: &usize| {
            let path = &self.paths[*ix];
            path.state.is_live() && !path.is_blocked() && self.peer_cid(*ix).is_some()
        };
        let own = speaks(&of);
        if own && !self.paths[of].is_silent() {
            return Some(of);
        }
        let others = (0..self.paths.len()).filter(|ix| *ix != of).filter(speaks);
        let used = others.filter(|ix| self.paths[*ix].state.is_usable() && !self.paths[*ix].is_silent());
        let other = used.min_by_key(|ix| self.paths[*ix].rtt.smoothed());
        other.or(own.then_some(of)).or_else(|| (0..self.paths.len()).find(speaks))
    }
}
