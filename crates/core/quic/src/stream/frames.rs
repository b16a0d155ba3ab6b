//! Frames of the peer: which stream they mean, whether they may, and what follows.
//!
//! Every check comes before any change, so a frame that breaks a rule delivers nothing. Frames for streams that are
//! gone are ignored: they were late.

use tq_wire::frame::{self, kind};
use tq_wire::{Code, Dir, StreamId};

use super::recv::Fault;
use super::{Found, Instant, Owes, Stream, StreamEvent, Streams};
use crate::error::TransportError;

/// The part of our stream a frame is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// We send: STOP_SENDING, MAX_STREAM_DATA.
    Send,
    /// We receive: STREAM, RESET_STREAM, STREAM_DATA_BLOCKED.
    Recv,
}

impl Fault {
    const fn blame(self, kind: u64) -> TransportError {
        TransportError::new(self.0, kind, self.1)
    }
}

const OVER_CONNECTION: Fault = Fault(Code::FLOW_CONTROL_ERROR, "beyond the connection's limit");
const FRAGMENTED: Fault =
    Fault(Code::PROTOCOL_VIOLATION, "STREAM frames leave more gaps in a stream than loss does");

impl Streams {
    /// STREAM (RFC 9000 §19.8).
    // MUST 9000-4.1-2, 9000-19.9-2
    pub(crate) fn on_stream(&mut self, now: Instant, f: &frame::Stream<'_>) -> Result<(), TransportError> {
        self.tick(now);
        let Some(key) = self.target(f.id, kind::STREAM, Part::Recv)? else { return Ok(()) };
        let Some(Stream { recv: Some(recv), .. }) = self.table.get_mut(key) else { return Ok(()) };
        let end = f.offset.saturating_add(f.data.len() as u64);
        let new = recv.check(end, f.fin).map_err(|fault| fault.blame(kind::STREAM))?;
        if !self.inbound.receive(new) {
            return Err(OVER_CONNECTION.blame(kind::STREAM));
        }
        self.traffic.received += new;
        self.inbound.window.start(self.clock.now);
        recv.take(&self.clock, f.offset, f.data, f.fin).map_err(|_| FRAGMENTED.blame(kind::STREAM))?;
        self.inbound.arrive(recv.arrived());
        if recv.notice() {
            self.events.push_back(StreamEvent::Readable(f.id));
        } else if recv.discards() {
            self.settle_recv(key);
        }
        Ok(())
    }

    /// RESET_STREAM (RFC 9000 §19.4).
    pub(crate) fn on_reset(&mut self, f: &frame::ResetStream) -> Result<(), TransportError> {
        self.reset_by_peer(f.id, f.code, f.final_size, None)
    }

    /// RESET_STREAM_AT (reliable reset §4): bytes below the reliable size are still delivered.
    pub(crate) fn on_reset_at(&mut self, f: &frame::ResetStreamAt) -> Result<(), TransportError> {
        self.reset_by_peer(f.id, f.code, f.final_size, Some(f.reliable_size.min(f.final_size)))
    }

    // MUST 9000-4.5-1
    fn reset_by_peer(
        &mut self,
        id: StreamId,
        code: u64,
        final_size: u64,
        reliable: Option<u64>,
    ) -> Result<(), TransportError> {
        let kind = if reliable.is_some() { kind::RESET_STREAM_AT } else { kind::RESET_STREAM };
        let Some(key) = self.target(id, kind, Part::Recv)? else { return Ok(()) };
        let Some(Stream { recv: Some(recv), .. }) = self.table.get_mut(key) else { return Ok(()) };
        let new = recv.check(final_size, true).map_err(|fault| fault.blame(kind))?;
        if !self.inbound.receive(new) {
            return Err(OVER_CONNECTION.blame(kind));
        }
        recv.reset(code, final_size, reliable.unwrap_or(0), reliable.is_some())
            .map_err(|fault| fault.blame(kind))?;
        if recv.notice() {
            self.events.push_back(StreamEvent::Readable(id));
        }
        self.settle_recv(key);
        Ok(())
    }

    /// STOP_SENDING (RFC 9000 §3.5): answered with a reset of the same code, unless the peer has everything.
    // MUST 9000-3.5-1
    pub(crate) fn on_stop_sending(&mut self, f: &frame::StopSending) -> Result<(), TransportError> {
        let Some(key) = self.target(f.id, kind::STOP_SENDING, Part::Send)? else { return Ok(()) };
        if self.cancel(key, f.code, true) {
            self.events.push_back(StreamEvent::Stopped { id: f.id, code: f.code });
        }
        Ok(())
    }

    /// MAX_DATA (RFC 9000 §19.9).
    // MUST 9000-4.1-3, 9000-13.3-3
    pub(crate) fn on_max_data(&mut self, limit: u64) {
        self.outbound.limit = self.outbound.limit.max(limit);
    }

