//! Rules of draft-ietf-quic-multipath-21 that are not tested elsewhere: what is declared and remembered, whose connection
//! ids go where, what a new path is asked.

mod pair;

use std::net::SocketAddr;

use pair::multi::{
    ack_all, give, one, path_ack, paths, raw_client, raw_params, raw_server, speak_on, victims_ids,
};
use pair::plain::{self, Plain};
use pair::raw::{Packet, Raw, Tweak, bytes, crypto, encode, params};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{NewConnectionId, RetireConnectionId, kind};
use tq_quic::wire::{Cid, Code, Dir, Frame, PathId, Side, TransportParameters};
use tq_quic::{EarlyData, EndpointConfig, Event, OpenPathError, PathEvent, PathState, TransportConfig};

const SECOND: Duration = Duration::from_secs(1);

fn elsewhere() -> SocketAddr {
    "198.51.100.9:9".parse().expect("an address")
}

/// What the victim declares.
fn declared(raw: &mut Raw) -> TransportParameters {
    let (level, from) = match raw.side {
        Side::Client => (Level::Handshake, Side::Server),
        Side::Server => (Level::Initial, Side::Client),
    };
    let packets = raw.packets();
    let mut flight = Vec::new();
    for packet in packets.iter().filter(|packet| packet.level == level) {
        for frame in packet.frames() {
            if let Frame::Crypto(f) = frame {
                assert_eq!(f.offset as usize, flight.len(), "in order");
                flight.extend_from_slice(f.data);
            }
        }
    }
    let len = u32::from_be_bytes([0, flight[1], flight[2], flight[3]]) as usize;
    TransportParameters::decode(&flight[4..4 + len], from).expect("parameters")
}

// MUST mp21-2.1-1
#[test]
fn what_is_configured_is_declared_as_an_id_that_can_be() {
    for (count, max) in [(0, 0), (1, 0), (4, 3), (16, 15), (17, 15), (u32::MAX, 15)] {
        let mut raw = Raw::half_open_server(paths(count), params());
        assert_eq!(declared(&mut raw).initial_max_path_id, Some(PathId(max)));
        let mut raw = Raw::half_open_client(paths(count));
        assert_eq!(declared(&mut raw).initial_max_path_id, Some(PathId(max)));
    }
    let mut raw = Raw::half_open_client(TransportConfig::default());
    assert_eq!(declared(&mut raw).initial_max_path_id, None);
}

// MUST mp21-2.1-3
#[test]
fn a_client_with_empty_ids_is_not_told_that_there_could_be_multipath() {
    let mut raw = Raw::idle_server(paths(4), EndpointConfig::default(), 0);
    raw.scid = Cid::EMPTY;
    raw.hello(params());
    assert_eq!(declared(&mut raw).initial_max_path_id, None);
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    assert!(!raw.victim().is_handshaking() && !raw.victim().is_multipath());
}

/// The victim's verdict on parameters that end in these bytes.
fn verdict(side: Side, config: TransportConfig, more: &[u8]) -> Option<Code> {
    let raw = if side.is_client() {
        let mut raw = Raw::idle_server(config, EndpointConfig::default(), 0);
        let mut said = encode(&TransportParameters { initial_scid: Some(raw.scid), ..params() });
        said.extend_from_slice(more);
        raw.send(Level::Initial, &crypto(0, &plain::message(plain::CLIENT_HELLO, &said)));
        raw.handle = *raw.victim.accepted.back().expect("the server accepts");
        raw
    } else {
        let mut raw = Raw::half_open_client(config);
        let ids = (Some(raw.scid), Some(raw.odcid));
        let mut said = encode(&TransportParameters { initial_scid: ids.0, original_dcid: ids.1, ..params() });
        said.extend_from_slice(more);
        raw.send(Level::Initial, &crypto(0, &plain::message(plain::SERVER_HELLO, b"")));
        let flight = [plain::message(plain::PARAMS, &said), plain::message(plain::FINISHED, b"")];
        raw.send(Level::Handshake, &crypto(0, &flight.concat()));
        raw
    };
    raw.violation().map(|error| error.code)
}

