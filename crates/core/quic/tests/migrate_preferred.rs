//! A server's preferred address (RFC 9000 §9.6): both ends validate, the old address serves until then, and no server
//! makes a client flood anybody.

mod pair;

use std::cell::RefCell;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Raw, Tweak, bytes, hello, params};
use pair::{CLIENT, Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::params::PreferredAddress;
use tq_quic::wire::{Cid, Code, Frame, ResetToken, Side, TransportParameters};
use tq_quic::{ConnectionError, EndpointConfig, Event, Local, TransportConfig};

const PREFERRED: &str = "192.0.2.3:4433";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn v4(text: &str) -> Option<SocketAddrV4> {
    Some(text.parse().expect("an address"))
}

fn prefers(text: &str) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.preferred_v4 = v4(text);
    config
}

fn pair() -> Pair {
    let mut pair = Pair::new(TransportConfig::default(), prefers(PREFERRED));
    pair.server.others.push(address(PREFERRED));
    pair
}

fn moved() -> Event {
    Event::Moved { remote: address(PREFERRED), socket: 0 }
}

// MUST 9000-9.5-2, 9000-9.6.2-1, 9000-9.6.2-3, 9000-9.6.3-1
#[test]
fn a_client_moves_to_the_preferred_address_with_a_new_id() {
    for from in [Side::Client, Side::Server] {
        let mut pair = pair();
        let ways = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&ways);
        pair.link = Box::new(move |flying| {
            if flying.bytes[0] & 0x80 == 0 {
                let way = (flying.from, flying.to, flying.bytes[1..9].to_vec(), flying.bytes.len());
                seen.borrow_mut().push(way);
            }
            true
        });
        let mut flow = Flow::connect(&mut pair, from, 2 << 20);
        flow.run(&mut pair, Duration::from_secs(10));
        pair.pass(Duration::from_millis(200));
        assert!(pair.client.has(flow.client, &moved()));
        let (at_client, at_server) =
            (pair.client(flow.client).stats().paths[0], pair.server(flow.server).stats().paths[0]);
        assert!(at_client.remote == address(PREFERRED) && at_client.validated && at_server.validated);
        let ways = ways.borrow();
        let of = |at: &str| {
            let at = address(at);
            ways.iter().filter(move |way| way.0 == at || way.1 == at)
        };
        assert!(of(SERVER).all(|old| of(PREFERRED).all(|new| old.2 != new.2)), "an id is seen on both ways");
        // the first datagrams both ways are challenges, full size
        let first = |from: &str, to: &str| {
            ways.iter().find(|way| way.0 == address(from) && way.1 == address(to)).expect("one went").3
        };
        assert_eq!(first(CLIENT, PREFERRED), 1200);
        assert_eq!(first(PREFERRED, CLIENT), 1200);
        // in the end all goes there
        assert!(ways[ways.len() - 20..].iter().all(|way| way.0 != address(SERVER)));
    }
}

