//! The targets. Each takes any bytes; what it asserts is said where it is asserted.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tq_quic::handshake::{Level, ServerTls};
use tq_quic::time::Duration;
use tq_quic::wire::frame::Frames;
use tq_quic::wire::header::Header;
use tq_quic::wire::{Dir, Frame, Reader, Side, StreamId, TransportParameters, Writer, packet_number};
use tq_quic::{EndpointConfig, ServerConfig, TransportConfig};

use crate::pair::raw::{Raw, Tweak, bytes, crypto, params};
use crate::pair::{self, CLIENT};

/// A target's name, function, and what one run costs beside a decoder's.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As on the command line and in the corpus.
    pub name: &'static str,
    /// What is run.
    pub run: fn(&[u8]),
    /// Runs of a decoder that take as long as one of this.
    pub cost: usize,
}

/// All of them.
pub const ALL: [Target; 13] = [
    Target { name: "header", run: header, cost: 1 },
    Target { name: "frames", run: frames, cost: 1 },
    Target { name: "parameters", run: parameters, cost: 1 },
    Target { name: "numbers", run: numbers, cost: 1 },
    Target { name: "client_hello", run: client_hello, cost: 1 },
    Target { name: "token", run: token, cost: 10 },
    Target { name: "endpoint", run: endpoint, cost: 20 },
    Target { name: "tls_server", run: tls_server, cost: 50 },
    Target { name: "peer_parameters", run: peer_parameters, cost: 30 },
    Target { name: "server_handshake", run: server_handshake, cost: 50 },
    Target { name: "client_handshake", run: client_handshake, cost: 50 },
    Target { name: "server_session", run: server_session, cost: 50 },
    Target { name: "client_session", run: client_session, cost: 50 },
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    ALL.into_iter().find(|target| target.name == name)
}

/// Headers with any length of connection ids; ranges lie within the packet.
fn header(data: &[u8]) {
    for len in [0, 4, 8, 20] {
        if let Ok(Header::Long { token, pn_offset, end, .. }) = Header::parse(data, len) {
            assert!(token.end <= pn_offset && pn_offset <= end && end <= data.len());
        }
    }
}

/// Frames: what decodes is encoded again to the same frame.
fn frames(data: &[u8]) {
    for frame in Frames::new(data) {
        let Ok(frame) = frame else { return };
        if let Frame::Ack(ack) = &frame {
            let mut below = u64::MAX;
            for range in ack.ranges().take(10_000) {
                assert!(range.start() <= range.end() && *range.end() < below, "ranges descend");
                below = *range.start();
            }
            continue;
        }
        let mut out = vec![0; frame.encoded_len()];
        let mut w = Writer::new(&mut out);
        frame.encode(&mut w);
        assert_eq!(w.len(), frame.encoded_len(), "{frame:?}");
        assert_eq!(Frames::new(&out).next(), Some(Ok(frame)));
    }
}

/// Transport parameters of both sides: what decodes is encoded again to the same.
fn parameters(data: &[u8]) {
    for sender in [Side::Client, Side::Server] {
        let Ok(params) = TransportParameters::decode(data, sender) else { continue };
        let _ = params.check();
        let mut out = vec![0; data.len() + 1024];
        let mut w = Writer::new(&mut out);
        params.encode(&mut w, None);
        let len = w.len();
        let again = TransportParameters::decode(&out[..len], sender);
        assert_eq!(again.as_ref(), Ok(&params));
    }
}

/// Integers, prefixed slices and packet numbers.
fn numbers(data: &[u8]) {
    let mut r = Reader::new(data);
    while let Ok(value) = r.varint() {
        let mut out = [0; 8];
        let mut w = Writer::new(&mut out);
        w.varint(value);
        assert_eq!(Reader::new(w.written()).varint(), Ok(value));
        let largest = value / 2;
        let len = packet_number::encoded_len(value, Some(largest));
        if value - largest < 1 << 31 {
            let mask = if len == 4 { u32::MAX } else { (1 << (8 * len)) - 1 };
            assert_eq!(packet_number::decode(value as u32 & mask, len, largest + 1), value);
        }
        let _ = r.prefixed();
    }
}

/// The look into a ClientHello.
fn client_hello(data: &[u8]) {
    if let Ok(Some(hello)) = tq_tls::peek::peek(data) {
        let _ = (hello.server_name(), hello.alpn().count(), hello.accepts_raw_key(), hello.shows_raw_key());
    }
}

