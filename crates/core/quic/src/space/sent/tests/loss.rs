//! Loss by number and by time, spurious loss, persistent congestion.

use super::*;
use crate::space::sent::loss::{CALM, PACKET_THRESHOLD};

#[test]
fn a_packet_is_lost_three_below_the_largest_acknowledged() {
    let mut bench = Bench::with(0..10, at(0));
    assert_eq!(bench.hear(at(80), &[2..=2]), []);
    assert_eq!(bench.hear(at(80), &[3..=3]), [0]);
    assert_eq!((bench.lost.packets, bench.lost.bytes), (1, 1200));
    assert_eq!(bench.lost.newest, Some((0, at(0))));
    assert_eq!(bench.lost.tokens, [token(0)]);
    assert_eq!(bench.hear(at(80), &[5..=5]), [1]);
    assert_eq!(bench.sent.bytes_in_flight(), 10_000 + 2000 - 5 * 1200);
}

#[test]
fn losses_tell_their_runs_and_what_the_newest_left_with() {
    let mut bench = Bench::with(0..20, at(0));
    assert_eq!(bench.hear(at(80), &[9..=12, 5..=6, 2..=2]), [0, 1, 3, 4, 7, 8]);
    assert_eq!(bench.lost.ranges(), 3);
    assert_eq!(bench.lost.rate.delivered, 8);
    assert_eq!(bench.hear(at(80), &[16..=16]), [13]);
    assert_eq!((bench.lost.ranges(), bench.lost.rate.delivered), (1, 13));
}

#[test]
fn an_overtaken_packet_is_lost_after_the_loss_delay() {
    let mut bench = Bench::with(0..1, at(0));
    bench.send(1..2, at(10));
    bench.send(2..3, at(20));
    assert_eq!(bench.hear(at(85), &[1..=1]), []);
    assert_eq!(bench.sent.loss_time(), Some(at(90)));
    assert_eq!(bench.detect(at(89)), []);
    assert_eq!(bench.sent.loss_time(), Some(at(90)));
    assert_eq!(bench.detect(at(90)), [0]);
    assert_eq!(bench.sent.loss_time(), None, "2 is above the largest acknowledged");
}

#[test]
fn loss_time_belongs_to_the_oldest_packet_below_the_largest() {
    let mut bench = Bench::with(0..1, at(0));
    bench.send(1..2, at(10));
    bench.send(2..3, at(20));
    assert_eq!(bench.hear(at(85), &[2..=2]), []);
    assert_eq!(bench.sent.loss_time(), Some(at(90)));
    assert_eq!(bench.detect(at(95)), [0]);
    assert_eq!(bench.sent.loss_time(), Some(at(100)));
    assert_eq!(bench.hear(at(96), &[1..=1]), []);
    assert_eq!(bench.sent.loss_time(), None);
}

#[test]
fn nothing_is_lost_without_an_ack() {
    let mut bench = Bench::with(0..100, at(0));
    assert_eq!(bench.detect(at(100_000)), []);
    assert_eq!(bench.sent.loss_time(), None);
}

#[test]
fn lost_acks_bother_nobody() {
    let mut bench = Bench::new();
    bench.sent.record(0, ack_only(at(0)));
    bench.sent.record(1, ack_only(at(50)));
    bench.send(2..3, at(60));
    assert_eq!(bench.hear(at(70), &[2..=2]), []);
    assert_eq!((bench.lost.packets, bench.sent.loss_time()), (0, None));
    assert_eq!(bench.sent.ring.len(), 0);
}

#[test]
fn a_lost_mtu_probe_is_no_congestion() {
    let mut bench = Bench::with(0..2, at(0));
    bench.sent.record(2, SentPacket { mtu_probe: true, size: 1452, ..data(at(0), 2) });
    bench.send(3..6, at(0));
    assert_eq!(bench.sent.bytes_in_flight(), 5 * 1200 + 1452);
    assert_eq!(bench.hear(at(80), &[3..=5, 0..=1]), [2]);
    assert_eq!((bench.lost.packets, bench.lost.bytes, bench.lost.newest), (0, 0, None));
    assert_eq!(bench.lost.probe_lost, Some(1452));
    assert_eq!(bench.sent.bytes_in_flight(), 0);
}

#[test]
fn a_packet_lost_and_delivered_is_spurious_and_not_delivered_twice() {
    let mut bench = Bench::with(0..10, at(0));
    assert_eq!(bench.hear(at(80), &[1..=4]), [0]);
    assert_eq!(bench.hear(at(81), &[0..=4]), []);
    let acked = &bench.acked;
    assert_eq!((acked.spurious, acked.packets, acked.bytes), (1, 0, 0));
    assert_eq!((acked.largest, acked.any_eliciting, acked.new_largest), (Some((0, at(0))), true, false));
    assert_eq!(acked.tokens, []);
    bench.hear(at(82), &[0..=4]);
    assert_eq!(bench.acked.spurious, 0);
}

