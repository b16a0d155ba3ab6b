//! The bond as a whole: its state, the shares of its paths, and the guard's books. What [`tq_sched::Guard`] orders is done
//! here: paths are held and taken back, and held ones are shown copies of data that others carry, so that nothing waits for
//! them (decision 18, 20).
//!
//! The books are kept when everything that could leave has left. They never say where a packet goes.

use core::time::Duration;

use smallvec::SmallVec;
use tq_event::{BondState as LoggedBond, BondStateUpdated, GuardAction, PathGuarded};
use tq_sched::{
    Account, Bond, BondState, Budget, CapacityState, Change, Estimate, Feedback, Guard, Health, Kind, Loaded,
    MAX_PATHS, Member, Order, Period, Reason, Weights, Window,
};
use tq_time::Instant;
use tq_wire::PathId;

use super::ways::nanos;
use super::{Connection, PathEvent, Transmit};
use crate::config::MIN_MTU;
use crate::path::PathState;
use crate::stream::Share;

/// The bond's state is looked at this often.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes that wait before a new path is shown copies: a short transfer is over before it serves.
const FIRST_BACKLOG: u64 = 64 << 10;
/// Bytes of a packet that are not data.
const OVERHEAD: u64 = 50;
/// So long after it was made or came back a path is not put to the question for bringing little.
const FRESH: Duration = Duration::from_secs(10);

/// Bytes counted of a path since it exists, and what they were when the window began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Book {
    id: u32,
    /// Bytes others could have carried while data here kept everything from being sent.
    pub(crate) blocked: u64,
    /// Times it was held.
    pub(crate) holds: u32,
    begin: (u64, u64, u64),
}

/// What the time is spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// There is nothing to send.
    #[default]
    Idle,
    /// There is, and windows are what it waits for.
    Busy,
    /// There is, and room as well, but data on this path holds the peer's limits: so many bytes a second are not sent.
    Blocked(u32, u64),
}

/// A train of copies on a held path.
#[derive(Clone, Copy, Debug)]
struct Probing {
    path: u32,
    /// Bytes still to be sent.
    left: u64,
    sent: u64,
    /// First packet of it, the one after its last so far, and packets lost before.
    from: u64,
    to: u64,
    lost: u64,
    began: Instant,
    last: Instant,
    delay: u64,
}

/// What the paths of a connection are together.
#[derive(Debug, Default)]
pub(crate) struct Together {
    pub(crate) weights: Weights,
    bond: Bond,
    guard: Guard,
    books: SmallVec<[Book; 4]>,
    mode: Mode,
    looked: Option<Instant>,
    bonded_at: Option<Instant>,
    window: Option<Instant>,
    busy: Duration,
    /// What all brought in the last window, bytes per second.
    sum: u64,
    probing: Option<Probing>,
}

impl Together {
    /// The path an experiment does without.
    pub(crate) fn without(&self) -> Option<u32> {
        self.guard.without()
    }

    fn book(&mut self, id: u32) -> &mut Book {
        let at = match self.books.iter().position(|book| book.id == id) {
            Some(at) => at,
            None => {
                self.books.push(Book { id, ..Book::default() });
                self.books.len() - 1
            }
        };
        &mut self.books[at]
    }

    /// Puts the time since the last look down to what it was spent on.
    fn spend(&mut self, now: Instant) {
        let Some(since) = self.looked.replace(now) else { return };
        let time = now.saturating_since(since);
        match self.mode {
            Mode::Idle => {}
            Mode::Busy => self.busy += time,
            Mode::Blocked(id, rate) => {
                self.busy += time;
                let bytes = u128::from(rate) * time.as_nanos() / 1_000_000_000;
                self.book(id).blocked += u64::try_from(bytes).unwrap_or(u64::MAX);
            }
        }
    }
}

impl Connection {
    /// What the paths are together; a single path where there is no multipath.
    pub fn bond_state(&self) -> BondState {
        self.multipath.ways.as_ref().map_or(BondState::SinglePath, |ways| ways.together.bond.state())
    }

    /// What was counted of a path, and its share in percent.
    pub(super) fn books_of(&self, id: PathId) -> (Book, u16) {
        let Some(ways) = &self.multipath.ways else { return (Book::default(), 0) };
        let book = ways.together.books.iter().find(|book| book.id == id.0);
        (book.copied().unwrap_or_default(), ways.together.weights.of(id.0).unwrap_or(0))
    }

