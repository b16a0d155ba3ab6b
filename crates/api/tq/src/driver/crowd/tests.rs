//! Levels, by numbers alone.

use super::{LEAST, next_level, share};

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
    let mut asked = vec![1000; 99];
    asked.push(10_000_000);
    // The others 2000 each in the epoch that overflowed, and the flooder what they leave of a million, and half as much.
    let level = next_level(None, &mut asked, 1_000_000, 1000, 1000).unwrap();
    assert!((1_150_000..=1_250_000).contains(&level), "{level}");
    let mut greedy = vec![50_000; 99];
    greedy.push(10_000_000);
    let level = next_level(None, &mut greedy, 4_000_000, 1000, 500).unwrap();
    assert!((59_000..=61_000).contains(&level), "{level}");
}

#[test]
fn the_equally_greedy_are_left_to_the_kernel() {
    assert_eq!(next_level(None, &mut [100_000; 10], 1_000_000, 1000, 100), None);
    assert_eq!(next_level(None, &mut [100_000], 100_000, 1000, 100), None);
}

#[test]
fn the_level_falls_while_there_are_drops_and_goes_when_there_are_none() {
    let flood = || [10_000_000, 10_000, 10_000];
    let mut level = next_level(None, &mut flood(), 5_000_000, 1000, 1000);
    for _ in 0..100 {
        let now = next_level(level, &mut flood(), 5_000_000, 1000, 1000);
        assert!(now < level || now == Some(LEAST), "{now:?} {level:?}");
        level = now;
    }
    assert_eq!(level, Some(LEAST));
    for _ in 0..100 {
        level = next_level(level, &mut [200_000, 1000, 1000], 202_000, 1000, 0);
    }
    assert_eq!(level, None);
}
