//! Handshakes, transfers and ends of connections between two endpoints of ours, in virtual time.

mod pair;

use pair::flow::{drain, pattern, pump};
use pair::{Pair, Policy};
use tq_quic::time::Duration;
use tq_quic::wire::{Dir, StreamId};
use tq_quic::{Connection, ConnectionError, Event, StreamEvent, mem::Vec};

/// Sends `len` bytes from client to server and returns the virtual seconds it took.
fn transfer(pair: &mut Pair, len: usize) -> f64 {
    let (client, server) = pair.connected();
    let data = pattern(len);
    let id = pair.client(client).open(Dir::Uni).expect("streams are allowed");
    let (mut at, mut got, mut done, mut accepted) = (0, Vec::new(), false, false);
    let start = pair.now;
    pair.drive_for(Duration::from_secs(600), |pair| {
        pump(pair.client(client), id, &data, &mut at);
        let connection = pair.server(server);
        accepted |= connection.accept(Dir::Uni).is_some();
        if accepted {
            done |= drain(connection, id, &mut got);
        }
        done
    });
    assert!(done, "only {} of {len} bytes arrived", got.len());
    assert!(got == data, "bytes were altered");
    (pair.now - start).as_secs_f64()
}

#[test]
fn a_handshake_completes_in_one_round_trip_and_a_half() {
    let mut pair = Pair::default();
    let start = pair.now;
    let (client, server) = pair.connected();
    assert!(pair.server.has(server, &Event::Connected));
    assert!((pair.now - start) <= Duration::from_millis(45), "{:?}", pair.now - start);
    assert_eq!(pair.client(client).alpn().as_deref(), Some(&b"test"[..]));
}

#[test]
fn a_megabyte_arrives_over_a_clean_link() {
    let mut pair = Pair::default();
    let seconds = transfer(&mut pair, 1 << 20);
    assert!(seconds < 1.0, "took {seconds} s");
}

#[test]
fn ten_megabytes_arrive_over_a_link_that_loses_and_doubles() {
    let mut pair = Pair::default();
    let mut n = 0u32;
    pair.link = Box::new(move |_| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        n >> 16 >= 65_536 / 50
    });
    transfer(&mut pair, 10 << 20);
}

#[test]
fn a_handshake_survives_thirty_percent_loss() {
    for seed in 0..20u32 {
        let mut pair = Pair::default();
        let mut n = seed.wrapping_mul(2_654_435_761);
        let mut in_a_row = 0;
        pair.link = Box::new(move |_| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let drop = n >> 16 < 19_660 && in_a_row < 3;
            in_a_row = if drop { in_a_row + 1 } else { 0 };
            !drop
        });
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(30), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "seed {seed}: {:?}", pair.client.events);
    }
}

#[test]
fn a_retry_proves_the_address_and_the_handshake_goes_on() {
    let mut pair = Pair::default();
    pair.server.policy = |_| Policy::Retry;
    let (client, _) = pair.connected();
    assert!(!pair.client(client).is_closed());
}

#[test]
fn a_refused_client_learns_why() {
    let mut pair = Pair::default();
    pair.server.policy = |_| Policy::Refuse;
    let client = pair.connect();
    pair.pass(Duration::from_secs(1));
    let refused = pair.client.events.iter().any(|(handle, event)| {
        *handle == client
            && matches!(event, Event::Closed(ConnectionError::PeerTransport { code, .. })
                if *code == tq_quic::wire::Code::CONNECTION_REFUSED)
    });
    assert!(refused, "{:?}", pair.client.events);
}

#[test]
fn a_server_that_is_silent_is_given_up_after_thirty_seconds() {
    let mut pair = Pair::default();
    pair.server.policy = |_| Policy::Ignore;
    let client = pair.connect();
    pair.pass(Duration::from_millis(29_900));
    assert!(pair.client.connections.contains_key(&client));
    pair.pass(Duration::from_millis(200));
    assert!(pair.client.has(client, &Event::Closed(ConnectionError::HandshakeTimeout)));
}

#[test]
fn an_idle_connection_ends_after_the_timeout() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    pair.pass(Duration::from_secs(31));
    assert!(
        pair.client.has(client, &Event::Closed(ConnectionError::IdleTimeout)),
        "{:?}",
        pair.client.events
    );
    assert!(pair.client.connections.is_empty() && pair.server.connections.is_empty());
    assert_eq!(pair.server.endpoint.connections(), 0);
}

