//! A small packet model of two or more established paths with cold windows, for tests of the rule alone.
//!
//! Per path a FIFO with a rate and a delay, a window that doubles each round trip up to what the path and 20 ms of
//! queue hold, one acknowledgement per packet on the shortest way back. No loss, no pacing.

use std::collections::BTreeSet;
use std::vec::Vec;

use tq_cc::{RateSampler, SentState};
use tq_time::{Duration, Instant};

use crate::math::{MS, SECOND, bytes_in, time_for};
use crate::{CapacityState, Demand, Kind, PathView, Pick, Queue, Scheduler};

const PACKET: u64 = 1400;

/// A link: bytes per second and one-way delay in ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) rate: u64,
    pub(super) owd: u64,
}

struct Path {
    link: Link,
    back: u64,
    view: PathView,
    slow_start: bool,
    free_at: u64,
    sampler: RateSampler,
    queue: Queue,
    round: u64,
    round_ends: u64,
}

/// Acknowledgement time, a number that keeps them apart, path, sending time.
type Event = (u64, u64, usize, u64);

impl Path {
    fn new(id: usize, link: Link, back: u64) -> Self {
        let rtt = (link.owd + back + time_for(PACKET, link.rate)).max(1);
        let view = PathView {
            id: id as u32,
            link: id as u32,
            validated: true,
            min_rtt: rtt,
            srtt: rtt,
            rel_owd: (link.owd + time_for(PACKET, link.rate)) as i64,
            cwnd: 10 * PACKET,
            mtu: PACKET as u16,
            // The opening flight of copies was a packet train.
            r_measured: link.rate,
            capacity_state: CapacityState::Growing,
            ..PathView::default()
        };
        let (sampler, queue) = (RateSampler::new(), Queue::new());
        Self { link, back, view, slow_start: true, free_at: 0, sampler, queue, round: 0, round_ends: rtt }
    }

    fn most(&self) -> u64 {
        bytes_in(self.link.rate, self.view.min_rtt + 20 * MS).max(4 * PACKET)
    }

    fn send(&mut self, now: u64) -> (u64, SentState) {
        let state = self.sampler.on_sent(Instant::from_nanos(now), self.view.in_flight);
        self.view.in_flight += PACKET;
        self.free_at = self.free_at.max(now) + time_for(PACKET, self.link.rate);
        (self.free_at + self.link.owd, state)
    }

    fn on_ack(&mut self, now: u64, sent: u64, state: &SentState) {
        let view = &mut self.view;
        let at = Instant::from_nanos(now);
        view.in_flight -= PACKET;
        if now >= self.round_ends {
            self.round += 1;
            self.round_ends = now + (now - sent);
        }
        let rtt = now - sent;
        view.min_rtt = view.min_rtt.min(rtt);
        view.srtt = (7 * view.srtt + rtt) / 8;
        self.queue.on_sample(self.round, Duration::from_nanos(rtt));
        view.queue = self.queue.standing(Duration::from_nanos(view.min_rtt)).as_nanos() as u64;
        self.sampler.on_acked(at, PACKET, Instant::from_nanos(sent), state);
        if let Some(sample) = self.sampler.sample() {
            view.r_measured = sample.rate;
        }
        if self.slow_start {
            view.cwnd += PACKET;
            self.slow_start = view.cwnd < self.most();
        }
        let view = &mut self.view;
        (view.capacity, view.capacity_state) = if self.slow_start {
            (view.window_rate(), CapacityState::Growing)
        } else {
            (self.link.rate, CapacityState::Measured)
        };
    }
}

/// When the last of `size` bytes arrives, ns.
pub(super) fn completion(kind: Kind, links: &[Link], size: u64) -> u64 {
    let back = links.iter().map(|link| link.owd).min().unwrap_or(0);
    let mut paths: Vec<Path> =
        links.iter().enumerate().map(|(id, link)| Path::new(id, *link, back)).collect();
    let mut scheduler = Scheduler::new(kind);
    let mut acks: BTreeSet<Event> = BTreeSet::new();
    let mut states: Vec<SentState> = Vec::new();
    let (mut now, mut left, mut last) = (0, size.div_ceil(PACKET) * PACKET, 0);
    loop {
        while left > 0 {
            let views: Vec<PathView> = paths.iter().map(|path| path.view).collect();
            let demand = Demand { backlog: left, ..Demand::default() };
            let Pick::Send(id) = scheduler.pick(Instant::from_nanos(now), &views, &demand) else { break };
            let path = &mut paths[id as usize];
            let burst = path.view.burst().min(path.view.cwnd - path.view.in_flight).min(left) / PACKET;
            for _ in 0..burst.max(1) {
                let (arrival, state) = path.send(now);
                last = last.max(arrival);
                acks.insert((arrival + path.back, states.len() as u64, id as usize, now));
                states.push(state);
                left -= PACKET;
                scheduler.on_sent(id, PACKET);
            }
        }
        let Some((at, number, index, sent)) = acks.pop_first() else { break };
        now = at;
        paths[index].on_ack(now, sent, &states[number as usize]);
        assert!(now < 10_000 * SECOND, "no end in sight");
    }
    assert_eq!(left, 0, "everything was sent");
    last
}

/// The best of the links alone.
pub(super) fn best_alone(links: &[Link], size: u64) -> u64 {
    links.iter().map(|link| completion(Kind::MinRtt, &[*link], size)).min().unwrap_or(0)
}
