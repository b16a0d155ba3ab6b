//! Stateless resets (RFC 9000 §10.3): how a peer that lost its state says so, and how little an answer costs.

mod pair;

use std::sync::Arc;

use pair::raw::{Raw, Tweak, bytes};
use pair::{End, Pair, SERVER};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::{Ecn, Frame, Side};
use tq_quic::{ConnectionError, EndpointConfig, RecvMeta, Route, TransportConfig};

fn keyed() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.reset_key = Some([7; 32]);
    config
}

fn pair_with_key() -> Pair {
    let transport = TransportConfig::default;
    Pair::with(transport(), transport(), EndpointConfig::default(), keyed())
}

/// The server process starts again: nothing is left but its keys.
fn restart(pair: &mut Pair, config: EndpointConfig) {
    pair.server = End::new(SERVER, config);
    pair.server.endpoint.set_server(Some(Arc::clone(&pair.server_config)));
}

// MUST 9000-10.3.1-4
#[test]
fn a_client_learns_that_its_server_lost_the_connection() {
    let mut pair = pair_with_key();
    let (client, _) = pair.connected();
    pair.pass(Duration::from_secs(1));
    restart(&mut pair, keyed());
    pair.client(client).send_datagram(vec![1; 100].into()).expect("room");
    pair.pass(Duration::from_millis(25));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::Reset));
    pair.pass(Duration::from_secs(3));
    assert!(pair.client.connections.is_empty());
    assert_eq!(pair.datagrams[1] - pair.server.endpoint.counters().datagrams_sent, pair.datagrams[1]);
}

#[test]
fn a_reset_works_right_after_the_handshake_too() {
    let mut pair = pair_with_key();
    let (client, _) = pair.connected();
    restart(&mut pair, keyed());
    pair.client(client).send_datagram(vec![1; 100].into()).expect("room");
    pair.pass(Duration::from_millis(25));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::Reset));
}

// MUST 9000-10.3.2-1
#[test]
fn a_reset_by_another_key_means_nothing() {
    let mut pair = pair_with_key();
    let (client, _) = pair.connected();
    restart(&mut pair, EndpointConfig::default());
    pair.client(client).send_datagram(vec![1; 100].into()).expect("room");
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.client.closed(client), None);
    assert!(pair.datagrams[1] > 0);
}

#[test]
fn a_server_ends_when_its_client_resets_by_an_id_of_new_connection_id() {
    // clients give no token in the handshake, but they do with the ids they issue later
    let mut raw = Raw::server();
    let token = tq_quic::wire::ResetToken([5; 16]);
    raw.frames(&[Frame::NewConnectionId(tq_quic::wire::frame::NewConnectionId {
        path: None,
        seq: 1,
        retire_prior_to: 1,
        cid: tq_quic::wire::Cid::new(b"second!!").expect("short"),
        token,
    })]);
    let mut reset = vec![0x55; 40];
    reset[24..].copy_from_slice(&token.0);
    raw.deliver(reset);
    assert_eq!(raw.victim.closed(raw.handle), Some(&ConnectionError::Reset));
}

fn meta(from: &str) -> RecvMeta {
    let remote = from.parse().expect("an address");
    RecvMeta { remote, local_ip: None, socket: 0, ecn: Ecn::NotEct }
}

fn server_end() -> End {
    let pair = pair_with_key();
    pair.server
}

fn stray(len: usize, n: u64) -> Vec<u8> {
    let mut bytes = vec![0x41; len];
    let at = len.min(9);
    bytes[1..at].copy_from_slice(&n.to_be_bytes()[..at - 1]);
    bytes
}

