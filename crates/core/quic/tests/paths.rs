//! One path whose address, size and marks change under it (RFC 9000 §9, §13.4, §14).

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::flow::{Flow, drain, pattern, pump};
use pair::raw::{Raw, Tweak, bytes};
use pair::{CLIENT, Flying, Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::{Dir, Frame, Side};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A NAT: gives the client's datagrams the address in the cell, and takes only what goes there.
fn nat(pair: &mut Pair) -> Rc<RefCell<SocketAddr>> {
    let outside = Rc::new(RefCell::new(address(CLIENT)));
    let mine = Rc::clone(&outside);
    pair.link = Box::new(move |flying| {
        if flying.to == address(SERVER) {
            flying.from = *mine.borrow();
            return true;
        }
        flying.to == *mine.borrow()
    });
    outside
}

/// Transfers while the client's address changes now and then.
fn rebound(from: Side, addresses: &[&str]) {
    let mut pair = Pair::default();
    let outside = nat(&mut pair);
    let mut flow = Flow::connect(&mut pair, from, 60 << 20);
    for to in addresses {
        flow.run_for(&mut pair, Duration::from_millis(50));
        assert!(!flow.done);
        *outside.borrow_mut() = address(to);
    }
    flow.run(&mut pair, Duration::from_secs(20));
    let server = flow.server;
    pair.pass(Duration::from_secs(1));
    let path = pair.server(server).stats().paths[0];
    assert_eq!(path.remote, *outside.borrow());
    assert!(path.validated);
}

#[test]
fn the_server_follows_an_upload_to_another_port() {
    rebound(Side::Client, &["192.0.2.1:4001", "192.0.2.1:4002"]);
}

#[test]
fn the_server_follows_an_upload_to_another_address() {
    rebound(Side::Client, &["198.51.100.4:9", "203.0.113.4:10", "192.0.2.1:4000"]);
}

#[test]
fn the_server_follows_a_download_to_another_port() {
    rebound(Side::Server, &["192.0.2.1:4001", "192.0.2.1:4002"]);
}

// MUST 9000-9.3-1, 9000-9.3-2
#[test]
fn the_server_follows_a_download_to_another_address() {
    rebound(Side::Server, &["198.51.100.4:9", "203.0.113.4:10"]);
}

#[test]
fn a_lost_challenge_does_not_lose_the_client() {
    for (lost, to) in
        [(1, "192.0.2.1:4001"), (2, "192.0.2.1:4001"), (1, "198.51.100.4:9"), (2, "198.51.100.4:9")]
    {
        for from in [Side::Client, Side::Server] {
            let mut pair = Pair::default();
            let outside = nat(&mut pair);
            let mut link = std::mem::replace(&mut pair.link, Box::new(|_| true));
            let mut left = lost;
            pair.link = Box::new(move |flying| {
                if flying.to == address(to) && left > 0 {
                    left -= 1;
                    return false;
                }
                link(flying)
            });
            let mut flow = Flow::connect(&mut pair, from, 10 << 20);
            flow.run_for(&mut pair, Duration::from_millis(50));
            *outside.borrow_mut() = address(to);
            let took = flow.run(&mut pair, Duration::from_secs(20));
            assert!(took < 4.0, "{took} s with {lost} lost, {from:?}");
        }
    }
}

/// How many round trips it takes until 10 kB are here that a client asks for after a rest, behind a NAT that forgot it.
fn asked_after(rest: u64) -> f64 {
    let mut pair = Pair::default();
    let outside = nat(&mut pair);
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(rest));
    *outside.borrow_mut() = address("192.0.2.1:4001");
    let began = pair.now;
    let id = pair.client(client).open(Dir::Bi).expect("streams are allowed");
    pump(pair.client(client), id, b"all", &mut 0);
    let (answer, mut at, mut got) = (pattern(10_000), 0, Vec::new());
    pair.drive_for(Duration::from_secs(2), |pair| {
        if pair.server(server).accept(Dir::Bi).is_some() || at > 0 && at < answer.len() {
            pump(pair.server(server), id, &answer, &mut at);
        }
        drain(pair.client(client), id, &mut got)
    });
    assert_eq!(got, answer);
    (pair.now - began).as_secs_f64() / (2 * pair.delay).as_secs_f64()
}

#[test]
fn a_client_that_rested_is_answered_at_a_new_port_before_that_is_proven() {
    assert!(asked_after(2) > 1.9, "three times what it sent is a challenge and no more");
    assert!(asked_after(25) < 1.1, "a first flight is worth a first window");
}

