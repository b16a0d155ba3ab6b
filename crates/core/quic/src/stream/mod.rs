//! Streams of a connection (RFC 9000 §2 to §4): bytes in order, flow control, priorities, limits.
//!
//! Decides which stream frames go into a packet and what received ones mean. It never decides when or where a packet
//! goes, and never keeps what it cannot bound: the peer's bytes by the windows granted, its streams by MAX_STREAMS,
//! the application's bytes by the send buffer. `frames` is what comes in, `transmit` what goes out, `app` the
//! application's verbs.

mod app;
mod budget;
mod config;
mod count;
mod events;
mod flow;
mod frames;
mod owes;
mod priority;
mod recv;
mod send;
mod table;
mod transmit;

pub use budget::WindowBudget;
pub use config::StreamConfig;
pub use events::{ClosedStream, ReadError, StreamEvent, WriteError};
pub(crate) use transmit::Share;

use count::{Local, Remote};
use flow::{Clock, Inbound, Outbound};
use owes::Owes;
use priority::{Ready, Ticket};
use recv::RecvPart;
use send::{Held, SendPart};
use table::{Found, Stream, Table};
use tq_buf::mem::{Arc, VecDeque};
use tq_time::{Duration, Instant};
use tq_wire::{Dir, Side, StreamId, TransportParameters};

/// Streams looked at for one that has enough for a slower path.
const IN_TURN: usize = 16;

/// All streams of a connection and the flow control between them.
#[derive(Debug)]
pub(crate) struct Streams {
    side: Side,
    config: StreamConfig,
    /// First limits of our sending parts: bidirectional of ours, of the peer's, unidirectional.
    first_limits: [u64; 3],
    /// Whether the peer's limits are known at all.
    introduced: bool,
    /// Whether unread bytes may be outside the connection's window.
    lends: bool,
    table: Table,
    local: [Local; 2],
    remote: [Remote; 2],
    inbound: Inbound,
    outbound: Outbound,
    clock: Clock,
    held: Held,
    /// Bytes that are to wait so that slower paths are used.
    low_water: u64,
    /// Room left for writers that were woken and have not answered.
    promised: u32,
    /// Control frames of the connection.
    owes: Owes,
    /// Streams that owe control frames.
    control: Ready,
    /// Streams with bytes that need the connection's credit.
    fresh: Ready,
    /// Streams with lost bytes or a lone FIN.
    free: Ready,
    /// Streams whose writer waits for room in the send buffer.
    waiting: Ready,
    events: VecDeque<StreamEvent>,
    /// *_BLOCKED frames received, for the counters.
    peer_blocked: u64,
    traffic: Traffic,
}

/// Bytes of stream data so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Sent for the first time.
    pub(crate) sent: u64,
    /// Sent again.
    pub(crate) resent: u64,
    /// Received, by highest offsets.
    pub(crate) received: u64,
}

impl Streams {
    /// No streams yet; none of ours can be opened before [`Streams::on_params`].
    pub(crate) fn new(side: Side, config: &StreamConfig) -> Self {
        Self {
            side,
            config: config.clone(),
            first_limits: [0; 3],
            introduced: false,
            lends: false,
            table: Table::default(),
            local: Default::default(),
            remote: Dir::ALL.map(|dir| Remote::new(config.most_streams(dir))),
            inbound: Inbound::new(config),
            outbound: Outbound::default(),
            clock: Clock::default(),
            held: Held::default(),
            low_water: 0,
            promised: 0,
            owes: Owes::default(),
            control: Ready::default(),
            fresh: Ready::default(),
            free: Ready::default(),
            waiting: Ready::default(),
            events: VecDeque::new(),
            peer_blocked: 0,
            traffic: Traffic::default(),
        }
    }

    /// The connection's window grows only as far as `budget` allows, and ids are hashed with the secret `key`. To be
    /// called before anything else.
    pub(crate) fn harden(&mut self, budget: Arc<WindowBudget>, key: u64) {
        self.inbound.set_budget(budget);
        self.table.set_key(key);
    }

