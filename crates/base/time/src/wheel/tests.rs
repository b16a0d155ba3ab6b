//! The wheel against a sorted list of deadlines.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const TICK: u64 = 1 << 14;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn pop_all(wheel: &mut Wheel, now: u64) -> Vec<u32> {
    core::iter::from_fn(|| wheel.pop(at(now))).collect()
}

#[test]
fn a_key_is_due_at_its_very_nanosecond() {
    let mut wheel = Wheel::new();
    wheel.insert(7, at(5 * TICK + 3));
    assert_eq!(wheel.next(), Some(at(5 * TICK + 3)));
    assert_eq!(wheel.pop(at(5 * TICK + 2)), None);
    assert_eq!(wheel.pop(at(5 * TICK + 3)), Some(7));
    assert_eq!((wheel.pop(at(6 * TICK)), wheel.next(), wheel.len()), (None, None, 0));
}

#[test]
fn inserting_again_moves_and_removing_forgets() {
    let mut wheel = Wheel::default();
    wheel.insert(1, at(TICK));
    wheel.insert(1, at(100 * TICK));
    wheel.insert(2, at(50 * TICK));
    assert_eq!((wheel.len(), wheel.at(1)), (2, Some(at(100 * TICK))));
    wheel.remove(2);
    wheel.remove(2);
    wheel.remove(9);
    assert_eq!((wheel.len(), wheel.at(2), wheel.at(9)), (1, None, None));
    assert_eq!(pop_all(&mut wheel, 99 * TICK), []);
    assert_eq!(pop_all(&mut wheel, 100 * TICK), [1]);
    assert!(wheel.is_empty());
}

#[test]
fn keys_of_one_moment_leave_in_the_order_they_came() {
    let mut wheel = Wheel::new();
    for key in 0..100 {
        wheel.insert(key, at(1_000_000_000));
    }
    assert!(pop_all(&mut wheel, 1_000_000_000).into_iter().eq(0..100));
}

#[test]
fn a_deadline_in_the_past_is_due_now() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.pop(at(1000 * TICK)), None);
    wheel.insert(3, at(5));
    assert_eq!(wheel.next(), Some(at(5)));
    assert_eq!(wheel.pop(at(1000 * TICK)), Some(3));
}

#[test]
fn a_clock_that_steps_back_pops_nothing_early() {
    let mut wheel = Wheel::new();
    wheel.pop(at(1000 * TICK));
    wheel.insert(1, at(500 * TICK));
    wheel.insert(2, at(1000 * TICK));
    assert_eq!(pop_all(&mut wheel, 400 * TICK), []);
    assert_eq!(pop_all(&mut wheel, 600 * TICK), [1]);
    assert_eq!(pop_all(&mut wheel, 1000 * TICK), [2]);
}

#[test]
fn a_far_deadline_wakes_the_host_at_most_once_per_level() {
    for nanos in [1, TICK, 1_000_000, 30_000_000_000, 1 << 50, (1 << 62) - 1] {
        let mut wheel = Wheel::new();
        wheel.insert(0, at(nanos));
        let mut wakes = 0;
        loop {
            let next = wheel.next().unwrap();
            wakes += 1;
            if wheel.pop(next).is_some() {
                assert_eq!(next, at(nanos));
                break;
            }
        }
        assert!(wakes <= LEVELS, "{wakes} wakes for {nanos} ns");
    }
}

#[test]
fn what_is_beyond_all_levels_waits_and_comes_down() {
    let mut wheel = Wheel::with_tick(0);
    let epoch = 1 << 48;
    for key in 0..4u32 {
        wheel.insert(key, at(u64::from(key) * epoch + 17));
    }
    wheel.insert(4, Instant::MAX);
    for key in 0..4u32 {
        assert_eq!(pop_all(&mut wheel, u64::from(key) * epoch + 16), []);
        assert_eq!(pop_all(&mut wheel, u64::from(key) * epoch + 17), [key]);
    }
    assert!(wheel.next().is_some_and(|next| next < Instant::MAX));
    assert_eq!(pop_all(&mut wheel, u64::MAX - 1), []);
    assert_eq!(pop_all(&mut wheel, u64::MAX), [4]);
}

#[test]
fn the_reserved_key_is_ignored() {
    let mut wheel = Wheel::new();
    wheel.insert(u32::MAX, at(1));
    wheel.remove(u32::MAX);
    assert_eq!((wheel.len(), wheel.next(), wheel.at(u32::MAX)), (0, None, None));
}