    /// A path is gone for good.
    pub(super) fn forget_guarded(&mut self, id: PathId) {
        if let Some(ways) = &mut self.multipath.ways {
            ways.together.guard.forget(id.0);
            ways.together.books.retain(|book| book.id != id.0);
            ways.together.probing = ways.together.probing.filter(|probing| probing.path != id.0);
        }
    }

    /// Health of a path changed.
    pub(super) fn on_guarded_health(&mut self, now: Instant, ix: usize, change: Change) {
        let id = self.paths[ix].id.0;
        if let Some(ways) = &mut self.multipath.ways {
            if change.to == Health::Out {
                ways.together.guard.on_change(id);
                ways.groups.forget(id);
            }
            if change.from == Health::Held && change.to == Health::Out {
                ways.together.guard.on_freed(id);
            }
        }
        self.look_at_bond(now);
    }

    /// Works out what the paths are together and tells a change.
    pub(super) fn look_at_bond(&mut self, now: Instant) {
        let Some(ways) = &mut self.multipath.ways else { return };
        ways.together.bonded_at = Some(now);
        let wanted =
            self.paths.iter().filter(|path| path.state.is_live() && path.state != PathState::Standby);
        let members = wanted.map(|path| Member {
            proven: path.state.is_usable(),
            health: path.health(),
            since: path.monitor.since(),
        });
        let Some(change) = ways.together.bond.update(now, members) else { return };
        let logged = |state| match state {
            BondState::SinglePath => LoggedBond::SinglePath,
            BondState::Pending => LoggedBond::Pending,
            BondState::Bonded => LoggedBond::Bonded,
            BondState::Degraded => LoggedBond::Degraded,
        };
        let (old, new) = (logged(change.from), logged(change.to));
        self.emitter.emit(now.as_nanos(), || BondStateUpdated { old, new }.into());
        self.tell_path(PathEvent::Bond(change.to));
    }

    /// Everything that could leave has left: books time and closes windows.
    pub(crate) fn keep_books(&mut self, now: Instant) {
        let mode = self.mode(now);
        let Some(ways) = &mut self.multipath.ways else { return };
        let together = &mut ways.together;
        together.spend(now);
        let before = core::mem::replace(&mut together.mode, mode);
        let look = together.bonded_at.is_none_or(|at| now.saturating_since(at) >= LOOK);
        if look {
            self.look_at_bond(now);
            self.seek_groups(now, mode == Mode::Busy);
            self.weigh(now);
            self.judge_probe(now);
        }
        if let (Mode::Idle | Mode::Busy, Mode::Blocked(id, _)) = (before, mode) {
            self.scheduler.on_feedback(Feedback::Blocked(id));
        }
    }

    /// What there is to wait for.
    fn mode(&self, now: Instant) -> Mode {
        if self.streams.backlog() == 0 && self.datagrams.backlog() == 0 {
            return Mode::Idle;
        }
        if self.streams.wants_data() || self.datagrams.wants() {
            return Mode::Busy;
        }
        // Flow control holds it back. Whose fault is that?
        let usable = || self.paths.iter().enumerate().filter(|(_, path)| path.state.is_usable());
        let oldest = usable().filter_map(|(ix, path)| Some((path.space.sent.oldest_waiting()?, ix))).min();
        let quick = usable().map(|(_, path)| path.rtt.smoothed()).min().unwrap_or_default();
        let Some((_, holder)) = oldest.filter(|(sent, _)| now.saturating_since(*sent) > quick) else {
            return Mode::Idle;
        };
        let room = |(ix, path): &(usize, &crate::path::Path)| {
            *ix != holder
                && !path.shares_with(&self.paths[holder])
                && self.in_flight(*ix) + u64::from(path.mtu.current()) <= path.cc.window()
        };
        let idle = usable().filter(room).map(|(ix, _)| self.rate_of(now, ix).0);
        match idle.fold(0u64, u64::saturating_add) {
            0 => Mode::Busy,
            rate => Mode::Blocked(self.paths[holder].id.0, rate),
        }
    }

