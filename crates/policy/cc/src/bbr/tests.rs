use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Bbr as Controlled, State};
use crate::Algorithm::{Bbr, Cubic};
use crate::controller::Law;
use crate::testing::link::{Link, PACKET};
use crate::testing::{MS, ack, settled};
use crate::{Ack, Controller, Flight, Lost, RateSample, Rtt};

const SECOND: Duration = Duration::from_secs(1);
/// 20 Mbit/s.
const RATE: u64 = 2_500_000;

/// A link of 20 Mbit/s whose queue holds so many hundredths of the path.
fn link(delay: Duration, hundredths: u64) -> Link {
    let mut link = Link::new(RATE, delay, 0);
    link.queue = link.bdp() * hundredths / 100;
    link
}

fn bbr(link: &Link, flow: usize) -> &Controlled {
    match &link.flows[flow].controller.law {
        Law::Bbr(bbr) => bbr,
        _ => panic!("asked for BBR"),
    }
}

#[test]
fn an_empty_link_is_filled_without_a_standing_queue() {
    for (ms, queue) in [(5, 400), (40, 200), (40, 1000), (200, 400)] {
        let mut link = link(ms * MS, queue);
        link.add(Bbr, 1);
        link.run(5 * SECOND);
        let share = link.shares(30 * SECOND)[0];
        let (mean, longest) = link.queues();
        assert!(share >= 0.95, "{ms} ms: {share}");
        // Four packets in flight at least and one in the air are much on a short path.
        let most = if ms < 10 { (0.6, 2.1) } else { (0.3, 1.1) };
        assert!(mean < most.0 && longest < most.1, "{ms} ms: queue of {mean}, at most {longest} of the path");
        assert_eq!(link.flows[0].lost, 0, "{ms} ms");
    }
}

#[test]
fn a_queue_of_a_tenth_of_the_path_is_enough() {
    for ms in [20, 40, 100] {
        let mut link = link(ms * MS, 10);
        link.add(Bbr, 1);
        link.run(5 * SECOND);
        let lost = link.flows[0].lost;
        let share = link.shares(30 * SECOND)[0];
        let lost = (link.flows[0].lost - lost) as f64 / link.flows[0].delivered as f64;
        assert!(share >= 0.85 && lost < 0.02, "{ms} ms: {share}, {lost} lost");
    }
}

#[test]
fn acknowledgements_that_come_in_clumps_cost_little() {
    for (ms, queue, clump) in [(20, 100, 5), (40, 50, 5), (40, 100, 20), (5, 100, 2)] {
        let mut link = link(ms * MS, queue);
        link.clump = clump * MS;
        link.add(Bbr, 1);
        link.run(5 * SECOND);
        let share = link.shares(30 * SECOND)[0];
        assert!(share >= 0.9, "{ms} ms, {clump} ms apart: {share}");
    }
}

#[test]
fn random_loss_of_one_or_two_percent_costs_less_than_a_tenth() {
    for (ms, queue, loss) in
        [(40, 100, 10_000), (40, 100, 20_000), (10, 100, 20_000), (100, 100, 20_000), (600, 100, 15_625)]
    {
        let mut link = link(ms * MS, queue);
        link.loss = loss;
        link.add(Bbr, 1);
        link.run(15 * SECOND);
        let share = link.shares(30 * SECOND)[0];
        assert!(share >= 0.9, "{ms} ms, {loss} of a million lost: {share}");
    }
}

#[test]
fn a_rate_that_doubles_or_halves_is_followed() {
    for (factor, name) in [(2.0, "doubled"), (4.0, "quadrupled"), (0.5, "halved"), (0.25, "quartered")] {
        let mut link = link(40 * MS, 300);
        link.add(Bbr, 3);
        link.run(10 * SECOND);
        link.rate = (RATE as f64 * factor) as u64;
        // Two cycles of two to three seconds: the rate of the cycle before is remembered. And a queue to drain.
        link.run(if (0.3..3.0).contains(&factor) { 8 * SECOND } else { 20 * SECOND });
        let share = link.shares(10 * SECOND)[0];
        let (mean, _) = link.queues();
        assert!(share >= 0.93 && mean < 0.5, "{name}: {share}, queue {mean}");
    }
}

