//! Where numbers are left out.

use tq_buf::mem::Vec;

use super::{FIRST_SKIP, FIRST_SPREAD, GAP, Numbers};

fn skips(seed: u64, cwnd: u64, count: usize) -> Vec<u64> {
    let mut numbers = Numbers::new(seed);
    let mut skips = Vec::new();
    let mut last = None;
    for _ in 0..count {
        let peeked = numbers.peek();
        let pn = numbers.take(cwnd);
        assert_eq!(pn, peeked);
        let expected = last.map_or(0, |last| last + 1);
        if pn != expected {
            assert_eq!(pn, expected + 1, "one number is left out at a time");
            skips.push(expected);
        }
        last = Some(pn);
    }
    skips
}

// MUST 9000-12.3-1, 9000-12.3-2
#[test]
fn numbers_start_at_zero_and_ascend_by_one_or_two() {
    let mut numbers = Numbers::new(0);
    assert_eq!(numbers.peek(), 0);
    assert_eq!(numbers.take(10), 0);
    assert_eq!(numbers.take(10), 1);
}

#[test]
fn the_first_number_is_skipped_early() {
    for seed in 0..1000 {
        let first = skips(seed, 10, 30)[0];
        assert!((FIRST_SKIP..FIRST_SKIP + FIRST_SPREAD).contains(&first), "seed {seed} skips {first}");
    }
}

#[test]
fn later_skips_are_one_to_two_windows_apart() {
    for (cwnd, window) in [(0, *GAP.start()), (10, *GAP.start()), (500, 500), (u64::MAX, *GAP.end())] {
        let skips = skips(7, cwnd, 6 * window as usize);
        assert!(skips.len() >= 3);
        for pair in skips.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap > window && gap <= 2 * window, "window {window}, gap {gap}");
        }
    }
}

#[test]
fn skips_depend_on_the_seed() {
    let all: Vec<_> = (0..64).map(|seed| skips(seed, 100, 2000)).collect();
    let mut firsts: Vec<_> = all.iter().map(|skips| skips[0]).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 8, "only {} different first skips", firsts.len());
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 60);
    assert_eq!(skips(3, 100, 2000), skips(3, 100, 2000));
}

#[test]
fn a_seed_that_cancels_the_constant_still_gives_random_numbers() {
    let skips = skips(0x9e37_79b9_7f4a_7c15, 32, 5000);
    let gaps: Vec<_> = skips.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().any(|gap| *gap != gaps[0]));
}
