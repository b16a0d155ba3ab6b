//! When ACKs are due and what they say, by hand; random histories against plain sets are in `model`.

mod model;

use core::ops::RangeInclusive;

use tq_buf::mem::{Vec, vec};
use tq_time::{Duration, Instant};
use tq_wire::frame::Frames;
use tq_wire::{Ecn, EcnCounts, Frame, PathId, Writer};

use super::{AckPolicy, OWED_RANGES, Owed, SEEN_RANGES};

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// A space of application data.
fn owed() -> Owed {
    Owed::new(false)
}

/// Receives ack-eliciting packets without marks.
fn receive(owed: &mut Owed, now: Instant, pns: impl IntoIterator<Item = u64>) {
    pns.into_iter().for_each(|pn| owed.on_packet(now, pn, true, Ecn::NotEct));
}

/// Writes into `room` bytes; the ranges written.
fn written(owed: &mut Owed, now: Instant, room: usize) -> Option<Vec<RangeInclusive<u64>>> {
    let mut bytes = vec![0xee; room];
    let mut w = Writer::new(&mut bytes);
    let largest = owed.write(now, &mut w, None, 3);
    let len = w.len();
    let Some(largest) = largest else {
        assert_eq!(len, 0, "nothing is written without room");
        return None;
    };
    match Frames::new(&bytes[..len]).next() {
        Some(Ok(Frame::Ack(ack))) => {
            assert_eq!(ack.largest, largest);
            Some(ack.ranges().collect())
        }
        other => panic!("{other:?}"),
    }
}

fn write(owed: &mut Owed, now: Instant) -> Vec<RangeInclusive<u64>> {
    written(owed, now, 1200).unwrap()
}

#[test]
fn at_first_nothing_is_owed() {
    let mut owed = owed();
    assert_eq!((owed.expected(), owed.largest(), owed.deadline()), (0, None, None));
    assert!(!owed.wants(at(100)) && !owed.pending() && !owed.is_duplicate(0));
    assert_eq!(written(&mut owed, at(0), 1200), None);
    owed.ack_at_once();
    assert!(!owed.wants(at(100)), "there is nothing to acknowledge");
}

// MUST 9000-13.2.1-1, 9000-13.2.1-3
#[test]
fn every_second_packet_is_acknowledged_at_once_and_one_alone_after_the_delay() {
    let mut owed = owed();
    receive(&mut owed, at(10), [0]);
    assert!(owed.pending() && !owed.wants(at(14)));
    assert_eq!(owed.deadline(), Some(at(15)));
    assert!(owed.wants(at(15)));
    receive(&mut owed, at(12), [1]);
    assert_eq!(owed.deadline(), Some(at(15)), "the delay runs from the first packet");
    assert!(owed.wants(at(12)));
    assert_eq!(write(&mut owed, at(12)), [0..=1]);
    assert!(!owed.wants(at(100)) && !owed.pending());
    assert_eq!(owed.deadline(), None);
}

// MUST 9000-13.2.1-4
#[test]
fn packets_that_elicit_nothing_wait_for_company() {
    let mut owed = owed();
    for pn in [0, 1, 2, 9, 7, 30] {
        owed.on_packet(at(0), pn, false, Ecn::Ce);
    }
    assert!(!owed.wants(at(1000)) && !owed.pending());
    assert_eq!(owed.deadline(), None);
    assert_eq!(write(&mut owed, at(0)), [30..=30, 9..=9, 7..=7, 0..=2], "but are reported with it");
}

#[test]
fn handshake_packets_are_acknowledged_at_once() {
    let mut owed = Owed::new(true);
    receive(&mut owed, at(0), [0]);
    assert!(owed.wants(at(0)));
}

#[test]
fn the_threshold_is_what_may_stay_unacknowledged() {
    for threshold in [0, 1, 9] {
        let mut owed = owed();
        owed.set_policy(AckPolicy { threshold, max_delay: Duration::from_millis(50), reordering: 1 });
        receive(&mut owed, at(0), 0..threshold);
        assert!(!owed.wants(at(49)));
        assert_eq!(owed.deadline(), (threshold > 0).then(|| at(50)));
        receive(&mut owed, at(1), [threshold]);
        assert!(owed.wants(at(1)));
    }
}

#[test]
fn a_new_policy_holds_for_what_already_waits() {
    let mut owed = owed();
    owed.set_policy(AckPolicy { threshold: 10, max_delay: Duration::from_millis(100), reordering: 1 });
    receive(&mut owed, at(0), 0..3);
    assert_eq!(owed.deadline(), Some(at(100)));
    owed.set_policy(AckPolicy { threshold: 5, max_delay: Duration::from_millis(20), reordering: 1 });
    assert_eq!(owed.deadline(), Some(at(20)));
    assert!(!owed.wants(at(0)));
    owed.set_policy(AckPolicy { threshold: 2, max_delay: Duration::from_millis(20), reordering: 1 });
    assert!(owed.wants(at(0)));
}

