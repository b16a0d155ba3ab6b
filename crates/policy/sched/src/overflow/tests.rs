//! By times alone.

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

#[test]
fn a_second_without_a_break_has_to_pass() {
    let mut overflow = Overflow::default();
    for now in (0..5000).step_by(10) {
        overflow.on_short(at(now));
        assert!(!overflow.is_on(at(now)), "{now}");
        if now % 900 == 0 {
            overflow.on_clear();
        }
    }
    overflow.on_clear();
    overflow.on_short(at(5000));
    overflow.on_short(at(5999));
    assert!(!overflow.is_on(at(5999)));
    overflow.on_short(at(6000));
    assert!(overflow.is_on(at(6000)));
}

#[test]
fn what_was_needed_stays_for_three_seconds_more() {
    let mut overflow = Overflow::default();
    (0..=2000).step_by(10).for_each(|now| overflow.on_short(at(now)));
    overflow.on_clear();
    overflow.on_short(at(4000));
    assert!(overflow.is_on(at(4999)) && !overflow.is_on(at(5000)));
}