#[test]
fn a_path_of_600_ms_is_filled() {
    for queue in [10, 100] {
        let mut link = link(600 * MS, queue);
        link.add(Bbr, 1);
        link.run(15 * SECOND);
        let share = link.shares(60 * SECOND)[0];
        assert!(share >= 0.9, "queue of {queue} %: {share}");
    }
}

#[test]
fn a_long_path_starts_with_the_help_of_trains() {
    // 100 Mbit/s, 600 ms: 7.5 MB in flight, nine doublings away from the first window.
    let filled = |long| {
        let mut link = Link::new(12_500_000, 600 * MS, 7_500_000);
        let flow = link.add(Bbr, 1);
        link.flows[flow].controller = link.flows[flow].controller.with_long_start(long);
        link.run(8 * SECOND);
        link.flows[flow].delivered
    };
    let (plain, long) = (filled(false), filled(true));
    assert!(long > plain * 3 / 2, "{long} instead of {plain} bytes in eight seconds");
}

/// Shares of two flows over 30 s, 20 s after the second began.
fn two(ms: u32, queue: u64, seed: u64, other: crate::Algorithm, later: Duration) -> (Vec<f64>, f64) {
    let mut link = link(ms * MS, queue);
    link.add(Bbr, seed);
    link.run(later);
    link.add(other, seed + 10);
    link.run(20 * SECOND);
    let shares = link.shares(30 * SECOND);
    (shares, link.queues().0)
}

#[test]
fn two_flows_share_a_link_evenly() {
    for (ms, queue) in [(10, 400), (40, 50), (40, 100), (40, 200), (40, 400)] {
        let mut ratios = Vec::new();
        for later in [Duration::ZERO, 200 * MS, SECOND, 3 * SECOND] {
            for seed in [1, 2, 3] {
                let (shares, queued) = two(ms, queue, seed, Bbr, later);
                let sum = shares[0] + shares[1];
                let most = if ms < 20 { 2.5 } else { 1.5 };
                assert!(sum > 0.95 && queued < most, "{ms} ms, {queue} %: {shares:?}, queue {queued}");
                ratios.push(shares[1] / shares[0]);
            }
        }
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!((0.8..=1.25).contains(&mean), "{ms} ms, {queue} %: {ratios:.2?}");
        assert!(ratios.iter().all(|ratio| (0.7..=1.5).contains(ratio)), "{ms} ms, {queue} %: {ratios:.2?}");
    }
}

#[test]
fn neither_starves_beside_cubic() {
    for (ms, queue) in [(40, 100), (40, 400), (100, 100), (100, 400)] {
        for seed in [1, 2, 3] {
            let (shares, _) = two(ms, queue, seed, Cubic, 100 * MS * seed as u32);
            let least = shares[0].min(shares[1]);
            assert!(least > 0.25 && shares[0] + shares[1] > 0.9, "{ms} ms, {queue} %: {shares:?}");
        }
    }
}

#[test]
fn what_the_application_does_not_send_is_not_taken_for_the_paths_limit() {
    let mut link = link(40 * MS, 200);
    let flow = link.add(Bbr, 1);
    link.run(10 * SECOND);
    let known = bbr(&link, flow).model.max_bw();
    // 2 kB each 20 ms, a twenty-fifth of the link, for half a minute.
    link.flows[flow].waiting = 0;
    for _ in 0..1500 {
        link.hand_in(flow, 2 * PACKET);
        link.run(20 * MS);
    }
    let after = bbr(&link, flow).model.max_bw();
    assert!(after > known * 9 / 10, "{after} of {known}");
    // And then it fills the link at once.
    link.hand_in(flow, u64::MAX);
    assert!(link.shares(2 * SECOND)[0] > 0.9);
}