    /// What path `ix` can carry, bytes per second, and whether that was measured.
    fn rate_of(&self, now: Instant, ix: usize) -> (u64, bool) {
        let estimate = self.estimate_of(now, ix);
        (estimate.rate, estimate.state == CapacityState::Measured)
    }

    pub(super) fn estimate_of(&self, now: Instant, ix: usize) -> Estimate {
        let path = &self.paths[ix];
        let srtt = if path.rtt.has_sample() { path.rtt.smoothed() } else { Duration::ZERO };
        let slow_start = path.cc.in_slow_start();
        let window =
            Window { cwnd: path.cc.window(), srtt, slow_start, profile: self.remembered_rate(path.id) };
        path.gauge.estimate(now, &window)
    }

    /// Closes a window if it is over, and does what the guard says.
    fn weigh(&mut self, now: Instant) {
        if self.scheduler.kind() == Kind::RoundRobin {
            return; // it takes turns and weighs nothing
        }
        let slowest = self.paths.iter().filter(|path| path.state.is_usable() && path.rtt.has_sample());
        let slowest = slowest.map(|path| path.rtt.smoothed()).max().unwrap_or_default();
        let Some(ways) = &self.multipath.ways else { return };
        let began = ways.together.window;
        let length = began.map_or(Duration::ZERO, |began| now.saturating_since(began));
        if began.is_some() && length < Guard::window(slowest) {
            return;
        }
        let mut accounts: SmallVec<[Account; MAX_PATHS]> = SmallVec::new();
        for ix in 0..self.paths.len() {
            let path = &self.paths[ix];
            if path.state.is_usable() {
                let (capacity, measured) = self.rate_of(now, ix);
                accounts.push(Account {
                    id: path.id.0,
                    group: path.group,
                    useful: path.bytes_acked,
                    copied: path.bytes_resent,
                    blocked: 0,
                    capacity: if measured { capacity.min(path.allowed_rate()) } else { 0 },
                    serving: matches!(path.health(), Health::Good | Health::Probation)
                        && path.state != PathState::Standby,
                    fresh: now.saturating_since(path.back_at) < FRESH,
                });
            }
        }
        let Some(ways) = &mut self.multipath.ways else { return };
        let together = &mut ways.together;
        for account in &mut accounts {
            let book = together.book(account.id);
            let (useful, copied, blocked) = book.begin;
            book.begin = (account.useful, account.copied, book.blocked);
            account.blocked = book.blocked - blocked;
            account.copied = account.copied.saturating_sub(copied);
            account.useful = account.useful.saturating_sub(useful).saturating_sub(account.copied);
        }
        together.window = Some(now);
        let busy = core::mem::take(&mut together.busy);
        if began.is_none() {
            return;
        }
        let period = Period { length: nanos(length), busy: nanos(busy) };
        let useful = accounts.iter().fold(0u64, |sum, account| sum.saturating_add(account.useful));
        let per_second = u128::from(useful) * 1_000_000_000 / u128::from(period.length.max(1));
        together.sum = u64::try_from(per_second).unwrap_or(u64::MAX);
        let before = together.without();
        let mut orders: SmallVec<[Order; MAX_PATHS]> = SmallVec::new();
        together.guard.on_window(now, &period, &accounts, &mut |order| orders.push(order));
        let after = together.without();
        if before != after {
            before.into_iter().for_each(|id| self.tell_guard(now, id, GuardAction::TrialEnded));
            after.into_iter().for_each(|id| self.tell_guard(now, id, GuardAction::TrialBegun));
        }
        orders.into_iter().for_each(|order| self.heed(now, order));
    }

    fn tell_guard(&mut self, now: Instant, id: u32, action: GuardAction) {
        self.emitter.emit(now.as_nanos(), || PathGuarded { path: id, action }.into());
        self.tell_path(PathEvent::Guard { path: PathId(id), action });
    }

