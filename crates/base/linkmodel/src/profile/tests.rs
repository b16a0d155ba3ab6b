//! Segments follow each other for ever.

use super::*;
use crate::testing::millis;

const SECOND: u64 = 1_000_000_000;

fn segment(time: u64, rate: u64) -> Segment {
    Segment { time: millis(time), rate, ..Segment::default() }
}

fn serve(profile: &Profile, start: u64, bytes: u64) -> Served {
    profile.serve(&mut Cursor::default(), start, bytes * SECOND, u64::MAX)
}

#[test]
fn what_is_no_profile_is_named() {
    let refused = |segments: &[Segment]| Profile::new(segments.to_vec()).unwrap_err();
    assert_eq!(refused(&[]), ProfileError::Empty);
    assert_eq!(refused(&[segment(1, 1), segment(0, 1)]), ProfileError::NoTime(1));
    assert_eq!(refused(&[segment(1, 0)]), ProfileError::NoRate);
    assert_eq!(
        refused(&[Segment { time: Duration::MAX, rate: 1, ..Segment::default() }]),
        ProfileError::TooLong
    );
    assert_eq!(std::format!("{}", ProfileError::NoTime(1)), "segment 1 has no length: leave it out");
}

#[test]
fn a_packet_may_span_segments_pauses_and_rounds() {
    // Per 40 ms: 10 kB, nothing, 20 kB.
    let profile =
        Profile::new([segment(10, 1_000_000), segment(10, 0), segment(20, 1_000_000)].to_vec()).unwrap();
    assert_eq!((profile.time(), profile.mean_rate()), (millis(40), 750_000));
    assert_eq!(serve(&profile, 0, 10_000), Served::Left(10_000_000));
    assert_eq!(serve(&profile, 0, 11_000), Served::Left(21_000_000));
    assert_eq!(serve(&profile, 15_000_000, 1), Served::Left(20_001_000));
    assert_eq!(serve(&profile, 0, 31_000), Served::Left(41_000_000));
    // A thousand rounds and a bit.
    assert_eq!(serve(&profile, 0, 30_000_000 + 5000), Served::Left(40_005_000_000));
    assert_eq!(
        profile.serve(&mut Cursor::default(), 0, 12_000 * SECOND, 21_000_000),
        Served::Rest(1000 * SECOND)
    );
}

#[test]
fn the_far_end_of_time_is_no_trap() {
    let profile = Profile::new([segment(10, 1), segment(10, 0)].to_vec()).unwrap();
    assert_eq!(serve(&profile, u64::MAX, 1), Served::Rest(SECOND));
    assert!(matches!(serve(&profile, u64::MAX - 5, 1), Served::Rest(_)));
}

#[test]
fn segments_are_found_in_any_order() {
    let profile = Profile::new((1..=9).map(|n| segment(n, n)).collect()).unwrap();
    let mut spot = Spot::default();
    for (at, rate) in [(0, 1), (44, 9), (45, 1), (3, 3), (450 + 2, 2), (7, 4), (0, 1)] {
        assert_eq!(profile.segment(&mut spot, at * 1_000_000).rate, rate, "{at}");
    }
}

#[test]
fn a_profile_becomes_a_mahimahi_trace_of_the_same_rate() {
    let profile =
        Profile::new([segment(500, 1_500_000), segment(500, 0), segment(1000, 150_000)].to_vec()).unwrap();
    let trace = profile.to_trace(Duration::MAX).unwrap();
    // 500 chances, none for half a second, 100 chances.
    assert_eq!((trace.chances(), trace.time(), trace.mean_rate()), (600, millis(2000), profile.mean_rate()));
    assert!(Profile::new([segment(1, 1)].to_vec()).unwrap().to_trace(Duration::MAX).is_none());
    assert_eq!(profile.to_trace(millis(100)).unwrap().chances(), 100);
}

#[test]
fn a_steady_profile_is_as_fast_as_it_says() {
    assert_eq!(Profile::steady(1234).mean_rate(), 1234);
    assert_eq!(Profile::steady(0).mean_rate(), 1);
    assert_eq!(Profile::steady(5).segments().len(), 1);
}