#[test]
fn a_startup_the_application_holds_back_does_not_end() {
    let mut link = link(40 * MS, 200);
    let flow = link.add(Bbr, 1);
    link.flows[flow].waiting = 0;
    for _ in 0..100 {
        link.hand_in(flow, 2 * PACKET);
        link.run(20 * MS);
    }
    // The first bursts after so long a time fill what was never tried.
    assert!(!bbr(&link, flow).pipe.reached || bbr(&link, flow).model.max_bw() > RATE / 2);
    link.hand_in(flow, u64::MAX);
    link.run(SECOND);
    assert!(link.shares(3 * SECOND)[0] > 0.9);
}

#[test]
fn probing_the_round_trip_does_not_starve_and_finds_a_longer_path() {
    let mut link = link(40 * MS, 400);
    let flow = link.add(Bbr, 1);
    link.run(3 * SECOND);
    link.delay = 80 * MS;
    let mut seen = Vec::new();
    let mut least: f64 = 1.0;
    for _ in 0..300 {
        let share = link.shares(100 * MS)[0];
        least = least.min(share);
        seen.push(bbr(&link, flow).state);
    }
    let probing = seen.iter().filter(|state| **state == State::ProbeRtt).count();
    assert!((1..=40).contains(&probing), "{probing} of 300");
    assert!(least > 0.1, "{least}");
    let min = bbr(&link, flow).min_rtt.min;
    assert!((80_000_000..84_000_000).contains(&min), "{min} ns");
    assert!(link.shares(10 * SECOND)[0] > 0.93);
}

#[test]
fn a_path_with_nothing_in_its_queue_is_not_drained_every_five_seconds() {
    let mut link = link(600 * MS, 200);
    let flow = link.add(Bbr, 1);
    let mut probes = 0;
    let mut before = State::Startup;
    for _ in 0..600 {
        link.run(100 * MS);
        let state = bbr(&link, flow).state;
        probes += u32::from(state == State::ProbeRtt && before != state);
        before = state;
    }
    // The draft has one each five seconds: twelve in this minute.
    assert!((1..=6).contains(&probes), "{probes}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let run = |seed| {
        let mut link = link(40 * MS, 100);
        link.loss = 5000;
        link.add(Bbr, seed);
        link.add(Bbr, seed + 1);
        link.run(10 * SECOND);
        link.flows.iter().map(|flow| flow.delivered).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// A controller in ProbeBW on 20 Mbit/s and 40 ms, and the time.
fn cruising() -> (Controlled, Instant) {
    let mut link = link(40 * MS, 200);
    link.add(Bbr, 1);
    link.run(4 * SECOND);
    while bbr(&link, 0).state != State::Cruise {
        link.run(MS);
    }
    (*bbr(&link, 0), link.now)
}

/// An acknowledgement one round trip after `delivered` bytes had arrived.
fn round(rtt: &Rtt, delivered: u64, lost: u64, now: Instant) -> Ack<'_> {
    let flight = Flight {
        delivered_before: delivered,
        delivered: delivered + 100_000,
        in_flight: 100_000,
        lost,
        app_limited: false,
    };
    let sample = RateSample { delivered: 100_000, interval: 40 * MS, rate: 2_500_000, app_limited: false };
    Ack {
        flight: Some(flight),
        delivered: Some(sample),
        in_flight: 98_500,
        ..ack(rtt, 1500, now - 40 * MS, 1)
    }
}

fn lost<'a>(rtt: &'a Rtt, bytes: u64, delivered: u64) -> Lost<'a> {
    let flight =
        Flight { delivered, delivered_before: 0, in_flight: 100_000, lost: bytes, app_limited: false };
    Lost { bytes, ranges: 1, flight, rtt }
}

