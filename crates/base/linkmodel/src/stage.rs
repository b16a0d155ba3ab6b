//! A queue and what empties it: the heart of a link and of a shared bottleneck.
//!
//! First in, first out. As the rate is known in advance, the moment a packet leaves is known when it comes; what
//! is kept is only who has not left yet. Decides who is refused, marked, and when the last byte leaves.

use tq_buf::mem::VecDeque;
use tq_time::{Duration, Instant};
use tq_wire::Ecn;

use crate::codel::Control;
use crate::config::{CoDel, Queue};
use crate::counters::Depth;
use crate::rate::{Cursor, Rate, SECOND, Served};
use crate::timeline::Timeline;

#[cfg(test)]
mod tests;

/// No packet waits longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    rates: Timeline<Rate>,
    cursor: Cursor,
    /// The start of the stretch of `rates` that the cursor belongs to.
    since: Instant,
    queue: Queue,
    codel: Option<Control>,
    mark_above: Option<Duration>,
    /// When the last byte of what was admitted leaves.
    busy: Instant,
    /// When packets leave the queue, and their lengths; ascending.
    waiting: VecDeque<(Instant, u32)>,
    bytes: u64,
    longest: Depth,
}

/// A packet that got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) left: Instant,
    /// The ECN field became CE.
    pub(crate) marked: bool,
}

/// A packet that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Aqm,
}

impl Stage {
    pub(crate) fn new(rate: Rate, queue: Queue, codel: Option<CoDel>, mark_above: Option<Duration>) -> Self {
        Self {
            rates: Timeline::new(rate),
            cursor: Cursor::default(),
            since: Instant::ZERO,
            queue,
            codel: codel.map(Control::new),
            mark_above,
            busy: Instant::ZERO,
            waiting: VecDeque::new(),
            bytes: 0,
            longest: Depth::default(),
        }
    }

    /// Sends a packet that comes at `now`, which never steps back.
    pub(crate) fn send(&mut self, now: Instant, len: u32, ecn: Ecn) -> Result<Sent, Refused> {
        self.settle(now);
        if !self.waiting.is_empty() && self.is_full(now, len) {
            return Err(Refused::Full);
        }
        if self.busy < now {
            self.cursor.credit = 0;
        }
        // A cursor is one of its span.
        let (start, before) = (self.busy.max(now), (self.cursor, self.since));
        let Some((left, head)) = self.serve(start, len, now + LONGEST_WAIT) else {
            (self.cursor, self.since) = before;
            return Err(Refused::Full);
        };
        let waited = head - now;
        let capable = matches!(ecn, Ecn::Ect0 | Ecn::Ect1);
        let mut marked = capable && self.mark_above.is_some_and(|most| waited > most);
        if let Some(codel) = &mut self.codel
            && codel.strikes(head, waited)
        {
            if !(capable && codel.marks()) {
                (self.cursor, self.since) = before;
                self.hold(now, head, len);
                return Err(Refused::Aqm);
            }
            marked = true;
        }
        self.busy = left;
        self.hold(now, left, len);
        Ok(Sent { left, marked })
    }

    /// From `at` on, this is the rate.
    pub(crate) fn set(&mut self, now: Instant, at: Instant, rate: Rate) {
        self.rates.forget(now);
        self.rates.set(at, rate);
        if at == self.since {
            self.cursor = Cursor::default();
        }
    }

    /// Throws away what has not left at `at`.
    pub(crate) fn flush(&mut self, at: Instant) {
        while let Some((_, len)) = self.waiting.pop_back_if(|(left, _)| *left > at) {
            self.bytes -= u64::from(len);
        }
        if self.busy > at {
            self.busy = at;
            self.cursor = Cursor::default();
        }
    }

    /// Delay in nanoseconds and loss in parts per million that the rate's profile adds for a packet that leaves
    /// at `left`.
    #[inline]
    pub(crate) fn weather(&mut self, left: Instant) -> (u64, u32) {
        let span = self.rates.span(left);
        let mut fresh = Cursor::default();
        let cursor = if span.from == self.since { &mut self.cursor } else { &mut fresh };
        span.value.weather(cursor, left.as_nanos())
    }

    /// How long the queue is at `now`, which never steps back.
    pub(crate) fn depth(&mut self, now: Instant) -> Depth {
        self.settle(now);
        self.measure(now)
    }

    /// How long it ever was.
    pub(crate) const fn longest(&self) -> Depth {
        self.longest
    }

    /// Forgets who has left.
    #[inline]
    fn settle(&mut self, now: Instant) {
        while let Some((_, len)) = self.waiting.pop_front_if(|(left, _)| *left <= now) {
            self.bytes -= u64::from(len);
        }
    }

    fn is_full(&self, now: Instant, len: u32) -> bool {
        let full = match self.queue {
            Queue::Bytes(most) => self.bytes.saturating_add(u64::from(len)) > most,
            Queue::Packets(most) => self.waiting.len() >= most as usize,
            Queue::Time(most) => self.busy - now > most,
        };
        full || self.waiting.len() >= Queue::MOST_PACKETS
    }

    /// When the last byte leaves and when the packet is at the head of the queue, if that is not after `limit`.
    #[inline]
    fn serve(&mut self, start: Instant, len: u32, limit: Instant) -> Option<(Instant, Instant)> {
        let (mut at, mut need) = (start, u64::from(len) * SECOND);
        loop {
            let span = self.rates.span(at);
            if span.from != self.since {
                self.since = span.from;
                self.cursor = Cursor { credit: self.cursor.credit, ..Cursor::default() };
            }
            let stop = span.until.map_or(limit, |until| until.min(limit));
            match span.value.serve(&mut self.cursor, at.as_nanos(), need, stop.as_nanos()) {
                Served::Left(left) => {
                    let left = Instant::from_nanos(left);
                    return Some((left, if span.value.leaves_whole() { left } else { start }));
                }
                Served::Rest(rest) => need = rest,
            }
            if stop >= limit {
                return None;
            }
            at = stop;
        }
    }

    #[inline]
    fn hold(&mut self, now: Instant, until: Instant, len: u32) {
        if until > now {
            self.waiting.push_back((until, len));
            self.bytes += u64::from(len);
            let depth = self.measure(now);
            self.longest.raise(depth);
        }
    }

    fn measure(&self, now: Instant) -> Depth {
        Depth { bytes: self.bytes, packets: self.waiting.len() as u32, delay: self.busy - now }
    }
}
