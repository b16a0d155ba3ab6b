//! Which path speaks next. With one path there is no choice. With several, what is bound to a path goes there first, then
//! the scheduler says where data, control frames and retransmissions go, then each path sends what is left of its own:
//! acknowledgements, probes, pings. [`Connection::view`] is all a scheduler knows of a path; what its picks mean is done
//! here. Health is `connection/health.rs`, the routes of acknowledgements `connection/ways.rs`.

use smallvec::SmallVec;
use tq_buf::mem::format;
use tq_event::DecisionMade;
use tq_sched::{
    Decision, Demand, Health, Kind, MAX_PATHS, Outstanding, PathSet, PathView, Pick, Status, Window,
    eta_optimistic, overdue,
};
use tq_time::{Duration, Instant};
use tq_wire::{Code, PathId};

use crate::connection::{Connection, Transmit, nanos};
use crate::error::TransportError;
use crate::path::{Path, PathPolicy, PathState};
use crate::stream::Share;
use crate::token::Token;

/// Bytes of a path that go again on a faster one at a time.
const REINJECTION: u64 = 16 << 10;

/// A copy that arrives no earlier than this before the original is not worth it.
const LEAST_GAIN: Duration = Duration::from_millis(5);

/// One-way delays further apart than this make it worth telling credit twice.
const APART: Duration = Duration::from_millis(50);

/// Bytes writers may have ahead for the sake of slower paths.
const MOST_AHEAD: u64 = 24 << 20;

