//! Rules of RFC 9000 about connection ids and who they belong to (§5.1, §5.2, §7.2) that are not tested elsewhere.

mod pair;

use std::collections::BTreeSet;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, params};
use pair::{Pair, plain};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{NewConnectionId, RetireConnectionId};
use tq_quic::wire::header::{Header, LongKind};
use tq_quic::wire::{Cid, Code, Frame, ResetToken, TransportParameters};
use tq_quic::{EndpointConfig, TransportConfig};

fn cid(name: &[u8]) -> Cid {
    Cid::new(name).expect("short")
}

fn dropped(raw: &mut Raw, reason: DropReason) -> u64 {
    raw.victim().stats().counters.dropped(reason)
}

/// What was announced in NEW_CONNECTION_ID.
fn announced(packets: &[Packet]) -> Vec<NewConnectionId> {
    let frames = packets.iter().flat_map(Packet::frames);
    frames.filter_map(|f| if let Frame::NewConnectionId(f) = f { Some(f) } else { None }).collect()
}

fn retire(seq: u64) -> Frame<'static> {
    Frame::RetireConnectionId(RetireConnectionId { path: None, seq })
}

fn new_cid(seq: u64, retire_prior_to: u64) -> Frame<'static> {
    let cid = cid(&[b"number ", &[seq as u8][..]].concat());
    Frame::NewConnectionId(NewConnectionId {
        path: None,
        seq,
        retire_prior_to,
        cid,
        token: ResetToken([seq as u8 + 1; 16]),
    })
}

/// Destinations of all datagrams of the victim so far.
fn destinations(raw: &Raw) -> BTreeSet<Vec<u8>> {
    let of = |datagram: &Vec<u8>| match Header::parse(datagram, 8) {
        Ok(Header::Long { dcid, .. } | Header::Short { dcid, .. }) => dcid.to_vec(),
        other => panic!("{other:?}"),
    };
    raw.datagrams.iter().map(of).collect()
}

/// A connection that issues ids one after the other; all of them.
fn many_ids(endpoint: EndpointConfig) -> Vec<NewConnectionId> {
    let mut raw = Raw::idle_server(TransportConfig::default(), endpoint, 0);
    raw.hello(params());
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let mut ids = announced(&raw.packets());
    let home = raw.dcid;
    for seq in 1..150 {
        let Some(id) = ids.iter().find(|id| id.seq == seq).map(|id| id.cid) else { break };
        // used, so that it will be replaced
        raw.dcid = id;
        raw.frames(&[Frame::Ping]);
        raw.dcid = home;
        raw.frames(&[retire(seq)]);
        ids.extend(announced(&raw.packets()));
    }
    assert_eq!(raw.violation(), None);
    ids
}

// MUST 9000-5.1.1-1, 9000-5.1-2, 9000-10.3.2-3, 9000-10.3.2-4, 9000-10.3.2-5
#[test]
fn ids_are_numbered_in_order_and_neither_they_nor_their_tokens_come_twice() {
    let mut endpoint = EndpointConfig::default();
    endpoint.reset_key = Some([3; 32]);
    // two connections of servers that share a key
    let (one, other) = (many_ids(endpoint.clone()), many_ids(endpoint));
    for ids in [&one, &other] {
        assert!(ids.len() >= 150, "{}", ids.len());
        assert!(ids.iter().enumerate().all(|(at, id)| id.seq == at as u64 + 1));
    }
    let all = one.iter().chain(&other);
    let names: BTreeSet<Vec<u8>> = all.clone().map(|id| id.cid.to_vec()).collect();
    let tokens: BTreeSet<[u8; 16]> = all.map(|id| id.token.0).collect();
    assert_eq!((names.len(), tokens.len()), (one.len() + other.len(), one.len() + other.len()));
}

// MUST 9000-5.1-1
#[test]
fn ids_of_a_connection_have_nothing_in_common() {
    let ids = many_ids(EndpointConfig::default());
    for at in 0..8 {
        let mut ones = [0u32; 8];
        for id in &ids {
            (0..8).for_each(|bit| ones[bit] += u32::from(id.cid[at] >> bit & 1));
        }
        // every bit is set in about half of them, in one way that depends on its neighbour's as little
        let half = ids.len() as u32 / 2;
        assert!(ones.iter().all(|count| count.abs_diff(half) < half / 2), "octet {at}: {ones:?}");
        let steps: BTreeSet<u8> =
            ids.windows(2).map(|two| two[1].cid[at].wrapping_sub(two[0].cid[at])).collect();
        assert!(steps.len() > 60, "octet {at} takes {} steps", steps.len());
    }
}

