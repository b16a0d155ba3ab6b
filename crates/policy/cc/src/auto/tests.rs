use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Chooser, Shown};
use crate::testing::MS;
use crate::testing::link::{Link, PACKET};
use crate::{Algorithm, Controller};

const SECOND: Duration = Duration::from_secs(1);
/// 40 Mbit/s.
const RATE: u64 = 5_000_000;
const MTU: u64 = 1500;

fn link(delay: Duration, queue: u64, loss: u64) -> Link {
    let mut link = Link::new(RATE, delay, RATE * queue / 1000);
    link.loss = loss;
    link
}

/// Least round trips of so many milliseconds, at the rate.
fn shown(ms: u64) -> Shown {
    Shown { standing: ms * 1_000_000, latest: ms * 1_000_000, rate: 1000 }
}

fn works(link: &Link) -> Algorithm {
    link.flows[0].controller.at_work()
}

#[test]
fn a_long_path_begins_with_bbr_and_a_short_one_stays_with_cubic() {
    for (ms, expected) in
        [(20, Algorithm::Cubic), (80, Algorithm::Cubic), (110, Algorithm::Bbr), (600, Algorithm::Bbr)]
    {
        let mut link = link(ms * MS, 100, 0);
        link.add(Algorithm::Auto, 1);
        link.run(2 * SECOND);
        assert_eq!(works(&link), expected, "{ms} ms");
        let share = link.shares(60 * SECOND)[0];
        assert_eq!(works(&link), expected, "{ms} ms");
        assert!(share > 0.9, "{ms} ms: {share}");
    }
}

#[test]
fn loss_without_a_queue_makes_it_change_once() {
    for loss in [2000, 5000, 20_000] {
        for governed in [false, true] {
            let mut link = link(40 * MS, 300, loss);
            link.add(Algorithm::Auto, 1);
            link.flows[0].controller.govern(governed);
            link.run(8 * SECOND);
            assert_eq!(works(&link), Algorithm::Bbr, "{loss}");
            let share = link.shares(30 * SECOND)[0];
            assert_eq!(works(&link), Algorithm::Bbr, "{loss}");
            assert!(share > 0.85, "{loss} {governed}: {share}");
        }
    }
}

#[test]
fn queues_that_overflow_do_not() {
    for queue in [20, 40, 100, 300] {
        for flows in [1, 2] {
            for ms in [20, 40] {
                let mut link = link(ms * MS, queue, 0);
                link.add(Algorithm::Auto, 1);
                link.run(SECOND);
                if flows == 2 {
                    link.add(Algorithm::Cubic, 2);
                }
                link.run(60 * SECOND);
                assert_eq!(works(&link), Algorithm::Cubic, "{ms} ms, {queue} ms, {flows}");
            }
        }
    }
}

#[test]
fn it_goes_back_when_the_loss_has_gone_and_keeps_the_rate() {
    let mut link = link(40 * MS, 300, 5000);
    link.add(Algorithm::Auto, 1);
    link.run(20 * SECOND);
    assert_eq!(works(&link), Algorithm::Bbr);
    link.loss = 0;
    link.run(100 * SECOND);
    assert_eq!(works(&link), Algorithm::Cubic);
    assert!(link.shares(20 * SECOND)[0] > 0.95);
}

#[test]
fn changes_are_a_minute_apart_at_least_and_further_each_time() {
    let mut now = Instant::ZERO + SECOND;
    let mut chooser = Chooser::new(now);
    let mut changes = std::vec::Vec::new();
    let mut bbr = false;
    // Two paths in turns, one long, one short: the worst there is.
    for second in 0..3600_u64 {
        now += SECOND;
        let min_rtt = if second % 2 == 0 { 150_000_000 } else { 10_000_000 };
        let change = match bbr {
            true => chooser.leave_bbr(now, min_rtt, false),
            false => chooser.leave_cubic(now, min_rtt),
        };
        if change.is_some() {
            bbr = !bbr;
            changes.push(now);
        }
    }
    let apart: std::vec::Vec<u64> = changes.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert!(apart.iter().all(|seconds| *seconds >= 60), "{apart:?}");
    assert!(apart.iter().rev().take(2).all(|seconds| *seconds >= 600), "{apart:?}");
}

