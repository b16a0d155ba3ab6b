use std::time::Duration;

use proptest::prelude::*;
use tq_time::Instant;

use super::{Ledger, MIN_MESSAGE, MessageMeter, Meter, Violation, Wrong};

const FLOW: u64 = 3;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// Books with 10 000 bytes handed in.
fn books() -> Ledger {
    let ledger = Ledger::new(7);
    ledger.open(at(0), FLOW, None);
    ledger.handed_in(FLOW, 0, 10_000);
    ledger.finished(FLOW);
    ledger
}

fn content(ledger: &Ledger, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ledger.pattern(FLOW).fill(offset, &mut bytes);
    bytes
}

fn first(ledger: &Ledger) -> Option<(Instant, u64, Wrong)> {
    ledger.first().map(|Violation { at, offset, wrong, .. }| (at, offset, wrong))
}

#[test]
fn a_flow_that_comes_out_whole_is_complete() {
    let ledger = books();
    for (offset, len) in [(0, 1), (1, 4000), (4001, 5999)] {
        ledger.came_out(at(1), FLOW, offset, &content(&ledger, offset, len));
    }
    ledger.ended(at(2), FLOW);
    assert_eq!(ledger.first(), None);
    assert_eq!(ledger.totals().complete, 1);
    assert_eq!(ledger.open_flows(), []);
}

#[test]
fn an_altered_byte_is_found_where_it_is() {
    let ledger = books();
    let mut bytes = content(&ledger, 0, 3000);
    bytes[1234] ^= 1;
    ledger.came_out(at(5), FLOW, 0, &bytes);
    assert_eq!(first(&ledger), Some((at(5), 1234, Wrong::Altered)));
}

#[test]
fn bytes_left_out_are_lost_or_out_of_order_however_the_receiver_counts() {
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 1000));
    ledger.came_out(at(2), FLOW, 1500, &content(&ledger, 1500, 100));
    assert_eq!(first(&ledger), Some((at(2), 1000, Wrong::Lost)));
    // a receiver that does not know gets the bytes of 1501 where those of 1000 belong
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 1000));
    ledger.came_out(at(2), FLOW, 1000, &content(&ledger, 1501, 100));
    assert_eq!(first(&ledger), Some((at(2), 1000, Wrong::OutOfOrder { found: 1501 })));
}

#[test]
fn bytes_that_come_twice_are_found_out() {
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 1000));
    ledger.came_out(at(2), FLOW, 1000, &content(&ledger, 900, 100));
    assert_eq!(first(&ledger), Some((at(2), 1000, Wrong::Twice { found: 900 })));
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 1000));
    ledger.came_out(at(2), FLOW, 500, &content(&ledger, 500, 100));
    assert_eq!(first(&ledger), Some((at(2), 500, Wrong::Twice { found: 500 })));
}

#[test]
fn a_flow_that_ends_early_lost_its_end() {
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 9999));
    ledger.ended(at(2), FLOW);
    assert_eq!(first(&ledger), Some((at(2), 9999, Wrong::Lost)));
    assert_eq!(ledger.totals().complete, 0);
}

#[test]
fn bytes_and_ends_nobody_declared_are_invented() {
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 10_001));
    assert_eq!(first(&ledger), Some((at(1), 10_000, Wrong::Invented)));
    let ledger = Ledger::new(7);
    ledger.open(at(0), FLOW, None);
    ledger.ended(at(3), FLOW);
    assert_eq!(first(&ledger), Some((at(3), 0, Wrong::Invented)));
    ledger.came_out(at(4), 99, 0, b"x");
    assert_eq!(ledger.totals().violations, 2);
}

#[test]
fn what_was_given_up_may_stay_incomplete() {
    let ledger = books();
    ledger.came_out(at(1), FLOW, 0, &content(&ledger, 0, 10));
    ledger.abandon(at(2), FLOW);
    ledger.came_out(at(3), FLOW, 10, &content(&ledger, 10, 10));
    ledger.ended(at(3), FLOW);
    assert_eq!((ledger.first(), ledger.totals().abandoned), (None, 1));
}