// MUST 9000-5.1-2
#[test]
fn an_id_that_is_drawn_twice_is_issued_once() {
    use std::sync::{Arc, Mutex};
    use tq_quic::crypto::Entropy;
    /// Says everything three times.
    struct Stutter(pair::entropy::Seeded, Mutex<(u32, [u8; 64])>);
    impl Entropy for Stutter {
        fn fill(&self, out: &mut [u8]) {
            let mut said = self.1.lock().expect("no test panics in here");
            if said.0.is_multiple_of(3) {
                self.0.fill(&mut said.1);
            }
            said.0 += 1;
            let len = out.len();
            out.copy_from_slice(&said.1[..len]);
        }
    }
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    let entropy = Stutter(pair::entropy::Seeded::next(), Mutex::new((0, [0; 64])));
    let server = tq_quic::ServerConfig {
        tls: Arc::new(plain::Plain::default()),
        transport: Arc::new(TransportConfig::default()),
    };
    raw.victim.endpoint =
        tq_quic::Endpoint::new(EndpointConfig::default(), Arc::new(tq_tls::AwsLc), Arc::new(entropy));
    raw.victim.endpoint.set_server(Some(Arc::new(server)));
    raw.hello(params());
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let first = raw.dcid;
    let ids: BTreeSet<Vec<u8>> = announced(&raw.packets_with_acks())
        .iter()
        .map(|id| id.cid.to_vec())
        .chain([first.to_vec()])
        .collect();
    assert_eq!(ids.len(), 8);
}

// MUST 9000-5.1.1-2
#[test]
fn every_id_serves_until_it_is_retired() {
    let mut raw = Raw::server();
    let ids = announced(&raw.packets());
    let home = raw.dcid;
    let received = |raw: &mut Raw| raw.victim().stats().counters.packets_received;
    for id in &ids {
        raw.dcid = id.cid;
        let before = received(&mut raw);
        raw.frames(&[Frame::Ping]);
        assert_eq!(received(&mut raw), before + 1, "{id:?}");
    }
    raw.dcid = home;
    raw.frames(&[retire(ids[0].seq)]);
    raw.pass(Duration::from_secs(1));
    let before = received(&mut raw);
    for id in &ids {
        raw.dcid = id.cid;
        raw.frames(&[Frame::Ping, Frame::Padding(60)]);
    }
    assert_eq!(received(&mut raw), before + ids.len() as u64 - 1, "all but the one that went");
    // the first one, which was not in a frame
    raw.dcid = ids[1].cid;
    raw.frames(&[retire(0)]);
    raw.dcid = home;
    let before = received(&mut raw);
    raw.frames(&[Frame::Ping]);
    assert_eq!(received(&mut raw), before);
    assert_eq!(raw.violation(), None);
}

// MUST 9000-5.1.1-3
#[test]
fn no_more_ids_are_given_than_the_peer_holds() {
    for limit in [2, 3, 5, 8, 100] {
        let params = TransportParameters { active_cid_limit: limit, ..params() };
        for mut raw in [
            Raw::server_with(TransportConfig::default(), params.clone()),
            Raw::client_with(TransportConfig::default(), params.clone()),
        ] {
            let mut held = 1 + announced(&raw.packets()).len() as u64;
            assert!(held <= limit, "{held} of {limit}");
            for seq in 1..6 {
                raw.frames(&[retire(seq)]);
                if raw.violation().is_some() {
                    break;
                }
                held = held - 1 + announced(&raw.packets()).len() as u64;
                assert!(held <= limit && held >= 2, "{held} of {limit}");
            }
        }
    }
}

// MUST 9000-5.1.2-1
#[test]
fn ids_below_retire_prior_to_are_used_no_more_and_given_back() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.frames(&[new_cid(1, 0), new_cid(2, 0)]);
        raw.datagrams.clear();
        raw.frames(&[new_cid(3, 3)]);
        for _ in 0..20 {
            let _ = raw.victim().send_datagram(vec![1; 500].into());
            raw.pass(Duration::from_millis(50));
        }
        assert_eq!(destinations(&raw), BTreeSet::from([b"number \x03".to_vec()]));
        let packets = raw.packets();
        let frames = packets.iter().flat_map(Packet::frames);
        let retired: BTreeSet<u64> = frames
            .filter_map(|f| if let Frame::RetireConnectionId(f) = f { Some(f.seq) } else { None })
            .collect();
        assert_eq!(retired, BTreeSet::from([0, 1, 2]));
        // a full set fits: they were retired before the new one counted
        raw.frames(&(4..11).map(|seq| new_cid(seq, 3)).collect::<Vec<_>>());
        assert_eq!(raw.violation(), None);
    }
}

// MUST 9000-5.2-1, 9000-11.1-1, 9000-10.3-1
#[test]
fn an_error_in_the_middle_of_an_initial_ends_the_connection() {
    let spoilt = [bytes(&[Frame::Ping]), crypto(0, &[plain::SERVER_HELLO]), vec![0x21]].concat();
    for mut raw in [
        Raw::half_open_client(TransportConfig::default()),
        Raw::half_open_server(TransportConfig::default(), params()),
    ] {
        raw.packets();
        raw.send(Level::Initial, &spoilt);
        assert_eq!(raw.violation().map(|error| error.code), Some(Code::FRAME_ENCODING_ERROR));
        assert_eq!(raw.close_sent().map(|(code, ..)| code), Some(Code::FRAME_ENCODING_ERROR.0));
    }
}

