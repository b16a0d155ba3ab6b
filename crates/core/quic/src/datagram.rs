//! Unreliable datagrams (RFC 9221): two bounded queues and the DATAGRAM frame.
//!
//! Decides what is dropped when the application reads too slowly (the oldest) or writes too much (the newest). Nothing
//! is sent again, and which path a datagram takes is not decided here.

use core::fmt;

use bytes::{Bytes, BytesMut};
use tq_buf::mem::VecDeque;
use tq_wire::frame::kind;
use tq_wire::{Code, varint_len};

use crate::error::TransportError;
use crate::payload::Payload;

#[cfg(test)]
mod tests;

/// What a queue is charged for a datagram on top of its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;
/// Received datagrams share blocks of this size, so that not each costs an allocation.
const BLOCK: usize = 32 << 10;
/// The max_datagram_frame_size we declare: any frame that fits into a packet (RFC 9221 §3).
const ANY_SIZE: u64 = 65_535;

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendDatagramError {
    /// The peer takes none, or has not said so yet.
    Unsupported,
    /// Larger than what fits into a packet now, or than the peer takes.
    TooLarge,
    /// The queue is full; wait for the event that says there is space.
    Blocked,
}

impl fmt::Display for SendDatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the peer takes no datagrams",
            Self::TooLarge => "the datagram does not fit into a packet",
            Self::Blocked => "too many datagrams wait to be sent",
        })
    }
}

impl core::error::Error for SendDatagramError {}

/// A queue with a bound in bytes.
#[derive(Debug)]
struct Queue {
    items: VecDeque<Bytes>,
    /// Bytes charged.
    used: usize,
    most: usize,
}

impl Queue {
    const fn new(most: usize) -> Self {
        Self { items: VecDeque::new(), used: 0, most }
    }

    const fn has_room(&self, len: usize) -> bool {
        self.used.saturating_add(OVERHEAD).saturating_add(len) <= self.most
    }

    fn push(&mut self, data: Bytes) {
        self.used += data.len() + OVERHEAD;
        self.items.push_back(data);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let data = self.items.pop_front()?;
        self.used -= data.len() + OVERHEAD;
        Some(data)
    }
}

/// The datagrams of a connection.
#[derive(Debug)]
pub(crate) struct Datagrams {
    inbound: Queue,
    outbound: Queue,
    block: BytesMut,
    /// max_datagram_frame_size of the peer; 0: none.
    peer_limit: u64,
    /// Bytes of the smallest datagram refused for want of room since somebody was told that there is some.
    refused: Option<usize>,
    dropped: u64,
    stale: u64,
}

impl Datagrams {
    /// Empty queues that hold so many bytes each, with 64 on top of each datagram. Receiving 0 bytes means that we
    /// take no datagrams.
    pub(crate) fn new(receive_buffer: usize, send_buffer: usize) -> Self {
        Self {
            inbound: Queue::new(receive_buffer),
            outbound: Queue::new(send_buffer),
            block: BytesMut::new(),
            peer_limit: 0,
            refused: None,
            dropped: 0,
            stale: 0,
        }
    }

    /// The max_datagram_frame_size to declare.
    pub(crate) const fn declared(&self) -> u64 {
        if self.inbound.most == 0 { 0 } else { ANY_SIZE }
    }

    /// The peer's max_datagram_frame_size, remembered or from the handshake. 0 drops what waits (0-RTT was rejected).
    pub(crate) fn on_params(&mut self, max_datagram_frame_size: u64) {
        self.peer_limit = max_datagram_frame_size;
        if max_datagram_frame_size == 0 {
            while self.drop_front() {}
        }
    }