/// A policy of rare ACKs: only what the test is about makes one due.
fn rare(reordering: u64) -> AckPolicy {
    AckPolicy { threshold: 1000, max_delay: Duration::from_secs(1), reordering }
}

/// Which of these packets make an ACK due, each being sent at once.
fn prompt(owed: &mut Owed, pns: &[u64]) -> Vec<u64> {
    let mut prompt = Vec::new();
    for pn in pns {
        receive(owed, at(0), [*pn]);
        if owed.wants(at(0)) {
            write(owed, at(0));
            prompt.push(*pn);
        }
    }
    prompt
}

#[test]
fn a_gap_and_what_fills_it_are_acknowledged_at_once() {
    let mut owed = owed();
    owed.set_policy(rare(1));
    assert_eq!(prompt(&mut owed, &[0, 1, 3, 4, 2, 5, 6, 9, 10]), [3, 2, 9]);
}

#[test]
fn a_first_packet_that_is_not_number_zero_is_out_of_order() {
    let mut owed = owed();
    owed.set_policy(rare(1));
    assert_eq!(prompt(&mut owed, &[2, 3]), [2]);
}

/// The ack-frequency draft's two tables of examples for out-of-order packets.
#[test]
fn the_drafts_reordering_tables_hold() {
    let mut three = owed();
    three.set_policy(rare(3));
    assert_eq!(prompt(&mut three, &[0, 1, 3, 4, 5, 8, 9, 10]), [5, 9, 10]);
    let mut five = owed();
    five.set_policy(rare(5));
    assert_eq!(prompt(&mut five, &[0, 1, 3, 5, 6, 7, 8, 9]), [7, 9]);
}

#[test]
fn reordering_zero_never_hurries() {
    let mut owed = owed();
    owed.set_policy(rare(0));
    assert_eq!(prompt(&mut owed, &[5, 900, 0, 1, 70_000, 4]), []);
    assert_eq!(owed.deadline(), Some(at(1000)));
}

#[test]
fn gaps_older_than_what_is_remembered_do_not_hurry() {
    let mut owed = owed();
    owed.set_policy(AckPolicy { threshold: 10_000, ..rare(2000) });
    let pns: Vec<_> = (0..5000).step_by(2).collect();
    assert_eq!(prompt(&mut owed, &pns), []);
}

#[test]
fn a_huge_reordering_threshold_is_harmless() {
    let mut owed = owed();
    owed.set_policy(rare((1 << 62) - 1));
    assert_eq!(prompt(&mut owed, &[5, 900, 0, (1 << 62) - 1]), []);
}

#[test]
fn a_change_of_the_ce_mark_is_reported_at_once() {
    let mut owed = owed();
    owed.set_policy(rare(1));
    let mut prompt = Vec::new();
    let marks = [Ecn::Ect0, Ecn::Ce, Ecn::Ce, Ecn::Ce, Ecn::Ect0, Ecn::NotEct, Ecn::Ce];
    for (pn, ecn) in marks.into_iter().enumerate() {
        owed.on_packet(at(0), pn as u64, true, ecn);
        if owed.wants(at(0)) {
            write(&mut owed, at(0));
            prompt.push(pn);
        }
    }
    assert_eq!(prompt, [1, 4, 6]);
}

#[test]
fn with_the_default_rhythm_every_ce_mark_is_reported_at_once() {
    let mut owed = owed();
    for pn in 0..5 {
        owed.on_packet(at(0), pn, true, Ecn::Ce);
        assert!(owed.wants(at(0)));
        write(&mut owed, at(0));
    }
}

#[test]
fn a_thinned_rhythm_keeps_its_longest_delay() {
    let mut owed = owed();
    let policy = AckPolicy { threshold: 1, ..rare(1) };
    owed.set_policy(policy);
    owed.thin(4);
    receive(&mut owed, at(0), 0..7);
    assert!(!owed.wants(at(0)), "two packets of four times as many");
    receive(&mut owed, at(0), [7]);
    assert!(owed.wants(at(0)));
    write(&mut owed, at(0));
    receive(&mut owed, at(1), [8]);
    assert_eq!(owed.deadline(), Some(at(1) + policy.max_delay));
    owed.thin(1);
    receive(&mut owed, at(1), [9]);
    assert!(owed.wants(at(1)));
}

