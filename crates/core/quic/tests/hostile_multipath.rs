//! A peer that breaks the rules of multipath (threat 23): each violation has its error, each flood its bound.

mod pair;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use pair::multi::{
    ack_all, give, issue, one, path_ack, paths, raw_client, raw_params, raw_server, speak_on, victims_ids,
};
use pair::raw::{Raw, Tweak, bytes, params};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{NewConnectionId, PathStatus, RetireConnectionId, kind};
use tq_quic::wire::{Cid, Code, Frame, PathId, Writer};
use tq_quic::{ConnectionError, Event, PathEvent, PathState};

const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Whether the victim closed with this code, blaming this frame.
fn assert_closed(raw: &Raw, code: Code, frame: u64) {
    let error = raw.violation().unwrap_or_else(|| panic!("{code:?} for frame {frame:#x} did not happen"));
    assert_eq!((error.code, error.frame), (code, frame), "{error}");
}

fn status(path: u32, seq: u64, backup: bool) -> Frame<'static> {
    Frame::PathStatus(PathStatus { path: PathId(path), backup, seq })
}

/// The victim's id for `path`.
fn id_of(raw: &mut Raw, path: u32) -> Cid {
    let ids = victims_ids(raw);
    ids.iter().find(|(of, _, _)| *of == path).unwrap_or_else(|| panic!("an id of path {path}: {ids:?}")).2
}

/// A server on which we have opened path 1 from another address; we speak on it.
fn opened(count: u32) -> Raw {
    let mut raw = raw_server(count);
    let cid = id_of(&mut raw, 1);
    speak_on(&mut raw, 1, cid);
    raw.me = address("198.51.100.9:9");
    raw.frames(&[Frame::PathChallenge([1; 8]), Frame::Padding(1160)]);
    answer_challenges(&mut raw);
    raw
}

/// Answers whatever is asked on the path we speak on.
fn answer_challenges(raw: &mut Raw) {
    for packet in raw.packets() {
        for frame in packet.frames() {
            if let Frame::PathChallenge(data) = frame {
                raw.frames(&[Frame::PathResponse(data), Frame::Padding(1160)]);
            }
        }
    }
}

fn states(raw: &mut Raw) -> Vec<(u32, PathState)> {
    raw.victim().paths().map(|path| (path.id.0, path.state)).collect()
}

// MUST mp21-4-3, mp21-4.7-1
#[test]
fn frames_about_paths_above_the_limit_are_violations() {
    let frames = [
        Frame::PathAbandon(PathId(4), 0),
        status(4, 0, true),
        status(4, 0, false),
        Frame::NewConnectionId(issue(4, 0)),
        Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(4)), seq: 0 }),
        Frame::PathsBlocked(PathId(4)),
        Frame::PathCidsBlocked(PathId(4), 0),
    ];
    for frame in frames {
        for mut raw in [raw_server(4), raw_client(4)] {
            raw.frames(std::slice::from_ref(&frame));
            assert_closed(&raw, Code::PROTOCOL_VIOLATION, frame.kind());
        }
    }
}

// MUST mp21-4.7-2
#[test]
fn frames_within_the_limit_are_none() {
    let mut raw = raw_server(4);
    raw.frames(&[
        status(3, 0, true),
        status(0, 9, false),
        Frame::PathsBlocked(PathId(3)),
        Frame::PathCidsBlocked(PathId(3), 2),
        Frame::PathCidsBlocked(PathId(0), 1),
        Frame::MaxPathId(PathId(3)),
        Frame::MaxPathId(PathId(u32::MAX)),
        Frame::MaxPathId(PathId(5)),
    ]);
    assert_eq!(raw.violation(), None);
    raw.frames(&[Frame::PathCidsBlocked(PathId(3), 3)]);
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::PATH_CIDS_BLOCKED);
}

// MUST mp21-4.6-3
#[test]
fn max_path_id_out_of_range_is_a_violation() {
    let mut raw = raw_server(4);
    raw.frames(&[Frame::MaxPathId(PathId(2))]);
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::MAX_PATH_ID);
    // 2^32 does not even fit
    let mut raw = raw_server(4);
    let mut frame = [0; 10];
    let mut w = Writer::new(&mut frame);
    w.varint(kind::MAX_PATH_ID);
    w.varint(1 << 32);
    raw.send(Level::OneRtt, &frame);
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::MAX_PATH_ID);
}

