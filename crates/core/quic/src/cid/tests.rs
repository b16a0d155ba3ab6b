//! Pools of ids, retirement, and the limits a hostile peer runs into.

use tq_wire::frame::NewConnectionId;
use tq_wire::{Cid, Code, PathId, ResetToken};

use super::{LocalCids, PeerCids};
use crate::payload::Payload;

fn cid(n: u64) -> Cid {
    Cid::new(&n.to_be_bytes()).expect("eight bytes fit")
}

fn new(seq: u64, retire_prior_to: u64) -> NewConnectionId {
    let token = ResetToken([seq as u8; 16]);
    NewConnectionId { path: None, seq, retire_prior_to, cid: cid(seq), token }
}

fn peer() -> PeerCids {
    let mut cids = PeerCids::new(PathId::ZERO, 8);
    cids.set_first(cid(0), None);
    cids
}

#[test]
fn rotating_uses_the_lowest_spare_and_retires_the_old_id() {
    let mut cids = peer();
    cids.on_new(&new(2, 0)).expect("allowed");
    cids.on_new(&new(1, 0)).expect("allowed");
    assert_eq!(cids.rotate().expect("a spare").seq, 1);
    assert!(cids.wants());
    let mut room = [0; 64];
    let mut payload = Payload::new(&mut room);
    cids.write(&mut payload);
    assert_eq!(payload.out.written(), [0x19, 0]);
}

// MUST 9000-5.1.2-1
#[test]
fn retire_prior_to_moves_on_before_the_new_id_counts() {
    let mut cids = peer();
    for seq in 1..8 {
        assert_eq!(cids.on_new(&new(seq, 0)), Ok(false));
    }
    assert_eq!(cids.on_new(&new(8, 8)), Ok(true), "the active id was retired");
    assert_eq!(cids.active().expect("one is left").seq, 8);
}

// MUST 9000-5.1.1-4
#[test]
fn one_id_too_many_is_a_limit_error() {
    let mut cids = peer();
    for seq in 1..8 {
        cids.on_new(&new(seq, 0)).expect("eight are allowed");
    }
    let error = cids.on_new(&new(8, 0)).expect_err("nine are not");
    assert_eq!(error.code, Code::CONNECTION_ID_LIMIT_ERROR);
}

#[test]
fn the_same_sequence_number_with_another_id_is_a_violation() {
    let mut cids = peer();
    cids.on_new(&new(1, 0)).expect("allowed");
    assert_eq!(cids.on_new(&new(1, 0)), Ok(false), "a repeated frame is harmless");
    let other = NewConnectionId { cid: cid(99), ..new(1, 0) };
    assert_eq!(cids.on_new(&other).expect_err("contradiction").code, Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_flood_of_retirements_without_acknowledgement_is_cut_off() {
    let mut cids = peer();
    let mut room = [0; 4096];
    let failed = (1..60_000).find_map(|seq| {
        let result = cids.on_new(&new(seq, seq)).err();
        cids.write(&mut Payload::new(&mut room));
        result.map(|error| (seq, error.code))
    });
    let (seq, code) = failed.expect("must be cut off");
    assert_eq!(code, Code::CONNECTION_ID_LIMIT_ERROR);
    assert!(seq < 100, "held {seq} retirements");
}

// MUST 9000-5.1.2-2
#[test]
fn a_lost_retirement_is_sent_again() {
    let mut cids = peer();
    cids.on_new(&new(1, 1)).expect("allowed");
    let mut room = [0; 64];
    cids.write(&mut Payload::new(&mut room));
    assert!(!cids.wants());
    cids.on_lost(0);
    assert!(cids.wants());
    cids.write(&mut Payload::new(&mut room));
    cids.on_acked(0);
    cids.on_lost(0);
    assert!(!cids.wants(), "acknowledged for good");
}

#[test]
fn a_peer_that_retires_without_using_gets_no_more() {
    let mut cids = LocalCids::new(PathId::ZERO);
    let mut seq = 0;
    let mut rounds = 0;
    while cids.missing(8) > 0 && rounds < 10_000 {
        cids.issue(cid(seq), ResetToken([0; 16]), true);
        cids.on_retire(seq, &cid(u64::MAX)).expect("issued");
        seq += 1;
        rounds += 1;
    }
    assert!(rounds <= 64, "{rounds} ids were replaced unused");
}

#[test]
fn retiring_what_was_not_issued_or_what_carries_the_frame_is_a_violation() {
    let mut cids = LocalCids::new(PathId::ZERO);
    cids.issue(cid(0), ResetToken([0; 16]), false);
    assert_eq!(cids.on_retire(1, &cid(0)).expect_err("not issued").code, Code::PROTOCOL_VIOLATION);
    assert_eq!(cids.on_retire(0, &cid(0)).expect_err("in use").code, Code::PROTOCOL_VIOLATION);
    assert_eq!(cids.on_retire(0, &cid(7)), Ok(Some(cid(0))));
    assert_eq!(cids.on_retire(0, &cid(7)), Ok(None), "twice is harmless");
}

// MUST 9000-5.1.2-2
#[test]
fn an_id_below_the_active_one_is_given_back_and_not_kept() {
    let mut cids = peer();
    cids.on_new(&new(1, 0)).expect("allowed");
    cids.on_new(&new(2, 0)).expect("allowed");
    cids.rotate().expect("a spare");
    cids.rotate().expect("a spare");
    let mut room = [0; 64];
    cids.write(&mut Payload::new(&mut room));
    [0, 1].into_iter().for_each(|seq| cids.on_acked(seq));
    // the peer had not heard that its frame arrived
    cids.on_new(&new(1, 0)).expect("a repetition");
    assert!(cids.rotate().is_none(), "nobody answers there any more");
    assert!(cids.wants());
}