    /// Does what the guard ordered, as far as the path's health lets it.
    fn heed(&mut self, now: Instant, order: Order) {
        let (id, action) = match order {
            Order::Hold(id, Reason::Harm) => (id, GuardAction::HeldHarm),
            Order::Hold(id, Reason::Floor) => (id, GuardAction::HeldFloor),
            Order::Hold(id, Reason::Trial) => (id, GuardAction::HeldTrial),
            Order::Admit(id) => (id, GuardAction::Admitted),
        };
        let Some(ix) = self.path_index(PathId(id)) else { return self.forget_guarded(PathId(id)) };
        let monitor = &mut self.paths[ix].monitor;
        let held = action != GuardAction::Admitted;
        let change = if held { monitor.hold(now) } else { monitor.readmit(now) };
        let Some(ways) = &mut self.multipath.ways else { return };
        match change {
            Ok(change) => {
                ways.together.book(id).holds += u32::from(held);
                self.tell_guard(now, id, action);
                self.on_health(now, ix, change);
            }
            Err(_) if held => ways.together.guard.on_freed(id),
            Err(_) => {}
        }
    }

    /// Copies of what others carry, on a path that is held: what it delivers of them is the evidence it comes back on.
    pub(crate) fn transmit_loaded(&mut self, now: Instant, buf: &mut [u8], max: usize) -> Option<Transmit> {
        self.begin_probe(now);
        let ways = self.multipath.ways.as_ref()?;
        let probing = ways.together.probing.filter(|probing| probing.left > 0)?;
        let room = probing.left.min(ways.budget.available());
        let ix = self.path_index(PathId(probing.path))?;
        let room = room.min(self.burst(ix));
        if room < u64::from(self.paths[ix].mtu.current()) || !self.may_load(now, ix) {
            return None;
        }
        let from = self.fullest(ix)?;
        let recent = self.paths[from].space.numbers.peek().saturating_sub(room / 1200 + 1);
        if self.copy_from(from, recent, room) == 0 {
            return None;
        }
        let first = self.paths[ix].space.numbers.peek();
        let transmit = self.transmit_batch(now, ix, buf, max, Share::Copies)?;
        let to = self.paths[ix].space.numbers.peek();
        let probing = self.multipath.ways.as_mut()?.together.probing.as_mut()?;
        if probing.sent == 0 {
            (probing.from, probing.began) = (first, now);
        }
        probing.sent += transmit.len as u64;
        probing.left = probing.left.saturating_sub(transmit.len as u64);
        (probing.to, probing.last) = (to, now);
        Some(transmit)
    }

    /// The first windows of a path that a client opened, while its address is being proven: copies of what another path has
    /// under way, as far as the address may be sent anything. Its round trip and its rate are known when it may carry data,
    /// and nothing waits for it.
    pub(crate) fn transmit_first(&mut self, now: Instant, ix: usize, buf: &mut [u8]) -> Option<Transmit> {
        let size = u64::from(MIN_MTU);
        let path = &self.paths[ix];
        if path.state != PathState::Validating || !self.side.is_server() {
            return None;
        }
        // The challenge goes first, and room is left to repeat it.
        let room = path.amplification_budget().saturating_sub(size);
        let (window, train) = (path.cc.window().saturating_sub(self.in_flight(ix)), path.cc.train() as u64);
        // What is left of the budget for copies serves the end of what is sent.
        let spare = self.multipath.ways.as_ref().map_or(0, |ways| ways.budget.available());
        let more = path.flight > 0 || train > 0 && spare > Budget::FIRST / 2;
        if !more || path.validation.wants_challenge() || room < size {
            return None;
        }
        if self.streams.backlog() < FIRST_BACKLOG || !self.may_load(now, ix) {
            return None;
        }
        let most = if train > 0 { window / size } else { u64::from(self.paths[ix].flight) };
        let count = most.min(room / size).min((self.burst(ix).max(train) / size).max(1));
        let from = self.fullest(ix)?;
        let flight = &mut self.paths[ix].flight;
        *flight = flight.saturating_sub(count as u8);
        if self.copy_from(from, 0, count * (size - OVERHEAD)) == 0 {
            return None;
        }
        self.transmit_batch(now, ix, buf, count as usize, Share::Copies)
    }

    /// The path in service, other than `ix`, that has most under way.
    fn fullest(&self, ix: usize) -> Option<usize> {
        let serves = |at: &usize| {
            let path = &self.paths[*at];
            *at != ix && path.state.is_usable() && path.health() == Health::Good
        };
        (0..self.paths.len()).filter(serves).max_by_key(|at| self.in_flight(*at))
    }

