//! Several paths between two honest ends (draft-ietf-quic-multipath-21): agreeing, opening, using, ending.

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::Pair;
use pair::flow::Flow;
use pair::multi::{connected, delay, info, link, open, pair as paths_pair, paths};
use tq_quic::sched::Kind;
use tq_quic::time::Duration;
use tq_quic::wire::{Code, PathId, Side};
use tq_quic::{
    ClosePathError, ConnectionError, Event, OpenPathError, PathEvent, PathState, Status, TransportConfig,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

// MUST mp21-2-1
#[test]
fn multipath_is_in_force_only_if_both_ends_want_it() {
    let config = |wanted: bool| if wanted { paths(4) } else { TransportConfig::default() };
    for (ours, theirs) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut pair = Pair::new(config(ours), config(theirs));
        let (client, server) = pair.connected();
        pair.pass(SECOND);
        let both = ours && theirs;
        assert_eq!(pair.client(client).is_multipath(), both);
        assert_eq!(pair.server(server).is_multipath(), both);
        assert_eq!(pair.client.has(client, &Event::Path(PathEvent::MayOpen)), both);
        let (now, remote) = (pair.now, pair.server.address);
        let opened = pair.client(client).open_path(now, 0, None, remote);
        assert_eq!(opened, if both { Ok(PathId(1)) } else { Err(OpenPathError::NotNegotiated) });
        let mut flow = Flow::over(&mut pair, (client, server), Side::Client, 100_000);
        flow.run(&mut pair, SECOND);
    }
}

#[test]
fn one_path_is_an_agreement_without_a_second_path() {
    let mut pair = Pair::new(paths(1), paths(4));
    let (client, _) = pair.connected();
    pair.pass(SECOND);
    assert!(pair.client(client).is_multipath());
    let (now, remote) = (pair.now, pair.server.address);
    assert_eq!(pair.client(client).open_path(now, 0, None, remote), Err(OpenPathError::LocalLimit));
}

#[test]
fn only_clients_open_paths_and_only_while_they_live() {
    let mut pair = paths_pair(2);
    let (client, server) = pair.connected();
    pair.pass(SECOND);
    let (now, remote) = (pair.now, pair.server.address);
    assert_eq!(pair.server(server).open_path(now, 0, None, remote), Err(OpenPathError::NotClient));
    pair.client(client).close(now, 0, b"");
    assert_eq!(pair.client(client).open_path(now, 0, None, remote), Err(OpenPathError::Closed));
}

/// Bytes each path of the sender has carried.
fn carried(pair: &mut Pair, flow: &Flow) -> Vec<u64> {
    let sender = if flow.from.is_client() { pair.client(flow.client) } else { pair.server(flow.server) };
    sender.stats().paths.iter().map(|path| path.bytes_sent).collect()
}

fn uses_all(count: u32, from: Side, scheduler: Kind) {
    let mut pair = paths_pair(count);
    let mut config = (*pair.client_transport).clone();
    config.scheduler = scheduler;
    pair.client_transport = std::sync::Arc::new(config);
    let ends = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, ends, from, 16 << 20);
    flow.run(&mut pair, 20 * SECOND);
    let carried = carried(&mut pair, &flow);
    assert_eq!(carried.len(), count as usize);
    assert!(carried.iter().all(|bytes| *bytes > 200_000), "{from:?} {scheduler}: {carried:?}");
    assert_eq!(pair.client(flow.client).stats().path_changes_refused, 0);
    assert_eq!(pair.server(flow.server).stats().path_changes_refused, 0);
}

#[test]
fn two_paths_carry_an_upload() {
    uses_all(2, Side::Client, Kind::MinRtt);
    uses_all(2, Side::Client, Kind::RoundRobin);
}

#[test]
fn two_paths_carry_a_download() {
    uses_all(2, Side::Server, Kind::MinRtt);
}

#[test]
fn eight_paths_carry_both_directions() {
    uses_all(8, Side::Client, Kind::RoundRobin);
    uses_all(8, Side::Server, Kind::MinRtt);
}