// MUST mp21-2-1, mp21-4-2
#[test]
fn every_multipath_frame_needs_multipath_and_a_1_rtt_packet() {
    let mut frames = vec![path_ack(0, 0..1)];
    for frame in [
        Frame::PathAbandon(PathId(0), 0),
        status(0, 0, true),
        status(0, 0, false),
        Frame::NewConnectionId(issue(0, 1)),
        Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(0)), seq: 1 }),
        Frame::MaxPathId(PathId(4)),
        Frame::PathsBlocked(PathId(0)),
        Frame::PathCidsBlocked(PathId(0), 1),
    ] {
        frames.push(one(&frame));
    }
    for frame in frames {
        for (transport, params) in
            [(paths(4), params()), (Default::default(), raw_params(3)), (Default::default(), params())]
        {
            let mut raw = Raw::server_with(transport, params);
            raw.send(Level::OneRtt, &frame);
            assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION));
        }
        for level in [Level::Initial, Level::Handshake] {
            let mut raw = Raw::half_open_server(paths(4), raw_params(3));
            raw.send(level, &frame);
            assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION));
        }
    }
}

// MUST mp21-2.1-4
#[test]
fn multipath_with_empty_connection_ids_is_a_violation() {
    let mut raw = Raw::idle_server(paths(4), Default::default(), 0);
    raw.scid = Cid::EMPTY;
    raw.hello(raw_params(3));
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION));
    // without multipath on our side the parameter says nothing
    let mut raw = Raw::idle_server(Default::default(), Default::default(), 0);
    raw.scid = Cid::EMPTY;
    raw.hello(raw_params(3));
    assert_eq!(raw.violation(), None);
}

// MUST mp21-2.3-1
#[test]
fn an_ack_of_packets_not_sent_on_that_path_is_a_violation() {
    // a path that does not exist, numbers of another path, numbers never used
    for (path, range) in [(2, 0..1), (1, 500..501), (0, 5000..5001)] {
        let mut raw = opened(4);
        raw.send(Level::OneRtt, &path_ack(path, range));
        assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::PATH_ACK);
    }
    // a plain ACK is about path 0, wherever it comes
    let mut raw = opened(4);
    raw.send(Level::OneRtt, &Raw::ack_one(0));
    assert_eq!(raw.violation(), None);
    raw.send(Level::OneRtt, &Raw::ack_one(5000));
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::ACK);
}

#[test]
fn one_connection_id_on_two_paths_is_a_violation() {
    let mut raw = raw_server(4);
    let stolen = NewConnectionId { path: Some(PathId(2)), seq: 5, ..issue(1, 0) };
    raw.frames(&[Frame::NewConnectionId(stolen)]);
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::PATH_NEW_CONNECTION_ID);
}

#[test]
fn more_connection_ids_for_a_path_than_fit_are_an_error() {
    let mut raw = raw_server(2);
    for seq in 2..8 {
        give(&mut raw, 1, seq);
    }
    assert_eq!(raw.violation(), None);
    give(&mut raw, 1, 8);
    assert_closed(&raw, Code::CONNECTION_ID_LIMIT_ERROR, kind::PATH_NEW_CONNECTION_ID);
}

#[test]
fn an_id_that_was_not_issued_cannot_be_retired() {
    let mut raw = raw_server(2);
    raw.frames(&[Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(1)), seq: 2 })]);
    assert_closed(&raw, Code::PROTOCOL_VIOLATION, kind::PATH_RETIRE_CONNECTION_ID);
}

#[test]
fn ids_of_a_path_are_replaced_when_retired() {
    let mut raw = raw_server(2);
    assert!(victims_ids(&mut raw).iter().any(|(path, seq, _)| (*path, *seq) == (1, 1)));
    raw.frames(&[Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(1)), seq: 0 })]);
    assert!(victims_ids(&mut raw).iter().any(|(path, seq, _)| (*path, *seq) == (1, 2)));
}

#[test]
fn a_storm_of_status_frames_costs_nothing() {
    let mut raw = opened(2);
    let mut seq = 0;
    let before = raw.sent;
    for _ in 0..1000 {
        let frames: Vec<Frame<'_>> = (0..200)
            .map(|n| {
                seq += 1;
                status(1, seq, n % 2 == 0)
            })
            .collect();
        let datagram = raw.packet(Level::OneRtt, &bytes(&frames), Tweak::default());
        raw.deliver(datagram);
        raw.victim.events.clear();
        ack_all(&mut raw);
    }
    assert_eq!(raw.victim.closed(raw.handle), None);
    // only acknowledgements
    assert!(raw.sent - before < 400_000, "{}", raw.sent - before);
    // an old one changes nothing
    raw.frames(&[status(1, seq + 1, true)]);
    raw.frames(&[status(1, seq, false)]);
    assert!(states(&mut raw).contains(&(1, PathState::Standby)));
    assert_eq!(raw.victim().stats().path_changes_refused, 0);
}

