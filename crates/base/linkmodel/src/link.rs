//! A link: two directions, one seed.
//!
//! The one door of the crate. It answers at once and keeps nothing to be fetched later; when packets are handed on
//! is up to the caller.

use tq_time::Instant;

use crate::bottleneck::Bottlenecks;
use crate::config::{Change, LinkConfig, State};
use crate::counters::{Counters, Depth};
use crate::lane::Lane;
use crate::packet::{Delivery, Direction, Outcome, Packet};
use crate::rng::Rng;

/// A link that works like the one its configuration describes.
///
/// Moments must not step back between the calls for one direction; one that does counts as the latest so far.
/// With several links on a [`Bottleneck`](crate::Bottleneck) that holds for all their calls together.
#[derive(Clone, Debug)]
pub struct Link {
    up: Lane,
    down: Lane,
}

impl Link {
    /// A link with nothing on it. Same configuration, seed and calls: same answers.
    pub fn new(config: &LinkConfig, seed: u64) -> Self {
        let lane = |config, stream| Lane::new(config, Rng::new(seed, stream).next());
        Self { up: lane(&config.up, 1), down: lane(&config.down, 2) }
    }

    /// What becomes of a packet that is sent now. For links that share nothing.
    #[inline]
    pub fn offer(&mut self, now: Instant, direction: Direction, packet: Packet) -> Outcome {
        self.offer_via(&mut Bottlenecks::new(), now, direction, packet)
    }

    /// What becomes of a packet that is sent now, through the shared queue that the direction names.
    #[inline]
    pub fn offer_via(
        &mut self,
        shared: &mut Bottlenecks,
        now: Instant,
        direction: Direction,
        packet: Packet,
    ) -> Outcome {
        self.lane_mut(direction).offer(now, packet, shared)
    }

    /// From `at` on, both directions are changed. See [`Link::set_direction`].
    pub fn set(&mut self, at: Instant, change: Change) {
        self.set_direction(at, Direction::Up, change.clone());
        self.set_direction(at, Direction::Down, change);
    }

    /// From `at` on, or from the latest offer on if that was later, one direction is changed. Of two changes of
    /// the same thing for the same moment the later call counts.
    ///
    /// A change may be announced: packets offered before `at` that leave after it already feel it, so a scenario
    /// whose events are known sets them all at the start and is exact. A change that comes as a surprise keeps
    /// promises: packets in the queue leave as announced, and a new rate is felt behind them. Only an outage
    /// breaks them, see [`Link::arrives`].
    pub fn set_direction(&mut self, at: Instant, direction: Direction, change: Change) {
        self.lane_mut(direction).set(at, change);
    }

    /// Whether the delivery of a packet still takes place after an outage that was set since it was promised.
    /// Asked once for each delivery, within a minute, before it is handed on; whoever announces all outages
    /// before need not ask. If not, neither copy arrives, and the counters say so.
    pub fn arrives(&mut self, direction: Direction, packet: Packet, delivery: &Delivery) -> bool {
        self.lane_mut(direction).arrives(packet, delivery)
    }

    /// Whether a direction works at a moment, as far as is known.
    pub fn state(&self, at: Instant, direction: Direction) -> State {
        self.lane(direction).state(at)
    }

    /// The next moment after `now` at which a direction begins or ceases to work, for hosts that tell of carrier.
    /// Nothing else needs waking.
    pub fn next_event(&self, now: Instant) -> Option<Instant> {
        Direction::BOTH.iter().filter_map(|direction| self.lane(*direction).next_event(now)).min()
    }

    /// What came of everything offered so far.
    pub fn counters(&self, direction: Direction) -> Counters {
        self.lane(direction).counters()
    }

    /// How long the link's own queue is at `now`.
    pub fn depth(&mut self, now: Instant, direction: Direction) -> Depth {
        self.lane_mut(direction).depth(now)
    }

    const fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    const fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}