/// Views of all paths that may carry data.
type Views = SmallVec<[PathView; MAX_PATHS]>;

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
        if let Some(transmit) = self.transmit_race(now, buf) {
            return Some(transmit);
        }
        if self.paths.len() == 1 {
            let mut transmit = self.transmit_on(now, 0, buf, max_segments);
            while transmit.is_none() && self.turn_to_copy(now) {
                transmit = self.transmit_on(now, 0, buf, max_segments);
            }
            let transmit = transmit?;
            self.note_race(now, &transmit, buf);
            return Some(transmit);
        }
        self.transmit_among(now, buf, max_segments)
    }

    fn transmit_among(&mut self, now: Instant, buf: &mut [u8], max_segments: usize) -> Option<Transmit> {
        self.keys.one_rtt.as_ref()?;
        if let Some(transmit) = self.transmit_early(now, buf) {
            return Some(transmit);
        }
        self.note_lateness(now);
        self.refresh_ways(now);
        for ix in 0..self.paths.len() {
            if let Some(transmit) = self.transmit_bound(now, ix, buf) {
                return Some(transmit);
            }
        }
        self.draw_resends();
        if let Some(transmit) = self.transmit_shared(now, buf, max_segments) {
            return Some(transmit);
        }
        if let Some(transmit) = self.transmit_loaded(now, buf, max_segments) {
            return Some(transmit);
        }
        self.keep_books(now);
        (0..self.paths.len()).find_map(|ix| {
            // A probe takes data with it only if no other path can: on this one it may be lost.
            let alone = self.paths[ix].probes[2] > 0 && !self.has_other_usable(ix);
            let share = if alone { Share::All } else { Share::Nothing };
            self.transmit_batch(now, ix, buf, max_segments, share)
                .or_else(|| self.transmit_mtu_probe(now, ix, buf))
        })
    }

    /// What any path may carry, where the scheduler wants it.
    fn transmit_shared(&mut self, now: Instant, buf: &mut [u8], max_segments: usize) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_copy(now, buf, max_segments) {
            return Some(transmit);
        }
        if let Some(ix) = self.credit_on.take().and_then(|id| self.path_index(id))
            && let Some(transmit) = self.transmit_batch(now, ix, buf, 1, Share::Control)
        {
            return Some(transmit);
        }
        self.pick_again = None;
        let Picked { pick, since, share } = self.pick(now)?;
        let on = match pick {
            Pick::Send(id) => id,
            Pick::Reinject { on, from } => {
                let ix = self.paths.iter().position(|path| path.id.0 == from)?;
                self.reinject(ix, since, REINJECTION);
                on
            }
            Pick::Duplicate(paths) => {
                let first = *paths.as_slice().first()?;
                let ix = self.paths.iter().position(|path| path.id.0 == first)?;
                let from = self.paths[ix].space.numbers.peek();
                let others = paths.as_slice().iter().skip(1).copied().collect();
                self.copies = Some(Copies { of: first, from, on: others });
                first
            }
            Pick::WaitUntil(at) => {
                self.pick_again = Some(at).filter(|at| *at > now);
                self.await_departure(now, at);
                return None;
            }
            Pick::Nothing => return None,
        };
        let credit = self.twice(now, on);
        let transmit = self.transmit_picked(now, on, share, buf, max_segments);
        match (&transmit, credit) {
            (None, _) => self.copies = None,
            (Some(_), Some((from, other))) => self.owe_credit_again(now, on, from, other),
            (Some(_), None) => {}
        }
        transmit
    }

    fn transmit_picked(
        &mut self,
        now: Instant,
        id: u32,
        share: Share,
        buf: &mut [u8],
        max: usize,
    ) -> Option<Transmit> {
        let ix = self.paths.iter().position(|path| path.id.0 == id)?;
        if !self.wants_shared() {
            return None;
        }
        let transmit = self.transmit_batch(now, ix, buf, max, share)?;
        self.scheduler.on_sent(id, transmit.len as u64);
        Some(transmit)
    }

    /// The next of the copies that a pick of several paths asked for. Messages are not copied: a receiver could not tell
    /// the second from another one.
    fn transmit_copy(&mut self, now: Instant, buf: &mut [u8], max: usize) -> Option<Transmit> {
        let copies = self.copies.take()?;
        let on = *copies.on.as_slice().first()?;
        let rest: PathSet = copies.on.as_slice().iter().skip(1).copied().collect();
        if !rest.as_slice().is_empty() {
            self.copies = Some(Copies { on: rest, ..copies });
        }
        let from = self.paths.iter().position(|path| path.id.0 == copies.of)?;
        self.copy_since(from, copies.from);
        self.transmit_picked(now, on, Share::All, buf, max)
    }

    /// Whether credit that goes on the path `on` now should go on another one as well: a lost credit frame is a gap in
    /// delivery that nobody looks for. Where one is suspect, or round trips are far apart, it takes too long to notice.
    /// With the first packet it may be in, and the other path.
    fn twice(&mut self, now: Instant, on: u32) -> Option<(u64, PathId)> {
        if self.multipath.ways.as_ref()?.credit_copied == Some(now) || !self.streams.owes_credit() {
            return None;
        }
        let usable = || self.paths.iter().filter(|path| path.state.is_usable());
        let trips = || usable().map(|path| path.rtt.smoothed());
        let apart = trips().max()?.saturating_sub(trips().min()?) > 2 * APART;
        if !apart && !usable().any(|path| path.health() == Health::Suspect) {
            return None;
        }
        let other = usable().filter(|path| path.id.0 != on && path.health() == Health::Good);
        let other = other.min_by_key(|path| path.rtt.smoothed())?.id;
        let ix = self.path_index(PathId(on))?;
        Some((self.paths[ix].space.numbers.peek(), other))
    }

    /// Credit in packets numbered `from` and up of the path `on` is owed once more, to go on `other`.
    fn owe_credit_again(&mut self, now: Instant, on: u32, from: u64, other: PathId) {
        let (Some(ix), Some(at)) = (self.path_index(PathId(on)), self.path_index(other)) else { return };
        if !self.may_load(now, at) {
            return;
        }
        let is_credit = |token: &Token| matches!(token, Token::MaxData(_) | Token::MaxStreamData(..));
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        self.paths[ix].space.sent.tokens_from(from, is_credit, &mut tokens);
        if !tokens.is_empty() {
            self.credit_on = Some(other);
            if let Some(ways) = &mut self.multipath.ways {
                ways.credit_copied = Some(now);
            }
        }
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
    }

    /// The scheduler's answer; `None` if there is nothing to ask.
    fn pick(&mut self, now: Instant) -> Option<Picked> {
        let wanted = self.wants_shared();
        let tail = self.scheduler.kind().reinjects() && self.streams.unacked_bytes() > 0;
        if !wanted && let Some(ways) = &mut self.multipath.ways {
            ways.overflow.on_clear();
        }
        if !(wanted || tail) {
            return None;
        }
        let mut views = self.views(now);
        self.spare_metered(now, &mut views);
        let held = self.late_data(now, &views).or_else(|| self.overdue_data(now, &views));
        let backlog = self.streams.sendable() + self.datagrams.backlog();
        let demand = Demand {
            backlog: if wanted { backlog.max(1) } else { 0 },
            stream_backlog: self.streams.longest_backlog().max(self.datagrams.backlog()).max(1),
            blocking: held.map(|(held, _)| held),
            resend_budget: self.multipath.ways.as_ref().map_or(0, |ways| ways.budget.available()),
            ..Demand::default()
        };
        let since = held.map_or(now, |(_, since)| since);
        self.refresh_low_water(now, &views, &demand);
        let pick = self.decide(now, &views, &demand);
        if pick == Pick::Nothing {
            self.pick_again = self.overdue_at(&views).map(|(_, at)| at).filter(|at| *at > now);
        }
        if wanted
            && !matches!(pick, Pick::Send(_) | Pick::Duplicate(_))
            && let Some(ways) = &mut self.multipath.ways
        {
            ways.overflow.on_short(now);
        }
        let share = match pick {
            Pick::Send(id) => match self.scheduler.threshold(now, &views, &demand, id) {
                0 => Share::All,
                least => Share::Over(least),
            },
            _ => Share::All,
        };
        Some(Picked { pick, since, share })
    }

    /// Asks the scheduler, and writes down what it was asked and said if that is wanted.
    fn decide(&mut self, now: Instant, views: &[PathView], demand: &Demand) -> Pick {
        if !self.config.record_decisions || !self.emitter.enabled() {
            return self.scheduler.pick(now, views, demand);
        }
        let decision = Decision::take(&mut self.scheduler, now, views, demand);
        let record = format!("{decision}");
        self.emitter.emit(now.as_nanos(), || DecisionMade { record: &record }.into());
        decision.pick
    }

    /// Has paths that are paid by the byte stand by until the others are not enough.
    fn spare_metered(&self, now: Instant, views: &mut Views) {
        if self.scheduler.kind() == Kind::Aggregate
            && let Some(ways) = &self.multipath.ways
            && !ways.overflow.is_on(now)
        {
            let metered = views.iter_mut().filter(|view| view.cost >= PathPolicy::METERED);
            metered.for_each(|view| view.status = Status::Backup);
        }
    }

    /// Tells streams how much their writers should have ready, now and then.
    fn refresh_low_water(&mut self, now: Instant, views: &Views, demand: &Demand) {
        let Some(ways) = &mut self.multipath.ways else { return };
        if ways.together.weights.is_due(now) {
            ways.together.weights.refresh(now, views);
        }
        if ways.low_water_due(now) {
            let bytes = self.scheduler.low_water(now, views, demand);
            self.streams.set_low_water(bytes.min(MOST_AHEAD));
        }
    }

    /// The data under way that would gain most from a copy on the fastest path with room: the newest on the path that is
    /// slowest. With it, from when on what left there would gain at all.
    fn late_data(&self, now: Instant, views: &[PathView]) -> Option<(Outstanding, Instant)> {
        let best = quickest(views)?;
        let slowest =
            views.iter().max_by_key(|view| eta_optimistic(view)).filter(|view| view.id != best.id)?;
        let ahead = u64::try_from(eta_optimistic(slowest) - eta_optimistic(best)).ok()?;
        let lead = Duration::from_nanos(ahead).checked_sub(LEAST_GAIN)?;
        let ix = self.path_index(PathId(slowest.id))?;
        let (sent_at, bytes) = self.newest_data(ix)?;
        let since = Instant::from_nanos(now.as_nanos().saturating_sub(nanos(lead)));
        (sent_at > since).then_some((Outstanding { path: slowest.id, sent_at, bytes }, since))
    }

    /// The end of all that is to be sent, on a path that should have acknowledged it by now. Nothing follows that would show it
    /// lost there, and a probe's answer takes another round trip of it.
    fn overdue_data(&self, now: Instant, views: &[PathView]) -> Option<(Outstanding, Instant)> {
        let (held, at) = self.overdue_at(views)?;
        (now >= at).then_some((held, Instant::ZERO))
    }

    /// What of that is due first, and when.
    fn overdue_at(&self, views: &[PathView]) -> Option<(Outstanding, Instant)> {
        if self.streams.backlog() > 0 {
            return None;
        }
        let best = quickest(views)?;
        let others = views.iter().filter(|view| view.id != best.id && view.srtt > 0);
        let each = others.filter_map(|view| {
            let (sent_at, bytes) = self.newest_data(self.path_index(PathId(view.id))?)?;
            let held = Outstanding { path: view.id, sent_at, bytes };
            Some((held, sent_at + Duration::from_nanos(overdue(view, true))))
        });
        each.min_by_key(|(_, at)| *at)
    }

    fn views(&self, now: Instant) -> Views {
        // Without a path in use, one that is being validated serves: the peer must hear of the end of the others.
        let none = !self.paths.iter().any(|path| path.state.is_usable());
        let known = |path: &Path| {
            let ways = self.multipath.ways.as_ref();
            !path.state.is_usable() || ways.is_some_and(|ways| ways.base_delay(path.id).is_some())
        };
        let delays = self.paths.iter().all(known);
        let mut views = Views::new();
        for ix in 0..self.paths.len() {
            let state = self.paths[ix].state;
            if (state.is_usable() || none && state.is_live()) && self.peer_cid(ix).is_some() {
                views.push(self.view(now, ix, delays));
            }
        }
        views
    }

    /// A path as schedulers see it; `delays` if one-way delays of all are known.
    fn view(&self, now: Instant, ix: usize, delays: bool) -> PathView {
        let in_flight = self.in_flight(ix);
        let pacing = self.config.pacing;
        let path = &self.paths[ix];
        let rate = path.pacing_rate();
        let departure = if pacing { path.pacer.earliest(now, rate) } else { now };
        let sampled = path.rtt.has_sample();
        let srtt = path.rtt.smoothed();
        let ways = self.multipath.ways.as_ref();
        let delay = ways.filter(|_| delays).and_then(|ways| ways.base_delay(path.id));
        let min = ways.and_then(|ways| ways.control_min(path.id)).unwrap_or_else(|| path.rtt.min());
        let half = i64::try_from(nanos(min) / 2).unwrap_or(i64::MAX);
        let window = Window {
            cwnd: path.cc.window(),
            srtt: if sampled { srtt } else { Duration::ZERO },
            slow_start: path.cc.in_slow_start(),
            profile: self.remembered_rate(path.id),
        };
        let capacity = path.gauge.estimate(now, &window);
        let (queue, draining) = queue_of(now, path, &window, min, in_flight);
        PathView {
            id: path.id.0,
            link: path.tuple.socket,
            group: path.group,
            blocked: self.full.contains(&path.tuple.socket),
            status: if path.state == PathState::Standby { Status::Backup } else { Status::Available },
            health: match path.health() {
                Health::Good if self.is_left_out(path) => Health::Held,
                health => health,
            },
            validated: true,
            min_rtt: if sampled { nanos(min) } else { 0 },
            srtt: nanos(srtt),
            rttvar: nanos(path.rtt.var()),
            sigma: nanos(path.gauge.sigma()),
            rel_owd: delay.unwrap_or(half),
            queue: nanos(queue),
            capacity: capacity.rate,
            capacity_state: capacity.state,
            capacity_age: capacity.age.map_or(u64::MAX, nanos),
            r_measured: draining,
            cwnd: window.cwnd,
            in_flight,
            pacing_rate: if pacing { rate } else { 0 },
            next_departure: if departure > now { departure.as_nanos() } else { 0 },
            ack_silence: nanos(path.monitor.ack_silence(now)),
            amplification_room: path.amplification_budget(),
            mtu: path.mtu.current(),
            cost: path.policy.cost,
            weight: path.policy.weight.or_else(|| ways?.together.weights.of(path.id.0)).unwrap_or(1),
            ..PathView::default()
        }
    }

    /// Whether an experiment does without the path, or without one that shares its bottleneck.
    fn is_left_out(&self, path: &Path) -> bool {
        let without = self.multipath.ways.as_ref().and_then(|ways| ways.together.without());
        let Some(without) = without else { return false };
        let asked = self.paths.iter().find(|path| path.id.0 == without);
        path.id.0 == without || asked.is_some_and(|asked| asked.shares_with(path))
    }

    /// Nothing leaves before `at`, when the pacer of some path lets it.
    fn await_departure(&mut self, now: Instant, at: Instant) {
        for path in &mut self.paths {
            let rate = path.pacing_rate();
            if path.pacer.earliest(now, rate) == at {
                path.pacer.departure(now, rate);
            }
        }
    }

    /// Whether a path other than `ix` can take its data.
    pub(crate) fn has_other_usable(&self, ix: usize) -> bool {
        let usable = |(at, path): (usize, &Path)| {
            at != ix && path.state.is_usable() && path.is_healthy() && !path.is_blocked()
        };
        self.paths.iter().enumerate().any(usable)
    }
}