fn idle() -> Raw {
    pair::entropy::Seeded::reset();
    Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 1000)
}

/// A token in an Initial: nobody else's opens a connection that counts as validated.
fn token(data: &[u8]) {
    let mut raw = idle();
    raw.token = data[..data.len().min(900)].to_vec();
    raw.send(Level::Initial, &[1]);
    for connection in raw.victim.connections.values() {
        assert!(!connection.stats().paths[0].validated, "a forged token was believed");
    }
    assert!(raw.sent <= 3 * raw.received);
}

/// The pieces of an input: each has two octets of length.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = data.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
        let (piece, rest) = rest.split_at(len);
        data = rest;
        Some(piece)
    })
}

/// Datagrams of strangers: never more out than three times in, and nothing is left after a minute.
fn endpoint(data: &[u8]) {
    let mut raw = idle();
    for (n, piece) in pieces(data).take(40).enumerate() {
        raw.deliver_from(SocketAddr::new([192, 0, 2, 1].into(), 1000 + n as u16 % 3), piece.to_vec());
    }
    assert!(raw.sent <= 3 * raw.received, "{} for {}", raw.sent, raw.received);
    raw.pass(Duration::from_secs(60));
    assert_eq!(raw.victim.endpoint.half_open(), 0);
}

fn rustls_server() -> Arc<dyn ServerTls> {
    static TLS: OnceLock<Arc<dyn ServerTls>> = OnceLock::new();
    Arc::clone(TLS.get_or_init(|| pair::tls().1))
}

/// CRYPTO bytes for a real TLS server.
fn tls_server(data: &[u8]) {
    let mut raw = idle();
    let transport = Arc::new(TransportConfig::default());
    raw.victim.endpoint.set_server(Some(Arc::new(ServerConfig { tls: rustls_server(), transport })));
    let mut at = 0;
    for piece in pieces(data).take(20) {
        let piece = &piece[..piece.len().min(1100)];
        raw.send(Level::Initial, &crypto(at, piece));
        at += piece.len() as u64;
    }
    assert!(raw.sent <= 3 * raw.received);
    raw.pass(Duration::from_secs(60));
    assert_eq!(raw.victim.endpoint.connections(), 0);
}

/// A ClientHello whose transport parameters are these bytes.
fn peer_parameters(data: &[u8]) {
    let mut raw = idle();
    let hello = pair::plain::message(pair::plain::CLIENT_HELLO, &data[..data.len().min(4000)]);
    for (n, part) in hello.chunks(1000).enumerate() {
        raw.send(Level::Initial, &crypto(1000 * n as u64, part));
    }
    raw.handle = raw.victim.accepted.back().copied().unwrap_or(raw.handle);
    session(&mut raw, &[4, 0, 200, 7, 10, 4, 1, 0]);
}

fn server_handshake(data: &[u8]) {
    pair::entropy::Seeded::reset();
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    session(&mut raw, data);
}

fn client_handshake(data: &[u8]) {
    pair::entropy::Seeded::reset();
    let mut raw = Raw::half_open_client(TransportConfig::default());
    session(&mut raw, data);
}

fn server_session(data: &[u8]) {
    pair::entropy::Seeded::reset();
    let mut raw = Raw::server();
    session(&mut raw, data);
}

fn client_session(data: &[u8]) {
    pair::entropy::Seeded::reset();
    let mut raw = Raw::client();
    session(&mut raw, data);
}

