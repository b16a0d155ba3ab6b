use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Governor, Mode};
use crate::testing::link::{Link, PACKET};
use crate::testing::{MS, ack};
use crate::{Ack, Algorithm, Controller, Flight, RateSample, Rtt};

const SECOND: Duration = Duration::from_secs(1);
/// 50 Mbit/s.
const RATE: u64 = 6_250_000;

/// A link of 50 Mbit/s with a queue of so many milliseconds.
fn link(delay: Duration, queue: u64) -> Link {
    Link::new(RATE, delay, RATE * queue / 1000)
}

/// A sender with a governor.
fn governed(link: &mut Link, algorithm: Algorithm) -> usize {
    let flow = link.add(algorithm, 7);
    link.flows[flow].controller.govern(true);
    flow
}

/// Mean and longest queue, ms.
fn queues(link: &Link) -> (f64, f64) {
    let path = link.delay.as_secs_f64() * 1e3;
    let (mean, longest) = link.queues();
    (mean * path, longest * path)
}

#[test]
fn alone_the_queue_is_short_and_the_link_is_full() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
        for (ms, queue) in [(10, 300), (20, 300), (40, 300), (80, 300), (200, 300), (40, 40)] {
            let mut link = link(ms * MS, queue);
            governed(&mut link, algorithm);
            link.run(5 * SECOND);
            let share = link.shares(30 * SECOND)[0];
            let (mean, longest) = queues(&link);
            assert!(share > 0.98, "{algorithm}, {ms} ms: {share}");
            assert!(mean <= 20.0 && longest <= 30.0, "{algorithm}, {ms} ms: {mean}, {longest}");
        }
    }
}

#[test]
fn a_change_of_the_rate_is_followed_both_ways() {
    for ms in [10, 40, 100] {
        let mut link = link(ms * MS, 300);
        governed(&mut link, Algorithm::Cubic);
        link.run(10 * SECOND);
        for rate in [RATE / 2, RATE / 10, RATE, 2 * RATE] {
            link.rate = rate;
            link.run(8 * SECOND);
            let share = link.shares(5 * SECOND)[0];
            let (mean, longest) = queues(&link);
            assert!(share > 0.97, "{ms} ms, {rate}: {share}");
            assert!(mean <= 25.0, "{ms} ms, {rate}: {mean} {longest}");
        }
    }
}

/// When a rate falls to a tenth, what was in flight is ten round trips of queue, and none but ours: the highest rate of
/// three rounds is still one of before, with which the queue would not drain and look like another sender's.
#[test]
fn a_rate_that_falls_to_a_tenth_is_taken_for_no_other_sender() {
    let mut governor = Governor::new(Instant::ZERO);
    governor.set(true);
    let (mut now, mut delivered) = (Instant::ZERO + SECOND, 0);
    let mut round = |took: u32, least: u32, bytes: u64, app_limited: bool| {
        now += took * MS;
        let mut rtt = Rtt::new(333 * MS);
        rtt.update(35 * MS, Duration::ZERO);
        rtt.update(least * MS, Duration::ZERO);
        let delivered_before = delivered;
        delivered += bytes;
        let flight = Flight { delivered_before, delivered, in_flight: 0, lost: 0, app_limited };
        let sample = RateSample { delivered: bytes, interval: took * MS, rate: bytes, app_limited };
        let told = Ack { flight: Some(flight), delivered: Some(sample), ..ack(&rtt, bytes, now, 0) };
        governor.on_ack(now, &told, Some(220_000), PACKET);
        (governor.mode, governor.width, governor.cap())
    };
    for _ in 0..20 {
        round(42, 42, 206_000, false);
    }
    // 4.9 MB/s no more, but 0.49; while the queue drains there is not always something to send
    for (took, least, bytes) in [(148, 42, 206_800), (442, 152, 216_300), (163, 137, 79_800)] {
        assert_eq!(round(took, least, bytes, false).0, Mode::Holding);
    }
    let (mode, _, cap) = round(322, 124, 157_600, true);
    assert!(matches!(mode, Mode::Looking { .. }), "{mode:?}");
    assert!(cap < 490 * 35, "less than the path holds: {cap}");
    let (mode, width, _) = round(120, 35, 58_000, false);
    assert_eq!((mode, width), (Mode::Holding, 0), "nobody to give way to");
}

