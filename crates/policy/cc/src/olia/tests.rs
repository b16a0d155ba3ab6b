use std::vec::Vec;

use tq_time::{Duration, Instant};

use super::{Member, factor};
use crate::testing::link::Link;
use crate::testing::{AckClock, MS};
use crate::{Algorithm, Controller, Rtt};

/// 60 Mbit/s.
const RATE: u64 = 7_500_000;

fn member(packets: u64, ms: u64, run: u64) -> Member {
    Member { window: packets * 1500, rtt: ms * 1_000_000, run }
}

#[test]
fn a_path_alone_is_reno() {
    assert_eq!(factor([member(100, 50, 1000)].into_iter()), 1_000_000);
    assert_eq!(factor([].into_iter()), 1_000_000);
}

#[test]
fn equal_paths_grow_by_the_square_of_their_share() {
    for paths in [2, 3, 4] {
        let group = (0..paths).map(|_| member(100, 50, 1000));
        let square = 1_000_000 / (paths * paths);
        assert!((factor(group) - square as i64).abs() <= 2, "{paths}");
    }
}

#[test]
fn a_better_path_with_a_small_window_gains_what_the_largest_loses() {
    // The first is better (more between losses) but smaller: 1/(2·1); the second is the largest: -1/(2·1).
    let (small, large) = (member(50, 50, 9000), member(100, 50, 1000));
    let third = 333_333_i64 * 333_333 / 1_000_000;
    assert!((factor([small, large].into_iter()) - third - 500_000).abs() <= 2);
    let two_thirds = 666_666_i64 * 666_666 / 1_000_000;
    assert!((factor([large, small].into_iter()) - two_thirds + 500_000).abs() <= 2);
    // A best path that is the largest as well: nothing is moved.
    let (best, other) = (member(100, 50, 9000), member(50, 50, 1000));
    assert!((factor([best, other].into_iter()) - two_thirds).abs() <= 2);
    assert!((factor([other, best].into_iter()) - third).abs() <= 2);
}

#[test]
fn what_is_acknowledged_between_losses_counts_by_the_round_trip() {
    // l/rtt²: 8000/100² is less than 4000/50².
    let (long, short) = (member(100, 100, 8000), member(50, 50, 4000));
    assert!(factor([short, long].into_iter()) > 500_000);
    assert!(factor([long, short].into_iter()) < 0);
}

#[test]
fn a_coupled_window_grows_by_its_factor_and_may_shrink() {
    for (thousandths, packets) in [(1000, 10.0), (250, 2.5), (0, 0.0), (-500, -5.0)] {
        let mut clock = AckClock::new(Algorithm::Olia, 1500, 100 * MS);
        clock.lose_at(200.0);
        clock.recover();
        clock.controller.couple(thousandths * 1000);
        let before = clock.packets();
        clock.run(Duration::from_secs(1));
        let grown = clock.packets() - before;
        assert!((grown - packets).abs() < 0.7, "{thousandths}: {grown}");
    }
    let mut clock = AckClock::new(Algorithm::Olia, 1500, 10 * MS);
    clock.lose_at(20.0);
    clock.controller.couple(-1_000_000);
    clock.run(Duration::from_secs(10));
    assert!(clock.controller.window() >= 3000);
}

#[test]
fn only_coupled_windows_are_members() {
    let now = Instant::ZERO;
    let mut rtt = Rtt::new(333 * MS);
    assert_eq!(Controller::new(Algorithm::Olia, now, 1500).member(&rtt), None);
    rtt.update(50 * MS, Duration::ZERO);
    let own = Controller::new(Algorithm::Olia, now, 1500).member(&rtt);
    assert_eq!(own, Some(Member { window: 14_720, rtt: 50_000_000, run: 0 }));
    assert_eq!(Controller::new(Algorithm::NewReno, now, 1500).member(&rtt), None);
}

/// What two coupled senders get for each byte of a Reno flow beside them.
fn beside_reno(ms: u32, queue: u64, seed: u64, governed: bool) -> f64 {
    let mut link = Link::new(RATE, ms * MS, RATE * queue / 1000);
    for flow in 0..2 {
        link.add(Algorithm::Olia, seed + flow);
        link.flows[flow as usize].controller.govern(governed);
        link.run((70 + 30 * seed as u32) * MS);
    }
    link.add(Algorithm::NewReno, seed + 9);
    let mut sums = [0.0; 3];
    for step in 0..8000 {
        let members: Vec<_> =
            link.flows.iter().filter_map(|flow| flow.controller.member(&flow.rtt)).collect();
        for own in 0..2 {
            link.flows[own].controller.couple(factor([members[own], members[1 - own]].into_iter()));
        }
        let shares = link.shares(20 * MS);
        if step > 2000 {
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
    }
    (sums[0] + sums[1]) / sums[2]
}

#[test]
fn two_coupled_senders_take_what_one_flow_would() {
    for governed in [false, true] {
        for (ms, queue) in [(20, 50), (40, 40), (40, 100)] {
            let ratios: Vec<f64> = (1..4).map(|seed| beside_reno(ms, queue, seed, governed)).collect();
            let mean = ratios.iter().sum::<f64>() / 3.0;
            assert!((0.7..1.6).contains(&mean), "{governed}, {ms} ms, {queue} ms: {ratios:?}");
        }
    }
}
