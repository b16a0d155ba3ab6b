//! Messages whole, cut and forged.

use proptest::prelude::*;

use super::*;

#[test]
fn a_request_reads_as_it_was_written() {
    let bytes = Request::new(libc::RTM_NEWRULE, libc::NLM_F_ACK, &[2, 0, 0])
        .with(7, b"abc")
        .with_u32(0x8009, 5)
        .bytes(77);
    assert_eq!(bytes.len(), HEADER + 4 + 8 + 8);
    let all: Vec<Message<'_>> = messages(&bytes).collect();
    let [message] = all[..] else { panic!("{all:?}") };
    assert_eq!((message.kind, message.seq), (libc::RTM_NEWRULE, 77));
    assert_eq!(i32::from(message.flags), libc::NLM_F_ACK | libc::NLM_F_REQUEST);
    let found: Vec<_> = attributes_after(message.body, 3).collect();
    assert_eq!(found, [(7, &b"abc"[..]), (9, &5_u32.to_ne_bytes()[..])]);
}

#[test]
fn several_messages_of_a_datagram_come_in_their_order() {
    let mut bytes = Request::new(1, 0, b"x").bytes(1);
    bytes.extend(Request::new(2, 0, b"yy").bytes(2));
    let kinds: Vec<u16> = messages(&bytes).map(|message| message.kind).collect();
    assert_eq!(kinds, [1, 2]);
    // The second is cut: the first is still there.
    let kinds: Vec<u16> = messages(&bytes[..bytes.len() - 1]).map(|message| message.kind).collect();
    assert_eq!(kinds, [1]);
}

#[test]
fn lengths_that_cannot_be_end_the_walk() {
    for len in [0_u32, 1, 15, 17, u32::MAX] {
        let mut bytes = Request::new(1, 0, &[]).bytes(1);
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        assert_eq!(messages(&bytes).count(), 0, "{len}");
    }
    for len in [0_u16, 3, 9, u16::MAX] {
        let mut bytes = vec![0; 8];
        bytes[..2].copy_from_slice(&len.to_ne_bytes());
        assert_eq!(attributes(&bytes).count(), 0, "{len}");
    }
}

#[test]
fn errors_are_told_from_acknowledgements_and_from_other_messages() {
    let error = |kind: i32, value: i32| {
        let bytes = Request::new(kind as u16, 0, &value.to_ne_bytes()).bytes(1);
        messages(&bytes).next().unwrap().error()
    };
    assert_eq!(error(libc::NLMSG_ERROR, 0), Some(0));
    assert_eq!(error(libc::NLMSG_ERROR, -libc::ESRCH), Some(libc::ESRCH));
    assert_eq!(error(libc::NLMSG_DONE, 0), Some(0));
    assert_eq!(error(libc::NLMSG_ERROR, i32::MIN), Some(i32::MAX));
    assert_eq!(error(i32::from(libc::RTM_NEWLINK), 0), None);
}

#[test]
fn texts_end_at_their_zero() {
    assert_eq!(text(b"eth0\0rest").as_deref(), Some("eth0"));
    assert_eq!(text(b"eth0").as_deref(), Some("eth0"));
    assert_eq!(text(b"\0"), None);
    assert_eq!(text(&[0xff, 0]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for message in messages(&bytes) {
            let _ = message.error();
            prop_assert!(attributes_after(message.body, 12).count() <= bytes.len());
        }
    }
}