/// What stands on a path in its queue, and the rate at which what is in flight drains there. A queue is seen a round trip
/// after it was filled. Where trains said what a long path carries that is known before, unless it has carried more since.
fn queue_of(now: Instant, path: &Path, window: &Window, min: Duration, in_flight: u64) -> (Duration, u64) {
    let seen = path.gauge.queue(min);
    let holds = |rate: &u64| path.gauge.newest_rate() <= rate.saturating_add(rate / 4);
    let Some(rate) = path.cc.train_rate().filter(holds) else {
        return (seen, path.gauge.draining(now, window, min));
    };
    let drained = u64::try_from(u128::from(in_flight) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX);
    (seen.max(Duration::from_nanos(drained).saturating_sub(min)), rate)
}

/// What the scheduler said.
#[derive(Clone, Copy, Debug)]
struct Picked {
    pick: Pick,
    /// When what is to be sent again left, at the earliest.
    since: Instant,
    /// What may go on the path picked.
    share: Share,
}

/// Copies that are still to be sent of what left last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies {
    /// Path that carried it.
    pub(crate) of: u32,
    /// First packet number of it.
    pub(crate) from: u64,
    /// Paths it is to go on as well.
    pub(crate) on: PathSet,
}

/// The path with room on which a packet arrives first.
fn quickest(views: &[PathView]) -> Option<&PathView> {
    let able = views.iter().filter(|view| view.fits(&Demand::default()));
    able.min_by_key(|view| eta_optimistic(view))
}
