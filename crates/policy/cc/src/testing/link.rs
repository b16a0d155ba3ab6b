//! Senders that share one link with a rate, a delay, a drop-tail queue and random loss, in virtual time.
//!
//! Every packet is acknowledged by itself; lost ones are noticed when three later ones arrived, or by a probe when
//! nothing was heard for a while.

use std::collections::{BinaryHeap, VecDeque};
use std::vec::Vec;

use core::cmp::Reverse;
use tq_time::{Duration, Instant};

use super::ack;
use crate::{Ack, Algorithm, Controller, Lost, Pacer, RateSampler, Rtt, SentState};

/// Bytes of every packet.
pub(crate) const PACKET: u64 = 1500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A flow may send.
    Send(usize),
    /// An acknowledgement of a packet number arrives at a flow.
    Ack(usize, u64),
    /// A flow has heard nothing for long.
    Probe(usize),
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    pn: u64,
    sent_at: Instant,
    state: SentState,
    open: bool,
}

/// A sender.
pub(crate) struct Flow {
    pub(crate) controller: Controller,
    pub(crate) rtt: Rtt,
    /// Bytes that arrived.
    pub(crate) delivered: u64,
    /// Bytes that were lost.
    pub(crate) lost: u64,
    /// Bytes the application still has; `u64::MAX` for ever.
    pub(crate) waiting: u64,
    pacer: Pacer,
    sampler: RateSampler,
    flight: VecDeque<Packet>,
    in_flight: u64,
    next_pn: u64,
    largest: u64,
    send_due: Instant,
    heard_at: Instant,
    app_limited: bool,
}

/// The link and its flows.
pub(crate) struct Link {
    pub(crate) now: Instant,
    pub(crate) flows: Vec<Flow>,
    /// Bytes per second.
    pub(crate) rate: u64,
    /// There and back without a queue.
    pub(crate) delay: Duration,
    /// Bytes the queue holds.
    pub(crate) queue: u64,
    /// Share of packets lost on the way, of a million.
    pub(crate) loss: u64,
    /// Acknowledgements come back at multiples of this time only.
    pub(crate) clump: Duration,
    /// Packets take up to so much longer, each another time, and never overtake.
    pub(crate) jitter: Duration,
    /// Bytes that may pass at once where more than `rate` arrives: a policer without a queue in front of a link ten times as fast;
    /// zero for none.
    pub(crate) bucket: u64,
    /// Sum and number of queue lengths packets met, bytes, and the longest.
    pub(crate) queued: (u64, u64, u64),
    /// What the policer holds, bytes, and since when; when the last packet arrived.
    tokens: (u64, Instant),
    latest: Instant,
    busy_until: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    order: u64,
    random: u64,
}

impl Link {
    pub(crate) fn new(rate: u64, delay: Duration, queue: u64) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        Self {
            now,
            flows: Vec::new(),
            rate,
            delay,
            queue,
            loss: 0,
            clump: Duration::from_nanos(1),
            jitter: Duration::ZERO,
            bucket: 0,
            queued: (0, 0, 0),
            tokens: (0, now),
            latest: now,
            busy_until: now,
            events: BinaryHeap::new(),
            order: 0,
            random: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// What the link holds without a queue, bytes.
    pub(crate) fn bdp(&self) -> u64 {
        (u128::from(self.rate) * self.delay.as_nanos() / 1_000_000_000) as u64
    }

    /// A sender that begins now and has data for ever.
    pub(crate) fn add(&mut self, algorithm: Algorithm, seed: u64) -> usize {
        let flow = self.flows.len();
        self.random ^= seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut rtt = Rtt::new(Duration::from_millis(333));
        // of the handshake
        rtt.update(self.delay + Duration::from_millis(1), Duration::ZERO);
        self.flows.push(Flow {
            controller: Controller::new(algorithm, self.now, PACKET as u16).with_seed(seed),
            rtt,
            delivered: 0,
            lost: 0,
            waiting: u64::MAX,
            pacer: Pacer::new(),
            sampler: RateSampler::new(),
            flight: VecDeque::new(),
            in_flight: 0,
            next_pn: 0,
            largest: 0,
            send_due: Instant::MAX,
            heard_at: self.now,
            app_limited: false,
        });
        self.send(flow, false);
        self.at(self.now + Duration::from_secs(1), Event::Probe(flow));
        flow
    }

    /// A sender's counts begin anew, as when a path goes back to an address it had left.
    pub(crate) fn recount(&mut self, flow: usize) {
        self.flows[flow].sampler = RateSampler::new();
        self.flows[flow].flight.clear();
        self.flows[flow].in_flight = 0;
        self.send(flow, false);
    }

    /// Hands `bytes` to a sender.
    pub(crate) fn hand_in(&mut self, flow: usize, bytes: u64) {
        self.flows[flow].waiting = self.flows[flow].waiting.saturating_add(bytes);
        self.send(flow, false);
    }

    fn at(&mut self, time: Instant, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > end {
                break;
            }
            self.events.pop();
            self.now = at;
            match event {
                Event::Send(flow) if self.flows[flow].send_due == at => {
                    self.flows[flow].send_due = Instant::MAX;
                    self.send(flow, false);
                }
                Event::Send(_) => {}
                Event::Ack(flow, pn) => self.acked(flow, pn),
                Event::Probe(flow) => self.probe(flow),
            }
        }
        self.now = end;
    }

    /// Bytes per second each flow gets in `time` from now on, as shares of the link's rate.
    pub(crate) fn shares(&mut self, time: Duration) -> Vec<f64> {
        let before: Vec<u64> = self.flows.iter().map(|flow| flow.delivered).collect();
        self.queued = (0, 0, 0);
        self.run(time);
        let whole = self.rate as f64 * time.as_secs_f64();
        self.flows.iter().zip(before).map(|(flow, before)| (flow.delivered - before) as f64 / whole).collect()
    }

