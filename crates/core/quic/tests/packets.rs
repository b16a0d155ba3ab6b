//! Packets that should not be: in the wrong place, of the wrong kind, for somebody else, too early or too many.

mod pair;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, params};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{self, Close, PacketKind};
use tq_quic::wire::{Cid, Code, Dir, Frame, PathId, ResetToken, Side, StreamId};
use tq_quic::{EndpointConfig, TransportConfig};

fn dropped(raw: &mut Raw, reason: DropReason) -> u64 {
    raw.victim().stats().counters.dropped(reason)
}

/// One of each type.
fn all_frames() -> Vec<Frame<'static>> {
    let id = StreamId(0);
    let cid = Cid::new(b"somebody").expect("short");
    let token = ResetToken([1; 16]);
    let new = |path| frame::NewConnectionId { path, seq: 1, retire_prior_to: 0, cid, token };
    vec![
        Frame::Padding(1),
        Frame::Ping,
        Frame::Crypto(frame::Crypto { offset: 0, data: b"" }),
        Frame::ResetStream(frame::ResetStream { id, code: 0, final_size: 0 }),
        Frame::StopSending(frame::StopSending { id, code: 0 }),
        Frame::NewToken(b"token"),
        Frame::Stream(frame::Stream { id, offset: 0, fin: false, data: b"x" }),
        Frame::MaxData(1),
        Frame::MaxStreamData(id, 1),
        Frame::MaxStreams(Dir::Bi, 1),
        Frame::MaxStreams(Dir::Uni, 1),
        Frame::DataBlocked(1),
        Frame::StreamDataBlocked(id, 1),
        Frame::StreamsBlocked(Dir::Bi, 1),
        Frame::StreamsBlocked(Dir::Uni, 1),
        Frame::NewConnectionId(new(None)),
        Frame::RetireConnectionId(frame::RetireConnectionId { path: None, seq: 1 }),
        Frame::PathChallenge([1; 8]),
        Frame::PathResponse([1; 8]),
        Frame::Close(Close { code: 0, frame_type: Some(0), reason: b"" }),
        Frame::Close(Close { code: 0, frame_type: None, reason: b"" }),
        Frame::HandshakeDone,
        Frame::ImmediateAck,
        Frame::ResetStreamAt(frame::ResetStreamAt { id, code: 0, final_size: 0, reliable_size: 0 }),
        Frame::Datagram(b"x"),
        Frame::AckFrequency(frame::AckFrequency {
            seq: 0,
            threshold: 1,
            max_ack_delay_us: 5000,
            reordering: 1,
        }),
        Frame::PathAbandon(PathId(1), 0),
        Frame::PathStatus(frame::PathStatus { path: PathId(0), backup: true, seq: 0 }),
        Frame::PathStatus(frame::PathStatus { path: PathId(0), backup: false, seq: 0 }),
        Frame::NewConnectionId(new(Some(PathId(1)))),
        Frame::RetireConnectionId(frame::RetireConnectionId { path: Some(PathId(0)), seq: 0 }),
        Frame::MaxPathId(PathId(2)),
        Frame::PathsBlocked(PathId(2)),
        Frame::PathCidsBlocked(PathId(0), 1),
    ]
}

// MUST 9000-12.4-3, 9000-17.2.4-1
#[test]
fn frames_are_only_taken_from_packets_that_may_carry_them() {
    let kinds: Vec<u64> = all_frames().iter().map(Frame::kind).collect();
    assert!(kinds.len() >= 34);
    for frame in all_frames() {
        for (level, packet) in
            [(Level::Initial, PacketKind::Initial), (Level::Handshake, PacketKind::Handshake)]
        {
            let mut raw = Raw::half_open_server(TransportConfig::default(), params());
            // RFC 9000 §12.4 table 3
            let allowed = matches!(frame, Frame::Padding(_) | Frame::Ping | Frame::Crypto(_))
                || matches!(&frame, Frame::Close(close) if close.frame_type.is_some());
            raw.send(level, &bytes(std::slice::from_ref(&frame)));
            let ended = raw.victim.closed(raw.handle).is_some();
            if allowed {
                let closing = matches!(frame, Frame::Close(_));
                assert_eq!(ended, closing, "{frame:?} in {packet:?}");
                continue;
            }
            let error = raw.violation().unwrap_or_else(|| panic!("{frame:?} was taken from {packet:?}"));
            assert_eq!((error.code, error.frame), (Code::PROTOCOL_VIOLATION, frame.kind()), "{frame:?}");
        }
    }
}

#[test]
fn in_one_rtt_packets_of_a_client_only_some_frames_are_refused() {
    for frame in all_frames() {
        let mut raw = Raw::server();
        let server_only = matches!(frame, Frame::HandshakeDone | Frame::NewToken(_));
        let multipath = frame.kind() >= 0x3e;
        // of a stream that nobody opened, or the server has to open
        let fits = !server_only && (!multipath || frame.kind() == frame::kind::ACK_FREQUENCY);
        raw.frames(std::slice::from_ref(&frame));
        match raw.victim.closed(raw.handle) {
            None => assert!(fits, "{frame:?} was taken"),
            Some(_) if matches!(frame, Frame::Close(_)) => {}
            Some(_) => {
                let error = raw.violation().expect("a violation");
                assert!(!fits, "{frame:?} was refused: {error}");
                assert_eq!((error.code, error.frame), (Code::PROTOCOL_VIOLATION, frame.kind()));
            }
        }
    }
}

