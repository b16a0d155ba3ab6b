//! Retry and NEW_TOKEN (RFC 9000 §8.1): what proves an address, what does not, and what is kept of it.

mod pair;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use pair::raw::{Raw, Tweak, bytes, crypto, params};
use pair::{CLIENT, End, Pair, Policy, SERVER};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{Header, LongKind};
use tq_quic::wire::{Code, Frame};
use tq_quic::{ConnectionError, EndpointConfig, Event, Handle, Incoming, TransportConfig};

/// Tokens of the client's Initials, in order.
fn tokens_sent(pair: &mut Pair) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let tokens = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&tokens);
    pair.link = Box::new(move |flying| {
        if let Ok(Header::Long { kind: LongKind::Initial, token, .. }) = Header::parse(&flying.bytes, 8)
            && flying.to == SERVER.parse::<SocketAddr>().expect("an address")
        {
            seen.borrow_mut().push(flying.bytes[token].to_vec());
        }
        true
    });
    tokens
}

fn refuses_the_unproven(incoming: &Incoming) -> Policy {
    if incoming.is_validated() { Policy::Accept } else { Policy::Refuse }
}

fn closed_with(end: &End, handle: Handle) -> Option<Code> {
    match end.closed(handle)? {
        ConnectionError::PeerTransport { code, .. } => Some(*code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_leaves_nothing_at_the_endpoint() {
    let mut pair = Pair::default();
    pair.server.policy = |_| Policy::Retry;
    pair.connect();
    pair.flush();
    // only the Retry comes back, the client's answer to it is lost
    let server: SocketAddr = SERVER.parse().expect("an address");
    pair.link = Box::new(move |flying| flying.to != server);
    pair.pass(Duration::from_millis(20));
    assert_eq!(pair.datagrams[1], 1, "one Retry");
    assert_eq!((pair.server.endpoint.connections(), pair.server.endpoint.half_open()), (0, 0));
    assert!(pair.sent[1] * 3 < pair.sent[0], "a Retry is small");
}

// MUST 9000-12.3-2, 9000-17.2.5.2-1, 9000-17.2.5.3-2
#[test]
fn packet_numbers_do_not_start_again_after_a_retry() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let first = raw.packets();
    assert_eq!(first[0].pn, 0);
    // a Retry of our making
    let scid = raw.scid;
    let mut retry = vec![0; 200];
    let mut w = tq_quic::wire::Writer::new(&mut retry);
    tq_quic::wire::header::encode_retry(&mut w, raw.version, &raw.dcid, &scid, b"a token");
    let len = w.len();
    retry.truncate(len);
    let tag = tq_quic::crypto::schedule::retry_tag(&tq_tls::AwsLc, raw.version, &raw.odcid, &retry);
    retry.extend_from_slice(&tag);
    raw.deliver(retry.clone());
    raw.odcid = scid;
    let again = raw.packets();
    assert!(again[0].pn > 0, "restarted at {}", again[0].pn);
    assert!(again[0].frames().iter().any(|frame| matches!(frame, Frame::Crypto(_))), "the flight goes again");
    raw.deliver(retry);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::BadRetry), 1, "only one Retry counts");
}

// MUST 9000-17.2.5.2-3, 9000-17.2.5.2-4
#[test]
fn a_retry_with_a_wrong_tag_or_an_unbearable_token_is_ignored() {
    let retry_of = |raw: &Raw, token: &[u8]| {
        let mut retry = vec![0; 3000];
        let mut w = tq_quic::wire::Writer::new(&mut retry);
        tq_quic::wire::header::encode_retry(&mut w, raw.version, &raw.dcid, &raw.scid, token);
        let len = w.len();
        retry.truncate(len);
        let tag = tq_quic::crypto::schedule::retry_tag(&tq_tls::AwsLc, raw.version, &raw.odcid, &retry);
        retry.extend_from_slice(&tag);
        retry
    };
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let mut wrong_tag = retry_of(&raw, b"token");
    *wrong_tag.last_mut().expect("a tag") ^= 1;
    raw.deliver(wrong_tag);
    let empty = retry_of(&raw, b"");
    raw.deliver(empty);
    // no Initial could ever be sent with it
    let huge = retry_of(&raw, &[9; 1180]);
    raw.deliver(huge);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::BadRetry), 3);
}

// MUST 9000-8.1.3-7
#[test]
fn a_token_from_the_last_connection_proves_the_address_of_the_next() {
    let mut pair = Pair::default();
    let tokens = tokens_sent(&mut pair);
    pair.connected();
    pair.pass(Duration::from_millis(100));
    pair.server.policy = refuses_the_unproven;
    pair.connected();
    let tokens = tokens.borrow();
    assert!(tokens.first().is_some_and(Vec::is_empty) && tokens.last().is_some_and(|t| !t.is_empty()));
}

