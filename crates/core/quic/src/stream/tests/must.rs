//! Rules of RFC 9000 that no other theme tests: what may not follow an end, and limits that do not fall.

use super::*;

// MUST 9000-3.3-2
#[test]
fn a_blocked_stream_that_is_reset_complains_no_more() {
    let (mut c, _) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    assert_eq!(c.write_slice(id, &[1; 2000]), Ok(2000));
    let data = packet(&mut c, 1200).unwrap();
    let blocked = packet(&mut c, 1200).unwrap();
    assert_eq!(frames(&blocked), [Frame::StreamDataBlocked(id, 1000)]);
    c.reset(id, 7).unwrap();
    // neither what waits nor what is lost may follow
    lost(&mut c, &data);
    lost(&mut c, &blocked);
    let sent = packet(&mut c, 1200).unwrap();
    let reset = frame::ResetStream { id, code: 7, final_size: 1000 };
    assert_eq!(frames(&sent), [Frame::ResetStream(reset)]);
    c.on_max_stream_data(id, 5000).unwrap();
    assert!(packet(&mut c, 1200).is_none());
}

// MUST 9000-4.5-2
#[test]
fn nothing_is_sent_beyond_the_end_of_a_stream() {
    let (mut c, _) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 10]).unwrap();
    c.finish(id).unwrap();
    assert_eq!(c.write_slice(id, b"more"), Err(WriteError::Closed));
    assert!(c.finish(id).is_err(), "there is one end");
    for _ in 0..2 {
        let sent = packet(&mut c, 1200).unwrap();
        assert_eq!(frames(&sent), [Frame::Stream(stream(id, 0, &[1; 10], true))]);
        assert_eq!(c.write_slice(id, b"more"), Err(WriteError::Closed));
        assert!(packet(&mut c, 1200).is_none());
        lost(&mut c, &sent);
    }
}

// MUST 9000-4.1-3, 9000-13.3-3
#[test]
fn a_limit_that_raises_nothing_changes_nothing() {
    let (mut c, _) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 2000]).unwrap();
    for late in [1000, 999, 1, 0] {
        c.on_max_stream_data(id, late).unwrap();
        c.on_max_data(late);
    }
    let sent: Vec<_> = core::iter::from_fn(|| packet(&mut c, 1200)).collect();
    assert_eq!(frames(&sent[0])[0], Frame::Stream(stream(id, 0, &[1; 1000], false)), "as far as before");
    assert_eq!(c.outbound.sent, 1000);
    assert_eq!(events(&mut c), []);
}

// MUST 9000-4.6-4, 9000-19.11-2, 9000-13.3-3
#[test]
fn max_streams_that_raises_nothing_changes_nothing() {
    let (mut c, _) = pair(&small());
    for (dir, most) in [(Dir::Bi, 8), (Dir::Uni, 4)] {
        for late in [most, most - 1, 1, 0] {
            c.on_max_streams(dir, late);
        }
        assert_eq!(core::iter::from_fn(|| c.open(dir)).count() as u64, most);
        c.on_max_streams(dir, most);
        assert_eq!(c.open(dir), None);
    }
    assert_eq!(events(&mut c), [], "nobody is told that there is room");
}

// MUST 9000-4.4-1
#[test]
fn the_other_direction_keeps_its_flow_control_when_one_has_ended() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Bi).unwrap();
    c.write_slice(id, b"bye").unwrap();
    c.reset(id, 1).unwrap();
    settle(&mut c, &mut s, at(0));
    assert_eq!(s.read(id, 10), Err(ReadError::Reset(1)));
    settle(&mut s, &mut c, at(0));
    // the client's part is over; the server's is held to its limit, which can rise
    assert_eq!(s.write_slice(id, &[2; 1600]), Ok(1600));
    flush(&mut s, &mut c, at(0));
    assert_eq!(s.outbound.sent, 1000);
    assert_eq!(drain(&mut c, id).0.len(), 1000);
    let more = packet(&mut c, 1200).unwrap();
    assert!(frames(&more).contains(&Frame::MaxStreamData(id, 2000)), "{more:?}");
    deliver(&mut s, at(0), &more.bytes).unwrap();
    flush(&mut s, &mut c, at(0));
    assert_eq!(drain(&mut c, id).0.len(), 600);
    let beyond = c.on_stream(at(0), &stream(id, 2600, b"x", false));
    assert_eq!(code(beyond), Some(Code::FLOW_CONTROL_ERROR));
}
