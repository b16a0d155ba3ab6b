//! What is outstanding when a path falls silent.

use super::*;
use crate::space::sent::wait::TakenOut;

#[test]
fn the_oldest_waiting_packet_asks_for_an_answer_and_is_no_probe() {
    let mut bench = Bench::new();
    assert_eq!(bench.sent.oldest_waiting(), None);
    bench.sent.record(0, ack_only(at(1)));
    bench.sent.record(1, SentPacket { mtu_probe: true, ..data(at(2), 1) });
    bench.sent.record(2, SentPacket { beside: true, ..data(at(3), 2) });
    assert_eq!(bench.sent.oldest_waiting(), None);
    bench.send(5..7, at(4));
    bench.send(7..8, at(5));
    assert_eq!(bench.sent.oldest_waiting(), Some(at(4)));
    bench.hear(at(50), &[5..=6]);
    assert_eq!(bench.sent.oldest_waiting(), Some(at(5)));
    bench.hear(at(51), &[7..=7]);
    assert_eq!(bench.sent.oldest_waiting(), None);
    bench.send(8..9, at(60));
    assert_eq!(bench.sent.oldest_waiting(), Some(at(60)));
}

#[test]
fn copies_leave_the_packet_in_flight() {
    let mut bench = Bench::with(0..4, at(0));
    bench.hear(at(50), &[1..=1]);
    let next = |bench: &Bench, from| bench.sent.next_waiting(from, |_| true).map(|(pn, ..)| pn);
    assert_eq!(
        (next(&bench, 0), next(&bench, 1), next(&bench, 3), next(&bench, 4)),
        (Some(0), Some(2), Some(3), None)
    );
    let (before, mut out) = (bench.sent.bytes_in_flight(), Vec::new());
    (0..10).for_each(|pn| bench.sent.copy_tokens(pn, &mut out));
    assert_eq!(out, [token(0), token(2), token(3)]);
    assert_eq!(bench.sent.bytes_in_flight(), before);
    bench.send(4..5, at(7));
    assert_eq!(bench.sent.next_waiting(0, |packet| !packet.copied), Some((4, at(7), 1200)));
    assert_eq!(bench.sent.newest_waiting(|packet| packet.copied), Some((at(0), 1200)));
    assert_eq!(bench.sent.newest_waiting(|packet| packet.size == 1), None);
}

#[test]
fn what_is_taken_out_counts_nowhere_and_is_recognised_when_it_arrives() {
    let mut bench = Bench::with(0..6, at(0));
    bench.send(6..8, at(9));
    let mut out = Vec::new();
    (0..2).for_each(|pn| bench.sent.copy_tokens(pn, &mut out));
    out.clear();
    let taken = bench.sent.take_out(7, &mut out);
    assert_eq!(taken, TakenOut { packets: 7, bytes: 7 * 1200, newest: Some(at(9)) });
    assert_eq!(out, [token(2), token(3), token(4), token(5), token(6)], "0 and 1 went before");
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.eliciting_in_flight()), (1200, 1));
    assert_eq!(bench.sent.oldest_waiting(), Some(at(9)));
    assert_eq!(bench.hear(at(80), &[4..=7]), []);
    assert_eq!((bench.acked.packets, bench.acked.spurious), (1, 3));
    assert_eq!((bench.sent.bytes_in_flight(), bench.sent.oldest_waiting()), (0, None));
    assert_eq!(bench.sent.take_out(100, &mut out), TakenOut::default());
}
