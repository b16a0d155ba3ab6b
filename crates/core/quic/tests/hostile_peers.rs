//! A peer that has a connection and abuses it: optimistic acknowledgements, floods of every frame there is, limits that
//! go nowhere, key updates and marks that lie. What it gets is an error or nothing, and it costs no more than it brings.

mod pair;

use std::sync::Arc;

use pair::flow::Flow;
use pair::raw::{Raw, Tweak, bytes, crypto, params};
use pair::{End, Pair};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{ResetStream, StopSending, Stream, encode_ack, kind};
use tq_quic::wire::{Code, Dir, EcnCounts, Frame, Side, StreamId, Writer};
use tq_quic::{EndpointConfig, StreamConfig, StreamEvent, TransportConfig, WindowBudget};

fn theirs(dir: Dir, n: u64) -> StreamId {
    StreamId::new(Side::Client, dir, n)
}

fn stream(id: StreamId, offset: u64, fin: bool, data: &[u8]) -> Vec<u8> {
    bytes(&[Frame::Stream(Stream { id, offset, fin, data })])
}

fn assert_violation(raw: &Raw, code: Code, frame: u64) {
    let error = raw.violation().unwrap_or_else(|| panic!("{code:?} did not happen"));
    assert_eq!((error.code, error.frame), (code, frame), "{error}");
}

/// A server that wants to send a lot.
fn sender() -> Raw {
    let mut raw = Raw::server();
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    let _ = raw.victim().write_slice(id, &vec![7; 8 << 20]);
    raw.collect();
    raw
}

#[test]
fn who_acknowledges_ahead_of_what_arrives_is_caught_by_a_skipped_number() {
    // acknowledges everything that can have been sent by now, having seen nothing of it (CVE-2025-4820)
    for lead in [1u64, 8] {
        let mut raw = sender();
        let mut top = 5;
        let mut rounds = 0;
        while raw.violation().is_none() {
            raw.datagrams.clear();
            top += lead;
            raw.send(Level::OneRtt, &Raw::ack(std::slice::from_ref(&(0..top))));
            raw.pass(Duration::from_millis(5));
            let cwnd = raw.victim.connections.get(&raw.handle).map_or(0, |c| c.stats().paths[0].cwnd);
            assert!(cwnd < 2 << 20, "{cwnd} bytes of window for somebody who lies");
            rounds += 1;
            assert!(rounds < 10_000);
        }
        assert_violation(&raw, Code::PROTOCOL_VIOLATION, kind::ACK);
    }
}

#[test]
fn acknowledgements_in_the_most_ranges_there_can_be_change_nothing_and_take_no_time() {
    let mut raw = sender();
    raw.pass(Duration::from_millis(100));
    let numbers: Vec<u64> = raw.packets().iter().filter(|p| p.level == Level::OneRtt).map(|p| p.pn).collect();
    let some: Vec<_> = numbers.iter().step_by(2).map(|pn| *pn..*pn + 1).collect();
    for _ in 0..3000 {
        raw.send(Level::OneRtt, &Raw::ack(&some));
        raw.datagrams.clear();
    }
    assert_eq!(raw.violation(), None);
    // ranges that count below zero are cut off
    let mut ack = vec![0x02, 5, 0, 1, 5, 5, 5];
    ack.resize(40, 0);
    raw.send(Level::OneRtt, &ack);
    assert_violation(&raw, Code::FRAME_ENCODING_ERROR, kind::ACK);
}

#[test]
fn streams_opened_and_reset_at_once_end_at_the_limit_until_the_application_has_looked() {
    // rapid reset: nothing is given back before the application has seen it
    let mut raw = Raw::server();
    let limit = TransportConfig::default().stream.max_bidi;
    for n in 0..limit {
        let id = theirs(Dir::Bi, n);
        let frames = [
            Frame::ResetStream(ResetStream { id, code: 0, final_size: 0 }),
            Frame::StopSending(StopSending { id, code: 0 }),
        ];
        raw.frames(&frames);
        raw.datagrams.clear();
    }
    assert_eq!(raw.violation(), None);
    let events =
        raw.victim.events.iter().filter(|(_, event)| matches!(event, tq_quic::Event::Stream(_))).count();
    assert!(events as u64 <= 3 * limit, "{events} events for {limit} streams");
    assert_eq!(raw.victim().stats().streams as u64, limit, "none of them is gone");
    let id = theirs(Dir::Bi, limit);
    raw.frames(&[Frame::ResetStream(ResetStream { id, code: 0, final_size: 0 })]);
    assert_violation(&raw, Code::STREAM_LIMIT_ERROR, kind::RESET_STREAM);
}

