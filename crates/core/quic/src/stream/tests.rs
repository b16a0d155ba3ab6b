//! Streams, by theme. Two ends are wired together by real frames; time and loss are the test's.

mod blocked;
mod delivery;
mod flow;
mod hostile;
mod must;
mod priority;
mod reset;
mod scale;
mod share;
mod unread;
mod violations;
mod zero_rtt;

use bytes::Bytes;
use tq_buf::mem::{Vec, vec};
use tq_time::{Duration, Instant};
use tq_wire::frame::{self, Frames};
use tq_wire::{Code, Dir, Frame, Side, StreamId, TransportParameters};

use super::{ReadError, StreamConfig, StreamEvent, Streams, WriteError};
use crate::error::TransportError;
use crate::payload::Payload;
use crate::token::{Token, Tokens};

/// What an endpoint with this configuration declares.
fn params(config: &StreamConfig) -> TransportParameters {
    let mut params = TransportParameters::default();
    config.declare(&mut params);
    params
}

/// Client and server of the same configuration that know each other's limits.
fn pair(config: &StreamConfig) -> (Streams, Streams) {
    let mut client = Streams::new(Side::Client, config);
    let mut server = Streams::new(Side::Server, config);
    client.on_params(&params(config));
    server.on_params(&params(config));
    (client, server)
}

/// Small limits, so that tests reach them.
fn small() -> StreamConfig {
    StreamConfig {
        max_bidi: 8,
        max_uni: 4,
        stream_window: 1000,
        connection_window: 3000,
        max_stream_window: 1000,
        max_connection_window: 3000,
        ..StreamConfig::default()
    }
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// One packet's frames and what is to be heard of them.
#[derive(Clone, Debug)]
struct Packet {
    bytes: Vec<u8>,
    tokens: Tokens,
}

/// The next packet of up to `size` bytes; `None` if there is nothing to send.
fn packet(from: &mut Streams, size: usize) -> Option<Packet> {
    let mut room = vec![0xee; size];
    let mut payload = Payload::new(&mut room);
    from.on_transmit();
    let wanted = from.wants_control() || from.wants_data();
    from.write_control(&mut payload);
    from.write_data(super::Share::All, &mut payload);
    let (len, tokens) = (payload.out.len(), core::mem::take(&mut payload.tokens));
    assert_eq!(payload.eliciting, len > 0);
    assert!(wanted || len == 0, "wrote without wanting to");
    room.truncate(len);
    (len > 0).then_some(Packet { bytes: room, tokens })
}

/// Hands a packet's frames to the other end.
fn deliver(to: &mut Streams, now: Instant, bytes: &[u8]) -> Result<(), TransportError> {
    for frame in Frames::new(bytes) {
        handle(to, now, &frame?)?;
    }
    Ok(())
}

fn handle(to: &mut Streams, now: Instant, frame: &Frame<'_>) -> Result<(), TransportError> {
    match *frame {
        Frame::Padding(_) => {}
        Frame::Stream(ref f) => to.on_stream(now, f)?,
        Frame::ResetStream(ref f) => to.on_reset(f)?,
        Frame::ResetStreamAt(ref f) => to.on_reset_at(f)?,
        Frame::StopSending(ref f) => to.on_stop_sending(f)?,
        Frame::MaxData(limit) => to.on_max_data(limit),
        Frame::MaxStreamData(id, limit) => to.on_max_stream_data(id, limit)?,
        Frame::MaxStreams(dir, limit) => to.on_max_streams(dir, limit),
        Frame::DataBlocked(limit) => to.on_data_blocked(limit),
        Frame::StreamDataBlocked(id, limit) => to.on_stream_data_blocked(id, limit)?,
        Frame::StreamsBlocked(dir, limit) => to.on_streams_blocked(dir, limit),
        ref other => panic!("{other:?} is no frame of a stream"),
    }
    Ok(())
}

/// Everything `from` has to send arrives and is acknowledged; gives the packets.
fn flush(from: &mut Streams, to: &mut Streams, now: Instant) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(packet) = packet(from, 1200) {
        deliver(to, now, &packet.bytes).expect("honest frames");
        acked(from, &packet);
        packets.push(packet);
        assert!(packets.len() < 100_000, "never quiet");
    }
    assert!(!from.wants_control() && !from.wants_data());
    packets
}

/// Both ends send until they have nothing more.
fn settle(a: &mut Streams, b: &mut Streams, now: Instant) {
    while !flush(a, b, now).is_empty() | !flush(b, a, now).is_empty() {}
}

fn acked(from: &mut Streams, packet: &Packet) {
    packet.tokens.iter().for_each(|token| from.on_acked(token));
}

fn lost(from: &mut Streams, packet: &Packet) {
    packet.tokens.iter().for_each(|token| from.on_lost(token));
}

fn events(of: &mut Streams) -> Vec<StreamEvent> {
    core::iter::from_fn(|| of.poll_event()).collect()
}

/// Reads until there is nothing; says whether the end was reached.
fn drain(of: &mut Streams, id: StreamId) -> (Vec<u8>, Result<Option<Bytes>, ReadError>) {
    let mut got = Vec::new();
    loop {
        match of.read(id, usize::MAX) {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            end => return (got, end),
        }
    }
}

/// A pattern in which every offset below 64 KiB is distinguishable from its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ i >> 8).wrapping_mul(31) as u8).collect()
}

fn frames(packet: &Packet) -> Vec<Frame<'_>> {
    Frames::new(&packet.bytes).map(|frame| frame.expect("our own frame")).collect()
}

fn code(result: Result<(), TransportError>) -> Option<Code> {
    result.err().map(|error| {
        assert_ne!(error.frame, 0, "names the frame");
        assert!(!error.reason.is_empty());
        error.code
    })
}

fn stream(id: StreamId, offset: u64, data: &[u8], fin: bool) -> frame::Stream<'_> {
    frame::Stream { id, offset, fin, data }
}
