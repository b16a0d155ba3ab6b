//! Answers in order, torn, refused and doubled.

use super::*;
use crate::netlink::messages;

fn message(kind: i32, seq: u32, flags: i32, error: i32) -> Vec<u8> {
    Request::new(kind as u16, flags, &error.to_ne_bytes()).bytes(seq)
}

fn put(dump: &mut Dump, bytes: &[u8]) -> Next {
    dump.on_message(&messages(bytes).next().unwrap())
}

fn kind_and_seq(request: &[u8]) -> (u16, u32) {
    let message = messages(request).next().unwrap();
    (message.kind, message.seq)
}

const LINK: i32 = libc::RTM_NEWLINK as i32;

#[test]
fn interfaces_are_asked_for_before_addresses_before_routes() {
    let mut dump = Dump::default();
    let mut request = dump.start();
    for kind in [libc::RTM_GETLINK, libc::RTM_GETADDR] {
        let (asked, seq) = kind_and_seq(&request);
        assert_eq!(asked, kind);
        assert_eq!(put(&mut dump, &message(LINK, seq, 0, 0)), Next::Take);
        let Next::Ask(next) = put(&mut dump, &message(libc::NLMSG_DONE, seq, 0, 0)) else { panic!() };
        request = next;
    }
    let (asked, seq) = kind_and_seq(&request);
    assert_eq!(asked, libc::RTM_GETROUTE);
    assert!(dump.running());
    assert_eq!(put(&mut dump, &message(libc::NLMSG_DONE, seq, 0, 0)), Next::Done);
    assert!(!dump.running());
}

/// Answers everything that is asked; how it ended.
fn finish(dump: &mut Dump, mut request: Vec<u8>, flags: i32) -> Next {
    loop {
        let (_, seq) = kind_and_seq(&request);
        match put(dump, &message(libc::NLMSG_DONE, seq, flags, 0)) {
            Next::Ask(next) => request = next,
            end => return end,
        }
    }
}

#[test]
fn an_answer_that_changed_while_it_was_given_is_asked_for_again() {
    let mut dump = Dump::default();
    let request = dump.start();
    assert_eq!(finish(&mut dump, request, libc::NLM_F_DUMP_INTR), Next::Restart);
    let request = dump.start();
    assert_eq!(finish(&mut dump, request, 0), Next::Done);
}

#[test]
fn a_wish_during_an_answer_is_granted_after_it() {
    let mut dump = Dump::default();
    let request = dump.wish().unwrap();
    assert_eq!(dump.wish(), None);
    assert_eq!(finish(&mut dump, request, 0), Next::Restart);
    let request = dump.start();
    assert_eq!(finish(&mut dump, request, 0), Next::Done);
}

#[test]
fn a_refusal_begins_anew_and_leftovers_of_the_old_answer_are_no_end() {
    let mut dump = Dump::default();
    let (_, old) = kind_and_seq(&dump.start());
    assert_eq!(put(&mut dump, &message(libc::NLMSG_ERROR, old, 0, -libc::EBUSY)), Next::Restart);
    let (_, new) = kind_and_seq(&dump.start());
    assert_ne!(old, new);
    assert_eq!(put(&mut dump, &message(libc::NLMSG_DONE, old, 0, 0)), Next::Skip);
    assert_eq!(put(&mut dump, &message(LINK, old, 0, 0)), Next::Take);
    assert!(dump.running());
}

#[test]
fn events_are_taken_whether_or_not_something_was_asked() {
    let mut dump = Dump::default();
    assert_eq!(put(&mut dump, &message(LINK, 0, 0, 0)), Next::Take);
    dump.start();
    assert_eq!(put(&mut dump, &message(LINK, 0, 0, 0)), Next::Take);
    assert_eq!(put(&mut dump, &message(libc::NLMSG_ERROR, 0, 0, 0)), Next::Skip);
}
