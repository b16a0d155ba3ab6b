//! A client that moves on purpose (RFC 9000 §9.2): probed first or at once, refused with a reason, back if there is no
//! answer.

mod pair;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Raw, params};
use pair::{CLIENT, Pair, SERVER};
use tq_quic::time::Duration;
use tq_quic::wire::frame::NewConnectionId;
use tq_quic::wire::{Cid, Frame, ResetToken, Side, TransportParameters};
use tq_quic::{Event, Local, MigrateError, TransportConfig};

const ELSEWHERE: &str = "198.51.100.7:4100";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The client has a second socket.
const SECOND: Local = Local { socket: 1, ip: None };

fn pair() -> Pair {
    let mut pair = Pair::default();
    pair.client.others.push(address(ELSEWHERE));
    pair
}

/// Connection ids of short headers, with both addresses, in the order of their first use.
type Ids = Rc<RefCell<Vec<(SocketAddr, SocketAddr, Vec<u8>)>>>;

fn watch(pair: &mut Pair) -> Ids {
    let ids: Ids = Rc::default();
    let seen = Rc::clone(&ids);
    let mut link = std::mem::replace(&mut pair.link, Box::new(|_| true));
    pair.link = Box::new(move |flying| {
        if flying.bytes[0] & 0x80 == 0 {
            let entry = (flying.from, flying.to, flying.bytes[1..9].to_vec());
            if !seen.borrow().contains(&entry) {
                seen.borrow_mut().push(entry);
            }
        }
        link(flying)
    });
    ids
}

// MUST 9000-9.5-1
#[test]
fn a_transfer_goes_on_from_another_socket() {
    for from in [Side::Client, Side::Server] {
        for at_once in [false, true] {
            let mut pair = pair();
            let ids = watch(&mut pair);
            let mut flow = Flow::connect(&mut pair, from, 20 << 20);
            flow.run_for(&mut pair, Duration::from_millis(100));
            let (now, client, server) = (pair.now, flow.client, flow.server);
            pair.client(client).migrate(now, SECOND, at_once).expect("it may");
            flow.run(&mut pair, Duration::from_secs(20));
            pair.pass(Duration::from_millis(500));
            assert!(pair.client.has(client, &Event::Moved { remote: address(SERVER), socket: 1 }));
            assert!(!pair.client.has(client, &Event::MoveFailed));
            let path = pair.server(server).stats().paths[0];
            assert!(path.remote == address(ELSEWHERE) && path.validated);
            // no id is seen on two ways (RFC 9000 §9.5)
            let ids = ids.borrow();
            let unlinked: BTreeSet<_> = ids.iter().map(|(.., id)| id).collect();
            assert_eq!(unlinked.len(), ids.len(), "{from:?} {at_once}: {ids:02x?}");
        }
    }
}

#[test]
fn an_idle_client_moves_as_well() {
    let mut pair = pair();
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(2));
    let now = pair.now;
    pair.client(client).migrate(now, SECOND, false).expect("it may");
    pair.pass(Duration::from_secs(1));
    assert!(pair.client.has(client, &Event::Moved { remote: address(SERVER), socket: 1 }));
    // giving back its old id is enough for the server to follow
    assert_eq!(pair.server(server).remote(), address(ELSEWHERE));
    assert!(pair.server(server).stats().paths[0].validated);
}

// MUST 9000-9.4-2
#[test]
fn a_new_way_begins_with_a_fresh_window_and_round_trip() {
    for at_once in [false, true] {
        let mut pair = pair();
        let mut flow = Flow::connect(&mut pair, Side::Client, 60 << 20);
        flow.run_for(&mut pair, Duration::from_millis(300));
        let (now, client) = (pair.now, flow.client);
        let before = pair.client(client).stats().paths[0];
        pair.client(client).migrate(now, SECOND, at_once).expect("it may");
        let moved = Event::Moved { remote: address(SERVER), socket: 1 };
        pair.drive_for(Duration::from_secs(2), |pair| {
            flow.work(pair);
            pair.client.has(client, &moved)
        });
        let after = pair.client(client).stats().paths[0];
        assert!(before.cwnd > 100_000 && after.cwnd < before.cwnd / 4, "{} to {}", before.cwnd, after.cwnd);
        assert_eq!(after.mtu, 1200, "the size is searched anew");
        flow.run(&mut pair, Duration::from_secs(20));
    }
}

#[test]
fn a_probe_costs_the_way_in_use_nothing() {
    let mut pair = pair();
    // nothing passes on the new way
    pair.link = Box::new(|flying| flying.from != address(ELSEWHERE));
    let mut flow = Flow::connect(&mut pair, Side::Client, 80 << 20);
    flow.run_for(&mut pair, Duration::from_millis(300));
    let (now, client) = (pair.now, flow.client);
    let before = pair.client(client).stats();
    pair.client(client).migrate(now, SECOND, false).expect("it may");
    flow.run(&mut pair, Duration::from_secs(20));
    pair.pass(Duration::from_secs(4));
    let after = pair.client(client).stats();
    assert!(pair.client.has(client, &Event::MoveFailed));
    assert!(!pair.client.events.iter().any(|(_, event)| matches!(event, Event::Moved { .. })));
    assert_eq!(after.counters.congestion_events, before.counters.congestion_events);
    assert_eq!(after.paths[0].packets_lost, before.paths[0].packets_lost);
}