    /// A DATAGRAM frame with this content; says whether the application is to be told: the queue was empty.
    ///
    /// # Errors
    /// PROTOCOL_VIOLATION if it was not to be sent, or larger than declared (RFC 9221 §3).
    pub(crate) fn on_frame(&mut self, data: &[u8]) -> Result<bool, TransportError> {
        if self.declared() == 0 {
            let why = "DATAGRAM frame though none were allowed";
            return Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::DATAGRAM, why));
        }
        if data.len() as u64 + 1 > ANY_SIZE {
            let why = "DATAGRAM frame above max_datagram_frame_size";
            return Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::DATAGRAM, why));
        }
        let first = self.inbound.items.is_empty();
        while !self.inbound.has_room(data.len()) {
            self.dropped += 1;
            if self.inbound.pop().is_none() {
                // larger than the whole queue
                return Ok(false);
            }
        }
        let data = self.keep(data);
        self.inbound.push(data);
        Ok(first)
    }

    /// Copies `data` to a shared block.
    fn keep(&mut self, data: &[u8]) -> Bytes {
        if data.len() > BLOCK / 4 {
            return Bytes::copy_from_slice(data);
        }
        if self.block.capacity() < data.len() && !self.block.try_reclaim(BLOCK) {
            self.block = BytesMut::with_capacity(BLOCK);
        }
        self.block.extend_from_slice(data);
        self.block.split().freeze()
    }

    /// The oldest datagram received.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        self.inbound.pop()
    }

    /// The largest datagram that can be sent in a packet with room for `payload` bytes of frames; `None` if the peer
    /// takes none.
    // MUST 9000-19.21-1
    pub(crate) fn max_size(&self, payload: usize) -> Option<usize> {
        let frame = usize::try_from(self.peer_limit).unwrap_or(usize::MAX).min(payload);
        // type, and a length that is as long as that of the whole frame
        frame.checked_sub(1 + varint_len(frame as u64))
    }

    /// Takes a datagram to send; `max_size` is what [`Datagrams::max_size`] says of the path.
    pub(crate) fn send(&mut self, data: Bytes, max_size: usize) -> Result<(), SendDatagramError> {
        if self.peer_limit == 0 {
            return Err(SendDatagramError::Unsupported);
        }
        if data.len() > max_size {
            return Err(SendDatagramError::TooLarge);
        }
        // one always fits, however small the queue
        if !self.outbound.items.is_empty() && !self.outbound.has_room(data.len()) {
            self.refused = Some(self.refused.map_or(data.len(), |least| least.min(data.len())));
            return Err(SendDatagramError::Blocked);
        }
        self.outbound.push(data);
        Ok(())
    }

    /// Whether a datagram waits.
    pub(crate) fn wants(&self) -> bool {
        !self.outbound.items.is_empty()
    }

    /// Bytes of the datagram that goes next, without its frame.
    pub(crate) fn next_len(&self) -> Option<usize> {
        self.outbound.items.front().map(Bytes::len)
    }

    /// Bytes of datagrams that wait, without their frames.
    pub(crate) fn backlog(&self) -> u64 {
        (self.outbound.used - self.outbound.items.len() * OVERHEAD) as u64
    }

    /// Writes DATAGRAM frames in order while they fit and says how many. One that fills the packet exactly goes without a length.
    pub(crate) fn write(&mut self, p: &mut Payload<'_>) -> u64 {
        let mut written = 0;
        while let Some(len) = self.next_len() {
            let explicit = 1 + varint_len(len as u64) + len <= p.room();
            if !explicit && 1 + len != p.room() {
                return written;
            }
            let Some(data) = self.outbound.pop() else { return written };
            p.out.varint(if explicit { kind::DATAGRAM_LEN } else { kind::DATAGRAM });
            if explicit {
                p.out.varint(len as u64);
            }
            p.out.slice(&data);
            p.eliciting = true;
            written += 1;
        }
        written
    }

    /// Drops what waits in front and is larger than packets are now, so that it does not hold up the rest. To be
    /// called when a path or its MTU shrinks.
    pub(crate) fn drop_larger(&mut self, max_size: usize) {
        while self.next_len().is_some_and(|len| len > max_size) {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) -> bool {
        let dropped = self.outbound.pop().is_some();
        self.stale += u64::from(dropped);
        dropped
    }

    /// Whether to tell the application that there is space again: for what was refused, so that a send that follows the
    /// word is not refused in turn. Says so once per refusal.
    pub(crate) fn take_space(&mut self) -> bool {
        let queue = &self.outbound;
        let fits = |len: usize| queue.items.is_empty() || queue.used <= queue.most / 2 && queue.has_room(len);
        self.refused.take_if(|len| fits(*len)).is_some()
    }

    /// Datagrams dropped because the application read too slowly.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Datagrams dropped before they were sent because no packet can carry them any more.
    pub(crate) const fn undeliverable(&self) -> u64 {
        self.stale
    }
}
