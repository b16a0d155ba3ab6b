//! Rules of RFC 9000 about the proof of addresses: tokens, what an unproven address may get, challenges and their
//! answers (§8), that are not tested elsewhere.

mod pair;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, hello, params};
use pair::{Pair, Policy, plain};
use tq_quic::crypto::schedule;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{self, Header, LongKind};
use tq_quic::wire::{Cid, Frame, Writer};
use tq_quic::{ClientConfig, EndpointConfig, TransportConfig};

const MS: Duration = Duration::from_millis(1);
const ELSEWHERE: &str = "203.0.113.99:53";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The token of an Initial.
fn token_of(datagram: &[u8]) -> Option<Vec<u8>> {
    match Header::parse(datagram, 8) {
        Ok(Header::Long { kind: LongKind::Initial, token, .. }) => Some(datagram[token].to_vec()),
        _ => None,
    }
}

/// Token of a first Initial of a new connection of the victim, a client, to `remote` called `name`.
fn first_token(raw: &mut Raw, remote: &str, name: &str) -> Vec<u8> {
    let config = ClientConfig::new(Arc::new(plain::Plain::default()), Arc::new(TransportConfig::default()));
    let (_, mut connection) =
        raw.victim.endpoint.connect(raw.now, &config, address(remote), 0, name).expect("starts");
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    let transmit = connection.transmit(raw.now, &mut buf, 1).expect("an Initial");
    token_of(&buf[..transmit.len]).expect("an Initial")
}

fn retry(raw: &Raw, scid: &Cid, token: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 200];
    let mut w = Writer::new(&mut out);
    header::encode_retry(&mut w, raw.version, &raw.dcid, scid, token);
    let len = w.len();
    out.truncate(len);
    let tag = schedule::retry_tag(&tq_tls::AwsLc, raw.version, &raw.odcid, &out);
    out.extend_from_slice(&tag);
    out
}

// MUST 9000-8.1.3-1, 9000-8.1.2-1
#[test]
fn every_initial_has_the_token_until_a_retry_brings_another() {
    let mut raw = Raw::client();
    raw.frames(&[Frame::NewToken(b"from last time")]);
    let config = ClientConfig::new(Arc::new(plain::Plain::default()), Arc::new(TransportConfig::default()));
    let (handle, connection) =
        raw.victim.endpoint.connect(raw.now, &config, raw.me, 0, "localhost").expect("starts");
    raw.victim.connections.clear();
    raw.victim.connections.insert(handle, connection);
    raw.handle = handle;
    raw.pn = [0; 3];
    raw.datagrams.clear();
    raw.collect();
    let Ok(Header::Long { dcid, scid, .. }) = Header::parse(&raw.datagrams[0], 8) else { panic!() };
    (raw.odcid, raw.dcid) = (dcid, scid);
    raw.pass(Duration::from_secs(4));
    assert!(raw.datagrams.len() >= 3);
    assert!(raw.datagrams.iter().all(|d| token_of(d).as_deref() == Some(b"from last time")));
    raw.datagrams.clear();
    let elsewhere = Cid::new(b"elsewhere").expect("short");
    let answer = retry(&raw, &elsewhere, b"a newer one");
    raw.deliver(answer);
    raw.odcid = elsewhere;
    raw.pass(Duration::from_secs(3));
    // also when the server has been heard of
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(3));
    assert!(raw.datagrams.len() >= 3);
    assert!(raw.datagrams.iter().all(|d| token_of(d).as_deref() == Some(b"a newer one")));
}

// MUST 9000-8.1.3-2, 9000-8.1.3-6
#[test]
fn a_token_of_a_retry_serves_one_attempt() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let elsewhere = Cid::new(b"elsewhere").expect("short");
    let answer = retry(&raw, &elsewhere, b"a token");
    raw.deliver(answer);
    assert_eq!(token_of(raw.datagrams.last().expect("the flight again")).as_deref(), Some(&b"a token"[..]));
    assert_eq!(first_token(&mut raw, "192.0.2.2:443", "localhost"), b"");
    // nor after it has served
    raw.odcid = elsewhere;
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(first_token(&mut raw, "192.0.2.2:443", "localhost"), b"");
}