/// The way back has a queue of its own, `less` or `more` ms in turn, which the peer's governor keeps that long. No queue of
/// ours stands until 12.5 MB/s arrive.
#[test]
fn a_queue_on_the_way_back_holds_nothing_down() {
    for (less, more) in [(4, 4), (5, 5), (5, 6), (6, 6), (6, 7), (5, 7), (24, 26), (25, 27)] {
        let mut governor = Governor::new(Instant::ZERO);
        governor.set(true);
        let (mut now, mut delivered, mut used) = (Instant::ZERO + SECOND, 0, 60_000_u64);
        for round in 0..400_u32 {
            let back = if round % 2 == 0 { less } else { more };
            let own = (used as u32 / 12_500).saturating_sub(20);
            let took = 20 + back + own;
            now += took * MS;
            let mut rtt = Rtt::new(333 * MS);
            rtt.update(20 * MS, Duration::ZERO);
            rtt.update(took * MS, Duration::ZERO);
            let delivered_before = delivered;
            delivered += used;
            let flight = Flight { delivered_before, delivered, in_flight: 0, lost: 0, app_limited: false };
            let sample = RateSample { delivered: used, interval: took * MS, rate: used, app_limited: false };
            let told = Ack { flight: Some(flight), delivered: Some(sample), ..ack(&rtt, used, now, 0) };
            let window = (60_000 + u64::from(round) * PACKET).min(400_000);
            governor.on_ack(now, &told, Some(window), PACKET);
            used = governor.cap().min(window);
        }
        assert!(used >= 250_000, "{less} and {more} ms: {used}");
    }
}

#[test]
fn a_longer_round_trip_is_found_out() {
    for (ms, later) in [(20, 30), (20, 60), (50, 60), (50, 200)] {
        let mut link = link(ms * MS, 300);
        governed(&mut link, Algorithm::Cubic);
        link.run(10 * SECOND);
        link.delay = later * MS;
        link.run(200 * SECOND);
        let share = link.shares(60 * SECOND)[0];
        let (mean, _) = queues(&link);
        assert!(share > 0.95, "{ms} to {later} ms: {share}");
        assert!(mean <= 40.0, "{ms} to {later} ms: {mean}");
    }
}

#[test]
fn beside_a_sender_without_one_it_gets_its_share() {
    for (ms, queue) in [(20, 20), (20, 100), (40, 20), (40, 40), (40, 200), (100, 50), (100, 200), (100, 300)]
    {
        let mut link = link(ms * MS, queue);
        governed(&mut link, Algorithm::Cubic);
        link.run(10 * SECOND);
        link.add(Algorithm::Cubic, 9);
        link.run(10 * SECOND);
        let shares = link.shares(120 * SECOND);
        assert!(shares[0] > 0.30, "{ms} ms, {queue}: {shares:?}");
        assert!(shares[0] + shares[1] > 0.95);
    }
}

#[test]
fn once_the_other_sender_has_gone_the_queue_is_short_again() {
    for (ms, queue) in [(20, 50), (20, 300), (40, 300), (100, 50), (100, 300)] {
        let mut link = link(ms * MS, queue);
        governed(&mut link, Algorithm::Cubic);
        link.run(5 * SECOND);
        let other = link.add(Algorithm::Cubic, 9);
        link.flows[other].waiting = 50_000_000;
        link.run(100 * SECOND);
        let shares = link.shares(30 * SECOND);
        let (mean, _) = queues(&link);
        assert_eq!(link.flows[other].waiting, 0);
        assert!(mean <= 20.0 && shares[0] > 0.98, "{ms} ms, {queue}: {mean} {shares:?}");
    }
}

#[test]
fn a_satellite_that_changes_hands_does_not_make_it_starve() {
    let run = |on: bool| {
        let mut link = link(30 * MS, 100);
        let flow = link.add(Algorithm::Cubic, 5);
        link.flows[flow].controller.govern(on);
        link.run(5 * SECOND);
        let mut sum = 0.0;
        for slot in [55_u32, 32, 48, 60, 35, 40, 58, 31] {
            link.delay = slot * MS;
            link.loss = 200_000;
            sum += link.shares(100 * MS)[0] / 150.0;
            link.loss = 0;
            sum += link.shares(Duration::from_millis(14_900))[0] * 149.0 / 150.0;
        }
        sum / 8.0
    };
    let (with, without) = (run(true), run(false));
    assert!(with > 0.85 * without, "{with} {without}");
}

