//! Scenarios by hand; the random ones against a naive model are in `model`.

mod acks;
mod loss;
mod model;
mod wait;

use core::ops::RangeInclusive;

use smallvec::smallvec;
use tq_buf::mem::{Vec, vec};
use tq_cc::SentState;
use tq_time::{Duration, Instant};
use tq_wire::frame::{Ack, Frames, kind};
use tq_wire::{Frame, StreamId, Writer};

use super::{Sent, SentPacket};
use crate::space::outcome::{Acked, BadAck, Lost};
use crate::token::Token;

/// Loss delay of a path with an RTT of 80 ms.
const DELAY: Duration = Duration::from_millis(90);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn token(pn: u64) -> Token {
    Token::Stream { id: StreamId(0), offset: pn.wrapping_mul(1200), len: 1200, fin: false }
}

/// A packet of 1200 bytes with stream data.
fn data(at: Instant, pn: u64) -> SentPacket {
    SentPacket {
        at,
        size: 1200,
        eliciting: true,
        in_flight: true,
        ect0: false,
        mtu_probe: false,
        beside: false,
        copied: false,
        tokens: smallvec![token(pn)],
        rate: sent_after(pn),
    }
}

/// A packet with nothing but an ACK.
fn ack_only(at: Instant) -> SentPacket {
    let tokens = smallvec![Token::Ack { path: None, largest: 0 }];
    SentPacket { size: 40, eliciting: false, in_flight: false, tokens, ..data(at, 0) }
}

/// Bytes of an ACK frame with these ranges, highest first.
fn frame(ranges: &[RangeInclusive<u64>]) -> Vec<u8> {
    let mut bytes = vec![0; 64 + ranges.len() * 16];
    let mut w = Writer::new(&mut bytes);
    w.varint(kind::ACK);
    w.varint(*ranges[0].end());
    w.varint(0);
    w.varint(ranges.len() as u64 - 1);
    w.varint(ranges[0].end() - ranges[0].start());
    for pair in ranges.windows(2) {
        w.varint(pair[0].start() - pair[1].end() - 2);
        w.varint(pair[1].end() - pair[1].start());
    }
    let len = w.len();
    bytes.truncate(len);
    bytes
}

fn decode(bytes: &[u8]) -> Ack<'_> {
    match Frames::new(bytes).next() {
        Some(Ok(Frame::Ack(ack))) => ack,
        other => panic!("{other:?}"),
    }
}

/// The space, and what the last call gave.
struct Bench {
    sent: Sent,
    acked: Acked,
    lost: Lost,
}

impl Bench {
    fn new() -> Self {
        Self { sent: Sent::new(), acked: Acked::default(), lost: Lost::default() }
    }

    /// With data packets of numbers `pns`, sent at once.
    fn with(pns: core::ops::Range<u64>, now: Instant) -> Self {
        let mut bench = Self::new();
        bench.send(pns, now);
        bench
    }

    fn send(&mut self, pns: core::ops::Range<u64>, now: Instant) {
        pns.for_each(|pn| self.sent.record(pn, data(now, pn)));
    }

    /// Only the ACK.
    fn ack(&mut self, now: Instant, ranges: &[RangeInclusive<u64>]) -> Result<(), BadAck> {
        self.acked.clear();
        let bytes = frame(ranges);
        self.sent.on_ack(now, &decode(&bytes), &mut self.acked)
    }

    fn detect(&mut self, now: Instant) -> &[u64] {
        self.lost.clear();
        self.sent.detect_lost(now, DELAY, &mut self.lost);
        &self.lost.numbers
    }

    /// ACK, then loss detection, as the connection does it. Returns the numbers lost.
    fn hear(&mut self, now: Instant, ranges: &[RangeInclusive<u64>]) -> Vec<u64> {
        assert_eq!(self.ack(now, ranges), Ok(()));
        self.detect(now).to_vec()
    }
}

/// The state of a packet sent when so many bytes had been delivered.
fn sent_after(delivered: u64) -> SentState {
    let mut state = SentState::default();
    state.delivered = delivered;
    state
}
