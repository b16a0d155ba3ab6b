//! Whether the bond is faster with a path than without it: the slow loops behind the backlog rule.
//!
//! Accounts of windows come in, orders to hold a path or to take it back come out. Three ways to a hold: a path costs the
//! others more than it brings, all together bring less than the best of them could alone, or an experiment without it
//! went better. Paths behind one bottleneck are weighed as one: what one of them does not carry another does, so that each
//! alone would look as if it harmed the others. A held path comes back on evidence under load only ([`ladder`]). It never
//! sends and never counts; windows without a backlog say nothing.

use tq_time::{Duration, Instant};

use crate::math::{SECOND, div};
use crate::view::MAX_PATHS;

mod ladder;
#[cfg(test)]
mod tests;
mod trial;

use ladder::Ladder;
pub use ladder::{Loaded, Train};
use trial::Trial;

/// Share of a window that must have had a backlog, percent.
const BUSY: u64 = 90;
/// A path whose harm exceeds its use by this much of the best capacity is held, per mille.
const HARM: u64 = 20;
/// Below this share of all capacities a path with more harm than use is held, per mille.
const TINY: u64 = 5;
/// All together bring less than this of the best alone: breach, per mille.
const FLOOR: u64 = 970;
/// The best alone has to bring this much more for the breach to be confirmed, per mille.
const CONFIRMED: u64 = 1020;
/// Windows in a row a verdict takes.
const AGREE: u8 = 2;
/// How long what the best path did alone stands for its capacity.
const CEILING_LIFE: Duration = Duration::from_secs(60);

/// What one path did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Path id.
    pub id: u32,
    /// Paths with the same number share a bottleneck and are weighed as one; zero is one by itself.
    pub group: u32,
    /// Bytes acknowledged on it that had not gone elsewhere as well.
    pub useful: u64,
    /// Bytes outstanding on it that went again elsewhere though they were not lost.
    pub copied: u64,
    /// Bytes the others could have carried while data on this path kept everything from being sent.
    pub blocked: u64,
    /// Capacity, bytes per second; zero unless measured in the last 10 s.
    pub capacity: u64,
    /// It carries bulk: good or in probation, and not held.
    pub serving: bool,
    /// It was opened or came back a moment ago: that it brought little says nothing yet.
    pub fresh: bool,
}

impl Account {
    /// Whether both stand for one bottleneck.
    fn is_with(&self, other: &Self) -> bool {
        self.id == other.id || self.group != 0 && self.group == other.group
    }

    /// What it and those that share its bottleneck did together; its own id.
    fn whole(&self, accounts: &[Self]) -> Self {
        let empty = Self { id: self.id, group: self.group, ..Self::default() };
        accounts.iter().filter(|account| account.is_with(self)).fold(empty, |sum, one| Self {
            useful: sum.useful.saturating_add(one.useful),
            copied: sum.copied.saturating_add(one.copied),
            blocked: sum.blocked.saturating_add(one.blocked),
            capacity: sum.capacity.saturating_add(one.capacity),
            serving: sum.serving || one.serving,
            fresh: sum.fresh || one.fresh,
            ..sum
        })
    }
}

/// A window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Its length, ns.
    pub length: u64,
    /// For how much of it there was a backlog, ns.
    pub busy: u64,
}

/// Why a path is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// It kept others from sending, or made them send twice, more than it brought.
    Harm = 0,
    /// All together brought less than the best path could alone.
    Floor = 1,
    /// An experiment without it went better.
    Trial = 2,
}

impl Reason {
    /// Short lower-case name, as in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Harm => "harm",
            Self::Floor => "floor",
            Self::Trial => "trial",
        }
    }
}

/// What to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Take it out of bulk service.
    Hold(u32, Reason),
    /// Take it back, on probation.
    Admit(u32),
}

/// What is remembered of a path.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    id: u32,
    /// Windows in a row in which it did harm.
    harmful: u8,
    held: bool,
    /// Held for the floor and not yet confirmed.
    suspended: bool,
    ladder: Ladder,
    /// What it brought alone, and until when that is believed.
    ceiling: Option<(u64, Instant)>,
    /// Its capacity when the window began.
    capacity: u64,
}

/// Watching whether the floor was breached.
#[derive(Clone, Copy, Debug, Default)]
enum Floor {
    /// Windows in a row below it.
    #[default]
    Kept,
    Below(u8),
    /// All but one path are suspended; what came before, windows so far, what they brought.
    Asking {
        best: u32,
        before: u64,
        windows: u8,
        sum: u64,
    },
}

/// The guard of one connection, in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guard {
    slots: [Slot; MAX_PATHS],
    len: u8,
    floor: Floor,
    trial: Trial,
}

impl Guard {
    /// Length of a window over paths of which the slowest takes `rtt_max`: max(1 s, four round trips).
    pub fn window(rtt_max: Duration) -> Duration {
        (rtt_max * 4).max(Duration::from_secs(1))
    }

    /// The path an experiment does without at present: nothing new goes on it, nor on those that share its bottleneck.
    pub fn without(&self) -> Option<u32> {
        self.trial.without()
    }