#[test]
fn immediate_ack_makes_one_due_before_or_after_its_packet_is_recorded() {
    for before in [true, false] {
        let mut owed = owed();
        owed.set_policy(rare(1));
        if before {
            owed.ack_at_once();
        }
        receive(&mut owed, at(0), [0]);
        if !before {
            owed.ack_at_once();
        }
        assert!(owed.wants(at(0)));
        write(&mut owed, at(0));
        assert!(!owed.wants(at(0)));
    }
}

#[test]
fn the_frame_says_path_delay_and_marks() {
    let mut owed = owed();
    owed.on_packet(at(0), 0, true, Ecn::Ect0);
    owed.on_packet(at(1), 1, true, Ecn::Ce);
    owed.on_packet(at(2), 5, true, Ecn::Ect1);
    owed.on_packet(at(3), 4, true, Ecn::Ect0);
    let mut bytes = [0; 64];
    let mut w = Writer::new(&mut bytes);
    assert_eq!(owed.write(at(10), &mut w, Some(PathId(7)), 3), Some(5));
    let len = w.len();
    let Some(Ok(Frame::Ack(ack))) = Frames::new(&bytes[..len]).next() else { panic!() };
    assert_eq!((ack.path, ack.largest), (Some(PathId(7)), 5));
    assert_eq!(ack.delay, 1000, "8 ms since the largest came, in units of 8 us");
    assert_eq!(ack.ecn, Some(EcnCounts { ect0: 2, ect1: 1, ce: 1 }));
    assert_eq!(ack.ranges().collect::<Vec<_>>(), [4..=5, 0..=1]);
}

#[test]
fn an_enormous_delay_still_fits_the_field() {
    let mut owed = owed();
    receive(&mut owed, at(0), [0]);
    let mut bytes = [0; 64];
    assert_eq!(owed.write(Instant::MAX, &mut Writer::new(&mut bytes), None, 0), Some(0));
}

#[test]
fn a_duplicate_changes_nothing() {
    let mut owed = owed();
    receive(&mut owed, at(0), [0]);
    write(&mut owed, at(0));
    owed.on_packet(at(1), 0, true, Ecn::Ce);
    assert!(owed.is_duplicate(0) && !owed.is_duplicate(1));
    assert!(!owed.pending() && !owed.wants(at(100)));
    assert!(owed.ecn.is_zero());
}

#[test]
fn what_the_peer_knows_is_reported_no_more_but_still_recognised() {
    let mut owed = owed();
    receive(&mut owed, at(0), [0, 1, 2, 4, 5, 8]);
    write(&mut owed, at(0));
    receive(&mut owed, at(1), [9, 10]);
    owed.on_ack_acked(8);
    assert_eq!(write(&mut owed, at(1)), [9..=10]);
    for pn in [0, 1, 2, 4, 5, 8, 9, 10] {
        assert!(owed.is_duplicate(pn));
    }
    for pn in [3, 6, 7, 11] {
        assert!(!owed.is_duplicate(pn));
    }
    receive(&mut owed, at(2), [6]);
    assert_eq!(write(&mut owed, at(2)), [9..=10, 6..=6], "a straggler is reported");
}

// MUST 9000-13.2.3-2
#[test]
fn the_largest_number_is_never_forgotten() {
    let mut owed = owed();
    receive(&mut owed, at(0), 0..10);
    write(&mut owed, at(0));
    owed.on_ack_acked(9);
    owed.on_ack_acked(u64::MAX);
    assert_eq!(write(&mut owed, at(0)), [9..=9]);
    assert_eq!(owed.expected(), 10);
}

#[test]
fn what_no_ack_has_reported_is_not_pruned() {
    let mut owed = owed();
    receive(&mut owed, at(0), [0, 1, 2, 4, 5, 6]);
    write(&mut owed, at(0));
    receive(&mut owed, at(1), [3]);
    owed.on_ack_acked(6);
    assert_eq!(write(&mut owed, at(1)), [3..=6]);
    owed.on_ack_acked(6);
    assert_eq!(write(&mut owed, at(1)), [6..=6]);
}

#[test]
fn an_ack_never_exceeds_its_room() {
    let mut full = owed();
    receive(&mut full, at(0), (0..200).map(|n| n * 3));
    let mut most = 0;
    for room in 0..300 {
        let mut again = owed();
        receive(&mut again, at(0), (0..200).map(|n| n * 3));
        if let Some(ranges) = written(&mut again, at(0), room) {
            assert_eq!(ranges[0], 597..=597, "the newest come first");
            assert!(ranges.len() >= most);
            most = ranges.len();
        } else {
            assert_eq!(most, 0);
            assert!(again.wants(at(0)), "still due");
        }
    }
    assert_eq!(most, OWED_RANGES);
}