/// A list of things a peer, time and an application do to a connection. Afterwards all of them stop, and minutes later
/// nothing is left of it.
fn session(raw: &mut Raw, mut data: &[u8]) {
    for _ in 0..64 {
        let Some((op, rest)) = data.split_first() else { break };
        let (a, b) = (rest.first().copied().unwrap_or(0), rest.get(1).copied().unwrap_or(0));
        data = rest.get(2..).unwrap_or_default();
        let len = usize::from(u16::from_be_bytes([a, b]) & 0x7ff).min(data.len());
        let sealed = |raw: &mut Raw, level, data: &[u8]| raw.send(level, data);
        match op % 14 {
            0 => raw.deliver(data[..len].to_vec()),
            1 => sealed(raw, Level::Initial, &data[..len]),
            2 => sealed(raw, Level::Handshake, &data[..len]),
            3 | 13 => sealed(raw, Level::OneRtt, &data[..len]),
            4 => raw.pass(Duration::from_millis(u64::from(u16::from_be_bytes([a, b])))),
            5 => {
                let packet = raw.packet(Level::OneRtt, &data[..len], Tweak::default());
                raw.deliver_from(SocketAddr::new([203, 0, 113, a].into(), 7), packet);
            }
            6 => acknowledge(raw),
            7 => speak(raw, a, b),
            8 => listen(raw),
            9 => {
                let tweak = Tweak { generation: u64::from(a % 4), first: b & 0x18, ..Tweak::default() };
                let packet = raw.packet(Level::OneRtt, &[1], tweak);
                raw.deliver(packet);
            }
            10 => {
                let pn = raw.pn[2].saturating_add(u64::from(a) << (b % 24)).min(1 << 61);
                let packet = raw.packet(Level::OneRtt, &[1], Tweak { pn: Some(pn), ..Tweak::default() });
                raw.deliver(packet);
            }
            11 => end(raw, a, b),
            _ => {
                // two packets in a datagram
                let mut datagram = raw.packet(Level::Handshake, &data[..len], Tweak::default());
                datagram.extend(raw.packet(Level::OneRtt, &[1], Tweak::default()));
                raw.deliver(datagram);
            }
        }
        if !matches!(op % 14, 4 | 6 | 7 | 8 | 9 | 10 | 11) {
            data = &data[len..];
        }
    }
    raw.me = CLIENT.parse().unwrap_or(raw.me);
    // idle timeout or a minute for three PTO, and once more for the probe that was sent last
    raw.pass(Duration::from_secs(200));
    let left =
        raw.victim.connections.get(&raw.handle).map(|connection| (connection.deadline(), connection.stats()));
    assert_eq!(raw.victim.endpoint.connections(), 0, "waits for ever at {:?}: {left:?}", raw.now);
    assert_eq!(raw.victim.endpoint.half_open(), 0);
}

/// Acknowledges what the victim has sent, as an honest peer would.
fn acknowledge(raw: &mut Raw) {
    let mut newest = [None; 3];
    let mut answers = Vec::new();
    for packet in raw.packets() {
        newest[packet.level as usize] = newest[packet.level as usize].max(Some(packet.pn));
        answers.extend(packet.frames().iter().filter_map(|frame| match frame {
            Frame::PathChallenge(data) => Some(*data),
            _ => None,
        }));
    }
    for (level, newest) in [Level::Initial, Level::Handshake, Level::OneRtt].into_iter().zip(newest) {
        let Some(pn) = newest else { continue };
        let mut payload = Raw::ack_one(pn);
        if level == Level::OneRtt {
            let frames: Vec<_> = answers.iter().map(|data| Frame::PathResponse(*data)).collect();
            payload.extend(bytes(&frames));
        }
        raw.send(level, &payload);
    }
}

/// The application writes.
fn speak(raw: &mut Raw, a: u8, b: u8) {
    let Some(connection) = raw.victim.connections.get_mut(&raw.handle) else { return };
    let dir = if a & 1 == 0 { Dir::Bi } else { Dir::Uni };
    if let Some(id) = connection.open(dir) {
        let _ = connection.write_slice(id, &vec![a; usize::from(b) * 64]);
        if a & 2 == 0 {
            let _ = connection.finish(id);
        }
    }
    let _ = connection.send_datagram(vec![b; usize::from(a)].into());
    raw.collect();
}

/// The application reads what there is.
fn listen(raw: &mut Raw) {
    let Some(connection) = raw.victim.connections.get_mut(&raw.handle) else { return };
    for dir in Dir::ALL {
        while let Some(id) = connection.accept(dir) {
            while let Ok(Some(_)) = connection.read(id, 1000) {}
        }
    }
    while connection.read_datagram().is_some() {}
    raw.collect();
}

/// The application ends something.
fn end(raw: &mut Raw, a: u8, b: u8) {
    let now = raw.now;
    let Some(connection) = raw.victim.connections.get_mut(&raw.handle) else { return };
    let id = StreamId(u64::from(b % 16));
    match a % 8 {
        0 => drop(connection.reset(id, 7)),
        1 => drop(connection.stop(id, 8)),
        2 => drop(connection.finish(id)),
        3 => drop(connection.set_priority(id, i32::from(a))),
        4 => drop(connection.update_keys(now)),
        5 => {
            let remote = connection.remote();
            connection.on_too_big(now, 0, remote, 1000 + usize::from(b) * 4);
        }
        6 => connection.ping(),
        _ => connection.close(now, 1, &[b; 20]),
    }
    raw.collect();
}
