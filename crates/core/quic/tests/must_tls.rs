//! Rules of RFC 9001 and 9002 that a peer can watch: which keys and levels carry what, and when they go.

mod pair;

use std::sync::Arc;

use pair::SERVER;
use pair::plain::{CHAIN, FINISHED, PARAMS, Plain, SERVER_HELLO, message};
use pair::raw::{Packet, Raw, Tweak, bytes, crypto, encode, params};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::Header;
use tq_quic::wire::{Code, Dir, Frame};
use tq_quic::{ClientConfig, EndpointConfig, TransportConfig};

const MS: Duration = Duration::from_millis(1);

fn code(raw: &Raw) -> Option<Code> {
    raw.violation().map(|error| error.code)
}

fn finish(raw: &mut Raw) {
    raw.send(Level::Handshake, &crypto(0, &message(FINISHED, b"")));
}

fn hello(raw: &mut Raw) {
    raw.send(Level::Initial, &crypto(0, &message(SERVER_HELLO, b"")));
}

/// First byte and length of the CRYPTO in packets of a level.
fn crypto_in(packets: &[Packet], level: Level) -> Vec<(u64, u8)> {
    let of_level = packets.iter().filter(|packet| packet.level == level);
    let frames = of_level.flat_map(|packet| packet.frames());
    let crypto = frames.filter_map(|frame| match frame {
        Frame::Crypto(f) => Some((f.offset, f.data[0])),
        _ => None,
    });
    crypto.collect()
}

fn has(packets: &[Packet], frame: &Frame<'_>) -> bool {
    packets.iter().any(|packet| packet.frames().contains(frame))
}

fn dropped(raw: &mut Raw, reason: DropReason) -> u64 {
    raw.victim().stats().counters.dropped(reason)
}

fn received(raw: &mut Raw) -> u64 {
    raw.victim().stats().counters.packets_received
}

// MUST 9001-4-1, 9001-4.9-1, 9001-4.9-2
#[test]
fn handshake_bytes_go_and_go_again_at_the_level_they_belong_to() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    for _ in 0..2 {
        // by now TLS has 1-RTT keys
        let packets = raw.packets();
        assert_eq!(crypto_in(&packets, Level::Initial)[0], (0, SERVER_HELLO));
        assert_eq!(crypto_in(&packets, Level::Handshake)[0], (0, PARAMS));
        assert_eq!(crypto_in(&packets, Level::OneRtt), []);
        raw.pass(Duration::from_secs(2));
    }
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.packets();
    raw.answer(params());
    for _ in 0..2 {
        let packets = raw.packets();
        assert_eq!(crypto_in(&packets, Level::Handshake)[0], (0, FINISHED));
        assert_eq!(crypto_in(&packets, Level::Initial), []);
        raw.pass(Duration::from_secs(2));
    }
}

// MUST 9001-4.9-2
#[test]
fn new_data_takes_the_highest_level_there_is() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.answer(params());
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    raw.packets();
    assert_eq!(raw.victim().write_slice(id, b"new"), Ok(3));
    raw.collect();
    let packets = raw.packets();
    let carries = |p: &&Packet| p.frames().iter().any(|frame| matches!(frame, Frame::Stream(_)));
    let carrier = packets.iter().find(carries).expect("the data is sent");
    assert!(carrier.level == Level::OneRtt && !carrier.early);
}

// MUST 9001-4.1.2-1
#[test]
fn handshake_done_answers_the_packet_that_completes_the_handshake() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    assert!(!has(&raw.packets(), &Frame::HandshakeDone));
    finish(&mut raw);
    assert!(has(&raw.packets(), &Frame::HandshakeDone), "at once");
}