// MUST 9000-10.3-2, 9000-10.3-4, 9000-10.3.3-1
#[test]
fn resets_are_shorter_than_what_caused_them_and_nothing_small_causes_one() {
    let mut server = server_end();
    let now = Instant::from_nanos(1);
    for len in 1..1500usize {
        let mut reply = Vec::new();
        let mut datagram = stray(len, len as u64);
        match server.endpoint.receive(
            now + Duration::from_secs(len as u64),
            &meta("192.0.2.9:9"),
            &mut datagram,
            &mut reply,
        ) {
            Route::Reply(transmit) => {
                assert!(len >= 43, "{len} bytes were answered");
                assert_eq!(transmit.len, reply.len());
                assert!((21..len).contains(&reply.len()), "{} for {len}", reply.len());
                assert_eq!(reply[0] & 0xc0, 0x40, "looks like a short header");
            }
            Route::Drop(_) => assert!(len < 43, "{len} bytes were not answered"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn resets_are_rate_limited() {
    let mut server = server_end();
    let now = Instant::from_nanos(1);
    let mut answered = 0;
    for n in 0..5000u64 {
        let mut reply = Vec::new();
        let mut datagram = stray(100, n);
        let at = now + Duration::from_micros(n * 100);
        let route = server.endpoint.receive(at, &meta("192.0.2.9:9"), &mut datagram, &mut reply);
        answered += u32::from(matches!(route, Route::Reply(_)));
    }
    assert!(answered <= 1000, "{answered} in half a second");
    assert_eq!(server.endpoint.counters().dropped(DropReason::UnknownConnection), 5000 - u64::from(answered));
}

#[test]
fn two_endpoints_do_not_reset_each_other_for_ever() {
    let (mut one, mut other) = (server_end(), server_end());
    let now = Instant::from_nanos(1);
    for len in [43, 44, 100, 1452] {
        let mut datagram = stray(len, 1);
        let mut rounds = 0;
        loop {
            let mut reply = Vec::new();
            let end = if rounds % 2 == 0 { &mut one } else { &mut other };
            match end.endpoint.receive(now, &meta("192.0.2.9:9"), &mut datagram, &mut reply) {
                Route::Reply(_) => datagram = reply,
                _ => break,
            }
            rounds += 1;
        }
        assert!(rounds <= 1, "{rounds} resets for {len} bytes");
    }
}

// MUST 9000-11-1
#[test]
fn an_id_in_use_is_never_answered_with_a_reset() {
    let mut raw = Raw::server();
    raw.datagrams.clear();
    // garbage for a live id, from anywhere
    for n in 0..200u8 {
        let mut bad = vec![n; 100];
        bad[0] = 0x40 | n & 0x3f;
        bad[1..9].copy_from_slice(&raw.dcid);
        raw.deliver_from("203.0.113.5:5".parse().expect("an address"), bad);
    }
    assert!(raw.datagrams.is_empty());
    assert!(raw.victim.closed(raw.handle).is_none());
}

#[test]
fn a_connection_that_is_over_answers_by_reset_once_its_state_is_gone() {
    let mut raw = Raw::server();
    let now = raw.now;
    raw.victim().close(now, 1, b"done");
    raw.pass(Duration::from_secs(10));
    assert_eq!(raw.victim.endpoint.connections(), 0);
    raw.datagrams.clear();
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping, Frame::Padding(50)]), Tweak::default());
    raw.deliver(packet);
    assert_eq!(raw.datagrams.len(), 1);
    assert!(raw.packets().is_empty(), "it does not open");
}

#[test]
fn an_endpoint_that_only_connects_answers_nobody() {
    let mut pair = Pair::default();
    let mut reply = Vec::new();
    let route = pair.client.endpoint.receive(pair.now, &meta(SERVER), &mut stray(500, 3), &mut reply);
    assert!(matches!(route, Route::Drop(DropReason::UnknownConnection)));
}

#[test]
fn a_packet_that_ends_in_the_token_but_opens_is_no_reset() {
    // the token is only looked for in packets that do not open
    let mut pair = pair_with_key();
    let mut flow = pair::flow::Flow::connect(&mut pair, Side::Client, 1 << 20);
    flow.run(&mut pair, Duration::from_secs(10));
}
