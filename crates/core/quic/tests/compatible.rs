//! The server's choice of a compatible version (RFC 9368 §2.3, RFC 9369 §4): who may choose, what is sent in which
//! version, and that nobody else has a say in it.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pair::flow::Flow;
use pair::raw::{Raw, params};
use pair::{Flying, Pair, Policy, SERVER};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{Header, LongKind};
use tq_quic::wire::params::VersionInformation;
use tq_quic::wire::{Code, Frame, Side, TransportParameters, Version};
use tq_quic::{ClientConfig, ConnectionError, EndpointConfig, Event, Handle, TransportConfig};

const BOTH: [Version; 2] = [Version::V2, Version::V1];
const OLD_FIRST: [Version; 2] = [Version::V1, Version::V2];

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

fn confirmed(pair: &mut Pair, client: Handle) -> Handle {
    pair.drive_for(Duration::from_secs(20), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(pair.client.has(client, &Event::Confirmed), "{:?}", pair.client.events);
    pair.server.accepted.pop_front().expect("the server accepted")
}

/// Kind and version of each long-header packet, by direction: 0 is the client's.
type Seen = Rc<RefCell<[Vec<(LongKind, Version)>; 2]>>;

fn watch(pair: &mut Pair) -> Seen {
    let seen = Seen::default();
    let kept = Rc::clone(&seen);
    pair.link = Box::new(move |flying| {
        note(flying, &kept);
        true
    });
    seen
}

fn note(flying: &Flying, seen: &Seen) {
    let server = SERVER.parse().expect("an address");
    let side = usize::from(flying.from == server);
    let mut rest = &flying.bytes[..];
    while let Ok(Header::Long { kind, version, end, .. }) = Header::parse(rest, 8) {
        seen.borrow_mut()[side].push((kind, version));
        rest = &rest[end..];
    }
}

fn spoken(pair: &mut Pair, client: Handle, server: Handle) -> (Version, Version) {
    (pair.client(client).version(), pair.server(server).version())
}

#[test]
fn a_server_that_likes_version_two_better_leads_a_client_that_began_with_one() {
    let mut pair = pair_of(&OLD_FIRST, &BOTH);
    let seen = watch(&mut pair);
    let client = connect(&mut pair, Version::V1);
    let server = confirmed(&mut pair, client);
    assert_eq!(spoken(&mut pair, client, server), (Version::V2, Version::V2));
    let [from_client, from_server] = &*seen.borrow();
    assert_eq!(from_client[0], (LongKind::Initial, Version::V1));
    assert!(from_server.iter().all(|(_, version)| *version == Version::V2), "{from_server:?}");
    let handshake = |all: &[(LongKind, Version)]| {
        all.iter()
            .filter(|(kind, _)| *kind == LongKind::Handshake)
            .all(|(_, version)| *version == Version::V2)
    };
    assert!(handshake(from_client) && handshake(from_server));
}

#[test]
fn data_and_key_updates_work_after_the_version_changed() {
    let mut transport = TransportConfig::default();
    transport.key_update_after = 100;
    let mut pair = Pair::with(transport.clone(), transport, speaking(&OLD_FIRST), speaking(&BOTH));
    let client = connect(&mut pair, Version::V1);
    let server = confirmed(&mut pair, client);
    for from in [Side::Client, Side::Server] {
        let mut flow = Flow::over(&mut pair, (client, server), from, 2 << 20);
        pair.drive_for(Duration::from_secs(60), |pair| flow.work(pair));
        assert!(flow.done && flow.got == flow.data);
    }
    assert!(pair.client(client).stats().key_generation >= 2);
    assert_eq!(spoken(&mut pair, client, server), (Version::V2, Version::V2));
}

#[test]
fn a_client_of_version_two_is_led_to_one_by_a_server_that_likes_it_better() {
    let mut pair = pair_of(&BOTH, &OLD_FIRST);
    let client = connect(&mut pair, Version::V2);
    let server = confirmed(&mut pair, client);
    assert_eq!(spoken(&mut pair, client, server), (Version::V1, Version::V1));
}

#[test]
fn a_client_that_does_not_offer_version_two_keeps_its_own() {
    let mut pair = pair_of(&[Version::V1], &BOTH);
    let client = connect(&mut pair, Version::V1);
    let server = confirmed(&mut pair, client);
    assert_eq!(spoken(&mut pair, client, server), (Version::V1, Version::V1));
}

#[test]
fn a_retry_keeps_the_version_the_client_began_with() {
    let mut pair = pair_of(&OLD_FIRST, &BOTH);
    pair.server.policy = |_| Policy::Retry;
    let retries = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&retries);
    pair.link = Box::new(move |flying| {
        if let Ok(Header::Retry { version, .. }) = Header::parse(&flying.bytes, 8) {
            seen.borrow_mut().push(version);
        }
        true
    });
    let client = connect(&mut pair, Version::V1);
    let server = confirmed(&mut pair, client);
    assert_eq!(*retries.borrow(), [Version::V1]);
    assert_eq!(spoken(&mut pair, client, server), (Version::V2, Version::V2));
}

