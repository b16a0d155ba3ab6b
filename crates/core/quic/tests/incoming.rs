//! Strangers that are decided late: the rest of their first flight is kept, within bounds.

mod pair;

use std::sync::Arc;

use pair::Pair;
use tq_quic::wire::Ecn;
use tq_quic::{ClientConfig, Connection, Endpoint, RecvMeta, Route, TransportConfig};

/// A client whose ClientHello takes two datagrams, and what it sends first.
fn flight(pair: &mut Pair) -> (Connection, Vec<Vec<u8>>) {
    let tls = tq_tls::ClientConfig::insecure().alpn(["test"]).post_quantum(true).build().expect("client TLS");
    let config = ClientConfig::new(tls, Arc::new(TransportConfig::default()));
    let remote = pair.server.address;
    let (_, mut connection) =
        pair.client.endpoint.connect(pair.now, &config, remote, 0, "localhost").expect("a name");
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    let mut flight = Vec::new();
    while let Some(transmit) = connection.transmit(pair.now, &mut buf, 1) {
        flight.push(buf[..transmit.len].to_vec());
    }
    (connection, flight)
}

fn meta(pair: &Pair) -> RecvMeta {
    RecvMeta { remote: pair.client.address, local_ip: None, socket: 0, ecn: Ecn::NotEct }
}

fn receive(pair: &mut Pair, datagram: &[u8]) -> Route {
    let meta = meta(pair);
    let endpoint: &mut Endpoint = &mut pair.server.endpoint;
    endpoint.receive(pair.now, &meta, &mut datagram.to_vec(), &mut Vec::new())
}

#[test]
fn the_second_datagram_of_a_client_hello_waits_for_the_decision() {
    let mut pair = Pair::default();
    let (mut client, flight) = flight(&mut pair);
    assert_eq!(flight.len(), 2, "a post-quantum key share needs two datagrams");
    let Route::Incoming(incoming) = receive(&mut pair, &flight[0]) else { panic!("a stranger") };
    assert!(matches!(receive(&mut pair, &flight[1]), Route::Kept));
    let now = pair.now;
    let (_, mut server) =
        pair.server.endpoint.accept(now, incoming, &mut Vec::new()).expect("it can be served");
    // the whole ClientHello is there: the server answers with its own flight, and that completes the client
    let meta = RecvMeta { remote: pair.server.address, ..meta(&pair) };
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    while let Some(transmit) = server.transmit(now, &mut buf, 1) {
        client.receive(now, &meta, &mut buf[..transmit.len]);
    }
    assert!(!client.is_handshaking());
}

#[test]
fn only_a_few_datagrams_are_kept_for_the_undecided() {
    let mut pair = Pair::default();
    let (_, flight) = flight(&mut pair);
    let Route::Incoming(incoming) = receive(&mut pair, &flight[0]) else { panic!("a stranger") };
    let kept = (0..100).filter(|_| matches!(receive(&mut pair, &flight[1]), Route::Kept)).count();
    assert_eq!(kept, 3);
    pair.server.endpoint.ignore(&incoming);
    assert!(matches!(receive(&mut pair, &flight[0]), Route::Incoming(_)), "ignored once is not for ever");
}

#[test]
fn a_flood_of_strangers_keeps_no_more_than_a_ring_of_names() {
    let mut pair = Pair::default();
    let (_, first) = flight(&mut pair);
    assert!(matches!(receive(&mut pair, &first[0]), Route::Incoming(_)));
    for _ in 0..300 {
        let (_, flight) = flight(&mut pair);
        assert!(matches!(receive(&mut pair, &flight[0]), Route::Incoming(_)));
    }
    // the first was pushed out: it is a new stranger
    assert!(matches!(receive(&mut pair, &first[0]), Route::Incoming(_)));
    assert_eq!(pair.server.endpoint.half_open(), 0);
}