    /// The queue packets met since the last [`Link::shares`] began, in volumes of the path: mean and longest.
    pub(crate) fn queues(&self) -> (f64, f64) {
        let (sum, count, most) = self.queued;
        let bdp = self.bdp() as f64;
        (sum as f64 / count.max(1) as f64 / bdp, most as f64 / bdp)
    }

    fn probe(&mut self, flow: usize) {
        let wait = (self.flows[flow].rtt.smoothed() * 3).max(Duration::from_millis(50));
        if self.flows[flow].in_flight > 0 && self.now >= self.flows[flow].heard_at + wait {
            self.send(flow, true);
        }
        self.at(self.now + wait, Event::Probe(flow));
    }

    fn send(&mut self, flow: usize, mut probe: bool) {
        // What may leave at once: a burst, or a train.
        let mut credit = 0;
        loop {
            let now = self.now;
            let this = &mut self.flows[flow];
            if this.waiting == 0 {
                this.app_limited = this.in_flight + PACKET < this.controller.window();
                this.sampler.on_app_limited(this.in_flight);
                this.pacer.rest();
                return;
            }
            if this.in_flight + PACKET > this.controller.window() && !probe {
                return;
            }
            let rate = this.controller.pacing_rate(&this.rtt);
            let departure = this.pacer.departure(now, rate);
            if departure <= now && credit == 0 {
                credit = this.pacer.burst(rate, PACKET as u16).max(this.controller.train()) as u64;
            }
            if departure > now && credit < PACKET && !probe {
                this.send_due = departure;
                self.at(departure, Event::Send(flow));
                return;
            }
            probe = false;
            credit = credit.saturating_sub(PACKET);
            this.app_limited = false;
            let state = this.sampler.on_sent(now, this.in_flight);
            this.controller.on_sent(now, PACKET as u16, this.in_flight, this.next_pn);
            this.pacer.on_sent(now, PACKET as usize, rate);
            let pn = this.next_pn;
            this.next_pn += 1;
            this.in_flight += PACKET;
            if this.waiting != u64::MAX {
                this.waiting = this.waiting.saturating_sub(PACKET);
            }
            this.flight.push_back(Packet { pn, sent_at: now, state, open: true });
            self.forward(flow, pn);
        }
    }

    fn forward(&mut self, flow: usize, pn: u64) {
        let start = self.busy_until.max(self.now);
        let waiting = start.saturating_since(self.now).as_nanos() * u128::from(self.rate) / 1_000_000_000;
        let waiting = waiting as u64;
        if self.bucket > 0 && !self.is_let_through() {
            return;
        }
        self.queued = (self.queued.0 + waiting, self.queued.1 + 1, self.queued.2.max(waiting));
        if waiting + PACKET > self.queue.max(PACKET) {
            return;
        }
        let rate = if self.bucket > 0 { 10 * self.rate } else { self.rate };
        self.busy_until = start + Duration::from_nanos(PACKET * 1_000_000_000 / rate);
        if self.loss > 0 && self.draw() % 1_000_000 < self.loss {
            return;
        }
        let clump = self.clump.as_nanos() as u64;
        let late = self.draw() % (self.jitter.as_nanos() as u64 + 1);
        self.latest = self.latest.max(self.busy_until + Duration::from_nanos(late));
        let back = (self.latest + self.delay).as_nanos().next_multiple_of(clump.max(1));
        self.at(Instant::from_nanos(back), Event::Ack(flow, pn));
    }

    /// Whether the policer has room for a packet.
    fn is_let_through(&mut self) -> bool {
        let (tokens, since) = self.tokens;
        let more = (self.now - since).as_nanos() * u128::from(self.rate) / 1_000_000_000;
        if more > 0 {
            self.tokens = ((tokens + more as u64).min(self.bucket), self.now);
        }
        let enough = self.tokens.0 >= PACKET;
        self.tokens.0 -= if enough { PACKET } else { 0 };
        enough
    }

    fn acked(&mut self, flow: usize, pn: u64) {
        let now = self.now;
        let this = &mut self.flows[flow];
        this.heard_at = now;
        let Some(packet) = this.flight.iter_mut().find(|packet| packet.pn == pn && packet.open) else {
            return;
        };
        packet.open = false;
        let packet = *packet;
        this.in_flight -= PACKET;
        this.delivered += PACKET;
        this.sampler.on_acked(now, PACKET, packet.sent_at, &packet.state);
        this.rtt.update(now - packet.sent_at, Duration::ZERO);
        this.largest = this.largest.max(pn);
        let delivered = this.sampler.sample();
        let report = Ack {
            in_flight: this.in_flight,
            delivered,
            flight: this.sampler.flight(),
            two_way: false,
            app_limited: this.app_limited,
            ..ack(&this.rtt, PACKET, packet.sent_at, pn)
        };
        this.controller.on_ack(now, &report);
        while let Some(front) = this.flight.pop_front_if(|p| !p.open || p.pn + 3 <= this.largest) {
            if !front.open {
                continue;
            }
            this.in_flight -= PACKET;
            this.lost += PACKET;
            if this.waiting != u64::MAX {
                this.waiting += PACKET;
            }
            let report = Lost {
                bytes: PACKET,
                ranges: 1,
                flight: this.sampler.on_lost(PACKET, &front.state),
                rtt: &this.rtt,
            };
            this.controller.on_lost(now, &report);
            this.controller.on_congestion(now, front.sent_at, PACKET, this.in_flight, false, false);
        }
        self.send(flow, false);
    }
}