    /// MAX_STREAM_DATA (RFC 9000 §19.10).
    pub(crate) fn on_max_stream_data(&mut self, id: StreamId, limit: u64) -> Result<(), TransportError> {
        let Some(key) = self.target(id, kind::MAX_STREAM_DATA, Part::Send)? else { return Ok(()) };
        let awake = self.with_send(key, |send| send.raise(limit) && core::mem::take(&mut send.stalled));
        if awake == Some(true) {
            self.events.push_back(StreamEvent::Writable(id));
        }
        Ok(())
    }

    /// MAX_STREAMS (RFC 9000 §19.11).
    // MUST 9000-4.6-4, 9000-19.11-2, 9000-13.3-3
    pub(crate) fn on_max_streams(&mut self, dir: Dir, limit: u64) {
        let local = &mut self.local[dir as usize];
        let before = local.limit;
        if limit <= before {
            return;
        }
        local.limit = limit;
        if local.opened > before {
            self.refresh_all();
        }
        self.announce(dir);
    }

    /// DATA_BLOCKED: counted. Credit follows reading and nothing else; what was given before is told again.
    pub(crate) fn on_data_blocked(&mut self, limit: u64) {
        self.peer_blocked += 1;
        if self.inbound.window.is_missed(limit) {
            self.owes.add(Owes::MAX_DATA);
        }
    }

    /// STREAM_DATA_BLOCKED: the same for a stream.
    pub(crate) fn on_stream_data_blocked(&mut self, id: StreamId, limit: u64) -> Result<(), TransportError> {
        let key = self.target(id, kind::STREAM_DATA_BLOCKED, Part::Recv)?;
        self.peer_blocked += 1;
        if let Some(key) = key
            && let Some(Stream { recv: Some(recv), owes, .. }) = self.table.get_mut(key)
            && recv.is_missed(limit)
        {
            owes.add(Owes::MAX_DATA);
            self.refresh(key);
        }
        Ok(())
    }

    /// STREAMS_BLOCKED: counted.
    pub(crate) fn on_streams_blocked(&mut self, _dir: Dir, _limit: u64) {
        self.peer_blocked += 1;
    }

    /// The stream a frame is about, opened if the frame may open it; `None` if it is gone.
    // MUST 9000-3.2-1, 9000-4.6-3, 9000-19.4-1, 9000-19.5-1, 9000-19.5-2, 9000-19.8-1, 9000-19.10-1
    // MUST 9000-19.10-2, 9000-19.11-4, 9000-19.13-1
    fn target(&mut self, id: StreamId, kind: u64, part: Part) -> Result<Option<u32>, TransportError> {
        let ours = self.is_ours(id);
        if id.dir() == Dir::Uni && ours == (part == Part::Recv) {
            let why = "the stream is unidirectional, the other way";
            return Err(Fault(Code::STREAM_STATE_ERROR, why).blame(kind));
        }
        match self.table.find(id) {
            Found::At(key) => return Ok(Some(key)),
            Found::Untouched => return Ok(Some(self.create(id))),
            Found::Nothing => {}
        }
        if ours {
            if id.index() >= self.local[id.dir() as usize].opened {
                let why = "the stream is ours and was never opened";
                return Err(Fault(Code::STREAM_STATE_ERROR, why).blame(kind));
            }
            return Ok(None);
        }
        let remote = &mut self.remote[id.dir() as usize];
        if id.index() >= remote.limit {
            return Err(Fault(Code::STREAM_LIMIT_ERROR, "the stream is beyond the limit").blame(kind));
        }
        if id.index() < remote.opened {
            return Ok(None);
        }
        // all lower ones are open as well (RFC 9000 §3.2); the limit bounds them
        for index in remote.opened..id.index() {
            self.table.mark(StreamId::new(!self.side, id.dir(), index));
        }
        remote.opened = id.index() + 1;
        if core::mem::take(&mut remote.armed) {
            self.events.push_back(StreamEvent::Opened(id.dir()));
        }
        Ok(Some(self.create(id)))
    }

    /// Resets our sending part; says whether that was still possible.
    // MUST 9000-3.3-2
    pub(super) fn cancel(&mut self, key: u32, code: u64, stopped: bool) -> bool {
        if self.with_send(key, |send| send.reset(code, stopped)) != Some(true) {
            return false;
        }
        if let Some(Stream { owes, send: Some(send), .. }) = self.table.get_mut(key) {
            owes.add(Owes::RESET);
            owes.clear(Owes::BLOCKED);
            self.waiting.revoke(&mut send.places.waiting);
        }
        self.refresh(key);
        self.wake_writers();
        true
    }
}