// MUST 9000-5.2.2-2
#[test]
fn packets_for_nobody_that_are_no_initials_are_dropped() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    let ping = bytes(&[Frame::Ping]);
    let handshake = raw.packet(Level::Handshake, &ping, Tweak::default());
    let early = raw.early(&ping, None);
    let mut retry = vec![0xf0, 0, 0, 0, 1, 8];
    retry.extend_from_slice(b"original\x08attackera token and a tag of its own");
    let mut spoilt = raw.packet(Level::Initial, &ping, Tweak::default());
    *spoilt.last_mut().expect("a tag") ^= 1;
    for packet in [handshake, early, retry, spoilt] {
        let mut large = packet.clone();
        large.resize(1300, 0);
        raw.deliver(packet);
        raw.deliver(large);
        raw.pass(Duration::from_millis(100));
    }
    assert!(raw.datagrams.is_empty(), "{:02x?}", raw.datagrams);
    assert_eq!((raw.victim.endpoint.connections(), raw.victim.endpoint.half_open()), (0, 0));
}

// MUST 9000-7.2-1
#[test]
fn the_first_destination_has_eight_bytes_at_least() {
    for len in [4, 8, 20] {
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_len = len;
        let raw = Raw::half_open_client_of(TransportConfig::default(), endpoint);
        assert!(raw.odcid.len() >= 8, "{} where ours have {len}", raw.odcid.len());
    }
    // and a server takes none that is shorter
    for len in 0..8 {
        let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
        (raw.dcid, raw.odcid) = (cid(&b"original"[..len]), cid(&b"original"[..len]));
        raw.send(Level::Initial, &crypto(0, &pair::raw::hello(raw.scid, params())));
        assert_eq!((raw.datagrams.len(), raw.victim.endpoint.connections()), (0, 0), "{len} bytes");
    }
}

// MUST 9000-7.2-2
#[test]
fn until_it_is_answered_a_client_sends_to_one_id() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(Duration::from_secs(20));
    assert!(raw.datagrams.len() > 4);
    assert_eq!(destinations(&raw), BTreeSet::from([raw.odcid.to_vec()]));
}

// MUST 9000-7.2-3, 9000-7.2-4
#[test]
fn a_client_learns_the_servers_id_from_its_first_packet_and_hears_no_other() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.datagrams.clear();
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(destinations(&raw), BTreeSet::from([b"attacker".to_vec()]));
    raw.scid = cid(b"somebody");
    let received = |raw: &mut Raw| raw.victim().stats().counters.packets_received;
    let before = received(&mut raw);
    let hello = crypto(0, &plain::message(plain::SERVER_HELLO, b""));
    raw.send(Level::Initial, &hello);
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    assert_eq!(dropped(&mut raw, DropReason::OtherConnection), 2);
    assert_eq!(received(&mut raw), before);
    raw.scid = cid(b"attacker");
    raw.send(Level::Initial, &hello);
    raw.scid = cid(b"somebody");
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(3));
    assert_eq!(dropped(&mut raw, DropReason::OtherConnection), 3);
    assert_eq!(destinations(&raw), BTreeSet::from([b"attacker".to_vec()]));
}

// MUST 9000-7.2-5, 9000-7.2-6
#[test]
fn a_server_sends_to_the_id_of_the_first_initial_whatever_others_say() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 3000);
    raw.hello(params());
    assert_eq!(destinations(&raw), BTreeSet::from([b"attacker".to_vec()]));
    raw.scid = cid(b"somebody");
    for level in [Level::Initial, Level::Initial, Level::Handshake] {
        raw.send(level, &bytes(&[Frame::Ping]));
    }
    assert_eq!(dropped(&mut raw, DropReason::OtherConnection), 3);
    raw.pass(Duration::from_secs(3));
    assert_eq!(destinations(&raw), BTreeSet::from([b"attacker".to_vec()]));
    raw.scid = cid(b"attacker");
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(dropped(&mut raw, DropReason::OtherConnection), 3, "the first client is still heard");
}

// MUST 9000-10.3.2-2
#[test]
fn all_ids_of_an_endpoint_have_one_length() {
    for len in [4, 8, 20] {
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_len = len;
        assert!(many_ids_of_length(endpoint, len) >= 7);
    }
}

fn many_ids_of_length(endpoint: EndpointConfig, len: usize) -> usize {
    let mut raw = Raw::idle_server(TransportConfig::default(), endpoint, 0);
    raw.hello(params());
    assert_eq!(raw.dcid.len(), len);
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let ids = announced(&raw.packets_with_acks());
    assert!(ids.iter().all(|id| id.cid.len() == len));
    ids.len()
}

// MUST 9000-5.1-3
#[test]
fn nobody_has_an_empty_id() {
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_len = 0;
    let mut pair =
        Pair::with(TransportConfig::default(), TransportConfig::default(), endpoint.clone(), endpoint);
    pair.link = Box::new(|flying| {
        if let Ok(Header::Long { kind: LongKind::Initial, scid, .. }) = Header::parse(&flying.bytes, 4) {
            assert!(!scid.is_empty());
        }
        true
    });
    pair.connected();
}