#[test]
fn each_path_measures_its_own_round_trip() {
    let mut pair = paths_pair(3);
    delay(&mut pair, 1, 50 * MS);
    delay(&mut pair, 2, 200 * MS);
    let ends = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, ends, Side::Client, 8 << 20);
    flow.run(&mut pair, 20 * SECOND);
    for (id, expected) in [(0, 20), (1, 100), (2, 400)] {
        let stats = pair.client(ends.0).path_stats(PathId(id)).expect("a path");
        let min = stats.min_rtt.as_millis() as u64;
        assert!((expected..expected + 15).contains(&min), "path {id}: {min} ms");
    }
}

// MUST mp21-3.4-1, mp21-3.4-3
#[test]
fn both_ends_abandon_and_the_data_goes_on() {
    for by in [Side::Client, Side::Server] {
        for gone in [0, 1] {
            let mut pair = paths_pair(2);
            let ends = connected(&mut pair);
            let mut flow = Flow::over(&mut pair, ends, Side::Client, 16 << 20);
            flow.run_for(&mut pair, 80 * MS);
            assert!(!flow.done);
            let now = pair.now;
            let end = if by.is_client() { pair.client(ends.0) } else { pair.server(ends.1) };
            end.close_path(now, PathId(gone), 0x3e).expect("another is left");
            assert_eq!(end.close_path(now, PathId(gone), 0), Err(ClosePathError::Unknown));
            assert_eq!(end.close_path(now, PathId(1 - gone), 0), Err(ClosePathError::LastPath));
            flow.run(&mut pair, 20 * SECOND);
            pair.pass(20 * SECOND);
            let told = |local| Event::Path(PathEvent::Abandoned { path: PathId(gone), code: 0x3e, local });
            let closed = Event::Path(PathEvent::Closed(PathId(gone)));
            assert!(pair.client.has(ends.0, &told(by.is_client())), "{:?}", pair.client.events);
            assert!(pair.server.has(ends.1, &told(by.is_server())));
            assert!(pair.client.has(ends.0, &closed) && pair.server.has(ends.1, &closed));
            assert_eq!(pair.client(ends.0).paths().count(), 1);
            assert_eq!(pair.server(ends.1).paths().count(), 1);
            // and what began on path 0 goes on without it
            let mut flow = Flow::over(&mut pair, ends, Side::Server, 1 << 20);
            flow.run(&mut pair, 20 * SECOND);
            assert_eq!(pair.server.endpoint.counters().datagrams_sent, 0, "no stateless reset");
        }
    }
}

// MUST mp21-3.1-1, mp21-3.4-4
#[test]
fn path_ids_are_granted_as_others_end_and_never_come_back() {
    let mut pair = paths_pair(2);
    let ends = connected(&mut pair);
    let (now, remote) = (pair.now, pair.server.address);
    assert!(matches!(
        pair.client(ends.0).open_path(now, 1, None, remote),
        Err(OpenPathError::PeerLimit | OpenPathError::LocalLimit)
    ));
    for last in 1..20 {
        let now = pair.now;
        pair.client(ends.0).close_path(now, PathId(last), 0).expect("another is left");
        pair.pass(5 * SECOND);
        assert_eq!(open(&mut pair, ends.0, 1), PathId(last + 1));
        pair.pass(SECOND);
        let state = info(&mut pair, ends.0, PathId(last + 1)).expect("a path").state;
        assert_eq!(state, PathState::Active);
    }
    let mut flow = Flow::over(&mut pair, ends, Side::Client, 4 << 20);
    flow.run(&mut pair, 20 * SECOND);
}