    /// Whether a path is held.
    pub fn holds(&self, id: u32) -> bool {
        self.slot(id).is_some_and(|slot| slot.held)
    }

    /// Whether a path carries bulk, what was ordered in this window considered.
    fn serves(&self, account: &Account) -> bool {
        account.serving && !self.holds(account.id)
    }

    /// Whether something serves that shares no bottleneck with a path.
    fn has_other(&self, accounts: &[Account], than: &Account) -> bool {
        accounts.iter().any(|account| !account.is_with(than) && self.serves(account))
    }

    fn known(&self) -> &[Slot] {
        &self.slots[..usize::from(self.len)]
    }

    fn slot(&self, id: u32) -> Option<&Slot> {
        self.known().iter().find(|slot| slot.id == id)
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots[..usize::from(self.len)].iter_mut().find(|slot| slot.id == id)
    }

    fn enter(&mut self, id: u32) {
        if self.slot(id).is_none() && usize::from(self.len) < MAX_PATHS {
            self.slots[usize::from(self.len)] = Slot { id, ..Slot::default() };
            self.len += 1;
        }
    }

    /// A path is gone.
    pub fn forget(&mut self, id: u32) {
        let len = usize::from(self.len);
        if let Some(at) = self.known().iter().position(|slot| slot.id == id) {
            self.slots.copy_within(at + 1..len, at);
            self.len -= 1;
        }
        self.trial.forget(id);
        if matches!(self.floor, Floor::Asking { best, .. } if best == id) {
            self.floor = Floor::Kept;
        }
    }

    /// A path's link changed, or it went out: what was learnt about it is old.
    pub fn on_change(&mut self, id: u32) {
        if let Some(slot) = self.slot_mut(id) {
            let held = slot.held;
            *slot = Slot { id, held, ladder: slot.ladder, ..Slot::default() };
            slot.ladder.hurry();
        }
        self.trial.reset();
    }

    /// A window is over. Windows with too little backlog only end what was going on.
    pub fn on_window(
        &mut self,
        now: Instant,
        period: &Period,
        accounts: &[Account],
        act: &mut impl FnMut(Order),
    ) {
        let accounts = &accounts[..accounts.len().min(MAX_PATHS)];
        accounts.iter().for_each(|account| self.enter(account.id));
        let busy = period.busy.saturating_mul(100) >= period.length.saturating_mul(BUSY);
        let asking = matches!(self.floor, Floor::Asking { .. });
        let steady = self.steady(accounts);
        if !busy || period.length == 0 {
            self.slots.iter_mut().for_each(|slot| slot.harmful = 0);
            self.trial.on_idle();
            match asking {
                true => self.lift(now, None, act),
                false => self.floor = Floor::Kept,
            }
            return;
        }
        let length = Duration::from_nanos(period.length);
        let useful = accounts.iter().fold(0u64, |sum, account| sum.saturating_add(account.useful));
        let sum = rate(useful, period.length);
        if !asking {
            self.weigh_harm(now, accounts, period, act);
        }
        let trying = self.trial.without().is_some();
        if !trying {
            self.weigh_floor(now, &steady[..accounts.len()], sum, act);
        }
        if matches!(self.floor, Floor::Kept) {
            let verdict = self.trial.on_window(length, sum, accounts);
            if let Some(id) = verdict
                && let Some(account) = accounts.iter().find(|account| account.id == id)
                && self.has_other(accounts, account)
            {
                let all = accounts.iter().filter(|one| one.is_with(account) && one.serving);
                all.for_each(|one| self.hold(now, one.id, Reason::Trial, act));
            }
        }
    }

    /// The accounts with what paths can be held to: no more than before the window and no more than after it. A start, and
    /// a link that was reduced meanwhile, is nobody else's harm.
    fn steady(&mut self, accounts: &[Account]) -> [Account; MAX_PATHS] {
        let mut steady = [Account::default(); MAX_PATHS];
        for (steady, account) in steady.iter_mut().zip(accounts) {
            let before = self
                .slot_mut(account.id)
                .map(|slot| core::mem::replace(&mut slot.capacity, account.capacity));
            *steady = Account { capacity: account.capacity.min(before.unwrap_or(0)), ..*account };
        }
        steady
    }

    fn weigh_harm(
        &mut self,
        now: Instant,
        accounts: &[Account],
        period: &Period,
        act: &mut impl FnMut(Order),
    ) {
        let most = accounts.iter().map(|account| account.whole(accounts).capacity).max().unwrap_or(0);
        let all: u64 = accounts.iter().fold(0, |sum, account| sum.saturating_add(account.capacity));
        for account in accounts {
            let whole = account.whole(accounts);
            let useful = rate(whole.useful, period.length);
            let harm = rate(whole.blocked.saturating_add(whole.copied), period.length);
            let others = self.has_other(accounts, account);
            let bad = harm.saturating_sub(useful) > per_mille(most, HARM)
                || useful < per_mille(all, TINY) && harm > useful;
            let Some(slot) = self.slot_mut(account.id) else { continue };
            slot.harmful = if bad && account.serving { slot.harmful.saturating_add(1) } else { 0 };
            slot.ladder.on_window(now, account.serving);
            if slot.harmful >= AGREE && others {
                slot.harmful = 0;
                self.hold(now, account.id, Reason::Harm, act);
            }
        }
    }