#[test]
fn one_flow_in_the_place_of_another_is_altered() {
    let ledger = books();
    let mut other = vec![0; 100];
    ledger.pattern(FLOW + 1).fill(0, &mut other);
    ledger.came_out(at(1), FLOW, 0, &other);
    assert_eq!(first(&ledger), Some((at(1), 0, Wrong::Altered)));
}

#[test]
fn messages_may_be_lost_but_not_altered_doubled_or_invented() {
    let ledger = Ledger::new(7);
    let meter = MessageMeter::shared();
    ledger.open_messages(FLOW, Some(meter.clone()));
    let messages: Vec<_> = (0..5u64)
        .map(|n| {
            let message = ledger.message(at(n), FLOW, 100);
            ledger.message_in(at(n), FLOW, true);
            message
        })
        .collect();
    for (n, after) in [(0, 10), (3, 11), (1, 12)] {
        let info = ledger.message_out(at(after), &messages[n]).expect("one of ours");
        assert_eq!((info.number, info.handed_in), (n as u64, at(n as u64)));
    }
    assert_eq!(ledger.first(), None);
    {
        let meter = meter.borrow();
        assert_eq!((meter.received, meter.missing(), meter.reordered, meter.furthest), (3, 2, 1, 2));
        assert_eq!(meter.delay(1000), Some(Duration::from_millis(11)));
    }
    ledger.message_out(at(13), &messages[3]);
    let mut altered = messages[4].to_vec();
    altered[99] ^= 0x80;
    ledger.message_out(at(14), &altered);
    altered[20] ^= 1;
    assert_eq!(ledger.message_out(at(15), &altered), None);
    assert_eq!(ledger.message_out(at(16), b"short"), None);
    let unsent = ledger.message(at(17), FLOW, 0);
    assert_eq!(unsent.len(), MIN_MESSAGE);
    ledger.message_out(at(17), &unsent);
    let found: Vec<_> = ledger.violations().iter().map(|v| (v.flow, v.offset, v.wrong)).collect();
    assert_eq!(
        found,
        [
            (FLOW, 3, Wrong::Twice { found: 3 }),
            (FLOW, 4, Wrong::Altered),
            (u64::MAX, 0, Wrong::Altered),
            (u64::MAX, 0, Wrong::Altered),
            (FLOW, 5, Wrong::Invented),
        ]
    );
}

#[test]
fn a_pause_counts_from_the_first_byte_to_the_end() {
    let mut meter = Meter::new(Duration::from_millis(10));
    meter.begin(at(105));
    meter.deliver(at(150), 10);
    meter.deliver(at(155), 5);
    assert_eq!(meter.longest_gap(at(160)), Some((at(150), Duration::from_millis(5))));
    assert_eq!(meter.longest_gap(at(170)), Some((at(155), Duration::from_millis(15))));
    meter.end(at(157));
    // between flows nothing is awaited
    meter.begin(at(900));
    meter.deliver(at(930), 1);
    meter.end(at(931));
    assert_eq!(meter.longest_gap(at(2000)), Some((at(150), Duration::from_millis(5))));
    let (origin, bin, bins) = meter.series();
    assert_eq!((origin, bin, bins[5], bins.len()), (at(100), Duration::from_millis(10), 15, 84));
}

#[test]
fn violations_kept_are_bounded_and_all_are_counted() {
    let ledger = Ledger::new(1);
    (0..5000).for_each(|flow| ledger.came_out(at(1), flow, 0, b"x"));
    assert_eq!((ledger.violations().len(), ledger.totals().violations), (1000, 5000));
}

proptest! {
    #[test]
    fn content_is_the_same_however_it_is_cut(offset in 0u64..1 << 50, cuts in prop::collection::vec(0usize..40, 1..20)) {
        let pattern = Ledger::new(3).pattern(8);
        let total: usize = cuts.iter().sum();
        let mut whole = vec![0; total];
        pattern.fill(offset, &mut whole);
        let mut from = 0;
        for cut in cuts {
            let mut piece = vec![0; cut];
            pattern.fill(offset + from as u64, &mut piece);
            prop_assert_eq!(&piece[..], &whole[from..from + cut]);
            prop_assert_eq!(pattern.check(offset + from as u64, &piece), None);
            from += cut;
        }
        if total >= 23 {
            prop_assert_eq!(pattern.locate(&whole), Some(offset));
        }
    }
}