#[test]
fn loss_at_a_queue_while_cruising_slows_down_until_the_next_probe_and_is_taken_back_if_spurious() {
    let (mut bbr, now) = cruising();
    let mut queue = Rtt::new(40 * MS);
    queue.update(40 * MS, Duration::ZERO);
    queue.update(70 * MS, Duration::ZERO);
    let (bw, cwnd) = (bbr.model.bw(), bbr.window());
    let delivered = bbr.delivered;
    bbr.on_lost(now, &lost(&queue, 15_000, delivered));
    assert!(bbr.on_congestion(now, now - 40 * MS, 85_000, false, false));
    assert!(bbr.in_recovery());
    assert_eq!((bbr.model.bw(), bbr.window()), (bw, cwnd), "nothing before the round trip is over");
    // The next packets arrive at half the rate.
    let mut slow = round(&queue, delivered, 15_000, now);
    slow.delivered = slow.delivered.map(|sample| RateSample { rate: 1_250_000, delivered: 50_000, ..sample });
    bbr.model.bw_latest = 0;
    bbr.model.inflight_latest = 0;
    bbr.on_ack(now + 40 * MS, &slow);
    let slower = bbr.model.bw() as f64 / bw as f64;
    assert!((slower - 0.7).abs() < 0.01, "{slower}");
    assert!(bbr.window() < cwnd);
    bbr.on_spurious(now + 41 * MS);
    assert_eq!(bbr.model.bw(), bw);
    assert!(bbr.window() >= cwnd);
    // Once only.
    let window = bbr.window();
    bbr.on_spurious(now + 42 * MS);
    assert_eq!(bbr.window(), window);
}

#[test]
fn what_a_probe_lost_is_answered_once() {
    let mut link = link(40 * MS, 75);
    link.add(Bbr, 3);
    link.run(20 * SECOND);
    for _ in 0..10_000 {
        link.run(MS);
        let bbr = bbr(&link, 0);
        assert!(
            bbr.state.is_probing() || bbr.model.bw() > RATE * 95 / 100,
            "{:?} at {}",
            bbr.state,
            bbr.model.bw()
        );
    }
    assert!(link.flows[0].lost > 0);
}

#[test]
fn a_mark_slows_down_like_a_loss_and_is_never_taken_back() {
    let (mut bbr, now) = cruising();
    let rtt = settled(40 * MS);
    let bw = bbr.model.bw();
    bbr.on_congestion(now, now - 40 * MS, 100_000, false, true);
    let delivered = bbr.delivered;
    let mut slow = round(&rtt, delivered, 0, now);
    slow.delivered = slow.delivered.map(|sample| RateSample { rate: 1_250_000, ..sample });
    bbr.model.bw_latest = 0;
    bbr.on_ack(now + 40 * MS, &slow);
    assert!(bbr.model.bw() < bw);
    let reduced = bbr.model.bw();
    bbr.on_spurious(now + 50 * MS);
    assert_eq!(bbr.model.bw(), reduced);
}

#[test]
fn a_mark_ends_startup() {
    let mut link = link(40 * MS, 400);
    link.add(Bbr, 1);
    link.run(100 * MS);
    let mut bbr = *bbr(&link, 0);
    assert_eq!(bbr.state, State::Startup);
    bbr.on_congestion(link.now, link.now - 40 * MS, 50_000, false, true);
    let rtt = settled(41 * MS);
    let delivered = bbr.delivered;
    bbr.on_ack(link.now, &round(&rtt, delivered, 0, link.now));
    assert!(bbr.pipe.reached && bbr.state != State::Startup);
}

// MUST 9002-7.6.2-2
#[test]
fn persistent_congestion_falls_to_two_packets_and_the_old_window_is_back_after_it() {
    let (mut bbr, now) = cruising();
    let before = bbr.window();
    let rtt = settled(40 * MS);
    let delivered = bbr.delivered;
    bbr.on_lost(now, &lost(&rtt, 100_000, delivered));
    assert!(bbr.on_congestion(now, now - 40 * MS, 0, true, false));
    assert_eq!(bbr.window(), 3000);
    // What was sent before says nothing.
    bbr.on_ack(now + MS, &round(&rtt, delivered, 0, now));
    assert!(bbr.window() <= 8 * PACKET);
    bbr.on_ack(now + 80 * MS, &round(&rtt, delivered, 0, now + 60 * MS));
    assert!(bbr.window() >= before / 2, "{} of {before}", bbr.window());
}