// MUST mp21-2.1-2
#[test]
fn a_parameter_that_is_too_large_or_twice_there_or_not_a_number_ends_the_handshake() {
    let wrong = Some(Code::TRANSPORT_PARAMETER_ERROR);
    let too_large = [0x3e, 8, 0xc0, 0, 0, 1, 0, 0, 0, 0];
    let largest = [0x3e, 8, 0xc0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    for side in [Side::Client, Side::Server] {
        for config in [paths(4), TransportConfig::default()] {
            assert_eq!(verdict(side, config.clone(), &too_large), wrong);
            assert_eq!(verdict(side, config.clone(), &[0x3e, 1, 2, 0x3e, 1, 2]), wrong, "twice");
            assert_eq!(verdict(side, config.clone(), &[0x3e, 0]), wrong, "empty");
            assert_eq!(verdict(side, config.clone(), &[0x3e, 2, 2, 2]), wrong, "two numbers");
            assert_eq!(verdict(side, config.clone(), &[0x3e, 9, 2]), wrong, "cut off");
            assert_eq!(verdict(side, config.clone(), &largest), None);
            assert_eq!(verdict(side, config, &[0x3e, 1, 0]), None);
        }
    }
}

fn remembered() -> Vec<u8> {
    encode(&raw_params(3))
}

// MUST mp21-2.1-6
#[test]
fn multipath_of_one_connection_is_not_remembered_for_the_next() {
    for now_allowed in [None, Some(PathId(1))] {
        let tls = Plain { early: true, remembers: Some(remembered), ..Plain::default() };
        let mut raw = Raw::half_open_client_by(tls, paths(4), EndpointConfig::default());
        assert_eq!(raw.victim().early_data(), EarlyData::Pending);
        assert!(!raw.victim().is_multipath());
        raw.answer(TransportParameters { initial_max_path_id: now_allowed, ..params() });
        raw.send(Level::OneRtt, &bytes(&[Frame::HandshakeDone]));
        assert_eq!(raw.violation(), None, "less than before is no violation");
        assert_eq!(raw.victim().early_data(), EarlyData::Accepted);
        assert_eq!(raw.victim().is_multipath(), now_allowed.is_some());
        assert!(victims_ids(&mut raw).iter().all(|(path, _, _)| *path <= 1));
    }
}

fn is_multipath(kind: u64) -> bool {
    matches!(kind, kind::PATH_ACK | kind::PATH_ACK_ECN | kind::PATH_ABANDON..=kind::PATH_CIDS_BLOCKED)
}

// MUST mp21-4-1
#[test]
fn nothing_but_1_rtt_packets_has_frames_about_paths() {
    let tls = Plain { early: true, remembers: Some(remembered), ..Plain::default() };
    let mut client = Raw::half_open_client_by(tls, paths(4), EndpointConfig::default());
    let id = client.victim().open(Dir::Uni).expect("remembered");
    client.victim().write_slice(id, &[5; 5000]).expect("remembered");
    client.pass(SECOND);
    let mut server = Raw::half_open_server(paths(4), raw_params(3));
    let id = server.victim().open(Dir::Uni).expect("allowed");
    let _ = server.victim().write_slice(id, &[5; 500]);
    server.pass(SECOND);
    for mut raw in [client, server] {
        let packets = raw.packets();
        assert!(
            packets.iter().any(|packet| packet.level == Level::OneRtt),
            "early data, or a server's first"
        );
        for packet in &packets {
            let mut about_paths =
                packet.frames().into_iter().map(|frame| frame.kind()).filter(|kind| is_multipath(*kind));
            // a server's first flight has ids for paths that open when the handshake is complete
            let may = |kind| packet.level == Level::OneRtt && kind == kind::PATH_NEW_CONNECTION_ID;
            assert!(about_paths.all(may), "{:?}", packet.level);
        }
    }
}

// MUST mp21-4-2
#[test]
fn frames_about_paths_in_early_data_are_violations() {
    let retire = RetireConnectionId { path: Some(PathId(0)), seq: 1 };
    let mut all = vec![path_ack(0, 0..1)];
    let frames = [
        Frame::PathAbandon(PathId(0), 0),
        Frame::NewConnectionId(pair::multi::issue(0, 1)),
        Frame::RetireConnectionId(retire),
        Frame::MaxPathId(PathId(4)),
        Frame::PathsBlocked(PathId(0)),
        Frame::PathCidsBlocked(PathId(0), 1),
    ];
    all.extend(frames.iter().map(one));
    all.push(vec![0x7e, 0x76, 0, 0]);
    all.push(vec![0x7e, 0x77, 0, 0]);
    for frame in all {
        let tls = Plain { early: true, ..Plain::default() };
        let mut raw = Raw::idle_server_by(tls, paths(4), EndpointConfig::default());
        raw.hello(raw_params(3));
        let packet = raw.early(&frame, None);
        raw.deliver(packet);
        assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION), "{frame:02x?}");
    }
}

