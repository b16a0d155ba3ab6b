//! Experiments: the same bulk with and without a path, when accounts say nothing clear about it.
//!
//! A path is left out for one window that is thrown away and one that counts; the window before is what it is held
//! against. One such pair at a time, once all of them with it stay below 2 % of the time in bulk: a minute and a half at
//! the earliest. What is over sooner is left alone: two seconds without a link of a tenth would be a fiftieth of ten.

use tq_time::Duration;

use super::Account;

/// The shortest and the longest time between answers that stay the same.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);
/// Time without a path, one part in so many of the time in bulk.
const SHARE: u32 = 50;
/// A path with less of the sum is worth a question, percent.
const SMALL: u64 = 10;
/// Pairs an answer takes, and pairs after which there is none.
const PAIRS: u8 = 3;
const MOST_PAIRS: u8 = 6;
/// Mean difference that counts, per mille.
const CLEAR: i64 = 30;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    With,
    /// The window has data in it that left before.
    Settling,
    Without,
}

/// The experiment of a connection: on one path at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trial {
    phase: Phase,
    /// The path in question.
    path: Option<u32>,
    /// Asked last.
    last: Option<u32>,
    /// What all brought in the last window with all of them.
    with: u64,
    pairs: u8,
    /// Pairs in which it went better without the path, and the sum of differences, per mille.
    better: u8,
    total: i64,
    bulk: Duration,
    spent: Duration,
    interval: Duration,
    rest: Duration,
}

impl Trial {
    pub(super) fn without(&self) -> Option<u32> {
        self.path.filter(|_| self.phase != Phase::With)
    }

    pub(super) fn forget(&mut self, id: u32) {
        if self.path == Some(id) {
            self.reset();
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Self { last: self.last, bulk: self.bulk, spent: self.spent, ..Self::default() };
    }

    /// The backlog ended: a pair that was begun says nothing.
    pub(super) fn on_idle(&mut self) {
        (self.phase, self.with) = (Phase::With, 0);
    }

    /// A window of `length` brought `sum` bytes per second. Tells a path that is better left out.
    pub(super) fn on_window(&mut self, length: Duration, sum: u64, accounts: &[Account]) -> Option<u32> {
        self.bulk += length;
        match self.phase {
            Phase::With => {
                self.with = sum;
                self.rest = self.rest.saturating_sub(length);
                self.begin(length, accounts);
                None
            }
            Phase::Settling => {
                self.spent += length;
                self.phase = Phase::Without;
                None
            }
            Phase::Without => {
                self.spent += length;
                self.phase = Phase::With;
                self.judge(sum)
            }
        }
    }

    fn begin(&mut self, length: Duration, accounts: &[Account]) {
        if !self.rest.is_zero() || self.spent + length * 2 > self.bulk / SHARE {
            return;
        }
        let serving = || accounts.iter().filter(|account| account.serving);
        let all = serving().fold(0u64, |sum, account| sum.saturating_add(account.useful));
        let small = |account: &&Account| {
            let whole = account.whole(accounts);
            !whole.fresh && whole.useful.saturating_mul(100) < all.saturating_mul(SMALL)
        };
        if self.path.is_none_or(|id| !serving().any(|account| account.id == id)) {
            let after = |id: u32| self.last.is_none_or(|last| id > last);
            let next = serving().filter(small).map(|account| account.id);
            self.path = next.clone().filter(|id| after(*id)).min().or_else(|| next.min());
            (self.pairs, self.better, self.total) = (0, 0, 0);
        }
        let asked = self.path.and_then(|id| serving().find(|account| account.id == id));
        if asked.is_some_and(|asked| serving().any(|account| !account.is_with(asked))) {
            self.phase = Phase::Settling;
        }
    }

    fn judge(&mut self, without: u64) -> Option<u32> {
        let with = i64::try_from(self.with.max(1)).unwrap_or(i64::MAX);
        let more = i64::try_from(without).unwrap_or(i64::MAX).saturating_sub(with);
        self.pairs += 1;
        self.better += u8::from(more > 0);
        self.total += more.saturating_mul(1000).saturating_div(with).clamp(-1000, 1000);
        let mean = self.total / i64::from(self.pairs);
        let worse = self.better == self.pairs && mean > CLEAR;
        let fine = self.better == 0 && mean < -CLEAR;
        if self.pairs < PAIRS || !(worse || fine || self.pairs >= MOST_PAIRS) {
            return None;
        }
        let path = self.path.take();
        self.last = path;
        self.interval = (self.interval * 2).clamp(SHORTEST, LONGEST);
        self.rest = self.interval;
        if worse {
            self.interval = Duration::ZERO;
        }
        path.filter(|_| worse)
    }
}
