//! The one `match` over frames: each goes to the component that owns it.

use tq_time::Instant;
use tq_wire::frame::{Ack, Frames, PacketKind, kind};
use tq_wire::{Code, Frame, PathId};

use super::Opened;
use crate::connection::handshaking::MAX_TOKEN;
use crate::connection::{Connection, EndpointEvent, Event, RecvMeta, SpaceId};
use crate::endpoint::TOKENS_PER_SERVER;
use crate::error::TransportError;
use crate::handshake::Level;

/// What a packet's frames were like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) eliciting: bool,
    pub(super) probing_only: bool,
    pub(super) crypto: bool,
}

fn violation(frame: u64, why: &'static str) -> TransportError {
    TransportError::new(Code::PROTOCOL_VIOLATION, frame, why)
}

impl Connection {
    /// Handles every frame of a packet.
    // MUST 9000-12.4-3, 9000-17.2.4-1, 9001-8.3-2, mp21-4-2
    pub(super) fn frames(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        opened: &Opened,
        payload: &[u8],
    ) -> Result<Outcome, TransportError> {
        let packet = match opened.space {
            SpaceId::Initial => PacketKind::Initial,
            SpaceId::Handshake => PacketKind::Handshake,
            SpaceId::App(_) if opened.zero_rtt => PacketKind::ZeroRtt,
            SpaceId::App(_) => PacketKind::OneRtt,
        };
        let mut outcome = Outcome { probing_only: true, ..Outcome::default() };
        for frame in Frames::new(payload) {
            let frame = frame?;
            if packet != PacketKind::OneRtt && !frame.allowed_in(packet) {
                return Err(violation(frame.kind(), "frame in a packet that must not carry it"));
            }
            outcome.eliciting |= frame.is_ack_eliciting();
            outcome.probing_only &= frame.is_probing();
            match frame {
                Frame::Stream(f) => self.streams.on_stream(now, &f)?,
                Frame::Ack(ack) => self.on_ack_frame(now, opened, &ack)?,
                Frame::Crypto(f) => {
                    let current = self.read_level();
                    self.crypto.on_frame(level(opened.space), current, &f)?;
                    outcome.crypto = true;
                }
                Frame::Close(f) => {
                    self.on_close_frame(now, &f);
                    return Ok(outcome);
                }
                Frame::Padding(_) | Frame::Ping => {}
                frame => self.app_frame(now, meta, opened, &frame)?,
            }
        }
        Ok(outcome)
    }

    // MUST mp21-2.3-1
    fn on_ack_frame(&mut self, now: Instant, opened: &Opened, ack: &Ack<'_>) -> Result<(), TransportError> {
        let path = match (opened.space, ack.path) {
            (SpaceId::App(_), Some(_)) if !self.multipath.on => {
                return Err(violation(kind::PATH_ACK, "PATH_ACK without multipath"));
            }
            // a plain ACK is about path 0 (multipath §4.1)
            (SpaceId::App(_), path) => path.unwrap_or(PathId::ZERO),
            (space, _) => return self.on_ack(now, space, (0, 0), ack),
        };
        if let Some(ix) = self.path_index(path) {
            return self.on_ack(now, SpaceId::App(ix), (ix, opened.ix), ack);
        }
        let gone = self.multipath.is_over(path) || self.slot(path).is_some_and(|ids| ids.leaving.is_some());
        if gone { Ok(()) } else { Err(violation(kind::PATH_ACK, "PATH_ACK of a path nothing was sent on")) }
    }

    /// Frames of 0-RTT and 1-RTT packets other than the frequent ones.
    fn app_frame(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        opened: &Opened,
        frame: &Frame<'_>,
    ) -> Result<(), TransportError> {
        match *frame {
            Frame::Datagram(data) => {
                self.counters.messages_received += 1;
                if self.datagrams.on_frame(data)? {
                    self.events.push_back(Event::DatagramReceived);
                }
            }
            Frame::ResetStream(ref f) => self.streams.on_reset(f)?,
            Frame::ResetStreamAt(ref f) => self.streams.on_reset_at(f)?,
            Frame::StopSending(ref f) => self.streams.on_stop_sending(f)?,
            Frame::MaxData(max) => self.streams.on_max_data(max),
            Frame::MaxStreamData(id, max) => self.streams.on_max_stream_data(id, max)?,
            Frame::MaxStreams(dir, max) => self.streams.on_max_streams(dir, max),
            Frame::DataBlocked(limit) => self.streams.on_data_blocked(limit),
            Frame::StreamDataBlocked(id, limit) => self.streams.on_stream_data_blocked(id, limit)?,
            Frame::StreamsBlocked(dir, limit) => self.streams.on_streams_blocked(dir, limit),
            Frame::NewConnectionId(ref f) => self.on_new_cid(f)?,
            Frame::RetireConnectionId(ref f) => self.on_retire_frame(f.path, f.seq, &opened.dcid)?,
            Frame::PathChallenge(data) => self.on_path_challenge(now, meta, opened.ix, data),
            Frame::PathResponse(data) => self.on_path_response(now, meta, data),
            Frame::NewToken(token) => self.on_new_token(token)?,
            Frame::HandshakeDone => self.on_handshake_done(now)?,
            Frame::AckFrequency(ref f) => self.on_ack_frequency(f)?,
            Frame::ImmediateAck => self.paths.iter_mut().for_each(|path| path.space.owed.ack_at_once()),
            Frame::PathAbandon(path, code) => self.on_path_abandon(now, path, code)?,
            Frame::PathStatus(ref f) => self.on_path_status(now, f)?,
            Frame::MaxPathId(max) => self.on_max_path_id(max)?,
            Frame::PathsBlocked(max) => self.on_paths_blocked(max)?,
            Frame::PathCidsBlocked(path, next) => self.on_path_cids_blocked(path, next)?,
            ref other => return Err(violation(other.kind(), "frame in a packet that must not carry it")),
        }
        Ok(())
    }

    // MUST 9000-19.7-4, 9001-9.2-3
    fn on_new_token(&mut self, token: &[u8]) -> Result<(), TransportError> {
        if self.side.is_server() {
            return Err(violation(kind::NEW_TOKEN, "NEW_TOKEN from a client"));
        }
        // More than are kept for a server are not even passed on.
        let pending =
            self.endpoint_events.iter().filter(|event| matches!(event, EndpointEvent::NewToken(..)));
        if token.len() <= MAX_TOKEN && pending.count() < TOKENS_PER_SERVER {
            self.endpoint_events.push_back(EndpointEvent::NewToken(self.version, token.to_vec()));
        }
        Ok(())
    }

    // MUST 9000-19.20-2
    fn on_handshake_done(&mut self, now: Instant) -> Result<(), TransportError> {
        if self.side.is_server() {
            return Err(violation(kind::HANDSHAKE_DONE, "HANDSHAKE_DONE from a client"));
        }
        if !self.hs.complete {
            return Err(violation(kind::HANDSHAKE_DONE, "HANDSHAKE_DONE before the handshake is complete"));
        }
        self.on_confirmed(now);
        Ok(())
    }
}

const fn level(space: SpaceId) -> Level {
    match space {
        SpaceId::Initial => Level::Initial,
        SpaceId::Handshake => Level::Handshake,
        SpaceId::App(_) => Level::OneRtt,
    }
}