#[test]
fn paths_that_come_and_go_all_the_time_lose_nothing() {
    let mut pair = paths_pair(4);
    let ends = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, ends, Side::Client, 24 << 20);
    let mut n = 7u32;
    while !flow.done {
        flow.run_for(&mut pair, 100 * MS);
        n = n.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let live: Vec<PathId> =
            pair.client(ends.0).paths().filter(|path| path.state.is_usable()).map(|path| path.id).collect();
        let now = pair.now;
        let id = live[(n >> 8) as usize % live.len()];
        let end = if n & 1 == 0 { pair.client(ends.0) } else { pair.server(ends.1) };
        let _ = end.close_path(now, id, 0);
        let (socket, remote) = ((n >> 16) as usize % 4, pair.server.address);
        let _ = pair.client(ends.0).open_path(now, socket as u32, Some(link(socket).ip()), remote);
        assert!(pair.client.closed(ends.0).is_none() && pair.server.closed(ends.1).is_none());
        assert!(pair.now.as_nanos() < 60_000_000_000, "too slow");
    }
    assert!(flow.got == flow.data);
}

#[test]
fn a_path_on_standby_carries_data_only_when_the_others_are_gone() {
    for by in [Side::Client, Side::Server] {
        let mut pair = paths_pair(2);
        let ends = connected(&mut pair);
        let now = pair.now;
        let end = if by.is_client() { pair.client(ends.0) } else { pair.server(ends.1) };
        end.set_path_status(now, PathId(1), Status::Backup).expect("a path");
        pair.pass(200 * MS);
        let told = Event::Path(PathEvent::Status { path: PathId(1), status: Status::Backup });
        assert!(if by.is_client() { pair.server.has(ends.1, &told) } else { pair.client.has(ends.0, &told) });
        assert_eq!(info(&mut pair, ends.0, PathId(1)).expect("a path").state, PathState::Standby);
        let mut flow = Flow::over(&mut pair, ends, Side::Client, 4 << 20);
        let before = carried(&mut pair, &flow);
        flow.run(&mut pair, 20 * SECOND);
        let after = carried(&mut pair, &flow);
        assert!(after[1] - before[1] < 20_000, "{before:?} {after:?}");
        let now = pair.now;
        pair.client(ends.0).close_path(now, PathId(0), 0).expect("another is left");
        let mut flow = Flow::over(&mut pair, ends, Side::Client, 1 << 20);
        flow.run(&mut pair, 20 * SECOND);
    }
}

#[test]
fn a_status_set_before_validation_takes_effect_with_it() {
    let mut pair = paths_pair(2);
    let (client, server) = pair.connected();
    pair.pass(200 * MS);
    let id = open(&mut pair, client, 1);
    let now = pair.now;
    pair.client(client).set_path_status(now, id, Status::Backup).expect("a path");
    assert_eq!(info(&mut pair, client, id).expect("a path").state, PathState::Validating);
    pair.pass(SECOND);
    assert_eq!(info(&mut pair, client, id).expect("a path").state, PathState::Standby);
    let theirs = pair.server(server).paths().find(|path| path.id == id).expect("a path");
    assert_eq!((theirs.state, theirs.peer_status), (PathState::Standby, Status::Backup));
}

// MUST mp21-3.1-7, mp21-3.1-8
#[test]
fn a_path_that_never_answers_fails_after_three_seconds_and_its_id_is_spent() {
    let mut pair = paths_pair(2);
    let (client, server) = pair.connected();
    pair.pass(200 * MS);
    pair.link = Box::new(|flying| flying.from != link(1) && flying.to != link(1));
    let id = open(&mut pair, client, 1);
    pair.pass(2900 * MS);
    assert_eq!(info(&mut pair, client, id).expect("still trying").state, PathState::Validating);
    pair.pass(SECOND);
    assert!(pair.client.has(client, &Event::Path(PathEvent::Failed(id))), "{:?}", pair.client.events);
    // the server never heard of the path and answers all the same
    assert!(pair.server.events.iter().any(|(_, event)| matches!(event,
        Event::Path(PathEvent::Abandoned { path, local: false, .. }) if *path == id)));
    pair.link = Box::new(|_| true);
    pair.pass(5 * SECOND);
    assert_eq!(open(&mut pair, client, 1), PathId(2));
    pair.pass(SECOND);
    assert_eq!(pair.server(server).paths().count(), 2);
}

