//! Which paths share a bottleneck, found out by experiment.
//!
//! A path rests for some milliseconds at a moment that nothing else depends on. Where another one stands in the same queue,
//! its round trips become shorter just then, and long again when the first goes on; over a link of its own they do not. Seven
//! of eight such tests make a group, two or fewer two links; what is between is asked again later, and judged with what was seen before.
//! A rest is no longer than the queue it lets drain, as far as there is one, so that the bottleneck does not run dry.
//!
//! It says who is to rest and which group a path is in. It never sends, and never asks while there is nothing to carry.

use tq_time::{Duration, Instant};

use crate::math::MS;
use crate::silence::nanos;

#[cfg(test)]
mod tests;

/// Paths that are compared at most, and pairs of them.
const MOST: usize = 8;
const PAIRS: usize = MOST * (MOST - 1) / 2;
/// Tests after which a pair is judged, hits that make a group, and hits that still are none.
const TESTS: u8 = 8;
const SHARED: u8 = 7;
const SEPARATE: u8 = 2;
/// What was not clear is judged once more after as many again: hits of all that make a group, and that still are none.
const SHARED_LATER: u8 = 12;
const SEPARATE_LATER: u8 = 6;
/// For how long a verdict stands, and from what age on a group is put to the test again.
const LIFE: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_secs(240);
/// For how long a pair that was not clear is left alone at first; twice as long each time, up to [`LIFE`].
const UNCLEAR: Duration = Duration::from_secs(5);
/// Time between two tests, and as much again is drawn: what swings by itself must not swing with them.
const PAUSE: Duration = Duration::from_millis(1000);
/// A rest, at least and at most, ns.
const LEAST_REST: u64 = 8 * MS;
const MOST_REST: u64 = 16 * MS;
/// Round trips must become shorter by this, ns, to be a hit; a standing queue is at least as long.
const DIP: u64 = 2 * MS;
/// Paths with longer round trips are left out: their tests would last for seconds.
const LONGEST: u64 = 300 * MS;
/// Acknowledgements come so much later than due, ns.
const LATE: u64 = 20 * MS;

/// A path at the moment, for this purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Path id.
    pub id: u32,
    /// Measured capacity, bytes per second; zero if it is not measured, or not past its start.
    pub rate: u64,
    /// Smoothed round trip, ns.
    pub rtt: u64,
    /// Standing queue, ns.
    pub queue: u64,
    /// It is in service, and more waits than its window lets go.
    pub busy: bool,
}

/// What comes of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Nothing on this path for so long.
    Rest(u32, Duration),
    /// Groups are others than before: ask [`Groups::of`].
    Changed,
}

/// What is known of two paths.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ids: (u32, u32),
    hits: u8,
    misses: u8,
    shared: bool,
    /// Until when what was found stands, or nothing more is asked.
    until: Option<Instant>,
    /// For how long they are left alone if it is not clear again.
    rest: Duration,
}

impl Default for Pair {
    fn default() -> Self {
        Self { ids: (0, 0), hits: 0, misses: 0, shared: false, until: None, rest: UNCLEAR }
    }
}

impl Pair {
    /// Whether another test would tell something.
    fn is_open(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| self.shared && now + (LIFE - AGAIN) >= until)
    }

    /// Takes a test's outcome; says whether the pair is, or is not, a group since.
    fn on_test(&mut self, now: Instant, hit: bool) -> bool {
        self.hits += u8::from(hit);
        self.misses += u8::from(!hit);
        let before = self.shared;
        let done = self.hits + self.misses;
        let (tests, shared, separate) = match done > TESTS {
            true => (2 * TESTS, SHARED_LATER, SEPARATE_LATER),
            false => (TESTS, SHARED, SEPARATE),
        };
        if self.hits >= shared {
            (self.shared, self.until, self.rest) = (true, Some(now + LIFE), UNCLEAR);
        } else if self.misses >= tests - separate {
            (self.shared, self.until, self.rest) = (false, Some(now + LIFE), UNCLEAR);
        } else if done >= tests {
            (self.shared, self.until) = (false, Some(now + self.rest));
            self.rest = (self.rest * 2).min(LIFE);
        } else {
            return false;
        }
        if self.until.is_some_and(|until| until >= now + LIFE) || done > TESTS {
            (self.hits, self.misses) = (0, 0);
        }
        before != self.shared
    }
}

/// Shortest round trips of a path in the three parts of a test, by when packets left, ns.
#[derive(Clone, Copy, Debug)]
struct Watch {
    id: u32,
    least: [u64; 3],
    /// What the dip would be if the queue were shared, ns.
    due: u64,
}

/// A test under way.
#[derive(Clone, Copy, Debug)]
struct Test {
    path: u32,
    rest: Duration,
    began: Instant,
    /// When it rested; before that what is usual is looked at.
    rested: Option<Instant>,
    /// Longest round trip of those that take part.
    rtt: Duration,
    watched: [Watch; MOST],
    len: u8,
}

