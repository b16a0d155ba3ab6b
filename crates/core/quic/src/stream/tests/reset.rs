//! Ends that are not FIN: resets, stops, their races, and what happens to credit and ids.

use super::*;

fn stop(id: StreamId, code: u64) -> frame::StopSending {
    frame::StopSending { id, code }
}

/// A stream of the client with `len` bytes that arrived.
fn opened(c: &mut Streams, s: &mut Streams, dir: Dir, len: usize) -> StreamId {
    let id = c.open(dir).unwrap();
    assert_eq!(c.write_slice(id, &pattern(len)), Ok(len));
    flush(c, s, at(0));
    id
}

#[test]
fn a_reset_drops_what_was_unread_and_gives_its_credit_back() {
    let (mut c, mut s) = pair(&small());
    for round in 0..20 {
        let id = opened(&mut c, &mut s, Dir::Bi, 1000);
        c.reset(id, round).unwrap();
        assert_eq!(c.write_slice(id, b"x"), Err(WriteError::Closed));
        flush(&mut c, &mut s, at(0));
        assert_eq!(s.read(id, 10), Err(ReadError::Reset(round)));
        assert_eq!(s.read(id, 10), Err(ReadError::Closed));
        s.finish(id).unwrap();
        settle(&mut c, &mut s, at(0));
        assert_eq!(drain(&mut c, id).1, Ok(None));
        assert_eq!((c.len(), s.len()), (0, 0));
    }
}

// MUST 9000-4.5-1
#[test]
fn bytes_a_reset_left_out_count_for_the_connection_and_are_given_back() {
    let (_, mut s) = pair(&small());
    let id = |index| StreamId::new(Side::Client, Dir::Uni, index);
    for index in 0..3 {
        s.on_reset(&frame::ResetStream { id: id(index), code: 1, final_size: 1000 }).unwrap();
    }
    let sent = packet(&mut s, 1200).unwrap();
    assert!(frames(&sent).contains(&Frame::MaxData(5000)), "{sent:?}");
}

// MUST 9000-3.5-1
#[test]
fn a_stop_discards_what_comes_and_gives_its_credit_back() {
    let (mut c, mut s) = pair(&small());
    let id = opened(&mut c, &mut s, Dir::Uni, 1000);
    s.stop(id, 42).unwrap();
    assert_eq!(s.read(id, 1), Err(ReadError::Closed));
    assert!(s.stop(id, 43).is_err());
    let sent = packet(&mut s, 1200).unwrap();
    assert!(frames(&sent).contains(&Frame::StopSending(stop(id, 42))));
    // before it arrives, more comes from others
    for index in 1..3 {
        let other = opened(&mut c, &mut s, Dir::Uni, 1000);
        assert_eq!(other.index(), index);
        s.stop(other, 1).unwrap();
    }
    deliver(&mut c, at(0), &sent.bytes).unwrap();
    assert_eq!(events(&mut c), [StreamEvent::Stopped { id, code: 42 }]);
    assert_eq!(c.write_slice(id, b"x"), Err(WriteError::Stopped(42)));
    let answer = packet(&mut c, 1200).unwrap();
    let reset = frame::ResetStream { id, code: 42, final_size: 1000 };
    assert!(frames(&answer).contains(&Frame::ResetStream(reset)));
    deliver(&mut s, at(0), &answer.bytes).unwrap();
    acked(&mut c, &answer);
    settle(&mut c, &mut s, at(0));
    assert_eq!((c.len(), s.len()), (0, 0));
    assert!(c.outbound.credit() >= 1500, "{}", c.outbound.credit());
}

#[test]
fn a_stop_after_everything_came_needs_no_frame() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, b"all").unwrap();
    c.finish(id).unwrap();
    flush(&mut c, &mut s, at(0));
    s.stop(id, 1).unwrap();
    assert_eq!(s.len(), 0);
    let sent = packet(&mut s, 1200).unwrap();
    assert_eq!(frames(&sent), [Frame::MaxStreams(Dir::Uni, 5)]);
}

