//! The control law of RFC 8289 on a clock.

use super::*;
use crate::testing::{millis, ms};

fn control() -> Control {
    Control::new(CoDel::default())
}

#[test]
fn a_short_queue_is_left_alone_and_so_is_a_short_burst() {
    let mut codel = control();
    assert!((0..1000).all(|n| !codel.strikes(ms(n), millis(4))));
    assert!((1000..1099).all(|n| !codel.strikes(ms(n), millis(50))));
    assert!(!codel.strikes(ms(1099), millis(4)), "the interval starts over");
    assert!((1100..1199).all(|n| !codel.strikes(ms(n), millis(50))));
}

#[test]
fn a_standing_queue_is_struck_ever_more_often() {
    let mut codel = control();
    let struck: std::vec::Vec<u64> = (0..1000).filter(|n| codel.strikes(ms(*n), millis(50))).collect();
    // The first after an interval, then at gaps of 100 ms over the square root of 1, 2, 3...
    assert_eq!(struck[..6], [100, 200, 271, 329, 379, 424]);
}

#[test]
fn it_resumes_near_its_last_pace() {
    let mut codel = control();
    (0..2000).for_each(|n| {
        codel.strikes(ms(n), millis(50));
    });
    assert!(!codel.strikes(ms(2000), millis(1)));
    let count = codel.count;
    let first = (2001..2200).find(|n| codel.strikes(ms(*n), millis(50)));
    assert_eq!((first, codel.count), (Some(2101), count - 1));
}
