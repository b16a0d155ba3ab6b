//! Where received bytes live: memory in blocks aligned to the stream.
//!
//! Decides when a block is allocated and how large. It does not know which bytes of a block were received (its
//! owner does); a gap in a block is zeros until its bytes come, so they need no memory and no joining then.

use bytes::{Buf, Bytes, BytesMut};

use crate::mem::VecDeque;

/// Bytes of the stream that share an allocation.
pub(super) const BLOCK: u64 = 32 << 10;

/// The least a block grows to, if it grows.
const SECOND: u64 = 1 << 10;

/// A block, or a part of one after reads: the home of the bytes `start..limit`.
#[derive(Debug)]
struct Piece {
    start: u64,
    limit: u64,
    /// From `start` to the highest byte received here. Has room to `limit`, or grows.
    bytes: BytesMut,
}

impl Piece {
    /// Puts `data` in its place. The caller sees to it that it fits between `start` and `limit`.
    fn put(&mut self, offset: u64, data: &[u8]) -> bool {
        let from = (offset - self.start) as usize;
        let grown = self.grow(from + data.len());
        if from > self.bytes.len() {
            self.bytes.resize(from, 0);
        }
        let (inside, beyond) = data.split_at(data.len().min(self.bytes.len() - from));
        self.bytes[from..from + inside.len()].copy_from_slice(inside);
        self.bytes.extend_from_slice(beyond);
        grown
    }

    /// Makes room for `len` bytes; says whether that took an allocation.
    fn grow(&mut self, len: usize) -> bool {
        if len <= self.bytes.capacity() {
            return false;
        }
        // Most streams are short: the first block begins with what came first, and doubles if that was not all. Later
        // ones are made whole.
        let end = self.start + len as u64;
        let target = match self.limit <= BLOCK {
            true if self.start == 0 && self.bytes.is_empty() => end,
            true => end.next_power_of_two().max(SECOND).min(self.limit),
            false => self.limit,
        };
        let mut bytes = BytesMut::with_capacity((target - self.start) as usize);
        bytes.extend_from_slice(&self.bytes);
        self.bytes = bytes;
        true
    }

    /// Takes the first `count` bytes out. They must be there.
    fn take(&mut self, count: usize) -> Bytes {
        self.start += count as u64;
        // All there is and has room for goes as it is, without a count of who shares it.
        if self.start == self.limit || count == self.bytes.capacity() {
            return core::mem::take(&mut self.bytes).freeze();
        }
        self.bytes.split_to(count).freeze()
    }
}

/// The pieces in ascending order; no two overlap.
#[derive(Debug, Default)]
pub(super) struct Store {
    pieces: VecDeque<Piece>,
    #[cfg(test)]
    pub(super) allocations: usize,
}

impl Store {
    pub(super) const fn new() -> Self {
        Self {
            pieces: VecDeque::new(),
            #[cfg(test)]
            allocations: 0,
        }
    }

    /// Stores `data` at `offset`, where nothing was stored before. All below `floor` is of no interest any more.
    pub(super) fn put(&mut self, offset: u64, data: &[u8], floor: u64) {
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let index = self.home(at, floor);
            let piece = &mut self.pieces[index];
            let room = usize::try_from(piece.limit - at).unwrap_or(usize::MAX);
            let (head, tail) = rest.split_at(rest.len().min(room));
            let _grown = piece.put(at, head);
            #[cfg(test)]
            {
                self.allocations += usize::from(_grown);
            }
            at += head.len() as u64;
            rest = tail;
        }
    }

    /// Index of the piece for the byte at `offset`, which is made if need be.
    fn home(&mut self, offset: u64, floor: u64) -> usize {
        let next = self.after(offset);
        let before = next.checked_sub(1).map(|index| self.pieces[index].limit);
        if before.is_some_and(|limit| offset < limit) {
            return next - 1;
        }
        let block = offset - offset % BLOCK;
        let start = block.max(floor).max(before.unwrap_or(0));
        let limit = self.pieces.get(next).map_or(u64::MAX, |piece| piece.start);
        let limit = limit.min(block.saturating_add(BLOCK));
        // A short stream has one, and no room is made for more before there are.
        if self.pieces.capacity() == 0 {
            self.pieces.reserve_exact(1);
        }
        self.pieces.insert(next, Piece { start, limit, bytes: BytesMut::new() });
        next
    }

    /// Index of the first piece that starts after `offset`.
    fn after(&self, offset: u64) -> usize {
        match self.pieces.back() {
            Some(last) if last.start <= offset => self.pieces.len(),
            _ => self.pieces.partition_point(|piece| piece.start <= offset),
        }
    }

    /// Takes at most `max` bytes from the start of the lowest piece. `None` instead of no bytes.
    pub(super) fn take_first(&mut self, max: usize) -> Option<Bytes> {
        let first = self.pieces.front_mut()?;
        let count = max.min(first.bytes.len());
        if count == 0 {
            return None;
        }
        let bytes = first.take(count);
        self.drop_finished(0);
        Some(bytes)
    }

    /// Copies from the start of the lowest piece and says how many bytes; they are gone then.
    pub(super) fn copy_first(&mut self, into: &mut [u8]) -> usize {
        let Some(first) = self.pieces.front_mut() else { return 0 };
        let count = into.len().min(first.bytes.len());
        into[..count].copy_from_slice(&first.bytes[..count]);
        first.bytes.advance(count);
        first.start += count as u64;
        self.drop_finished(0);
        count
    }

    /// Takes at most `max` bytes at `offset`, which must be stored. What is below stays, with its gaps.
    pub(super) fn take(&mut self, offset: u64, max: usize) -> Option<Bytes> {
        let mut index = self.after(offset).checked_sub(1)?;
        let piece = &mut self.pieces[index];
        let below = (offset - piece.start) as usize;
        if below >= piece.bytes.len() || max == 0 {
            return None;
        }
        if below > 0 {
            let bytes = piece.bytes.split_off(below);
            let above = Piece { start: offset, limit: piece.limit, bytes };
            piece.limit = offset;
            index += 1;
            self.pieces.insert(index, above);
        }
        let piece = &mut self.pieces[index];
        let bytes = piece.take(max.min(piece.bytes.len()));
        self.drop_finished(index);
        Some(bytes)
    }

    /// Drops the piece at `index` if all of it was read.
    fn drop_finished(&mut self, index: usize) {
        if self.pieces.get(index).is_some_and(|piece| piece.start == piece.limit) {
            self.pieces.remove(index);
        }
    }

    /// Forgets everything; keeps the list if it is short.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        if self.pieces.capacity() > 4 {
            self.pieces = VecDeque::new();
        }
    }

    /// What the lowest piece holds.
    #[cfg(test)]
    pub(super) fn first(&self) -> &[u8] {
        &self.pieces[0].bytes
    }

    /// How many pieces there are.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }
}
