//! Rules of RFC 9000 about the end of connections (§10, §11) that are not tested elsewhere.

mod pair;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, params};
use pair::{CLIENT, End, Pair, plain};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{Close, NewConnectionId, RetireConnectionId, StopSending};
use tq_quic::wire::{Cid, Code, Dir, Ecn, Frame, ResetToken};
use tq_quic::{ConnectionError, EndpointConfig, RecvMeta, Route, TransportConfig};

const STRANGER: &str = "203.0.113.9:9";

fn new_cid(seq: u64, retire_prior_to: u64) -> Frame<'static> {
    let cid = Cid::new(&[b"number ", &[seq as u8][..]].concat()).expect("short");
    let token = token(seq as u8);
    Frame::NewConnectionId(NewConnectionId { path: None, seq, retire_prior_to, cid, token })
}

fn token(n: u8) -> ResetToken {
    ResetToken([n + 100; 16])
}

/// A datagram with these first octets that ends in a token.
fn reset(head: &[u8], len: usize, token: ResetToken) -> Vec<u8> {
    let mut out = vec![0x77; len];
    out[..head.len()].copy_from_slice(head);
    out[len - 16..].copy_from_slice(&token.0);
    out
}

/// A client whose server has given a token in the handshake.
fn client() -> Raw {
    let params = tq_quic::wire::TransportParameters { stateless_reset_token: Some(token(0)), ..params() };
    Raw::client_with(TransportConfig::default(), params)
}

fn is_reset(raw: &Raw) -> bool {
    match raw.victim.closed(raw.handle) {
        None => false,
        Some(ConnectionError::Reset) => true,
        Some(other) => panic!("{other:?}"),
    }
}

// MUST 9000-10.2.1-1, 9000-10.2.1-2
#[test]
fn a_closing_end_sends_no_more_than_three_times_what_it_gets() {
    for from in [None, Some(STRANGER)] {
        let mut raw = Raw::server();
        raw.pass(Duration::from_millis(200));
        let now = raw.now;
        raw.victim().close(now, 5, &[b'x'; 500]);
        raw.collect();
        let (received, sent) = (raw.received, raw.sent);
        // anybody who has seen the id can make these
        let mut answers = 0;
        for n in 0..300u64 {
            let mut small = vec![0x41; 22];
            small[1..9].copy_from_slice(&raw.dcid);
            small[14..].copy_from_slice(&n.to_be_bytes());
            let before = raw.datagrams.len();
            raw.deliver_from(from.map_or(raw.me, |from| from.parse().expect("an address")), small);
            answers += raw.datagrams.len() - before;
            let (got, gave) = (raw.received - received, raw.sent - sent);
            assert!(gave <= 3 * got, "{gave} bytes for {got}");
        }
        assert!((3..12).contains(&answers), "{answers} answers");
    }
}

// MUST 9000-10.2.1-1
#[test]
fn packets_that_crossed_a_close_get_no_answer_and_those_that_show_that_it_was_lost_do() {
    let mut pair = Pair::new(TransportConfig::default(), TransportConfig::default());
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(1));
    let id = pair.server(server).open(Dir::Uni).expect("allowed");
    pair.server(server).write_slice(id, &[1; 5000]).expect("room");
    let (now, before) = (pair.now, pair.datagrams[0]);
    pair.client(client).close(now, 5, b"bye");
    // too early: it has not said so yet
    pair.client(client).strip();
    let client_address = CLIENT.parse().expect("an address");
    pair.link = Box::new(move |flying| flying.from != client_address);
    pair.pass(pair.delay + Duration::from_millis(1));
    assert_eq!(pair.datagrams[0] - before, 1);
    // what only the application needed goes; the rest repeats the close
    pair.client(client).strip();
    pair.link = Box::new(|_| true);
    pair.pass(Duration::from_secs(2));
    assert!(pair.datagrams[0] - before > 1);
    let told = ConnectionError::PeerApplication { code: 5, reason: b"bye".to_vec() };
    assert_eq!(pair.server.closed(server), Some(&told));
    assert_eq!(pair.client.endpoint.connections() + pair.server.endpoint.connections(), 0);
}