#[test]
fn a_straggler_that_did_not_fit_is_tried_again() {
    let mut owed = owed();
    receive(&mut owed, at(0), (0..40).map(|n| n * 3));
    write(&mut owed, at(0));
    receive(&mut owed, at(1), [1]);
    assert_eq!(written(&mut owed, at(1), 20).map(|ranges| ranges.contains(&(0..=1))), Some(false));
    assert!(owed.pending() && !owed.wants(at(1)));
    owed.on_ack_acked(117);
    assert_eq!(owed.deadline(), Some(at(6)));
    assert!(owed.owed.contains(1), "not pruned before it was reported");
    assert!(write(&mut owed, at(6)).iter().any(|range| range.contains(&1)));
    assert!(!owed.pending());
}

// MUST 9000-12.3-4, 9000-13.2.3-1
#[test]
fn every_other_number_keeps_64_ranges_and_all_duplicates() {
    let mut owed = owed();
    for n in 0..100_000u64 {
        receive(&mut owed, at(n), [2 * n]);
        assert!(owed.owed.len() <= OWED_RANGES && owed.seen.len() <= SEEN_RANGES);
    }
    let ranges = write(&mut owed, at(0));
    assert_eq!(ranges.len(), OWED_RANGES);
    assert_eq!((ranges[0].clone(), ranges[63].clone()), (199_998..=199_998, 199_872..=199_872));
    for n in 0..100_000u64 {
        assert!(owed.is_duplicate(2 * n));
    }
    let young = 2 * (100_000 - SEEN_RANGES as u64) - 1;
    assert!(!owed.is_duplicate(young), "a hole in what is remembered");
    assert!(owed.is_duplicate(young - 2), "too old to tell");
    receive(&mut owed, at(0), [young - 2]);
    assert!(!owed.seen.contains(young - 2));
}

#[test]
fn falling_numbers_are_bounded_too() {
    let mut owed = owed();
    for n in (0..10_000u64).rev() {
        receive(&mut owed, at(0), [2 * n]);
    }
    assert!(owed.owed.len() <= OWED_RANGES && owed.seen.len() <= SEEN_RANGES);
    assert_eq!(owed.largest(), Some(19_998));
    assert!((0..10_000).all(|n| owed.is_duplicate(2 * n)));
}

#[test]
fn the_last_number_there_is_can_be_received() {
    let last = (1 << 62) - 1;
    let mut owed = owed();
    receive(&mut owed, at(0), [last, 0, last - 1]);
    assert_eq!(write(&mut owed, at(0)), [last - 1..=last, 0..=0]);
    assert_eq!(owed.expected(), last + 1);
    assert!(owed.is_duplicate(last) && !owed.is_duplicate(1));
}

#[test]
fn a_copy_on_the_path_itself_changes_nothing_that_is_due() {
    let mut owed = owed();
    assert!(!owed.has_news());
    receive(&mut owed, at(0), [0]);
    let due = owed.deadline();
    let mut bytes = [0; 64];
    assert_eq!(owed.write_copy(at(1), &mut Writer::new(&mut bytes), Some(PathId(1)), 3), Some(0));
    owed.on_own_path();
    assert!(!owed.has_news() && owed.pending());
    assert_eq!(owed.deadline(), due);
    assert_eq!(write(&mut owed, at(2)), [0..=0]);
    // what goes on another path leaves the path's own owed
    receive(&mut owed, at(3), [1]);
    write(&mut owed, at(4));
    assert!(owed.has_news() && !owed.pending());
    owed.on_packet(at(5), 2, false, Ecn::NotEct);
    owed.on_own_path();
    assert!(!owed.has_news());
    owed.on_packet(at(6), 3, false, Ecn::NotEct);
    assert!(!owed.has_news(), "nobody waits for it");
}

#[test]
fn what_was_said_last_is_worth_repeating_twice_where_nothing_comes_for_a_while() {
    let mut owed = owed();
    owed.on_packet(at(0), 0, false, Ecn::NotEct);
    assert!(!owed.is_worth_repeating(at(10)), "nobody waits for it");
    for (from, pn) in [(0, 1), (100, 2)] {
        receive(&mut owed, at(from), [pn]);
        assert!(!owed.is_worth_repeating(at(from + 4)) && owed.is_worth_repeating(at(from + 5)));
        owed.on_repeated();
        assert!(owed.is_worth_repeating(at(from + 999)) && !owed.is_worth_repeating(at(from + 1000)));
        owed.on_repeated();
        assert!(!owed.is_worth_repeating(at(from + 6)));
    }
}