impl Test {
    /// Length of each of its three parts: whatever the ways to and from the bottleneck, the dip is in the second.
    fn part(&self) -> Duration {
        self.rtt + self.rtt / 2 + self.rest * 2
    }

    /// When the second part begins, by packets of others: their way to the bottleneck may be the longer one.
    fn second(&self) -> Option<Instant> {
        self.rested.map(|at| at - self.rtt / 2)
    }

    /// When the third begins. The path makes up for its rest at a quarter more than it carries.
    fn third(&self) -> Option<Instant> {
        self.second().map(|at| at + self.part() + self.rest * 4)
    }

    fn on_sample(&mut self, id: u32, sent_at: Instant, rtt: u64) {
        let part = self.part();
        let within =
            |from: Option<Instant>| from.is_some_and(|from| sent_at >= from && sent_at < from + part);
        let Some(at) = [Some(self.began), self.second(), self.third()].into_iter().position(within) else {
            return;
        };
        let watched = &mut self.watched[..usize::from(self.len)];
        if let Some(watch) = watched.iter_mut().find(|watch| watch.id == id) {
            watch.least[at] = watch.least[at].min(rtt);
        }
    }
}

impl Watch {
    /// Whether round trips were shorter in the middle than before and after, by no more than a rest drains; `None` if there
    /// are none of some part, or if those before and after are further apart than that: the queue filled or drained meanwhile.
    fn dipped(&self, rest: Duration) -> Option<bool> {
        let [before, during, after] = self.least;
        if before.max(during).max(after) == u64::MAX {
            return None;
        }
        if before.abs_diff(after) > nanos(rest) {
            return None;
        }
        let dip = before.min(after).saturating_sub(during);
        Some(dip >= DIP.max(self.due / 3) && dip <= nanos(rest) + DIP)
    }
}

/// The bottlenecks of one connection, in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Groups {
    pairs: [Pair; PAIRS],
    len: u8,
    /// Path and group, of paths that are in one.
    labels: [(u32, u32); MOST],
    labelled: u8,
    test: Option<Test>,
    next: Option<Instant>,
    /// Who rested last: others first.
    last: Option<u32>,
}

impl Groups {
    /// Group of a path, as in [`crate::PathView::group`]: zero if it shares its bottleneck with none that is known.
    pub fn of(&self, id: u32) -> u32 {
        let labels = &self.labels[..usize::from(self.labelled)];
        labels.iter().find(|(path, _)| *path == id).map_or(0, |(_, group)| *group)
    }

    /// Whether a test is under way: acknowledgements are not to wait. One packet brings those of several paths, so that
    /// without what a resting path has acknowledged those of others come later, and less of them is under way: a dip as well.
    pub fn is_testing(&self) -> bool {
        self.test.is_some()
    }

    /// A packet of a path that left at `sent_at` took `rtt`, there and back by the same way as all of its samples.
    pub fn on_sample(&mut self, id: u32, sent_at: Instant, rtt: Duration) {
        if let Some(test) = &mut self.test {
            test.on_sample(id, sent_at, nanos(rtt));
        }
    }

    /// A path is gone, or leads elsewhere: what was found about it is void. Says whether a group was.
    pub fn forget(&mut self, id: u32) -> bool {
        let len = usize::from(self.len);
        let mut kept = 0;
        for at in 0..len {
            let pair = self.pairs[at];
            if pair.ids.0 != id && pair.ids.1 != id {
                self.pairs[kept] = pair;
                kept += 1;
            }
        }
        self.len = kept as u8;
        // Others may be told about it, but their round trips change with its.
        self.test = None;
        self.relabel()
    }

    /// Looks at the paths; to be called each 10 ms or so while there is something to carry.
    pub fn look(&mut self, now: Instant, flows: &[Flow]) -> Option<Sought> {
        if self.expire(now) {
            return Some(Sought::Changed);
        }
        let Some(test) = self.test else {
            self.begin(now, flows);
            return None;
        };
        let flow = |id: u32| flows.iter().find(|flow| flow.id == id);
        match test.third() {
            None if now < test.began + test.part() + test.rtt / 2 => None,
            None => {
                let willing = flow(test.path).is_some_and(|flow| flow.busy);
                let seen = test.watched[..usize::from(test.len)].iter();
                let seen = seen.filter(|watch| flow(watch.id).is_some_and(|flow| flow.queue >= DIP)).count();
                if !willing || seen == 0 {
                    self.test = None;
                    return None;
                }
                self.test = Some(Test { rested: Some(now), ..test });
                Some(Sought::Rest(test.path, test.rest))
            }
            Some(third) if now < third + test.part() + test.rtt + Duration::from_nanos(LATE) => None,
            Some(_) => {
                self.test = None;
                self.judge(now, &test, flows).then_some(Sought::Changed)
            }
        }
    }

    /// Verdicts end. Says whether a group did.
    fn expire(&mut self, now: Instant) -> bool {
        let mut given_up = false;
        for pair in &mut self.pairs[..usize::from(self.len)] {
            if pair.until.is_some_and(|until| until <= now) {
                given_up |= pair.shared;
                let (hits, misses) = if pair.shared { (0, 0) } else { (pair.hits, pair.misses) };
                *pair = Pair { ids: pair.ids, rest: pair.rest, hits, misses, ..Pair::default() };
            }
        }
        given_up && self.relabel()
    }