// MUST 9000-10.2.2-1, 9000-10.2.2-2
#[test]
fn a_draining_end_is_silent_whatever_it_had_to_say() {
    for mut raw in [Raw::server(), Raw::client()] {
        let id = raw.victim().open(Dir::Bi).expect("allowed");
        raw.victim().write_slice(id, &[1; 50_000]).expect("room");
        raw.pass(Duration::from_millis(300));
        raw.packets();
        raw.frames(&[Frame::Ping, Frame::Close(Close { code: 3, frame_type: None, reason: b"bye" })]);
        let now = raw.now;
        raw.victim().close(now, 5, b"me too");
        for _ in 0..20 {
            raw.frames(&[Frame::Ping]);
            raw.pass(Duration::from_millis(20));
        }
        raw.pass(Duration::from_secs(10));
        assert!(raw.packets().is_empty());
        assert_eq!(raw.victim.endpoint.connections(), 0);
    }
}

// MUST 9000-10.2.3-1
#[test]
fn after_confirmation_a_close_travels_in_1_rtt_packets_alone() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.packets();
        let now = raw.now;
        raw.victim().close(now, 5, b"bye");
        raw.collect();
        let count = raw.datagrams.len();
        let packets = raw.packets();
        assert_eq!((count, packets.len()), (1, 1));
        assert_eq!(packets[0].level, Level::OneRtt);
        let close = Close { code: 5, frame_type: None, reason: b"bye" };
        assert!(packets[0].frames().contains(&Frame::Close(close)));
    }
}

// MUST 9000-10.2.3-2, 9000-10.2.3-3
#[test]
fn before_the_peer_is_known_it_hears_no_code_and_no_reason_of_the_application() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    let now = raw.now;
    raw.victim().close(now, 0xabc, b"secret");
    raw.collect();
    let packets = raw.packets();
    let mut seen = Vec::new();
    for packet in &packets {
        for frame in packet.frames() {
            if let Frame::Close(close) = frame {
                let veiled = Close { code: Code::APPLICATION_ERROR.0, frame_type: Some(0), reason: b"" };
                let open = Close { code: 0xabc, frame_type: None, reason: b"secret" };
                assert_eq!(close, if packet.level == Level::OneRtt { open } else { veiled });
                seen.push(packet.level);
            }
        }
    }
    assert!(seen.contains(&Level::Initial) && seen.contains(&Level::Handshake), "{seen:?}");
}

// MUST 9000-10.3-3
#[test]
fn packets_too_small_to_be_any_are_dropped() {
    let mut raw = client();
    raw.pass(Duration::from_millis(200));
    let (to, received) = (raw.dcid, raw.victim().stats().counters.packets_received);
    for len in 1..=20usize {
        let mut small = vec![0x41; len];
        let at = len.min(9);
        small[1..at].copy_from_slice(&to[..at - 1]);
        raw.deliver(small.clone());
        if len >= 16 {
            small[len - 16..].copy_from_slice(&token(0).0);
            raw.deliver(small);
        }
    }
    assert!(!is_reset(&raw), "nor are they resets");
    assert_eq!(raw.victim().stats().counters.packets_received, received);
    let mut raw = Raw::server();
    raw.pass(Duration::from_millis(200));
    raw.packets();
    for len in 9..=20 {
        let mut small = vec![0x41; len];
        small[1..9].copy_from_slice(&raw.dcid);
        raw.deliver(small);
    }
    assert!(raw.datagrams.is_empty() && raw.violation().is_none());
}

// MUST 9000-10.3-5, 9000-10.3.1-1, 9000-10.3.1-4
#[test]
fn whatever_ends_in_the_token_is_a_reset() {
    let name = b"\x08attacker";
    let long = |first: u8, version: u32, to: &Cid| {
        let mut out = vec![first];
        out.extend_from_slice(&version.to_be_bytes());
        out.push(8);
        out.extend_from_slice(to);
        out.extend_from_slice(name);
        out
    };
    let stranger = Cid::new(b"nobodys!").expect("short");
    for named in [true, false] {
        let forms = |to: &Cid| {
            vec![
                vec![0x41; 5],
                [&[0x41][..], &to[..]].concat(),
                long(0xc0, 1, to),
                long(0xe0, 1, to),
                [long(0xe0, 1, to), vec![0x40, 41]].concat(),
                long(0xf0, 1, to),
                long(0xc3, 0x0a1a_2a3a, to),
                long(0x80, 0, to),
                vec![0xc0, 0, 0, 0, 1, 60],
            ]
        };
        for n in 0..9 {
            let mut raw = client();
            let to = if named { raw.dcid } else { stranger };
            let head = forms(&to)[n].clone();
            raw.victim().send_datagram(vec![1; 100].into()).expect("room");
            raw.deliver(reset(&head, 64, token(1)));
            assert!(!is_reset(&raw), "{head:02x?} with another token");
            raw.deliver_from(STRANGER.parse().expect("an address"), reset(&head, 64, token(0)));
            assert!(!is_reset(&raw), "{head:02x?} from elsewhere");
            raw.datagrams.clear();
            raw.deliver(reset(&head, 64, token(0)));
            assert!(is_reset(&raw), "{head:02x?}, an id of ours: {named}");
            raw.pass(Duration::from_secs(10));
            assert!(raw.datagrams.is_empty(), "silent from then on");
        }
    }
}