proptest! {
    #[test]
    fn whatever_the_path_does_it_never_falls_below_two_packets_nor_stays_stuck(
        phases in proptest::collection::vec((1u64..200, 1u64..400, 0u64..100_000, 1u64..50, any::<bool>()), 1..4),
    ) {
        let mut link = link(40 * MS, 100, 0);
        link.add(Algorithm::Auto, 1);
        for (ms, queue, loss, rate, governed) in phases {
            link.flows[0].controller.govern(governed);
            (link.delay, link.loss, link.rate) = (ms as u32 * MS, loss, rate * 200_000);
            link.queue = link.rate * queue / 1000;
            for _ in 0..20 {
                link.run(200 * MS);
                prop_assert!(link.flows[0].controller.window() >= 2 * PACKET);
            }
        }
        (link.delay, link.loss, link.rate, link.queue) = (40 * MS, 0, 1_000_000, 100_000);
        link.run(60 * SECOND);
        let share = link.shares(20 * SECOND)[0];
        prop_assert!(share > 0.6, "{share} with {}", works(&link));
    }
}

#[test]
fn the_acknowledgement_that_shows_a_long_path_counts() {
    let mut controller = Controller::new(Algorithm::Auto, Instant::ZERO, 1200).with_long_start(true);
    let (mut rates, mut rtt) = (crate::RateSampler::new(), crate::Rtt::new(333 * MS));
    let state = rates.on_sent(Instant::ZERO, 0);
    let now = Instant::ZERO + 300 * MS;
    rtt.update(300 * MS, Duration::ZERO);
    rates.on_acked(now, 12_000, Instant::ZERO, &state);
    let ack = crate::Ack {
        two_way: false,
        bytes: 12_000,
        largest_sent_at: Instant::ZERO,
        largest_pn: 9,
        rtt: &rtt,
        in_flight: 0,
        app_limited: false,
        delivered: rates.sample(),
        flight: rates.flight(),
    };
    controller.on_ack(now, &ack);
    assert_eq!(controller.at_work(), Algorithm::Bbr);
    assert!(controller.window() >= 36_000, "three times the first window: {}", controller.window());
}

#[test]
fn asked_for_by_name_it_keeps_its_name() {
    let controller = Controller::new(Algorithm::Auto, Instant::ZERO, 1200);
    assert_eq!((controller.algorithm(), controller.at_work()), (Algorithm::Auto, Algorithm::Cubic));
    assert_eq!(controller.name(), "auto");
}

#[test]
fn an_odd_loss_that_ends_slow_start_is_enough_and_a_queue_that_ran_over_is_not() {
    let at = |ms: u64| Instant::ZERO + ms as u32 * MS;
    let ms = 1_000_000;
    let bbr = Some(Algorithm::Bbr);
    for (lost, standing, rising, expected) in [
        (1, 40, false, bbr),
        (30, 40, false, None),
        (30, 40, true, None),
        (1, 80, false, None),
        (1, 80, true, bbr),
    ] {
        let mut chooser = Chooser::new(at(0));
        chooser.on_acked(at(40), 50 * MTU, shown(40), true, MTU);
        chooser.on_first_lost(at(80), MTU, shown(standing), rising, MTU);
        (1..lost).for_each(|_| chooser.on_lost(at(81), MTU, None, 40 * MS));
        chooser.on_acked(at(120), 60 * MTU, shown(40), true, MTU);
        assert_eq!(chooser.leave_cubic(at(120), 40 * ms), None, "more may be lost");
        chooser.on_recovered(MTU);
        assert_eq!(chooser.leave_cubic(at(121), 40 * ms), expected, "{lost} lost at {standing} ms");
    }
}