// MUST mp21-3.2.1-1
#[test]
fn no_id_is_issued_for_a_path_that_the_peer_does_not_allow() {
    for mut raw in [Raw::server_with(paths(8), raw_params(2)), Raw::client_with(paths(8), raw_params(2))] {
        raw.pass(SECOND);
        let mut seen = victims_ids(&mut raw);
        assert!(
            seen.iter().any(|(path, _, _)| *path == 2) && seen.iter().all(|(path, _, _)| *path <= 2),
            "{seen:?}"
        );
        raw.frames(&[Frame::MaxPathId(PathId(4))]);
        raw.pass(SECOND);
        seen = victims_ids(&mut raw);
        assert!(
            seen.iter().any(|(path, _, _)| *path == 4) && seen.iter().all(|(path, _, _)| *path <= 4),
            "{seen:?}"
        );
        // and none for what we do not allow ourselves, whatever the peer does
        raw.frames(&[Frame::MaxPathId(PathId(u32::MAX))]);
        raw.pass(SECOND);
        assert!(victims_ids(&mut raw).iter().all(|(path, _, _)| *path <= 7));
    }
}

// MUST mp21-4.6-4
#[test]
fn a_limit_that_came_late_takes_nothing_back() {
    let mut raw = Raw::client_with(paths(8), raw_params(1));
    raw.frames(&[Frame::MaxPathId(PathId(3))]);
    raw.frames(&[Frame::MaxPathId(PathId(2))]);
    raw.frames(&[Frame::MaxPathId(PathId(1))]);
    (1..=3).for_each(|path| give(&mut raw, path, 0));
    ack_all(&mut raw);
    let (now, remote) = (raw.now, raw.me);
    for path in 1..=3 {
        assert_eq!(raw.victim().open_path(now, 0, None, remote), Ok(PathId(path)));
    }
    assert_eq!(raw.victim().open_path(now, 0, None, remote), Err(OpenPathError::PeerLimit));
    raw.collect();
    let frames: Vec<u64> = raw.packets().iter().flat_map(Packet::frames).map(|frame| frame.kind()).collect();
    assert!(frames.contains(&kind::PATHS_BLOCKED));
}

/// A server with four paths allowed; a packet of `padding` bytes more than a challenge has come on path 1 from elsewhere.
fn opening(padding: usize) -> Raw {
    let mut raw = raw_server(4);
    let ids = victims_ids(&mut raw);
    let cid = ids.iter().find(|(path, _, _)| *path == 1).expect("an id of path 1").2;
    speak_on(&mut raw, 1, cid);
    raw.me = elsewhere();
    raw.victim.sent_to.clear();
    raw.frames(&[Frame::PathChallenge([7; 8]), Frame::Padding(padding)]);
    raw
}

// MUST mp21-3.1-2, mp21-3.1-5
#[test]
fn a_challenge_on_a_path_is_answered_there_with_an_id_of_that_path() {
    let mut raw = opening(1160);
    let packets = raw.packets();
    let at = packets.iter().position(|packet| packet.frames().contains(&Frame::PathResponse([7; 8])));
    let at = at.expect("an answer");
    assert_eq!((packets[at].path, raw.victim.sent_to[at].0), (1, elsewhere()));
    for (packet, (to, _)) in packets.iter().zip(&raw.victim.sent_to) {
        assert_eq!(packet.path == 1, *to == elsewhere(), "each path has its own ids");
    }
}

