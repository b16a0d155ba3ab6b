//! Acknowledgement, and what bounds it.

use tq_buf::mem::Vec;

use super::*;
use crate::space::sent::{SPARE, Slot};

#[test]
fn an_ack_adds_up_what_is_new() {
    let mut bench = Bench::with(0..10, at(0));
    assert_eq!(bench.sent.bytes_in_flight(), 12_000);
    assert_eq!(bench.sent.eliciting_in_flight(), 10);
    assert_eq!(bench.sent.last_eliciting_at(), Some(at(0)));
    assert_eq!(bench.ack(at(80), &[0..=3]), Ok(()));
    let acked = &bench.acked;
    assert_eq!((acked.packets, acked.bytes, acked.spurious), (4, 4800, 0));
    assert_eq!(acked.largest, Some((3, at(0))));
    assert!(acked.any_eliciting && acked.new_largest);
    assert_eq!(acked.tokens, (0..4).map(token).collect::<Vec<_>>());
    assert_eq!(acked.rates.unwrap().0.delivered, 3);
    assert_eq!(bench.sent.bytes_in_flight(), 7200);
    assert_eq!(bench.sent.largest_acked(), Some(3));
    assert_eq!(bench.sent.ring.len(), 6, "acknowledged packets leave at once");
}

#[test]
fn what_was_acknowledged_is_not_acknowledged_again() {
    let mut bench = Bench::with(0..10, at(0));
    bench.hear(at(80), &[0..=4]);
    bench.hear(at(81), &[0..=4]);
    assert_eq!((bench.acked.packets, bench.acked.largest), (0, None));
    assert!(!bench.acked.new_largest && !bench.acked.any_eliciting);
    bench.hear(at(82), &[0..=5]);
    assert_eq!((bench.acked.packets, bench.acked.largest), (1, Some((5, at(0)))));
}

#[test]
fn an_older_ack_with_something_new_is_no_rtt_sample() {
    let mut bench = Bench::with(0..10, at(0));
    bench.hear(at(80), &[4..=5]);
    assert!(bench.acked.new_largest);
    bench.hear(at(81), &[3..=3]);
    assert_eq!(bench.acked.largest, Some((3, at(0))));
    assert!(!bench.acked.new_largest);
}

#[test]
fn packets_that_only_acknowledge_are_not_in_flight() {
    let mut bench = Bench::new();
    bench.sent.record(0, ack_only(at(0)));
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.eliciting_in_flight()), (0, 0));
    assert_eq!(bench.sent.last_eliciting_at(), None);
    bench.hear(at(80), &[0..=0]);
    assert_eq!((bench.acked.packets, bench.acked.bytes), (1, 0));
    assert!(bench.acked.new_largest && !bench.acked.any_eliciting && bench.acked.rates.is_none());
    assert_eq!(bench.acked.tokens, [Token::Ack { path: None, largest: 0 }]);
}

#[test]
fn padding_counts_in_flight_without_eliciting() {
    let mut bench = Bench::new();
    bench.sent.record(0, SentPacket { eliciting: false, ..data(at(0), 0) });
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.eliciting_in_flight()), (1200, 0));
    bench.hear(at(80), &[0..=0]);
    assert_eq!((bench.sent.bytes_in_flight(), bench.acked.bytes), (0, 1200));
}

#[test]
fn ecn_and_probes_are_reported() {
    let mut bench = Bench::new();
    bench.sent.record(0, SentPacket { ect0: true, ..data(at(0), 0) });
    bench.sent.record(1, data(at(0), 1));
    bench.sent.record(2, SentPacket { ect0: true, mtu_probe: true, size: 1452, ..data(at(0), 2) });
    bench.hear(at(80), &[0..=2]);
    assert_eq!((bench.acked.ect0, bench.acked.probe_acked, bench.acked.bytes), (2, Some(1452), 3852));
}

#[test]
fn acks_of_what_was_never_sent_are_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.ack(at(1), &[0..=0]), Err(BadAck::Unsent));
    bench.send(0..5, at(0));
    assert_eq!(bench.ack(at(1), &[0..=5]), Err(BadAck::Unsent));
    assert_eq!(bench.ack(at(1), &[1 << 30..=1 << 30, 0..=4]), Err(BadAck::Unsent));
    assert_eq!((bench.acked.packets, bench.sent.bytes_in_flight()), (0, 6000));
    assert_eq!(bench.sent.largest_acked(), None);
}

