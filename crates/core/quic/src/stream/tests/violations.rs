//! What a peer must not do, each with the code of RFC 9000 and nothing delivered.

use super::*;

fn theirs(dir: Dir, index: u64) -> StreamId {
    StreamId::new(Side::Client, dir, index)
}

fn ours(dir: Dir, index: u64) -> StreamId {
    StreamId::new(Side::Server, dir, index)
}

fn reset(id: StreamId, code: u64, final_size: u64) -> frame::ResetStream {
    frame::ResetStream { id, code, final_size }
}

fn reset_at(id: StreamId, code: u64, final_size: u64, reliable_size: u64) -> frame::ResetStreamAt {
    frame::ResetStreamAt { id, code, final_size, reliable_size }
}

// MUST 9000-19.4-1, 9000-19.5-2, 9000-19.8-1, 9000-19.10-2, 9000-19.13-1
#[test]
fn frames_the_wrong_way_of_a_unidirectional_stream_are_state_errors() {
    let (_, mut s) = pair(&small());
    let mine = s.open(Dir::Uni).unwrap();
    let its = theirs(Dir::Uni, 0);
    let state = Some(Code::STREAM_STATE_ERROR);
    assert_eq!(code(s.on_stream(at(0), &stream(mine, 0, b"x", false))), state);
    assert_eq!(code(s.on_reset(&reset(mine, 0, 0))), state);
    assert_eq!(code(s.on_reset_at(&reset_at(mine, 0, 0, 0))), state);
    assert_eq!(code(s.on_stream_data_blocked(mine, 0)), state);
    assert_eq!(code(s.on_stop_sending(&frame::StopSending { id: its, code: 0 })), state);
    assert_eq!(code(s.on_max_stream_data(its, 9)), state);
    assert_eq!(s.accept(Dir::Uni), None, "nothing was opened by it");
}

// MUST 9000-19.5-1, 9000-19.8-1, 9000-19.10-1
#[test]
fn frames_for_our_streams_that_were_never_opened_are_state_errors() {
    let (_, mut s) = pair(&small());
    let state = Some(Code::STREAM_STATE_ERROR);
    let id = ours(Dir::Bi, 0);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, b"x", false))), state);
    assert_eq!(code(s.on_reset(&reset(id, 0, 0))), state);
    assert_eq!(code(s.on_stop_sending(&frame::StopSending { id, code: 0 })), state);
    assert_eq!(code(s.on_max_stream_data(id, 9)), state);
    assert_eq!(code(s.on_stream_data_blocked(id, 9)), state);
    assert_eq!(code(s.on_max_stream_data(ours(Dir::Uni, 7), 9)), state);
}

// MUST 9000-4.6-3, 9000-19.11-4
#[test]
fn a_stream_beyond_the_limit_is_a_limit_error_whatever_the_frame() {
    let (_, mut s) = pair(&small());
    let limit = Some(Code::STREAM_LIMIT_ERROR);
    for (dir, count) in [(Dir::Bi, 8), (Dir::Uni, 4)] {
        let id = theirs(dir, count);
        assert_eq!(code(s.on_stream(at(0), &stream(id, 0, b"", false))), limit);
        assert_eq!(code(s.on_reset(&reset(id, 0, 0))), limit);
        assert_eq!(code(s.on_stream_data_blocked(id, 0)), limit);
        assert_eq!(code(s.on_stream(at(0), &stream(theirs(dir, (1 << 60) - 1), 0, b"", false))), limit);
    }
    assert_eq!(code(s.on_stop_sending(&frame::StopSending { id: theirs(Dir::Bi, 8), code: 0 })), limit);
    assert_eq!(code(s.on_max_stream_data(theirs(Dir::Bi, 8), 0)), limit);
    assert_eq!(s.len(), 0);
    assert_eq!(code(s.on_stream(at(0), &stream(theirs(Dir::Bi, 7), 0, b"", false))), None);
    assert_eq!(s.len(), 8);
}

// MUST 9000-4.1-2, 9000-19.10-4
#[test]
fn bytes_beyond_the_streams_limit_are_a_flow_control_error_and_not_delivered() {
    let (_, mut s) = pair(&small());
    let id = theirs(Dir::Bi, 0);
    let flow = Some(Code::FLOW_CONTROL_ERROR);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, &[7; 1001], false))), flow);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 1000, b"x", false))), flow);
    assert_eq!(code(s.on_stream(at(0), &stream(id, (1 << 62) - 2, b"x", true))), flow);
    assert_eq!(code(s.on_reset(&reset(id, 0, 1001))), flow);
    assert_eq!(code(s.on_reset_at(&reset_at(id, 0, (1 << 62) - 1, 0))), flow);
    assert_eq!(s.read(id, 10), Err(ReadError::Blocked));
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, &[7; 1000], false))), None);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 1000, b"", true))), None);
}

// MUST 9000-4.1-2, 9000-4.5-1, 9000-19.9-2
#[test]
fn bytes_beyond_the_connections_limit_are_a_flow_control_error() {
    let (_, mut s) = pair(&small());
    for index in 0..3 {
        // one byte at the end: the gap counts as well
        assert_eq!(code(s.on_stream(at(0), &stream(theirs(Dir::Bi, index), 999, b"x", false))), None);
    }
    let flow = Some(Code::FLOW_CONTROL_ERROR);
    let id = theirs(Dir::Bi, 3);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, b"x", false))), flow);
    assert_eq!(code(s.on_reset(&reset(id, 0, 1))), flow);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 0, b"", true))), None, "an empty stream is free");
    assert_eq!(code(s.on_stream(at(0), &stream(theirs(Dir::Bi, 0), 0, &[1; 999], false))), None);
}