#[test]
fn a_stop_with_the_end_known_but_bytes_missing_ends_with_its_acknowledgement() {
    let (_, mut s) = pair(&small());
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    s.on_stream(at(0), &stream(id, 500, b"x", true)).unwrap();
    s.stop(id, 7).unwrap();
    let sent = packet(&mut s, 1200).unwrap();
    assert_eq!(s.len(), 1);
    lost(&mut s, &sent);
    let again = packet(&mut s, 1200).unwrap();
    assert!(frames(&again).contains(&Frame::StopSending(stop(id, 7))));
    acked(&mut s, &again);
    assert_eq!(s.len(), 0);
}

#[test]
fn a_stop_and_a_reset_that_cross_end_both_sides() {
    let (mut c, mut s) = pair(&small());
    let id = opened(&mut c, &mut s, Dir::Bi, 300);
    s.stop(id, 1).unwrap();
    c.reset(id, 2).unwrap();
    let (down, up) = (packet(&mut s, 1200).unwrap(), packet(&mut c, 1200).unwrap());
    deliver(&mut c, at(0), &down.bytes).unwrap();
    deliver(&mut s, at(0), &up.bytes).unwrap();
    assert_eq!(c.write_slice(id, b"x"), Err(WriteError::Closed), "its own reset came first");
    assert!(!events(&mut c).iter().any(|event| matches!(event, StreamEvent::Stopped { .. })));
    lost(&mut s, &down);
    assert!(!s.wants_control() || packet(&mut s, 1200).is_none(), "the stop has no use any more");
    acked(&mut c, &up);
    c.stop(id, 3).unwrap();
    settle(&mut c, &mut s, at(0));
    assert_eq!((c.len(), s.len()), (0, 0), "the stop made the server reset its part");
}

// MUST 9000-3.3-1
#[test]
fn a_reset_or_stop_after_the_fin_was_acknowledged_is_a_no_op() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Bi).unwrap();
    c.write_slice(id, b"all").unwrap();
    c.finish(id).unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(events(&mut c), [StreamEvent::Finished(id)]);
    assert_eq!(c.reset(id, 1), Ok(()));
    c.on_stop_sending(&stop(id, 2)).unwrap();
    assert!(!c.wants_control());
    assert_eq!(events(&mut c), []);
    assert!(c.finish(id).is_err());
    assert_eq!(drain(&mut s, id), (b"all".to_vec(), Ok(None)));
}

#[test]
fn a_reset_after_everything_came_is_ignored() {
    let (_, mut s) = pair(&small());
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    s.on_stream(at(0), &stream(id, 0, b"all", true)).unwrap();
    s.on_reset(&frame::ResetStream { id, code: 1, final_size: 3 }).unwrap();
    assert_eq!(drain(&mut s, id), (b"all".to_vec(), Ok(None)));
}

// MUST 9000-3.3-1, 9000-3.3-2, 9000-4.5-2, 9000-13.3-1
#[test]
fn a_reset_is_sent_until_it_is_acknowledged_and_bytes_are_not() {
    let (mut c, _) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 900]).unwrap();
    let data = packet(&mut c, 500).unwrap();
    c.reset(id, 9).unwrap();
    assert!(c.reset(id, 8).is_ok(), "the first code stays");
    lost(&mut c, &data);
    for _ in 0..3 {
        let sent = packet(&mut c, 500).unwrap();
        let [Frame::ResetStream(reset)] = frames(&sent)[..] else { panic!("{sent:?}") };
        assert_eq!((reset.code, reset.final_size), (9, c.outbound.sent));
        lost(&mut c, &sent);
    }
    let sent = packet(&mut c, 500).unwrap();
    acked(&mut c, &sent);
    lost(&mut c, &sent);
    assert!(!c.wants_control() && !c.wants_data());
    assert_eq!((c.len(), c.backlog(), c.held.unacked), (0, 0, 0));
}