// MUST 9000-8.1.3-5
#[test]
fn a_token_is_shown_to_the_server_it_is_from_and_no_other() {
    let mut raw = Raw::client();
    raw.frames(&[Frame::NewToken(b"for you")]);
    for (remote, name) in [("192.0.2.2:443", "example.org"), ("192.0.2.2:8443", "localhost")] {
        assert_eq!(first_token(&mut raw, remote, name), b"", "{name} at {remote}");
    }
    assert_eq!(first_token(&mut raw, "192.0.2.2:443", "localhost"), b"for you");
}

/// The NEW_TOKEN of a connection with a server.
fn new_token(raw: &mut Raw) -> Vec<u8> {
    let packets = raw.packets();
    let frames = packets.iter().flat_map(Packet::frames);
    let mut tokens = frames.filter_map(|f| if let Frame::NewToken(t) = f { Some(t.to_vec()) } else { None });
    tokens.next().expect("a token")
}

// MUST 9000-8.1.3-3, 9000-8.1.3-4, 9000-8.1.4-1
#[test]
fn tokens_of_one_address_have_nothing_in_common() {
    let mut config = EndpointConfig::default();
    config.token_key = Some([5; 32]);
    let mut tokens = BTreeSet::new();
    for _ in 0..100 {
        let mut raw = Raw::idle_server(TransportConfig::default(), config.clone(), 0);
        raw.hello(params());
        raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
        tokens.insert(new_token(&mut raw));
    }
    assert_eq!(tokens.len(), 100);
    let len = tokens.first().expect("tokens").len();
    // the first octet says that they are of NEW_TOKEN
    for at in 1..len {
        let values: BTreeSet<u8> = tokens.iter().map(|token| token[at]).collect();
        assert!(values.len() > 60, "octet {at} of {len} has {} values", values.len());
    }
}

// MUST 9000-8.1.1-1
#[test]
fn the_two_kinds_of_token_are_told_apart() {
    // a Retry's: from another port it ends the attempt
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.victim.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Ignore };
    let initial = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
    raw.deliver(initial);
    let answer = raw.datagrams.pop().expect("a Retry");
    let Ok(Header::Retry { token, scid, .. }) = Header::parse(&answer, 8) else { panic!() };
    raw.token = answer[token].to_vec();
    (raw.dcid, raw.odcid) = (scid, scid);
    let initial = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
    raw.deliver_from(address("192.0.2.1:4001"), initial);
    assert_eq!(raw.datagrams.len(), 1, "INVALID_TOKEN");
    // one of NEW_TOKEN holds from there, and its connection may still be asked to retry
    let mut raw = Raw::server();
    raw.token = new_token(&mut raw);
    raw.victim.policy = |incoming| {
        assert!(incoming.is_validated() && incoming.may_retry());
        Policy::Ignore
    };
    let other = Cid::new(b"another!").expect("short");
    (raw.dcid, raw.odcid, raw.pn) = (other, other, [0; 3]);
    let initial = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
    raw.deliver_from(address("192.0.2.1:4001"), initial);
}

/// What a server with a long flight gets and sends if its client comes from `from` with a token 192.0.2.1 was given.
fn sent_to(from: &str) -> (u64, u64) {
    let mut config = EndpointConfig::default();
    config.token_key = Some([5; 32]);
    let mut before = Raw::idle_server(TransportConfig::default(), config.clone(), 0);
    before.hello(params());
    before.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let mut raw = Raw::idle_server(TransportConfig::default(), config, 30_000);
    raw.token = new_token(&mut before);
    let initial = raw.packet(Level::Initial, &crypto(0, &hello(raw.scid, params())), Tweak::default());
    raw.deliver_from(address(from), initial);
    raw.pass(Duration::from_secs(5));
    (raw.received, raw.sent)
}

// MUST 9000-8.1.4-3, 9000-8.1.4-4, 9000-8.1.3-7
#[test]
fn a_token_frees_its_address_of_the_limit_and_no_other() {
    let (received, sent) = sent_to("192.0.2.1:4000");
    assert!(sent > 3 * received, "{sent} for {received}: proven");
    let (received, sent) = sent_to("192.0.2.7:4000");
    assert!(sent <= 3 * received, "{sent} for {received}: not proven");
}

// MUST 9000-8-1, 9000-8.1-1, 9000-8.1-2
#[test]
fn all_bytes_for_a_connection_count_whether_they_open_or_not() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 30_000);
    raw.hello(params());
    raw.pass(Duration::from_secs(5));
    let sent = raw.sent;
    raw.pass(Duration::from_secs(5));
    assert_eq!(raw.sent, sent, "used up");
    let mut garbage = raw.packet(Level::Handshake, &[1; 1500], Tweak::default());
    *garbage.last_mut().expect("a tag") ^= 1;
    raw.deliver(garbage);
    raw.pass(Duration::from_secs(5));
    assert!(raw.sent >= sent + 1200, "{} for what it brought", raw.sent - sent);
    assert!(raw.sent <= 3 * raw.received);
}

