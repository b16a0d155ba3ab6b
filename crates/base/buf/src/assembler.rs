//! Puts the bytes received on a stream back in order.
//!
//! Decides where received bytes live and what they may cost: memory comes in blocks aligned to the stream, each
//! byte is copied once to its place, and the number of gaps is bounded. It never decides whether bytes were
//! allowed (flow control and final size are the stream's business).

use core::fmt;

use bytes::Bytes;

use crate::Ranges;
use store::Store;

mod store;
#[cfg(test)]
mod tests;

/// How many gaps a stream may have before [`Assembler::insert`] refuses another one: so many, and where more bytes wait one for
/// so many of them. A start that overruns the queue of a fast link loses every second packet of thousands.
const MOST_GAPS: usize = 1024;
const GAP_EVERY: usize = 1024;
/// And no more than this, since finding the place of a piece takes a move of half of them.
const MOST_EVER: usize = 16 * MOST_GAPS;

/// The peer's bytes would leave more gaps in one stream than loss does: 1024, or one for each KiB that waits, 16384 at most.
///
/// Nothing was stored. Honest loss does not come near this, so the peer is at fault; the caller either closes
/// the connection or leaves the packet unacknowledged, so that the bytes come again when gaps have closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFragmented;

impl fmt::Display for TooFragmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more gaps in a stream than loss leaves")
    }
}

impl core::error::Error for TooFragmented {}

/// Bytes received on a stream, in any order and more than once, to be read once and usually in order.
///
/// Offsets are stream offsets (RFC 9000 §2.2), 0 to 2^62-1. Where bytes overlap what is there, the first copy
/// stays (RFC 9000 §2.2 lets a receiver assume that they are equal).
///
/// # Memory
///
/// The stream is cut into blocks of 32 KiB; a block has memory from its first byte to the read of its last.
/// So memory is at most `highest - consumed + 64 KiB`, whatever the order and size of the pieces, and also at
/// most `buffered + 64 KiB × (gaps + 1)`, each plus some 80 bytes per block and up to 64 bytes per gap. The first block
/// of a stream is as large as what comes first, and grows by doubling from 1 KiB if there is more, so that a short stream
/// stays small. [`Bytes`] that were read keep
/// their block alive.
///
/// # Time
///
/// Bytes in order are appended without a search, and without an allocation but for the block's; bytes out of
/// order take O(log gaps) plus a move of at most half of the list of gaps.
#[derive(Debug, Default)]
pub struct Assembler {
    store: Store,
    /// All below was read.
    consumed: u64,
    /// Received at or above `consumed`, including what `read_any` took.
    got: Ranges,
    /// Taken by `read_any` above `consumed`; a subset of `got`.
    taken: Ranges,
    highest: u64,
    buffered: usize,
}

impl Assembler {
    /// Nothing received. Does not allocate.
    pub const fn new() -> Self {
        Self {
            store: Store::new(),
            consumed: 0,
            got: Ranges::new(),
            taken: Ranges::new(),
            highest: 0,
            buffered: 0,
        }
    }

    /// Copies what is new of `data`, received at `offset`. What was received or read before is ignored.
    pub fn insert(&mut self, offset: u64, data: &[u8]) -> Result<(), TooFragmented> {
        let end = offset.saturating_add(data.len() as u64);
        let start = offset.max(self.consumed);
        if end <= start {
            return Ok(());
        }
        if self.got.len() >= MOST_GAPS && self.gaps() >= self.most_gaps() && self.adds_gap(start, end) {
            return Err(TooFragmented);
        }
        let mut put = |from: u64, to: u64| {
            self.store.put(from, &data[(from - offset) as usize..(to - offset) as usize], self.consumed);
            self.buffered += (to - from) as usize;
        };
        if self.got.max().is_none_or(|max| max < start) {
            put(start, end);
        } else {
            let mut at = start;
            for run in self.got.within(&(start..end)) {
                if at < run.start {
                    put(at, run.start);
                }
                at = run.end;
            }
            if at < end {
                put(at, end);
            }
        }
        self.got.insert(start..end);
        self.highest = self.highest.max(end);
        Ok(())
    }