#[test]
fn a_server_stays_until_its_own_challenge_is_answered() {
    let mut pair = pair();
    let counts = Rc::new(RefCell::new([0u64; 2]));
    let seen = Rc::clone(&counts);
    // the server's challenges are lost for a while, its answers come late
    let mut left = 3;
    pair.link = Box::new(move |flying| {
        if flying.from == address(PREFERRED) && flying.to == address(CLIENT) {
            seen.borrow_mut()[1] += flying.bytes.len() as u64;
            left -= i32::from(left > 0);
            return left == 0;
        }
        if flying.to == address(PREFERRED) {
            seen.borrow_mut()[0] += flying.bytes.len() as u64;
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Server, 4 << 20);
    flow.run(&mut pair, Duration::from_secs(10));
    let [brought, _] = *counts.borrow();
    assert!(brought > 0);
    pair.pass(Duration::from_secs(2));
    assert!(pair.client.has(flow.client, &moved()));
}

// MUST 9000-9.6.1-1
#[test]
fn a_preferred_address_that_does_not_answer_is_forgotten() {
    let mut pair = pair();
    pair.link = Box::new(|flying| flying.to != address(PREFERRED));
    let mut flow = Flow::connect(&mut pair, Side::Server, 20 << 20);
    flow.run(&mut pair, Duration::from_secs(20));
    pair.pass(Duration::from_secs(4));
    assert!(pair.client.has(flow.client, &Event::MoveFailed));
    assert_eq!(pair.client(flow.client).remote(), address(SERVER));
    assert_eq!(pair.client(flow.client).stats().counters.congestion_events, 0);
    let (client, server) = (flow.client, flow.server);
    Flow::over(&mut pair, (client, server), Side::Client, 1 << 20).run(&mut pair, Duration::from_secs(5));
}

#[test]
fn the_option_off_stays() {
    let mut stays = TransportConfig::default();
    stays.follow_preferred = false;
    let mut pair = Pair::new(stays, prefers(PREFERRED));
    pair.server.others.push(address(PREFERRED));
    pair.link = Box::new(|flying| {
        assert_ne!(flying.to, address(PREFERRED));
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 2 << 20);
    flow.run(&mut pair, Duration::from_secs(10));
    let now = pair.now;
    // its id is as good as any other
    pair.client.others.push(address("198.51.100.7:4100"));
    pair.client(flow.client).migrate(now, Local { socket: 1, ip: None }, false).expect("it may");
    pair.pass(Duration::from_secs(1));
    assert!(pair.client.has(flow.client, &Event::Moved { remote: address(SERVER), socket: 1 }));
}

#[test]
fn packets_to_the_old_address_are_taken_after_the_move() {
    let mut pair = pair();
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(1));
    assert!(pair.client.has(client, &moved()));
    pair.client(client).ping();
    pair.pass(Duration::from_millis(100));
    // a late one, as if by a detour
    pair.link = Box::new(|flying| {
        if flying.to == address(PREFERRED) {
            flying.to = address(SERVER);
        }
        true
    });
    let before = pair.server(server).stats().counters.packets_received;
    pair.client(client).send_datagram(vec![7; 50].into()).expect("room");
    pair.pass(Duration::from_millis(15));
    assert!(pair.server(server).stats().counters.packets_received > before);
    assert!(pair.server(server).read_datagram().is_some());
}

// MUST 9000-9.6.3-2
#[test]
fn a_client_that_changes_its_own_address_while_it_moves_is_followed() {
    let mut pair = pair();
    let mut flow = Flow::connect(&mut pair, Side::Server, 10 << 20);
    pair.link = Box::new(|flying| {
        if flying.from == address(CLIENT) {
            flying.from = address("203.0.113.9:1");
        }
        if flying.to == address("203.0.113.9:1") {
            flying.to = address(CLIENT);
            return true;
        }
        flying.to != address(CLIENT)
    });
    flow.run(&mut pair, Duration::from_secs(20));
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.server(flow.server).remote(), address("203.0.113.9:1"));
    assert!(pair.server(flow.server).stats().paths[0].validated);
}

#[test]
fn a_client_moves_on_from_a_preferred_address_even_where_migration_is_disabled() {
    let mut server = prefers(PREFERRED);
    server.allow_migration = false;
    let mut pair = Pair::new(TransportConfig::default(), server);
    pair.server.others.push(address(PREFERRED));
    pair.client.others.push(address("198.51.100.7:4100"));
    let (client, _) = pair.connected();
    pair.pass(Duration::from_secs(1));
    let now = pair.now;
    pair.client(client).migrate(now, Local { socket: 1, ip: None }, false).expect("RFC 9000 §18.2");
    pair.pass(Duration::from_secs(1));
    assert!(pair.client.has(client, &Event::Moved { remote: address(PREFERRED), socket: 1 }));
}

fn preferring(text: &str) -> TransportParameters {
    let cid = Cid::new(b"prefers!").expect("short");
    let preferred = PreferredAddress { v4: v4(text), v6: None, cid, token: ResetToken([9; 16]) };
    TransportParameters { preferred_address: Some(preferred), ..params() }
}

/// Bytes a client sends to a preferred address that never answers.
fn spent_on(text: &str) -> u64 {
    let mut raw = Raw::client_with(TransportConfig::default(), preferring(text));
    raw.pass(Duration::from_secs(20));
    assert!(raw.victim.closed(raw.handle).is_none());
    let to = address(text);
    raw.victim.sent_to.iter().filter(|(at, _)| *at == to).map(|(_, bytes)| bytes).sum()
}

// MUST 9000-21.5.3-1
#[test]
fn a_spoofed_preferred_address_gets_ten_challenges_and_no_more() {
    let bytes = spent_on("203.0.113.77:53");
    assert!((1200..=12_000).contains(&bytes), "{bytes}");
}

#[test]
fn addresses_a_server_could_not_send_to_itself_get_nothing() {
    for text in [
        "127.0.0.1:80",
        "10.0.0.1:80",
        "169.254.169.254:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "198.51.100.1:0",
    ] {
        assert_eq!(spent_on(text), 0, "{text}");
    }
}

#[test]
fn a_preferred_address_from_a_client_is_an_error() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    let hello = pair::raw::crypto(0, &hello(raw.scid, preferring(PREFERRED)));
    raw.send(Level::Initial, &hello);
    raw.handle = *raw.victim.accepted.back().expect("a server accepts, then reads");
    assert_eq!(raw.violation().expect("closed").code, Code::TRANSPORT_PARAMETER_ERROR);
}