// MUST 9000-10.3.1-1
#[test]
fn a_token_behind_a_packet_that_opens_resets_nothing() {
    let mut raw = client();
    let mut datagram = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak::default());
    let late = datagram.len() - 16;
    datagram.splice(late.., token(0).0);
    let mut half = Raw::half_open_client(TransportConfig::default());
    let params = tq_quic::wire::TransportParameters { stateless_reset_token: Some(token(0)), ..params() };
    half.answer(params);
    assert!(!half.victim().is_handshaking());
    let mut two = half.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default());
    two.extend(reset(&[0xe0], 40, token(0)));
    half.deliver(two);
    assert!(!is_reset(&half), "the first packet of it was in order");
    raw.deliver(datagram);
    assert!(is_reset(&raw), "one that does not open is none");
}

// MUST 9000-10.3.1-2
#[test]
fn only_the_id_in_use_can_be_reset() {
    let strike = |raw: &mut Raw, n: u8| {
        for head in [&[0x41][..], &[0xe0, 0, 0, 0, 1, 8]] {
            raw.deliver(reset(head, 50, token(n)));
        }
        let mut named = vec![0x41];
        named.extend_from_slice(&raw.dcid);
        raw.deliver(reset(&named, 50, token(n)));
    };
    let mut raw = client();
    raw.frames(&[new_cid(1, 0), new_cid(2, 0)]);
    strike(&mut raw, 1);
    strike(&mut raw, 2);
    assert!(!is_reset(&raw), "they were never sent to");
    raw.frames(&[new_cid(3, 2)]);
    raw.pass(Duration::from_millis(50));
    strike(&mut raw, 0);
    strike(&mut raw, 1);
    assert!(!is_reset(&raw), "they were retired");
    strike(&mut raw, 2);
    assert!(is_reset(&raw), "this one is in use");
}

fn meta() -> RecvMeta {
    RecvMeta { remote: STRANGER.parse().expect("an address"), local_ip: None, socket: 0, ecn: Ecn::NotEct }
}

/// What a server answers to a stray packet for `cid`.
fn answer(end: &mut End, cid: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut datagram = vec![0x41; len];
    datagram[1..=cid.len()].copy_from_slice(cid);
    let mut reply = Vec::new();
    let route =
        end.endpoint.receive(tq_quic::time::Instant::from_nanos(1), &meta(), &mut datagram, &mut reply);
    matches!(route, Route::Reply(_)).then_some(reply)
}

fn server(config: EndpointConfig) -> Raw {
    Raw::idle_server(TransportConfig::default(), config, 0)
}

// MUST 9000-10.3-2, 9000-10.3-4, 9000-10.3.2-1, 9000-10.3.2-5, 9000-10.3.3-1
#[test]
fn tokens_cannot_be_guessed_from_other_tokens() {
    let mut config = EndpointConfig::default();
    config.reset_key = Some([1; 32]);
    let mut one = server(config.clone());
    config.reset_key = Some([2; 32]);
    let mut other = server(config);
    let mut tokens = std::collections::BTreeSet::new();
    for n in 0..200u64 {
        for raw in [&mut one, &mut other] {
            let len = 43 + n as usize;
            let answer = answer(&mut raw.victim, &n.to_be_bytes(), len).expect("a reset");
            assert!(answer.len() < len && answer.len() < 3 * len && answer[0] & 0xc0 == 0x40);
            tokens.insert(answer[answer.len() - 16..].to_vec());
        }
    }
    assert_eq!(tokens.len(), 400, "each depends on id and key");
    for at in 0..16 {
        let values: std::collections::BTreeSet<u8> = tokens.iter().map(|token| token[at]).collect();
        assert!(values.len() > 150, "octet {at} has {} values", values.len());
    }
}

// MUST 9000-10.3.2-2
#[test]
fn a_reset_needs_no_state_for_ids_of_any_length() {
    for len in [4, 8, 13, 20] {
        let mut config = EndpointConfig::default();
        (config.reset_key, config.cid_len) = (Some([7; 32]), len);
        let mut raw = server(config.clone());
        raw.hello(params());
        raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
        let packets = raw.packets_with_acks();
        let frames = packets.iter().flat_map(Packet::frames);
        let ids: Vec<NewConnectionId> =
            frames.filter_map(|f| if let Frame::NewConnectionId(f) = f { Some(f) } else { None }).collect();
        assert!(ids.len() >= 7);
        let mut after = server(config);
        for id in ids {
            let reset = answer(&mut after.victim, &id.cid, 100).expect("a reset");
            assert_eq!(reset[reset.len() - 16..], id.token.0, "{len} bytes");
        }
    }
}

