//! The bytes an application wrote to a stream, until the peer has them.
//!
//! Decides which range goes next (lost before fresh) and when memory is given back. It never decides how much
//! may be sent: the caller brings the packet's room and the flow control limit. The end of the stream (FIN) is
//! the stream's business.

use core::{cmp::Ordering, ops::Range};

use bytes::Bytes;

use crate::{
    Ranges,
    mem::{Vec, VecDeque},
};

#[cfg(test)]
mod tests;

/// Writes smaller than this are copied.
const SHARED: usize = 1 << 10;
/// Chunks made here for small writes start with this much room: most short streams are a request or an answer.
const SMALLEST: usize = 64;
/// Room of a chunk that is kept for the next small write when its bytes are acknowledged.
const KEPT: usize = 256;
/// Chunks made here do not grow beyond this.
const LARGEST: usize = 64 << 10;

/// A piece of the stream in memory: `data` begins at offset `start`.
#[derive(Debug)]
struct Chunk {
    start: u64,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// Handed over by the application.
    Shared(Bytes),
    /// Gathered from small writes; has room for more while it is the last chunk.
    Gathered(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Shared(bytes) => bytes,
            Data::Gathered(bytes) => bytes,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes().len() as u64
    }
}

/// Bytes written to a stream: kept until acknowledged, handed out for (re)transmission as ranges.
///
/// Offsets are stream offsets (RFC 9000 §2.2), 0 to 2^62-1. Every byte from the lowest unacknowledged one to
/// the last one written is held, see [`unacked`](Self::unacked); this is what an owner bounds. Chunks gathered
/// from small writes double from 64 bytes to 64 KiB, and one of up to 256 bytes is kept for the next small write, so memory is
/// at most 3 × `unacked` + 128 KiB, plus up to 64
/// bytes for each acknowledged or lost range apart from others, plus what the application's own `Bytes` keep alive.
///
/// An acknowledgement in order and a copy of what [`next`](Self::next) just gave take constant time
/// (amortised over chunks); others search in O(log chunks).
#[derive(Debug, Default)]
pub struct SendBuffer {
    chunks: VecDeque<Chunk>,
    /// All below is acknowledged.
    base: u64,
    /// All below was taken by `next`.
    sent: u64,
    end: u64,
    /// Acknowledged above `base`, so that a later loss of the same bytes is ignored.
    acked: Ranges,
    /// To transmit again; within `base..sent`, disjoint from `acked`.
    lost: Ranges,
    /// Index of the chunk that holds the start of the range `next` gave last.
    cursor: usize,
    /// Room of a chunk that is gone, for the next small write.
    spare: Vec<u8>,
}