fn challenges(packets: &[Packet]) -> Vec<([u8; 8], usize)> {
    let of = |packet: &Packet| {
        let frames = packet.frames();
        let data = frames.iter().find_map(|f| if let Frame::PathChallenge(d) = f { Some(*d) } else { None });
        data.map(|data| (data, packet.datagram))
    };
    packets.iter().filter_map(of).collect()
}

fn state(raw: &mut Raw, id: u32) -> Option<PathState> {
    raw.victim().paths().find(|path| path.id.0 == id).map(|path| path.state)
}

// MUST mp21-3.1-4, mp21-3.1-6
#[test]
fn a_path_is_proven_when_1200_bytes_have_passed_and_no_sooner() {
    let mut raw = opening(150);
    let sent = challenges(&raw.packets());
    assert!(sent.iter().all(|(_, size)| *size < 1200) && !sent.is_empty(), "no room for more: {sent:?}");
    raw.frames(&[Frame::PathResponse(sent[0].0), Frame::Padding(1160)]);
    assert_eq!(state(&mut raw, 1), Some(PathState::Validating), "the address is proven, the size is not");
    let sent = challenges(&raw.packets());
    let (data, size) = sent.last().copied().expect("another challenge");
    assert_eq!(size, 1200);
    raw.frames(&[Frame::PathResponse(data)]);
    assert_eq!(state(&mut raw, 1), Some(PathState::Active));
    assert!(raw.victim.has(raw.handle, &Event::Path(PathEvent::Validated(PathId(1)))));
}

// MUST mp21-3.1-3
#[test]
fn nothing_but_probes_goes_on_a_path_before_the_server_has_answered() {
    let mut raw = raw_client(4);
    ack_all(&mut raw);
    let (now, remote) = (raw.now, raw.me);
    let id = raw.victim().open_path(now, 0, None, remote).expect("a path");
    let stream = raw.victim().open(Dir::Uni).expect("allowed");
    raw.victim().write_slice(stream, &[1; 100_000]).expect("room");
    raw.collect();
    raw.pass(SECOND);
    let packets = raw.packets();
    let mut there = packets.iter().filter(|packet| packet.path == id.0).peekable();
    assert!(there.peek().is_some());
    let data = |packet: &Packet| packet.frames().iter().any(|frame| matches!(frame, Frame::Stream(_)));
    assert!(there.all(|packet| !data(packet)));
    assert!(packets.iter().any(|packet| packet.path == 0 && data(packet)));
}

// MUST mp21-3.1.2-1, mp21-3.1.2-2, mp21-3.2.2-1
#[test]
fn a_path_that_moves_takes_another_id_of_its_own() {
    let mut raw = opening(1160);
    for (data, _) in challenges(&raw.packets()) {
        raw.frames(&[Frame::PathResponse(data), Frame::Padding(1160)]);
    }
    assert_eq!(state(&mut raw, 1), Some(PathState::Active));
    raw.packets();
    let moved: SocketAddr = "203.0.113.50:50".parse().expect("an address");
    raw.me = moved;
    raw.victim.sent_to.clear();
    raw.datagrams.clear();
    raw.frames(&[Frame::Ping, Frame::Padding(1160)]);
    let ids: Vec<Vec<u8>> = raw.datagrams.iter().map(|datagram| datagram[1..9].to_vec()).collect();
    let there = raw.victim.sent_to.iter().zip(&ids).filter(|((to, _), _)| *to == moved);
    let there: Vec<&Vec<u8>> = there.map(|(_, id)| id).collect();
    assert!(!there.is_empty());
    let second = pair::multi::issue(1, 1).cid;
    assert!(there.iter().all(|id| *id == second.as_slice()), "{there:02x?}");
    assert!(raw.victim.has(raw.handle, &Event::Path(PathEvent::Rebound(PathId(1)))));
    let of =
        |raw: &mut Raw, id: u32| raw.victim().paths().find(|path| path.id.0 == id).expect("a path").remote;
    assert_eq!(of(&mut raw, 1), moved);
    assert_ne!(of(&mut raw, 0), moved);
}

