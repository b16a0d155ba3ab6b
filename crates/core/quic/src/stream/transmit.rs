//! What goes into packets, and what follows from its acknowledgement or loss.
//!
//! A packet of one bulk stream is one look at the front of a list, one copy and one token.

use tq_wire::frame::{self, encode_stream_header, stream_header_len};
use tq_wire::{Dir, Frame, varint_len};

use super::priority::Entry;
use super::{Owes, Stream, StreamEvent, Streams, Ticket, until_through};
use crate::payload::Payload;
use crate::token::Token;

/// A STREAM frame with more to say is not begun for less than this many bytes.
const LEAST: usize = 16;
/// Type, id and one more byte: with less room there is no frame.
const SMALLEST: usize = 2;

/// Which of what any path may carry goes into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// None of it.
    Nothing,
    /// Small frames of the connection and of streams.
    Control,
    /// Stream data that was sent before.
    Copies,
    /// Data of streams and messages of which more than this waits: the path is a slower one.
    Over(u64),
    /// All.
    All,
}

/// Whose turn it is.
struct Turn {
    entry: Entry,
    priority: i32,
    /// From the list of streams that need no credit.
    free: bool,
    /// Only what was never sent goes: lost bytes are for a faster path.
    fresh: bool,
}

impl Streams {
    /// Whether [`Streams::write_control`] has something.
    pub(crate) const fn wants_control(&self) -> bool {
        !self.owes.is_empty() || !self.control.is_empty()
    }

    /// Whether [`Streams::write_data`] has something that flow control permits.
    pub(crate) const fn wants_data(&self) -> bool {
        !self.free.is_empty() || (!self.fresh.is_empty() && self.outbound.credit() > 0)
    }

    /// Writes RESET_STREAM, STOP_SENDING, MAX_* and *_BLOCKED frames while there is room.
    pub(crate) fn write_control(&mut self, p: &mut Payload<'_>) {
        let limit = self.inbound.window.limit();
        if self.owes.has(Owes::MAX_DATA) && p.frame(&Frame::MaxData(limit), Some(Token::MaxData(limit))) {
            self.owes.clear(Owes::MAX_DATA);
        }
        let limit = self.outbound.limit;
        if self.owes.has(Owes::BLOCKED)
            && (self.outbound.credit() > 0
                || p.frame(&Frame::DataBlocked(limit), Some(Token::DataBlocked(limit))))
        {
            self.owes.clear(Owes::BLOCKED);
        }
        loop {
            let table = &self.table;
            let Some((_, entry)) = self.control.front(|entry| table.has_control(entry)) else { break };
            let Some(stream) = self.table.get_mut(entry.key) else { break };
            if !write_stream_control(stream, p) {
                return;
            }
            self.control.revoke(&mut stream.control);
        }
        for dir in Dir::ALL {
            self.write_streams(dir, p);
        }
    }

    /// MAX_STREAMS and STREAMS_BLOCKED. They come after what streams owe, so that streams cannot come and go faster
    /// than their frames.
    fn write_streams(&mut self, dir: Dir, p: &mut Payload<'_>) {
        let limit = self.remote[dir as usize].limit;
        let owed = Owes::max_streams(dir);
        if self.owes.has(owed) && p.frame(&Frame::MaxStreams(dir, limit), Some(Token::MaxStreams(dir, limit)))
        {
            self.owes.clear(owed);
        }
        let local = &self.local[dir as usize];
        let limit = local.limit;
        let owed = Owes::streams_blocked(dir);
        if self.owes.has(owed)
            && (!local.starved
                || p.frame(&Frame::StreamsBlocked(dir, limit), Some(Token::StreamsBlocked(dir, limit))))
        {
            self.owes.clear(owed);
        }
    }

    /// Writes STREAM frames by priority until the packet is full or nothing is left that `share` lets go. A last frame
    /// that fills the packet has no length, so nothing may be written behind it; then no room is left either.
    pub(crate) fn write_data(&mut self, share: Share, p: &mut Payload<'_>) {
        while p.room() > SMALLEST
            && let Some(turn) = self.turn(share)
        {
            let Some(bytes) = self.write_frame(&turn, p) else { break };
            let (place, fair) = ((turn.priority, turn.entry), self.config.fair);
            match turn.free {
                true => self.free.served(place, bytes, fair, None),
                false => {
                    let send = self.table.get_mut(turn.entry.key).and_then(|stream| stream.send.as_mut());
                    self.fresh.served(place, bytes, fair, send.map(|send| &mut send.places.had));
                }
            }
        }
        self.complain();
        self.wake_writers();
    }

