//! 0-RTT from a client, and answers to it from a server, that keep to no rule.

mod pair;

use pair::plain::{FINISHED, Plain, message};
use pair::raw::{Raw, bytes, crypto, encode, params};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{self, NewConnectionId, StopSending, Stream};
use tq_quic::wire::{Cid, Code, Dir, Frame, ResetToken, Side, StreamId, TransportParameters};
use tq_quic::{EarlyData, EndpointConfig, Event, TransportConfig};

fn tight() -> TransportConfig {
    let mut config = TransportConfig::default();
    config.stream.max_uni = 2;
    config.stream.stream_window = 1000;
    config.stream.connection_window = 1500;
    config
}

fn id(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Uni, index)
}

fn stream(id: StreamId, offset: u64, data: &[u8]) -> Frame<'_> {
    Frame::Stream(Stream { id, offset, data, fin: false })
}

/// A server that takes 0-RTT and has our ClientHello. Packets go to the id it chose.
fn server() -> Raw {
    let tls = Plain { early: true, ..Plain::default() };
    let mut raw = Raw::idle_server_by(tls, tight(), EndpointConfig::default());
    raw.hello(params());
    assert_eq!(raw.victim().early_data(), EarlyData::Accepted);
    raw
}

fn early(raw: &mut Raw, frames: &[Frame<'_>]) {
    let packet = raw.early(&bytes(frames), None);
    raw.deliver(packet);
}

fn code(raw: &Raw) -> Option<Code> {
    raw.violation().map(|error| error.code)
}

fn finish(raw: &mut Raw) {
    raw.send(Level::Handshake, &crypto(0, &message(FINISHED, b"")));
    assert!(!raw.victim().is_handshaking());
}

// MUST 9001-8.3-2
#[test]
fn frames_that_need_an_answer_of_the_server_or_a_finished_handshake_are_violations() {
    let acks = Raw::ack_one(0);
    let cid = NewConnectionId {
        path: None,
        seq: 1,
        retire_prior_to: 0,
        cid: Cid::new(b"another!").expect("short"),
        token: ResetToken([7; 16]),
    };
    let forbidden = [
        acks,
        crypto(0, b"hello"),
        bytes(&[Frame::NewToken(b"token")]),
        bytes(&[Frame::HandshakeDone]),
        bytes(&[Frame::PathResponse([1; 8])]),
        bytes(&[Frame::RetireConnectionId(frame::RetireConnectionId { path: None, seq: 0 })]),
        bytes(&[Frame::ImmediateAck]),
    ];
    for payload in forbidden {
        let mut raw = server();
        let packet = raw.early(&payload, None);
        raw.deliver(packet);
        assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION), "{payload:02x?}");
    }
    let mut raw = server();
    early(&mut raw, &[Frame::Ping, Frame::NewConnectionId(cid), Frame::PathChallenge([2; 8])]);
    early(&mut raw, &[stream(id(0), 0, b"x"), Frame::MaxData(1 << 20)]);
    assert_eq!(code(&raw), None);
}

#[test]
fn limits_hold_for_early_data_as_for_any_other() {
    let mut raw = server();
    early(&mut raw, &[stream(id(2), 0, b"x")]);
    assert_eq!(code(&raw), Some(Code::STREAM_LIMIT_ERROR));
    let mut raw = server();
    early(&mut raw, &[stream(id(0), 990, b"beyond the window")]);
    assert_eq!(code(&raw), Some(Code::FLOW_CONTROL_ERROR));
    let mut raw = server();
    early(&mut raw, &[stream(id(0), 0, &[1; 900])]);
    early(&mut raw, &[stream(id(1), 0, &[1; 900])]);
    assert_eq!(code(&raw), Some(Code::FLOW_CONTROL_ERROR), "both together");
    let mut raw = server();
    let ours = StreamId::new(Side::Server, Dir::Bi, 0);
    early(&mut raw, &[Frame::StopSending(StopSending { id: ours, code: 1 })]);
    assert_eq!(code(&raw), Some(Code::STREAM_STATE_ERROR));
}

#[test]
fn numbers_are_never_taken_twice_nor_after_a_1rtt_packet() {
    let mut raw = server();
    let packet = raw.early(&bytes(&[stream(id(0), 0, b"abc")]), Some(3));
    raw.deliver(packet.clone());
    raw.deliver(packet);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::Duplicate), 1);
    finish(&mut raw);
    raw.frames(&[Frame::Ping]);
    assert_eq!(raw.pn[2], 5);
    let late = raw.early(&bytes(&[stream(id(0), 3, b"def")]), Some(2));
    raw.deliver(late);
    assert_eq!(code(&raw), None, "it was overtaken");
    let forged = raw.early(&bytes(&[stream(id(0), 6, b"ghi")]), Some(9));
    raw.deliver(forged);
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
}