#[test]
fn resets_as_fast_as_the_application_accepts_them_hold_no_more_than_the_limit() {
    let mut raw = Raw::server();
    let (mut n, mut limit) = (0, TransportConfig::default().stream.max_bidi);
    for _ in 0..400 {
        for _ in 0..90.min(limit - n) {
            let id = theirs(Dir::Bi, n);
            raw.frames(&[
                Frame::ResetStream(ResetStream { id, code: 0, final_size: 0 }),
                Frame::StopSending(StopSending { id, code: 0 }),
            ]);
            n += 1;
        }
        while let Some(id) = raw.victim().accept(Dir::Bi) {
            let _ = raw.victim().read(id, 1);
        }
        raw.collect();
        raw.pass(Duration::from_millis(10));
        for packet in raw.packets() {
            for frame in packet.frames() {
                if let Frame::MaxStreams(Dir::Bi, more) = frame {
                    limit = limit.max(more);
                }
            }
            raw.send(Level::OneRtt, &Raw::ack_one(packet.pn));
        }
        raw.victim.events.clear();
        assert_eq!(raw.violation(), None);
        let open = raw.victim().stats().streams;
        assert!(open <= 256, "{open}");
    }
    assert!(n > 10_000, "credit follows: {n}");
    assert!(raw.sent < raw.received, "{} for {}", raw.sent, raw.received);
}

#[test]
fn limits_that_rise_fall_or_jump_move_nothing_that_is_not_there() {
    let mut raw = Raw::server();
    for n in 0..20_000u64 {
        let limit = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 2;
        raw.frames(&[
            Frame::MaxData(limit),
            Frame::MaxStreams(Dir::Bi, limit.min(1 << 60)),
            Frame::MaxStreams(Dir::Uni, (limit >> 5).min(1 << 60)),
            Frame::DataBlocked(limit),
            Frame::StreamsBlocked(Dir::Bi, limit.min(1 << 60)),
        ]);
        raw.datagrams.clear();
    }
    assert_eq!(raw.violation(), None);
    assert_eq!(raw.victim().stats().streams, 0);
    raw.send(Level::OneRtt, &[0x12, 0xd0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::FRAME_ENCODING_ERROR));
}

#[test]
fn the_last_stream_of_the_limit_opens_all_below_it_and_the_next_is_an_error() {
    for dir in Dir::ALL {
        let mut raw = Raw::server();
        raw.send(Level::OneRtt, &stream(theirs(dir, 255), 0, false, b"x"));
        assert_eq!(raw.violation(), None);
        assert_eq!(raw.victim().stats().streams, 256);
        for n in [256, (1 << 60) - 1] {
            let mut raw = Raw::server();
            raw.send(Level::OneRtt, &stream(theirs(dir, n), 0, false, b"x"));
            assert_violation(&raw, Code::STREAM_LIMIT_ERROR, kind::STREAM);
        }
    }
}

#[test]
fn bytes_beyond_any_limit_and_ends_that_move_are_refused_with_the_right_code() {
    let uni = theirs(Dir::Uni, 0);
    let window = TransportConfig::default().stream.stream_window;
    type Frames = &'static [(u64, bool, usize)];
    const WINDOW: u64 = 1 << 20;
    let cases: [(Frames, Code); 5] = [
        (&[(WINDOW, false, 1)], Code::FLOW_CONTROL_ERROR),
        (&[((1 << 62) - 2, false, 1)], Code::FLOW_CONTROL_ERROR),
        (&[(0, true, 10), (10, false, 1)], Code::FINAL_SIZE_ERROR),
        (&[(0, true, 10), (0, true, 9)], Code::FINAL_SIZE_ERROR),
        (&[(0, false, 10), (0, true, 9)], Code::FINAL_SIZE_ERROR),
    ];
    for (frames, code) in cases {
        let mut raw = Raw::server();
        for (offset, fin, len) in frames {
            raw.send(Level::OneRtt, &stream(uni, *offset, *fin, &vec![1; *len]));
        }
        assert_violation(&raw, code, kind::STREAM);
    }
    // over the connection's window, spread over streams
    let mut raw = Raw::server();
    for n in 0..3 {
        raw.send(Level::OneRtt, &stream(theirs(Dir::Uni, n), window - 1, false, b"x"));
    }
    assert_violation(&raw, Code::FLOW_CONTROL_ERROR, kind::STREAM);
}

