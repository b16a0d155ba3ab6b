//! Explicit congestion notification (RFC 9000 §13.4): marked while the path carries it, obeyed, and given up when the
//! path bleaches, drops or lies.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;

use pair::Pair;
use pair::flow::Flow;
use pair::link::bottleneck;
use tq_quic::time::Duration;
use tq_quic::wire::{Ecn, Side};
use tq_quic::{Event, TransportConfig};

fn ecn() -> TransportConfig {
    let mut config = TransportConfig::default();
    config.ecn = true;
    config
}

#[test]
fn nothing_is_marked_by_default() {
    let unmarked = |flying: &mut pair::Flying| {
        assert_eq!(flying.ecn, Ecn::NotEct);
        true
    };
    let mut pair = Pair { link: Box::new(unmarked), ..Pair::default() };
    Flow::connect(&mut pair, Side::Client, 1 << 20).run(&mut pair, Duration::from_secs(5));
}

#[test]
fn a_path_that_carries_marks_is_found_capable() {
    for from in [Side::Client, Side::Server] {
        let mut pair = Pair::new(ecn(), ecn());
        let mut flow = Flow::connect(&mut pair, from, 4 << 20);
        flow.run(&mut pair, Duration::from_secs(5));
        assert!(pair.client(flow.client).stats().paths[0].ecn, "the client's way");
        assert!(pair.server(flow.server).stats().paths[0].ecn, "the server's way");
    }
}

#[test]
fn every_packet_of_a_capable_path_is_marked() {
    let mut pair = Pair::new(ecn(), ecn());
    let plain = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&plain);
    let mut flow = Flow::connect(&mut pair, Side::Client, 4 << 20);
    flow.run_for(&mut pair, Duration::from_millis(100));
    pair.link = Box::new(move |flying| {
        *seen.borrow_mut() += u32::from(flying.ecn != Ecn::Ect0);
        true
    });
    flow.run(&mut pair, Duration::from_secs(5));
    assert_eq!(*plain.borrow(), 0);
}

#[test]
fn congestion_marks_reduce_the_window_without_loss() {
    let mut pair = Pair::new(ecn(), ecn());
    let (link, seen) = bottleneck(1_250_000, 1 << 20, pair.delay, Some(Duration::from_millis(10)));
    pair.link = link;
    let mut flow = Flow::connect(&mut pair, Side::Client, 8 << 20);
    let took = flow.run(&mut pair, Duration::from_secs(20));
    let stats = pair.client(flow.client).stats();
    assert!(stats.counters.ecn_ce > 0 && stats.paths[0].ecn);
    let seen = seen.borrow();
    assert!(seen.marked > 0);
    assert_eq!(seen.dropped, 0, "the marks kept the queue short: {seen:?}");
    assert!(seen.longest_queue < Duration::from_millis(200), "{seen:?}");
    assert!(took < 8.4 / 1.25 * 1.25, "{took} s");
}

// MUST 9000-13.4.2.2-1
#[test]
fn a_path_that_bleaches_marks_is_not_marked_any_more() {
    let mut pair = Pair::new(ecn(), ecn());
    pair.link = Box::new(|flying| {
        flying.ecn = Ecn::NotEct;
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 2 << 20);
    flow.run(&mut pair, Duration::from_secs(5));
    assert!(!pair.client(flow.client).stats().paths[0].ecn);
    let last = Rc::new(RefCell::new(Ecn::Ce));
    let seen = Rc::clone(&last);
    pair.link = Box::new(move |flying| {
        *seen.borrow_mut() = flying.ecn;
        true
    });
    let (client, server) = (flow.client, flow.server);
    Flow::over(&mut pair, (client, server), Side::Client, 100_000).run(&mut pair, Duration::from_secs(5));
    assert_eq!(*last.borrow(), Ecn::NotEct);
}

// MUST 9000-13.4.2.2-2
#[test]
fn bleaching_that_begins_later_is_noticed() {
    let mut pair = Pair::new(ecn(), ecn());
    let mut flow = Flow::connect(&mut pair, Side::Client, 20 << 20);
    flow.run_for(&mut pair, Duration::from_millis(150));
    assert!(pair.client(flow.client).stats().paths[0].ecn);
    pair.link = Box::new(|flying| {
        flying.ecn = Ecn::NotEct;
        true
    });
    flow.run(&mut pair, Duration::from_secs(10));
    assert!(!pair.client(flow.client).stats().paths[0].ecn);
}

// MUST 9000-13.4.2.2-1
#[test]
fn a_path_that_rewrites_marks_is_not_trusted() {
    let mut pair = Pair::new(ecn(), ecn());
    pair.link = Box::new(|flying| {
        if flying.ecn == Ecn::Ect0 {
            flying.ecn = Ecn::Ect1;
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 2 << 20);
    flow.run(&mut pair, Duration::from_secs(5));
    assert!(!pair.client(flow.client).stats().paths[0].ecn);
}

#[test]
fn a_path_that_drops_marked_packets_is_used_unmarked() {
    for from in [Side::Client, Side::Server] {
        let mut pair = Pair::new(ecn(), ecn());
        pair.link = Box::new(|flying| flying.ecn == Ecn::NotEct);
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(10), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "{:?}", pair.client.events);
        let server = pair.server.accepted[0];
        Flow::over(&mut pair, (client, server), from, 1 << 20).run(&mut pair, Duration::from_secs(5));
    }
}

#[test]
fn marks_on_a_lossy_path_stay_capable() {
    let mut pair = Pair::new(ecn(), ecn());
    let mut n = 7u32;
    pair.link = Box::new(move |_| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        n >> 16 >= 65_536 / 30
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 4 << 20);
    flow.run(&mut pair, Duration::from_secs(60));
    assert!(pair.client(flow.client).stats().paths[0].ecn);
}