    /// Missing stretches below `highest`.
    fn gaps(&self) -> usize {
        self.got.len() - usize::from(self.got.min() == Some(self.consumed))
    }

    /// How many there may be.
    fn most_gaps(&self) -> usize {
        (self.buffered / GAP_EVERY).clamp(MOST_GAPS, MOST_EVER)
    }

    /// Would bytes `start..end` stand alone?
    fn adds_gap(&self, start: u64, end: u64) -> bool {
        start > self.consumed && self.got.within(&(start - 1..end.saturating_add(1))).next().is_none()
    }

    /// The next bytes in order, at most `max` of them, without a copy. `None` if there are none or `max` is 0.
    ///
    /// Gives a block's worth at most, so there may be more: read until `None`.
    pub fn read(&mut self, max: usize) -> Option<Bytes> {
        let bytes = self.store.take_first(self.ready().min(max))?;
        self.consume(bytes.len());
        Some(bytes)
    }

    /// Copies the next bytes in order to the start of `into` and says how many; 0 if there are none.
    pub fn read_into(&mut self, into: &mut [u8]) -> usize {
        let mut done = 0;
        loop {
            let wanted = self.ready().min(into.len() - done);
            match self.store.copy_first(&mut into[done..done + wanted]) {
                0 => return done,
                copied => {
                    done += copied;
                    self.consume(copied);
                }
            }
        }
    }

    /// The lowest unread bytes with their offset, whether or not bytes below them are missing.
    ///
    /// Each byte is given once: a later [`read`](Self::read) passes over what was taken here.
    pub fn read_any(&mut self) -> Option<(u64, Bytes)> {
        if self.buffered == 0 {
            return None;
        }
        let (start, end) = self.first_unread()?;
        let bytes = self.store.take(start, (end - start) as usize)?;
        if start == self.consumed {
            self.consume(bytes.len());
        } else {
            self.buffered -= bytes.len();
            self.taken.insert(start..start + bytes.len() as u64);
        }
        Some((start, bytes))
    }

    /// The lowest received bytes that `read_any` has not taken.
    fn first_unread(&self) -> Option<(u64, u64)> {
        let mut taken = self.taken.iter().peekable();
        for run in self.got.iter() {
            let mut at = run.start;
            while let Some(part) = taken.next_if(|part| part.start == at) {
                at = part.end;
            }
            if at < run.end {
                return Some((at, taken.peek().map_or(run.end, |part| part.start.min(run.end))));
            }
        }
        None
    }

    /// The lowest `count` bytes were read.
    fn consume(&mut self, count: usize) {
        self.buffered -= count;
        self.consumed += count as u64;
        while let Some(taken) = self.taken.first()
            && taken.start <= self.consumed
        {
            self.consumed = taken.end;
            self.taken.pop_first();
        }
        self.got.remove_below(self.consumed);
    }

    /// How many bytes can be read in order now.
    pub fn ready(&self) -> usize {
        let end = self.taken.min().map_or(self.received(), |taken| taken.min(self.received()));
        (end - self.consumed) as usize
    }

    /// The read offset: every byte below was read.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The offset up to which every byte was received.
    pub fn received(&self) -> u64 {
        match self.got.first() {
            Some(first) if first.start == self.consumed => first.end,
            _ => self.consumed,
        }
    }

    /// The offset after the highest byte ever received.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Bytes received and not yet read, in order or not.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Gives back all memory but a few words, as after a reset; whatever is received below [`highest`](Self::highest)
    /// later is ignored, and [`consumed`](Self::consumed) counts it as read.
    pub fn clear(&mut self) {
        self.store.clear();
        few(&mut self.got);
        few(&mut self.taken);
        (self.consumed, self.buffered) = (self.highest, 0);
    }

    /// Becomes the assembler of another stream, at offset 0. Keeps what little memory short streams need, some 300 bytes.
    pub fn renew(&mut self) {
        self.highest = 0;
        self.clear();
    }
}

/// Takes all ranges out, and gives back room for more than a few.
fn few(ranges: &mut Ranges) {
    match ranges.room() {
        0..=4 => ranges.clear(),
        _ => *ranges = Ranges::new(),
    }
}