    /// The peer's limits: those remembered for 0-RTT, then those of the handshake. May lower them, which is right only
    /// after 0-RTT was rejected; the caller checks what RFC 9000 §7.4.1 forbids. Call it before any frame of the peer.
    pub(crate) fn on_params(&mut self, peer: &TransportParameters) {
        self.introduced = true;
        self.first_limits = [
            peer.initial_max_stream_data_bidi_remote,
            peer.initial_max_stream_data_bidi_local,
            peer.initial_max_stream_data_uni,
        ];
        self.outbound.limit = peer.initial_max_data;
        for key in self.table.keys() {
            let Some(id) = self.table.get(key).map(|stream| stream.id) else { continue };
            let limit = self.first_limit(id);
            let awake = self.with_send(key, |send| {
                send.set_limit(limit);
                core::mem::take(&mut send.stalled)
            });
            if awake == Some(true) {
                self.events.push_back(StreamEvent::Writable(id));
            }
        }
        self.local[Dir::Bi as usize].limit = peer.initial_max_streams_bidi;
        self.local[Dir::Uni as usize].limit = peer.initial_max_streams_uni;
        self.refresh_all();
        for dir in Dir::ALL {
            self.announce(dir);
        }
    }

    /// 0-RTT was rejected: whatever was written goes again, from offset 0 and under the limits of the next
    /// [`Streams::on_params`]. Ids stay. Nothing can have been acknowledged before.
    pub(crate) fn reset_sent_state(&mut self) {
        self.outbound.sent = 0;
        self.outbound.told = None;
        self.local.iter_mut().for_each(|local| local.told = None);
        for key in self.table.keys() {
            if let Some(stream) = self.table.get_mut(key) {
                if stream.recv.as_ref().is_some_and(|recv| recv.stop_code().is_some()) {
                    stream.owes.add(Owes::STOP);
                }
                if stream.send.as_ref().is_some_and(|send| send.reset_frame().is_some()) {
                    stream.owes.add(Owes::RESET);
                }
            }
            self.with_send(key, SendPart::restart);
        }
    }

    /// The round trip time changed, with `several` paths that of the slowest. Windows whose half is read within two of
    /// these grow.
    pub(crate) fn on_rtt(&mut self, now: Instant, srtt: Duration, several: bool) {
        self.tick(now);
        self.clock.srtt = Some(srtt);
        self.clock.several = several;
    }

    /// Whether more is to come on a stream that was opened.
    pub(crate) fn awaits(&self) -> bool {
        self.table.awaits()
    }

    /// Bytes waiting to be sent for the first time or again, allowed by flow control or not.
    pub(crate) const fn backlog(&self) -> u64 {
        self.held.unsent + self.held.lost
    }

    /// Of those, what the connection's credit allows.
    pub(crate) fn sendable(&self) -> u64 {
        self.fresh_sendable() + self.held.lost
    }

    /// Of those, what is sent until the longest stream is through; only the next streams in turn are asked.
    pub(crate) fn longest_backlog(&mut self) -> u64 {
        let (table, sendable, most) = (&self.table, self.fresh_sendable(), core::cell::Cell::new(0));
        self.fresh.among(
            IN_TURN,
            |entry| table.has_fresh(entry),
            |entry, turns| {
                most.set(most.get().max(until_through(table.fresh_bytes(entry), turns, sendable)));
                false
            },
        );
        most.get().max(self.held.lost)
    }

    /// Bytes waiting to be sent for the first time that the connection's credit allows.
    fn fresh_sendable(&self) -> u64 {
        self.held.unsent.min(self.outbound.credit())
    }

    /// Whether credit is to be told.
    pub(crate) fn owes_credit(&mut self) -> bool {
        let table = &self.table;
        let stream = self.control.front(|entry| table.has_control(entry));
        let owes = |entry: priority::Entry| table.get(entry.key).is_some_and(|s| s.owes.has(Owes::MAX_DATA));
        self.owes.has(Owes::MAX_DATA) || stream.is_some_and(|(_, entry)| owes(entry))
    }

