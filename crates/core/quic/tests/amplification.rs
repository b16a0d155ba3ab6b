//! What an unproven address may cost (RFC 9000 §8.1): three bytes for each of its own, and a handshake that does not
//! get stuck on that.

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use pair::plain::Plain;
use pair::raw::{Raw, Tweak, crypto, params};
use pair::{CLIENT, Flying, Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::Frame;
use tq_quic::wire::header::{Header, LongKind};
use tq_quic::{EndpointConfig, Event, ServerConfig, TransportConfig};

fn server_address() -> SocketAddr {
    SERVER.parse().expect("an address")
}

/// Ends that talk with a chain of `chain` bytes.
fn with_chain(chain: usize) -> Pair {
    let mut pair = Pair { tls: Arc::new(Plain::default()), ..Pair::default() };
    let transport = Arc::new(TransportConfig::default());
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig {
        tls: Arc::new(Plain { chain, ..Plain::default() }),
        transport,
    })));
    pair
}

/// Whether a Handshake packet is in the datagram.
fn has_handshake(mut rest: &[u8]) -> bool {
    while let Ok(Header::Long { kind, end, .. }) = Header::parse(rest, 8) {
        if kind == LongKind::Handshake {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

/// Counts what each side has put on the link until the client's first Handshake packet; asserts the rule all along.
fn watch(pair: &mut Pair, mut drop: impl FnMut(&Flying, usize) -> bool + 'static) -> Rc<RefCell<(u64, u64)>> {
    let totals = Rc::new(RefCell::new((0u64, 0u64)));
    let seen = Rc::clone(&totals);
    let mut n = 0;
    pair.link = Box::new(move |flying| {
        n += 1;
        let lost = drop(flying, n);
        let mut totals = seen.borrow_mut();
        if flying.to == server_address() {
            // the server's rule ends with the first packet that proves the address
            let proves = has_handshake(&flying.bytes);
            if !lost {
                totals.0 += if proves { 1 << 40 } else { flying.bytes.len() as u64 };
            }
        } else {
            totals.1 += flying.bytes.len() as u64;
            assert!(totals.1 <= 3 * totals.0, "{totals:?}");
        }
        !lost
    });
    totals
}

// MUST 9000-8-1, 9000-8.1-1, 9000-14.1-4
#[test]
fn a_client_that_falls_silent_gets_three_times_what_it_sent_and_no_more() {
    for chain in [0, 1000, 3000, 30_000] {
        let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), chain);
        raw.hello(params());
        raw.pass(Duration::from_secs(29));
        assert_eq!(raw.received, 1200);
        assert!(raw.sent <= 3600, "{} bytes for a chain of {chain}", raw.sent);
        raw.pass(Duration::from_secs(2));
        assert_eq!(raw.victim.endpoint.connections(), 0);
    }
}

// MUST 9000-8-1, 9000-8.1-1, 9000-14.1-4
#[test]
fn every_further_datagram_buys_three_times_its_size() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 30_000);
    raw.hello(params());
    for n in 0..20u64 {
        raw.send(Level::Initial, &[1]);
        raw.pass(Duration::from_millis(100 * n));
        assert!(raw.sent <= 3 * raw.received, "{} for {}", raw.sent, raw.received);
    }
    // also if what comes cannot be opened
    let mut garbage = raw.packet(Level::Handshake, &[1; 500], Tweak::default());
    *garbage.last_mut().expect("a tag") ^= 1;
    for _ in 0..10 {
        raw.deliver(garbage.clone());
        raw.pass(Duration::from_millis(300));
        assert!(raw.sent <= 3 * raw.received, "{} for {}", raw.sent, raw.received);
    }
}

#[test]
fn small_datagrams_from_others_buy_nothing() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 30_000);
    raw.hello(params());
    raw.pass(Duration::from_secs(1));
    let sent = raw.sent;
    for _ in 0..10 {
        let packet = raw.packet(Level::Initial, &[1], Tweak::default());
        raw.deliver_from("203.0.113.8:1".parse().expect("an address"), packet);
        raw.pass(Duration::from_millis(100));
    }
    assert_eq!(raw.sent, sent);
}

// MUST 9002-6.2.2.1-1
#[test]
fn a_blocked_server_has_no_deadline_in_the_past() {
    // bits and pieces, so that the budget is never quite enough for anything
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 30_000);
    raw.hello(params());
    raw.pass(Duration::from_secs(1));
    for len in [1, 5, 13, 21, 33, 47, 100, 333] {
        let mut garbage = vec![0xe0; len + 20];
        garbage[1..5].copy_from_slice(&1u32.to_be_bytes());
        garbage[5] = 8;
        garbage[6..14].copy_from_slice(&raw.dcid);
        raw.deliver(garbage);
        raw.pass(Duration::from_millis(500));
        assert!(raw.sent <= 3 * raw.received, "{} for {}", raw.sent, raw.received);
    }
}

