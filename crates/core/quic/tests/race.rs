//! A handshake raced over several links: the first that answers becomes path 0.

mod pair;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pair::flow::Flow;
use pair::multi::{delay, link, open, paths};
use pair::{Flying, Pair, Policy};
use tq_quic::time::Duration;
use tq_quic::wire::{PathId, Side};
use tq_quic::{Event, Handle, Local, PathEvent, RaceError};

const MS: Duration = Duration::from_millis(1);

fn local(n: usize) -> Local {
    Local { socket: n as u32, ip: Some(link(n).ip()) }
}

/// A client with `count` links that begins on the first and races over the others.
fn racing(count: usize) -> (Pair, Handle) {
    let mut pair = Pair::new(paths(count as u32), paths(count as u32));
    pair.client.others = (1..count).map(link).collect();
    let client = pair.connect();
    for n in 1..count {
        pair.client(client).race_over(local(n)).expect("before anything was sent");
    }
    (pair, client)
}

/// Where path 0 is when the handshake is done, and how long that took.
fn winner(pair: &mut Pair, client: Handle) -> (u32, Duration) {
    let begin = pair.now;
    pair.drive_for(Duration::from_secs(20), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(pair.client.has(client, &Event::Confirmed), "{:?}", pair.client.events);
    let path = pair.client(client).paths().find(|path| path.id == PathId::ZERO).expect("path 0");
    (path.socket, pair.now - begin)
}

#[test]
fn the_link_that_answers_first_becomes_path_0() {
    for (delays, expected) in [([10, 10, 10], 0), ([100, 50, 10], 2), ([200, 30, 300], 1)] {
        let (mut pair, client) = racing(3);
        for (n, millis) in delays.into_iter().enumerate() {
            delay(&mut pair, n, millis * MS);
        }
        let (socket, took) = winner(&mut pair, client);
        assert_eq!(socket, expected);
        // two round trips and the spacing
        let most = 4 * delays[expected as usize] + 10 * expected + 5;
        assert!(took <= most * MS, "{took:?}");
        let server = pair.server.accepted.pop_front().expect("accepted");
        assert_eq!(pair.server(server).remote(), link(expected as usize));
        assert_eq!(pair.server.connections.len(), 1, "one connection, whatever came");
        let mut flow = Flow::over(&mut pair, (client, server), Side::Server, 1 << 20);
        flow.run(&mut pair, Duration::from_secs(10));
    }
}

/// A race over 100 and 110 ms one way, and a path over the slower link as soon as it may open: whether the server knows after
/// 340 ms that it is proven, and its round trip.
fn slower_link_opened(answers: bool) -> (bool, Duration) {
    let (mut pair, client) = racing(2);
    delay(&mut pair, 0, 100 * MS);
    delay(&mut pair, 1, 110 * MS);
    pair.link = Box::new(move |flying| answers || flying.to != link(1));
    let begin = pair.now;
    let may = Event::Path(PathEvent::MayOpen);
    pair.drive_for(Duration::from_secs(1), |pair| pair.client.has(client, &may));
    assert!(pair.now - begin < 205 * MS, "with the first answer");
    let id = open(&mut pair, client, 1);
    pair.pass(340 * MS - (pair.now - begin));
    let server = pair.server.accepted.pop_front().expect("accepted");
    let proven = pair.server.has(server, &Event::Path(PathEvent::Validated(id)));
    (proven, pair.server(server).path_stats(id).expect("it opened").min_rtt)
}

#[test]
fn a_link_that_lost_the_race_is_proven_by_what_the_server_asked_there() {
    let (proven, rtt) = slower_link_opened(true);
    assert!(proven);
    assert!((218 * MS..225 * MS).contains(&rtt), "{rtt:?}");
}

#[test]
fn a_link_on_which_no_copy_was_answered_is_proven_by_its_own_challenge_and_no_sooner() {
    assert!(!slower_link_opened(false).0);
}

/// The answer says where the client is only if it comes from there: somebody who moves it to an address of his own has proven
/// nothing there, and gets three times at most what he sent.
#[test]
fn an_answer_that_somebody_moves_to_another_address_proves_none() {
    let (mut pair, client) = racing(2);
    delay(&mut pair, 0, 100 * MS);
    delay(&mut pair, 1, 110 * MS);
    let (thief, server_address) = (link(3), pair.server.address);
    let begun = Rc::new(Cell::new(false));
    let (stolen, got) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    pair.link = {
        let (begun, stolen, got) = (Rc::clone(&begun), Rc::clone(&stolen), Rc::clone(&got));
        Box::new(move |flying| {
            if flying.to == thief {
                got.set(got.get() + flying.bytes.len());
            }
            let caught = begun.get() && flying.from == link(1);
            if caught {
                stolen.borrow_mut().push(flying.clone());
            }
            !caught && flying.to != thief
        })
    };
    let may = Event::Path(PathEvent::MayOpen);
    pair.drive_for(Duration::from_secs(1), |pair| pair.client.has(client, &may));
    begun.set(true);
    let id = open(&mut pair, client, 1);
    let mut sent = 0;
    for _ in 0..200 {
        pair.pass(5 * MS);
        for flying in stolen.take() {
            sent += flying.bytes.len();
            pair.inject(Flying { from: thief, to: server_address, at: pair.now + 100 * MS, ..flying });
        }
    }
    let server = pair.server.accepted.pop_front().expect("accepted");
    let path = pair.server(server).paths().find(|path| path.id == id).expect("it opened, there");
    assert_eq!(path.remote, thief);
    assert!(!pair.server.has(server, &Event::Path(PathEvent::Validated(id))));
    assert!(sent > 1200 && got.get() > 0 && got.get() <= 3 * sent, "{} of {sent}", got.get());
}

#[test]
fn what_the_slower_link_still_carries_when_the_race_is_over_is_no_loss_of_the_faster_one() {
    for slower in [200, 240, 280] {
        let (mut pair, client) = racing(2);
        delay(&mut pair, 0, 100 * MS);
        delay(&mut pair, 1, slower * MS);
        // the server speaks as soon as it may, a round trip before `winner` is done
        pair.drive_for(Duration::from_secs(1), |pair| !pair.server.accepted.is_empty());
        let server = pair.server.accepted.pop_front().expect("accepted");
        pair.drive_for(Duration::from_secs(1), |pair| pair.server.has(server, &Event::Connected));
        let mut flow = Flow::over(&mut pair, (client, server), Side::Server, 200_000);
        flow.run(&mut pair, Duration::from_secs(10));
        let stats = pair.server(server).path_stats(PathId::ZERO).expect("path 0");
        assert_eq!(stats.packets_lost, 0, "{slower} ms");
    }
}

#[test]
fn a_dead_first_link_costs_only_the_spacing() {
    let (mut pair, client) = racing(2);
    pair.link = Box::new(|flying| flying.from != link(0) && flying.to != link(0));
    let (socket, took) = winner(&mut pair, client);
    assert_eq!(socket, 1);
    assert!(took < 60 * MS, "{took:?}");
}

#[test]
fn a_link_that_carries_only_upwards_wins_nothing() {
    for dead in [vec![0], vec![0, 1], vec![1]] {
        let (mut pair, client) = racing(3);
        let theirs = dead.clone();
        pair.link = Box::new(move |flying| theirs.iter().all(|n| flying.to != link(*n)));
        let (socket, took) = winner(&mut pair, client);
        assert!(!dead.contains(&(socket as usize)), "{dead:?}: {socket}");
        assert!(took < 100 * MS, "{took:?}");
        let server = pair.server.accepted.pop_front().expect("accepted");
        assert_eq!(pair.server(server).remote(), link(socket as usize));
        pair.link = Box::new(|_| true);
        let mut flow = Flow::over(&mut pair, (client, server), Side::Server, 1 << 20);
        flow.run(&mut pair, Duration::from_secs(10));
    }
}

/// Replayed from elsewhere, an Initial earns no more than the first one did, once for each address, and moves nothing.
#[test]
fn a_replayed_initial_gets_three_times_its_bytes_at_most_and_steals_no_handshake() {
    let mut pair = Pair::new(paths(2), paths(2));
    let client = pair.connect();
    let (got, thief) = (Rc::new(Cell::new(0)), link(3));
    let count = Rc::clone(&got);
    pair.link = Box::new(move |flying| {
        if flying.to == thief {
            count.set(count.get() + flying.bytes.len());
        }
        flying.to != thief
    });
    pair.flush();
    let first: Vec<_> = pair.flying.values().cloned().collect();
    let sent: usize = first.iter().map(|flying| flying.bytes.len()).sum();
    for _ in 0..20 {
        first.iter().for_each(|flying| pair.inject(Flying { from: thief, ..flying.clone() }));
    }
    let (socket, _) = winner(&mut pair, client);
    assert_eq!(socket, 0);
    assert!(got.get() > 0 && got.get() <= 3 * sent, "{} of {sent}", got.get());
}

#[test]
fn links_that_are_all_dead_for_a_while_are_asked_again() {
    let (mut pair, client) = racing(3);
    pair.link = Box::new(|_| false);
    pair.pass(Duration::from_secs(2));
    pair.link = Box::new(|flying| flying.from == link(2) || flying.to == link(2));
    let (socket, took) = winner(&mut pair, client);
    assert_eq!(socket, 2);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_retry_decides_the_race_as_well() {
    let (mut pair, client) = racing(2);
    pair.server.policy = |_| Policy::Retry;
    delay(&mut pair, 0, 80 * MS);
    let (socket, _) = winner(&mut pair, client);
    assert_eq!(socket, 1);
}

#[test]
fn only_a_client_that_has_not_begun_races_and_no_link_twice() {
    let (mut pair, client) = racing(8);
    assert_eq!(pair.client(client).race_over(local(1)), Err(RaceError::Full));
    assert_eq!(pair.client(client).race_over(local(0)), Err(RaceError::Full));
    assert_eq!(pair.client(client).race_over(Local { socket: 9, ip: None }), Err(RaceError::Full));
    winner(&mut pair, client);
    assert_eq!(pair.client(client).race_over(local(1)), Err(RaceError::Late));
    let server = pair.server.accepted.pop_front().expect("accepted");
    assert_eq!(pair.server(server).race_over(local(1)), Err(RaceError::Server));
}
