//! The parser's complaints, and when bytes leave.

use std::string::ToString;
use std::vec::Vec;

use super::*;

fn fault(text: &str) -> (usize, TraceFault) {
    let TraceError { line, fault } = Trace::parse(text).unwrap_err();
    (line, fault)
}

/// When packets of `lens` bytes leave in milliseconds, all waiting from `start` on.
fn leave(trace: &Trace, start: u64, lens: &[u64]) -> Vec<u64> {
    let (mut place, mut at) = (Place::default(), start * MILLI);
    let mut next = |len: &u64| match trace.serve(&mut place, at, len * SECOND, u64::MAX) {
        Served::Left(left) => {
            at = left;
            left / MILLI
        }
        Served::Rest(_) => unreachable!("no stop"),
    };
    lens.iter().map(&mut next).collect()
}

#[test]
fn errors_name_the_line() {
    assert_eq!(fault(""), (1, TraceFault::Empty));
    assert_eq!(fault("1\n2\nx\n"), (3, TraceFault::NotANumber));
    assert_eq!(fault("1\n\n2\n"), (2, TraceFault::NotANumber));
    assert_eq!(fault("1\n-2\n"), (2, TraceFault::NotANumber));
    assert_eq!(fault("1\n1.5\n"), (2, TraceFault::NotANumber));
    assert_eq!(fault("+1\n"), (1, TraceFault::NotANumber));
    assert_eq!(fault("5\n7\n6\n"), (3, TraceFault::Backwards));
    assert_eq!(fault("0\n0\n0\n"), (3, TraceFault::NoTime));
    assert_eq!(fault("1\n99999999999999999999999\n"), (2, TraceFault::TooLate));
    assert_eq!(fault("315360000001"), (1, TraceFault::TooLate));
    assert_eq!(Trace::parse("1\nx").unwrap_err().to_string(), "line 2: not a whole number of milliseconds");
}

#[test]
fn a_text_is_read_and_written_again() {
    let trace = Trace::parse("0\n3\r\n3 \n 7").unwrap();
    assert_eq!((trace.chances(), trace.time()), (4, Duration::from_millis(7)));
    assert_eq!(trace.to_string(), "0\n3\n3\n7\n");
    assert_eq!(Trace::parse(&trace.to_string()), Ok(trace));
}

#[test]
fn one_chance_a_millisecond_is_twelve_megabits() {
    let trace = Trace::parse("1\n").unwrap();
    assert_eq!(trace.mean_rate() * 8, 12_000_000);
    assert_eq!(leave(&trace, 0, &[1500, 1500, 1500]), [1, 2, 3]);
}

#[test]
fn small_packets_share_a_chance_and_long_ones_take_several() {
    let trace = Trace::parse("10\n10\n20\n30\n").unwrap();
    assert_eq!(leave(&trace, 0, &[500, 500, 500, 1500, 1]), [10, 10, 10, 10, 20]);
    assert_eq!(leave(&trace, 0, &[3001, 1499, 1]), [20, 20, 30]);
    // A round carries 6000 bytes; what fits is not put off.
    assert_eq!(leave(&trace, 0, &[6000, 1]), [30, 40]);
    assert_eq!(leave(&trace, 0, &[6_000_001]), [30_010]);
}

#[test]
fn a_chance_that_passed_is_lost() {
    let trace = Trace::parse("10\n20\n30\n").unwrap();
    assert_eq!(leave(&trace, 11, &[1500]), [20]);
    assert_eq!(leave(&trace, 10, &[1500]), [10], "the very moment counts");
    let mut place = Place::default();
    assert_eq!(trace.serve(&mut place, 0, SECOND, u64::MAX), Served::Left(10 * MILLI));
    assert_eq!(trace.serve(&mut place, 10 * MILLI + 1, SECOND, u64::MAX), Served::Left(20 * MILLI));
}

#[test]
fn rounds_follow_each_other_and_zero_meets_the_end() {
    let trace = Trace::parse("0\n4\n10\n").unwrap();
    assert_eq!(leave(&trace, 0, &[1500; 7]), [0, 4, 10, 10, 14, 20, 20]);
    assert_eq!(leave(&trace, 20, &[1500; 3]), [20, 20, 24]);
    assert_eq!(leave(&trace, 25, &[1500]), [30]);
}

#[test]
fn serving_ends_before_the_stop() {
    let trace = Trace::parse("10\n20\n").unwrap();
    let mut place = Place::default();
    assert_eq!(trace.serve(&mut place, 0, 3000 * SECOND, 20 * MILLI), Served::Rest(1500 * SECOND));
    assert_eq!(trace.serve(&mut place, 20 * MILLI, 1500 * SECOND, u64::MAX), Served::Left(20 * MILLI));
    assert_eq!(trace.serve(&mut Place::default(), u64::MAX, SECOND, u64::MAX), Served::Rest(SECOND));
}