#[test]
fn reordering_by_eight_is_learnt_and_then_harmless() {
    let mut bench = Bench::with(0..100, at(0));
    // 0 is overtaken by 8 packets.
    assert_eq!(bench.hear(at(80), &[1..=8]), [0]);
    bench.hear(at(80), &[0..=8]);
    assert_eq!(bench.acked.spurious, 1);
    // So may 10 be from now on.
    assert_eq!(bench.hear(at(80), &[11..=18, 0..=9]), []);
    assert_eq!(bench.hear(at(80), &[0..=18]), []);
    assert_eq!(bench.acked.spurious, 0);
    assert_eq!(bench.hear(at(80), &[20..=28, 0..=18]), [19]);
}

#[test]
fn the_threshold_stops_at_half_the_window() {
    let mut bench = Bench::with(0..40, at(0));
    assert_eq!(bench.hear(at(80), &[1..=29]), [0]);
    bench.hear(at(80), &[0..=29]);
    // 10 were in flight when the late one was heard of, so 5 it is.
    assert_eq!(bench.hear(at(80), &[31..=34, 0..=29]), []);
    assert_eq!(bench.hear(at(80), &[31..=35, 0..=29]), [30]);
}

#[test]
fn a_small_window_keeps_the_threshold_at_three() {
    let mut bench = Bench::with(0..5, at(0));
    assert_eq!(bench.hear(at(80), &[1..=4]), [0]);
    bench.hear(at(80), &[0..=4]);
    assert_eq!(bench.acked.spurious, 1);
    bench.send(5..9, at(100));
    assert_eq!(bench.hear(at(180), &[6..=8, 0..=4]), [5]);
}

#[test]
fn a_raised_threshold_comes_down_when_losses_are_real() {
    let mut bench = Bench::with(0..4000, at(0));
    assert_eq!(bench.hear(at(1), &[1..=12]), [0]);
    bench.hear(at(1), &[0..=12]);
    let mut pn = 13;
    let mut lose = |bench: &mut Bench, by: u64| {
        pn += by + 1;
        let lost = bench.hear(at(1), &[pn - by..=pn - 1]);
        u64::from(lost.contains(&(pn - by - 1)))
    };
    // 13 is the threshold: twelve above are not enough, thirteen are.
    assert_eq!((lose(&mut bench, 12), lose(&mut bench, 13)), (0, 1));
    for _ in 0..CALM {
        lose(&mut bench, 13);
    }
    assert_eq!((lose(&mut bench, 5), lose(&mut bench, 6)), (0, 1));
    for _ in 0..2 * CALM {
        lose(&mut bench, 13);
    }
    assert_eq!(lose(&mut bench, PACKET_THRESHOLD), 1);
}

#[test]
fn a_spurious_loss_in_between_keeps_the_threshold_up() {
    let mut bench = Bench::with(0..4000, at(0));
    bench.hear(at(1), &[1..=12]);
    bench.hear(at(1), &[0..=12]);
    // Each step loses one packet overtaken by `by` others, if the threshold is no higher.
    let lose = |bench: &mut Bench, by: u64| {
        let late = bench.sent.largest_acked().unwrap() + 1;
        bench.hear(at(1), &[late + 1..=late + by]).contains(&late)
    };
    for _ in 1..CALM {
        assert!(lose(&mut bench, 13));
    }
    // The last of them arrives after all, having been overtaken by 13.
    let late = bench.sent.largest_acked().unwrap() - 13;
    bench.hear(at(1), &[late..=late]);
    assert_eq!(bench.acked.spurious, 1);
    for _ in 1..CALM {
        assert!(lose(&mut bench, 14));
    }
    assert!(!lose(&mut bench, 13));
}

#[test]
fn lost_packets_are_forgotten_in_time() {
    let mut bench = Bench::with(0..8, at(0));
    assert_eq!(bench.hear(at(80), &[1..=7]), [0]);
    bench.detect(at(999));
    assert_eq!(bench.sent.ring.len(), 8);
    bench.detect(at(1000));
    assert_eq!(bench.sent.ring.len(), 0);
    bench.hear(at(1001), &[0..=7]);
    assert_eq!((bench.acked.spurious, bench.acked.packets), (0, 0));
}

