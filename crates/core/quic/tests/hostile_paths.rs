//! Addresses that lie: amplification on every path whatever a client does, spoofed copies of packets, and what is left of
//! the window after them.

mod pair;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Raw, Tweak, bytes, crypto, params};
use pair::{CLIENT, Pair, SERVER};
use proptest::prelude::*;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::Header;
use tq_quic::wire::{Dir, Frame, Side};
use tq_quic::{EndpointConfig, TransportConfig};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// One thing a client does to a server that has not validated it.
#[derive(Clone, Debug)]
enum Act {
    /// The ClientHello, a part of it or all again.
    Hello { from: usize, len: usize },
    /// An Initial with PING and padding.
    Ping,
    /// An acknowledgement of a server's Initial or Handshake packet.
    Ack { handshake: bool, pn: u64 },
    /// Bytes that open with no key, in a packet for the connection.
    Garbage { len: usize },
    /// An Initial and a bent Handshake packet in one datagram.
    Coalesced { len: usize },
    /// From somewhere else.
    Elsewhere { port: u16 },
    /// A violation: the server closes.
    Wrong,
    /// Nothing for a while.
    Wait { ms: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..200_usize, 1..400_usize).prop_map(|(from, len)| Act::Hello { from, len }),
        2 => Just(Act::Hello { from: 0, len: 4000 }),
        2 => Just(Act::Ping),
        2 => (any::<bool>(), 0..12_u64).prop_map(|(handshake, pn)| Act::Ack { handshake, pn }),
        2 => (30..1400_usize).prop_map(|len| Act::Garbage { len }),
        2 => (30..200_usize).prop_map(|len| Act::Coalesced { len }),
        1 => (1..4_u16).prop_map(|port| Act::Elsewhere { port }),
        1 => Just(Act::Wrong),
        4 => (1..4000_u64).prop_map(|ms| Act::Wait { ms }),
    ]
}

fn perform(raw: &mut Raw, hello: &[u8], act: &Act) {
    match *act {
        Act::Hello { from, len } => {
            let from = from.min(hello.len());
            let part = crypto(from as u64, &hello[from..(from + len).min(hello.len())]);
            raw.send(Level::Initial, &part);
        }
        Act::Ping => raw.send(Level::Initial, &[1]),
        Act::Ack { handshake: true, pn } => raw.send(Level::Handshake, &Raw::ack_one(pn)),
        Act::Ack { handshake: false, pn } => raw.send(Level::Initial, &Raw::ack_one(pn)),
        Act::Garbage { len } => {
            let mut packet = raw.packet(Level::Handshake, &vec![1; len], Tweak::default());
            *packet.last_mut().expect("a tag") ^= 1;
            raw.deliver(packet);
        }
        Act::Coalesced { len } => {
            let mut datagram = raw.packet(Level::Initial, &[1], Tweak::default());
            let mut packet = raw.packet(Level::Handshake, &vec![1; len], Tweak::default());
            *packet.last_mut().expect("a tag") ^= 1;
            datagram.extend(packet);
            raw.deliver(datagram);
        }
        Act::Elsewhere { port } => {
            let packet = raw.packet(Level::Initial, &[1], Tweak::default());
            // what comes from there buys nothing here, and nothing is sent there
            let (received, len) = (raw.received, packet.len() as u64);
            raw.deliver_from(SocketAddr::new([203, 0, 113, 1].into(), port), packet);
            assert_eq!(raw.received, received + len);
            raw.received = received;
        }
        Act::Wrong => raw.send(Level::Initial, &[0x1e]),
        Act::Wait { ms } => raw.pass(Duration::from_millis(ms)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn an_unproven_address_never_gets_more_than_three_times_its_bytes(
        chain in 0..20_000_usize,
        acts in proptest::collection::vec(act(), 1..30),
    ) {
        let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), chain);
        let hello = pair::raw::hello(raw.scid, params());
        perform(&mut raw, &hello, &Act::Hello { from: 0, len: 40 });
        for act in &acts {
            // a Handshake packet that opens proves the address and ends the rule
            let proves = matches!(act, Act::Ack { handshake: true, .. }) && raw.sent > 0;
            if proves {
                break;
            }
            perform(&mut raw, &hello, act);
            prop_assert!(raw.sent <= 3 * raw.received, "{} for {} after {act:?}", raw.sent, raw.received);
        }
        raw.pass(Duration::from_secs(60));
        prop_assert!(raw.sent <= 3 * raw.received);
        prop_assert_eq!(raw.victim.endpoint.half_open(), 0);
    }

    #[test]
    fn no_address_a_client_claims_gets_more_than_three_times_what_came_from_it(
        acts in proptest::collection::vec((0..4_u16, 0..6_u8, 0..1200_usize, 0..700_u64), 1..40),
    ) {
        // an established client names other addresses again and again, with data waiting to be sent
        let mut raw = Raw::server();
        let id = raw.victim().open(Dir::Uni).expect("allowed");
        let _ = raw.victim().write_slice(id, &[7; 400_000]);
        let proven = raw.me;
        let (mut brought, mut got) = (BTreeMap::new(), BTreeMap::new());
        raw.datagrams.clear();
        for (port, what, padding, ms) in acts {
            let from = if port == 0 { proven } else { SocketAddr::new([203, 0, 113, 1].into(), port) };
            let payload = match what {
                0 => bytes(&[Frame::PathChallenge([9; 8])]),
                1 => bytes(&[Frame::PathChallenge([9; 8]), Frame::Padding(padding.max(1))]),
                2 => bytes(&[Frame::Ping, Frame::Padding(padding.max(1))]),
                3 => bytes(&[Frame::MaxData(1 << 40)]),
                _ => bytes(&[Frame::Ping]),
            };
            let packet = raw.packet(Level::OneRtt, &payload, Tweak::default());
            *brought.entry(from).or_insert(0u64) += packet.len() as u64;
            raw.deliver_from(from, packet);
            raw.pass(Duration::from_millis(ms));
            for (to, len) in raw.victim.sent_to.drain(..) {
                *got.entry(to).or_insert(0u64) += len;
            }
            for (to, got) in got.iter().filter(|(to, _)| **to != proven) {
                let brought = brought.get(to).copied().unwrap_or(0);
                prop_assert!(*got <= 3 * brought, "{got} bytes to {to} for {brought}");
            }
        }
    }
}

