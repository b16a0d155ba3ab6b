//! Levels, by numbers alone.

use super::{next_level, share};

#[test]
fn who_asks_for_little_gets_it_and_the_others_the_same() {
    assert_eq!(share(&[10, 20, 500, 900], 630), 300);
    assert_eq!(share(&[10, 10, 10], 3), 1);
    assert!(share(&[10, 20], 100) > 1000);
}

#[test]
fn nothing_is_held_back_while_all_goes_in() {
    assert_eq!(next_level(None, &mut [5, 1_000_000], 1_000_005, 900, 0), None);
}

#[test]
fn one_that_floods_is_held_to_its_share() {
    let mut asked = vec![100; 99];
    asked.push(1_000_000);
    let level = next_level(None, &mut asked, 100_000, 1000, 1000).unwrap();
    // 200 each in the epoch that overflowed, of 100 000.
    assert!(level <= 150_000, "{level}");
    let mut greedy = vec![5_000; 99];
    greedy.push(1_000_000);
    let level = next_level(None, &mut greedy, 200_000, 1000, 500).unwrap();
    assert!((2_900..=3_100).contains(&level), "{level}");
}

#[test]
fn the_equally_greedy_are_left_to_the_kernel() {
    assert_eq!(next_level(None, &mut [10_000; 10], 100_000, 1000, 100), None);
    assert_eq!(next_level(None, &mut [100_000], 100_000, 1000, 100), None);
}

#[test]
fn the_level_falls_while_there_are_drops_and_goes_when_there_are_none() {
    let flood = || [1_000_000, 1000, 1000];
    let mut level = next_level(None, &mut flood(), 500_000, 1000, 1000);
    for _ in 0..20 {
        let now = next_level(level, &mut flood(), 500_000, 1000, 1000);
        assert!(now < level, "{now:?} {level:?}");
        level = now;
    }
    for _ in 0..100 {
        level = next_level(level, &mut [2000, 1000, 1000], 4000, 1000, 0);
    }
    assert_eq!(level, None);
}
