//! Arithmetic at the ends of time.

use super::*;

#[test]
fn a_sum_stops_at_the_end_of_time() {
    assert_eq!(Instant::from_nanos(5) + Duration::from_nanos(7), Instant::from_nanos(12));
    assert_eq!(Instant::MAX + Duration::from_nanos(1), Instant::MAX);
    assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
    let mut moment = Instant::from_nanos(1);
    moment += Duration::MAX;
    assert_eq!(moment, Instant::MAX);
}

#[test]
fn a_difference_stops_at_zero() {
    assert_eq!(Instant::from_nanos(9) - Instant::from_nanos(4), Duration::from_nanos(5));
    assert_eq!(Instant::from_nanos(4) - Instant::from_nanos(9), Duration::ZERO);
    assert_eq!(Instant::from_nanos(4).saturating_since(Instant::from_nanos(4)), Duration::ZERO);
    assert_eq!(Instant::from_nanos(4) - Duration::from_secs(1), Instant::ZERO);
    assert_eq!(Instant::MAX - Instant::ZERO, Duration::from_nanos(u64::MAX));
    assert_eq!(Instant::MAX - Duration::MAX, Instant::ZERO);
}

#[test]
fn moments_are_ordered_and_count_from_the_epoch() {
    assert_eq!(Instant::default(), Instant::ZERO);
    assert!(Instant::ZERO < Instant::from_nanos(1) && Instant::from_nanos(1) < Instant::MAX);
    assert_eq!(Instant::from_nanos(77).as_nanos(), 77);
}