// MUST 9001-4.1.3-1, 9001-4.1.3-2
#[test]
fn a_level_that_tls_has_left_brings_nothing_new() {
    // what came before may come again
    let mut raw = Raw::half_open_client(TransportConfig::default());
    hello(&mut raw);
    hello(&mut raw);
    assert_eq!(code(&raw), None);
    raw.send(Level::Initial, &crypto(4, b"more"));
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
    // nor behind a gap
    let mut raw = Raw::half_open_client(TransportConfig::default());
    hello(&mut raw);
    raw.send(Level::Initial, &crypto(100, b"more"));
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.answer(params());
    raw.send(Level::Handshake, &crypto(5000, b"more"));
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.send(Level::Initial, &crypto(1000, b"more"));
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
}

// MUST 9001-4.1.3-3
#[test]
fn bytes_that_tls_has_not_read_when_it_leaves_a_level_are_a_violation() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.send(Level::Initial, &crypto(100, b"ahead"));
    assert_eq!(code(&raw), None);
    hello(&mut raw);
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.send(Level::Handshake, &crypto(100, b"ahead"));
    assert_eq!(code(&raw), None);
    finish(&mut raw);
    assert_eq!(code(&raw), Some(Code::PROTOCOL_VIOLATION));
}

/// An Initial is dropped for want of keys, and none is sent, whatever is probed.
fn assert_initial_keys_are_gone(mut raw: Raw) {
    let (before, taken) = (dropped(&mut raw, DropReason::KeysDiscarded), received(&mut raw));
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(3));
    assert_eq!(dropped(&mut raw, DropReason::KeysDiscarded), before + 1);
    assert_eq!(received(&mut raw), taken);
    let packets = raw.packets();
    assert!(!packets.is_empty() && packets.iter().all(|packet| packet.level != Level::Initial));
}

// MUST 9001-4.9.1-1, 9001-4.9.1-3
#[test]
fn a_client_that_has_sent_a_handshake_packet_has_no_initial_keys() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.packets();
    raw.answer(params());
    assert!(raw.packets().iter().any(|packet| packet.level == Level::Handshake));
    assert_initial_keys_are_gone(raw);
}

// MUST 9001-4.9.1-2, 9001-4.9.1-3
#[test]
fn a_server_that_has_read_a_handshake_packet_has_no_initial_keys() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    assert_initial_keys_are_gone(raw);
}

// MUST 9001-4.9.2-1
#[test]
fn handshake_keys_go_when_the_handshake_is_confirmed() {
    let mut client = Raw::half_open_client(TransportConfig::default());
    client.answer(params());
    let taken = received(&mut client);
    client.send(Level::Handshake, &bytes(&[Frame::Ping]));
    assert_eq!(received(&mut client), taken + 1, "complete, not confirmed");
    client.send(Level::OneRtt, &bytes(&[Frame::HandshakeDone]));
    for mut raw in [client, Raw::server()] {
        raw.packets();
        let (before, taken) = (dropped(&mut raw, DropReason::KeysDiscarded), received(&mut raw));
        raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
        raw.pass(Duration::from_secs(1));
        assert_eq!(dropped(&mut raw, DropReason::KeysDiscarded), before + 1);
        assert_eq!(received(&mut raw), taken);
        assert!(raw.packets().iter().all(|packet| packet.level == Level::OneRtt));
    }
}

// MUST 9001-5.6-3
#[test]
fn a_server_seals_nothing_with_early_keys() {
    let tls = Plain { early: true, ..Plain::default() };
    let mut raw = Raw::idle_server_by(tls, TransportConfig::default(), EndpointConfig::default());
    raw.hello(params());
    let early = raw.early(&bytes(&[Frame::Ping]), None);
    raw.deliver(early);
    raw.pass(100 * MS);
    let packets = raw.packets();
    assert!(packets.iter().all(|packet| !packet.early));
    let acks = packets.iter().filter(|packet| packet.level == Level::OneRtt).flat_map(Packet::frames);
    assert_eq!(acks.filter(|frame| matches!(frame, Frame::Ack(_))).count(), 1, "in 1-RTT");
}