#[test]
fn a_token_is_used_once() {
    let mut pair = Pair::default();
    pair.connected();
    pair.pass(Duration::from_millis(100));
    let tokens = tokens_sent(&mut pair);
    // neither of these connections gets far enough to be given another
    pair.server.policy = |_| Policy::Refuse;
    pair.connect();
    pair.pass(Duration::from_millis(10));
    pair.connect();
    pair.pass(Duration::from_millis(100));
    let tokens = tokens.borrow();
    assert!(!tokens[0].is_empty() && tokens[1].is_empty(), "{tokens:?}");
}

// MUST 9000-8.1.4-3
#[test]
fn a_token_of_another_address_is_worth_nothing_and_no_crime() {
    let mut pair = Pair::default();
    pair.connected();
    pair.pass(Duration::from_millis(100));
    pair.client.address = "198.51.100.9:4000".parse().expect("an address");
    pair.server.policy = |incoming| {
        assert!(!incoming.is_validated());
        Policy::Accept
    };
    pair.connected();
}

#[test]
fn a_token_holds_when_only_the_port_has_changed() {
    let mut pair = Pair::default();
    pair.connected();
    pair.pass(Duration::from_millis(100));
    pair.client.address = "192.0.2.1:4001".parse().expect("an address");
    pair.server.policy = refuses_the_unproven;
    pair.connected();
}

#[test]
fn an_old_token_is_worth_nothing() {
    let mut config = EndpointConfig::default();
    config.token_lifetime = Duration::from_secs(60);
    let transport = TransportConfig::default;
    let mut pair = Pair::with(transport(), transport(), EndpointConfig::default(), config);
    pair.connected();
    pair.pass(Duration::from_secs(61));
    pair.server.policy = |incoming| {
        assert!(!incoming.is_validated());
        Policy::Accept
    };
    pair.connected();
}

/// Runs a handshake with Retry in which `spoil` changes the client's Initials that have a token; how the client ends.
fn with_spoilt_retry(spoil: impl FnMut(&mut pair::Flying, std::ops::Range<usize>) + 'static) -> Option<Code> {
    let mut spoil = spoil;
    let mut pair = Pair::default();
    pair.server.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Accept };
    pair.link = Box::new(move |flying| {
        if let Ok(Header::Long { kind: LongKind::Initial, token, .. }) = Header::parse(&flying.bytes, 8)
            && !token.is_empty()
        {
            spoil(flying, token);
        }
        true
    });
    let client = pair.connect();
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.server.endpoint.connections(), 0);
    closed_with(&pair.client, client)
}

#[test]
fn a_retry_token_from_another_port_ends_the_attempt() {
    let mut pair = Pair::default();
    pair.server.policy = |_| Policy::Retry;
    let server: SocketAddr = SERVER.parse().expect("an address");
    pair.link = Box::new(move |flying| {
        let with_token = matches!(
            Header::parse(&flying.bytes, 8),
            Ok(Header::Long { kind: LongKind::Initial, token, .. }) if !token.is_empty()
        );
        if with_token && flying.to == server {
            flying.from.set_port(4001);
        }
        if flying.to.port() == 4001 {
            flying.to.set_port(4000);
        }
        true
    });
    let client = pair.connect();
    pair.pass(Duration::from_secs(1));
    assert_eq!(closed_with(&pair.client, client), Some(Code::INVALID_TOKEN));
    assert_eq!(pair.server.endpoint.connections(), 0);
}

/// Drives an Initial with `token` from `from` into a server and says how it closes.
fn verdict(raw: &mut Raw, token: Vec<u8>, from: &str) -> Option<u64> {
    raw.token = token;
    raw.datagrams.clear();
    raw.pn = [0; 3];
    let initial = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
    raw.deliver_from(from.parse().expect("an address"), initial);
    raw.close_sent().map(|(code, ..)| code)
}

/// A server that asks everybody to retry, the token it gave us, and the id that goes with it.
fn retried() -> (Raw, Vec<u8>) {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.victim.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Ignore };
    let initial = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
    raw.deliver(initial);
    let retry = raw.datagrams.pop().expect("a Retry");
    let Ok(Header::Retry { token, scid, .. }) = Header::parse(&retry, 8) else { panic!("{retry:02x?}") };
    (raw.dcid, raw.odcid) = (scid, scid);
    (raw, retry[token].to_vec())
}

