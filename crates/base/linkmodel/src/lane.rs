//! One direction of a link: what a packet meets on its way, in order.
//!
//! Decides the fate of each packet from configuration, state and its own random streams, and keeps the books.

use tq_time::Instant;
use tq_wire::Ecn;

use crate::bottleneck::Bottlenecks;
use crate::config::{Change, DirectionConfig, Mtu, State};
use crate::counters::{Counters, Depth};
use crate::impair::{Channel, Jitter};
use crate::packet::{CorruptAt, Delivery, Drop, Outcome, Packet};
use crate::policer::Buckets;
use crate::rate::nanos;
use crate::rng::Rng;
use crate::stage::{Refused, Stage};
use crate::timeline::Timeline;

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    clock: Instant,
    states: Timeline<State>,
    mtus: Timeline<Option<Mtu>>,
    policer: Option<Buckets>,
    bottleneck: Option<u32>,
    stage: Stage,
    losses: Timeline<u32>,
    burst: Option<Channel>,
    corrupt_ppm: u32,
    delays: Timeline<u64>,
    jitter: Jitter,
    reorder: bool,
    duplicate_ppm: u32,
    /// The latest arrival so far.
    newest: Instant,
    draws: Draws,
    counters: Counters,
}

/// A random stream for each use, so that one does not shift the others.
#[derive(Clone, Debug)]
struct Draws {
    loss: Rng,
    weather: Rng,
    burst: Rng,
    corrupt: Rng,
    jitter: Rng,
    duplicate: Rng,
}

impl Lane {
    pub(crate) fn new(config: &DirectionConfig, seed: u64) -> Self {
        let config = config.clone();
        Self {
            clock: Instant::ZERO,
            states: Timeline::new(State::Up),
            mtus: Timeline::new(config.mtu),
            policer: config.policer.map(Buckets::new),
            bottleneck: config.bottleneck,
            stage: Stage::new(config.rate, config.queue, config.codel, config.mark_above),
            losses: Timeline::new(config.loss_ppm),
            burst: config.burst.map(Channel::new),
            corrupt_ppm: config.corrupt_ppm,
            delays: Timeline::new(nanos(config.delay)),
            jitter: config.jitter,
            reorder: config.reorder,
            duplicate_ppm: config.duplicate_ppm,
            newest: Instant::ZERO,
            draws: Draws {
                loss: Rng::new(seed, 1),
                weather: Rng::new(seed, 2),
                burst: Rng::new(seed, 3),
                corrupt: Rng::new(seed, 4),
                jitter: Rng::new(seed, 5),
                duplicate: Rng::new(seed, 6),
            },
            counters: Counters::default(),
        }
    }

    pub(crate) fn offer(&mut self, now: Instant, packet: Packet, shared: &mut Bottlenecks) -> Outcome {
        self.turn_to(now);
        self.counters.offered += 1;
        self.counters.offered_bytes += u64::from(packet.len);
        match self.pass(self.clock, packet, shared) {
            Ok(delivery) => {
                self.book(packet, &delivery);
                Outcome::Delivered(delivery)
            }
            Err(reason) => {
                self.counters.drop(reason);
                match (reason, self.mtus.at(self.clock)) {
                    (Drop::TooBig, Some(mtu)) => Outcome::TooBig { mtu: mtu.bytes, icmp: mtu.icmp },
                    _ => Outcome::Dropped(reason),
                }
            }
        }
    }

    pub(crate) fn set(&mut self, at: Instant, change: Change) {
        let (now, at) = (self.clock, at.max(self.clock));
        match change {
            Change::Rate(rate) => self.stage.set(now, at, rate),
            Change::Delay(delay) => set(&mut self.delays, now, at, nanos(delay)),
            Change::Loss(ppm) => set(&mut self.losses, now, at, ppm),
            Change::Mtu(mtu) => set(&mut self.mtus, now, at, mtu),
            Change::State(state) => {
                set(&mut self.states, now, at, state);
                if at == now && state == State::Down {
                    self.stage.flush(now);
                }
            }
        }
    }

    /// Whether a delivery still holds after everything that was set since; if not, the books are corrected.
    pub(crate) fn arrives(&mut self, packet: Packet, delivery: &Delivery) -> bool {
        let Some(reason) = self.lost_on_the_way(delivery.offered, delivery.left) else { return true };
        let (counters, gone) = (&mut self.counters, Self::amounts(packet, delivery));
        counters.delivered = counters.delivered.saturating_sub(1);
        counters.delivered_bytes = counters.delivered_bytes.saturating_sub(u64::from(packet.len));
        counters.duplicated = counters.duplicated.saturating_sub(gone[0]);
        counters.corrupted = counters.corrupted.saturating_sub(gone[1]);
        counters.marked = counters.marked.saturating_sub(gone[2]);
        counters.drop(reason);
        false
    }

    pub(crate) fn state(&self, at: Instant) -> State {
        *self.states.at(at)
    }

    /// When the state changes next after `now`.
    pub(crate) fn next_event(&self, now: Instant) -> Option<Instant> {
        self.states.span(now).until
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters.with_longest(self.stage.longest())
    }