#[test]
fn a_preferred_address_of_a_server_with_empty_ids_is_an_error() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.scid = Cid::EMPTY;
    raw.answer(preferring(PREFERRED));
    assert_eq!(raw.violation().expect("closed").code, Code::TRANSPORT_PARAMETER_ERROR);
}

#[test]
fn an_id_that_contradicts_the_preferred_ones_is_a_violation() {
    let mut raw = Raw::client_with(TransportConfig::default(), preferring("203.0.113.77:53"));
    raw.frames(&[Frame::NewConnectionId(tq_quic::wire::frame::NewConnectionId {
        path: None,
        seq: 1,
        retire_prior_to: 0,
        cid: Cid::new(b"another!").expect("short"),
        token: ResetToken([1; 16]),
    })]);
    assert_eq!(raw.violation().expect("closed").code, Code::PROTOCOL_VIOLATION);
}

#[test]
fn a_reset_by_the_token_of_the_preferred_id_is_believed() {
    let mut raw = Raw::client_with(TransportConfig::default(), preferring("203.0.113.77:53"));
    let mut reset = vec![0x55; 40];
    let own = raw.dcid;
    reset[1..=own.len()].copy_from_slice(&own);
    reset[24..].copy_from_slice(&[9; 16]);
    raw.deliver(reset);
    assert_eq!(raw.victim.closed(raw.handle), Some(&ConnectionError::Reset));
}

// MUST 9000-9-4, 9000-9.3-2
#[test]
fn the_first_packet_to_another_address_carries_a_challenge() {
    for probing in [true, false] {
        let mut raw = Raw::server();
        raw.frames(&[Frame::NewConnectionId(tq_quic::wire::frame::NewConnectionId {
            path: None,
            seq: 1,
            retire_prior_to: 0,
            cid: Cid::new(b"another!").expect("short"),
            token: ResetToken([1; 16]),
        })]);
        raw.pass(Duration::from_secs(1));
        raw.packets();
        let first = if probing { Frame::PathChallenge([7; 8]) } else { Frame::Ping };
        let packet = raw.packet(Level::OneRtt, &bytes(&[first, Frame::Padding(1150)]), Tweak::default());
        raw.deliver_from(address("203.0.113.5:99"), packet);
        let packets = raw.packets();
        let answer = packets.first().expect("an answer");
        assert_eq!(answer.datagram, 1200);
        assert!(answer.frames().iter().any(|frame| matches!(frame, Frame::PathChallenge(_))));
        assert_eq!(answer.frames().contains(&Frame::PathResponse([7; 8])), probing);
        assert_eq!(raw.victim().remote() == address(CLIENT), probing, "a probe moves nothing");
    }
}

#[test]
fn without_a_spare_id_a_probe_is_not_answered() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.packets();
    let probe = [Frame::PathChallenge([7; 8]), Frame::Padding(1150)];
    let packet = raw.packet(Level::OneRtt, &bytes(&probe), Tweak::default());
    raw.deliver_from(address("203.0.113.5:99"), packet);
    let answered = |packet: &pair::raw::Packet| packet.frames().contains(&Frame::PathResponse([7; 8]));
    assert!(!raw.packets().iter().any(answered), "an id would be seen on two ways");
}

#[test]
fn probes_from_many_addresses_are_answered_within_bounds() {
    let mut raw = Raw::server();
    let before = raw.victim.endpoint.connections();
    for n in 0..200u8 {
        // an id for each, and what was retired is acknowledged
        let seq = u64::from(n) + 1;
        raw.frames(&[Frame::NewConnectionId(tq_quic::wire::frame::NewConnectionId {
            path: None,
            seq,
            retire_prior_to: 0,
            cid: Cid::new(&seq.to_be_bytes()).expect("short"),
            token: ResetToken([n; 16]),
        })]);
        raw.pass(Duration::from_millis(20));
        for packet in raw.packets() {
            let ack = Raw::ack_one(packet.pn);
            raw.send(Level::OneRtt, &ack);
        }
        let from = address(&format!("203.0.113.{n}:53"));
        let probe = [Frame::PathChallenge([n; 8]), Frame::Padding(1150)];
        let packet = raw.packet(Level::OneRtt, &bytes(&probe), Tweak::default());
        raw.deliver_from(from, packet);
    }
    raw.pass(Duration::from_secs(10));
    assert!(raw.victim.closed(raw.handle).is_none(), "{:?}", raw.violation());
    assert_eq!(raw.victim.endpoint.connections(), before);
    let mut by_address = std::collections::BTreeMap::<SocketAddr, u64>::new();
    for (to, bytes) in &raw.victim.sent_to {
        *by_address.entry(*to).or_default() += bytes;
    }
    for (to, bytes) in by_address.iter().filter(|(to, _)| **to != address(CLIENT)) {
        assert!(*bytes <= 3 * 1200, "{bytes} to {to}");
    }
    assert_eq!(raw.victim().remote(), address(CLIENT));
}
