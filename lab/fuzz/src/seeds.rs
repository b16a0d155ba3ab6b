//! Inputs to begin with, taken from real connections: what both ends say, packet by packet and frame by frame. The same
//! on every machine but for what TLS draws at random.

use std::cell::RefCell;
use std::rc::Rc;

use tq_quic::TransportConfig;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{
    AckFrequency, Close, NewConnectionId, ResetStream, ResetStreamAt, RetireConnectionId, StopSending, Stream,
};
use tq_quic::wire::header::Header;
use tq_quic::wire::{Cid, Dir, Frame, ResetToken, Side, StreamId};

use crate::pair::flow::Flow;
use crate::pair::raw::{Raw, bytes, crypto, hello, params};
use crate::pair::{Pair, Policy, plain};

/// A target and an input for it.
pub(crate) type Seed = (&'static str, Vec<u8>);

/// All seeds.
pub fn generate() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<Seed> = Vec::new();
    let datagrams = recorded();
    seeds.extend(datagrams.iter().step_by(5).take(8).map(|datagram| ("header", datagram.clone())));
    seeds.extend(datagrams.chunks(3).take(4).map(|some| ("endpoint", joined(some))));
    seeds.extend(frames().into_iter().map(|frame| ("frames", frame)));
    seeds.extend(said().into_iter().map(|payload| ("frames", payload)));
    let own = hello(Cid::new(b"attacker").unwrap_or(Cid::EMPTY), params())[4..].to_vec();
    seeds.push(("parameters", own.clone()));
    seeds.push(("peer_parameters", own));
    seeds.extend(server_parameters().map(|params| ("parameters", params)));
    seeds.push(("numbers", vec![0, 0x40, 1, 0x80, 0, 0, 1, 0xc0, 0, 0, 0, 0, 0, 0, 1, 2, 9, 9]));
    if let Some(real) = client_hello() {
        let halves: Vec<Vec<u8>> = real.chunks(real.len().div_ceil(2)).map(<[u8]>::to_vec).collect();
        seeds.push(("tls_server", joined(std::slice::from_ref(&real))));
        seeds.push(("tls_server", joined(&halves)));
        seeds.push(("client_hello", real));
    }
    seeds.extend(retry_token().map(|token| ("token", token)));
    for target in ["server_handshake", "client_handshake", "server_session", "client_session"] {
        seeds.extend(sessions(target).into_iter().map(|session| (target, session)));
    }
    seeds
}

/// The datagrams of a whole connection, both ways.
fn recorded() -> Vec<Vec<u8>> {
    let mut pair = Pair::default();
    let log: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let seen = Rc::clone(&log);
    pair.link = Box::new(move |flying| {
        seen.borrow_mut().push(flying.bytes.clone());
        true
    });
    Flow::connect(&mut pair, Side::Client, 20_000).run(&mut pair, Duration::from_secs(5));
    log.take()
}

/// Pieces with their lengths in front.
fn joined(pieces: &[Vec<u8>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| [&(piece.len() as u16).to_be_bytes(), &piece[..]].concat()).collect()
}

/// One of each frame.
fn frames() -> Vec<Vec<u8>> {
    let id = StreamId::new(Side::Client, Dir::Bi, 1);
    let cid = Cid::new(b"new-one!").unwrap_or(Cid::EMPTY);
    let all = [
        Frame::Padding(3),
        Frame::Ping,
        Frame::ResetStream(ResetStream { id, code: 300, final_size: 5 }),
        Frame::StopSending(StopSending { id, code: 4 }),
        Frame::Crypto(tq_quic::wire::frame::Crypto { offset: 70, data: b"hello" }),
        Frame::NewToken(b"token"),
        Frame::Stream(Stream { id, offset: 0, fin: false, data: b"first" }),
        Frame::Stream(Stream { id, offset: 1 << 20, fin: true, data: b"last" }),
        Frame::MaxData(1 << 30),
        Frame::MaxStreamData(id, 1 << 21),
        Frame::MaxStreams(Dir::Uni, 300),
        Frame::DataBlocked(9),
        Frame::StreamDataBlocked(id, 9),
        Frame::StreamsBlocked(Dir::Bi, 9),
        Frame::NewConnectionId(NewConnectionId {
            path: None,
            seq: 1,
            retire_prior_to: 1,
            cid,
            token: ResetToken([7; 16]),
        }),
        Frame::RetireConnectionId(RetireConnectionId { path: None, seq: 1 }),
        Frame::PathChallenge([1; 8]),
        Frame::PathResponse([2; 8]),
        Frame::Close(Close { code: 1, frame_type: Some(6), reason: b"why" }),
        Frame::Close(Close { code: 1, frame_type: None, reason: b"bye" }),
        Frame::HandshakeDone,
        Frame::ResetStreamAt(ResetStreamAt { id, code: 1, final_size: 9, reliable_size: 3 }),
        Frame::Datagram(b"message"),
        Frame::ImmediateAck,
        Frame::AckFrequency(AckFrequency { seq: 1, threshold: 5, max_ack_delay_us: 20_000, reordering: 3 }),
    ];
    let mut out: Vec<Vec<u8>> = all.iter().map(|frame| bytes(std::slice::from_ref(frame))).collect();
    out.push(Raw::ack(&[1..3, 5..9, 20..21]));
    out
}