    /// Tells a refused writer once most of its own share has been sent.
    fn wake_writer(&mut self, key: u32) {
        let share = self.share();
        let Some(Stream { id, send: Some(send), .. }) = self.table.get_mut(key) else { return };
        if send.places.waiting != Ticket::NONE && send.held().unsent < share / 2 {
            self.waiting.revoke(&mut send.places.waiting);
            self.events.push_back(StreamEvent::Writable(*id));
        }
    }

    /// Whether [`Streams::write_data`] has something of this share.
    pub(crate) fn wants_share(&mut self, share: Share) -> bool {
        match share {
            Share::Nothing | Share::Control => false,
            Share::All => self.wants_data(),
            Share::Copies | Share::Over(_) => self.turn(share).is_some(),
        }
    }

    /// The stream to send next: by priority, and what needs no credit before what does.
    fn turn(&mut self, share: Share) -> Option<Turn> {
        let table = &self.table;
        match share {
            Share::Nothing | Share::Control => return None,
            Share::Copies => {
                let (priority, entry) = self.free.front(|entry| table.has_free(entry))?;
                return Some(Turn { entry, priority, free: true, fresh: false });
            }
            // Lost bytes wait for the fastest path: what is behind them waits for them.
            Share::Over(least) if self.held.lost <= least => {
                let (most, valid) = (self.fresh_sendable(), |entry| table.has_fresh(entry));
                let long = |entry, turns| until_through(table.fresh_bytes(entry), turns, most) > least;
                let (priority, entry) = self.fresh.among(super::IN_TURN, valid, long)?;
                return Some(Turn { entry, priority, free: false, fresh: true });
            }
            Share::Over(_) | Share::All => {}
        }
        let free = self.free.front(|entry| table.has_free(entry));
        let fresh = match self.outbound.credit() {
            0 => None,
            _ => self.fresh.front(|entry| table.has_fresh(entry)),
        };
        match (free, fresh) {
            (Some((priority, entry)), None) => Some(Turn { entry, priority, free: true, fresh: false }),
            (Some((priority, entry)), Some((other, _))) if priority >= other => {
                Some(Turn { entry, priority, free: true, fresh: false })
            }
            (_, fresh) => fresh.map(|(priority, entry)| Turn { entry, priority, free: false, fresh: false }),
        }
    }

    /// Writes one STREAM frame; gives its bytes, or `None` if the packet has no room for one.
    // MUST 9000-2.2-3, 9000-4.1-1, 9000-19.9-1
    fn write_frame(&mut self, turn: &Turn, p: &mut Payload<'_>) -> Option<usize> {
        let key = turn.entry.key;
        let credit = self.outbound.credit();
        let stream = self.table.get(key)?;
        let send = stream.send.as_ref()?;
        let id = stream.id;
        // the header is longest at the highest offset; what it turns out shorter is made up for below
        let room = p.room().checked_sub(stream_header_len(id, send.position(), None))?;
        let held = send.held();
        if room == 0 || (room < LEAST && held.unsent + held.lost > room as u64) {
            return None;
        }
        let (range, fin, new) = match self.with_send(key, |send| send.take(room, credit, turn.fresh))? {
            Some(taken) => taken,
            // what was lost has arrived after all
            None => return turn.free.then_some(0),
        };
        self.outbound.sent += new;
        self.wake_writer(key);
        let len = (range.end - range.start) as usize;
        self.traffic.sent += new;
        self.traffic.resent += len as u64 - new;
        let spare = p.room() - stream_header_len(id, range.start, None) - len;
        let explicit = spare >= varint_len(len as u64);
        if !explicit {
            // PADDING in front, so that the frame ends where the packet does
            p.out.reserve(spare).fill(0);
        }
        encode_stream_header(&mut p.out, id, range.start, explicit.then_some(len), fin);
        let token = Token::Stream { id, offset: range.start, len: len as u32, fin };
        if let Some(send) = self.table.get(key).and_then(|stream| stream.send.as_ref()) {
            send.copy(range, p.out.reserve(len));
        }
        p.tokens.push(token);
        p.eliciting = true;
        Some(len)
    }

