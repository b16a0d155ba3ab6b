//! The application's verbs. They change state and return; what must reach the peer is owed and goes with the next
//! packets.

use bytes::Bytes;
use tq_wire::{Dir, StreamId};

use super::{ClosedStream, Owes, ReadError, SendPart, Stream, StreamEvent, Streams, Ticket, WriteError};

/// Bytes a stream may have written beyond the peer's limit, so that credit finds something to send.
const AHEAD: u64 = 64 << 10;
/// Bytes that may always be held, and room that is worth waking a writer for.
const AT_LEAST: u64 = 1 << 20;
const WORTH_WAKING: u64 = 64 << 10;
/// What a writer that is woken is taken to write.
const WRITES: u32 = 16 << 10;
/// Unsent bytes every stream may hold whatever the others hold: a few turns' worth, so that whoever filled the buffer
/// first does not keep the others out of it. No more than a 64th of the buffer, and nothing of a tiny one.
const SHARE: u64 = 64 << 10;
const SMALLEST_SHARE: u64 = 1 << 10;

impl Streams {
    /// Opens a stream; `None` if the peer allows no more now: [`StreamEvent::Available`] follows when it does.
    // MUST 9000-2.1-1, 9000-4.6-2, 9000-19.11-3
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let local = &mut self.local[dir as usize];
        if local.opened >= local.limit {
            local.starved = true;
            if self.introduced && local.told != Some(local.limit) {
                local.told = Some(local.limit);
                self.owes.add(Owes::streams_blocked(dir));
            }
            return None;
        }
        let id = StreamId::new(self.side, dir, local.opened);
        local.opened += 1;
        self.create(id);
        Some(id)
    }

    /// The next stream the peer opened, in the order of their ids.
    pub(crate) fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        let remote = &mut self.remote[dir as usize];
        if remote.accepted >= remote.opened {
            remote.armed = true;
            return None;
        }
        let id = StreamId::new(!self.side, dir, remote.accepted);
        remote.accepted += 1;
        Some(id)
    }

    /// Takes as much as there is room for off the front of `data`, without a copy if it is not small.
    pub(crate) fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        let (key, room) = self.writable(id, data.len())?;
        let taken = data.split_to(room);
        self.with_send(key, |send| send.buffer().write(taken));
        Ok(room)
    }

    /// Copies as much as there is room for off the front of `data`.
    pub(crate) fn write_slice(&mut self, id: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let (key, room) = self.writable(id, data.len())?;
        self.with_send(key, |send| send.buffer().write_slice(&data[..room]));
        Ok(room)
    }

    /// How much of `len` bytes may be written. Remembers a refused writer.
    fn writable(&mut self, id: StreamId, len: usize) -> Result<(u32, usize), WriteError> {
        let key = self.lookup(id).ok_or(WriteError::Closed)?;
        self.promised = self.promised.saturating_sub(WRITES);
        let most = self.buffer_size();
        let room = most.saturating_sub(self.held.unacked);
        let share = self.share();
        // streams their readers neglect must not fill the buffer of the others
        let ahead = if room > most / 2 { AHEAD } else { 0 };
        let Some(Stream { send: Some(send), priority, .. }) = self.table.get_mut(key) else {
            return Err(WriteError::Closed);
        };
        send.check_open()?;
        let room = room.max(share.saturating_sub(send.held().unsent));
        let allowed = match send.allowance() {
            0 => ahead.saturating_sub(send.excess()),
            below => below + ahead,
        };
        let takes = usize::try_from(room.min(allowed)).unwrap_or(usize::MAX).min(len);
        if takes > 0 || len == 0 {
            return Ok((key, takes));
        }
        if room == 0 {
            self.waiting.sync(&mut send.places.waiting, true, key, *priority);
        } else {
            send.stalled = true;
            self.refresh(key);
        }
        Err(WriteError::Blocked)
    }

    /// Unsent bytes a stream may hold whatever the others hold.
    pub(super) fn share(&self) -> u64 {
        match SHARE.min(self.config.send_buffer / 64) {
            0..SMALLEST_SHARE => 0,
            share => share,
        }
    }

    /// Bytes the send buffer may hold now: less than it could while little is in flight.
    fn buffer_size(&self) -> u64 {
        let in_flight = self.held.unacked.saturating_sub(self.held.unsent);
        let ahead = self.low_water.saturating_add(self.low_water / 4).max(AT_LEAST);
        self.config.send_buffer.min(in_flight.saturating_mul(2).saturating_add(ahead))
    }

    /// Tells writers that were refused for want of room, once there is some: in turn, as many as are likely to find some, since of a
    /// thousand that are told all others come in vain. When these have answered it is the next ones' turn, or when as much as they
    /// were to write was acknowledged, for some may never answer; if no acknowledgement is to come, all are told.
    pub(super) fn wake_writers(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let last = self.held.unacked == self.held.unsent;
        if last {
            self.promised = 0;
        }
        let most = self.buffer_size();
        let mut room = most.saturating_sub(self.held.unacked + u64::from(self.promised));
        if room < WORTH_WAKING.min(most / 4).max(1) {
            return;
        }
        while last || room > 0 {
            let table = &self.table;
            let Some((_, entry)) = self.waiting.front(|entry| table.is_waiting(entry)) else { return };
            let Some(Stream { id, send: Some(send), .. }) = self.table.get_mut(entry.key) else { return };
            self.waiting.revoke(&mut send.places.waiting);
            self.events.push_back(StreamEvent::Writable(*id));
            room = room.saturating_sub(WRITES.into());
            self.promised = self.promised.saturating_add(if last { 0 } else { WRITES });
        }
    }

    /// Ends the stream after what was written.
    pub(crate) fn finish(&mut self, id: StreamId) -> Result<(), ClosedStream> {
        let key = self.lookup(id).ok_or(ClosedStream)?;
        match self.with_send(key, SendPart::finish) {
            Some(true) => Ok(()),
            _ => Err(ClosedStream),
        }
    }

    /// Gives up the sending part with a code for the peer's application, below 2^62. No effect if the peer has
    /// everything already, or after another reset.
    // MUST 9000-11.2-1
    pub(crate) fn reset(&mut self, id: StreamId, code: u64) -> Result<(), ClosedStream> {
        let key = self.lookup(id).ok_or(ClosedStream)?;
        if self.table.get(key).is_none_or(|stream| stream.send.is_none()) {
            return Err(ClosedStream);
        }
        self.cancel(key, code.min(tq_wire::VARINT_MAX), false);
        Ok(())
    }

    /// Wants no more of what the peer sends, with a code for its application, below 2^62. What is unread is dropped.
    pub(crate) fn stop(&mut self, id: StreamId, code: u64) -> Result<(), ClosedStream> {
        let key = self.lookup(id).ok_or(ClosedStream)?;
        let Some(Stream { recv: Some(recv), owes, .. }) = self.table.get_mut(key) else {
            return Err(ClosedStream);
        };
        if recv.stop(code.min(tq_wire::VARINT_MAX))? {
            owes.add(Owes::STOP);
        }
        owes.clear(Owes::MAX_DATA);
        self.refresh(key);
        self.settle_recv(key);
        Ok(())
    }

    /// Streams of higher priority send first; 0 is the priority of a new stream.
    pub(crate) fn set_priority(&mut self, id: StreamId, priority: i32) -> Result<(), ClosedStream> {
        let key = self.lookup(id).ok_or(ClosedStream)?;
        let Some(Stream { send: Some(send), priority: current, .. }) = self.table.get_mut(key) else {
            return Err(ClosedStream);
        };
        if *current != priority {
            *current = priority;
            self.fresh.revoke(&mut send.places.fresh);
            self.free.revoke(&mut send.places.free);
            if send.places.waiting != Ticket::NONE {
                self.waiting.revoke(&mut send.places.waiting);
                self.waiting.sync(&mut send.places.waiting, true, key, priority);
            }
            self.refresh(key);
            self.sweep();
        }
        Ok(())
    }

    /// The priority of a stream that can send.
    pub(crate) fn priority(&mut self, id: StreamId) -> Result<i32, ClosedStream> {
        let key = self.lookup(id).ok_or(ClosedStream)?;
        match self.table.get(key) {
            Some(Stream { send: Some(_), priority, .. }) => Ok(*priority),
            _ => Err(ClosedStream),
        }
    }

    /// Reads up to `max` bytes without a copy; `None` at the end, after which the stream is closed for reading.
    pub(crate) fn read(&mut self, id: StreamId, max: usize) -> Result<Option<Bytes>, ReadError> {
        self.with_recv(id, |recv| recv.read(max))
    }

    /// Reads into `into`; `None` at the end, after which the stream is closed for reading.
    pub(crate) fn read_into(&mut self, id: StreamId, into: &mut [u8]) -> Result<Option<usize>, ReadError> {
        self.with_recv(id, |recv| recv.read_into(into))
    }

    /// Reads the end if nothing is left before it; then the stream is closed for reading.
    pub(crate) fn read_end(&mut self, id: StreamId) -> bool {
        let super::Found::At(key) = self.table.find(id) else { return false };
        let Some(Stream { recv: Some(recv), .. }) = self.table.get_mut(key) else { return false };
        let ended = recv.read_end();
        if ended {
            self.settle_recv(key);
        }
        ended
    }

    fn with_recv<R>(
        &mut self,
        id: StreamId,
        read: impl FnOnce(&mut super::RecvPart) -> Result<R, ReadError>,
    ) -> Result<R, ReadError> {
        let key = self.lookup(id).ok_or(ReadError::Closed)?;
        let Some(Stream { recv: Some(recv), .. }) = self.table.get_mut(key) else {
            return Err(ReadError::Closed);
        };
        let result = read(recv);
        if !matches!(result, Err(ReadError::Blocked)) {
            self.settle_recv(key);
        }
        result
    }

    /// The next thing to tell the application.
    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        self.events.pop_front()
    }
}