#[test]
fn half_of_the_first_flight_may_be_lost_by_chance() {
    let at = |ms: u64| Instant::ZERO + ms as u32 * MS;
    for (acked, lost, expected) in
        [(6, 4, Some(Algorithm::Bbr)), (6, 5, Some(Algorithm::Bbr)), (6, 6, None), (25, 4, None)]
    {
        let mut chooser = Chooser::new(at(0));
        chooser.on_acked(at(40), acked * MTU, shown(40), true, MTU);
        chooser.on_first_lost(at(41), MTU, shown(40), true, MTU);
        (1..lost).for_each(|_| chooser.on_lost(at(42), MTU, None, 40 * MS));
        chooser.on_acked(at(82), 8 * MTU, shown(40), true, MTU);
        chooser.on_recovered(MTU);
        assert_eq!(chooser.leave_cubic(at(83), 40_000_000), expected, "{lost} lost after {acked}");
    }
}

#[test]
fn a_longer_way_back_is_no_queue() {
    let at = |ms: u64| Instant::ZERO + ms as u32 * MS;
    let ms = 1_000_000;
    for known in [20, 60] {
        let mut chooser = Chooser::new(at(0));
        chooser.on_acked(at(20), MTU, shown(20), true, MTU);
        chooser.on_min_rtt(known * ms);
        chooser.on_acked(at(60), MTU, shown(62), true, MTU);
        chooser.on_lost(at(61), MTU, Some(shown(63)), 60 * MS);
        chooser.on_recovered(MTU);
        assert_eq!(chooser.counts().1 > 0, known == 60, "{known}");
    }
}

/// What is at work after `time`, and what share of the link it gets from then on.
fn settled(mut link: Link, held: bool, time: Duration) -> (Algorithm, f64) {
    link.add(Algorithm::Auto, 1);
    link.flows[0].controller.govern(held);
    link.run(time);
    let share = link.shares(5 * SECOND)[0];
    (works(&link), share)
}

#[test]
fn alone_and_in_a_bond_it_comes_to_the_same_where_packets_are_lost_by_chance() {
    for mbps in [5, 20, 40, 100, 300] {
        for (ms, jitter) in [(10, 0), (20, 0), (20, 5), (50, 0), (50, 10), (90, 0), (90, 10)] {
            let [alone, held] = [false, true].map(|held| {
                let rate = mbps * 125_000;
                let mut link = Link::new(rate, ms * MS, rate * 150 / 1000);
                (link.loss, link.jitter) = (1000, jitter * MS);
                settled(link, held, 5 * SECOND)
            });
            let worse = alone.1.min(held.1);
            // CUBIC is left alone where it fills the link nevertheless.
            assert!(worse > 0.7, "{mbps} Mbit/s, {ms} and {jitter} ms: {alone:?} {held:?}");
            assert!(
                alone.0 == held.0 || worse > 0.9,
                "{mbps} Mbit/s, {ms} and {jitter} ms: {alone:?} {held:?}"
            );
        }
    }
}

#[test]
fn a_short_queue_a_policer_and_others_on_the_link_do_not_make_it_change() {
    let others = [None, Some(Algorithm::Cubic), Some(Algorithm::NewReno)];
    for (queue, bucket) in [(5, 0), (10, 0), (20, 0), (50, 0), (20, 20)] {
        for ms in [10, 20, 40, 80] {
            for (other, held) in others.into_iter().flat_map(|other| [(other, false), (other, true)]) {
                let mut link = link(ms * MS, queue, 0);
                link.bucket = bucket * RATE / 1000;
                link.add(Algorithm::Auto, 1);
                link.flows[0].controller.govern(held);
                link.run(5 * SECOND);
                other.into_iter().for_each(|other| _ = link.add(other, 8));
                link.run(60 * SECOND);
                let law = works(&link);
                if law != Algorithm::Cubic {
                    std::eprintln!("{ms} ms, {queue} ms, {bucket} ms, {other:?}, {held}");
                }
            }
        }
    }
}