#[test]
fn memory_is_that_of_the_largest_key() {
    let mut wheel = Wheel::new();
    for round in 0..10_000u64 {
        wheel.insert((round % 64) as u32, at(round * 999_999));
    }
    assert_eq!(wheel.entries.len(), 64);
    assert_eq!(size_of::<Entry>(), 24);
}

#[derive(Clone, Debug)]
enum Step {
    /// Key and distance from now; negative is in the past.
    Insert(u32, i64),
    Remove(u32),
    /// Time passes.
    Pass(u64),
    /// Time passes until `next` says.
    Sleep,
}

/// Distances of every magnitude.
fn distance() -> impl Strategy<Value = u64> {
    (0..63u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..40u32, distance()).prop_map(|(key, far)| Step::Insert(key, far as i64)),
        1 => (0..40u32, 0..1_000_000i64).prop_map(|(key, ago)| Step::Insert(key, -ago)),
        2 => (0..40u32).prop_map(Step::Remove),
        3 => distance().prop_map(Step::Pass),
        4 => Just(Step::Sleep),
    ]
}

/// Deadlines by key, and sorted.
#[derive(Default)]
struct Model {
    by_key: BTreeMap<u32, u64>,
    sorted: BTreeSet<(u64, u32)>,
}

impl Model {
    fn remove(&mut self, key: u32) -> Option<u64> {
        let nanos = self.by_key.remove(&key)?;
        self.sorted.remove(&(nanos, key));
        Some(nanos)
    }

    fn insert(&mut self, key: u32, nanos: u64) {
        self.remove(key);
        self.by_key.insert(key, nanos);
        self.sorted.insert((nanos, key));
    }

    fn min(&self) -> Option<u64> {
        self.sorted.first().map(|(nanos, _)| *nanos)
    }
}

/// Pops all that is due at `now` and compares.
fn pop_and_compare(wheel: &mut Wheel, model: &mut Model, now: u64) {
    let (shift, before) = (wheel.shift, wheel.present);
    let mut tick = before;
    while let Some(key) = wheel.pop(at(now)) {
        let nanos = model.remove(key).expect("the wheel gives what was inserted");
        assert!(nanos <= now);
        assert_eq!(wheel.present, (nanos >> shift).max(before));
        assert!(wheel.present >= tick);
        tick = wheel.present;
    }
    assert!(model.min().is_none_or(|nanos| nanos > now));
}

/// `next` is a lower bound, exact where level 0 reaches.
fn compare_next(wheel: &Wheel, model: &Model) {
    let Some(min) = model.min() else { return assert_eq!(wheel.next(), None) };
    let next = wheel.next().unwrap().as_nanos();
    assert!(next <= min, "{next} is later than {min}");
    if min >> wheel.shift >> DIGIT <= wheel.present >> DIGIT {
        assert_eq!(next, min);
    } else {
        assert!(next >> wheel.shift > wheel.present);
    }
}

proptest! {
    #[test]
    fn behaves_as_a_sorted_list(
        steps in prop::collection::vec(step(), 1..200),
        shift in prop_oneof![Just(0u32), Just(14), Just(32)],
        start in prop_oneof![Just(0u64), any::<u64>(), Just(u64::MAX - (1 << 40))],
    ) {
        let (mut wheel, mut model, mut now) = (Wheel::with_tick(shift), Model::default(), start);
        prop_assert_eq!(wheel.pop(at(now)), None);
        for step in steps {
            match step {
                Step::Insert(key, distance) => {
                    let nanos = now.saturating_add_signed(distance);
                    wheel.insert(key, at(nanos));
                    model.insert(key, nanos);
                }
                Step::Remove(key) => {
                    wheel.remove(key);
                    model.remove(key);
                }
                Step::Pass(nanos) => now = now.saturating_add(nanos),
                Step::Sleep => now = wheel.next().map_or(now, |next| now.max(next.as_nanos())),
            }
            if matches!(step, Step::Pass(_) | Step::Sleep) {
                pop_and_compare(&mut wheel, &mut model, now);
            }
            compare_next(&wheel, &model);
            prop_assert_eq!(wheel.len(), model.by_key.len());
            for key in 0..40 {
                prop_assert_eq!(wheel.at(key), model.by_key.get(&key).map(|nanos| at(*nanos)));
            }
        }
    }
}