/// Copies of `times` packets of the client in a row reach the server first, from `from`; nobody answers there.
fn spoof(pair: &mut Pair, from: &'static str, times: usize) -> Rc<RefCell<usize>> {
    let seen = Rc::new(RefCell::new(0));
    let count = Rc::clone(&seen);
    let mut left = times;
    pair.link = Box::new(move |flying| {
        if flying.to == address(from) {
            return false;
        }
        if flying.to == address(SERVER) && left > 0 && flying.bytes[0] & 0x80 == 0 {
            left -= 1;
            *count.borrow_mut() += 1;
            // the copy overtakes: the original comes too late and is dropped as a duplicate
            flying.from = address(from);
        }
        true
    });
    seen
}

#[test]
fn a_forged_address_costs_neither_the_window_nor_the_round_trip() {
    for times in [1, 3] {
        for from in [Side::Server, Side::Client] {
            let mut pair = Pair::default();
            let mut flow = Flow::connect(&mut pair, from, 40 << 20);
            flow.run_for(&mut pair, Duration::from_millis(200));
            let server = flow.server;
            let before = pair.server(server).stats().paths[0];
            let spoofed = spoof(&mut pair, "203.0.113.99:53", times);
            pair.drive_for(Duration::from_secs(4), |pair| {
                flow.work(pair);
                *spoofed.borrow() == times
                    && pair.server.connections[&server].remote() == address(CLIENT)
                    && pair.server.connections[&server].stats().paths[0].validated
            });
            let after = pair.server(server).stats().paths[0];
            assert_eq!(after.remote, address(CLIENT), "back");
            assert!(after.cwnd >= before.cwnd, "{} to {} from {from:?}", before.cwnd, after.cwnd);
            assert!(after.srtt < Duration::from_millis(100), "{:?}", after.srtt);
            // what went astray is no congestion
            flow.run_for(&mut pair, Duration::from_millis(100));
            let later = pair.server(server).stats().paths[0];
            assert!(later.cwnd >= before.cwnd, "{} to {} from {from:?}", before.cwnd, later.cwnd);
            flow.run(&mut pair, Duration::from_secs(30));
        }
    }
}