// MUST mp21-3.4-2
#[test]
fn nothing_goes_on_a_path_once_it_is_abandoned_by_either_end() {
    for by_us in [true, false] {
        let mut raw = opening(1160);
        for (data, _) in challenges(&raw.packets()) {
            raw.frames(&[Frame::PathResponse(data), Frame::Padding(1160)]);
        }
        ack_all(&mut raw);
        let stream = raw.victim().open(Dir::Uni).expect("allowed");
        raw.victim().write_slice(stream, &[1; 10_000]).expect("room");
        if by_us {
            raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
        } else {
            let now = raw.now;
            raw.victim().close_path(now, PathId(1), 0).expect("another is left");
            raw.collect();
        }
        raw.packets();
        // challenges and data of ours on it change nothing
        raw.frames(&[Frame::PathChallenge([8; 8]), Frame::Padding(1160)]);
        raw.pass(3 * SECOND);
        let packets = raw.packets();
        assert!(!packets.is_empty() && packets.iter().all(|packet| packet.path == 0), "{packets:?}");
    }
}

// MUST mp21-2.3-1
#[test]
fn plain_acks_are_about_path_0_after_multipath_is_agreed() {
    let mut raw = raw_server(4);
    let stream = raw.victim().open(Dir::Uni).expect("allowed");
    raw.victim().write_slice(stream, &[1; 2000]).expect("room");
    raw.victim().finish(stream).expect("first");
    raw.collect();
    let packets = raw.packets();
    let newest = packets.iter().filter(|packet| packet.level == Level::OneRtt).map(|packet| packet.pn).max();
    for packet in &packets {
        raw.send(Level::OneRtt, &Raw::ack_one(packet.pn));
    }
    // the first acknowledgement brought the rest of the connection ids
    for packet in raw.packets() {
        raw.send(Level::OneRtt, &Raw::ack_one(packet.pn));
    }
    assert_eq!(raw.violation(), None);
    let stats = raw.victim().stats();
    assert!(newest.is_some() && stats.paths[0].in_flight == 0, "{} in flight", stats.paths[0].in_flight);
}

// MUST mp21-3.4.3-1
#[test]
fn what_an_abandoned_path_carried_goes_again_on_another() {
    let mut raw = opening(1160);
    for (data, _) in challenges(&raw.packets()) {
        raw.frames(&[Frame::PathResponse(data), Frame::Padding(1160)]);
    }
    let now = raw.now;
    raw.victim().set_path_status(now, PathId(0), tq_quic::Status::Backup).expect("a path");
    let stream = raw.victim().open(Dir::Uni).expect("allowed");
    raw.victim().write_slice(stream, &[1; 3000]).expect("room");
    raw.collect();
    let data = |packets: &[Packet], path: u32| -> usize {
        let frames = packets.iter().filter(|packet| packet.path == path).flat_map(Packet::frames);
        frames.map(|frame| if let Frame::Stream(f) = frame { f.data.len() } else { 0 }).sum()
    };
    assert_eq!(data(&raw.packets(), 1), 3000);
    raw.frames(&[Frame::PathAbandon(PathId(1), 0)]);
    assert_eq!(data(&raw.packets(), 0), 3000);
    // a late acknowledgement of what went there is no violation
    raw.pass(Duration::from_millis(10));
    raw.send(Level::OneRtt, &path_ack(1, 0..1));
    assert_eq!(raw.violation(), None);
}

#[test]
fn an_id_in_use_or_kept_for_another_address_is_not_good_for_another_path() {
    let mut raw = raw_server(4);
    for seq in 1..3 {
        raw.frames(&[Frame::NewConnectionId(NewConnectionId { path: None, ..pair::multi::issue(0, seq) })]);
    }
    // a probe from another address keeps the lowest spare for it
    let probe = raw.packet(Level::OneRtt, &bytes(&[Frame::PathChallenge([1; 8])]), Tweak::default());
    raw.deliver_from(elsewhere(), probe);
    let stolen = NewConnectionId { path: Some(PathId(2)), seq: 7, ..pair::multi::issue(0, 1) };
    raw.frames(&[Frame::NewConnectionId(stolen)]);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION));
}