/// What an endpoint of ours says in an ordinary session.
fn said() -> Vec<Vec<u8>> {
    let mut raw = Raw::server();
    if let Some(id) = raw.victim().open(Dir::Uni) {
        let _ = raw.victim().write_slice(id, &[5; 3000]);
        let _ = raw.victim().finish(id);
    }
    raw.frames(&[Frame::PathChallenge([3; 8]), Frame::Ping]);
    raw.pass(Duration::from_millis(500));
    let mut said: Vec<Vec<u8>> = raw.packets().into_iter().map(|packet| packet.payload).collect();
    said.retain(|payload| payload.len() < 600);
    said.truncate(8);
    said
}

/// The transport parameters of a server.
fn server_parameters() -> Option<Vec<u8>> {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let mut flight = Vec::new();
    for packet in raw.packets().iter().filter(|packet| packet.level == Level::Handshake) {
        for frame in packet.frames() {
            if let Frame::Crypto(part) = frame {
                flight.extend_from_slice(part.data);
            }
        }
    }
    let (head, rest) = flight.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
    rest.get(..len).filter(|_| head[0] == plain::PARAMS).map(<[u8]>::to_vec)
}

/// A ClientHello of rustls.
fn client_hello() -> Option<Vec<u8>> {
    let mut pair = Pair::default();
    pair.connect();
    pair.flush();
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.datagrams = pair.flying.into_values().map(|flying| flying.bytes).collect();
    if let Ok(Header::Long { dcid, .. }) = Header::parse(raw.datagrams.first()?, 8) {
        raw.odcid = dcid;
    }
    let mut hello = Vec::new();
    for packet in raw.packets() {
        for frame in packet.frames() {
            if let Frame::Crypto(part) = frame {
                let end = part.offset as usize + part.data.len();
                hello.resize(end.max(hello.len()), 0);
                hello[part.offset as usize..end].copy_from_slice(part.data);
            }
        }
    }
    (!hello.is_empty()).then_some(hello)
}

/// A token of a Retry.
fn retry_token() -> Option<Vec<u8>> {
    let mut raw = Raw::idle_server(TransportConfig::default(), Default::default(), 0);
    raw.victim.policy = |_| Policy::Retry;
    let hello = crypto(0, &hello(raw.scid, params()));
    raw.send(Level::Initial, &hello);
    let reply = raw.datagrams.pop()?;
    match Header::parse(&reply, 8) {
        Ok(Header::Retry { token, .. }) => Some(reply[token].to_vec()),
        _ => None,
    }
}

/// One step of a session, as the session targets read it.
fn step(op: u8, payload: &[u8]) -> Vec<u8> {
    [&[op], &(payload.len() as u16).to_be_bytes()[..], payload].concat()
}

fn sessions(target: &str) -> Vec<Vec<u8>> {
    let (wait, ack, speak, listen) = ([4, 0, 30], [6, 0, 0], [7, 0, 40], [8, 0, 0]);
    let mut out = Vec::new();
    for part in frames().chunks(4) {
        let mut session = Vec::new();
        if target.ends_with("handshake") {
            let (level, message) = match target.starts_with("server") {
                true => (2, plain::message(plain::FINISHED, b"")),
                false => (1, plain::message(plain::SERVER_HELLO, b"")),
            };
            session.extend(step(level, &crypto(0, &message)));
            session.extend(wait);
        }
        session.extend(speak);
        for frame in part {
            session.extend(step(3, frame));
            session.extend(ack);
        }
        session.extend(wait);
        session.extend(listen);
        session.extend(step(5, &part[0]));
        session.extend(ack);
        session.extend([9, 1, 0, 10, 3, 4, 11, out.len() as u8, 0]);
        out.push(session);
    }
    out
}