#[test]
fn a_client_whose_last_path_never_answers_ends_for_want_of_one() {
    let mut pair = paths_pair(2);
    let (client, server) = pair.connected();
    pair.pass(200 * MS);
    pair.link = Box::new(|flying| flying.from != link(1) && flying.to != link(1));
    open(&mut pair, client, 1);
    let now = pair.now;
    pair.client(client).close_path(now, PathId::ZERO, 0).expect("one is left, as far as anybody knows");
    pair.pass(10 * SECOND);
    let error = pair.client.closed(client).expect("it is over");
    assert!(
        matches!(error, ConnectionError::Violation(error) if error.code == Code::NO_VIABLE_PATH),
        "{error}"
    );
    // the server knows of the end of path 0 alone, and is left to its patience
    assert!(pair.server.closed(server).is_none_or(|error| *error == ConnectionError::IdleTimeout));
}

#[test]
fn a_path_of_600_ms_validates() {
    let mut pair = paths_pair(2);
    delay(&mut pair, 1, 300 * MS);
    let ends = connected(&mut pair);
    let rtt = pair.client(ends.0).path_stats(PathId(1)).expect("a path").min_rtt;
    assert!(rtt >= 600 * MS && rtt < 620 * MS, "{rtt:?}");
}

// MUST mp21-3.1-4
#[test]
fn four_full_datagrams_open_a_path_and_the_server_keeps_to_three_times_what_came() {
    let mut pair = paths_pair(2);
    let (client, _) = pair.connected();
    pair.pass(200 * MS);
    let counts = Rc::new(RefCell::new((Vec::new(), 0u64)));
    let seen = Rc::clone(&counts);
    pair.link = Box::new(move |flying| {
        let mut seen = seen.borrow_mut();
        if flying.from == link(1) {
            seen.0.push(flying.bytes.len());
        }
        if flying.to == link(1) {
            seen.1 += flying.bytes.len() as u64;
            return false;
        }
        true
    });
    open(&mut pair, client, 1);
    pair.pass(10 * MS);
    assert_eq!(counts.borrow().0, [1200; 4]);
    pair.pass(10 * SECOND);
    let counts = counts.borrow();
    let brought: usize = counts.0.iter().sum();
    assert!(counts.1 > 0 && counts.1 <= 3 * brought as u64, "{} for {brought}", counts.1);
}

// MUST mp21-3.1.2-1
#[test]
fn one_path_is_rebound_and_the_others_do_not_notice() {
    let mut pair = paths_pair(2);
    let ends = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, ends, Side::Server, 32 << 20);
    flow.run_for(&mut pair, 100 * MS);
    assert!(!flow.done);
    let stats = |pair: &mut Pair, id| pair.server(ends.1).path_stats(PathId(id)).expect("a path");
    let before = stats(&mut pair, 0);
    let elsewhere: SocketAddr = "203.0.113.77:9999".parse().expect("an address");
    pair.link = Box::new(move |flying| {
        if flying.from == link(1) {
            flying.from = elsewhere;
        }
        if flying.to == elsewhere {
            flying.to = link(1);
            return true;
        }
        flying.to != link(1)
    });
    flow.run(&mut pair, 30 * SECOND);
    pair.pass(SECOND);
    assert!(pair.server.has(ends.1, &Event::Path(PathEvent::Rebound(PathId(1)))));
    let (first, second) = (stats(&mut pair, 0), stats(&mut pair, 1));
    assert_eq!((second.remote, second.validated), (elsewhere, true));
    assert_eq!(first.remote, link(0));
    assert!(first.min_rtt == before.min_rtt);
    assert!(!pair.server.has(ends.1, &Event::Path(PathEvent::Rebound(PathId(0)))));
}

/// Cuts link `cut` without a word while data flows; returns the seconds it took.
fn silent_death(from: Side, cut: usize) -> f64 {
    let mut pair = paths_pair(2);
    delay(&mut pair, 1, 20 * MS);
    let ends = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, ends, from, 24 << 20);
    flow.run_for(&mut pair, 150 * MS);
    assert!(!flow.done);
    pair.link = Box::new(move |flying| flying.from != link(cut) && flying.to != link(cut));
    let took = flow.run(&mut pair, 30 * SECOND);
    let end = if from.is_client() { pair.client(ends.0) } else { pair.server(ends.1) };
    assert!(end.paths().any(|path| path.id == PathId(cut as u32) && path.silent));
    // it comes back as well
    pair.link = Box::new(|_| true);
    pair.pass(5 * SECOND);
    let end = if from.is_client() { pair.client(ends.0) } else { pair.server(ends.1) };
    assert!(end.paths().all(|path| !path.silent));
    took
}