// MUST 9000-9.4-2
#[test]
fn a_port_change_keeps_the_window_and_an_address_change_does_not() {
    for (to, keeps) in [("192.0.2.1:4001", true), ("198.51.100.4:9", false)] {
        let mut pair = Pair::default();
        let outside = nat(&mut pair);
        let mut flow = Flow::connect(&mut pair, Side::Server, 40 << 20);
        flow.run_for(&mut pair, Duration::from_millis(200));
        let server = flow.server;
        let before = pair.server(server).stats().paths[0].cwnd;
        assert!(before > 100_000, "{before}");
        *outside.borrow_mut() = address(to);
        pair.drive_for(Duration::from_secs(2), |pair| {
            flow.work(pair);
            pair.server.connections[&server].remote() == address(to)
        });
        let after = pair.server(server).stats().paths[0].cwnd;
        assert_eq!(after >= before / 2, keeps, "{before} to {after}");
    }
}

// MUST 9000-9.5-2
#[test]
fn a_fresh_connection_id_is_used_at_a_new_address() {
    let mut pair = Pair::default();
    let outside = nat(&mut pair);
    let mut flow = Flow::connect(&mut pair, Side::Server, 40 << 20);
    let ids = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&ids);
    let mut link = std::mem::replace(&mut pair.link, Box::new(|_| true));
    pair.link = Box::new(move |flying| {
        if flying.from == address(SERVER) && flying.bytes[0] & 0x80 == 0 {
            let pair = (flying.to, flying.bytes[1..9].to_vec());
            if seen.borrow().last() != Some(&pair) {
                seen.borrow_mut().push(pair);
            }
        }
        link(flying)
    });
    flow.run_for(&mut pair, Duration::from_millis(100));
    *outside.borrow_mut() = address("198.51.100.4:9");
    flow.run(&mut pair, Duration::from_secs(20));
    let ids = ids.borrow();
    let of = |to: &str| {
        ids.iter().filter(|(at, _)| *at == address(to)).map(|(_, id)| id.clone()).collect::<Vec<_>>()
    };
    let (old, new) = (of(CLIENT), of("198.51.100.4:9"));
    assert!(!new.is_empty() && old.iter().all(|id| !new.contains(id)), "{ids:02x?}");
}

/// A copy of the client's newest packet arrives first, from somewhere else.
fn spoof(pair: &mut Pair, from: &'static str, times: usize) -> Rc<RefCell<(u64, u64)>> {
    let counts = Rc::new(RefCell::new((0u64, 0u64)));
    let seen = Rc::clone(&counts);
    let copies: Rc<RefCell<Vec<Flying>>> = Rc::default();
    let made = Rc::clone(&copies);
    let mut left = times;
    pair.link = Box::new(move |flying| {
        if flying.to == address(from) {
            seen.borrow_mut().1 += flying.bytes.len() as u64;
            return false;
        }
        if flying.to == address(SERVER) && left > 0 && flying.bytes[0] & 0x80 == 0 {
            left -= 1;
            let mut copy = flying.clone();
            copy.from = address(from);
            made.borrow_mut().push(copy);
            // the original takes longer
            flying.at += Duration::from_millis(1);
        }
        true
    });
    let sent = Rc::clone(&counts);
    let mut link = std::mem::replace(&mut pair.link, Box::new(|_| true));
    pair.link = Box::new(move |flying| {
        let whole = link(flying);
        for copy in copies.borrow_mut().drain(..) {
            sent.borrow_mut().0 += copy.bytes.len() as u64;
            *flying = copy;
        }
        whole
    });
    counts
}

// MUST 9000-9.3-3, 9000-9.3.2-1
#[test]
fn an_address_that_never_answers_is_left_again() {
    for from in [Side::Client, Side::Server] {
        let mut pair = Pair::default();
        let mut flow = Flow::connect(&mut pair, from, 20 << 20);
        flow.run_for(&mut pair, Duration::from_millis(100));
        let counts = spoof(&mut pair, "203.0.113.99:53", 1);
        flow.run(&mut pair, Duration::from_secs(30));
        let server = flow.server;
        pair.pass(Duration::from_secs(5));
        assert_eq!(pair.server(server).remote(), address(CLIENT));
        assert!(pair.server(server).stats().paths[0].validated);
        let (brought, got) = *counts.borrow();
        assert!(brought > 0 && got <= 3 * brought, "{got} bytes to a stranger for {brought}");
    }
}