#[test]
fn an_application_close_reaches_the_other_side_with_its_reason() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let now = pair.now;
    pair.client(client).close(now, 42, b"enough");
    pair.pass(Duration::from_secs(1));
    let reason = ConnectionError::PeerApplication { code: 42, reason: b"enough".to_vec() };
    assert!(pair.server.has(server, &Event::Closed(reason)), "{:?}", pair.server.events);
    assert!(pair.client.connections.is_empty() && pair.server.connections.is_empty(), "state must go");
}

#[test]
fn a_hundred_streams_share_a_connection() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let data = pattern(20_000);
    let ids: Vec<StreamId> =
        (0..100).map(|_| pair.client(client).open(Dir::Bi).expect("100 streams are allowed")).collect();
    let mut at = vec![0; ids.len()];
    let mut got: Vec<Vec<u8>> = vec![Vec::new(); ids.len()];
    let mut done = vec![false; ids.len()];
    pair.drive_for(Duration::from_secs(60), |pair| {
        for (id, at) in ids.iter().zip(&mut at) {
            if *at <= data.len() {
                pump(pair.client(client), *id, &data, at);
            }
        }
        let connection = pair.server(server);
        while connection.accept(Dir::Bi).is_some() {}
        for (i, id) in ids.iter().enumerate() {
            done[i] = done[i] || drain(connection, *id, &mut got[i]);
        }
        done.iter().all(|done| *done)
    });
    assert!(done.iter().all(|done| *done));
    assert!(got.iter().all(|got| *got == data));
}

#[test]
fn datagrams_arrive_both_ways() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    for n in 0..20u8 {
        pair.client(client).send_datagram(vec![n; 500].into()).expect("room");
        pair.server(server).send_datagram(vec![n; 400].into()).expect("room");
    }
    pair.pass(Duration::from_secs(1));
    let count = |connection: &mut Connection| std::iter::from_fn(|| connection.read_datagram()).count();
    assert_eq!(count(pair.server(server)), 20);
    assert_eq!(count(pair.client(client)), 20);
}

#[test]
fn keys_update_while_data_flows() {
    let mut config = tq_quic::TransportConfig::default();
    config.key_update_after = 200;
    let mut pair = Pair::new(config.clone(), config);
    transfer(&mut pair, 8 << 20);
    let generation = pair.client.connections.values().next().expect("alive").stats().key_generation;
    assert!(generation >= 2, "only {generation} updates");
}

#[test]
fn the_path_size_is_found() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.client(client).stats().paths[0].mtu, 1452);
    assert_eq!(pair.server(server).stats().paths[0].mtu, 1452);
}

#[test]
fn a_narrow_path_is_found_and_not_exceeded() {
    let mut pair = Pair { link: Box::new(|flying| flying.bytes.len() <= 1400), ..Pair::default() };
    let (client, _) = pair.connected();
    pair.pass(Duration::from_secs(20));
    let mtu = pair.client(client).stats().paths[0].mtu;
    assert!((1380..=1400).contains(&mtu), "found {mtu}");
}

#[test]
fn a_stopped_stream_tells_its_writer() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client(client).open(Dir::Bi).expect("allowed");
    pair.client(client).write_slice(id, b"hello").expect("room");
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.server(server).accept(Dir::Bi), Some(id));
    pair.server(server).stop(id, 9).expect("open");
    pair.pass(Duration::from_millis(100));
    assert!(pair.client.has(client, &Event::Stream(StreamEvent::Stopped { id, code: 9 })));
}

#[test]
fn stream_bytes_are_counted_once_when_they_are_new() {
    let mut pair = Pair::default();
    let mut n = 0u32;
    pair.link = Box::new(move |_| {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        n >> 16 >= 65_536 / 50
    });
    transfer(&mut pair, 1 << 20);
    let sent = pair.client.connections.values().next().expect("alive").stats().counters;
    let received = pair.server.connections.values().next().expect("alive").stats().counters;
    assert_eq!((sent.stream_bytes_sent, received.stream_bytes_received), (1 << 20, 1 << 20));
    assert!(sent.stream_bytes_resent > 0 && sent.stream_bytes_resent < 200_000);
}
