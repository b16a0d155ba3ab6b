//! Whatever arrives, nothing panics, nothing hangs and nothing grows: arbitrary bytes, and real datagrams with bits,
//! bytes and lengths changed, before and after the handshake, straight into a connection and through an endpoint;
//! frames sealed with the right keys but made of noise.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Raw, bytes};
use pair::{Flying, Pair};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::{Ecn, Frame, Side};
use tq_quic::{Event, RecvMeta, Route};

/// A small generator, so that a seed is all there is to repeat a run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A datagram like `real`, but not quite.
    fn bend(&mut self, real: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = real.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(out.len());
            match self.below(10) {
                0 if !out.is_empty() => out[at] ^= 1 << self.below(8),
                1 if !out.is_empty() => out[at] = self.next() as u8,
                2 => out.truncate(at),
                3 => {
                    let more = self.below(40);
                    out.extend(self.bytes(more));
                }
                4 if !out.is_empty() => {
                    // the header, where lengths are
                    let at = at % out.len().min(40);
                    out[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff][self.below(9)];
                }
                5 => out.extend_from_slice(other),
                6 if !out.is_empty() => drop(out.remove(at)),
                7 => out.insert(at, self.next() as u8),
                8 if !out.is_empty() => out[0] = self.next() as u8,
                _ => {
                    let from = self.below(other.len());
                    out.truncate(at);
                    out.extend_from_slice(&other[from..]);
                }
            }
        }
        out.truncate(65_527);
        out
    }
}

/// The datagrams of a whole connection, with who they went to.
fn recorded() -> Vec<Flying> {
    let mut pair = Pair::default();
    let log: Rc<RefCell<Vec<Flying>>> = Rc::default();
    let seen = Rc::clone(&log);
    pair.link = Box::new(move |flying| {
        seen.borrow_mut().push(flying.clone());
        true
    });
    Flow::connect(&mut pair, Side::Client, 100_000).run(&mut pair, Duration::from_secs(5));
    log.take()
}

#[test]
fn arbitrary_bytes_pass_an_endpoint_without_a_trace() {
    for seed in 0..8u64 {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let mut raw = Raw::idle_server(Default::default(), Default::default(), 0);
        for _ in 0..2000 {
            let len = dice.below(1600);
            let mut datagram = dice.bytes(len);
            if let [first, v @ ..] = &mut datagram[..]
                && v.len() > 4
                && dice.below(2) == 0
            {
                *first |= 0xc0;
                v[..4].copy_from_slice(&1u32.to_be_bytes());
            }
            raw.deliver(datagram);
        }
        assert_eq!(raw.victim.endpoint.connections(), 0);
        assert!(raw.sent < raw.received, "{} bytes for {}", raw.sent, raw.received);
    }
}

#[test]
fn bent_datagrams_never_break_a_connection_that_goes_on() {
    // both directions of a real connection, with bent copies of everything in between
    for seed in 0..12u64 {
        println!("seed {seed}");
        let dice = Rc::new(RefCell::new(Dice(seed)));
        let mut pair = Pair::default();
        let extra: Rc<RefCell<Vec<Flying>>> = Rc::default();
        let (made, rolls) = (Rc::clone(&extra), Rc::clone(&dice));
        let mut last = vec![0x40; 50];
        pair.link = Box::new(move |flying| {
            let mut dice = rolls.borrow_mut();
            for _ in 0..4 {
                let mut bent = flying.clone();
                bent.bytes = dice.bend(&flying.bytes, &last);
                bent.ecn = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce][dice.below(4)];
                if !bent.bytes.is_empty() {
                    made.borrow_mut().push(bent);
                }
            }
            last = flying.bytes.clone();
            true
        });
        let client = pair.connect();
        let mut flow: Option<Flow> = None;
        let mut mutated = 0;
        pair.drive_for(Duration::from_secs(20), |pair| {
            for bent in extra.borrow_mut().drain(..) {
                mutated += 1;
                pair.inject(bent);
            }
            if flow.is_none() && pair.client.has(client, &Event::Confirmed) {
                let server = pair.server.accepted[0];
                flow = Some(Flow::over(pair, (client, server), Side::Client, 400_000));
            }
            flow.as_mut().is_some_and(|flow| flow.work(pair))
        });
        assert!(flow.is_some_and(|flow| flow.done), "{:?} {:?}", pair.client.events, pair.server.events);
        assert!(mutated > 1000, "{mutated}");
    }
}

#[test]
fn twenty_thousand_bent_datagrams_are_survived_by_fresh_endpoints_and_connections() {
    let log = recorded();
    let mut total = 0;
    for seed in 0..20u64 {
        println!("seed {seed}");
        let mut dice = Dice(1000 + seed);
        let mut pair = Pair::default();
        let (client, server) = pair.connected();
        // before the handshake as well: an endpoint that has never heard of these
        let mut stranger = Pair::default();
        let waiting = stranger.connect();
        stranger.flush();
        for n in 0..1100 {
            let (real, other) = (&log[dice.below(log.len())], &log[dice.below(log.len())]);
            let bent = dice.bend(&real.bytes, &other.bytes);
            let meta = RecvMeta { remote: real.from, local_ip: None, socket: 0, ecn: Ecn::NotEct };
            let now = pair.now;
            pair.client(client).receive(now, &meta, &mut bent.clone());
            pair.server(server).receive(now, &meta, &mut bent.clone());
            let now = stranger.now;
            stranger.client(waiting).receive(now, &meta, &mut bent.clone());
            let mut reply = Vec::new();
            let end = &mut stranger.server;
            if let Route::Incoming(incoming) = end.endpoint.receive(now, &meta, &mut bent.clone(), &mut reply)
                && let Ok((handle, connection)) = end.endpoint.accept(now, incoming, &mut reply)
            {
                end.connections.insert(handle, connection);
            }
            total += 1;
            if n % 100 == 0 {
                pair.pass(Duration::from_millis(5));
                stranger.pass(Duration::from_millis(5));
            }
        }
        pair.pass(Duration::from_secs(1));
        assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
        // the deadline of every connection that was begun passes
        stranger.pass(Duration::from_secs(40));
        assert_eq!(stranger.server.endpoint.half_open(), 0);
    }
    assert!(total >= 20_000, "{total}");
}

