//! What is going to happen, in order.
//!
//! By time, and where times are equal in the order of entry. Decides only that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tq_time::Instant;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A program boots.
    Start(u32),
    /// A program's timer may be due.
    Timer(u32),
    /// A packet leaves the node it is on.
    Depart(u32),
    /// A packet comes out of the link it is on.
    Arrive(u32),
    /// A packet is handed over on the node it is on.
    Local(u32),
    /// A link may have lost or found its carrier.
    Carrier(u32),
    /// Something the world's owner planned.
    Action(u32),
}

/// The order: time, then number.
type Entry = Reverse<(Instant, u64, Event)>;

/// All that is planned.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    number: u64,
}

impl Queue {
    #[inline]
    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.number += 1;
        self.heap.push(Reverse((at, self.number, event)));
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next event, if it is not after `now`.
    #[inline]
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Event> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((.., event))| event)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Events that are about a packet.
    pub(crate) fn packets(&self) -> u64 {
        let about = |Reverse((.., event)): &&Entry| {
            matches!(event, Event::Depart(_) | Event::Arrive(_) | Event::Local(_))
        };
        self.heap.iter().filter(about).count() as u64
    }
}