#[test]
fn packet_numbers_that_jump_are_followed_at_constant_cost() {
    let mut raw = Raw::server();
    let mut pn = 100;
    // each jump is as far as four bytes of packet number carry
    for _ in 0..20_000 {
        pn += (1 << 31) - 1000;
        let packet = raw.packet(Level::OneRtt, &[1], Tweak { pn: Some(pn), ..Tweak::default() });
        raw.deliver(packet);
        raw.datagrams.clear();
    }
    assert_eq!(raw.violation(), None);
    let received = raw.victim().stats().counters.packets_received;
    assert!(received > 20_000, "{received}");
}

#[test]
fn key_updates_faster_than_they_are_acknowledged_end_the_connection() {
    let mut raw = Raw::server();
    let mut generation = 0;
    while raw.violation().is_none() {
        generation += 1;
        assert!(generation < 10, "an update with every packet");
        let packet = raw.packet(Level::OneRtt, &[1], Tweak { generation, ..Tweak::default() });
        // nothing is sent in between, so nothing was acknowledged under the new keys
        let meta =
            tq_quic::RecvMeta { remote: raw.me, local_ip: None, socket: 0, ecn: tq_quic::wire::Ecn::NotEct };
        let now = raw.now;
        raw.victim().receive(now, &meta, &mut packet.clone());
        raw.victim.collect();
    }
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::KEY_UPDATE_ERROR));
}

#[test]
fn marks_that_were_never_set_turn_ecn_off_and_nothing_else() {
    let mut config = TransportConfig::default();
    config.ecn = true;
    let lies = [
        EcnCounts { ect0: 0, ect1: 5, ce: 0 },
        EcnCounts { ect0: (1 << 62) - 1, ect1: 0, ce: (1 << 62) - 1 },
        EcnCounts { ect0: 0, ect1: 0, ce: 1 << 40 },
        EcnCounts { ect0: 0, ect1: 0, ce: 0 },
    ];
    for counts in lies {
        let mut raw = Raw::server_with(config.clone(), params());
        let id = raw.victim().open(Dir::Uni).expect("allowed");
        let _ = raw.victim().write_slice(id, &vec![7; 1 << 20]);
        raw.collect();
        for _ in 0..50 {
            let last = raw.packets().iter().filter(|p| p.level == Level::OneRtt).map(|p| p.pn).max();
            if let Some(last) = last {
                let mut out = vec![0; 100];
                let mut w = Writer::new(&mut out);
                encode_ack(&mut w, None, std::iter::once(last..last + 1), 0, Some(counts));
                let len = w.len();
                raw.send(Level::OneRtt, &out[..len]);
            }
            raw.pass(Duration::from_millis(10));
        }
        assert_eq!(raw.violation(), None, "{counts:?}");
        let path = raw.victim().stats().paths[0];
        assert!(!path.ecn, "{counts:?}");
        assert!(path.cwnd >= 2 * u64::from(path.mtu), "{counts:?}");
    }
}

#[test]
fn delays_that_lie_leave_the_round_trip_where_it_is() {
    let mut raw = sender();
    for _ in 0..50 {
        raw.pass(Duration::from_millis(20));
        let last = raw.packets().iter().filter(|p| p.level == Level::OneRtt).map(|p| p.pn).max();
        let Some(last) = last else { continue };
        let mut out = vec![0; 100];
        let mut w = Writer::new(&mut out);
        encode_ack(&mut w, None, std::iter::once(last..last + 1), (1 << 62) - 1, None);
        let len = w.len();
        raw.send(Level::OneRtt, &out[..len]);
    }
    assert_eq!(raw.violation(), None);
    let path = raw.victim().stats().paths[0];
    assert!(path.srtt >= path.min_rtt && path.srtt < Duration::from_secs(2), "{:?}", path.srtt);
}

#[test]
fn acknowledgements_that_come_late_do_not_make_dead_state_last() {
    // each answer comes as late as silence allows, so that round trips seem to take ever longer
    let mut raw = sender();
    for _ in 0..12 {
        raw.pass(Duration::from_secs(25));
        let last = raw.packets().iter().filter(|p| p.level == Level::OneRtt).map(|p| p.pn).max();
        if let Some(last) = last {
            raw.send(Level::OneRtt, &Raw::ack_one(last));
        }
    }
    assert_eq!(raw.victim.closed(raw.handle), None);
    let now = raw.now;
    raw.victim().close(now, 0, b"");
    raw.pass(Duration::from_secs(61));
    assert_eq!(raw.victim.endpoint.connections(), 0, "gone within a minute");
}

