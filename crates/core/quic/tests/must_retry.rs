//! Rules of RFC 9000 about Retry and Version Negotiation packets (§17.2.1, §17.2.5) that are not tested elsewhere.

mod pair;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, encode, params};
use pair::{Policy, plain};
use tq_quic::crypto::schedule;
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{self, Header};
use tq_quic::wire::{Cid, Dir, Frame, Version, Writer};
use tq_quic::{EndpointConfig, TransportConfig};
use tq_tls::AwsLc;

fn idle() -> Raw {
    Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0)
}

fn bad_retries(raw: &mut Raw) -> u64 {
    raw.victim().stats().counters.dropped(DropReason::BadRetry)
}

/// A Retry for the client that is the victim; `change` is done to it before the tag is made.
fn retry(raw: &Raw, scid: &Cid, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 200];
    let mut w = Writer::new(&mut out);
    header::encode_retry(&mut w, raw.version, &raw.dcid, scid, b"a token");
    let len = w.len();
    out.truncate(len);
    change(&mut out);
    let tag = schedule::retry_tag(&AwsLc, raw.version, &raw.odcid, &out);
    out.extend_from_slice(&tag);
    out
}

/// CRYPTO of Initials, by offset.
fn hello_of(packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets.iter().filter(|packet| packet.level == Level::Initial) {
        for f in packet.frames() {
            if let Frame::Crypto(f) = f {
                let at = f.offset as usize;
                out.resize(out.len().max(at + f.data.len()), 0);
                out[at..at + f.data.len()].copy_from_slice(f.data);
            }
        }
    }
    out
}

// MUST 9000-7.2-4, 9000-8.1.2-1, 9000-17.2.5.1-3, 9000-17.2.5.2-5, 9000-17.2.5.3-1, 9000-17.2.5.3-2
#[test]
fn after_a_retry_the_same_hello_goes_to_the_new_id_from_the_same_one() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let before = raw.packets();
    let name = raw.dcid;
    let answer = retry(&raw, &Cid::new(b"elsewhere").expect("short"), |_| {});
    raw.deliver(answer);
    raw.odcid = Cid::new(b"elsewhere").expect("short");
    raw.pass(Duration::from_secs(3));
    assert!(raw.datagrams.len() > 1, "and again, since nobody answers");
    for datagram in &raw.datagrams {
        let Ok(Header::Long { dcid, scid, token, .. }) = Header::parse(datagram, 8) else { panic!() };
        assert_eq!((dcid, scid, &datagram[token]), (raw.odcid, name, &b"a token"[..]));
    }
    let after = raw.packets();
    assert_eq!(hello_of(&after), hello_of(&before));
    let highest = before.iter().map(|packet| packet.pn).max();
    assert!(after.iter().all(|packet| Some(packet.pn) > highest), "{after:?}");
}

// MUST 9000-17.2.3-1
#[test]
fn early_packets_sent_anew_after_a_retry_have_new_numbers() {
    let tls = plain::Plain { early: true, remembers: Some(|| encode(&params())), ..plain::Plain::default() };
    let mut raw = Raw::half_open_client_by(tls, TransportConfig::default(), EndpointConfig::default());
    let id = raw.victim().open(Dir::Uni).expect("remembered");
    assert_eq!(raw.victim().write_slice(id, &[5; 2000]), Ok(2000));
    raw.collect();
    let numbers = |raw: &mut Raw| {
        let packets = raw.packets();
        packets.iter().filter(|packet| packet.early).map(|packet| packet.pn).collect::<Vec<u64>>()
    };
    let before = numbers(&mut raw);
    let elsewhere = Cid::new(b"elsewhere").expect("short");
    let answer = retry(&raw, &elsewhere, |_| {});
    raw.deliver(answer);
    raw.odcid = elsewhere;
    let after = numbers(&mut raw);
    assert!(before.len() >= 2 && after.len() >= 2, "{before:?} then {after:?}");
    assert!(after.iter().min() > before.iter().max(), "{before:?} then {after:?}");
}