#[test]
fn a_storm_of_status_frames_is_told_once() {
    let mut raw = raw_server(2);
    let frames: Vec<Frame<'_>> = (0..400).map(|n| status(1, n, n % 2 == 0)).collect();
    raw.frames(&frames);
    let told =
        raw.victim.events.iter().filter(|(_, event)| matches!(event, Event::Path(PathEvent::Status { .. })));
    assert!(told.count() <= 1);
}

// MUST mp21-3.4-3, mp21-3.4-4, mp21-4.6-2
#[test]
fn abandonment_of_a_path_never_used_is_answered_and_its_id_never_comes_back() {
    let mut raw = raw_server(4);
    let cid = id_of(&mut raw, 2);
    raw.frames(&[Frame::PathAbandon(PathId(2), 0x3e)]);
    raw.pass(Duration::from_millis(50));
    let packets = ack_all(&mut raw);
    let frames: Vec<Frame<'_>> = packets.iter().flat_map(pair::raw::Packet::frames).collect();
    assert!(frames.contains(&Frame::PathAbandon(PathId(2), 0x3e)), "{frames:?}");
    assert!(frames.contains(&Frame::MaxPathId(PathId(4))), "{frames:?}");
    for _ in 0..2 {
        // at once and after all is forgotten: nothing opens
        speak_on(&mut raw, 2, cid);
        raw.frames(&[Frame::PathChallenge([2; 8]), Frame::Padding(1160)]);
        assert_eq!(states(&mut raw), [(0, PathState::Active)]);
        raw.pass(10 * SECOND);
    }
    // nor is a word about it one
    let first = raw.victim().paths().next().expect("a path").id;
    assert_eq!(first, PathId::ZERO);
    assert_eq!(raw.victim.closed(raw.handle), None);
}

// MUST mp21-4-4
#[test]
fn frames_about_a_path_that_is_over_are_ignored() {
    let mut raw = raw_server(4);
    raw.frames(&[Frame::PathAbandon(PathId(2), 0)]);
    for _ in 0..2 {
        raw.frames(&[
            Frame::PathAbandon(PathId(2), 0),
            status(2, 100, true),
            Frame::NewConnectionId(issue(2, 9)),
            Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(2)), seq: 77 }),
            Frame::PathCidsBlocked(PathId(2), 77),
        ]);
        raw.send(Level::OneRtt, &path_ack(2, 7..8));
        assert_eq!(raw.violation(), None);
        ack_all(&mut raw);
        raw.pass(10 * SECOND);
    }
}

#[test]
fn abandonment_of_everything_ends_the_connection() {
    let mut raw = opened(4);
    raw.frames(&[
        Frame::PathAbandon(PathId(3), 0),
        Frame::PathAbandon(PathId(2), 0),
        Frame::PathAbandon(PathId(0), 0),
    ]);
    assert_eq!(raw.violation(), None);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    assert_closed(&raw, Code::NO_VIABLE_PATH, kind::PATH_ABANDON);
    assert!(raw.close_sent().is_some(), "and says so");
    // a connection without a second path ends at once
    let mut raw = raw_client(4);
    raw.frames(&[Frame::PathAbandon(PathId(0), 0)]);
    assert_closed(&raw, Code::NO_VIABLE_PATH, kind::PATH_ABANDON);
}

#[test]
fn paths_opened_and_abandoned_without_end_keep_bounded_state() {
    let mut raw = raw_server(4);
    let mut ids = victims_ids(&mut raw);
    let mut opened = BTreeSet::new();
    let mut most = 0;
    for _ in 0..2000 {
        let fresh = ids.iter().find(|(path, _, _)| *path > 0 && !opened.contains(path)).copied();
        let Some((path, _, cid)) = fresh else { break };
        opened.insert(path);
        speak_on(&mut raw, path, cid);
        raw.frames(&[Frame::PathChallenge([3; 8]), Frame::Padding(1160)]);
        raw.frames(&[Frame::PathAbandon(PathId(path), 0)]);
        speak_on(&mut raw, 0, ids[0].2);
        most = most.max(raw.victim().paths().count());
        // we never acknowledge, and never let time pass
        ids.extend(victims_ids(&mut raw));
    }
    assert!(opened.len() <= 8 && most <= 9, "{} opened, {most} at a time", opened.len());
    assert_eq!(raw.victim.closed(raw.handle), None);
}

#[test]
fn an_abandonment_never_acknowledged_earns_no_more_than_a_second_set_of_ids() {
    let mut raw = raw_server(3);
    for round in 0..20 {
        for path in 1..200 {
            raw.frames(&[Frame::PathAbandon(PathId(path), 0)]);
            if raw.violation().is_some() {
                assert!(path <= 6, "path {path} in round {round}");
                return;
            }
        }
        raw.pass(10 * SECOND);
    }
    panic!("ids without end");
}