#[test]
fn a_forger_who_changes_the_port_first_gains_nothing() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Server, 20 << 20);
    flow.run_for(&mut pair, Duration::from_millis(200));
    let server = flow.server;
    let before = pair.server(server).stats().paths[0].cwnd;
    let forged = [address("192.0.2.1:4999"), address("203.0.113.99:53"), address("203.0.113.98:53")];
    let mut turn = 0;
    pair.link = Box::new(move |flying| {
        if forged.contains(&flying.to) {
            return false;
        }
        if flying.to == address(SERVER) && turn < 3 {
            flying.from = forged[turn];
            turn += 1;
        }
        true
    });
    flow.run_for(&mut pair, Duration::from_secs(4));
    let path = pair.server(server).stats().paths[0];
    assert_eq!(path.remote, address(CLIENT));
    assert!(path.cwnd >= before, "{before} to {}", path.cwnd);
}

// MUST 9000-9.4-2
#[test]
fn an_address_that_answers_begins_with_a_fresh_window() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Server, 20 << 20);
    flow.run_for(&mut pair, Duration::from_millis(200));
    let server = flow.server;
    let before = pair.server(server).stats().paths[0].cwnd;
    pair.link = Box::new(|flying| {
        let moved = address("198.51.100.7:9");
        if flying.from == address(CLIENT) {
            flying.from = moved;
        } else if flying.to == moved {
            flying.to = address(CLIENT);
        }
        true
    });
    pair.drive_for(Duration::from_secs(2), |pair| {
        flow.work(pair);
        let path = pair.server.connections[&server].stats().paths[0];
        path.remote != address(CLIENT) && path.validated
    });
    let after = pair.server(server).stats().paths[0].cwnd;
    assert!(after < before, "{before} to {after}: the old window says nothing of the new way");
}

#[test]
fn a_forger_of_every_packet_slows_a_transfer_and_does_not_stop_it() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Server, 1 << 20);
    flow.run_for(&mut pair, Duration::from_millis(30));
    // each packet of the client arrives a moment earlier from somewhere else
    let from = address("203.0.113.99:53");
    let copies: Rc<RefCell<u64>> = Rc::default();
    let count = Rc::clone(&copies);
    let mut turn = 0u64;
    pair.link = Box::new(move |flying| {
        if flying.to == from {
            return false;
        }
        if flying.to == address(SERVER) {
            turn += 1;
            if turn.is_multiple_of(2) {
                *count.borrow_mut() += 1;
                flying.from = from;
            }
        }
        true
    });
    let took = flow.run(&mut pair, Duration::from_secs(120));
    assert!(*copies.borrow() > 10, "{took} s with {} forged", copies.borrow());
}

#[test]
fn the_size_a_peer_takes_holds_at_every_address() {
    let mut config = TransportConfig::default();
    config.max_mtu = 1452;
    let params = tq_quic::wire::TransportParameters { max_udp_payload_size: 1200, ..params() };
    let mut raw = Raw::server_with(config, params);
    raw.pass(Duration::from_secs(1));
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping, Frame::Padding(1100)]), Tweak::default());
    raw.datagrams.clear();
    let elsewhere = address("203.0.113.99:53");
    raw.me = elsewhere;
    raw.deliver(packet);
    for _ in 0..200 {
        for packet in raw.packets() {
            assert!(packet.datagram <= 1200, "{} bytes", packet.datagram);
            let answers: Vec<_> = packet
                .frames()
                .iter()
                .filter_map(|frame| match frame {
                    Frame::PathChallenge(data) => Some(Frame::PathResponse(*data)),
                    _ => None,
                })
                .collect();
            let mut payload = Raw::ack_one(packet.pn);
            payload.extend(bytes(&answers));
            raw.send(Level::OneRtt, &payload);
        }
        raw.frames(&[Frame::Ping]);
        raw.pass(Duration::from_millis(20));
    }
    assert_eq!(raw.victim().remote(), elsewhere);
    assert!(raw.datagrams.iter().all(|datagram| datagram.len() <= 1200));
    assert!(raw.datagrams.iter().all(|datagram| Header::parse(datagram, 8).is_ok()));
}