    /// Bytes a writer may have ahead so that every path that is worth it finds something to send.
    pub(crate) fn set_low_water(&mut self, bytes: u64) {
        let more = bytes > self.low_water;
        self.low_water = bytes;
        if more {
            self.wake_writers();
        }
    }

    /// Bytes waiting to be sent again.
    pub(crate) const fn lost_bytes(&self) -> u64 {
        self.held.lost
    }

    /// Bytes written and not acknowledged.
    pub(crate) const fn unacked_bytes(&self) -> u64 {
        self.held.unacked
    }

    /// Streams open now.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes sent and received.
    pub(crate) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// DATA_BLOCKED, STREAM_DATA_BLOCKED and STREAMS_BLOCKED frames received.
    pub(crate) const fn peer_blocked(&self) -> u64 {
        self.peer_blocked
    }

    fn tick(&mut self, now: Instant) {
        self.clock.now = self.clock.now.max(now);
    }

    fn is_ours(&self, id: StreamId) -> bool {
        id.initiator() == self.side
    }

    /// The peer's first limit for our sending part.
    fn first_limit(&self, id: StreamId) -> u64 {
        match (id.dir(), self.is_ours(id)) {
            (Dir::Bi, true) => self.first_limits[0],
            (Dir::Bi, false) => self.first_limits[1],
            (Dir::Uni, _) => self.first_limits[2],
        }
    }

    /// Gives an open stream its state, and its first window: one of the peer's once it is known who that is.
    fn create(&mut self, id: StreamId) -> u32 {
        let ours = self.is_ours(id);
        let both = id.dir() == Dir::Bi;
        let limit = self.first_limit(id);
        let window = self.config.stream_window;
        let key = self.table.insert(id, (both || ours).then_some(limit), (both || !ours).then_some(window));
        if let Some(Stream { recv: Some(recv), owes, .. }) = self.table.get_mut(key)
            && (ours || self.lends)
            && recv.begin(&self.config, &mut self.inbound)
        {
            owes.add(Owes::MAX_DATA);
            self.refresh(key);
        }
        key
    }

    /// A packet has been taken in.
    pub(crate) fn on_packet_end(&mut self) {
        self.table.calm();
    }

    /// The stream as the application knows it; gives it state if it was only a mark.
    fn lookup(&mut self, id: StreamId) -> Option<u32> {
        match self.table.find(id) {
            Found::At(key) => Some(key),
            Found::Untouched => Some(self.create(id)),
            Found::Nothing => None,
        }
    }

    /// Changes a sending part and keeps sums and lists right.
    fn with_send<R>(&mut self, key: u32, change: impl FnOnce(&mut SendPart) -> R) -> Option<R> {
        let send = self.table.get_mut(key)?.send.as_mut()?;
        let before = send.held();
        let result = change(send);
        let after = send.held();
        self.held.unacked = self.held.unacked - before.unacked + after.unacked;
        self.held.unsent = self.held.unsent - before.unsent + after.unsent;
        self.held.lost = self.held.lost - before.lost + after.lost;
        self.refresh(key);
        Some(result)
    }

    /// The handshake is complete: the peer is who it says it is, and bytes that only wait to be read need not hold up
    /// others.
    pub(crate) fn on_complete(&mut self) {
        self.lends = true;
    }

    /// Readers have had their turn: what they left need not count against the connection's window.
    pub(crate) fn on_transmit(&mut self) {
        if self.lends && self.inbound.lend(&self.config, &self.clock) {
            self.owes.add(Owes::MAX_DATA);
        }
    }

    /// Gives credit back after a change of a receiving part, tells the peer, and forgets the stream if it is done.
    fn settle_recv(&mut self, key: u32) {
        let Some(Stream { recv: Some(recv), owes, .. }) = self.table.get_mut(key) else { return };
        let (settled, done) = (recv.settle(), recv.is_done());
        let widened = recv.widen(&self.config, &self.clock, &mut self.inbound);
        if widened {
            owes.add(Owes::MAX_DATA);
        }
        if self.inbound.settle(&settled, &self.config, &self.clock) {
            self.owes.add(Owes::MAX_DATA);
        }
        if widened {
            self.refresh(key);
        }
        if done {
            self.retire(key);
        }
    }