fn responses(packets: &[Packet], data: [u8; 8]) -> usize {
    let frames = packets.iter().flat_map(Packet::frames);
    frames.filter(|frame| *frame == Frame::PathResponse(data)).count()
}

fn challenges(packets: &[Packet]) -> Vec<([u8; 8], usize)> {
    let of = |packet: &Packet| {
        let frames = packet.frames();
        let data = frames.iter().find_map(|f| if let Frame::PathChallenge(d) = f { Some(*d) } else { None });
        data.map(|data| (data, packet.datagram))
    };
    packets.iter().filter_map(of).collect()
}

/// A server whose client has just sent `size` bytes from another address.
fn moved(size: usize) -> Raw {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.datagrams.clear();
    raw.me = address(ELSEWHERE);
    (raw.received, raw.sent) = (0, 0);
    let rest = size - 1 - 8 - 4 - 16 - 1;
    let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping, Frame::Padding(rest)]), Tweak::default());
    assert_eq!(packet.len(), size);
    raw.deliver(packet);
    raw
}

// MUST 9000-8.2.1-1
#[test]
fn challenges_are_unpredictable() {
    let mut all = Vec::new();
    for _ in 0..40 {
        let mut raw = moved(1200);
        raw.pass(Duration::from_secs(2));
        all.extend(challenges(&raw.packets()).iter().map(|(data, _)| *data));
    }
    assert!(all.len() >= 80, "{} challenges", all.len());
    for at in 0..8 {
        let values: BTreeSet<u8> = all.iter().map(|data| data[at]).collect();
        let steps: BTreeSet<u8> = all.windows(2).map(|two| two[1][at].wrapping_sub(two[0][at])).collect();
        assert!(values.len() > 50 && steps.len() > 50, "octet {at}: {} and {}", values.len(), steps.len());
    }
}

// MUST 9000-8.2.1-2
#[test]
fn challenges_fill_1200_bytes_where_the_limit_allows() {
    let mut raw = moved(1200);
    let sent = challenges(&raw.packets());
    assert!(sent.len() == 1 && sent[0].1 >= 1200, "{sent:?}");
    for size in [40, 100, 399] {
        let mut raw = moved(size);
        raw.pass(Duration::from_secs(2));
        let sent = challenges(&raw.packets());
        assert!(!sent.is_empty() && sent.iter().all(|(_, len)| *len < 1200), "{size}: {sent:?}");
        assert!(raw.sent <= 3 * raw.received, "{} for {size}", raw.sent);
    }
}

// MUST 9000-8.2.1-3, 9000-8.2.3-1
#[test]
fn an_answer_to_a_small_challenge_is_followed_by_one_of_full_size() {
    let mut raw = moved(100);
    let small = challenges(&raw.packets());
    assert!(small.len() == 1 && small[0].1 < 1200, "{small:?}");
    raw.frames(&[Frame::PathResponse(small[0].0)]);
    assert!(raw.victim().stats().paths[0].validated, "the address is proven");
    let full = challenges(&raw.packets());
    assert!(full.len() == 1 && full[0].1 >= 1200, "{full:?}");
    assert_ne!(full[0].0, small[0].0);
    // it is repeated like any other, and ends with its answer
    raw.pass(Duration::from_secs(1));
    let again = challenges(&raw.packets());
    assert!(!again.is_empty() && again.iter().all(|(_, len)| *len >= 1200), "{again:?}");
    raw.frames(&[Frame::PathResponse(full[0].0)]);
    raw.pass(Duration::from_secs(5));
    assert_eq!(challenges(&raw.packets()), []);
    assert_eq!(raw.victim().remote(), address(ELSEWHERE));
    // one that was of full size at once is enough
    let mut raw = moved(1200);
    let full = challenges(&raw.packets());
    raw.frames(&[Frame::PathResponse(full[0].0)]);
    raw.pass(Duration::from_secs(5));
    assert_eq!(challenges(&raw.packets()), []);
}

