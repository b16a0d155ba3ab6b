//! Many streams, and what peers could pile up.

use super::*;

fn wide(count: u64) -> StreamConfig {
    StreamConfig { max_bidi: count, max_uni: count, ..StreamConfig::default() }
}

#[test]
fn ten_thousand_idle_streams_are_in_no_list() {
    let (mut c, mut s) = pair(&wide(10_000));
    let ids: Vec<_> = core::iter::from_fn(|| c.open(Dir::Bi)).collect();
    assert_eq!(ids.len(), 10_000);
    assert_eq!([&c.fresh, &c.free, &c.control, &c.waiting].map(super::super::Ready::held), [0; 4]);
    c.write_slice(ids[9_999], b"the last").unwrap();
    let sent = packet(&mut c, 1200).unwrap();
    assert_eq!(sent.tokens.len(), 2, "one stream frame and STREAMS_BLOCKED");
    deliver(&mut s, at(0), &sent.bytes).unwrap();
    assert_eq!(s.len(), 10_000);
    assert!(s.table.keys().len() == 1, "only the one that was used has state");
}

#[test]
fn ten_thousand_streams_carry_a_message_each_and_are_forgotten() {
    let (mut c, mut s) = pair(&wide(10_000));
    for round in 0..2 {
        let ids: Vec<_> = core::iter::from_fn(|| c.open(Dir::Bi)).collect();
        assert_eq!(ids.len(), 10_000, "round {round}");
        for id in &ids {
            c.write_slice(*id, &id.0.to_be_bytes()).unwrap();
            c.finish(*id).unwrap();
        }
        flush(&mut c, &mut s, at(0));
        while let Some(id) = s.accept(Dir::Bi) {
            assert_eq!(drain(&mut s, id), (id.0.to_be_bytes().to_vec(), Ok(None)));
            s.finish(id).unwrap();
        }
        settle(&mut c, &mut s, at(0));
        ids.iter().for_each(|id| assert_eq!(drain(&mut c, *id).1, Ok(None)));
        assert_eq!((c.len(), s.len()), (0, 0));
        settle(&mut c, &mut s, at(0));
        let _ = (events(&mut c), events(&mut s));
    }
}

#[test]
fn a_stream_is_small() {
    assert!(size_of::<super::super::table::Stream>() <= 640, "{}", size_of::<super::super::table::Stream>());
}

#[test]
fn rapid_resets_never_open_more_than_was_granted_and_leave_nothing() {
    let (_, mut s) = pair(&small());
    let mut opened = 0_u64;
    for _ in 0..2000 {
        // resets all it may, as fast as it may; the application looks at them, and our own part goes with a reset
        while opened < s.remote[0].limit {
            let id = StreamId::new(Side::Client, Dir::Bi, opened);
            s.on_stream(at(0), &stream(id, 0, b"x", false)).unwrap();
            s.on_reset(&frame::ResetStream { id, code: 0, final_size: 1 }).unwrap();
            opened += 1;
        }
        assert!(s.len() <= 8);
        while let Some(id) = s.accept(Dir::Bi) {
            s.reset(id, 0).unwrap();
            assert_eq!(s.read(id, 1), Err(ReadError::Reset(0)));
        }
        while let Some(sent) = packet(&mut s, 1200) {
            acked(&mut s, &sent);
        }
        assert_eq!(s.len(), 0);
        let queued = events(&mut s);
        assert!(queued.len() <= 2 * 8 + 1);
        assert!(s.control.held() + s.fresh.held() + s.free.held() < 200);
    }
    assert_eq!(opened, 16_000);
}

#[test]
fn events_nobody_polls_are_bounded_by_the_streams_there_are() {
    let (_, mut s) = pair(&wide(100));
    for round in 0..50_u64 {
        for index in 0..100 {
            let id = StreamId::new(Side::Client, Dir::Bi, index);
            s.on_stream(at(0), &stream(id, round, b"x", false)).unwrap();
            s.on_max_stream_data(id, 1 << 40).unwrap();
            s.on_stop_sending(&frame::StopSending { id, code: round }).unwrap();
        }
    }
    assert!(events(&mut s).len() <= 2 * 100 + 1);
}

#[test]
fn writers_blocked_by_the_connection_leave_no_trail_when_their_streams_are_reset() {
    let config = StreamConfig { max_bidi: 1 << 40, ..small() };
    let (mut c, _) = pair(&config);
    c.outbound.limit = 0;
    for _ in 0..5000 {
        let id = c.open(Dir::Bi).unwrap();
        c.write_slice(id, b"stuck").unwrap();
        c.reset(id, 0).unwrap();
        c.stop(id, 0).unwrap();
        c.on_acked(&Token::ResetStream(id));
        c.on_reset(&frame::ResetStream { id, code: 0, final_size: 0 }).unwrap();
    }
    assert_eq!(c.len(), 0);
    assert!(c.fresh.held() <= 66 && c.control.held() <= 66, "{} {}", c.fresh.held(), c.control.held());
    assert!(!c.wants_data() && c.backlog() == 0);
}

#[test]
fn one_byte_fragments_over_a_hundred_streams_stop_at_the_window() {
    let config = StreamConfig { max_uni: 100, ..small() };
    let (_, mut s) = pair(&config);
    let mut stored = 0;
    let mut refused = 0;
    for offset in (1..1000).step_by(2) {
        for index in 0..100 {
            let id = StreamId::new(Side::Client, Dir::Uni, index);
            match s.on_stream(at(0), &stream(id, offset, b"x", false)) {
                Ok(()) => stored += 1,
                Err(error) => {
                    assert_eq!(error.code, Code::FLOW_CONTROL_ERROR);
                    refused += 1;
                }
            }
        }
    }
    assert!(stored <= 1500 && refused > 0, "{stored}");
}