// MUST 9000-9.3-3, 9000-9.3.2-1
#[test]
fn an_address_that_never_answers_and_a_client_that_is_silent_end_at_the_old_one() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.datagrams.clear();
    let (received, sent) = (raw.received, raw.sent);
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak::default());
    raw.deliver_from(address("203.0.113.99:53"), packet);
    let pending = raw.packets();
    assert!(pending.iter().any(|p| p.frames().iter().any(|f| matches!(f, Frame::PathChallenge(_)))));
    raw.pass(Duration::from_millis(2900));
    assert_eq!(raw.victim().remote(), address("203.0.113.99:53"));
    assert!(raw.sent - sent <= 3 * (raw.received - received), "{}", raw.sent - sent);
    raw.pass(Duration::from_secs(2));
    assert_eq!(raw.victim().remote(), address(CLIENT));
    assert!(raw.victim.closed(raw.handle).is_none());
}

#[test]
fn probing_packets_and_old_ones_move_nothing() {
    let mut raw = Raw::server();
    let elsewhere = address("203.0.113.99:53");
    let old = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak::default());
    raw.frames(&[Frame::Ping]);
    raw.deliver_from(elsewhere, old);
    let probe = raw.packet(Level::OneRtt, &bytes(&[Frame::PathChallenge([1; 8])]), Tweak::default());
    raw.deliver_from(elsewhere, probe);
    assert_eq!(raw.victim().remote(), address(CLIENT));
}

// MUST 9000-9-4
#[test]
fn a_client_that_comes_back_is_believed_at_once() {
    let mut raw = Raw::server();
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak::default());
    raw.deliver_from(address("203.0.113.99:53"), packet);
    assert!(!raw.victim().stats().paths[0].validated);
    raw.frames(&[Frame::Ping]);
    let path = raw.victim().stats().paths[0];
    assert_eq!(path.remote, address(CLIENT));
    assert!(path.validated, "nothing has shaken the old address");
}

// MUST 9000-8.2.2-1, 9000-8.2.2-2, 9000-8.2.2-5, 9000-19.17-1
#[test]
fn a_challenge_is_answered_in_an_expanded_datagram() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.datagrams.clear();
        raw.frames(&[Frame::PathChallenge([0xab; 8]), Frame::Padding(1160)]);
        let packets = raw.packets();
        let answer = packets.iter().find(|p| p.frames().contains(&Frame::PathResponse([0xab; 8])));
        assert!(answer.is_some_and(|packet| packet.datagram >= 1200), "{packets:?}");
    }
}

// MUST 9000-8.2.1-1
#[test]
fn a_challenge_is_repeated_until_it_is_answered() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.datagrams.clear();
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping, Frame::Padding(1150)]), Tweak::default());
    raw.me = address("192.0.2.1:4777");
    raw.deliver(packet);
    raw.pass(Duration::from_secs(2));
    let challenges: Vec<[u8; 8]> = raw
        .packets()
        .iter()
        .flat_map(|packet| {
            let frames = packet.frames();
            frames
                .iter()
                .filter_map(|f| if let Frame::PathChallenge(d) = f { Some(*d) } else { None })
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(challenges.len() >= 2, "{challenges:?}");
    assert!(challenges[0] != challenges[1], "each has bytes of its own");
    raw.frames(&[Frame::PathResponse([0; 8])]);
    assert!(!raw.victim().stats().paths[0].validated, "not just any bytes");
    raw.frames(&[Frame::PathResponse(challenges[challenges.len() - 2])]);
    assert!(raw.victim().stats().paths[0].validated);
}

#[test]
fn a_path_that_shrinks_mid_transfer_is_noticed() {
    for from in [Side::Client, Side::Server] {
        let mut pair = Pair::default();
        let mut flow = Flow::connect(&mut pair, from, 30 << 20);
        flow.run_for(&mut pair, Duration::from_millis(200));
        let mtu = |pair: &mut Pair, flow: &Flow| {
            let sender = if from.is_client() { pair.client(flow.client) } else { pair.server(flow.server) };
            sender.stats().paths[0].mtu
        };
        assert_eq!(mtu(&mut pair, &flow), 1452);
        pair.link = Box::new(|flying| flying.bytes.len() <= 1200);
        let took = flow.run(&mut pair, Duration::from_secs(30));
        assert_eq!(mtu(&mut pair, &flow), 1200);
        assert!(took < 15.0, "{took} s");
    }
}

#[test]
fn an_interface_that_refuses_a_size_is_believed() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Client, 10 << 20);
    flow.run_for(&mut pair, Duration::from_millis(100));
    let now = pair.now;
    let remote = pair.server.address;
    pair.client(flow.client).on_too_big(now, 0, remote, 1452);
    pair.link = Box::new(|flying| flying.bytes.len() < 1452);
    let client = flow.client;
    assert!(pair.client(client).stats().paths[0].mtu < 1452);
    flow.run(&mut pair, Duration::from_secs(10));
    pair.pass(Duration::from_secs(10));
    let mtu = pair.client(client).stats().paths[0].mtu;
    assert!((1400..1452).contains(&mtu), "{mtu}");
}