#[test]
fn any_one_datagram_of_the_handshake_may_be_lost() {
    for lost in 0..10 {
        let mut pair = pair_of(&OLD_FIRST, &BOTH);
        let mut count = 0;
        pair.link = Box::new(move |_| {
            count += 1;
            count - 1 != lost
        });
        let client = connect(&mut pair, Version::V1);
        let server = confirmed(&mut pair, client);
        assert_eq!(spoken(&mut pair, client, server), (Version::V2, Version::V2), "without datagram {lost}");
    }
}

#[test]
fn a_hello_in_two_datagrams_may_be_answered_in_both_versions_and_in_any_order() {
    for swap in [false, true] {
        let mut pair = pair_of(&OLD_FIRST, &BOTH);
        pair.tls = Arc::new(pair::plain::Plain { hello: 1500, ..Default::default() });
        let tls = Arc::new(pair::plain::Plain { chain: 3000, ..Default::default() });
        let config = tq_quic::ServerConfig { tls, transport: Arc::default() };
        pair.server.endpoint.set_server(Some(Arc::new(config)));
        let mut count = 0;
        pair.link = Box::new(move |flying| {
            count += 1;
            if swap && count == 1 {
                flying.at += Duration::from_millis(5);
            }
            true
        });
        let client = connect(&mut pair, Version::V1);
        let server = confirmed(&mut pair, client);
        assert_eq!(spoken(&mut pair, client, server), (Version::V2, Version::V2));
    }
}

#[test]
fn a_token_is_good_for_the_version_it_came_in() {
    let mut pair = pair_of(&OLD_FIRST, &BOTH);
    let client = connect(&mut pair, Version::V1);
    confirmed(&mut pair, client);
    pair.pass(Duration::from_millis(100));
    let validated = |pair: &mut Pair, version| {
        pair.server.policy = |incoming| if incoming.is_validated() { Policy::Accept } else { Policy::Refuse };
        let client = connect(pair, version);
        pair.pass(Duration::from_millis(500));
        pair.client.has(client, &Event::Confirmed)
    };
    assert!(!validated(&mut pair, Version::V1), "the token is version 2's");
    assert!(validated(&mut pair, Version::V2));
}

fn client_of(versions: &[Version]) -> Raw {
    Raw::half_open_client_of(TransportConfig::default(), speaking(versions))
}

fn information(chosen: Version, available: &[Version]) -> TransportParameters {
    let available = available.iter().copied().collect();
    TransportParameters { version_information: Some(VersionInformation { chosen, available }), ..params() }
}

/// A client that begins with version 1 and is answered in `spoken` with these parameters.
fn answered(spoken: Version, params: TransportParameters) -> Raw {
    let mut raw = client_of(&OLD_FIRST);
    raw.version = spoken;
    raw.answer(params);
    raw
}

#[test]
fn a_client_follows_an_honest_server() {
    let mut raw = answered(Version::V2, information(Version::V2, &BOTH));
    assert_eq!(raw.violation(), None);
    assert!(!raw.victim().is_handshaking());
    assert_eq!(raw.victim().version(), Version::V2);
    let sent = raw.packets();
    assert!(sent.iter().any(|packet| packet.level == Level::Handshake), "opened with version 2's keys");
}

#[test]
fn a_changed_version_without_proof_or_with_another_one_is_refused() {
    for params in [params(), information(Version::V1, &BOTH), information(Version(0x1a2a_3a4a), &BOTH)] {
        let raw = answered(Version::V2, params);
        assert_eq!(raw.violation().map(|error| error.code), Some(Code::VERSION_NEGOTIATION_ERROR));
    }
}

#[test]
fn an_unchanged_version_with_a_proof_of_another_is_refused() {
    let raw = answered(Version::V1, information(Version::V2, &BOTH));
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::VERSION_NEGOTIATION_ERROR));
    let mut raw = answered(Version::V1, params());
    assert!(!raw.victim().is_handshaking(), "a server that knows one version need not name it");
}

// MUST 9000-5.2.1-1
#[test]
fn a_version_that_was_not_offered_is_not_followed() {
    let mut raw = client_of(&[Version::V1]);
    raw.version = Version::V2;
    raw.answer(information(Version::V2, &BOTH));
    assert!(raw.victim().is_handshaking() && raw.violation().is_none());
    assert!(raw.victim().stats().counters.dropped(DropReason::UnknownVersion) >= 2);
    assert_eq!(raw.victim().version(), Version::V1);
}