// MUST 9000-21.11-2, 9000-5.2.3-1
#[test]
fn ids_of_another_worker_are_not_reset() {
    let mut config = EndpointConfig::default();
    (config.reset_key, config.worker) = (Some([7; 32]), Some(3));
    let mut raw = server(config);
    for first in 0..=255u8 {
        let reset = answer(&mut raw.victim, &[first, 1, 2, 3, 4, 5, 6, 7], 100);
        assert_eq!(reset.is_some(), first == 3, "an id of worker {first}");
    }
}

// MUST 9000-11-1
#[test]
fn while_there_is_state_there_is_no_reset() {
    let mut raw = Raw::server();
    raw.packets();
    let packets = raw.packets();
    assert!(packets.is_empty());
    let now = raw.now;
    let stray = |raw: &mut Raw| {
        let mut bad = vec![0x41; 100];
        bad[1..9].copy_from_slice(&raw.dcid);
        raw.deliver(bad);
    };
    stray(&mut raw);
    assert!(raw.datagrams.is_empty());
    // closing: every answer is a packet of the connection
    raw.victim().close(now, 1, b"");
    raw.collect();
    for _ in 0..10 {
        stray(&mut raw);
    }
    let count = raw.datagrams.len();
    assert!(count > 1);
    assert_eq!(raw.packets().len(), count, "all of them open");
    // draining
    let mut raw = Raw::server();
    raw.frames(&[Frame::Close(Close { code: 0, frame_type: None, reason: b"" })]);
    raw.packets();
    stray(&mut raw);
    assert!(raw.datagrams.is_empty());
    raw.pass(Duration::from_secs(10));
    assert!(raw.victim.connections.is_empty());
    stray(&mut raw);
    assert_eq!(raw.datagrams.len(), 1, "afterwards there is nothing else to say");
}

// MUST 9000-11.1-1, 9000-10.3-1
#[test]
fn violations_are_told_in_every_stage_of_a_connection() {
    let stages: [(Level, fn() -> Raw); 5] = [
        (Level::Initial, || Raw::half_open_client(TransportConfig::default())),
        (Level::Initial, || Raw::half_open_server(TransportConfig::default(), params())),
        (Level::Handshake, || Raw::half_open_server(TransportConfig::default(), params())),
        (Level::OneRtt, Raw::server),
        (Level::OneRtt, Raw::client),
    ];
    for (level, stage) in stages {
        let mut raw = stage();
        raw.packets();
        raw.send(level, &[0x21]);
        assert_eq!(raw.close_sent().map(|(code, ..)| code), Some(Code::FRAME_ENCODING_ERROR.0), "{level:?}");
    }
}

// MUST 9000-11.2-1
#[test]
fn streams_are_reset_by_applications_alone() {
    let resets = |raw: &mut Raw| {
        let packets = raw.packets();
        let frames = packets.iter().flat_map(Packet::frames);
        frames.filter(|f| matches!(f, Frame::ResetStream(_) | Frame::ResetStreamAt(_))).count()
    };
    let mut raw = Raw::server();
    let ids = [Dir::Bi, Dir::Uni, Dir::Bi].map(|dir| {
        let id = raw.victim().open(dir).expect("allowed");
        raw.victim().write_slice(id, &[1; 100]).expect("room");
        id
    });
    // neither loss nor what the peer does makes the transport reset one
    raw.pass(Duration::from_secs(3));
    raw.frames(&[Frame::DataBlocked(0), Frame::StreamDataBlocked(ids[0], 100), new_cid(1, 1)]);
    raw.pass(Duration::from_secs(3));
    assert_eq!(resets(&mut raw), 0);
    // but the application, and the answer to its peer's request
    raw.victim().reset(ids[0], 7).expect("open");
    raw.frames(&[Frame::StopSending(StopSending { id: ids[1], code: 8 })]);
    assert_eq!(resets(&mut raw), 2);
    // nor does the end of the connection
    raw.frames(&[Frame::RetireConnectionId(RetireConnectionId { path: None, seq: 99 })]);
    assert_eq!(resets(&mut raw), 0);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::PROTOCOL_VIOLATION));
}