#[test]
fn sizes_that_cannot_be_never_shrink_a_path_below_1200() {
    // what a forged ICMP message could make a socket say
    let mut raw = sender();
    for size in [0, 68, 576, 1199, 1200] {
        let now = raw.now;
        let remote = raw.victim().remote();
        raw.victim().on_too_big(now, 0, remote, size);
        raw.pass(Duration::from_millis(10));
        assert!(raw.victim().stats().paths[0].mtu >= 1200, "{size}");
        raw.send(Level::OneRtt, &[1]);
    }
    assert_eq!(raw.violation(), None);
}

#[test]
fn crypto_after_the_handshake_has_no_end_and_no_effect_but_an_error() {
    let mut raw = Raw::server();
    let mut at = 0u64;
    // a message that never ends, in order: TLS takes it and the application never sees it
    raw.send(Level::OneRtt, &crypto(0, &[4, 0xff, 0xff, 0xff]));
    at += 4;
    for _ in 0..100 {
        raw.send(Level::OneRtt, &crypto(at + 2000, &[0; 1000]));
        at += 1000;
        if raw.violation().is_some() {
            break;
        }
    }
    assert_violation(&raw, Code::CRYPTO_BUFFER_EXCEEDED, kind::CRYPTO);
}

#[test]
fn a_peer_that_pings_for_ever_is_answered_with_less_than_it_sends() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    let (received, sent) = (raw.received, raw.sent);
    for _ in 0..20_000 {
        raw.frames(&[Frame::Ping]);
        raw.datagrams.clear();
        raw.pass(Duration::from_millis(1));
    }
    assert!(raw.sent - sent <= raw.received - received, "{} {}", raw.sent - sent, raw.received - received);
}

#[test]
fn a_peer_that_reads_nothing_makes_us_hold_the_send_buffer_and_no_more() {
    let mut config = TransportConfig::default();
    config.stream.send_buffer = 1 << 20;
    let mut raw =
        Raw::server_with(config, tq_quic::wire::TransportParameters { initial_max_data: 0, ..params() });
    let mut held = 0;
    for _ in 0..100 {
        let Some(id) = raw.victim().open(Dir::Uni) else { break };
        held += raw.victim().write_slice(id, &vec![1; 1 << 20]).unwrap_or(0);
    }
    assert!(held <= 3 << 20, "{held} bytes taken for a peer that reads nothing");
    let told = raw
        .victim
        .events
        .iter()
        .filter(|(_, e)| matches!(e, tq_quic::Event::Stream(StreamEvent::Writable(_))));
    assert_eq!(told.count(), 0);
}

#[test]
fn a_hundred_greedy_connections_grow_within_one_budget() {
    const BUDGET: usize = 8 << 20;
    let budget = Arc::new(WindowBudget::new(BUDGET));
    let small = StreamConfig {
        stream_window: 16 << 10,
        connection_window: 32 << 10,
        max_connection_window: 4 << 20,
        max_stream_window: 4 << 20,
        ..StreamConfig::default()
    };
    let mut transport = TransportConfig::default();
    transport.stream = small.clone();
    let mut endpoint = EndpointConfig::default();
    endpoint.window_budget = Arc::clone(&budget);
    let mut pair = Pair::with(TransportConfig::default(), transport, EndpointConfig::default(), endpoint);
    let mut flows: Vec<Flow> = Vec::new();
    for _ in 0..100 {
        let ends = pair.connected();
        flows.push(Flow::over(&mut pair, ends, Side::Client, 500_000));
    }
    let mut most = 0;
    pair.drive_for(Duration::from_secs(60), |pair| {
        most = most.max(budget.used());
        let left = flows.iter_mut().map(|flow| flow.work(pair)).filter(|done| !done).count();
        left == 0
    });
    assert!(flows.iter().all(|flow| flow.done), "everybody gets through");
    assert!(most > BUDGET / 2 && most <= BUDGET, "{most} of {BUDGET}");
    // a hundred grew, so the last was left something
    let now = pair.now;
    for end in [&mut pair.client, &mut pair.server] {
        let end: &mut End = end;
        end.connections.values_mut().for_each(|connection| connection.close(now, 0, b""));
    }
    pair.pass(Duration::from_secs(30));
    assert_eq!(pair.server.endpoint.connections(), 0);
    assert_eq!(budget.used(), 0, "all of it came back");
}