/// The example of RFC 9002 §7.6.3, its packets counted from 0: one is sent in each of seconds 0 to 6, probes in seconds
/// 8 and 12. The first is acknowledged, then the last.
fn rfc_example(mut bench: Bench) -> Bench {
    let sent = [0, 1, 2, 3, 4, 5, 6, 8, 12];
    for (pn, second) in sent.into_iter().enumerate() {
        let pn = pn as u64;
        bench.send(pn..pn + 1, at(second * 1000));
        if second == 1 {
            assert_eq!(bench.hear(at(1200), &[0..=0]), []);
        }
    }
    assert_eq!(bench.hear(at(12_200), &[8..=8]), [1, 2, 3, 4, 5, 6, 7]);
    bench
}

#[test]
fn the_rfc_example_spans_seven_seconds() {
    let mut bench = Bench::new();
    bench.sent.on_first_rtt(at(0));
    assert_eq!(rfc_example(bench).lost.span, Some((at(1000), at(8000))));
}

#[test]
fn a_span_does_not_begin_before_the_first_rtt_sample() {
    // Here the first sample is the one at 1.2 s, when the packet of second 1 had left.
    assert_eq!(rfc_example(Bench::new()).lost.span, Some((at(2000), at(8000))));
}

fn warm() -> Bench {
    let mut bench = Bench::with(0..1, at(0));
    bench.hear(at(80), &[0..=0]);
    bench
}

// MUST 9002-7.4-1
#[test]
fn an_acknowledged_packet_breaks_the_span() {
    let mut bench = warm();
    for pn in 1..20 {
        bench.send(pn..pn + 1, at(100 * pn));
    }
    assert_eq!(bench.hear(at(3000), &[19..=19, 7..=7]).len(), 17);
    assert_eq!(bench.lost.span, Some((at(800), at(1800))), "longer than 100 to 600");
}

// MUST 9002-7.6.2-1
#[test]
fn one_lost_packet_is_no_span() {
    let mut bench = warm();
    bench.send(1..6, at(100));
    assert_eq!(bench.hear(at(3000), &[2..=5]), [1]);
    assert_eq!(bench.lost.span, None);
}

// MUST 9002-7.6.2-1
#[test]
fn packets_that_elicit_nothing_neither_begin_nor_break_a_span() {
    let mut bench = warm();
    bench.sent.record(1, SentPacket { eliciting: false, ..data(at(100), 1) });
    bench.send(2..3, at(200));
    bench.sent.record(3, ack_only(at(300)));
    bench.send(5..6, at(500));
    bench.sent.record(6, SentPacket { mtu_probe: true, ..data(at(600), 6) });
    bench.send(7..11, at(700));
    assert_eq!(bench.hear(at(790), &[10..=10]), [1, 2, 5, 6, 7, 8, 9]);
    assert_eq!(bench.lost.span, Some((at(200), at(700))));
}

#[test]
fn a_span_goes_on_over_two_detections() {
    let mut bench = warm();
    for pn in 1..=6 {
        bench.send(pn..pn + 1, at(100 * pn));
    }
    assert_eq!(bench.hear(at(650), &[6..=6]), [1, 2, 3, 4, 5]);
    assert_eq!(bench.lost.span, Some((at(100), at(500))));
    let mut bench = warm();
    for pn in 1..=6 {
        bench.send(pn..pn + 1, at(100 * pn));
    }
    bench.send(7..8, at(610));
    assert_eq!(bench.hear(at(685), &[7..=7]), [1, 2, 3, 4, 5]);
    assert_eq!(bench.sent.loss_time(), Some(at(690)));
    assert_eq!(bench.detect(at(690)), [6]);
    assert_eq!(bench.lost.span, Some((at(100), at(600))));
}

#[test]
fn a_spurious_loss_breaks_the_span() {
    let mut bench = warm();
    for pn in 1..=6 {
        bench.send(pn..pn + 1, at(100 * pn));
    }
    bench.send(7..8, at(610));
    assert_eq!(bench.hear(at(685), &[7..=7]), [1, 2, 3, 4, 5]);
    bench.hear(at(686), &[7..=7, 3..=3]);
    assert_eq!(bench.acked.spurious, 1);
    // an eighth of 90 ms more than before
    assert_eq!(bench.sent.loss_time(), Some(at(701) + Duration::from_micros(250)));
    assert_eq!(bench.detect(at(690)), []);
    assert_eq!(bench.detect(at(702)), [6]);
    assert_eq!(bench.lost.span, None);
}