    fn weigh_floor(&mut self, now: Instant, accounts: &[Account], sum: u64, act: &mut impl FnMut(Order)) {
        match self.floor {
            Floor::Asking { best, before, windows, sum: so_far } => {
                let windows = windows + 1;
                // The first has data of before in it.
                let so_far = if windows == 1 { 0 } else { so_far.saturating_add(sum) };
                if windows <= AGREE {
                    self.floor = Floor::Asking { best, before, windows, sum: so_far };
                    return;
                }
                let alone = so_far / u64::from(AGREE);
                let confirmed = alone > per_mille(before, CONFIRMED);
                self.lift(now, Some((best, alone, confirmed)), act);
            }
            Floor::Kept | Floor::Below(_) => {
                let serves = |account: &&Account| self.serves(account);
                let serving = || accounts.iter().filter(serves);
                let capacity = |account: &Account| {
                    let whole = account.whole(accounts).capacity;
                    let ceiling = self.slot(account.id).and_then(|slot| slot.ceiling);
                    ceiling.filter(|(_, until)| *until > now).map_or(whole, |(most, _)| most.min(whole))
                };
                let best = serving().max_by_key(|account| (capacity(account), account.id));
                let Some(best) = best.filter(|best| self.has_other(accounts, best)) else {
                    self.floor = Floor::Kept;
                    return;
                };
                let below = if let Floor::Below(windows) = self.floor { windows } else { 0 };
                if sum >= per_mille(capacity(best), FLOOR) {
                    self.floor = Floor::Kept;
                } else if below + 1 < AGREE {
                    self.floor = Floor::Below(below + 1);
                } else {
                    self.floor = Floor::Asking { best: best.id, before: sum, windows: 0, sum: 0 };
                    for account in accounts.iter().filter(|account| !account.is_with(best)) {
                        if self.serves(account) {
                            self.hold(now, account.id, Reason::Floor, act);
                            self.slot_mut(account.id).into_iter().for_each(|slot| slot.suspended = true);
                        }
                    }
                }
            }
        }
    }

    /// The question whether the best path is faster alone is over: answered or void.
    fn lift(&mut self, now: Instant, answer: Option<(u32, u64, bool)>, act: &mut impl FnMut(Order)) {
        self.floor = Floor::Kept;
        let confirmed = answer.is_some_and(|(.., confirmed)| confirmed);
        for slot in &mut self.slots[..usize::from(self.len)] {
            if core::mem::take(&mut slot.suspended) && !confirmed && slot.held {
                slot.held = false;
                slot.ladder.forgive();
                act(Order::Admit(slot.id));
            }
        }
        if let Some((best, alone, false)) = answer
            && let Some(slot) = self.slot_mut(best)
        {
            slot.ceiling = Some((alone, now + CEILING_LIFE));
        }
    }

    fn hold(&mut self, now: Instant, id: u32, reason: Reason, act: &mut impl FnMut(Order)) {
        if let Some(slot) = self.slot_mut(id)
            && !slot.held
        {
            slot.held = true;
            slot.ladder.hold(now);
            act(Order::Hold(id, reason));
        }
    }

    /// The path is not held after all: it went out, or the caller could not.
    pub fn on_freed(&mut self, id: u32) {
        if let Some(slot) = self.slot_mut(id) {
            (slot.held, slot.suspended) = (false, false);
        }
    }

    /// When the next train of copies is to go over a held path; `None` if it is not held or is suspended only.
    pub fn probe_at(&self, id: u32) -> Option<Instant> {
        let slot = self.slot(id).filter(|slot| slot.held && !slot.suspended)?;
        Some(slot.ladder.next())
    }

    /// A train of copies for a held path goes out now; `evidence` is the rate it last showed, `srtt` its round trip.
    pub fn train(&mut self, now: Instant, id: u32, evidence: u64, srtt: Duration, mtu: u16) -> Option<Train> {
        let slot = self.slot_mut(id).filter(|slot| slot.held)?;
        Some(slot.ladder.train(now, evidence, srtt, mtu))
    }

    /// How a train over a held path went; all paths together bring `sum` bytes per second now.
    pub fn on_loaded(
        &mut self,
        now: Instant,
        id: u32,
        loaded: &Loaded,
        sum: u64,
        act: &mut impl FnMut(Order),
    ) {
        let Some(slot) = self.slot_mut(id).filter(|slot| slot.held && !slot.suspended) else { return };
        if slot.ladder.on_loaded(now, loaded, sum) {
            slot.held = false;
            act(Order::Admit(id));
        }
    }
}

/// Bytes of a window as bytes per second.
fn rate(bytes: u64, length: u64) -> u64 {
    div(u128::from(bytes) * u128::from(SECOND), u128::from(length.max(1)))
}

fn per_mille(value: u64, part: u64) -> u64 {
    div(u128::from(value) * u128::from(part), 1000)
}
