//! The interval set against a set that stores every member.

use proptest::prelude::*;

use super::*;
use crate::mem::{BTreeSet, Vec, vec};

const LAST: u64 = (1 << 62) - 1;

fn of(ranges: &[Range<u64>]) -> Ranges {
    let mut set = Ranges::new();
    for range in ranges {
        set.insert(range.clone());
    }
    set
}

fn list(set: &Ranges) -> Vec<Range<u64>> {
    set.iter().collect()
}

#[test]
fn touching_ranges_become_one() {
    assert_eq!(list(&of(&[0..2, 4..6, 2..4])), vec![0..6]);
    assert_eq!(list(&of(&[4..6, 0..2, 2..3])), vec![0..3, 4..6]);
    assert_eq!(list(&of(&[10..20, 30..40, 50..60, 15..55])), vec![10..60]);
}

#[test]
fn insert_tells_news_from_repeats() {
    let mut set = of(&[10..20, 30..40]);
    assert!(!set.insert(12..18));
    assert!(!set.insert(30..40));
    assert!(set.insert(18..31));
    assert!(!set.insert(10..40));
    assert!(set.insert(39..41));
    assert!(set.insert_one(9));
    assert!(!set.insert_one(9));
    assert_eq!(list(&set), vec![9..41]);
}

#[test]
fn an_empty_or_inverted_range_changes_nothing() {
    let mut set = of(&[10..15, 15..20]);
    let inverted = Range { start: 15, end: 12 };
    assert!(!set.insert(5..5));
    assert!(!set.insert(inverted.clone()));
    set.remove(15..15);
    set.remove(inverted.clone());
    assert!(set.covers(5..5) && set.covers(inverted));
    assert_eq!(list(&set), vec![10..20]);
}

#[test]
fn removal_in_the_middle_splits() {
    let mut set = of(&[10..15, 15..20]);
    set.remove(12..15);
    assert_eq!(list(&set), vec![10..12, 15..20]);
    set.remove(0..11);
    set.remove(19..100);
    assert_eq!(list(&set), vec![11..12, 15..19]);
    set.remove(11..16);
    assert_eq!(list(&set), vec![16..19]);
}

#[test]
fn the_ends_of_the_number_line_do_not_overflow() {
    let mut set = Ranges::new();
    assert!(set.insert_one(LAST) && set.insert_one(0));
    assert!(set.contains(LAST) && !set.contains(LAST - 1));
    assert_eq!((set.min(), set.max()), (Some(0), Some(LAST)));
    assert!(!set.insert_one(u64::MAX));
    assert!(set.insert(LAST..u64::MAX));
    assert_eq!(set.max(), Some(u64::MAX - 1));
    set.remove(1..u64::MAX);
    assert_eq!(list(&set), vec![0..1]);
    set.remove_below(u64::MAX);
    assert!(set.is_empty());
}

#[test]
fn the_highest_ranges_survive_a_limit() {
    let mut set = of(&[0..1, 2..3, 4..5, 6..7]);
    set.keep_highest(2);
    assert_eq!(list(&set), vec![4..5, 6..7]);
    set.keep_highest(9);
    assert_eq!(set.len(), 2);
    set.keep_highest(0);
    assert!(set.is_empty());
}

#[test]
fn ranges_leave_lowest_first() {
    let mut set = of(&[5..7, 1..2]);
    assert_eq!(set.first(), Some(1..2));
    assert_eq!(set.pop_first(), Some(1..2));
    assert_eq!(set.pop_first(), Some(5..7));
    assert_eq!(set.pop_first(), None);
}

#[test]
fn memory_follows_the_ranges_down() {
    let mut set = Ranges::new();
    for value in 0..10_000 {
        set.insert_one(2 * value);
    }
    let mut moves = 0;
    while !set.is_empty() {
        let before = set.runs.capacity();
        set.pop_first();
        moves += usize::from(set.runs.capacity() != before);
        assert!(set.runs.capacity() <= (4 * set.len() + 4).max(64));
    }
    assert!(moves < 12);
    set.insert(0..100_000);
    for value in 0..1000 {
        set.remove(7 * value..7 * value + 1);
    }
    set.insert(0..100_000);
    assert!(set.len() == 1 && set.runs.capacity() <= 64);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    One(u64),
    Remove(u64, u64),
    Below(u64),
    Keep(usize),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..200u64, 0..12u64).prop_map(|(at, len)| Step::Insert(at, at + len)),
        3 => (0..200u64).prop_map(Step::One),
        4 => (0..200u64, 0..20u64).prop_map(|(at, len)| Step::Remove(at, at + len)),
        1 => (0..60u64).prop_map(Step::Below),
        1 => (4..30usize).prop_map(Step::Keep),
        1 => Just(Step::Pop),
    ]
}

/// The runs of a plain set.
fn runs(model: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &value in model {
        match runs.last_mut() {
            Some(last) if last.end == value => last.end += 1,
            _ => runs.push(value..value + 1),
        }
    }
    runs
}

fn apply(step: Step, set: &mut Ranges, model: &mut BTreeSet<u64>, base: u64) {
    match step {
        Step::Insert(start, end) => {
            let before = model.len();
            model.extend(start..end);
            assert_eq!(set.insert(base + start..base + end), model.len() > before);
        }
        Step::One(value) => assert_eq!(set.insert_one(base + value), model.insert(value)),
        Step::Remove(start, end) => {
            model.retain(|value| !(start..end).contains(value));
            set.remove(base + start..base + end);
        }
        Step::Below(bound) => {
            model.retain(|value| *value >= bound);
            set.remove_below(base + bound);
        }
        Step::Keep(count) => {
            let all = runs(model);
            let bound = all[all.len().saturating_sub(count)..].first().map_or(u64::MAX, |run| run.start);
            model.retain(|value| *value >= bound);
            set.keep_highest(count);
        }
        Step::Pop => {
            let first = runs(model).first().cloned();
            if let Some(first) = &first {
                model.retain(|value| !first.contains(value));
            }
            assert_eq!(set.pop_first(), first.map(|run| base + run.start..base + run.end));
        }
    }
}

proptest! {
    #[test]
    fn behaves_as_a_set_of_single_numbers(
        steps in prop::collection::vec(step(), 1..120),
        base in prop_oneof![Just(0), Just(LAST - 220), Just(u64::MAX - 220)],
        probe in (0..210u64, 0..10u64),
    ) {
        let (mut set, mut model) = (Ranges::new(), BTreeSet::new());
        for step in steps {
            apply(step, &mut set, &mut model, base);
            let expected: Vec<_> = runs(&model).iter().map(|run| base + run.start..base + run.end).collect();
            prop_assert_eq!(list(&set), expected.clone());
            prop_assert_eq!(set.iter().rev().collect::<Vec<_>>(), expected.into_iter().rev().collect::<Vec<_>>());
            prop_assert_eq!(set.min(), model.first().map(|value| base + value));
            prop_assert_eq!(set.max(), model.last().map(|value| base + value));
            prop_assert_eq!(set.is_empty(), model.is_empty());
            let (at, len) = probe;
            prop_assert_eq!(set.contains(base + at), model.contains(&at));
            prop_assert_eq!(set.covers(base + at..base + at + len), (at..at + len).all(|value| model.contains(&value)));
        }
    }
}