#[test]
fn a_path_that_dies_in_silence_loses_nothing() {
    for from in [Side::Client, Side::Server] {
        for cut in [0, 1] {
            let took = silent_death(from, cut);
            assert!(took < 8.0, "{took} s, {from:?}, link {cut}");
        }
    }
}

#[test]
fn keys_are_updated_over_all_paths() {
    let mut pair = paths_pair(3);
    delay(&mut pair, 2, 150 * MS);
    let ends = connected(&mut pair);
    let start = pair.now;
    let mut updates = 0;
    while updates < 4 {
        let mut flow = Flow::over(&mut pair, ends, Side::Client, 256 << 10);
        flow.run(&mut pair, 10 * SECOND);
        let now = pair.now;
        updates += u64::from(pair.client(ends.0).update_keys(now));
        assert!(pair.client.closed(ends.0).is_none(), "{:?}", pair.client.closed(ends.0));
        assert!(pair.server.closed(ends.1).is_none(), "{:?}", pair.server.closed(ends.1));
        assert!(pair.now.as_nanos() < 120_000_000_000, "too slow");
    }
    // the last one shows with the next packets
    let mut flow = Flow::over(&mut pair, ends, Side::Client, 256 << 10);
    flow.run(&mut pair, 10 * SECOND);
    let stats = pair.server(ends.1).stats();
    assert_eq!(stats.key_generation, updates);
    // 300 ms round trip: an update waits for three PTO of the slowest path
    assert!(pair.now - start > 4 * 800 * MS, "{:?}", pair.now - start);
}

#[test]
fn a_close_reaches_the_peer_whichever_path_works() {
    for cut in [0, 1] {
        let mut pair = paths_pair(2);
        let ends = connected(&mut pair);
        pair.link = Box::new(move |flying| flying.from != link(cut) && flying.to != link(cut));
        let now = pair.now;
        pair.client(ends.0).close(now, 7, b"enough");
        pair.pass(100 * MS);
        let expected = ConnectionError::PeerApplication { code: 7, reason: b"enough".to_vec() };
        assert_eq!(pair.server.closed(ends.1), Some(&expected));
    }
}