#[test]
fn a_reset_at_delivers_up_to_its_reliable_size() {
    let (_, mut s) = pair(&small());
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    let data = pattern(600);
    s.on_stream(at(0), &stream(id, 100, &data[100..], false)).unwrap();
    let cut = |reliable_size| frame::ResetStreamAt { id, code: 3, final_size: 800, reliable_size };
    s.on_reset_at(&cut(300)).unwrap();
    assert_eq!(s.read(id, 10), Err(ReadError::Blocked));
    s.on_stream(at(0), &stream(id, 0, &data[..100], false)).unwrap();
    assert_eq!(drain(&mut s, id), (data[..300].to_vec(), Err(ReadError::Reset(3))));
    assert_eq!(s.len(), 0);
    assert!(s.inbound.receive(3000 - 800), "800 were counted, once");
}

#[test]
fn a_reliable_size_only_falls() {
    let (_, mut s) = pair(&small());
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    let cut = |reliable_size| frame::ResetStreamAt { id, code: 3, final_size: 800, reliable_size };
    s.on_reset_at(&cut(300)).unwrap();
    s.on_reset_at(&cut(700)).unwrap();
    s.on_stream(at(0), &stream(id, 0, &pattern(200), false)).unwrap();
    assert_eq!(s.read(id, 100).unwrap().unwrap().len(), 100);
    s.on_reset_at(&cut(150)).unwrap();
    assert_eq!(s.read(id, 500).unwrap().unwrap().len(), 50);
    assert_eq!(s.read(id, 500), Err(ReadError::Reset(3)));
}

#[test]
fn a_partial_reset_keeps_credit_for_what_it_makes_us_hold() {
    let (_, mut s) = pair(&small());
    for index in 0..3 {
        let id = StreamId::new(Side::Client, Dir::Uni, index);
        s.on_stream(at(0), &stream(id, 1, &[1; 999], false)).unwrap();
        s.on_reset_at(&frame::ResetStreamAt { id, code: 0, final_size: 1000, reliable_size: 1 }).unwrap();
    }
    assert!(!s.wants_control(), "nothing was read, nothing was dropped");
    let id = StreamId::new(Side::Client, Dir::Uni, 3);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, b"x", false))), Some(Code::FLOW_CONTROL_ERROR));
}

// MUST 9000-2.1-1, 9000-4.6-5
#[test]
fn ids_are_given_back_in_batches_as_streams_end() {
    let (mut c, mut s) = pair(&small());
    let mut granted = Vec::new();
    for index in 0..40 {
        let id = c.open(Dir::Bi).expect("credit came back in time");
        assert_eq!(id.index(), index);
        c.reset(id, 0).unwrap();
        c.stop(id, 0).unwrap();
        for _ in 0..3 {
            flush(&mut c, &mut s, at(0));
            let _ = drain(&mut s, id);
            for packet in flush(&mut s, &mut c, at(0)) {
                granted.extend(frames(&packet).into_iter().filter_map(|frame| match frame {
                    Frame::MaxStreams(Dir::Bi, limit) => Some(limit),
                    _ => None,
                }));
            }
            let _ = drain(&mut c, id);
        }
        assert_eq!((c.len(), s.len()), (0, 0));
    }
    let batches: Vec<u64> = (5..=24).map(|n| 2 * n).collect();
    assert_eq!(granted, batches, "a quarter of 8 at a time");
}

#[test]
fn verbs_on_parts_a_stream_does_not_have_are_refused() {
    let (mut c, mut s) = pair(&small());
    let id = opened(&mut c, &mut s, Dir::Uni, 1);
    assert!(c.stop(id, 0).is_err());
    assert_eq!(c.read(id, 1), Err(ReadError::Closed));
    assert_eq!(s.write_slice(id, b"x"), Err(WriteError::Closed));
    assert!(s.finish(id).is_err() && s.reset(id, 0).is_err() && s.set_priority(id, 1).is_err());
    let nowhere = StreamId::new(Side::Client, Dir::Bi, 77);
    assert_eq!(c.write_slice(nowhere, b"x"), Err(WriteError::Closed));
    assert_eq!(c.read(nowhere, 1), Err(ReadError::Closed));
    assert!(c.stop(nowhere, 0).is_err() && c.priority(nowhere).is_err());
}