    /// The pair of two paths, made if there is room.
    fn pair(&mut self, one: u32, other: u32) -> Option<&mut Pair> {
        let ids = (one.min(other), one.max(other));
        let len = usize::from(self.len);
        let at = match self.pairs[..len].iter().position(|pair| pair.ids == ids) {
            Some(at) => at,
            None if len < PAIRS => {
                self.pairs[len] = Pair { ids, ..Pair::default() };
                self.len += 1;
                len
            }
            None => return None,
        };
        Some(&mut self.pairs[at])
    }

    /// Begins a test if it is time and somebody has to be asked.
    fn begin(&mut self, now: Instant, flows: &[Flow]) {
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let ready = |flow: &&Flow| flow.busy && flow.rate > 0 && flow.rtt > 0 && flow.rtt <= LONGEST;
        let flows = || flows.iter().filter(ready).take(MOST);
        let mut best: Option<(usize, Flow)> = None;
        for flow in flows() {
            let asked = flows().filter(|other| self.tells(now, flow, other)).count();
            let better = |than: &(usize, Flow)| {
                (asked, self.last != Some(flow.id)) > (than.0, self.last != Some(than.1.id))
            };
            if asked > 0 && best.as_ref().is_none_or(better) {
                best = Some((asked, *flow));
            }
        }
        self.next = Some(now + PAUSE + PAUSE * draw(now) / 1024);
        let Some((_, path)) = best else { return };
        let rest = path.queue.clamp(LEAST_REST, MOST_REST);
        let none = Watch { id: 0, least: [u64::MAX; 3], due: 0 };
        let mut test = Test {
            path: path.id,
            rest: Duration::from_nanos(rest),
            began: now,
            rested: None,
            rtt: Duration::from_nanos(path.rtt),
            watched: [none; MOST],
            len: 0,
        };
        for other in flows().filter(|other| self.tells(now, &path, other)) {
            let due =
                u128::from(rest) * u128::from(path.rate) / u128::from(path.rate.saturating_add(other.rate));
            let watch = Watch { id: other.id, due: u64::try_from(due).unwrap_or(rest), ..none };
            test.watched[usize::from(test.len)] = watch;
            test.len += 1;
            test.rtt = test.rtt.max(Duration::from_nanos(other.rtt));
        }
        // Two round trips until acknowledgements come as they are asked for, and windows are full of them.
        test.began = now + test.rtt * 2;
        self.last = Some(path.id);
        self.test = Some(test);
    }

    /// Whether a rest of `path` would tell something of `other`: the pair is open, there is a queue to see, and the rest is
    /// large enough beside what the other carries.
    fn tells(&self, now: Instant, path: &Flow, other: &Flow) -> bool {
        let ids = (path.id.min(other.id), path.id.max(other.id));
        let pair = self.pairs[..usize::from(self.len)].iter().find(|pair| pair.ids == ids);
        path.id != other.id
            && other.queue >= DIP
            && path.rate.saturating_mul(2) >= other.rate
            && pair.is_none_or(|pair| pair.is_open(now))
    }

    /// A test is over. Says whether groups changed.
    fn judge(&mut self, now: Instant, test: &Test, flows: &[Flow]) -> bool {
        let mut changed = false;
        for watch in &test.watched[..usize::from(test.len)] {
            let busy = flows.iter().any(|flow| flow.id == watch.id && flow.busy);
            let Some(hit) = watch.dipped(test.rest).filter(|_| busy) else { continue };
            changed |= self.pair(test.path, watch.id).is_some_and(|pair| pair.on_test(now, hit));
        }
        changed && self.relabel()
    }

    /// Works out groups from pairs: who shares with one of a group is in it. Says whether any label changed.
    fn relabel(&mut self) -> bool {
        let before = (self.labels, self.labelled);
        self.labelled = 0;
        for at in 0..usize::from(self.len) {
            let Pair { ids: (one, other), shared: true, .. } = self.pairs[at] else { continue };
            let (group, joined) = match (self.of(one), self.of(other)) {
                (0, 0) => (one + 1, 0),
                (0, group) | (group, 0) => (group, 0),
                (group, joined) => (group, joined),
            };
            let labels = &mut self.labels[..usize::from(self.labelled)];
            labels.iter_mut().filter(|(_, of)| *of == joined).for_each(|label| label.1 = group);
            for id in [one, other] {
                if self.of(id) == 0 && usize::from(self.labelled) < MOST {
                    self.labels[usize::from(self.labelled)] = (id, group);
                    self.labelled += 1;
                }
            }
        }
        self.labels[usize::from(self.labelled)..].fill((0, 0));
        before != (self.labels, self.labelled)
    }
}

/// A part of one that nothing else follows, in 1024ths.
fn draw(now: Instant) -> u32 {
    (now.as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as u32
}