// MUST 9000-17.2.5-1
#[test]
fn the_unused_bits_of_a_retry_do_not_matter() {
    for bits in 0..16 {
        let mut raw = Raw::half_open_client(TransportConfig::default());
        raw.packets();
        let answer = retry(&raw, &raw.scid.clone(), |out| out[0] = out[0] & 0xf0 | bits);
        raw.deliver(answer);
        assert_eq!((bad_retries(&mut raw), raw.datagrams.len()), (0, 1), "{bits:04b}");
    }
}

// MUST 9000-17.2-1
#[test]
fn a_retry_without_the_fixed_bit_is_dropped_without_consent() {
    let mut config = TransportConfig::default();
    config.grease = false;
    let mut raw = Raw::half_open_client(config);
    raw.packets();
    let answer = retry(&raw, &raw.scid.clone(), |out| out[0] &= !header::FIXED_BIT);
    raw.deliver(answer);
    assert_eq!(raw.victim().stats().counters.dropped(DropReason::FixedBit), 1);
    assert!(raw.datagrams.is_empty());
}

// MUST 9000-17.2.5.1-2
#[test]
fn a_retry_that_names_the_id_in_use_is_dropped() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.packets();
    let answer = retry(&raw, &raw.odcid.clone(), |_| {});
    raw.deliver(answer);
    assert_eq!((bad_retries(&mut raw), raw.datagrams.len()), (1, 0));
}

// MUST 9000-17.2.5.2-1, 9000-17.2.5.2-2
#[test]
fn a_retry_after_an_initial_or_a_retry_is_dropped() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let answer = retry(&raw, &Cid::new(b"elsewhere").expect("short"), |_| {});
    raw.send(Level::Initial, &crypto(0, &plain::message(plain::SERVER_HELLO, b"")[..1]));
    raw.packets();
    raw.deliver(answer);
    assert_eq!((bad_retries(&mut raw), raw.datagrams.len()), (1, 0), "after an Initial");
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let first = retry(&raw, &raw.scid.clone(), |_| {});
    let second = retry(&raw, &Cid::new(b"elsewhere").expect("short"), |_| {});
    raw.deliver(first);
    raw.datagrams.clear();
    raw.deliver(second);
    assert_eq!((bad_retries(&mut raw), raw.datagrams.len()), (1, 0), "after a Retry");
}

// MUST 9000-17.2.5.2-3, 9000-17.2.5.2-4
#[test]
fn every_bit_of_a_retry_is_covered_by_its_tag() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.packets();
    let answer = retry(&raw, &raw.scid.clone(), |_| {});
    for bit in 0..answer.len() * 8 {
        let mut bent = answer.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        raw.deliver(bent);
        assert!(raw.datagrams.is_empty(), "bit {bit}");
    }
    let len = answer.len() - b"a token".len() - 16;
    let empty = retry(&raw, &raw.scid.clone(), |out| out.truncate(len));
    raw.deliver(empty);
    assert!(raw.datagrams.is_empty(), "a Retry needs a token");
    raw.deliver(answer);
    assert_eq!(raw.datagrams.len(), 1);
}

// MUST 9000-17.2.5.1-1, 9000-17.2.5.1-4
#[test]
fn a_datagram_earns_one_retry_with_an_id_of_its_own() {
    for round in 0..200u64 {
        let mut raw = idle();
        raw.victim.policy = |_| Policy::Retry;
        let name = Cid::new(&round.to_be_bytes()).expect("short");
        (raw.dcid, raw.odcid) = (name, name);
        let first = raw.packet(Level::Initial, &crypto(0, b"x"), Tweak::default());
        let second = raw.packet(Level::Initial, &crypto(1, b"y"), Tweak::default());
        raw.deliver([first, second].concat());
        raw.pass(Duration::from_secs(1));
        assert_eq!(raw.datagrams.len(), 1);
        let Ok(Header::Retry { dcid, scid, .. }) = Header::parse(&raw.datagrams[0], 8) else { panic!() };
        assert!(dcid == raw.scid && scid != name);
    }
}

