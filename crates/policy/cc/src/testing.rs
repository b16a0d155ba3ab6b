//! Two virtual worlds for the tests of this crate.
//!
//! [`AckClock`] is the fluid one: a constant RTT, a window always full, acknowledgements evenly spaced. It is what
//! the RFCs' formulas assume. [`Transfer`] is packets over a link with a rate, a delay and a tail-drop queue.

pub(crate) mod link;

use std::collections::VecDeque;

use tq_time::{Duration, Instant};

use crate::{Ack, Algorithm, Controller, Lost, Pacer, RateSample, RateSampler, Rtt, SentState};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// An estimator that has seen `rtt` often enough to be sure of it.
pub(crate) fn settled(rtt: Duration) -> Rtt {
    let mut estimator = Rtt::new(rtt);
    estimator.update(rtt, Duration::ZERO);
    estimator
}

/// An acknowledgement of `bytes` sent at `sent_at`.
pub(crate) fn ack(rtt: &Rtt, bytes: u64, sent_at: Instant, pn: u64) -> Ack<'_> {
    Ack {
        bytes,
        largest_sent_at: sent_at,
        largest_pn: pn,
        rtt,
        in_flight: 0,
        app_limited: false,
        delivered: None,
        flight: None,
        two_way: false,
    }
}

/// A sender whose window is always full, on a path of constant RTT.
pub(crate) struct AckClock {
    pub(crate) controller: Controller,
    pub(crate) now: Instant,
    pub(crate) rtt: Rtt,
    pub(crate) mtu: u64,
    pub(crate) app_limited: bool,
    /// Bytes acknowledged so far.
    pub(crate) acked: u64,
}

impl AckClock {
    pub(crate) fn new(algorithm: Algorithm, mtu: u16, rtt: Duration) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let controller = Controller::new(algorithm, now, mtu);
        Self { controller, now, rtt: settled(rtt), mtu: mtu.into(), app_limited: false, acked: 0 }
    }

    /// Window in packets.
    pub(crate) fn packets(&self) -> f64 {
        self.controller.window() as f64 / self.mtu as f64
    }

    /// Acknowledges two packets, one share of the RTT after the last two.
    pub(crate) fn ack(&mut self) {
        let bytes = 2 * self.mtu;
        let rtt = self.rtt.latest();
        self.now += Duration::from_nanos(rtt.as_nanos() as u64 * bytes / self.controller.window());
        self.acked += bytes;
        let in_flight = self.controller.window() - bytes;
        let pn = (self.acked + in_flight) / self.mtu;
        self.controller.on_sent(self.now, self.mtu as u16, in_flight, pn);
        let ack = Ack {
            in_flight,
            app_limited: self.app_limited,
            ..ack(&self.rtt, bytes, self.now - rtt, self.acked / self.mtu)
        };
        self.controller.on_ack(self.now, &ack);
    }

    /// Lets `time` pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.ack();
        }
    }

    /// Runs until the window is `packets`, then loses a packet: the window before the loss.
    pub(crate) fn lose_at(&mut self, packets: f64) -> f64 {
        while self.packets() < packets {
            self.ack();
        }
        let before = self.packets();
        self.lose();
        before
    }

    /// Loses a packet sent one RTT ago.
    pub(crate) fn lose(&mut self) {
        let (sent_at, in_flight) = (self.now - self.rtt.latest(), self.controller.window());
        self.controller.on_congestion(self.now, sent_at, self.mtu, in_flight, false, false);
    }

    /// Passes the recovery period: afterwards acknowledgements grow the window.
    pub(crate) fn recover(&mut self) {
        while self.controller.in_recovery() {
            self.ack();
        }
    }
}

struct Flying {
    pn: u64,
    sent_at: Instant,
    /// When its acknowledgement arrives; `None` if the queue was full.
    acked_at: Option<Instant>,
    state: SentState,
}

/// A bulk transfer over a link: everything paced, one acknowledgement per two packets.
pub(crate) struct Transfer {
    pub(crate) controller: Controller,
    pub(crate) rtt: Rtt,
    pub(crate) now: Instant,
    pub(crate) samples: std::vec::Vec<RateSample>,
    pub(crate) dropped: u64,
    pub(crate) delivered: u64,
    /// Bytes per second of the link.
    rate: u64,
    delay: Duration,
    queue: u64,
    busy_until: Instant,
    pacer: Pacer,
    sampler: RateSampler,
    flight: VecDeque<Flying>,
    next_pn: u64,
}