#[test]
fn early_data_without_keys_is_dropped() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let mut packet = raw.packet(Level::Handshake, &[1], Tweak::default());
    packet[0] = packet[0] & 0xcf | 0x10;
    raw.deliver(packet);
    assert_eq!(dropped(&mut raw, DropReason::KeysDiscarded), 1);
    assert_eq!(raw.violation(), None);
}

// MUST 9000-12.4-2
#[test]
fn a_packet_without_frames_is_a_violation() {
    for level in [Level::Handshake, Level::OneRtt] {
        let mut raw = match level {
            Level::OneRtt => Raw::server(),
            _ => Raw::half_open_server(TransportConfig::default(), params()),
        };
        raw.send(level, b"");
        let error = raw.violation().expect("a violation");
        assert_eq!((error.code, &*error.reason), (Code::PROTOCOL_VIOLATION, "packet without a frame"));
    }
}

// MUST 9000-17.2-7, 9000-17.3.1-3
#[test]
fn reserved_bits_are_a_violation_but_only_in_authentic_packets() {
    for (level, bit) in
        [(Level::Handshake, 0x04), (Level::Handshake, 0x08), (Level::OneRtt, 0x08), (Level::OneRtt, 0x10)]
    {
        let mut raw = match level {
            Level::OneRtt => Raw::server(),
            _ => Raw::half_open_server(TransportConfig::default(), params()),
        };
        let mut forged = raw.packet(level, &[1, 0, 0, 0], Tweak { first: bit, ..Tweak::default() });
        let whole = forged.clone();
        *forged.last_mut().expect("a tag") ^= 1;
        raw.deliver(forged);
        assert_eq!(raw.violation(), None, "a forgery proves nothing");
        raw.deliver(whole);
        let error = raw.violation().expect("a violation");
        assert_eq!((error.code, &*error.reason), (Code::PROTOCOL_VIOLATION, "reserved header bits are set"));
    }
}

#[test]
fn empty_datagrams_are_counted_and_nothing_else() {
    let mut raw = Raw::server();
    let sent = raw.sent;
    let meta =
        tq_quic::RecvMeta { remote: raw.me, local_ip: None, socket: 0, ecn: tq_quic::wire::Ecn::NotEct };
    for _ in 0..1000 {
        raw.deliver(Vec::new());
        let now = raw.now;
        raw.victim().receive(now, &meta, &mut []);
    }
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::Empty), 1000);
    assert_eq!(dropped(&mut raw, DropReason::Empty), 1000);
    assert_eq!(raw.sent, sent);
}

#[test]
fn coalesced_packets_for_other_ids_are_dropped_before_anything_is_kept() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.hello(params());
    let real = raw.dcid;
    for round in 0..100u64 {
        let mut datagram = raw.packet(Level::Handshake, &[1], Tweak::default());
        for n in 0..20 {
            raw.dcid = Cid::new(&(round * 20 + n).to_be_bytes()).expect("short");
            datagram.extend(raw.packet(Level::Handshake, &[1], Tweak::default()));
        }
        raw.dcid = real;
        raw.deliver(datagram);
    }
    assert_eq!(dropped(&mut raw, DropReason::OtherConnection), 100, "the rest of each datagram at once");
    assert_eq!(raw.victim().stats().counters.packets_buffered, 0);
    assert_eq!(raw.victim.endpoint.connections(), 1);
}

// MUST 9000-5.2.2-2
#[test]
fn long_headers_for_nobody_leave_nothing() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    for n in 0..2000u64 {
        raw.dcid = Cid::new(&n.to_be_bytes()).expect("short");
        let mut datagram = Vec::new();
        for _ in 0..21 {
            datagram.extend(raw.packet(Level::Handshake, &[1], Tweak::default()));
        }
        datagram.resize(1300, 0);
        raw.deliver(datagram);
    }
    assert_eq!((raw.victim.endpoint.connections(), raw.datagrams.len()), (0, 0));
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::UnknownConnection), 2000);
}

#[test]
fn ten_packets_wait_for_their_keys_and_no_more() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    for _ in 0..15 {
        raw.send(Level::OneRtt, &bytes(&[Frame::Ping]));
    }
    assert_eq!(dropped(&mut raw, DropReason::KeysMissing), 5);
    raw.datagrams.clear();
    raw.send(Level::Handshake, &crypto(0, &pair::plain::message(pair::plain::FINISHED, b"")));
    assert!(!raw.victim().is_handshaking());
    raw.pass(Duration::from_millis(10));
    let acked: u64 = raw
        .packets()
        .iter()
        .filter(|packet| packet.level == Level::OneRtt)
        .flat_map(Packet::frames)
        .filter_map(|frame| match frame {
            Frame::Ack(ack) => Some(ack.ranges().map(|range| range.end() - range.start() + 1).sum()),
            _ => None,
        })
        .max()
        .unwrap_or(0);
    assert_eq!(acked, 10, "those that waited were opened");
}