#[test]
fn a_client_that_has_read_an_answer_follows_no_other() {
    let mut raw = client_of(&OLD_FIRST);
    raw.send(Level::Initial, &pair::raw::crypto(0, &pair::plain::message(pair::plain::SERVER_HELLO, b"")));
    raw.version = Version::V2;
    raw.send(Level::Initial, &pair::raw::crypto(0, &pair::plain::message(pair::plain::SERVER_HELLO, b"")));
    assert_eq!(raw.victim().version(), Version::V1);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::UnknownVersion), 1);
}

#[test]
fn acknowledgements_alone_decide_nothing() {
    let mut raw = client_of(&OLD_FIRST);
    raw.send(Level::Initial, &Raw::ack_one(0));
    assert_eq!(raw.victim().version(), Version::V1);
    raw.version = Version::V2;
    raw.answer(information(Version::V2, &BOTH));
    assert_eq!(raw.victim().version(), Version::V2);
    assert!(!raw.victim().is_handshaking(), "{:?}", raw.violation());
}

#[test]
fn an_initial_of_the_other_version_that_does_not_open_changes_nothing() {
    let mut raw = client_of(&OLD_FIRST);
    raw.version = Version::V2;
    let mut forged = raw.packet(Level::Initial, &pair::raw::crypto(0, b"x"), pair::raw::Tweak::default());
    *forged.last_mut().expect("a tag") ^= 1;
    raw.deliver(forged);
    assert_eq!(raw.victim().version(), Version::V1);
    raw.version = Version::V1;
    raw.answer(information(Version::V1, &BOTH));
    assert!(!raw.victim().is_handshaking());
}

fn served(chosen: Version, available: &[Version]) -> Raw {
    let mut raw = Raw::idle_server(TransportConfig::default(), speaking(&BOTH), 0);
    raw.hello(information(chosen, available));
    raw
}

#[test]
fn a_server_refuses_a_client_whose_parameters_name_another_version_than_its_packets() {
    let raw = served(Version::V2, &BOTH);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::VERSION_NEGOTIATION_ERROR));
}

#[test]
fn a_server_refuses_a_client_that_cannot_speak_what_it_speaks() {
    let raw = served(Version::V1, &[Version::V2]);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::TRANSPORT_PARAMETER_ERROR));
}

#[test]
fn a_server_never_chooses_what_was_not_offered() {
    for available in [&[Version::V1][..], &[Version::V1, Version(0x1a2a_3a4a)]] {
        let mut raw = served(Version::V1, available);
        assert_eq!(raw.violation(), None);
        assert_eq!(raw.victim().version(), Version::V1);
    }
    let mut raw = Raw::idle_server(TransportConfig::default(), speaking(&BOTH), 0);
    raw.hello(params());
    assert_eq!(raw.victim().version(), Version::V1, "a client without version_information");
}

#[test]
fn handshake_packets_of_the_version_that_was_left_are_dropped() {
    let mut raw = served(Version::V1, &BOTH);
    assert_eq!(raw.victim().version(), Version::V2);
    let finished = pair::raw::crypto(0, &pair::plain::message(pair::plain::FINISHED, b""));
    raw.send(Level::Handshake, &finished);
    assert!(raw.victim().is_handshaking());
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::UnknownVersion), 1);
    // Initials of it still count: they may carry an acknowledgement
    let before = raw.victim().stats().counters.packets_received;
    raw.send(Level::Initial, &pair::raw::bytes(&[Frame::Ping]));
    assert_eq!(raw.victim().stats().counters.packets_received, before + 1);
    raw.version = Version::V2;
    raw.send(Level::Handshake, &finished);
    assert!(!raw.victim().is_handshaking(), "{:?}", raw.victim().error());
}

#[test]
fn a_forged_negotiation_cannot_keep_version_two_away() {
    // A version nobody speaks, answered by somebody on the path who hides version 2, is what RFC 9368 §4 is about; the
    // same lie to a client that began with a version the server speaks ends the attempt and downgrades nothing.
    let mut pair = pair_of(&OLD_FIRST, &BOTH);
    let client = connect(&mut pair, Version::V1);
    pair.flush();
    let first = pair.flying.first_key_value().expect("an Initial").1.clone();
    let Ok(Header::Long { dcid, scid, .. }) = Header::parse(&first.bytes, 8) else { panic!("no Initial") };
    let mut bytes = vec![0; 7 + dcid.len() + scid.len() + 4];
    let mut w = tq_quic::wire::Writer::new(&mut bytes);
    tq_quic::wire::header::encode_negotiation(&mut w, 0, &scid, &dcid, &[Version::V2]);
    let (from, to) = (first.to, first.from);
    pair.inject(Flying { at: pair.now + Duration::from_millis(1), from, to, bytes, ..first });
    pair.pass(Duration::from_millis(50));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::VersionMismatch));
}