// MUST 9001-4.9.3-1
#[test]
fn keys_of_early_data_go_some_time_after_the_handshake() {
    let mut raw = server();
    finish(&mut raw);
    raw.frames(&[Frame::Ping]);
    raw.pass(Duration::from_secs(10));
    let late = raw.early(&bytes(&[Frame::Ping]), Some(0));
    raw.deliver(late);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::KeysDiscarded), 1);
    assert_eq!(code(&raw), None);
}

#[test]
fn a_packet_that_does_not_open_changes_nothing() {
    let mut raw = server();
    let mut forged = raw.early(&bytes(&[stream(id(5), 0, b"x")]), None);
    *forged.last_mut().expect("a tag") ^= 1;
    raw.deliver(forged);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::DecryptionFailed), 1);
    assert_eq!(code(&raw), None);
}

#[test]
fn early_data_from_elsewhere_moves_no_connection() {
    let mut raw = server();
    let packet = raw.early(&bytes(&[stream(id(0), 0, b"abc")]), None);
    raw.deliver_from("198.51.100.66:1".parse().expect("an address"), packet);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::Duplicate), 0);
    let (me, at) = (raw.me, raw.victim().remote());
    assert_eq!(at, me, "whoever sends a copy first from elsewhere gets nothing");
    finish(&mut raw);
}

// MUST 9001-4.6.2-1
#[test]
fn a_server_that_takes_none_keeps_none() {
    let mut raw = Raw::half_open_server(tight(), params());
    for _ in 0..50 {
        early(&mut raw, &[stream(id(0), 0, b"x")]);
    }
    let counters = raw.victim().stats().counters;
    assert_eq!((counters.dropped(DropReason::KeysDiscarded), counters.packets_buffered), (50, 0));
    finish(&mut raw);
}

#[test]
fn packets_before_any_initial_are_kept_in_small_numbers_and_earn_nothing() {
    let tls = Plain { early: true, ..Plain::default() };
    let mut raw = Raw::idle_server_by(tls, tight(), EndpointConfig::default());
    for n in 0..20_u64 {
        let packet = raw.early(&bytes(&[stream(id(0), n, b"x")]), None);
        raw.deliver(packet);
    }
    let dropped = |raw: &Raw| raw.victim.endpoint.counters().dropped(DropReason::QueueFull);
    assert_eq!(dropped(&raw), 12, "eight for one id");
    // others push the oldest out, without a word
    for n in 0..1000_u16 {
        raw.dcid = Cid::new(&[&b"strange"[..], &n.to_be_bytes()].concat()).expect("short");
        let packet = raw.early(&[1], None);
        raw.deliver(packet);
    }
    assert_eq!((dropped(&raw), raw.sent, raw.victim.endpoint.connections()), (12, 0, 0));
    raw.dcid = raw.odcid;
    raw.hello(params());
    assert_eq!(raw.victim().stats().counters.packets_received, 1, "the first eight were forgotten");
}

#[test]
fn packets_before_the_initial_come_to_the_connection_it_makes_unless_they_are_too_old() {
    for (wait, taken) in [(500, 2), (1500, 0)] {
        let tls = Plain { early: true, ..Plain::default() };
        let mut raw = Raw::idle_server_by(tls, tight(), EndpointConfig::default());
        let two = [raw.early(&[1], None), raw.early(&[1], None)];
        for packet in two {
            raw.deliver(packet);
        }
        raw.now += Duration::from_millis(wait);
        // somebody else's, by which age is noticed
        raw.dcid = Cid::new(b"somebody").expect("short");
        let other = raw.early(&[1], None);
        raw.deliver(other);
        raw.dcid = raw.odcid;
        raw.hello(params());
        assert_eq!(raw.victim().stats().counters.packets_received, 1 + taken, "after {wait} ms");
    }
}

#[test]
fn packets_that_wait_for_the_rest_of_a_hello_are_bounded() {
    let tls = Plain { early: true, ..Plain::default() };
    let mut raw = Raw::idle_server_by(tls, tight(), EndpointConfig::default());
    let hello = pair::raw::hello(raw.scid, params());
    let (first, rest) = hello.split_at(20);
    raw.send(Level::Initial, &crypto(0, first));
    raw.handle = *raw.victim.accepted.back().expect("accepted");
    for n in 0..30 {
        early(&mut raw, &[stream(id(0), n, b"x")]);
    }
    assert_eq!(raw.victim().stats().counters.packets_buffered, 10);
    raw.send(Level::Initial, &crypto(20, rest));
    assert_eq!(raw.victim().stats().counters.packets_received, 2 + 10);
}