#[test]
fn a_blackout_of_ten_seconds_is_over_when_it_is_over() {
    let mut link = link(40 * MS, 200);
    link.add(Bbr, 1);
    link.run(5 * SECOND);
    link.loss = 1_000_000;
    link.run(10 * SECOND);
    link.loss = 0;
    link.run(SECOND);
    assert!(link.shares(5 * SECOND)[0] > 0.9);
}

#[test]
fn counts_that_begin_anew_stop_nothing() {
    let mut link = link(40 * MS, 200);
    let flow = link.add(Bbr, 1);
    link.run(20 * SECOND);
    let rounds = bbr(&link, flow).round.count;
    link.recount(flow);
    link.run(5 * SECOND);
    assert!(bbr(&link, flow).round.count > rounds + 50);
    assert!(link.shares(5 * SECOND)[0] > 0.9);
}

/// Anything a connection can report.
#[derive(Clone, Debug)]
enum Report {
    Sent(u16, u64),
    Acked(u64, u64, Flight, Option<(u64, u64)>),
    Lost(u64, Flight, u32, bool, bool),
    Spurious,
    Mtu(u16),
    Sample(u64),
    Wait(u64),
}

fn flight() -> impl Strategy<Value = Flight> {
    (any::<u64>(), any::<u64>(), 0u64..1 << 31, any::<u32>(), any::<bool>(), 0..64u32).prop_map(
        |(before, delivered, in_flight, lost, app_limited, shift)| Flight {
            delivered_before: before >> shift,
            delivered: delivered >> shift,
            in_flight,
            lost: lost.into(),
            app_limited,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        2 => (any::<u16>(), 0u64..1 << 40).prop_map(|(a, b)| Report::Sent(a, b)),
        6 => (any::<u64>(), 0u64..1 << 40, flight(), any::<Option<(u64, u64)>>(), 0..64u32)
            .prop_map(|(a, b, c, d, shift)| Report::Acked(a >> shift, b, c, d)),
        2 => (any::<u64>(), flight(), any::<u32>(), prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(a, b, c, d, e)| Report::Lost(a, b, c, d, e)),
        1 => Just(Report::Spurious),
        1 => any::<u16>().prop_map(Report::Mtu),
        1 => any::<u64>().prop_map(Report::Sample),
        4 => (0u64..1 << 36).prop_map(Report::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_is_reported_the_window_stays_between_two_packets_and_its_cap(
        long: bool, reports in proptest::collection::vec(report(), 1..300)
    ) {
        let mut mtu = 1200;
        let mut now = Instant::ZERO + SECOND;
        let mut controller = Controller::new(Bbr, now, mtu).with_long_start(long);
        let mut rtt = Rtt::new(333 * MS);
        for report in reports {
            match report {
                Report::Sent(bytes, in_flight) => controller.on_sent(now, bytes, in_flight, 0),
                Report::Acked(bytes, sent, flight, sample) => {
                    let delivered = sample.map(|(delivered, rate)| RateSample {
                        delivered,
                        interval: MS,
                        rate,
                        app_limited: flight.app_limited,
                    });
                    let ack = ack(&rtt, bytes, Instant::from_nanos(sent), 1);
                    controller.on_ack(now, &Ack { delivered, flight: Some(flight), ..ack });
                }
                Report::Lost(bytes, flight, ranges, persistent, ecn) => {
                    controller.on_lost(now, &Lost { bytes, ranges, flight, rtt: &rtt });
                    controller.on_congestion(now, now, bytes, flight.in_flight, persistent, ecn);
                }
                Report::Spurious => controller.on_spurious(now),
                Report::Mtu(size) => {
                    mtu = size.max(1);
                    controller.on_mtu(mtu);
                }
                Report::Sample(nanos) => rtt.update(Duration::from_nanos(nanos), Duration::ZERO),
                Report::Wait(nanos) => now += Duration::from_nanos(nanos),
            }
            prop_assert!(controller.window() >= 2 * u64::from(mtu));
            prop_assert!(controller.window() <= 1 << 41);
            prop_assert!(controller.pacing_rate(&rtt) >= u64::from(mtu));
        }
    }
}