#[test]
fn a_long_chain_comes_through_in_more_round_trips() {
    for (chain, limit) in [(3000, 45), (8000, 400), (30_000, 3000)] {
        let mut pair = with_chain(chain);
        watch(&mut pair, |_, _| false);
        let start = pair.now;
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(20), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "chain of {chain}");
        let took = pair.now - start;
        assert!(took <= Duration::from_millis(limit), "chain of {chain} took {took:?}");
    }
}

#[test]
fn the_rule_holds_under_loss_and_the_handshake_ends_well() {
    for seed in 0..60u32 {
        let mut pair = with_chain(if seed % 2 == 0 { 8000 } else { 2500 });
        let mut n = seed.wrapping_mul(2_654_435_761) | 1;
        watch(&mut pair, move |_, _| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            n >> 16 < 65_536 / 5
        });
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(28), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "seed {seed}: {:?}", pair.client.events);
    }
}

// MUST 9000-8.1-4
#[test]
fn a_client_keeps_probing_while_the_server_is_blocked() {
    // the server's whole first flight is lost, and with it its budget
    let mut pair = with_chain(8000);
    let mut lost = 0;
    watch(&mut pair, move |flying, _| {
        let loses = flying.from == server_address() && lost < 3;
        lost += u32::from(loses);
        loses
    });
    let client = pair.connect();
    pair.drive_for(Duration::from_secs(10), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(pair.client.has(client, &Event::Confirmed), "{:?}", pair.client.events);
}

// MUST 9000-8.1-4, 9000-8.1-5, 9002-6.2.2.1-2, 9002-6.2.2.1-3, 9002-6.2.2.1-4
#[test]
fn a_client_that_has_nothing_to_send_probes_all_the_same() {
    // everything it sent was acknowledged; the rest of the server's flight cannot leave
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(Duration::from_millis(50));
    raw.send(Level::Initial, &Raw::ack_one(0));
    raw.datagrams.clear();
    raw.pass(Duration::from_secs(2));
    let probes = raw.packets();
    assert!(probes.len() >= 2, "{} probes", probes.len());
    assert!(probes.iter().all(|packet| packet.level == Level::Initial && packet.datagram >= 1200));
    assert!(probes.iter().all(|packet| packet.frames().contains(&Frame::Ping)));
    // with Handshake keys it probes there
    raw.send(Level::Initial, &crypto(0, &pair::plain::message(pair::plain::SERVER_HELLO, b"")));
    let last = probes.iter().map(|packet| packet.pn).max().expect("probes");
    raw.send(Level::Initial, &Raw::ack_one(last));
    raw.datagrams.clear();
    raw.pass(Duration::from_secs(10));
    let probes = raw.packets();
    assert!(!probes.is_empty() && probes.iter().all(|packet| packet.level == Level::Handshake), "{probes:?}");
}

#[test]
fn a_probe_of_the_handshake_repeats_the_acknowledgement_that_may_be_lost() {
    // a server that lost its flight and probes with PING alone
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(Duration::from_millis(50));
    raw.pn[Level::Initial as usize] = 9;
    let payload = [Raw::ack_one(0), pair::raw::bytes(&[Frame::Ping])].concat();
    raw.send(Level::Initial, &payload);
    // the ACK that follows goes astray
    raw.datagrams.clear();
    raw.pass(Duration::from_secs(2));
    let probes = raw.packets();
    assert!(!probes.is_empty());
    for probe in probes {
        let acked =
            |frame: &Frame<'_>| matches!(frame, Frame::Ack(ack) if ack.ranges().next() == Some(9..=9));
        assert!(probe.frames().iter().any(acked) && probe.frames().contains(&Frame::Ping), "{probe:?}");
    }
}

#[test]
fn a_lost_second_flight_of_the_client_does_not_end_in_silence() {
    for count in 1..6 {
        let mut pair = with_chain(500);
        let mut lost = 0;
        pair.link = Box::new(move |flying| {
            // whatever the client sends after its first datagram
            let second = flying.from == CLIENT.parse().expect("an address") && {
                lost += 1;
                lost > 1
            };
            !(second && lost <= 1 + count)
        });
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(25), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "{count} lost");
    }
}

// MUST 9000-10.2.1-2
#[test]
fn the_closing_of_a_half_open_connection_is_bounded_too() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 30_000);
    raw.hello(params());
    // a violation: every packet that follows could earn a copy of the close
    raw.send(Level::Handshake, &[0x1e]);
    for _ in 0..200 {
        let mut small = raw.packet(Level::Handshake, &[1], Tweak::default());
        small.truncate(60);
        raw.deliver(small);
        assert!(raw.sent <= 3 * raw.received, "{} for {}", raw.sent, raw.received);
    }
}