impl SendBuffer {
    /// An empty buffer at offset 0. Does not allocate.
    pub const fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            base: 0,
            sent: 0,
            end: 0,
            acked: Ranges::new(),
            lost: Ranges::new(),
            cursor: 0,
            spare: Vec::new(),
        }
    }

    /// Appends `bytes`, without a copy if there are at least 1024 of them.
    pub fn write(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED {
            return self.write_slice(&bytes);
        }
        let start = self.end;
        self.end += bytes.len() as u64;
        self.push(Chunk { start, data: Data::Shared(bytes) });
    }

    /// Adds a chunk. A short stream has one, and no room is made for more before there are.
    fn push(&mut self, chunk: Chunk) {
        if self.chunks.capacity() == 0 {
            self.chunks.reserve_exact(1);
        }
        self.chunks.push_back(chunk);
    }

    /// Appends a copy of `bytes`, gathered with earlier small writes.
    pub fn write_slice(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let mut capacity = 0;
        if let Some(Chunk { data: Data::Gathered(last), .. }) = self.chunks.back_mut() {
            let (head, tail) = rest.split_at(rest.len().min(last.capacity() - last.len()));
            last.extend_from_slice(head);
            self.end += head.len() as u64;
            (rest, capacity) = (tail, last.capacity());
        }
        while !rest.is_empty() {
            // Doubling from one gathered chunk to the next bounds waste where small and large writes alternate.
            capacity = rest.len().max(capacity.saturating_mul(2)).clamp(SMALLEST, LARGEST);
            let mut data = match self.spare.capacity() >= capacity {
                true => core::mem::take(&mut self.spare),
                false => Vec::with_capacity(capacity),
            };
            capacity = data.capacity();
            let (head, tail) = rest.split_at(rest.len().min(capacity));
            data.extend_from_slice(head);
            self.push(Chunk { start: self.end, data: Data::Gathered(data) });
            self.end += head.len() as u64;
            rest = tail;
        }
    }

    /// The offset after the last byte written.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The offset up to which fresh bytes were taken by [`next`](Self::next).
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes held: from the lowest unacknowledged byte to the last one written. Zero when all is acknowledged.
    pub fn unacked(&self) -> u64 {
        self.end - self.base
    }

    /// Fresh bytes not yet taken.
    pub fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    /// Is there something to transmit again?
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Takes the next range to transmit, at most `max_len` bytes and never past offset `limit`; counts as sent.
    ///
    /// Lost ranges come first, lowest first, then fresh bytes. `None` if there is nothing or no room.
    pub fn next(&mut self, max_len: usize, limit: u64) -> Option<Range<u64>> {
        let (start, stop) = match self.lost.first() {
            Some(lost) => (lost.start, lost.end),
            None => (self.sent, self.end),
        };
        let stop = stop.min(limit).min(start.saturating_add(max_len as u64));
        if stop <= start {
            return None;
        }
        if start < self.sent {
            self.lost.remove_below(stop);
        } else {
            self.sent = stop;
        }
        self.cursor = self.find(start);
        Some(start..stop)
    }

    /// The same of what was never sent; lost ranges wait for another call.
    pub fn next_fresh(&mut self, max_len: usize, limit: u64) -> Option<Range<u64>> {
        let start = self.sent;
        let stop = self.end.min(limit).min(start.saturating_add(max_len as u64));
        if stop <= start {
            return None;
        }
        self.sent = stop;
        self.cursor = self.find(start);
        Some(start..stop)
    }

    /// Copies the bytes of `range` to the start of `into` and says how many.
    ///
    /// That is all of them for a range that [`next`](Self::next) gave and that is not acknowledged. It is fewer
    /// where `into` is too short or the bytes are not (or no longer) held.
    pub fn copy(&self, range: Range<u64>, into: &mut [u8]) -> usize {
        let mut copied = 0;
        let mut index = self.find(range.start);
        let mut at = range.start;
        while let Some(chunk) = self.chunks.get(index)
            && at >= chunk.start
            && at < range.end
            && copied < into.len()
        {
            let from = (at - chunk.start) as usize;
            let wanted = (into.len() - copied).min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
            let piece = chunk.bytes().get(from..).unwrap_or_default();
            let piece = &piece[..piece.len().min(wanted)];
            into[copied..copied + piece.len()].copy_from_slice(piece);
            copied += piece.len();
            at += piece.len() as u64;
            index += 1;
        }
        copied
    }

    /// Index of the chunk that holds the byte at `offset`; of any chunk if it is not held.
    fn find(&self, offset: u64) -> usize {
        let fits = |index: usize| {
            self.chunks.get(index).is_some_and(|chunk| chunk.start <= offset && offset < chunk.end())
        };
        if fits(self.cursor) {
            return self.cursor;
        }
        if fits(self.cursor + 1) {
            return self.cursor + 1;
        }
        let search = self.chunks.binary_search_by(|chunk| match chunk.start.cmp(&offset) {
            Ordering::Less if chunk.end() > offset => Ordering::Equal,
            other => other,
        });
        search.unwrap_or_else(|index| index)
    }

    /// The peer has `range`: its memory is given back, and losses of it are ignored from now on.
    ///
    /// What was never sent cannot be acknowledged and is ignored.
    pub fn ack(&mut self, range: Range<u64>) {
        let range = self.in_flight(range);
        if range.is_empty() {
            return;
        }
        self.lost.remove(range.clone());
        if range.start > self.base {
            self.acked.insert(range);
            return;
        }
        self.base = range.end;
        while let Some(next) = self.acked.first()
            && next.start <= self.base
        {
            self.base = self.base.max(next.end);
            self.acked.pop_first();
        }
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= self.base) {
            self.drop_first();
            self.cursor = self.cursor.saturating_sub(1);
        }
    }

    /// Drops the first chunk, but not its room if that is worth keeping.
    fn drop_first(&mut self) {
        if let Some(Chunk { data: Data::Gathered(mut bytes), .. }) = self.chunks.pop_front()
            && (SMALLEST..=KEPT).contains(&bytes.capacity())
        {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// `range` is to be transmitted again, apart from what is acknowledged or was never sent.
    pub fn lose(&mut self, range: Range<u64>) {
        let range = self.in_flight(range);
        if range.is_empty() {
            return;
        }
        self.lost.insert(range.clone());
        for acked in self.acked.within(&range) {
            self.lost.remove(acked);
        }
    }

    /// The part of `range` that was sent and is not known to be acknowledged in order.
    fn in_flight(&self, range: Range<u64>) -> Range<u64> {
        range.start.max(self.base)..range.end.min(self.sent)
    }

    /// Gives back all memory, as after a reset: nothing is left to send or to acknowledge.
    ///
    /// What was written and never taken is forgotten, so [`end`](Self::end) becomes [`sent`](Self::sent), the
    /// final size that RESET_STREAM carries (RFC 9000 §4.5).
    pub fn clear(&mut self) {
        *self = Self { base: self.sent, sent: self.sent, end: self.sent, ..Self::new() };
    }

    /// Becomes the buffer of another stream, at offset 0. Keeps what little memory short streams need, some 400 bytes.
    pub fn renew(&mut self) {
        if !self.chunks.is_empty() {
            self.chunks.truncate(1);
            self.drop_first();
        }
        if self.chunks.capacity() > 4 {
            self.chunks = VecDeque::new();
        }
        for ranges in [&mut self.acked, &mut self.lost] {
            if ranges.room() > 0 {
                *ranges = Ranges::new();
            }
        }
        (self.base, self.sent, self.end, self.cursor) = (0, 0, 0, 0);
    }
}