// MUST 9000-8.2.1-3, 9000-8.2.3-1
#[test]
fn an_address_that_never_answers_at_full_size_is_left_again() {
    let mut raw = moved(100);
    let small = challenges(&raw.packets());
    raw.frames(&[Frame::PathResponse(small[0].0)]);
    raw.pass(Duration::from_secs(5));
    assert_eq!(raw.victim().remote(), address(pair::CLIENT), "it does not carry 1200 bytes");
    assert!(raw.victim.closed(raw.handle).is_none());
}

// MUST 9000-8.2.1-4, 9000-8.2.2-1, 9000-8.2.2-2
#[test]
fn a_small_challenge_is_answered_at_once_and_a_small_response_counts() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.pass(100 * MS);
        raw.packets();
        raw.frames(&[Frame::PathChallenge([7; 8])]);
        assert_eq!(responses(&raw.packets(), [7; 8]), 1, "without delay");
    }
    let mut raw = moved(1200);
    let sent = challenges(&raw.packets());
    raw.frames(&[Frame::PathResponse(sent[0].0)]);
    assert!(raw.victim().stats().paths[0].validated);
}

// MUST 9000-8.2.2-4
#[test]
fn a_response_counts_wherever_it_comes_from() {
    let mut raw = moved(1200);
    let sent = challenges(&raw.packets());
    let answer = raw.packet(Level::OneRtt, &bytes(&[Frame::PathResponse(sent[0].0)]), Tweak::default());
    raw.deliver_from(address("198.51.100.3:3"), answer);
    let path = raw.victim().stats().paths[0];
    assert!(path.validated && path.remote == address(ELSEWHERE), "{path:?}");
}

// MUST 9000-8.2.2-5, 9000-8.2.2-6
#[test]
fn responses_fill_1200_bytes_unless_the_address_has_brought_too_little() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.pass(100 * MS);
        raw.packets();
        raw.frames(&[Frame::PathChallenge([7; 8]), Frame::Padding(1170)]);
        let packets = raw.packets();
        assert!(
            packets.iter().any(|p| responses(std::slice::from_ref(p), [7; 8]) == 1 && p.datagram >= 1200)
        );
    }
    for size in [100, 300, 399, 400, 1200] {
        let mut raw = Raw::server();
        raw.pass(Duration::from_secs(1));
        raw.datagrams.clear();
        (raw.received, raw.sent) = (0, 0);
        raw.me = address(ELSEWHERE);
        let rest = size - 1 - 8 - 4 - 16 - 1 - 9;
        let frames = [Frame::PathChallenge([7; 8]), Frame::Ping, Frame::Padding(rest)];
        raw.frames(&frames);
        assert!(raw.sent <= 3 * raw.received, "{} for {size}", raw.sent);
        raw.pass(Duration::from_secs(1));
        assert!(raw.sent <= 3 * raw.received, "{} for {size}", raw.sent);
    }
}

// MUST 9000-8.2.2-7
#[test]
fn one_challenge_has_one_response_even_if_that_is_lost() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.pass(100 * MS);
        raw.packets();
        raw.frames(&[Frame::PathChallenge([7; 8]), Frame::Padding(1170)]);
        let mut count = responses(&raw.packets(), [7; 8]);
        for _ in 0..20 {
            // later packets are acknowledged, this one never
            raw.victim().send_datagram(vec![1; 100].into()).expect("room");
            raw.collect();
            let packets = raw.packets();
            count += responses(&packets, [7; 8]);
            let last = packets.iter().map(|packet| packet.pn).max().expect("one");
            raw.send(Level::OneRtt, &Raw::ack_one(last));
            raw.pass(300 * MS);
        }
        assert_eq!(count, 1);
    }
}

// MUST 9000-8.1-4, 9000-8.1-5
#[test]
fn a_client_whose_hello_was_acknowledged_keeps_sending_initials_of_full_size() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.pass(Duration::from_secs(10));
    assert!(pair.client.has(client, &tq_quic::Event::Confirmed));
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(30 * MS);
    raw.send(Level::Initial, &Raw::ack_one(0));
    let mut last = raw.now;
    for _ in 0..4 {
        raw.datagrams.clear();
        raw.pass(Duration::from_secs(10));
        let packets = raw.packets();
        assert!(!packets.is_empty(), "silent from {last:?} on");
        assert!(packets.iter().all(|p| p.level == Level::Initial && p.datagram >= 1200));
        last = raw.now;
        if raw.victim.closed(raw.handle).is_some() {
            break;
        }
    }
}