// MUST 9000-9.4-1
#[test]
fn packets_that_went_elsewhere_say_nothing_of_this_way_and_are_sent_again() {
    let mut bench = Bench::with(0..4, at(0));
    bench.send(4..8, at(10));
    bench.send(8..20, at(20));
    bench.sent.set_elsewhere(at(10), at(20));
    // of 0..8 only two arrive, one of them by the other way
    assert_eq!(bench.hear(at(90), &[8..=19, 4..=4, 0..=0]), [1, 2, 3, 5, 6, 7]);
    assert_eq!(bench.acked.bytes, 13 * 1200, "without number 4");
    assert_eq!((bench.acked.packets, bench.acked.tokens.len()), (14, 14));
    assert_eq!((bench.lost.packets, bench.lost.bytes), (3, 3600));
    assert_eq!(bench.lost.newest, Some((3, at(0))));
    assert!(bench.lost.strayed);
    assert_eq!(bench.lost.tokens.len(), 6, "all content goes again");
    assert_eq!(bench.sent.bytes_in_flight(), 0);
}

#[test]
fn signs_of_life_that_a_silent_path_swallows_are_no_congestion() {
    let mut bench = Bench::with(0..2, at(0));
    bench.sent.ask_from(2);
    for pn in 2..5 {
        bench.sent.record(pn, SentPacket { size: 40, tokens: smallvec![], ..data(at(5), pn) });
    }
    bench.send(5..6, at(6));
    bench.sent.ask_until(6);
    bench.send(6..12, at(10));
    assert_eq!(bench.hear(at(90), &[6..=11, 0..=1]), [2, 3, 4, 5]);
    assert_eq!((bench.lost.packets, bench.lost.newest), (1, Some((5, at(6)))), "data counts as ever");
    assert!(bench.lost.strayed);
    assert_eq!(bench.sent.bytes_in_flight(), 0);
}

#[test]
fn what_a_copy_overtook_in_a_race_is_not_lost_to_the_window_but_still_measures() {
    let mut bench = Bench::with(0..4, at(0));
    bench.sent.set_raced(at(10));
    bench.send(4..12, at(10));
    assert_eq!(bench.hear(at(90), &[8..=11]), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((bench.lost.packets, bench.lost.newest), (4, Some((7, at(10)))));
    assert!(bench.lost.strayed);
    assert_eq!(bench.lost.tokens.len(), 8);
    let mut bench = Bench::with(0..4, at(0));
    bench.sent.set_raced(at(10));
    assert_eq!(bench.hear(at(90), &[0..=3]), []);
    assert!(bench.acked.any_eliciting && bench.acked.rates.is_some());
    assert_eq!(bench.acked.bytes, 4 * 1200);
}

// MUST 9000-9.4-1
#[test]
fn what_was_sent_before_a_move_gives_no_sample_after_it() {
    let mut bench = Bench::with(0..10, at(0));
    bench.sent.set_elsewhere(Instant::ZERO, at(5));
    bench.send(10..12, at(5));
    assert_eq!(bench.hear(at(80), &[0..=9]), []);
    assert!(!bench.acked.any_eliciting && bench.acked.rates.is_none());
    assert_eq!((bench.acked.bytes, bench.acked.packets), (0, 10));
    assert_eq!(bench.hear(at(85), &[0..=11]), []);
    assert!(bench.acked.any_eliciting && bench.acked.rates.is_some());
    assert_eq!(bench.acked.bytes, 2400);
}

#[test]
fn spurious_losses_double_the_time_threshold_at_most_and_calm_halves_it_again() {
    let mut bench = warm();
    let mut now = 1000;
    let mut pn = 1;
    let mut patience = |bench: &mut Bench, spurious: bool| {
        // the first of two is overtaken, lost by time, and turns up or does not
        bench.send(pn..pn + 2, at(now));
        bench.hear(at(now + 10), &[pn + 1..=pn + 1]);
        let due = bench.sent.loss_time().expect("one was overtaken");
        assert_eq!(bench.detect(due), [pn]);
        if spurious {
            bench.hear(due, &[pn..=pn + 1]);
        }
        let waited = due.saturating_since(at(now)).as_micros();
        (now, pn) = (now + 1000, pn + 2);
        waited
    };
    let waits: Vec<u128> = (0..10).map(|_| patience(&mut bench, true)).collect();
    assert_eq!(waits[..3], [90_000, 101_250, 112_500]);
    assert_eq!(waits[8..], [180_000, 180_000]);
    for _ in 0..15 {
        assert_eq!(patience(&mut bench, false), 180_000);
    }
    assert_eq!(patience(&mut bench, false), 180_000);
    assert_eq!(patience(&mut bench, false), 135_000);
}