#[test]
fn two_of_them_share_a_link() {
    for ms in [20, 40, 100] {
        let mut link = link(ms * MS, 300);
        governed(&mut link, Algorithm::Cubic);
        link.run(5 * SECOND);
        governed(&mut link, Algorithm::Cubic);
        link.run(20 * SECOND);
        let shares = link.shares(60 * SECOND);
        assert!(shares[0] + shares[1] > 0.97, "{ms} ms: {shares:?}");
        assert!(shares[0].min(shares[1]) > 0.25, "{ms} ms: {shares:?}");
    }
}

#[test]
fn lost_packets_and_late_acknowledgements_do_not_make_it_starve() {
    for (loss, clump) in [(0, 5), (1000, 1), (1000, 10), (0, 20)] {
        let run = |on: bool| {
            let mut link = link(40 * MS, 100);
            link.loss = loss;
            link.clump = clump * MS;
            let flow = link.add(Algorithm::Cubic, 3);
            link.flows[flow].controller.govern(on);
            link.run(5 * SECOND);
            link.shares(60 * SECOND)[0]
        };
        let (with, without) = (run(true), run(false));
        assert!(with > 0.95 * without, "{loss} {clump}: {with} {without}");
    }
}

/// Acknowledges without a network.
struct Teller {
    controller: Controller,
    now: Instant,
    rtt: Rtt,
    delivered: u64,
    before: Vec<u64>,
}

/// Wait before an acknowledgement and round trip, µs, packets, and what else: limited by the application (1), lost (2).
type Told = (u64, u64, u64, u8);

impl Teller {
    fn new() -> Self {
        let now = Instant::ZERO + SECOND;
        let mut controller = Controller::new(Algorithm::Cubic, now, PACKET as u16);
        controller.govern(true);
        Self { controller, now, rtt: Rtt::new(333 * MS), delivered: 0, before: Vec::new() }
    }

    fn tell(&mut self, (wait, micros, packets, what): Told) {
        self.now += Duration::from_micros(wait);
        let (bytes, interval) = (packets * PACKET, Duration::from_micros(micros));
        self.rtt.update(interval, Duration::ZERO);
        let delivered_before = self.before.get(self.before.len().saturating_sub(3)).copied().unwrap_or(0);
        self.before.push(self.delivered);
        self.delivered += bytes;
        let app_limited = what == 1;
        let flight =
            Flight { delivered_before, delivered: self.delivered, in_flight: 0, lost: 0, app_limited };
        let rate = bytes * 1_000_000 / micros;
        let sample = RateSample { delivered: bytes, interval, rate, app_limited };
        let report = Ack {
            flight: Some(flight),
            delivered: Some(sample),
            app_limited,
            ..ack(&self.rtt, bytes, self.now, 0)
        };
        self.controller.on_ack(self.now, &report);
        if what == 2 {
            self.controller.on_congestion(self.now, self.now, PACKET, 0, false, false);
        }
    }
}

proptest! {
    #[test]
    fn whatever_was_acknowledged_it_leaves_two_packets_and_finds_an_even_path_again(
        steps in proptest::collection::vec((0u64..200_000, 1u64..500_000, 1u64..100, 0u8..3), 1..400),
    ) {
        let mut teller = Teller::new();
        for each in steps {
            teller.tell(each);
            prop_assert!(teller.controller.window() >= 2 * PACKET);
        }
        // 1.2 MB/s, 40 ms.
        let mut windows = 0;
        for _ in 0..36_000 {
            teller.tell((5_000, 40_000, 4, 0));
        }
        for _ in 0..4000 {
            teller.tell((5_000, 40_000, 4, 0));
            windows += teller.controller.window().min(48_000);
        }
        prop_assert!(windows / 4000 >= 40_000, "{}", windows / 4000);
    }
}
