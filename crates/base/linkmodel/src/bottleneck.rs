//! A queue that several links share: a radio cell, a backhaul, the air of a Wi-Fi channel.
//!
//! Who comes first is served first, whatever link and direction he comes from. Decides only that; what a link does
//! to a packet afterwards is the link's business.

use tq_buf::mem::BTreeMap;
use tq_time::{Duration, Instant};
use tq_wire::Ecn;

use crate::config::{CoDel, Queue};
use crate::counters::{Counters, Depth};
use crate::packet::Drop;
use crate::rate::Rate;
use crate::stage::{Refused, Sent, Stage};

#[cfg(test)]
mod tests;

/// How a shared queue is described; the fields are those of [`DirectionConfig`](crate::DirectionConfig).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BottleneckConfig {
    /// How fast bytes of IP leave the queue. Of a profile only the rate counts here.
    pub rate: Rate,
    /// What the queue holds at most.
    pub queue: Queue,
    /// Active queue management in front of the tail drop.
    pub codel: Option<CoDel>,
    /// ECN-capable packets that find a longer waiting time than this become CE.
    pub mark_above: Option<Duration>,
}

/// A queue that several links share.
#[derive(Clone, Debug)]
pub struct Bottleneck {
    stage: Stage,
    clock: Instant,
    counters: Counters,
}

impl Bottleneck {
    /// An empty queue.
    pub fn new(config: &BottleneckConfig) -> Self {
        let config = config.clone();
        Self {
            stage: Stage::new(config.rate, config.queue, config.codel, config.mark_above),
            clock: Instant::ZERO,
            counters: Counters::default(),
        }
    }

    /// From `at` on, or from the last offer on if that was later, this is the rate. See
    /// [`Link::set`](crate::Link::set) on announcing changes.
    pub fn set_rate(&mut self, at: Instant, rate: Rate) {
        self.stage.set(self.clock, at.max(self.clock), rate);
    }

    /// How long the queue is at `now`.
    pub fn depth(&mut self, now: Instant) -> Depth {
        self.clock = self.clock.max(now);
        self.stage.depth(self.clock)
    }

    /// What came of what was offered; refusals are [`Drop::Queue`] and [`Drop::Aqm`] here, [`Drop::Shared`] in the
    /// books of the links.
    pub fn counters(&self) -> Counters {
        self.counters.with_longest(self.stage.longest())
    }

    pub(crate) fn send(&mut self, now: Instant, len: u32, ecn: Ecn) -> Result<Sent, Refused> {
        self.clock = self.clock.max(now);
        self.counters.offered += 1;
        self.counters.offered_bytes += u64::from(len);
        let sent = self.stage.send(self.clock, len, ecn);
        match sent {
            Ok(Sent { marked, .. }) => {
                self.counters.delivered += 1;
                self.counters.delivered_bytes += u64::from(len);
                self.counters.marked += u64::from(marked);
            }
            Err(Refused::Full) => self.counters.drop(Drop::Queue),
            Err(Refused::Aqm) => self.counters.drop(Drop::Aqm),
        }
        sent
    }
}

/// The shared queues of a network, by id.
#[derive(Clone, Debug, Default)]
pub struct Bottlenecks {
    queues: BTreeMap<u32, Bottleneck>,
}

impl Bottlenecks {
    /// None.
    pub const fn new() -> Self {
        Self { queues: BTreeMap::new() }
    }

    /// Adds a queue, in place of one with the same id.
    pub fn add(&mut self, id: u32, config: &BottleneckConfig) {
        self.queues.insert(id, Bottleneck::new(config));
    }

    /// The queue with this id.
    pub fn queue(&self, id: u32) -> Option<&Bottleneck> {
        self.queues.get(&id)
    }

    /// The queue with this id, to change it.
    pub fn queue_mut(&mut self, id: u32) -> Option<&mut Bottleneck> {
        self.queues.get_mut(&id)
    }
}