/// A datagram in an unknown version, or one this server does not speak.
fn foreign(version: Version, dcid: &[u8], scid: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc0];
    out.extend_from_slice(&version.0.to_be_bytes());
    for id in [dcid, scid] {
        out.push(id.len() as u8);
        out.extend_from_slice(id);
    }
    let len = if version.is_known() { 1 + 2 } else { 0 };
    let rest = (1300 - out.len() - len) as u16;
    if version.is_known() {
        out.push(0);
        out.extend_from_slice(&(rest | 0x4000).to_be_bytes());
    }
    out.resize(1300, 7);
    out
}

// MUST 9000-17.2.1-2, 9000-17.2.1-3, 9000-17.2.1-4, 9000-17.2.1-5, 9000-17.2.1-6
#[test]
fn ids_of_any_length_are_sent_back_in_one_version_negotiation() {
    let other = Version(0x0a1a_2a3a);
    for (dcid, scid) in [(0, 0), (1, 255), (7, 8), (8, 20), (21, 21), (255, 0), (255, 255)] {
        let (dcid, scid) = (vec![0xd; dcid], vec![0x5; scid]);
        let mut raw = idle();
        raw.deliver(foreign(other, &dcid, &scid));
        let [answer] = &raw.datagrams[..] else { panic!("{} answers", raw.datagrams.len()) };
        assert_eq!(answer[1..5], [0; 4]);
        let Ok(Header::VersionNegotiation { dcid: to, scid: from, .. }) = Header::parse(answer, 8) else {
            panic!()
        };
        assert_eq!((&answer[to], &answer[from]), (&scid[..], &dcid[..]));
    }
    // a version whose layout is known but that is not spoken here is no exception
    for dcid in [0, 4, 7, 8, 20] {
        let mut raw = idle();
        let mut initial = foreign(Version::V2, &vec![0xd; dcid], b"me");
        initial[0] = 0xd0;
        raw.deliver(initial);
        assert_eq!(raw.datagrams.len(), 1, "a destination of {dcid} bytes");
        assert_eq!(raw.datagrams[0][1..5], [0; 4]);
    }
}

// MUST 9000-17.2.1-6
#[test]
fn packets_put_together_earn_one_version_negotiation() {
    let mut raw = idle();
    let one = foreign(Version(0x0a1a_2a3a), b"somebody", b"me");
    raw.deliver([&one[..], &one[..]].concat());
    raw.pass(Duration::from_secs(1));
    assert_eq!(raw.datagrams.len(), 1);
}

// MUST 9000-17.2.1-1
#[test]
fn the_unused_bits_of_version_negotiation_do_not_matter() {
    for bits in [0, 0x15, 0x2a, 0x40, 0x7f] {
        let mut raw = Raw::half_open_client(TransportConfig::default());
        let mut out = vec![0; 100];
        let mut w = Writer::new(&mut out);
        header::encode_negotiation(&mut w, bits, &raw.dcid, &raw.odcid, &[Version(0x0a0a_0a0a)]);
        let len = w.len();
        out.truncate(len);
        out[0] = 0x80 | bits;
        raw.deliver(out);
        let closed = raw.victim.closed(raw.handle);
        assert_eq!(closed, Some(&tq_quic::ConnectionError::VersionMismatch), "{bits:#x}");
    }
}

#[test]
fn a_server_that_was_sent_a_retry_ignores_it() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    let answer = retry(&raw, &raw.scid.clone(), |_| {});
    raw.deliver(answer);
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(raw.violation(), None);
    assert!(!raw.packets().is_empty());
}