    /// Begins a train on the next held path whose time has come, while there is bulk.
    fn begin_probe(&mut self, now: Instant) {
        let bulk = self.streams.backlog() > 0;
        let Some(ways) = &mut self.multipath.ways else { return };
        if ways.together.probing.is_some() || !bulk {
            return;
        }
        let held = self.paths.iter().filter(|path| path.health() == Health::Held);
        let due = held.filter_map(|path| Some((ways.together.guard.probe_at(path.id.0)?, path)));
        let Some((_, path)) = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) else { return };
        let (id, srtt, mtu) = (path.id.0, path.rtt.smoothed(), path.mtu.current());
        let (evidence, lost) = (path.gauge.newest_rate(), path.packets_lost);
        let Some(train) = ways.together.guard.train(now, id, evidence, srtt, mtu) else { return };
        ways.together.probing = Some(Probing {
            path: id,
            left: train.bytes,
            sent: 0,
            from: 0,
            to: 0,
            lost,
            began: now,
            last: now,
            delay: 0,
        });
        self.tell_guard(now, id, GuardAction::Probed);
    }

    /// Judges a train once all of it is acknowledged or lost, or it is too late.
    fn judge_probe(&mut self, now: Instant) {
        let Some(probing) = self.multipath.ways.as_ref().and_then(|ways| ways.together.probing) else {
            return;
        };
        let Some(ix) = self.path_index(PathId(probing.path)) else { return };
        let path = &self.paths[ix];
        let sample = nanos(path.rtt.latest()).saturating_sub(nanos(path.rtt.min()));
        let waiting = path.space.sent.next_waiting(probing.from, |_| true);
        let open = waiting.is_some_and(|(pn, ..)| pn < probing.to);
        let patience = path.pto_base(Duration::ZERO) * 3 + Duration::from_secs(1);
        let late = now.saturating_since(probing.last) > patience;
        let held = path.health() == Health::Held;
        let mtu = u64::from(path.mtu.current());
        let lost = path.packets_lost.saturating_sub(probing.lost);
        let delivered = path.gauge.newest_rate();
        let Some(ways) = &mut self.multipath.ways else { return };
        let together = &mut ways.together;
        if held && !late && (probing.left >= mtu || open) {
            if let Some(probing) = &mut together.probing {
                probing.delay = probing.delay.max(sample);
            }
            return;
        }
        together.probing = None;
        if !held {
            return;
        }
        let time = nanos(probing.last.saturating_since(probing.began));
        let offered = u128::from(probing.sent) * 1_000_000_000;
        let offered = offered.checked_div(u128::from(time)).map_or(delivered, |rate| rate as u64);
        let packets = probing.to.saturating_sub(probing.from);
        let lost = if open { packets } else { lost };
        let loaded = Loaded { packets, lost, offered, delivered, delay: probing.delay.max(sample) };
        if loaded.packets > 0 && lost == 0 {
            self.paths[ix].cc.begin_again();
        }
        let (mut orders, sum): (SmallVec<[Order; 1]>, u64) = (SmallVec::new(), together.sum);
        together.guard.on_loaded(now, probing.path, &loaded, sum, &mut |order| orders.push(order));
        orders.into_iter().for_each(|order| self.heed(now, order));
    }

    /// Bytes that window and pacer let go in one go on path `ix`.
    fn burst(&self, ix: usize) -> u64 {
        let path = &self.paths[ix];
        let room = path.cc.window().saturating_sub(self.in_flight(ix));
        match self.config.pacing {
            true => {
                let burst = path.pacer.burst(path.cc.pacing_rate(&path.rtt), path.mtu.current());
                room.min(burst as u64)
            }
            false => room,
        }
    }

    /// Whether window and pacer let full packets go on path `ix` now.
    pub(crate) fn may_load(&self, now: Instant, ix: usize) -> bool {
        let in_flight = self.in_flight(ix);
        let pacing = self.config.pacing;
        let path = &self.paths[ix];
        let rate = path.cc.pacing_rate(&path.rtt);
        let departs = !pacing || path.pacer.earliest(now, rate) <= now;
        departs && in_flight + 2 * u64::from(path.mtu.current()) <= path.cc.window()
    }
}