#[test]
fn acks_of_skipped_numbers_are_refused_and_change_nothing() {
    let mut bench = Bench::with(0..5, at(0));
    bench.send(6..10, at(0));
    for bad in [&[0..=9][..], &[5..=5], &[9..=9, 5..=7], &[8..=8, 3..=5], &[7..=9, 0..=5]] {
        assert_eq!(bench.ack(at(80), bad), Err(BadAck::Skipped), "{bad:?}");
        assert_eq!((bench.acked.packets, bench.sent.bytes_in_flight()), (0, 9 * 1200));
    }
    assert_eq!(bench.ack(at(80), &[6..=9, 0..=4]), Ok(()));
    assert_eq!((bench.acked.packets, bench.sent.bytes_in_flight()), (9, 0));
}

#[test]
fn a_skipped_number_is_remembered_when_its_neighbours_are_long_gone() {
    let mut bench = Bench::with(0..5, at(0));
    bench.hear(at(0), &[0..=4]);
    for window in 0..60 {
        bench.send(6 + window * 100..105 + window * 100, at(window));
        bench.hear(at(window), &[6 + window * 100..=104 + window * 100]);
    }
    assert_eq!(bench.sent.ring.len(), 0);
    assert_eq!(bench.ack(at(99), &[3..=5]), Err(BadAck::Skipped));
    assert_eq!(bench.ack(at(99), &[0..=4]), Ok(()));
}

#[test]
fn memory_of_skipped_numbers_is_bounded() {
    let mut bench = Bench::new();
    for pn in 0..10_000 {
        bench.send(2 * pn..2 * pn + 1, at(pn));
        bench.hear(at(pn), &[2 * pn..=2 * pn]);
    }
    assert!(bench.sent.skipped.len() <= 64);
    assert_eq!(bench.ack(at(10_000), &[19_997..=19_998]), Err(BadAck::Skipped));
}

#[test]
fn numbers_near_the_end_work_like_others() {
    let last = (1 << 62) - 1;
    let mut bench = Bench::with(last - 20..last, at(0));
    bench.sent.record(last, data(at(0), 1));
    assert_eq!(bench.sent.ring.len(), 21);
    assert_eq!(bench.ack(at(80), &[last - 21..=last]), Err(BadAck::Skipped));
    assert_eq!(bench.ack(at(80), &[0..=0]), Err(BadAck::Skipped));
    assert_eq!(bench.hear(at(80), &[last..=last, last - 20..=last - 4]), [last - 3]);
    assert_eq!(bench.acked.packets, 18);
    assert_eq!(bench.sent.bytes_in_flight(), 2 * 1200);
}

#[test]
fn a_frame_of_32768_ranges_acknowledges_every_other_of_100k_packets() {
    let mut bench = Bench::with(0..100_000, at(0));
    let ranges: Vec<_> = (0..32_768).map(|n| 99_999 - 2 * n).map(|pn| pn..=pn).collect();
    let lost = bench.hear(at(80), &ranges);
    assert_eq!((bench.acked.packets, bench.acked.bytes), (32_768, 32_768 * 1200));
    assert_eq!(lost.len(), 100_000 - 32_768 - 1, "all but the packet just below the largest");
    assert_eq!(bench.sent.bytes_in_flight(), 1200);
    bench.hear(at(81), &ranges);
    assert_eq!(bench.acked.packets, 0);
    // With one packet in flight, only the newest of the lost ones are remembered.
    let remembered = (bench.sent.ring.len() / 2 - 1) as u64;
    assert_eq!(remembered, (SPARE as u64 + 8) / 2 - 1);
    bench.hear(at(82), &[0..=99_999]);
    assert_eq!((bench.acked.packets, bench.acked.spurious), (1, remembered));
    assert_eq!(bench.sent.bytes_in_flight(), 0);
}

#[test]
fn acks_that_repeat_what_is_known_take_two_steps() {
    // 0 is lost, and remembered, so that the ring cannot shrink.
    let mut bench = Bench::new();
    let trains = SPARE as u64 / 40;
    for train in 0..trains {
        bench.send(train * 40..(train + 1) * 40, at(train));
        let before = bench.sent.steps;
        bench.hear(at(train), &[1..=train * 40 + 39]);
        assert_eq!(bench.acked.packets, if train == 0 { 39 } else { 40 });
        assert!(bench.sent.steps - before <= 2);
    }
    assert_eq!(bench.sent.ring.len() as u64, trains * 40);
}