#[test]
fn a_flood_of_challenges_on_all_paths_costs_no_more_than_it_brings() {
    let mut raw = opened(4);
    let (received, sent) = (raw.received, raw.sent);
    for n in 0..2000u32 {
        let mut frames = Vec::new();
        for at in 0..100u32 {
            let mut data = [7; 8];
            data[..4].copy_from_slice(&(n * 100 + at).to_be_bytes());
            frames.push(Frame::PathChallenge(data));
        }
        raw.frames(&frames);
    }
    let (brought, got) = (raw.received - received, raw.sent - sent);
    assert!(got <= brought, "{got} for {brought}");
    assert_eq!(raw.victim.closed(raw.handle), None);
}

#[test]
fn many_paths_to_one_victim_bring_it_no_more_than_three_times_what_was_spent() {
    let mut raw = raw_server(8);
    let ids = victims_ids(&mut raw);
    let victim = address("203.0.113.200:53");
    raw.me = victim;
    let (received, sent) = (raw.received, raw.sent);
    for path in 1..8 {
        let (_, _, cid) = ids.iter().find(|(of, _, _)| *of == path).expect("an id");
        speak_on(&mut raw, path, *cid);
        raw.frames(&[Frame::PathChallenge([9; 8]), Frame::Padding(1160)]);
    }
    raw.pass(20 * SECOND);
    let (brought, got) = (raw.received - received, raw.sent - sent);
    // the end of all these paths is told on path 0
    assert!(got <= 3 * brought + 2000, "{got} for {brought}");
    assert_eq!(raw.victim().paths().filter(|path| path.state.is_live()).count(), 1);
}

#[test]
fn a_packet_that_does_not_open_opens_no_path() {
    let mut raw = raw_server(4);
    let cid = id_of(&mut raw, 1);
    for _ in 0..100 {
        let mut forged = vec![0x41; 1200];
        forged[1..9].copy_from_slice(cid.as_slice());
        raw.deliver(forged);
    }
    assert_eq!(states(&mut raw), [(0, PathState::Active)]);
    // sealed for path 0: the nonce does not fit
    speak_on(&mut raw, 0, cid);
    raw.frames(&[Frame::Ping]);
    assert_eq!(states(&mut raw), [(0, PathState::Active)]);
    speak_on(&mut raw, 1, cid);
    raw.me = address("198.51.100.9:9");
    raw.frames(&[Frame::Ping]);
    assert_eq!(states(&mut raw), [(0, PathState::Active), (1, PathState::Validating)]);
}

#[test]
fn a_server_opens_no_path() {
    let mut raw = raw_client(4);
    let cid = id_of(&mut raw, 1);
    speak_on(&mut raw, 1, cid);
    raw.frames(&[Frame::Ping]);
    assert_eq!(states(&mut raw), [(0, PathState::Active)]);
}

#[test]
fn late_packets_of_an_abandoned_path_are_acknowledged_on_another() {
    let mut raw = opened(4);
    let (cid, me) = (raw.dcid, raw.me);
    raw.pass(Duration::from_millis(100));
    ack_all(&mut raw);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    ack_all(&mut raw);
    speak_on(&mut raw, 1, cid);
    raw.me = me;
    raw.frames(&[Frame::Ping]);
    raw.frames(&[Frame::Ping]);
    raw.pass(Duration::from_millis(50));
    let packets = raw.packets();
    assert!(packets.iter().all(|packet| packet.path == 0), "{packets:?}");
    let acked = packets.iter().any(|packet| {
        packet.frames().iter().any(|frame| matches!(frame, Frame::Ack(ack) if ack.path == Some(PathId(1))))
    });
    assert!(acked, "{packets:?}");
}

#[test]
fn a_stateless_reset_counts_for_ids_in_use_on_any_path_and_for_no_abandoned_one() {
    let reset = |path: u32, seq: u64| {
        let mut datagram = vec![0x55; 40];
        datagram[24..].copy_from_slice(&issue(path, seq).token.0);
        datagram
    };
    let mut raw = opened(4);
    let datagram = reset(1, 0);
    raw.deliver(datagram);
    assert_eq!(raw.victim.closed(raw.handle), Some(&ConnectionError::Reset));
    let mut raw = opened(4);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    for seq in 0..2 {
        let datagram = reset(1, seq);
        raw.deliver(datagram);
    }
    assert_eq!(raw.victim.closed(raw.handle), None);
}

#[test]
fn early_data_opens_no_path() {
    let mut raw = raw_server(4);
    let cid = id_of(&mut raw, 1);
    speak_on(&mut raw, 1, cid);
    raw.me = address("198.51.100.9:9");
    let datagram = raw.early(&one(&Frame::Ping), None);
    raw.deliver(datagram);
    assert_eq!(states(&mut raw), [(0, PathState::Active)]);
}
