//! Rules of RFC 9000 about versions (§5.2, §6) that are not tested elsewhere.

mod pair;

use pair::raw::{Raw, Tweak, bytes, crypto, hello, params};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{self, Header};
use tq_quic::wire::{Frame, Version, Writer};
use tq_quic::{EndpointConfig, TransportConfig};

fn idle() -> Raw {
    Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0)
}

fn negotiation(dcid: &[u8], scid: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 1300];
    let mut w = Writer::new(&mut out);
    header::encode_negotiation(&mut w, 0, dcid, scid, &[Version(0x0a0a_0a0a); 200]);
    let len = w.len();
    out.truncate(len.max(1200));
    out
}

// MUST 9000-6.1-1
#[test]
fn version_negotiation_is_never_answered() {
    let mut raw = idle();
    for (dcid, scid) in [(&b"original"[..], &b"attacker"[..]), (b"", b""), (&[7; 200], &[8; 200])] {
        raw.deliver(negotiation(dcid, scid));
    }
    assert!(raw.datagrams.is_empty(), "by an endpoint");
    for mut raw in [Raw::half_open_server(TransportConfig::default(), params()), Raw::server()] {
        raw.pass(Duration::from_millis(20));
        raw.datagrams.clear();
        let packet = negotiation(&raw.dcid.clone(), &raw.scid.clone());
        raw.deliver(packet);
        assert!(raw.datagrams.is_empty(), "by a connection");
        assert_eq!(raw.violation(), None);
    }
}

// MUST 9000-5.2.1-1
#[test]
fn a_client_drops_what_is_of_a_version_it_did_not_choose() {
    for version in [Version::V2, Version(0x0a1a_2a3a)] {
        let mut raw = Raw::half_open_client(TransportConfig::default());
        raw.packets();
        for level in [Level::Initial, Level::Handshake] {
            let mut packet = raw.packet(level, &bytes(&[Frame::Ping]), Tweak::default());
            packet[1..5].copy_from_slice(&version.0.to_be_bytes());
            raw.deliver(packet);
        }
        assert_eq!(raw.victim().stats().counters.dropped(DropReason::UnknownVersion), 2);
        assert!(raw.datagrams.is_empty());
        raw.version = Version::V2;
        raw.send(Level::Initial, &bytes(&[Frame::Ping]));
        assert_eq!(raw.victim().stats().counters.packets_received, 0, "nor what is sealed in it");
    }
}

// MUST 9000-5.2.2-1
#[test]
fn a_version_that_is_not_spoken_is_answered_from_1200_bytes_on() {
    for version in [Version::V2, Version(0x0a1a_2a3a)] {
        for len in [7, 30, 600, 1199, 1200, 1201, 1500] {
            let mut raw = idle();
            let mut datagram = vec![7; len];
            datagram[0] = 0xd0;
            datagram[1..5].copy_from_slice(&version.0.to_be_bytes());
            datagram[5..7].fill(0);
            raw.deliver(datagram);
            assert_eq!(raw.datagrams.len(), usize::from(len >= 1200), "{len} bytes of {version:?}");
        }
    }
}

// MUST 9000-17.2.1-5
#[test]
fn of_a_version_that_is_not_spoken_only_the_invariants_count() {
    // ids too long for the version, a length that points nowhere, every type, without the fixed bit
    for (dcid, scid) in [(21, 8), (8, 21), (255, 255), (0, 20)] {
        for first in [0x80, 0xc0, 0xd0, 0xe0, 0xf0, 0x8f] {
            let mut raw = idle();
            let mut datagram = vec![first];
            datagram.extend_from_slice(&Version::V2.0.to_be_bytes());
            for len in [dcid, scid] {
                datagram.push(len as u8);
                datagram.resize(datagram.len() + len, len as u8);
            }
            datagram.resize(1200, 0xff);
            raw.deliver(datagram);
            let [answer] = &raw.datagrams[..] else { panic!("{} answers", raw.datagrams.len()) };
            let Ok(Header::VersionNegotiation { dcid: to, scid: from, .. }) = Header::parse(answer, 8) else {
                panic!()
            };
            assert_eq!((to.len(), from.len()), (scid, dcid));
        }
    }
    // of one that is spoken, all do
    let mut raw = idle();
    let mut datagram = vec![0xc0, 0, 0, 0, 1, 21];
    datagram.resize(1200, 0);
    raw.deliver(datagram);
    assert!(raw.datagrams.is_empty());
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::BadHeader), 1);
}

// MUST 9000-7.4.2-1
#[test]
fn parameters_nobody_knows_are_ignored() {
    let mut raw = idle();
    let mut body = hello(raw.scid, params());
    for id in [0x1b_u8, 0x12, 0x3a, 0x25] {
        body.extend_from_slice(&[id, 3, 0xff, 0xff, 0xff]);
    }
    let len = (body.len() - 4) as u32;
    body[1..4].copy_from_slice(&len.to_be_bytes()[1..]);
    raw.send(Level::Initial, &crypto(0, &body));
    raw.handle = raw.victim.accepted[0];
    assert_eq!(raw.violation(), None);
    assert!(raw.packets().iter().any(|packet| packet.level == Level::Handshake), "the flight follows");
}