fn remembered() -> TransportParameters {
    params()
}

/// A client with 0-RTT, written to before anything was heard, whose server finds it taken or not.
fn client(taken: bool) -> Raw {
    let tls = Plain { early: taken, remembers: Some(|| encode(&remembered())), ..Plain::default() };
    let config = TransportConfig::default();
    let mut raw = Raw::half_open_client_by(tls, config, EndpointConfig::default());
    assert_eq!(raw.victim().early_data(), EarlyData::Pending);
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    assert_eq!(raw.victim().write_slice(id, &[5; 3000]), Ok(3000));
    raw.collect();
    raw
}

// MUST 9000-17.2.3-3
#[test]
fn early_packets_of_a_client_hold_nothing_they_must_not() {
    let mut raw = client(true);
    let sent = raw.packets();
    let early: Vec<_> = sent.iter().filter(|packet| packet.early).collect();
    assert!(early.len() >= 3);
    for packet in early {
        assert!(packet.frames().iter().all(|frame| matches!(frame, Frame::Stream(_) | Frame::Padding(_))));
    }
}

// MUST 9000-7.4.1-9, 9000-17.2.3-2, 9001-5.6-6
#[test]
fn a_client_sends_no_early_data_once_it_has_1rtt_keys() {
    let mut raw = client(true);
    raw.packets();
    raw.answer(params());
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    assert_eq!(raw.victim().write_slice(id, b"late"), Ok(4));
    raw.collect();
    let sent = raw.packets();
    assert!(sent.iter().any(|packet| packet.level == Level::OneRtt));
    assert!(sent.iter().all(|packet| !packet.early));
}

// MUST 9000-7.4.1-5, 9000-7.4.1-6
#[test]
fn a_server_that_takes_early_data_may_not_grant_less_than_before() {
    let shrunk: [fn(&mut TransportParameters); 6] = [
        |p| p.initial_max_data -= 1,
        |p| p.initial_max_stream_data_uni -= 1,
        |p| p.initial_max_stream_data_bidi_remote = 0,
        |p| p.initial_max_streams_bidi -= 1,
        |p| p.active_cid_limit = 2,
        |p| p.max_datagram_frame_size -= 1,
    ];
    for shrink in shrunk {
        let mut less = params();
        shrink(&mut less);
        let mut raw = client(true);
        raw.answer(less.clone());
        assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION), "{less:?}");
        let mut raw = client(false);
        raw.answer(less);
        assert_eq!(code(&raw), None, "rejected, it may");
        assert!(raw.victim.has(raw.handle, &Event::EarlyData { accepted: false }));
    }
}

#[test]
fn acknowledgements_of_rejected_packets_are_worth_nothing() {
    let mut raw = client(false);
    let early: Vec<u64> =
        raw.packets().iter().filter(|packet| packet.early).map(|packet| packet.pn).collect();
    raw.answer(params());
    raw.send(Level::OneRtt, &Raw::ack_one(early[0]));
    assert_eq!(code(&raw), None);
    let sent = raw.packets();
    let mut again: Vec<u64> = Vec::new();
    for packet in sent.iter().filter(|packet| packet.level == Level::OneRtt) {
        assert!(!packet.early && !early.contains(&packet.pn), "a number was used twice");
        for frame in packet.frames() {
            if let Frame::Stream(f) = frame {
                again.extend(f.offset..f.offset + f.data.len() as u64);
            }
        }
    }
    again.sort_unstable();
    assert_eq!(again, (0..3000).collect::<Vec<_>>(), "all of it, once");
}

// MUST 9001-5.6-4, 9001-5.6-5
#[test]
fn a_clients_own_early_packets_sent_back_are_dropped() {
    let mut raw = client(true);
    let reflected = raw.early(&bytes(&[Frame::Ping]), Some(40));
    raw.deliver(reflected);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::KeysDiscarded), 1);
    assert_eq!(code(&raw), None);
}

#[test]
fn remembered_parameters_that_make_no_sense_are_no_early_data() {
    let tls = Plain { early: true, remembers: Some(|| vec![4, 200]), ..Plain::default() };
    let mut raw = Raw::half_open_client_by(tls, TransportConfig::default(), EndpointConfig::default());
    assert_eq!(raw.victim().early_data(), EarlyData::None);
    assert_eq!(raw.victim().open(Dir::Uni), None);
}
