//! Datagram queues and frames.

use bytes::Bytes;
use tq_buf::mem::{Vec, vec};
use tq_wire::frame::Frames;
use tq_wire::{Code, Frame};

use super::{Datagrams, OVERHEAD, SendDatagramError};
use crate::payload::Payload;

fn both_ways() -> Datagrams {
    let mut datagrams = Datagrams::new(10_000, 10_000);
    datagrams.on_params(65_535);
    datagrams
}

/// What one packet of `size` bytes carries.
fn packet(from: &mut Datagrams, size: usize) -> Vec<u8> {
    let mut room = vec![0xee; size];
    let mut payload = Payload::new(&mut room);
    from.write(&mut payload);
    assert!(payload.tokens.is_empty(), "never sent again");
    assert_eq!(payload.eliciting, !payload.out.is_empty());
    payload.out.written().to_vec()
}

fn contents(bytes: &[u8]) -> Vec<&[u8]> {
    Frames::new(bytes)
        .map(|frame| match frame {
            Ok(Frame::Datagram(data)) => data,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn datagrams_arrive_in_order_and_share_packets() {
    let (mut a, mut b) = (both_ways(), both_ways());
    let messages: [&[u8]; 4] = [b"one", b"", b"three", &[4; 100]];
    for message in messages {
        a.send(Bytes::copy_from_slice(message), 1200).unwrap();
    }
    assert!(a.wants());
    assert_eq!((a.next_len(), a.backlog()), (Some(3), 108));
    let bytes = packet(&mut a, 1200);
    assert!(!a.wants());
    let told: Vec<bool> = contents(&bytes).into_iter().map(|data| b.on_frame(data).unwrap()).collect();
    assert_eq!(told, [true, false, false, false], "one event until the queue was empty");
    let read: Vec<Bytes> = core::iter::from_fn(|| b.read()).collect();
    assert_eq!(read, messages);
    assert_eq!(b.on_frame(b"again"), Ok(true));
}

#[test]
fn the_largest_size_fits_and_one_byte_more_is_refused() {
    for (limit, payload) in
        [(65_535, 1200), (65_535, 62), (65_535, 64), (100, 1200), (65, 1200), (66, 1200), (3, 9)]
    {
        let mut a = Datagrams::new(0, 10_000);
        a.on_params(limit);
        let most = a.max_size(payload).unwrap();
        assert_eq!(a.send(Bytes::from(vec![0; most + 1]), most), Err(SendDatagramError::TooLarge));
        a.send(Bytes::from(vec![1; most]), most).unwrap();
        let bytes = packet(&mut a, payload);
        assert_eq!(contents(&bytes), [&vec![1; most][..]]);
        assert!(bytes.len() <= limit as usize && bytes.len() + 2 >= payload.min(limit as usize));
    }
}

#[test]
fn a_datagram_that_fills_the_packet_has_no_length() {
    let mut a = both_ways();
    a.send(Bytes::from(vec![7; 99]), 1200).unwrap();
    let bytes = packet(&mut a, 100);
    assert_eq!((bytes[0], bytes.len()), (0x30, 100));
    assert_eq!(contents(&bytes), [&[7; 99][..]]);
}

#[test]
fn a_datagram_that_does_not_fit_now_waits_for_the_next_packet() {
    let mut a = both_ways();
    a.send(Bytes::from(vec![7; 80]), 1200).unwrap();
    assert!(packet(&mut a, 80).is_empty());
    assert!(packet(&mut a, 82).is_empty(), "a byte is left, too few for the length of two");
    assert_eq!(packet(&mut a, 83).len(), 83);
}

#[test]
fn a_packet_that_shrank_does_not_hold_up_the_queue() {
    let mut a = both_ways();
    for len in [1300, 1300, 500] {
        a.send(Bytes::from(vec![7; len]), 1400).unwrap();
    }
    assert!(packet(&mut a, 1200).is_empty());
    a.drop_larger(a.max_size(1200).unwrap());
    assert_eq!(a.undeliverable(), 2);
    assert_eq!(contents(&packet(&mut a, 1200))[0].len(), 500);
}

// MUST 9000-19.21-1
#[test]
fn a_peer_without_datagrams_is_sent_none() {
    let mut a = Datagrams::new(1000, 1000);
    assert_eq!(a.send(Bytes::from_static(b"x"), 1200), Err(SendDatagramError::Unsupported));
    assert_eq!(a.max_size(1200), None);
    a.on_params(1200);
    a.send(Bytes::from_static(b"early"), 1200).unwrap();
    a.on_params(0);
    assert!(!a.wants(), "what was queued for 0-RTT has nowhere to go");
}

#[test]
fn frames_that_were_not_allowed_are_protocol_violations() {
    let mut none = Datagrams::new(0, 1000);
    assert_eq!(none.declared(), 0);
    let error = none.on_frame(b"").unwrap_err();
    assert_eq!((error.code, error.frame), (Code::PROTOCOL_VIOLATION, 0x30));
    let mut some = Datagrams::new(1 << 20, 0);
    assert_eq!(some.declared(), 65_535);
    assert_eq!(some.on_frame(&vec![0; 65_534]), Ok(true));
    assert_eq!(some.on_frame(&vec![0; 65_535]).unwrap_err().code, Code::PROTOCOL_VIOLATION);
}

#[test]
fn the_receive_queue_is_bounded_and_drops_the_oldest() {
    let mut b = Datagrams::new(10 * (100 + OVERHEAD), 0);
    for n in 0..1000_u32 {
        let mut data = [0; 100];
        data[..4].copy_from_slice(&n.to_be_bytes());
        b.on_frame(&data).unwrap();
    }
    assert_eq!(b.dropped(), 990);
    let left: Vec<u32> =
        core::iter::from_fn(|| b.read()).map(|d| u32::from_be_bytes(d[..4].try_into().unwrap())).collect();
    assert_eq!(left, (990..1000).collect::<Vec<_>>());
}

#[test]
fn empty_datagrams_are_bounded_too_and_a_giant_is_dropped_alone() {
    let mut b = Datagrams::new(1000, 0);
    for _ in 0..100_000 {
        b.on_frame(b"").unwrap();
    }
    assert_eq!(core::iter::from_fn(|| b.read()).count(), 1000 / OVERHEAD);
    assert_eq!(b.on_frame(&[0; 1000]), Ok(false));
    assert_eq!(b.read(), None);
    assert_eq!(b.on_frame(b"x"), Ok(true));
}

#[test]
fn a_full_send_queue_refuses_and_tells_once_when_half_is_free() {
    let mut a = Datagrams::new(0, 10 * (100 + OVERHEAD));
    a.on_params(65_535);
    let message = Bytes::from(vec![1; 100]);
    for _ in 0..10 {
        a.send(message.clone(), 1200).unwrap();
    }
    assert!(!a.take_space());
    assert_eq!(a.send(message.clone(), 1200), Err(SendDatagramError::Blocked));
    packet(&mut a, 103 * 4);
    assert!(!a.take_space());
    packet(&mut a, 103);
    assert!(a.take_space() && !a.take_space());
    assert_eq!(a.send(message, 1200), Ok(()));
}

#[test]
fn space_is_told_when_what_was_refused_fits() {
    let mut a = Datagrams::new(0, 1254);
    a.on_params(65_535);
    let (small, large) = (Bytes::from(vec![1; 461]), Bytes::from(vec![1; 894]));
    a.send(small, 1200).unwrap();
    assert_eq!(a.send(large.clone(), 1200), Err(SendDatagramError::Blocked));
    // less than half is used, but a send would be refused again, and that for ever
    assert!(!a.take_space());
    packet(&mut a, 1200);
    assert!(a.take_space());
    assert_eq!(a.send(large, 1200), Ok(()));
}

#[test]
fn one_datagram_always_fits_into_the_send_queue() {
    let mut a = Datagrams::new(0, 10);
    a.on_params(65_535);
    assert_eq!(a.send(Bytes::from(vec![1; 1000]), 1200), Ok(()));
    assert_eq!(a.send(Bytes::new(), 1200), Err(SendDatagramError::Blocked));
    packet(&mut a, 1200);
    assert!(a.take_space());
}

#[test]
fn small_datagrams_share_an_allocation() {
    let mut b = both_ways();
    let mut last = None;
    let mut jumps = 0;
    for _ in 0..1000 {
        b.on_frame(&[3; 1000]).unwrap();
        let data = b.read().unwrap();
        let at = data.as_ptr() as usize;
        jumps += usize::from(last.is_some_and(|end| end != at));
        last = Some(at + data.len());
    }
    assert!(jumps <= 1000 / 32 + 1, "{jumps}");
}
