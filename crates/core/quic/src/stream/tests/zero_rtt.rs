//! Streams written in 0-RTT, and what happens when the server does not take it.

use super::*;

/// A client with remembered limits that sent a packet of 0-RTT.
fn early() -> (Streams, StreamId, StreamId, Packet) {
    let mut c = Streams::new(Side::Client, &small());
    c.on_params(&params(&small()));
    let (full, ended) = (c.open(Dir::Bi).unwrap(), c.open(Dir::Uni).unwrap());
    assert_eq!(c.write_slice(full, &pattern(900)), Ok(900));
    c.finish(ended).unwrap();
    let sent = packet(&mut c, 500).unwrap();
    (c, full, ended, sent)
}

#[test]
fn accepted_bytes_stay_sent() {
    let (mut c, full, ended, sent) = early();
    c.on_params(&params(&StreamConfig { stream_window: 2000, ..small() }));
    let (_, mut s) = pair(&StreamConfig { stream_window: 2000, ..small() });
    deliver(&mut s, at(0), &sent.bytes).unwrap();
    acked(&mut c, &sent);
    flush(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, full).0, pattern(900));
    assert_eq!(drain(&mut s, ended).1, Ok(None));
    assert_eq!(c.outbound.sent, 900);
}

#[test]
fn rejected_bytes_go_again_from_the_beginning() {
    for tokens_first in [true, false] {
        let (mut c, full, ended, sent) = early();
        if tokens_first {
            lost(&mut c, &sent);
        }
        c.reset_sent_state();
        if !tokens_first {
            lost(&mut c, &sent);
        }
        c.on_params(&params(&small()));
        assert_eq!((c.outbound.sent, c.backlog()), (0, 900));
        let (_, mut s) = pair(&small());
        c.write_slice(full, b"and more").unwrap();
        flush(&mut c, &mut s, at(0));
        let expected: Vec<u8> = pattern(900).into_iter().chain(*b"and more").collect();
        assert_eq!(drain(&mut s, full).0, expected);
        assert_eq!(drain(&mut s, ended).1, Ok(None));
        assert_eq!((c.outbound.sent, c.backlog(), c.held.unacked), (908, 0, 0));
    }
}

#[test]
fn rejected_bytes_keep_to_limits_that_are_lower_than_the_remembered_ones() {
    let (mut c, full, ended, _) = early();
    let third = c.open(Dir::Bi).unwrap();
    c.write_slice(third, b"beyond").unwrap();
    while packet(&mut c, 500).is_some() {}
    c.reset_sent_state();
    let lower =
        StreamConfig { stream_window: 300, connection_window: 200, max_bidi: 1, max_uni: 1, ..small() };
    c.on_params(&params(&lower));
    let (_, mut s) = pair(&lower);
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, full).0, pattern(900)[..200], "no violation, and no more than allowed");
    assert_eq!(drain(&mut s, ended).1, Ok(None));
    let mut got = pattern(900)[..200].to_vec();
    for _ in 0..20 {
        settle(&mut c, &mut s, at(0));
        got.extend(drain(&mut s, full).0);
    }
    assert_eq!(got, pattern(900));
    assert!(!c.wants_data(), "the third stream is beyond the limit");
    c.on_max_streams(Dir::Bi, 2);
    assert!(c.wants_data());
    let late = packet(&mut c, 500).unwrap();
    assert!(frames(&late).contains(&Frame::Stream(stream(third, 0, b"beyond", false))));
}

#[test]
fn bytes_lost_again_after_a_rejection_need_no_new_credit() {
    let (mut c, full, _, _) = early();
    while packet(&mut c, 500).is_some() {}
    c.reset_sent_state();
    let lower = StreamConfig { connection_window: 200, ..small() };
    c.on_params(&params(&lower));
    let sent: Vec<_> = core::iter::from_fn(|| packet(&mut c, 500)).collect();
    assert_eq!(c.outbound.credit(), 0);
    sent.iter().for_each(|packet| lost(&mut c, packet));
    let (_, mut s) = pair(&lower);
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, full).0, pattern(900)[..200]);
}

#[test]
fn resets_and_stops_of_rejected_streams_are_said_again() {
    let (mut c, full, ended, _) = early();
    while packet(&mut c, 500).is_some() {}
    c.reset(full, 7).unwrap();
    c.stop(full, 8).unwrap();
    while packet(&mut c, 500).is_some() {}
    c.reset_sent_state();
    c.on_params(&params(&small()));
    let (_, mut s) = pair(&small());
    flush(&mut c, &mut s, at(0));
    assert_eq!(s.read(full, 1), Err(ReadError::Reset(7)), "with the final size of what was sent since: none");
    assert_eq!(s.write_slice(full, b"x"), Err(WriteError::Stopped(8)));
    assert_eq!(drain(&mut s, ended).1, Ok(None));
    settle(&mut c, &mut s, at(0));
    assert_eq!((c.len(), s.len()), (0, 0));
}
