//! Counters: reasons index them, sums forget none.

extern crate std;
use std::collections::BTreeSet;

use super::Counters;
use crate::DropReason;

#[test]
fn every_drop_reason_has_its_own_index_and_name() {
    let names: BTreeSet<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), DropReason::COUNT);
    for (i, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(reason.index(), i);
    }
}

#[test]
fn drops_are_counted_by_reason() {
    let mut counters = Counters::default();
    counters.drop_packet(DropReason::TooOld);
    counters.drop_packet(DropReason::TooOld);
    counters.drop_packet(DropReason::Empty);
    assert_eq!(counters.dropped(DropReason::TooOld), 2);
    assert_eq!(counters.dropped(DropReason::Duplicate), 0);
    assert_eq!(counters.dropped_total(), 3);
}

#[test]
fn adding_doubles_every_counter() {
    let mut one = Counters { ptos: 3, messages_dropped: 1, bytes_sent: 9, ..Counters::default() };
    one.drop_packet(DropReason::Closing);
    let mut two = one;
    two.add(&one);
    let (mut singles, mut doubles) = (std::vec::Vec::new(), std::vec::Vec::new());
    one.each(|name, reason, value| singles.push((name, reason, value * 2)));
    two.each(|name, reason, value| doubles.push((name, reason, value)));
    assert_eq!(singles, doubles);
    assert!(singles.contains(&("dropped", Some(DropReason::Closing), 2)));
}