    /// What the token stands for has arrived. Tokens of others are ignored.
    pub(crate) fn on_acked(&mut self, t: &Token) {
        match *t {
            Token::Stream { id, offset, len, fin } => {
                let super::Found::At(key) = self.table.find(id) else { return };
                let range = offset..offset + u64::from(len);
                if self.with_send(key, |send| send.on_acked(range, fin)) == Some(true) {
                    self.events.push_back(StreamEvent::Finished(id));
                    self.retire(key);
                }
                self.promised = self.promised.saturating_sub(len);
                self.wake_writers();
            }
            Token::ResetStream(id) => {
                let super::Found::At(key) = self.table.find(id) else { return };
                self.with_send(key, super::SendPart::on_reset_acked);
                self.retire(key);
            }
            Token::StopSending(id) => {
                let super::Found::At(key) = self.table.find(id) else { return };
                if let Some(Stream { recv: Some(recv), .. }) = self.table.get_mut(key) {
                    recv.on_stop_acked();
                }
                self.retire(key);
            }
            _ => {}
        }
    }

    /// What the token stands for was lost: it is owed again if it still matters. Tokens of others are ignored.
    pub(crate) fn on_lost(&mut self, t: &Token) {
        match *t {
            Token::Stream { id, offset, len, fin } => {
                let super::Found::At(key) = self.table.find(id) else { return };
                let range = offset..offset + u64::from(len);
                self.with_send(key, |send| send.on_lost(range, fin));
            }
            Token::ResetStream(id) => self.owe_again(id, Owes::RESET, |stream| {
                stream.send.as_ref().is_some_and(|send| send.reset_frame().is_some())
            }),
            Token::StopSending(id) => self.owe_again(id, Owes::STOP, |stream| {
                stream.recv.as_ref().is_some_and(|recv| recv.stop_code().is_some())
            }),
            Token::MaxStreamData(id, limit) => self.owe_again(id, Owes::MAX_DATA, |stream| {
                stream.recv.as_ref().is_some_and(|recv| recv.limit() == Some(limit))
            }),
            Token::StreamDataBlocked(id, limit) => self.owe_again(id, Owes::BLOCKED, |stream| {
                stream.send.as_ref().is_some_and(|send| send.is_blocked_at(limit))
            }),
            Token::MaxData(limit) if limit == self.inbound.window.limit() => self.owes.add(Owes::MAX_DATA),
            Token::DataBlocked(limit) if limit == self.outbound.limit => self.owes.add(Owes::BLOCKED),
            Token::MaxStreams(dir, limit) if limit == self.remote[dir as usize].limit => {
                self.owes.add(Owes::max_streams(dir));
            }
            Token::StreamsBlocked(dir, limit) if limit == self.local[dir as usize].limit => {
                self.owes.add(Owes::streams_blocked(dir));
            }
            _ => {}
        }
    }

    fn owe_again(&mut self, id: tq_wire::StreamId, frame: Owes, matters: impl FnOnce(&Stream) -> bool) {
        let super::Found::At(key) = self.table.find(id) else { return };
        if let Some(stream) = self.table.get_mut(key)
            && matters(stream)
        {
            stream.owes.add(frame);
            self.refresh(key);
        }
    }
}

/// Writes what one stream owes and still matters; `false` if the packet is full.
fn write_stream_control(stream: &mut Stream, p: &mut Payload<'_>) -> bool {
    let id = stream.id;
    let reset = stream.send.as_ref().and_then(|send| send.reset_frame());
    let stop = stream.recv.as_ref().and_then(|recv| recv.stop_code());
    let max = stream.recv.as_ref().and_then(|recv| recv.limit());
    let blocked = stream.send.as_ref().and_then(|send| send.blocked_limit());
    let frames = [
        (
            Owes::RESET,
            reset.map(|(code, final_size)| {
                (Frame::ResetStream(frame::ResetStream { id, code, final_size }), Token::ResetStream(id))
            }),
        ),
        (
            Owes::STOP,
            stop.map(|code| (Frame::StopSending(frame::StopSending { id, code }), Token::StopSending(id))),
        ),
        (Owes::MAX_DATA, max.map(|n| (Frame::MaxStreamData(id, n), Token::MaxStreamData(id, n)))),
        (Owes::BLOCKED, blocked.map(|n| (Frame::StreamDataBlocked(id, n), Token::StreamDataBlocked(id, n)))),
    ];
    for (owed, frame) in frames {
        if !stream.owes.has(owed) {
            continue;
        }
        if let Some((frame, token)) = frame
            && !p.frame(&frame, Some(token))
        {
            return false;
        }
        stream.owes.clear(owed);
    }
    true
}