#[test]
fn a_client_that_moved_at_once_to_where_nothing_passes_comes_back() {
    let mut pair = pair();
    pair.link = Box::new(|flying| flying.from != address(ELSEWHERE));
    let mut flow = Flow::connect(&mut pair, Side::Client, 10 << 20);
    flow.run_for(&mut pair, Duration::from_millis(50));
    let (now, client) = (pair.now, flow.client);
    pair.client(client).migrate(now, SECOND, true).expect("it may");
    let took = flow.run(&mut pair, Duration::from_secs(20));
    assert!(pair.client.has(client, &Event::MoveFailed));
    assert!(took < 6.0, "{took}");
    assert_eq!(pair.server(flow.server).remote(), address(CLIENT));
}

#[test]
fn a_client_moves_back_and_forth_as_often_as_it_likes() {
    let mut pair = pair();
    let mut flow = Flow::connect(&mut pair, Side::Server, 60 << 20);
    for round in 0..20u32 {
        flow.run_for(&mut pair, Duration::from_millis(120));
        let (now, client) = (pair.now, flow.client);
        let local = Local { socket: (round + 1) % 2, ip: None };
        pair.client(client).migrate(now, local, round % 3 == 0).expect("ids are replaced");
    }
    flow.run(&mut pair, Duration::from_secs(30));
}

// MUST 9000-9-1
#[test]
fn who_may_not_move_learns_why() {
    let mut pair = pair();
    let client = pair.connect();
    let now = pair.now;
    assert_eq!(pair.client(client).migrate(now, SECOND, false), Err(MigrateError::Unconfirmed));
    let (client, server) = pair.connected();
    let now = pair.now;
    assert_eq!(pair.server(server).migrate(now, SECOND, false), Err(MigrateError::Server));
    pair.client(client).close(now, 0, b"");
    assert_eq!(pair.client(client).migrate(now, SECOND, true), Err(MigrateError::Closed));
}

// MUST 9000-9-2, 9000-9-3, 9000-18.2-2
#[test]
fn a_server_that_forbids_migration_is_obeyed_but_follows_a_nat() {
    let mut forbids = TransportConfig::default();
    forbids.allow_migration = false;
    let mut pair = Pair::new(TransportConfig::default(), forbids);
    let mut flow = Flow::connect(&mut pair, Side::Server, 20 << 20);
    let (now, client) = (pair.now, flow.client);
    for at_once in [false, true] {
        assert_eq!(pair.client(client).migrate(now, SECOND, at_once), Err(MigrateError::Disabled));
    }
    flow.run_for(&mut pair, Duration::from_millis(50));
    pair.link = Box::new(|flying| {
        if flying.to == address(SERVER) {
            flying.from = address(ELSEWHERE);
        }
        true
    });
    flow.run(&mut pair, Duration::from_secs(20));
    assert_eq!(pair.server(flow.server).remote(), address(ELSEWHERE));
}

// MUST 9000-9-2
#[test]
fn without_a_spare_id_there_is_no_move() {
    let mut raw = Raw::client_with(TransportConfig::default(), params());
    let now = raw.now;
    for at_once in [false, true] {
        assert_eq!(raw.victim().migrate(now, SECOND, at_once), Err(MigrateError::NoSpareCid));
    }
    raw.frames(&[Frame::NewConnectionId(NewConnectionId {
        path: None,
        seq: 1,
        retire_prior_to: 0,
        cid: Cid::new(b"second!!").expect("short"),
        token: ResetToken([5; 16]),
    })]);
    assert_eq!(raw.victim().migrate(now, SECOND, false), Ok(()));
    assert_eq!(raw.victim().migrate(now, SECOND, false), Err(MigrateError::NoSpareCid), "it is in use");
    let disabled = TransportParameters { disable_active_migration: true, ..params() };
    let mut raw = Raw::client_with(TransportConfig::default(), disabled);
    let now = raw.now;
    assert_eq!(raw.victim().migrate(now, SECOND, true), Err(MigrateError::Disabled));
}

#[test]
fn a_way_that_is_lossy_is_validated_all_the_same() {
    let mut pair = pair();
    let mut n = 3u32;
    pair.link = Box::new(move |flying| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let lossy = [flying.from, flying.to].contains(&address(ELSEWHERE));
        !lossy || n >> 16 >= 65_536 / 3
    });
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client(client).migrate(now, SECOND, false).expect("it may");
    pair.pass(Duration::from_secs(3));
    assert!(pair.client.has(client, &Event::Moved { remote: address(SERVER), socket: 1 }));
}
