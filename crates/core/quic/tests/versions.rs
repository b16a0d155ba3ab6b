//! Version Negotiation (RFC 9000 §6, RFC 9368 §4): from a version nobody speaks to one both do, and never because
//! somebody on the side says so.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pair::{CLIENT, Flying, Pair, SERVER};
use tq_quic::event::DropReason;
use tq_quic::time::Duration;
use tq_quic::wire::header::{self, Header};
use tq_quic::wire::{Code, Ecn, Version, Writer};
use tq_quic::{ClientConfig, ConnectionError, EndpointConfig, Event, Handle, TransportConfig};

const RESERVED: Version = Version(0x1a2a_3a4a);

fn speaking(versions: &[Version]) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.versions = versions.to_vec();
    config
}

fn pair_of(client: &[Version], server: &[Version]) -> Pair {
    let transport = TransportConfig::default;
    Pair::with(transport(), transport(), speaking(client), speaking(server))
}

fn connect(pair: &mut Pair, version: Version) -> Handle {
    let mut config = ClientConfig::new(Arc::clone(&pair.tls), Arc::clone(&pair.client_transport));
    config.version = version;
    pair.connect_with(&config)
}

fn confirmed(pair: &mut Pair, client: Handle) -> bool {
    pair.drive_for(Duration::from_secs(5), |pair| pair.client.has(client, &Event::Confirmed));
    pair.client.has(client, &Event::Confirmed)
}

/// A Version Negotiation that fits the client's first Initial.
fn forged(pair: &Pair, initial: &[u8], versions: &[Version]) -> Flying {
    let (dcid, scid) = match Header::parse(initial, 8) {
        Ok(Header::Long { dcid, scid, .. }) => (dcid, scid),
        other => panic!("not an Initial: {other:?}"),
    };
    let mut bytes = vec![0; 7 + dcid.len() + scid.len() + 4 * versions.len()];
    header::encode_negotiation(&mut Writer::new(&mut bytes), 0, &scid, &dcid, versions);
    let from = SERVER.parse().expect("an address");
    let to = CLIENT.parse().expect("an address");
    Flying { at: pair.now + Duration::from_millis(1), from, to, ecn: Ecn::NotEct, bytes }
}

/// Records the client's first datagram.
fn first_datagram(pair: &mut Pair) -> Rc<RefCell<Vec<u8>>> {
    let first = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&first);
    pair.link = Box::new(move |flying| {
        if seen.borrow().is_empty() {
            *seen.borrow_mut() = flying.bytes.clone();
        }
        true
    });
    first
}

#[test]
fn a_client_with_a_reserved_version_is_led_to_version_one() {
    let mut pair = Pair::default();
    let client = connect(&mut pair, RESERVED);
    assert!(confirmed(&mut pair, client), "{:?}", pair.client.events);
    assert_eq!(pair.client(client).version(), Version::V1);
    let server = pair.server.accepted[0];
    assert_eq!(pair.server(server).version(), Version::V1);
}

#[test]
fn packet_numbers_go_on_after_negotiation() {
    let mut pair = Pair::default();
    let client = connect(&mut pair, RESERVED);
    pair.flush();
    let before = pair.client(client).stats().counters.packets_sent;
    assert_eq!(before, 1);
    assert!(confirmed(&mut pair, client));
    assert_eq!(pair.server.endpoint.connections(), 1, "the reserved version left nothing behind");
}

#[test]
fn the_servers_answer_names_its_versions_and_a_reserved_one_and_is_no_larger() {
    let mut pair = pair_of(&[Version::V1], &[Version::V2, Version::V1]);
    let answers = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&answers);
    pair.link = Box::new(move |flying| {
        if flying.to == CLIENT.parse().expect("an address") {
            seen.borrow_mut().push(flying.bytes.clone());
        }
        true
    });
    let client = connect(&mut pair, RESERVED);
    assert!(confirmed(&mut pair, client));
    let answer = answers.borrow()[0].clone();
    let Ok(Header::VersionNegotiation { versions, .. }) = Header::parse(&answer, 8) else {
        panic!("{answer:02x?}")
    };
    let list: Vec<Version> =
        answer[versions].chunks(4).map(|v| Version(u32::from_be_bytes([v[0], v[1], v[2], v[3]]))).collect();
    assert_eq!(list[..2], [Version::V2, Version::V1]);
    assert!(list[2].is_reserved(), "{list:?}");
    assert!(answer.len() < 100);
}