// MUST 9000-8.1.4-1, 9000-8.1.4-2
#[test]
fn every_bit_of_a_retry_token_counts() {
    let (mut raw, token) = retried();
    assert_eq!(verdict(&mut raw, token.clone(), CLIENT), None, "as it was given");
    for bit in 0..token.len() * 8 {
        let mut bent = token.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let close = verdict(&mut raw, bent, CLIENT);
        // the first octet says what kind of token it is; one of an unknown kind is as good as none
        let kind = bit < 8;
        assert!(close == Some(Code::INVALID_TOKEN.0) || kind && close.is_none(), "bit {bit}: {close:?}");
    }
}

#[test]
fn a_retry_token_does_not_hold_for_another_address_port_or_connection_id() {
    let invalid = Some(Code::INVALID_TOKEN.0);
    let (mut raw, token) = retried();
    assert_eq!(verdict(&mut raw, token.clone(), "192.0.2.1:4001"), invalid);
    assert_eq!(verdict(&mut raw, token.clone(), "192.0.2.7:4000"), invalid);
    let other = tq_quic::wire::Cid::new(b"anotherid").expect("short");
    (raw.dcid, raw.odcid) = (other, other);
    assert_eq!(verdict(&mut raw, token, CLIENT), invalid);
}

#[test]
fn a_retry_token_expires() {
    let (mut raw, token) = retried();
    raw.now += Duration::from_secs(15);
    assert_eq!(verdict(&mut raw, token.clone(), CLIENT), None);
    raw.now += Duration::from_millis(1);
    assert_eq!(verdict(&mut raw, token, CLIENT), Some(Code::INVALID_TOKEN.0));
}

#[test]
fn a_spoilt_initial_is_not_authentic_and_not_answered() {
    // the token is part of the header that the AEAD covers
    let close = with_spoilt_retry(|flying, token| flying.bytes[token.start + 20] ^= 1);
    assert_eq!(close, None);
}

#[test]
fn a_foreign_token_is_treated_as_none() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.victim.policy = |incoming| {
        assert!(!incoming.is_validated());
        Policy::Ignore
    };
    for len in [1, 12, 28, 60, 61, 103, 200, 900] {
        for fill in [0, 1, 2, 0xff] {
            // 1 is how Retry tokens of ours begin; nobody else's begins so but by chance
            if fill != 1 || !(62..=102).contains(&len) {
                assert_eq!(verdict(&mut raw, vec![fill; len], CLIENT), None, "{len} bytes of {fill}");
            }
        }
    }
}

#[test]
fn a_client_keeps_the_eight_newest_tokens() {
    let mut raw = Raw::client();
    for n in 0..20u8 {
        raw.frames(&[Frame::NewToken(&[n; 40])]);
    }
    // no Initial has room for this one
    raw.frames(&[Frame::NewToken(&[99; 1150])]);
    let config = tq_quic::ClientConfig::new(
        std::sync::Arc::new(pair::plain::Plain::default()),
        std::sync::Arc::new(TransportConfig::default()),
    );
    let mut used = Vec::new();
    for _ in 0..10 {
        let (_, mut connection) =
            raw.victim.endpoint.connect(raw.now, &config, raw.me, 0, "localhost").expect("starts");
        let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
        let transmit = connection.transmit(raw.now, &mut buf, 1).expect("an Initial");
        let Ok(Header::Long { token, .. }) = Header::parse(&buf[..transmit.len], 8) else { panic!() };
        used.push(buf[token].first().copied());
    }
    let newest: Vec<Option<u8>> = (12..20).rev().map(Some).chain([None, None]).collect();
    assert_eq!(used, newest);
}

#[test]
fn a_lost_new_token_comes_again() {
    let mut pair = Pair::default();
    let client = pair.connect();
    let server: SocketAddr = SERVER.parse().expect("an address");
    // nothing of the server's arrives once it is confirmed, for a while
    pair.drive_for(Duration::from_secs(1), |pair| !pair.server.accepted.is_empty());
    pair.drive_for(Duration::from_millis(15), |_| false);
    pair.link = Box::new(move |flying| flying.from != server);
    pair.pass(Duration::from_millis(60));
    pair.link = Box::new(|_| true);
    pair.drive_for(Duration::from_secs(5), |pair| pair.client.has(client, &Event::Confirmed));
    pair.pass(Duration::from_millis(500));
    pair.server.policy = refuses_the_unproven;
    pair.connected();
}

// MUST 9000-19.7-4
#[test]
fn a_servers_token_is_not_taken_from_a_client() {
    let mut raw = Raw::server_with(TransportConfig::default(), params());
    raw.send(Level::OneRtt, &bytes(&[Frame::NewToken(b"here you are")]));
    let error = raw.violation().expect("a violation");
    assert_eq!((error.code, error.frame), (Code::PROTOCOL_VIOLATION, 7));
}