#[test]
fn sealed_noise_closes_or_is_taken_but_never_panics() {
    let mut closed = 0;
    for seed in 0..3000u64 {
        let mut dice = Dice(0xfeed_0000 + seed);
        let mut raw = if seed % 2 == 0 { Raw::server() } else { Raw::client() };
        for _ in 0..8 {
            let len = 1 + dice.below(300);
            let mut payload = dice.bytes(len);
            // mostly types that exist
            payload[0] = if dice.below(4) == 0 { payload[0] } else { dice.below(0x32) as u8 };
            if raw.victim.connections.contains_key(&raw.handle) {
                raw.send(Level::OneRtt, &payload);
                let time = Duration::from_millis(dice.below(50) as u64);
                raw.pass(time);
            }
        }
        closed += usize::from(raw.victim.closed(raw.handle).is_some());
        raw.pass(Duration::from_secs(60));
        assert_eq!(raw.victim.endpoint.connections(), 0, "seed {seed}");
    }
    assert!(closed > 2500, "{closed} of 3000");
}

#[test]
fn honest_frames_with_bent_fields_close_or_are_taken() {
    use tq_quic::wire::frame::{self, encode_ack};
    let frames = |dice: &mut Dice| -> Vec<u8> {
        let id = tq_quic::wire::StreamId(dice.next() % 12);
        let value = match dice.below(4) {
            0 => dice.next() % 10,
            1 => dice.next() % 5000,
            2 => dice.next() >> 2,
            _ => (1 << 62) - 1 - dice.next() % 3,
        };
        let data = dice.bytes(10);
        let end = value.min((1 << 62) - 11);
        let small = dice.next() % 20;
        match dice.below(14) {
            0 => bytes(&[Frame::Stream(frame::Stream { id, offset: end, fin: value % 2 == 0, data: &data })]),
            1 => bytes(&[Frame::ResetStream(frame::ResetStream { id, code: 1, final_size: value })]),
            2 => bytes(&[Frame::StopSending(frame::StopSending { id, code: value })]),
            3 => bytes(&[Frame::MaxData(value)]),
            4 => bytes(&[Frame::MaxStreamData(id, value)]),
            5 => bytes(&[Frame::Crypto(frame::Crypto { offset: end, data: &data })]),
            6 => bytes(&[Frame::RetireConnectionId(frame::RetireConnectionId { path: None, seq: small })]),
            7 => {
                let cid = tq_quic::wire::Cid::new(&data[..1 + dice.below(9)]).expect("short");
                let token = tq_quic::wire::ResetToken([small as u8; 16]);
                let new =
                    frame::NewConnectionId { path: None, seq: small, retire_prior_to: small / 2, cid, token };
                bytes(&[Frame::NewConnectionId(new)])
            }
            8 => bytes(&[Frame::PathChallenge([1; 8]), Frame::PathResponse([small as u8; 8])]),
            9 => bytes(&[Frame::Datagram(&data)]),
            10 => bytes(&[Frame::ImmediateAck, Frame::Ping]),
            11 => {
                let max_ack_delay_us = 1000 + value % 16_000_000;
                let f =
                    frame::AckFrequency { seq: small, threshold: value, max_ack_delay_us, reordering: small };
                bytes(&[Frame::AckFrequency(f)])
            }
            12 => {
                let f =
                    frame::ResetStreamAt { id, code: 0, final_size: value, reliable_size: value.min(small) };
                bytes(&[Frame::ResetStreamAt(f)])
            }
            _ => {
                let mut out = vec![0; 64];
                let mut w = tq_quic::wire::Writer::new(&mut out);
                let low = small.min(3);
                encode_ack(&mut w, None, std::iter::once(low..small + 1), value, None);
                let len = w.len();
                out.truncate(len);
                out
            }
        }
    };
    for seed in 0..1500u64 {
        let mut dice = Dice(0xbeef_0000 + seed);
        let mut raw = if seed % 2 == 0 { Raw::server() } else { Raw::client() };
        let id = raw.victim().open(tq_quic::wire::Dir::Bi);
        for _ in 0..60 {
            if raw.victim.connections.get(&raw.handle).is_none_or(tq_quic::Connection::is_closed) {
                break;
            }
            if let Some(id) = id {
                let _ = raw.victim().write_slice(id, &[7; 3000]);
            }
            let payload = frames(&mut dice);
            raw.send(Level::OneRtt, &payload);
            let time = Duration::from_millis(dice.below(30) as u64);
            raw.pass(time);
        }
        raw.pass(Duration::from_secs(120));
        assert_eq!(raw.victim.endpoint.connections(), 0, "seed {seed}");
    }
}