// MUST 9001-5.7-1, 9001-5.7-2, 9001-5.7-3
#[test]
fn one_rtt_packets_wait_until_the_handshake_is_complete() {
    // the server has had 1-RTT keys since it read the ClientHello
    let mut server = Raw::half_open_server(TransportConfig::default(), params());
    let mut client = Raw::half_open_client(TransportConfig::default());
    hello(&mut client);
    for raw in [&mut server, &mut client] {
        let taken = received(raw);
        raw.frames(&[Frame::Ping]);
        raw.pass(100 * MS);
        assert_eq!(received(raw), taken);
        assert!(!raw.packets().iter().any(|packet| packet.level == Level::OneRtt
            && packet.frames().iter().any(|frame| matches!(frame, Frame::Ack(_)))));
    }
    let taken = received(&mut server);
    finish(&mut server);
    assert_eq!(received(&mut server), taken + 2, "the one that waited too");
    let taken = received(&mut client);
    let (initial_scid, original_dcid) = (Some(client.scid), Some(client.odcid));
    let params = tq_quic::wire::TransportParameters { initial_scid, original_dcid, ..params() };
    let mut flight = message(PARAMS, &encode(&params));
    flight.extend(message(CHAIN, b""));
    client.send(Level::Handshake, &crypto(0, &flight));
    assert_eq!(received(&mut client), taken + 1, "parameters are not the end of the handshake");
    client.send(Level::Handshake, &crypto(flight.len() as u64, &message(FINISHED, b"")));
    assert_eq!(received(&mut client), taken + 3);
}

// MUST 9001-6-1, 9001-6.1-3
#[test]
fn a_key_update_says_nothing_to_tls_and_keeps_old_keys_until_the_peer_has_followed() {
    let mut raw = Raw::server();
    raw.frames(&[Frame::Ping]);
    let last = raw.packets().iter().map(|packet| packet.pn).max().unwrap_or(0);
    raw.pass(500 * MS);
    let ack = raw.packets().iter().map(|packet| packet.pn).max().unwrap_or(last).max(last);
    raw.send(Level::OneRtt, &Raw::ack_one(ack));
    let now = raw.now;
    assert!(raw.victim().update_keys(now), "{:?}", raw.victim().stats().counters);
    raw.victim_generation = 1;
    raw.victim().send_datagram(vec![1; 20].into()).expect("room");
    raw.collect();
    raw.pass(Duration::from_secs(1));
    let packets = raw.packets();
    assert!(!packets.is_empty());
    assert!(packets.iter().all(|p| !p.frames().iter().any(|frame| matches!(frame, Frame::Crypto(_)))));
    raw.pass(Duration::from_secs(10));
    let taken = received(&mut raw);
    raw.frames(&[Frame::Ping]);
    assert_eq!(received(&mut raw), taken + 1, "sealed with the old keys");
}

// MUST 9001-6.1-3, 9001-6.2-1, 9001-6.2-2, 9001-6.4-1
#[test]
fn a_peers_update_is_followed_before_its_packet_is_acknowledged() {
    let mut raw = Raw::server();
    raw.frames(&[Frame::Ping]);
    raw.frames(&[Frame::Ping]);
    let before = raw.packets().iter().map(|packet| packet.pn).max().expect("packets of phase 0");
    let new = raw.packet(Level::OneRtt, &[1, 0, 0, 0], Tweak { generation: 1, ..Tweak::default() });
    raw.deliver(new);
    raw.pass(50 * MS);
    let sealed = raw.datagrams.clone();
    assert!(raw.packets().is_empty(), "nothing more under the old keys");
    raw.datagrams = sealed;
    raw.victim_generation = 1;
    let packets = raw.packets();
    assert!(packets.iter().any(|p| p.frames().iter().any(|f| matches!(f, Frame::Ack(_)))), "{packets:?}");
    assert!(packets.iter().all(|packet| packet.pn > before));
}