#[test]
fn a_final_size_does_not_change() {
    let size = Some(Code::FINAL_SIZE_ERROR);
    let id = theirs(Dir::Uni, 0);
    let with_fin = || {
        let (_, mut s) = pair(&small());
        assert_eq!(code(s.on_stream(at(0), &stream(id, 0, &[1; 10], true))), None);
        s
    };
    assert_eq!(code(with_fin().on_stream(at(0), &stream(id, 10, b"x", false))), size);
    assert_eq!(code(with_fin().on_stream(at(0), &stream(id, 0, &[1; 9], true))), size);
    assert_eq!(code(with_fin().on_stream(at(0), &stream(id, 10, b"x", true))), size);
    assert_eq!(code(with_fin().on_reset(&reset(id, 0, 9))), size);
    assert_eq!(code(with_fin().on_reset(&reset(id, 0, 11))), size);
    assert_eq!(code(with_fin().on_stream(at(0), &stream(id, 0, &[1; 10], true))), None);
    assert_eq!(code(with_fin().on_reset(&reset(id, 0, 10))), None);
    let with_reset = || {
        let (_, mut s) = pair(&small());
        assert_eq!(code(s.on_reset(&reset(id, 5, 10))), None);
        s
    };
    assert_eq!(code(with_reset().on_stream(at(0), &stream(id, 10, b"x", false))), size);
    assert_eq!(code(with_reset().on_stream(at(0), &stream(id, 0, b"x", true))), size);
    assert_eq!(code(with_reset().on_reset(&reset(id, 5, 11))), size);
    assert_eq!(code(with_reset().on_stream(at(0), &stream(id, 0, &[0; 10], false))), None);
}

#[test]
fn a_final_size_below_what_was_received_is_an_error() {
    let size = Some(Code::FINAL_SIZE_ERROR);
    let id = theirs(Dir::Bi, 0);
    let (_, mut s) = pair(&small());
    assert_eq!(code(s.on_stream(at(0), &stream(id, 20, b"x", false))), None);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 20, b"", true))), size);
    assert_eq!(code(s.on_reset(&reset(id, 0, 20))), size);
    assert_eq!(code(s.on_stream(at(0), &stream(id, 21, b"", true))), None);
}

#[test]
fn a_final_size_holds_after_the_stream_was_stopped_and_read() {
    let (_, mut s) = pair(&small());
    let size = Some(Code::FINAL_SIZE_ERROR);
    let (stopped, read) = (theirs(Dir::Bi, 0), theirs(Dir::Bi, 1));
    s.on_stream(at(0), &stream(stopped, 0, b"abc", false)).unwrap();
    s.stop(stopped, 1).unwrap();
    s.on_stream(at(0), &stream(stopped, 3, b"d", true)).unwrap();
    assert_eq!(code(s.on_stream(at(0), &stream(stopped, 4, b"e", false))), size);
    s.on_stream(at(0), &stream(read, 0, b"abc", true)).unwrap();
    assert_eq!(drain(&mut s, read), (b"abc".to_vec(), Ok(None)));
    assert_eq!(code(s.on_stream(at(0), &stream(read, 3, b"d", false))), size);
}

#[test]
fn a_reset_keeps_its_code_if_it_was_partial() {
    let id = theirs(Dir::Bi, 0);
    let (_, mut s) = pair(&small());
    s.on_reset_at(&reset_at(id, 1, 100, 50)).unwrap();
    assert_eq!(code(s.on_reset_at(&reset_at(id, 2, 100, 50))), Some(Code::STREAM_STATE_ERROR));
    assert_eq!(code(s.on_reset(&reset(id, 2, 100))), Some(Code::STREAM_STATE_ERROR));
    assert_eq!(code(s.on_reset_at(&reset_at(id, 1, 101, 50))), Some(Code::FINAL_SIZE_ERROR));
}

#[test]
fn the_1025th_gap_is_a_protocol_violation() {
    let config = StreamConfig::default();
    let (_, mut s) = pair(&config);
    let id = theirs(Dir::Bi, 0);
    let mut result = Ok(());
    let mut offset = 1;
    while result.is_ok() {
        result = s.on_stream(at(0), &stream(id, offset, b"x", false));
        offset += 2;
        assert!(offset < 5000);
    }
    assert!(offset > 2 * 1024);
    let error = result.unwrap_err();
    assert_eq!(error.code, Code::PROTOCOL_VIOLATION);
    assert!(error.reason.contains("STREAM") && error.reason.contains("gaps"), "{}", error.reason);
}

#[test]
fn late_frames_of_streams_that_are_gone_are_ignored() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Bi).unwrap();
    c.write_slice(id, b"hi").unwrap();
    c.finish(id).unwrap();
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut s, id), (b"hi".to_vec(), Ok(None)));
    s.finish(id).unwrap();
    settle(&mut c, &mut s, at(0));
    assert_eq!(drain(&mut c, id), (Vec::new(), Ok(None)));
    for gone in [&mut c, &mut s] {
        assert_eq!(gone.len(), 0);
        assert_eq!(code(gone.on_stream(at(0), &stream(id, 0, b"hi", true))), None);
        assert_eq!(code(gone.on_reset(&reset(id, 0, 2))), None);
        assert_eq!(code(gone.on_stop_sending(&frame::StopSending { id, code: 0 })), None);
        assert_eq!(code(gone.on_max_stream_data(id, 1 << 30)), None);
        assert_eq!(code(gone.on_stream_data_blocked(id, 0)), None);
        gone.on_lost(&Token::Stream { id, offset: 0, len: 2, fin: true });
        gone.on_acked(&Token::ResetStream(id));
        assert_eq!(gone.len(), 0);
        assert!(!gone.wants_data() && !gone.wants_control());
    }
}