// MUST 9000-5.2.2-1
#[test]
fn a_short_datagram_of_an_unknown_version_is_not_answered() {
    let mut pair = Pair::default();
    connect(&mut pair, RESERVED);
    pair.link = Box::new(|flying| {
        flying.bytes.truncate(1199);
        true
    });
    pair.pass(Duration::from_millis(100));
    assert!(pair.server.endpoint.counters().dropped(DropReason::UnknownVersion) > 0);
    assert_eq!(pair.datagrams[1], 0);
}

// MUST 9000-6.2-1
#[test]
fn without_a_common_version_the_client_gives_up_at_once() {
    let mut pair = pair_of(&[Version::V1], &[Version::V2]);
    let client = connect(&mut pair, Version::V1);
    pair.pass(Duration::from_millis(50));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::VersionMismatch));
    assert!(pair.client.connections.is_empty() && pair.server.endpoint.connections() == 0);
}

#[test]
fn a_reserved_version_without_a_common_one_ends_as_well() {
    let mut pair = pair_of(&[Version::V1], &[Version::V2]);
    let client = connect(&mut pair, RESERVED);
    pair.pass(Duration::from_millis(50));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::VersionMismatch));
}

#[test]
fn version_two_works_between_ends_that_speak_it() {
    let both = [Version::V2, Version::V1];
    let mut pair = pair_of(&both, &both);
    let client = connect(&mut pair, Version::V2);
    assert!(confirmed(&mut pair, client));
    assert_eq!(pair.client(client).version(), Version::V2);
}

// MUST 9000-6.2-3
#[test]
fn a_negotiation_that_offers_our_own_version_is_ignored() {
    let mut pair = Pair::default();
    let first = first_datagram(&mut pair);
    let client = pair.connect();
    pair.flush();
    let lie = forged(&pair, &first.borrow(), &[Version::V2, Version::V1]);
    pair.inject(lie);
    assert!(confirmed(&mut pair, client));
    let dropped = pair.client(client).stats().counters.dropped(DropReason::BadVersionNegotiation);
    assert_eq!(dropped, 1);
}

// MUST 9000-6.2-2
#[test]
fn a_negotiation_after_a_packet_was_heard_is_ignored() {
    let mut pair = Pair::default();
    let first = first_datagram(&mut pair);
    let client = pair.connect();
    assert!(confirmed(&mut pair, client));
    let lie = forged(&pair, &first.borrow(), &[Version(0xff00_0001)]);
    pair.inject(lie);
    pair.pass(Duration::from_millis(50));
    assert_eq!(pair.client.closed(client), None);
    let dropped = pair.client(client).stats().counters.dropped(DropReason::BadVersionNegotiation);
    assert_eq!(dropped, 1);
}

// MUST 9000-6.2-2
#[test]
fn a_second_negotiation_is_ignored() {
    let mut pair = Pair::default();
    let first = first_datagram(&mut pair);
    let client = connect(&mut pair, RESERVED);
    pair.flush();
    let initial = first.borrow().clone();
    // the header of a reserved version is laid out like version 1's
    let mut as_v1 = initial;
    as_v1[1..5].copy_from_slice(&1u32.to_be_bytes());
    let honest = forged(&pair, &as_v1, &[Version::V1]);
    let lie = forged(&pair, &as_v1, &[Version(0xff00_0001)]);
    pair.inject(honest);
    pair.inject(lie);
    assert!(confirmed(&mut pair, client), "{:?}", pair.client.events);
}

#[test]
fn a_negotiation_for_other_connection_ids_is_ignored() {
    let mut pair = Pair::default();
    let first = first_datagram(&mut pair);
    let client = pair.connect();
    pair.flush();
    let mut lie = forged(&pair, &first.borrow(), &[Version(0xff00_0001)]);
    let last_of_scid = 5 + 1 + 8 + 1 + 7;
    lie.bytes[last_of_scid] ^= 1;
    pair.inject(lie);
    assert!(confirmed(&mut pair, client));
}

#[test]
fn a_forged_negotiation_that_hides_the_better_version_is_noticed() {
    let both = [Version::V2, Version::V1];
    let mut pair = pair_of(&both, &both);
    let first = first_datagram(&mut pair);
    let client = connect(&mut pair, RESERVED);
    pair.flush();
    let mut as_v1 = first.borrow().clone();
    as_v1[1..5].copy_from_slice(&1u32.to_be_bytes());
    let lie = forged(&pair, &as_v1, &[Version::V1]);
    pair.inject(lie);
    pair.pass(Duration::from_secs(1));
    match pair.client.closed(client) {
        Some(ConnectionError::Violation(error)) => assert_eq!(error.code, Code::VERSION_NEGOTIATION_ERROR),
        other => panic!("{other:?}"),
    }
}
