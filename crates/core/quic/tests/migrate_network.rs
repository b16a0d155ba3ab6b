//! What networks do to a path while it is used: marks, sizes, silence, other addresses, long certificate chains
//! (RFC 9000 §8.1, §9, §13.4, §14.3).

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use pair::flow::Flow;
use pair::plain::Plain;
use pair::{CLIENT, Pair, SERVER};
use tq_quic::time::Duration;
use tq_quic::wire::{Ecn, Side};
use tq_quic::{Event, Local, ServerConfig, TransportConfig};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ecn() -> TransportConfig {
    let mut config = TransportConfig::default();
    config.ecn = true;
    config
}

/// Gives the client's datagrams the address in the cell, and takes only what goes there.
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

#[test]
fn marks_are_validated_anew_at_another_address() {
    let mut pair = Pair::new(ecn(), ecn());
    let outside = nat(&mut pair);
    let mut flow = Flow::connect(&mut pair, Side::Server, 40 << 20);
    for to in ["198.51.100.4:9", "203.0.113.4:10"] {
        flow.run_for(&mut pair, Duration::from_millis(100));
        assert!(pair.server(flow.server).stats().paths[0].ecn);
        *outside.borrow_mut() = address(to);
    }
    flow.run(&mut pair, Duration::from_secs(20));
    assert_eq!(pair.server(flow.server).remote(), address("203.0.113.4:10"));
    assert!(pair.server(flow.server).stats().paths[0].ecn, "marks go on");
}

#[test]
fn marks_that_one_way_bleaches_are_tried_on_the_next() {
    let mut pair = Pair::new(ecn(), ecn());
    pair.client.others.push(address("198.51.100.7:4100"));
    pair.link = Box::new(|flying| {
        if flying.from == address(CLIENT) {
            flying.ecn = Ecn::NotEct;
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 40 << 20);
    flow.run_for(&mut pair, Duration::from_millis(200));
    let client = flow.client;
    assert!(!pair.client(client).stats().paths[0].ecn);
    let now = pair.now;
    pair.client(client).migrate(now, Local { socket: 1, ip: None }, false).expect("it may");
    flow.run(&mut pair, Duration::from_secs(20));
    assert!(pair.client.has(client, &Event::Moved { remote: address(SERVER), socket: 1 }));
    assert!(pair.client(client).stats().paths[0].ecn);
}

#[test]
fn a_path_that_bleaches_some_is_not_marked_any_more() {
    let mut pair = Pair::new(ecn(), ecn());
    let mut n = 0;
    pair.link = Box::new(move |flying| {
        n += 1;
        if n % 3 == 0 {
            flying.ecn = Ecn::NotEct;
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 4 << 20);
    flow.run(&mut pair, Duration::from_secs(10));
    assert!(!pair.client(flow.client).stats().paths[0].ecn);
}

#[test]
fn a_path_that_marks_everything_slows_a_transfer_and_does_not_stop_it() {
    let mut pair = Pair::new(ecn(), ecn());
    pair.link = Box::new(|flying| {
        if flying.ecn == Ecn::Ect0 {
            flying.ecn = Ecn::Ce;
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 1 << 20);
    let took = flow.run(&mut pair, Duration::from_secs(60));
    let stats = pair.client(flow.client).stats();
    assert!(stats.counters.ecn_ce > 10 && stats.counters.packets_lost == 0);
    assert!(took < 30.0, "{took} s");
}

#[test]
fn a_size_that_vanished_is_found_again_when_the_path_recovers() {
    let mut pair = Pair::default();
    let mut flow = Flow::connect(&mut pair, Side::Client, 20 << 20);
    flow.run_for(&mut pair, Duration::from_millis(200));
    let client = flow.client;
    assert_eq!(pair.client(client).stats().paths[0].mtu, 1452);
    pair.link = Box::new(|flying| flying.bytes.len() <= 1200);
    flow.run(&mut pair, Duration::from_secs(30));
    assert_eq!(pair.client(client).stats().paths[0].mtu, 1200);
    pair.link = Box::new(|_| true);
    // somebody keeps talking
    for _ in 0..75 {
        pair.client(client).ping();
        pair.pass(Duration::from_secs(1));
    }
    let mtu = pair.client(client).stats().paths[0].mtu;
    assert!(mtu >= 1420, "{mtu}");
    for _ in 0..620 {
        pair.client(client).ping();
        pair.pass(Duration::from_secs(1));
    }
    assert_eq!(pair.client(client).stats().paths[0].mtu, 1452);
}

#[test]
fn a_transfer_gets_over_black_holes() {
    // 5 s on, 2 s off, as the interop runner's case
    for from in [Side::Client, Side::Server] {
        let mut pair = Pair::default();
        let (link, _) = pair::link::bottleneck(1_250_000, 40_000, pair.delay, None);
        let mut link = link;
        let start = pair.now;
        pair.link = Box::new(move |flying| {
            let phase = flying.at.saturating_since(start).as_millis() % 7000;
            link(flying) && phase < 5000
        });
        let mut flow = Flow::connect(&mut pair, from, 10 << 20);
        let took = flow.run(&mut pair, Duration::from_secs(40));
        assert!(took < 25.0, "{took} s {from:?}");
    }
}

#[test]
fn a_client_that_was_idle_while_its_nat_forgot_it_is_followed() {
    for to in ["192.0.2.1:4999", "198.51.100.4:9"] {
        let mut pair = Pair::default();
        let outside = nat(&mut pair);
        let (client, server) = pair.connected();
        pair.pass(Duration::from_secs(20));
        *outside.borrow_mut() = address(to);
        let mut flow = Flow::over(&mut pair, (client, server), Side::Client, 100_000);
        let took = flow.run(&mut pair, Duration::from_secs(5));
        assert!(took < 1.0, "{took}");
        let path = pair.server(server).stats().paths[0];
        assert!(path.remote == address(to) && path.validated);
        Flow::over(&mut pair, (client, server), Side::Server, 1 << 20).run(&mut pair, Duration::from_secs(5));
    }
}

#[test]
fn nine_certificates_arrive_though_six_datagrams_of_the_client_do_not() {
    let mut pair = Pair { tls: Arc::new(Plain::default()), ..Pair::default() };
    let tls = Arc::new(Plain { chain: 9 * 1000, ..Plain::default() });
    let transport = Arc::new(TransportConfig::default());
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig { tls, transport })));
    let (mut count, mut brought, mut sent, mut proven) = (0, 0u64, 0u64, false);
    pair.link = Box::new(move |flying| {
        if flying.to == address(SERVER) {
            count += 1;
            if (2..=7).contains(&count) {
                return false;
            }
            brought += flying.bytes.len() as u64;
            // beyond the first the client's datagrams carry Handshake packets or ask for more
            proven |= count > 1;
            return true;
        }
        sent += flying.bytes.len() as u64;
        assert!(proven || sent <= 3 * brought, "{sent} for {brought}");
        true
    });
    let client = pair.connect();
    pair.drive_for(Duration::from_secs(28), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(pair.client.has(client, &Event::Confirmed));
}