#[test]
fn silence_on_all_paths_ends_the_connection_and_a_word_on_one_keeps_it() {
    let mut pair = paths_pair(2);
    let ends = connected(&mut pair);
    pair.link = Box::new(|flying| flying.from != link(0) && flying.to != link(0));
    for _ in 0..6 {
        pair.pass(10 * SECOND);
        pair.client(ends.0).ping_path(PathId(1)).expect("a path");
    }
    assert!(pair.client.closed(ends.0).is_none());
    pair.pass(40 * SECOND);
    assert_eq!(pair.client.closed(ends.0), Some(&ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(ends.1), Some(&ConnectionError::IdleTimeout));
}

#[test]
fn a_message_goes_on_the_path_it_is_for() {
    let mut pair = paths_pair(3);
    let ends = connected(&mut pair);
    pair.pass(2 * SECOND);
    for id in 0..3 {
        let counts = Rc::new(RefCell::new([0usize; 3]));
        let seen = Rc::clone(&counts);
        pair.link = Box::new(move |flying| {
            if let Some(n) = (0..3).find(|n| flying.from == link(*n) && flying.bytes.len() > 500) {
                seen.borrow_mut()[n] += 1;
            }
            true
        });
        let message = vec![id as u8; 1000];
        pair.client(ends.0).send_datagram_on(PathId(id), message.clone().into()).expect("room");
        pair.pass(100 * MS);
        assert_eq!(pair.server(ends.1).read_datagram().as_deref(), Some(&message[..]));
        let mut expected = [0; 3];
        expected[id as usize] = 1;
        assert_eq!(*counts.borrow(), expected);
    }
    assert!(pair.client(ends.0).send_datagram_on(PathId(9), vec![1].into()).is_err());
}

#[test]
fn a_server_answers_on_the_address_each_path_leads_to() {
    let mut config = paths(2);
    config.scheduler = Kind::RoundRobin;
    let mut pair = Pair::new(config.clone(), config);
    pair.client.others = vec![link(1)];
    let second: SocketAddr = "192.0.2.3:443".parse().expect("an address");
    pair.server.others = vec![second];
    let (client, server) = pair.connected();
    pair.pass(200 * MS);
    let now = pair.now;
    let id = pair.client(client).open_path(now, 1, Some(link(1).ip()), second).expect("a path");
    pair.pass(SECOND);
    let theirs = pair.server(server).paths().find(|path| path.id == id).expect("a path");
    assert_eq!((theirs.local_ip, theirs.state), (Some(second.ip()), PathState::Active));
    let mut flow = Flow::over(&mut pair, (client, server), Side::Server, 8 << 20);
    flow.run(&mut pair, 20 * SECOND);
    assert!(pair.client(client).path_stats(id).expect("a path").bytes_received > 1_000_000);
}

#[test]
fn a_second_path_between_the_same_addresses_needs_no_proof() {
    let mut pair = paths_pair(2);
    let (client, server) = pair.connected();
    pair.pass(200 * MS);
    let id = open(&mut pair, client, 0);
    pair.pass(15 * MS);
    let theirs = pair.server(server).paths().find(|path| path.id == id).expect("a path");
    assert!(theirs.validated);
    pair.pass(SECOND);
    assert_eq!(info(&mut pair, client, id).expect("a path").state, PathState::Active);
}

#[test]
fn nothing_but_path_0_exists_before_the_handshake_is_complete() {
    let mut pair = paths_pair(2);
    let client = pair.connect();
    let (now, remote) = (pair.now, pair.server.address);
    assert_eq!(pair.client(client).open_path(now, 1, None, remote), Err(OpenPathError::NotNegotiated));
    pair.drive_for(SECOND, |pair| pair.client.has(client, &Event::Connected));
    assert!(!pair.client.has(client, &Event::Confirmed));
    let now = pair.now;
    assert_eq!(pair.client(client).open_path(now, 1, None, remote), Ok(PathId(1)));
}

/// A pair that opens its second path as soon as it may, `way` one way over it; the server's view of that path `after`.
fn opened_at_once(way: Duration, after: Duration) -> Option<(u64, Duration)> {
    let mut pair = paths_pair(2);
    delay(&mut pair, 1, way);
    let begin = pair.now;
    let client = pair.connect();
    let may = Event::Path(PathEvent::MayOpen);
    pair.drive_for(SECOND, |pair| pair.client.has(client, &may));
    let may_after = pair.now - begin;
    let id = open(&mut pair, client, 1);
    pair.drive_for((begin + after) - pair.now, |_| false);
    let server = pair.server.accepted.pop_front()?;
    pair.server(server).path_stats(id).map(|stats| (stats.bytes_received, may_after))
}

#[test]
fn a_path_opens_with_the_clients_first_1_rtt_packets() {
    // 10 ms one way: the server has the client's Finished after 30, and what opens the path with it
    let (bytes, may_after) = opened_at_once(10 * MS, 35 * MS).expect("a path");
    assert!(may_after <= 25 * MS, "{may_after:?}");
    assert!(bytes >= 4 * 1200, "{bytes}");
}

#[test]
fn what_opens_a_path_may_overtake_the_finished_and_its_bytes_count_for_the_path() {
    let (bytes, _) = opened_at_once(MS, 35 * MS).expect("a path");
    assert!(bytes >= 4 * 1200, "{bytes}");
}

#[test]
fn connections_have_tokens_of_their_own() {
    let mut pair = Pair::default();
    let one = pair.connect();
    let two = pair.connect();
    assert_ne!(pair.client(one).token(), pair.client(two).token());
}