#[test]
fn half_open_connections_are_capped() {
    let mut config = EndpointConfig::default();
    config.max_half_open = 10;
    let mut raw = Raw::idle_server(TransportConfig::default(), config, 0);
    for n in 0..50u64 {
        let id = Cid::new(&n.to_be_bytes()).expect("short");
        (raw.dcid, raw.odcid) = (id, id);
        raw.send(Level::Initial, &crypto(0, b"\x01"));
    }
    assert_eq!((raw.victim.endpoint.half_open(), raw.victim.endpoint.connections()), (10, 10));
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::Refused), 40);
    // they do not stay for ever
    raw.pass(Duration::from_secs(31));
    assert_eq!((raw.victim.endpoint.half_open(), raw.victim.endpoint.connections()), (0, 0));
}

// MUST 9000-14.1-3
#[test]
fn strangers_that_are_not_authentic_or_too_small_are_dropped() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    let mut forged = raw.packet(Level::Initial, &crypto(0, b"\x01"), Tweak::default());
    forged[600] ^= 1;
    raw.deliver(forged);
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::DecryptionFailed), 1);
    let mut small = raw.packet(Level::Initial, &crypto(0, b"\x01"), Tweak::default());
    small.truncate(1199);
    raw.deliver(small);
    let mut short_id = raw.packet(Level::Initial, &crypto(0, b"\x01"), Tweak::default());
    short_id[5] = 7;
    raw.deliver(short_id);
    assert_eq!(raw.victim.endpoint.connections(), 0);
    assert!(raw.datagrams.is_empty());
}

// MUST 9000-12.3-4
#[test]
fn a_duplicate_is_dropped_and_counted() {
    let mut raw = Raw::server();
    let packet = raw.packet(Level::OneRtt, &[1], Tweak::default());
    raw.deliver(packet.clone());
    raw.deliver(packet);
    assert_eq!(dropped(&mut raw, DropReason::Duplicate), 1);
}

// MUST 9000-9-5
#[test]
fn a_client_takes_packets_only_from_its_server() {
    let mut raw = Raw::client();
    let before = raw.victim().stats().counters.packets_received;
    let packet = raw.packet(Level::OneRtt, &[1], Tweak::default());
    raw.deliver_from("203.0.113.66:443".parse().expect("an address"), packet);
    assert_eq!(raw.victim().stats().counters.packets_received, before);
    assert_eq!(dropped(&mut raw, DropReason::UnexpectedAddress), 1);
}

// MUST 9000-17.3.1-1
#[test]
fn a_cleared_fixed_bit_needs_consent() {
    for (grease, taken) in [(true, true), (false, false)] {
        let mut config = TransportConfig::default();
        config.grease = grease;
        let mut raw = Raw::server_with(config, params());
        let before = raw.victim().stats().counters.packets_received;
        let packet = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak { clear: 0x40, ..Tweak::default() });
        raw.deliver(packet);
        let received = raw.victim().stats().counters.packets_received - before;
        assert_eq!(received == 1, taken, "grease {grease}");
        assert_eq!(dropped(&mut raw, DropReason::FixedBit) == 1, !taken);
    }
}

#[test]
fn closing_answers_at_powers_of_two_and_ends_after_three_pto() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_millis(500));
    raw.datagrams.clear();
    let now = raw.now;
    raw.victim().close(now, 5, b"bye");
    raw.collect();
    assert_eq!(raw.datagrams.len(), 1);
    let pto = {
        let path = raw.victim().stats().paths[0];
        path.srtt + (4 * path.rttvar).max(Duration::from_millis(1)) + Duration::from_millis(25)
    };
    let mut answers = Vec::new();
    for n in 1..=100u32 {
        let before = raw.datagrams.len();
        raw.frames(&[Frame::Ping]);
        if raw.datagrams.len() > before {
            answers.push(n);
        }
    }
    assert_eq!(answers, [1, 2, 4, 8, 16, 32, 64]);
    raw.pass(3 * pto - Duration::from_millis(2));
    assert_eq!(raw.victim.endpoint.connections(), 1);
    // with others that end then
    raw.pass(Duration::from_millis(4 + 17));
    assert_eq!(raw.victim.endpoint.connections(), 0, "3 PTO are {:?}", 3 * pto);
}

// MUST 9000-10.2.2-1
#[test]
fn a_close_that_answers_ours_ends_the_answers() {
    let mut raw = Raw::server();
    let now = raw.now;
    raw.victim().close(now, 5, b"bye");
    raw.collect();
    raw.frames(&[Frame::Close(Close { code: 0, frame_type: None, reason: b"" })]);
    raw.datagrams.clear();
    for _ in 0..20 {
        raw.frames(&[Frame::Ping]);
    }
    assert!(raw.datagrams.is_empty());
    assert_eq!(raw.side, Side::Client);
}