// MUST 9001-6.4-2
#[test]
fn old_keys_above_newer_ones_are_an_error() {
    // no key is even tried for an update below what the current one has opened
    let mut raw = Raw::server();
    raw.pn[2] = 20;
    raw.frames(&[Frame::Ping]);
    let new = Tweak { generation: 1, pn: Some(10), ..Tweak::default() };
    let packet = raw.packet(Level::OneRtt, &[1, 0, 0, 0], new);
    raw.deliver(packet);
    assert_eq!((code(&raw), raw.victim().stats().key_generation), (None, 0));
    // a straggler between two newer ones
    let mut raw = Raw::server();
    raw.frames(&[Frame::Ping]);
    for (generation, pn, wrong) in [(1, 30, false), (0, 20, false), (1, 25, false), (1, 15, true)] {
        let tweak = Tweak { generation, pn: Some(pn), ..Tweak::default() };
        let packet = raw.packet(Level::OneRtt, &[1, 0, 0, 0], tweak);
        raw.deliver(packet);
        assert_eq!(code(&raw).is_some(), wrong, "{pn}");
    }
    assert_eq!(code(&raw), Some(Code::KEY_UPDATE_ERROR));
}

// MUST 9001-8.2-2
#[test]
fn a_handshake_without_transport_parameters_is_a_missing_extension() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    hello(&mut raw);
    raw.send(Level::Handshake, &crypto(0, &message(FINISHED, b"")));
    assert_eq!(code(&raw), Some(Code(0x16d)));
}

// MUST 9001-9.2-3
#[test]
fn a_client_shows_a_token_as_it_came_whatever_it_says() {
    let mut raw = Raw::client();
    let token = b"\x00GET / HTTP/1.1\r\n\xff";
    raw.frames(&[Frame::NewToken(token)]);
    assert_eq!(code(&raw), None);
    raw.datagrams.clear();
    let config = ClientConfig::new(Arc::new(Plain::default()), Arc::new(TransportConfig::default()));
    let server = SERVER.parse().expect("an address");
    let connecting = raw.victim.endpoint.connect(raw.now, &config, server, 0, "localhost");
    let (handle, connection) = connecting.expect("starts");
    raw.victim.connections.insert(handle, connection);
    raw.collect();
    let first = raw.datagrams.last().expect("an Initial");
    let Ok(Header::Long { token: at, .. }) = Header::parse(first, 8) else { panic!("an Initial") };
    assert_eq!(&first[at], token);
}

// MUST 9001-9.3-1
#[test]
fn a_client_hello_comes_in_a_full_datagram() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(Duration::from_secs(5));
    assert!(raw.datagrams.len() > 2);
    assert!(raw.datagrams.iter().all(|datagram| datagram.len() >= 1200));
}

// MUST 9002-6.2.2.1-3, 9002-6.2.2.1-4, 9002-6.2.2.1-2
#[test]
fn a_client_in_doubt_probes_with_handshake_packets_or_full_initials() {
    for handshake in [false, true] {
        let mut raw = Raw::half_open_client(TransportConfig::default());
        raw.pass(20 * MS);
        let last = raw.packets().iter().map(|packet| packet.pn).max().expect("an Initial");
        raw.send(Level::Initial, &Raw::ack_one(last));
        if handshake {
            hello(&mut raw);
        }
        raw.packets();
        raw.pass(Duration::from_secs(2));
        let probes = raw.packets();
        assert!(!probes.is_empty(), "nothing is in flight, and it probes");
        for probe in probes {
            assert_eq!(probe.level == Level::Handshake, handshake);
            assert!(handshake || probe.datagram >= 1200);
            assert!(probe.frames().iter().any(Frame::is_ack_eliciting));
        }
    }
}

// MUST 9002-7-2
#[test]
fn no_more_than_a_window_leaves_before_an_acknowledgement() {
    let mut raw = Raw::client();
    raw.packets();
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    let window = raw.victim().stats().paths[0].cwnd;
    let mut sent = 0;
    for _ in 0..200 {
        let _ = raw.victim().write_slice(id, &[7; 1000]);
        raw.collect();
        sent += raw.datagrams.drain(..).map(|datagram| datagram.len() as u64).sum::<u64>();
        raw.now += Duration::from_micros(100);
    }
    assert!(sent > window / 2 && sent <= window, "{sent} of {window}");
}
