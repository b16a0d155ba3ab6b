//! Rate, burst, flows apart, memory bounded.

use super::*;
use crate::testing::{at, ms};

#[test]
fn a_flow_gets_its_burst_and_then_exactly_its_rate() {
    let mut buckets = Buckets::new(Policer { rate: 1_000_000, burst: 50_000 });
    assert_eq!((0..100).filter(|_| buckets.admit(ms(0), 1, 1000)).count(), 50);
    // Ten times too much for ten seconds, starting empty.
    let passed = (1..=100_000u64).filter(|n| buckets.admit(at(n * 100_000), 1, 1000)).count();
    assert_eq!(passed, 10_000);
}

#[test]
fn flows_do_not_pay_for_each_other() {
    let mut buckets = Buckets::new(Policer { rate: 1000, burst: 1000 });
    assert!(buckets.admit(ms(0), 1, 1000) && !buckets.admit(ms(0), 1, 1));
    assert!(buckets.admit(ms(0), 2, 1000));
}

#[test]
fn a_packet_larger_than_the_burst_never_passes() {
    let mut buckets = Buckets::new(Policer { rate: 1_000_000, burst: 1000 });
    assert!(!buckets.admit(Instant::MAX, 1, 1001));
    assert!(buckets.admit(Instant::MAX, 1, 1000));
    assert!(buckets.admit(ms(0), 9, 0), "nothing costs nothing");
}

#[test]
fn more_flows_than_can_be_told_apart_push_out_the_oldest() {
    let mut buckets = Buckets::new(Policer { rate: 1, burst: 10 });
    for flow in 0..MOST_FLOWS as u64 + 100 {
        assert!(buckets.admit(at(flow), flow, 10));
    }
    assert_eq!(buckets.flows.len(), MOST_FLOWS);
    assert!(!buckets.admit(at(10_000), 200, 10), "still known");
    assert!(buckets.admit(at(10_000), 99, 10), "forgotten");
}
