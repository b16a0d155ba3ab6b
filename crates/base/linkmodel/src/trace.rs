//! Rate traces in the format of Mahimahi (mm-link(1)).
//!
//! Each line is a time in milliseconds from the start of the trace and stands for one chance to send 1500 bytes,
//! for one packet or several, or for part of a longer one. A chance nobody uses is lost. After the last line the
//! trace starts over, its time being the length of the round. Decides when bytes may go; keeps no queue.

use core::fmt;

use tq_buf::mem::Vec;
use tq_time::Duration;

use crate::rate::{SECOND, Served};

#[cfg(test)]
mod tests;

const MILLI: u64 = 1_000_000;
/// Ten years: longer traces are slips of the pen.
const LATEST: u64 = 10 * 365 * 86_400_000;

/// A trace, ready to be used by any number of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Ascending; never empty.
    slots: Vec<Slot>,
    /// Milliseconds of one round, not zero.
    round: u64,
    /// Chances in one round, not zero.
    chances: u64,
}

/// The chances of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// Milliseconds into the round.
    at: u64,
    count: u64,
}

/// Why a text is no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: TraceFault,
}

/// What may be wrong with a line of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFault {
    /// Not a whole number of milliseconds; an empty line is none either.
    NotANumber,
    /// More than ten years after the start.
    TooLate,
    /// Earlier than the line before.
    Backwards,
    /// The text ends here and had not one line.
    Empty,
    /// The last time is 0: a round would take no time.
    NoTime,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        f.write_str(match self.fault {
            TraceFault::NotANumber => "not a whole number of milliseconds",
            TraceFault::TooLate => "more than ten years after the start",
            TraceFault::Backwards => "earlier than the line before",
            TraceFault::Empty => "the trace is empty",
            TraceFault::NoTime => "the trace ends at 0 ms, so it cannot be repeated",
        })
    }
}

impl core::error::Error for TraceError {}

/// A moment of a trace, the last one used; none if the slot is out of range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Nanoseconds at which the round began.
    start: u64,
    /// The moment itself, in nanoseconds.
    at: u64,
    slot: usize,
    /// What is left of its chances.
    bytes: u64,
}

impl Default for Place {
    fn default() -> Self {
        Self { start: 0, at: 0, slot: usize::MAX, bytes: 0 }
    }
}

impl Trace {
    /// Bytes of one chance.
    pub const BYTES: u64 = 1500;

    /// Reads a trace. Lines may end in CR LF, and the last one in nothing.
    ///
    /// # Errors
    /// Names the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let (mut slots, mut last, mut chances) = (Vec::<Slot>::new(), 0, 0);
        for (index, text) in text.lines().enumerate() {
            let wrong = |fault| TraceError { line: index + 1, fault };
            let at = number(text.trim_ascii()).map_err(wrong)?;
            if at < last {
                return Err(wrong(TraceFault::Backwards));
            }
            last = at;
            chances += 1;
            push(&mut slots, at);
        }
        match last {
            _ if slots.is_empty() => Err(TraceError { line: 1, fault: TraceFault::Empty }),
            0 => Err(TraceError { line: text.lines().count(), fault: TraceFault::NoTime }),
            round => Ok(Self { slots, round, chances }),
        }
    }

    /// From ascending times in milliseconds and the length of a round. A round that ends without a chance gets
    /// one there, as the format has no other way to say how long it is.
    pub(crate) fn new(times: &[u64], round: u64) -> Option<Self> {
        let mut slots = Vec::new();
        times.iter().for_each(|at| push(&mut slots, (*at).min(round)));
        if round == 0 || times.is_empty() {
            return None;
        }
        let missing = slots.last().is_some_and(|slot| slot.at < round);
        if missing {
            push(&mut slots, round);
        }
        Some(Self { slots, round, chances: times.len() as u64 + u64::from(missing) })
    }

    /// How long one round is.
    pub const fn time(&self) -> Duration {
        Duration::from_millis(self.round)
    }

    /// Chances in one round.
    pub const fn chances(&self) -> u64 {
        self.chances
    }

    /// The average rate if no chance is lost, in bytes per second.
    pub const fn mean_rate(&self) -> u64 {
        (self.chances as u128 * Self::BYTES as u128 * 1000 / self.round as u128) as u64
    }

    /// Sends `need` byte-nanoseconds from `start` on, but only before `stop`.
    pub(crate) fn serve(&self, place: &mut Place, start: u64, need: u64, stop: u64) -> Served {
        let mut bytes = need.div_ceil(SECOND);
        if place.at < start || place.slot >= self.slots.len() {
            *place = self.find(start);
        }
        let per_round = self.chances.saturating_mul(Self::BYTES);
        if bytes > per_round {
            let rounds = (bytes / per_round).min(stop.saturating_sub(place.at) / self.length());
            bytes -= rounds * per_round;
            place.start = place.start.saturating_add(rounds * self.length());
            place.at = place.at.saturating_add(rounds * self.length());
        }
        while place.at < stop {
            if bytes <= place.bytes {
                place.bytes -= bytes;
                return Served::Left(place.at);
            }
            bytes -= place.bytes;
            self.step(place);
        }
        Served::Rest(bytes.saturating_mul(SECOND))
    }

    /// The first moment not before `at`.
    fn find(&self, at: u64) -> Place {
        // The last moment of a round is the zeroth of the next and comes first.
        let start = at.saturating_sub(1) / self.length() * self.length();
        let slot = self.slots.partition_point(|slot| slot.at * MILLI < at - start);
        self.place(start, slot)
    }

    fn step(&self, place: &mut Place) {
        *place = match place.slot + 1 {
            slot if slot < self.slots.len() => self.place(place.start, slot),
            _ => self.place(place.start.saturating_add(self.length()), 0),
        };
    }

    /// `slot` is in range: the last slot is at the very end of the round.
    fn place(&self, start: u64, slot: usize) -> Place {
        let Slot { at, count } = self.slots[slot];
        let at = start.saturating_add(at * MILLI);
        Place { start, at, slot, bytes: count.saturating_mul(Self::BYTES) }
    }

    /// Nanoseconds of one round.
    const fn length(&self) -> u64 {
        self.round * MILLI
    }
}

/// Mahimahi's text: one line for each chance.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for slot in &self.slots {
            for _ in 0..slot.count {
                writeln!(f, "{}", slot.at)?;
            }
        }
        Ok(())
    }
}

/// One more chance at `at`, which is not before the last one.
fn push(slots: &mut Vec<Slot>, at: u64) {
    match slots.last_mut() {
        Some(slot) if slot.at == at => slot.count += 1,
        _ => slots.push(Slot { at, count: 1 }),
    }
}

fn number(text: &str) -> Result<u64, TraceFault> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(TraceFault::NotANumber);
    }
    match text.parse() {
        Ok(at) if at <= LATEST => Ok(at),
        _ => Err(TraceFault::TooLate),
    }
}