#[test]
fn no_pattern_of_acks_makes_many_long_walks() {
    let mut bench = Bench::with(0..16_000, at(0));
    // Odd ones, then even ones: each slot knows of itself alone. 0 stays open.
    for top in (1..=15_999).step_by(2).chain((2..=15_998).step_by(2)) {
        bench.ack(at(1), &[top..=top]).unwrap();
    }
    let before = bench.sent.steps;
    for top in (1..=15_999).rev() {
        bench.ack(at(1), &[1..=top]).unwrap();
        assert_eq!(bench.acked.packets, 0);
    }
    let steps = bench.sent.steps - before;
    assert!(steps < 16 * 16_000, "{steps} steps, where walking each time would be 128 million");
}

#[test]
fn a_peer_that_acknowledges_nothing_cannot_fill_the_ring() {
    let mut bench = Bench::new();
    for pn in 0..3 * SPARE as u64 {
        bench.sent.record(pn, ack_only(at(pn)));
        assert!(bench.sent.ring.len() <= SPARE);
    }
    assert_eq!(bench.sent.loss_time(), None);
    // One packet that counts is not forgotten in silence.
    let first = bench.sent.next;
    bench.send(first..first + 1, at(0));
    let mut pn = first + 1;
    while bench.sent.loss_time().is_none() {
        bench.sent.record(pn, ack_only(at(pn)));
        pn += 1;
    }
    assert_eq!(bench.sent.ring.len(), SPARE + 9);
    assert_eq!(bench.detect(at(pn)), [first]);
    assert_eq!(bench.lost.tokens, [token(first)]);
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.loss_time()), (0, None));
    bench.sent.record(pn, ack_only(at(pn)));
    assert_eq!(bench.sent.ring.len(), SPARE);
}

#[test]
fn a_slot_is_small() {
    assert!(size_of::<Slot>() <= 128, "{}", size_of::<Slot>());
}

#[test]
fn discarding_forgets_everything() {
    let mut bench = Bench::with(0..10, at(0));
    bench.hear(at(80), &[5..=6]);
    assert_eq!(bench.lost.numbers, [0, 1, 2, 3]);
    assert_eq!(bench.sent.discard(), 4 * 1200);
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.eliciting_in_flight()), (0, 0));
    assert_eq!((bench.sent.loss_time(), bench.sent.last_eliciting_at()), (None, None));
    assert_eq!(bench.detect(at(500)), []);
    bench.hear(at(81), &[0..=9]);
    assert_eq!(bench.acked.packets, 0);
}

#[test]
fn all_tokens_come_back_once() {
    let mut bench = Bench::with(0..6, at(0));
    bench.hear(at(80), &[5..=5]);
    assert_eq!(bench.lost.numbers, [0, 1, 2]);
    let mut tokens = Vec::new();
    bench.sent.all_tokens_lost(&mut tokens);
    assert_eq!(tokens, [token(3), token(4)]);
    assert_eq!(bench.sent.bytes_in_flight(), 0);
    bench.send(6..7, at(90));
    assert_eq!(bench.sent.bytes_in_flight(), 1200);
    bench.hear(at(170), &[6..=6]);
    assert_eq!((bench.acked.packets, bench.lost.packets), (1, 0));
}

#[test]
fn a_probe_carries_the_two_oldest_outstanding_packets() {
    let mut bench = Bench::new();
    bench.sent.record(0, SentPacket { mtu_probe: true, ..data(at(0), 0) });
    bench.sent.record(1, ack_only(at(0)));
    bench.send(2..6, at(0));
    let mut tokens = Vec::new();
    bench.sent.probe(&mut tokens);
    assert_eq!(tokens, [token(2), token(3)]);
    assert_eq!(bench.sent.eliciting_in_flight(), 5, "they stay in flight");
    bench.hear(at(80), &[2..=2, 0..=0]);
    tokens.clear();
    bench.sent.probe(&mut tokens);
    assert_eq!(tokens, [token(3), token(4)]);
    bench.hear(at(81), &[4..=5]);
    tokens.clear();
    bench.sent.probe(&mut tokens);
    assert_eq!(tokens, [token(3)]);
}