/// Bytes of every packet of a [`Transfer`].
pub(crate) const PACKET: u16 = 1500;

impl Transfer {
    /// A link of `rate` bytes per second, `delay` there and back and a queue of `queue` bytes.
    pub(crate) fn new(algorithm: Algorithm, rate: u64, delay: Duration, queue: u64) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        Self {
            controller: Controller::new(algorithm, now, PACKET),
            rtt: Rtt::new(delay),
            now,
            samples: std::vec::Vec::new(),
            dropped: 0,
            delivered: 0,
            rate,
            delay,
            queue,
            busy_until: now,
            pacer: Pacer::new(),
            sampler: RateSampler::new(),
            flight: VecDeque::new(),
            next_pn: 0,
        }
    }

    fn in_flight(&self) -> u64 {
        self.flight.len() as u64 * u64::from(PACKET)
    }

    /// Sends what may leave; the time at which more may, if only the pacer forbids it.
    fn send(&mut self) -> Option<Instant> {
        let rate = self.controller.pacing_rate(&self.rtt);
        while self.in_flight() + u64::from(PACKET) <= self.controller.window() {
            let departure = self.pacer.departure(self.now, rate);
            if departure > self.now {
                return Some(departure);
            }
            let state = self.sampler.on_sent(self.now, self.in_flight());
            self.controller.on_sent(self.now, PACKET, self.in_flight(), self.next_pn);
            self.pacer.on_sent(self.now, usize::from(PACKET), rate);
            let acked_at = self.forward();
            self.flight.push_back(Flying { pn: self.next_pn, sent_at: self.now, acked_at, state });
            self.next_pn += 1;
        }
        None
    }

    /// The link takes a packet: when its acknowledgement will be back.
    fn forward(&mut self) -> Option<Instant> {
        let start = self.busy_until.max(self.now);
        let waiting = start.saturating_since(self.now).as_nanos() as u64 * self.rate / 1_000_000_000;
        if waiting > self.queue {
            self.dropped += 1;
            return None;
        }
        self.busy_until = start + Duration::from_nanos(u64::from(PACKET) * 1_000_000_000 / self.rate);
        Some(self.busy_until + self.delay)
    }

    /// Takes up to two acknowledgements that have arrived.
    fn receive(&mut self) {
        let now = self.now;
        let arrived = |packet: &Flying| packet.acked_at.is_some_and(|at| at <= now);
        let (mut bytes, mut newest) = (0, None);
        for _ in 0..2 {
            let Some(at) = self.flight.iter().position(arrived) else { break };
            let Some(packet) = self.flight.remove(at) else { break };
            bytes += u64::from(PACKET);
            self.sampler.on_acked(now, PACKET.into(), packet.sent_at, &packet.state);
            newest = Some(packet);
        }
        let Some(newest) = newest else { return };
        self.rtt.update(now - newest.sent_at, Duration::ZERO);
        let delivered = self.sampler.sample();
        self.samples.extend(delivered);
        self.delivered += bytes;
        let in_flight = self.in_flight();
        let flight = self.sampler.flight();
        let ack = Ack { in_flight, delivered, flight, ..ack(&self.rtt, bytes, newest.sent_at, newest.pn) };
        self.controller.on_ack(now, &ack);
        while let Some(lost) = self.flight.pop_front_if(|p| p.acked_at.is_none() && p.pn + 3 <= newest.pn) {
            let in_flight = self.in_flight();
            let flight = self.sampler.on_lost(PACKET.into(), &lost.state);
            let report = Lost { bytes: PACKET.into(), ranges: 1, flight, rtt: &self.rtt };
            self.controller.on_lost(now, &report);
            self.controller.on_congestion(now, lost.sent_at, PACKET.into(), in_flight, false, false);
        }
    }

    /// Goes on to the next event.
    pub(crate) fn step(&mut self) {
        let departure = self.send();
        let ack = self.flight.iter().find_map(|packet| packet.acked_at);
        self.now = match (departure, ack) {
            (Some(departure), Some(ack)) => departure.min(ack),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => panic!("everything in flight was dropped"),
        }
        .max(self.now);
        self.receive();
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }
}
