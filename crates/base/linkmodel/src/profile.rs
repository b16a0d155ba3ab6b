//! A rate, a delay and a loss that change by a plan, repeated for ever.
//!
//! What the generators make: a trace with more to say than when packets leave. Decides nothing by chance.

use core::fmt;

use tq_buf::mem::{Vec, vec};
use tq_time::Duration;

use crate::rate::{Cursor, Served, nanos};
use crate::trace::Trace;

#[cfg(test)]
mod tests;

/// A stretch of a [`Profile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// How long it is, not zero.
    pub time: Duration,
    /// Bytes of IP per second; 0 is a pause in which packets wait.
    pub rate: u64,
    /// Delay on top of the direction's own, for packets that leave the queue here.
    pub delay: Duration,
    /// Loss on top of the direction's own, in parts per million, for packets that leave the queue here.
    pub loss_ppm: u32,
}

/// A plan of segments that starts over when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    segments: Vec<Segment>,
    /// The end of each segment, in nanoseconds from the start of the profile.
    ends: Vec<u64>,
    /// Byte-nanoseconds of one round.
    carries: u128,
}

/// Why segments are no [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// There are none.
    Empty,
    /// The segment with this index (from 0) has no length: leave it out.
    NoTime(usize),
    /// All segments together are longer than a hundred years.
    TooLong,
    /// No segment has a rate: nothing would ever leave.
    NoRate,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a profile needs at least one segment"),
            Self::NoTime(index) => write!(f, "segment {index} has no length: leave it out"),
            Self::TooLong => f.write_str("the segments are longer than a hundred years together"),
            Self::NoRate => f.write_str("no segment has a rate: nothing would ever leave"),
        }
    }
}

impl core::error::Error for ProfileError {}

/// A segment in time, the last one found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot {
    from: u64,
    until: u64,
    index: usize,
}

/// Bytes per second.
const FASTEST: u64 = 1_000_000_000_000;
const HUNDRED_YEARS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

impl Profile {
    /// The plan made of `segments`. Rates are cut at 10^12 bytes per second.
    ///
    /// # Errors
    /// Says which segment is not one, or that nothing would ever leave.
    pub fn new(mut segments: Vec<Segment>) -> Result<Self, ProfileError> {
        if segments.is_empty() {
            return Err(ProfileError::Empty);
        }
        let (mut ends, mut end, mut carries) = (Vec::with_capacity(segments.len()), 0u64, 0);
        for (index, segment) in segments.iter_mut().enumerate() {
            let time = nanos(segment.time);
            if time == 0 {
                return Err(ProfileError::NoTime(index));
            }
            segment.rate = segment.rate.min(FASTEST);
            end = end.saturating_add(time);
            if end > HUNDRED_YEARS {
                return Err(ProfileError::TooLong);
            }
            ends.push(end);
            carries += u128::from(time) * u128::from(segment.rate);
        }
        match carries {
            0 => Err(ProfileError::NoRate),
            _ => Ok(Self { segments, ends, carries }),
        }
    }

    /// One even rate in bytes per second, from 1 to 10^12.
    pub fn steady(rate: u64) -> Self {
        let (time, rate) = (Duration::from_secs(1), rate.clamp(1, FASTEST));
        let segment = Segment { time, rate, ..Segment::default() };
        let carries = u128::from(nanos(time)) * u128::from(rate);
        Self { segments: vec![segment], ends: vec![nanos(time)], carries }
    }

    /// The segments of one round.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How long one round is.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.round())
    }

    /// The average rate, in bytes per second.
    pub fn mean_rate(&self) -> u64 {
        (self.carries / u128::from(self.round())) as u64
    }

    /// The same rates as opportunities of 1500 bytes, for tools that read Mahimahi traces. Delay and loss cannot
    /// be told there. Cut to whole milliseconds and to the first `most`.
    ///
    /// `None` if not one opportunity fits.
    pub fn to_trace(&self, most: Duration) -> Option<Trace> {
        let end = u64::min(self.round(), nanos(most)) / 1_000_000;
        let (mut cursor, mut at, mut slots) = (Cursor::default(), 0, Vec::new());
        while let Served::Left(left) =
            self.serve(&mut cursor, at, Trace::BYTES * 1_000_000_000, end * 1_000_000)
        {
            slots.push(left.div_ceil(1_000_000));
            at = left;
        }
        Trace::new(&slots, end)
    }

    /// Sends `need` byte-nanoseconds from `start` on, but not past `stop`.
    pub(crate) fn serve(&self, cursor: &mut Cursor, start: u64, mut need: u64, stop: u64) -> Served {
        let mut at = start;
        if u128::from(need) > self.carries {
            let rounds = (u128::from(need) / self.carries) as u64;
            let rounds = rounds.min(stop.saturating_sub(at) / self.round());
            at += rounds * self.round();
            need -= (u128::from(rounds) * self.carries) as u64;
        }
        while at < stop {
            let rate = self.segment(&mut cursor.spot, at).rate;
            let until = cursor.spot.until.min(stop);
            if until <= at {
                break;
            }
            match cursor.fixed(rate, at, need, until) {
                Served::Rest(rest) => need = rest,
                left => return left,
            }
            at = until;
        }
        Served::Rest(need)
    }

    /// The segment at `at`, which `spot` remembers.
    #[inline]
    pub(crate) fn segment(&self, spot: &mut Spot, at: u64) -> &Segment {
        if at < spot.from || at >= spot.until || spot.index >= self.segments.len() {
            *spot = self.find(at);
        }
        &self.segments[spot.index]
    }

    fn find(&self, at: u64) -> Spot {
        let (start, inside) = (at - at % self.round(), at % self.round());
        let index = self.ends.partition_point(|end| *end <= inside);
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Spot { from: start + from, until: start.saturating_add(self.ends[index]), index }
    }

    /// Nanoseconds of one round, not zero.
    fn round(&self) -> u64 {
        self.ends.last().copied().unwrap_or(1)
    }
}