    /// Forgets a stream whose parts are both done.
    // MUST 9000-3.3-1, 9000-4.4-1
    fn retire(&mut self, key: u32) {
        let Some(stream) = self.table.get_mut(key) else { return };
        let sent = stream.send.as_ref().is_none_or(SendPart::is_done);
        let received = stream.recv.as_ref().is_none_or(RecvPart::is_done);
        if !(sent && received) {
            return;
        }
        let id = stream.id;
        self.control.revoke(&mut stream.control);
        if let Some(send) = &mut stream.send {
            self.fresh.revoke(&mut send.places.fresh);
            self.free.revoke(&mut send.places.free);
            self.waiting.revoke(&mut send.places.waiting);
        }
        self.table.remove(key);
        if !self.is_ours(id) && self.remote[id.dir() as usize].end(self.config.most_streams(id.dir())) {
            self.owes.add(Owes::max_streams(id.dir()));
        }
    }

    /// Puts a stream into the lists it belongs to and takes it out of the others.
    #[inline]
    fn refresh(&mut self, key: u32) {
        let Some(stream) = self.table.get_mut(key) else { return };
        let local = &self.local[stream.id.dir() as usize];
        // beyond the limit only after 0-RTT was rejected and the new limit is lower
        let held_back = stream.id.initiator() == self.side && stream.id.index() >= local.limit;
        let mut left = false;
        if let Some(send) = &mut stream.send {
            if send.complaint().is_some() {
                stream.owes.add(Owes::BLOCKED);
            }
            let (fresh, free) = (send.wants_fresh() && !held_back, send.wants_free() && !held_back);
            let places = &mut send.places;
            left |= match self.config.fair {
                true => {
                    self.fresh.sync_fair((&mut places.fresh, &mut places.had), fresh, key, stream.priority)
                }
                false => self.fresh.sync(&mut places.fresh, fresh, key, stream.priority),
            };
            left |= self.free.sync(&mut send.places.free, free, key, stream.priority);
        }
        left |= self.control.sync(&mut stream.control, !stream.owes.is_empty() && !held_back, key, 0);
        self.complain();
        if left {
            self.sweep();
        }
    }

    /// Refreshes every stream. For rare events.
    fn refresh_all(&mut self) {
        for key in self.table.keys() {
            self.refresh(key);
        }
    }

    /// Owes DATA_BLOCKED if the connection's limit holds bytes back, once per limit.
    #[inline]
    fn complain(&mut self) {
        if self.outbound.credit() == 0
            && !self.fresh.is_empty()
            && self.outbound.told != Some(self.outbound.limit)
        {
            self.outbound.told = Some(self.outbound.limit);
            self.owes.add(Owes::BLOCKED);
        }
    }

    /// Drops revoked entries of the lists where they pile up.
    fn sweep(&mut self) {
        let table = &self.table;
        if self.fresh.is_sparse() {
            self.fresh.compact(|entry| table.has_fresh(entry));
        }
        if self.free.is_sparse() {
            self.free.compact(|entry| table.has_free(entry));
        }
        if self.waiting.is_sparse() {
            self.waiting.compact(|entry| table.is_waiting(entry));
        }
        if self.control.is_sparse() {
            self.control.compact(|entry| table.has_control(entry));
        }
    }

    /// Tells an application whose open was refused that it may try again.
    fn announce(&mut self, dir: Dir) {
        let local = &mut self.local[dir as usize];
        if local.starved && local.opened < local.limit {
            local.starved = false;
            self.events.push_back(StreamEvent::Available(dir));
        }
    }
}

/// Bytes that are sent until a stream with `fresh` of them is through, of `most` in all: `turns` streams, itself among them, have
/// their turns meanwhile, so that they share what faster paths deliver.
fn until_through(fresh: u64, turns: usize, most: u64) -> u64 {
    fresh.saturating_mul(turns as u64).min(most)
}

#[cfg(test)]
mod tests;
