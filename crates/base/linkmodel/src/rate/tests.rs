//! Rates are exact over any time, whatever the packets.

use super::*;

fn run(rate: u64, len: u64, packets: u64) -> u64 {
    let (mut cursor, mut at) = (Cursor::default(), 0);
    for _ in 0..packets {
        match Rate::Fixed(rate).serve(&mut cursor, at, len * SECOND, u64::MAX) {
            Served::Left(left) => at = left,
            Served::Rest(_) => unreachable!("no stop"),
        }
    }
    at
}

#[test]
fn an_even_rate_is_exact_to_a_nanosecond_over_any_number_of_packets() {
    for (rate, len) in
        [(1_000_000, 1000), (333_333_333, 40), (1_250_000_000, 1499), (999_999_999_999, 1), (7, 3)]
    {
        let packets = 100_000;
        let exact = (u128::from(len * packets) * u128::from(SECOND)).div_ceil(u128::from(rate));
        assert_eq!(u128::from(run(rate, len, packets)), exact, "{rate} {len}");
    }
}

#[test]
fn zero_stands_still_and_enough_is_no_limit() {
    let mut cursor = Cursor::default();
    assert_eq!(Rate::Fixed(0).serve(&mut cursor, 5, 7, 1000), Served::Rest(7));
    assert_eq!(Rate::Fixed(0).serve(&mut cursor, 5, 0, 1000), Served::Left(5));
    for rate in [Rate::Unlimited, Rate::Fixed(ENDLESS), Rate::Fixed(u64::MAX), Rate::mbps(u64::MAX)] {
        assert_eq!(rate.serve(&mut cursor, 5, u64::MAX, 1000), Served::Left(5));
    }
}

#[test]
fn a_stop_leaves_what_was_not_sent() {
    let mut cursor = Cursor::default();
    // 1000 bytes at 10 bytes per microsecond: 100 µs, of which 30 pass before the stop.
    let served = Rate::Fixed(10_000_000).serve(&mut cursor, 0, 1000 * SECOND, 30_000);
    assert_eq!(served, Served::Rest(700 * SECOND));
    // To the very nanosecond is in time.
    assert_eq!(Rate::Fixed(10_000_000).serve(&mut cursor, 0, 300 * SECOND, 30_000), Served::Left(30_000));
}

#[test]
fn megabits_are_millions() {
    assert_eq!(Rate::mbps(8), Rate::Fixed(1_000_000));
}

#[test]
fn durations_are_cut_at_584_years() {
    assert_eq!((nanos(Duration::from_secs(1)), nanos(Duration::MAX)), (SECOND, u64::MAX));
}