    pub(crate) fn depth(&mut self, now: Instant) -> Depth {
        self.turn_to(now);
        self.stage.depth(self.clock)
    }

    /// Moves the clock, never back; a carrier loss on the way empties the queue.
    #[inline]
    fn turn_to(&mut self, now: Instant) {
        let before = self.clock;
        self.clock = before.max(now);
        if self.states.changes() {
            let lost = self.states.between(before, self.clock).rfind(|(_, state)| *state == State::Down);
            if let Some(&(at, _)) = lost {
                self.stage.flush(at);
            }
        }
    }

    #[inline]
    fn pass(&mut self, now: Instant, packet: Packet, shared: &mut Bottlenecks) -> Result<Delivery, Drop> {
        let Packet { len, mut ecn, flow } = packet;
        if *self.states.at(now) == State::Down {
            return Err(Drop::Carrier);
        }
        if self.mtus.at(now).is_some_and(|mtu| len > mtu.bytes) {
            return Err(Drop::TooBig);
        }
        if self.policer.as_mut().is_some_and(|policer| !policer.admit(now, flow, len)) {
            return Err(Drop::Policed);
        }
        let mut entry = now;
        if let Some(id) = self.bottleneck {
            let queue = shared.queue_mut(id).ok_or(Drop::NoBottleneck)?;
            let sent = queue.send(now, len, ecn).map_err(|_| Drop::Shared)?;
            entry = sent.left;
            ecn = if sent.marked { Ecn::Ce } else { ecn };
        }
        let sent = self.stage.send(entry, len, ecn).map_err(|refused| match refused {
            Refused::Full => Drop::Queue,
            Refused::Aqm => Drop::Aqm,
        })?;
        ecn = if sent.marked { Ecn::Ce } else { ecn };
        self.cross(now, sent.left, len, ecn)
    }

    /// The wire, behind the queue.
    #[inline]
    fn cross(&mut self, offered: Instant, left: Instant, len: u32, ecn: Ecn) -> Result<Delivery, Drop> {
        if let Some(reason) = self.lost_on_the_way(offered, left) {
            return Err(reason);
        }
        let (extra, loss_ppm) = self.stage.weather(left);
        if self.draws.loss.chance(*self.losses.at(left)) || self.draws.weather.chance(loss_ppm) {
            return Err(Drop::Loss);
        }
        if self.burst.as_mut().is_some_and(|burst| burst.loses(&mut self.draws.burst)) {
            return Err(Drop::Burst);
        }
        let corrupt = (len > 0 && self.draws.corrupt.chance(self.corrupt_ppm)).then(|| CorruptAt {
            offset: self.draws.corrupt.up_to(u64::from(len) - 1) as u32,
            mask: self.draws.corrupt.between(1, 255) as u8,
        });
        let base = left.as_nanos().saturating_add(*self.delays.at(left)).saturating_add(extra);
        let at = self.arrival(base, Instant::ZERO);
        let twice = self.draws.duplicate.chance(self.duplicate_ppm);
        let duplicate = twice.then(|| self.arrival(base, at));
        Ok(Delivery { offered, left, at, ecn, corrupt, duplicate })
    }

    /// Adds jitter and keeps the order where it is to be kept.
    #[inline]
    fn arrival(&mut self, base: u64, not_before: Instant) -> Instant {
        let at = Instant::from_nanos(base.saturating_add(self.jitter.draw(&mut self.draws.jitter)));
        let at = at.max(not_before);
        if at < self.newest && self.reorder {
            self.counters.reordered += u64::from(not_before == Instant::ZERO);
            return at;
        }
        self.newest = self.newest.max(at);
        self.newest
    }

    /// What became of a packet between the offer and the end of the queue: a carrier loss takes what is queued
    /// when it begins, a silent outage what leaves while it lasts.
    #[inline]
    fn lost_on_the_way(&self, offered: Instant, left: Instant) -> Option<Drop> {
        let down = |(_, state): &(Instant, State)| *state == State::Down;
        match *self.states.at(left) {
            State::Down => Some(Drop::Carrier),
            _ if self.states.changes() && self.states.between(offered, left).any(down) => Some(Drop::Carrier),
            State::Silent => Some(Drop::Silent),
            State::Up => None,
        }
    }

    fn book(&mut self, packet: Packet, delivery: &Delivery) {
        let [duplicated, corrupted, marked] = Self::amounts(packet, delivery);
        self.counters.delivered += 1;
        self.counters.delivered_bytes += u64::from(packet.len);
        self.counters.duplicated += duplicated;
        self.counters.corrupted += corrupted;
        self.counters.marked += marked;
    }

    /// What a delivery adds to the counts of duplicated, corrupted and marked packets.
    fn amounts(packet: Packet, delivery: &Delivery) -> [u64; 3] {
        [delivery.duplicate.is_some(), delivery.corrupt.is_some(), delivery.ecn != packet.ecn].map(u64::from)
    }
}

fn set<T>(timeline: &mut Timeline<T>, now: Instant, at: Instant, value: T) {
    timeline.forget(now);
    timeline.set(at, value);
}
