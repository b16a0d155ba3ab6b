use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Ack, Algorithm, Controller, UnknownAlgorithm, initial_window, minimum_window};
use crate::testing::{AckClock, MS, Transfer, ack, settled};
use crate::{RateSample, RateSampler, Rtt};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// Loses a packet that was sent at `sent_at`.
fn lose(controller: &mut Controller, now: Instant, sent_at: Instant) {
    controller.on_congestion(now, sent_at, 1500, 0, false, false);
}

#[test]
fn names_are_read_and_written() {
    assert_eq!("cubic".parse(), Ok(Algorithm::Cubic));
    assert_eq!("reno".parse(), Ok(Algorithm::NewReno));
    assert_eq!("bbr".parse(), Ok(Algorithm::Bbr));
    assert_eq!("vegas".parse::<Algorithm>(), Err(UnknownAlgorithm));
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        assert_eq!(Controller::new(algorithm, at(0), 1200).name(), algorithm.name());
    }
}

#[test]
fn windows_at_the_start_and_at_the_least_are_those_of_the_rfc() {
    // RFC 9002 §7.2.
    for (mtu, initial) in [(1200, 12_000), (1452, 14_520), (1472, 14_720), (1500, 14_720), (9000, 18_000)] {
        assert_eq!(initial_window(mtu), initial);
        assert_eq!(minimum_window(mtu), 2 * u64::from(mtu));
        for algorithm in Algorithm::ALL {
            let controller = Controller::new(algorithm, at(0), mtu);
            assert_eq!(controller.window(), initial);
            assert_eq!(controller.ssthresh(), u64::MAX);
            assert!(controller.in_slow_start() && !controller.in_recovery());
        }
    }
}

// MUST 9002-7.3.1-1, 9002-7.3.2-2
#[test]
fn one_recovery_period_reduces_once() {
    for (algorithm, factor) in [(Algorithm::Cubic, 0.7), (Algorithm::NewReno, 0.5)] {
        let mut clock = AckClock::new(algorithm, 1500, 100 * MS);
        let before = clock.lose_at(200.0);
        let now = clock.now;
        assert!((clock.packets() - factor * before).abs() < 0.01);
        assert_eq!(clock.controller.ssthresh(), clock.controller.window());
        let window = clock.controller.window();
        for ms in 0..100 {
            lose(&mut clock.controller, now + 100 * MS, now - ms * MS);
        }
        assert_eq!(clock.controller.window(), window);
        lose(&mut clock.controller, now + 100 * MS, now + MS);
        assert!(clock.controller.window() < window);
    }
}

// MUST 9002-7.3.1-1
#[test]
fn an_ecn_mark_reduces_like_a_loss_and_is_never_undone() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut lossy = AckClock::new(algorithm, 1500, 100 * MS);
        lossy.lose_at(200.0);
        let mut marked = AckClock::new(algorithm, 1500, 100 * MS);
        while marked.packets() < 200.0 {
            marked.ack();
        }
        let (now, sent_at) = (marked.now, marked.now - 100 * MS);
        marked.controller.on_congestion(now, sent_at, 0, 0, false, true);
        assert_eq!(marked.controller.window(), lossy.controller.window());
        marked.controller.on_spurious(now);
        assert_eq!(marked.controller.window(), lossy.controller.window());
        // Neither is a loss in whose recovery period a mark arrived.
        lossy.controller.on_congestion(now, sent_at, 0, 0, false, true);
        lossy.controller.on_spurious(now);
        assert_eq!(marked.controller.window(), lossy.controller.window());
    }
}

// MUST 9002-7.6.2-2
#[test]
fn persistent_congestion_falls_to_two_packets_and_slow_start() {
    for (algorithm, factor) in [(Algorithm::Cubic, 0.7), (Algorithm::NewReno, 0.5)] {
        let mut clock = AckClock::new(algorithm, 1500, 100 * MS);
        let before = clock.lose_at(200.0);
        // Found out by a later frame of the same recovery period.
        let now = clock.now + 10 * MS;
        clock.controller.on_congestion(now, clock.now - MS, 1500, 0, true, false);
        assert_eq!(clock.controller.window(), 3000);
        assert!((clock.controller.ssthresh() as f64 / 1500.0 - factor * before).abs() < 1.0);
        assert!(clock.controller.in_slow_start());
        // What was sent before the fall costs nothing more, and its acknowledgements already grow the window.
        lose(&mut clock.controller, now + MS, now - MS);
        assert_eq!(clock.controller.window(), 3000);
        let rtt = settled(100 * MS);
        clock.controller.on_ack(now + MS, &ack(&rtt, 1500, now - MS, 1));
        assert_eq!(clock.controller.window(), 4500);
        // Slow start reaches the threshold and goes over into avoidance.
        clock.now = now + MS;
        clock.run(Duration::from_secs(1));
        assert!(!clock.controller.in_slow_start());
        let over = clock.packets() - factor * before;
        assert!((0.0..10.0).contains(&over), "{algorithm}: {over}");
    }
}

#[test]
fn persistent_congestion_may_turn_out_spurious() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut clock = AckClock::new(algorithm, 1500, 100 * MS);
        let before = clock.lose_at(200.0);
        clock.controller.on_congestion(clock.now, clock.now - MS, 1500, 0, true, false);
        clock.controller.on_spurious(clock.now);
        assert!((clock.packets() - before).abs() < 0.01);
        assert_eq!(clock.controller.ssthresh(), u64::MAX);
    }
}

#[test]
fn an_undo_never_lowers_the_window() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut clock = AckClock::new(algorithm, 1500, 10 * MS);
        let before = clock.lose_at(50.0);
        clock.recover();
        while clock.packets() < before + 10.0 {
            clock.ack();
        }
        let window = clock.controller.window();
        clock.controller.on_spurious(clock.now);
        assert_eq!(clock.controller.window(), window);
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut clock = AckClock::new(algorithm, 1500, 100 * MS);
        clock.app_limited = true;
        clock.run(Duration::from_secs(2));
        assert_eq!(clock.controller.window(), 14_720);
        clock.app_limited = false;
        clock.lose_at(100.0);
        clock.recover();
        clock.app_limited = true;
        let window = clock.controller.window();
        clock.run(Duration::from_secs(20));
        assert_eq!(clock.controller.window(), window);
    }
}

#[test]
fn packets_leave_at_one_and_a_half_windows_per_rtt_then_at_five_quarters_and_in_recovery_at_one() {
    let rtt = settled(10 * MS);
    let mut controller = Controller::new(Algorithm::NewReno, at(0), 1200);
    // 12 000 bytes per 10 ms are 1.2 MB/s.
    assert_eq!(controller.pacing_rate(&rtt), 1_800_000);
    lose(&mut controller, at(1), at(0));
    assert_eq!(controller.pacing_rate(&rtt), 600_000);
    controller.on_ack(at(3), &ack(&rtt, 0, at(2), 1));
    assert!(!controller.in_recovery());
    assert_eq!(controller.pacing_rate(&rtt), 750_000);
    assert_eq!(controller.pacing_rate(&settled(Duration::from_secs(1))), 120_000);
    // Neither a vanishing RTT nor an endless one is a division by zero.
    assert_eq!(controller.pacing_rate(&settled(Duration::ZERO)), 7_500_000_000);
    assert_eq!(controller.pacing_rate(&Rtt::new(Duration::MAX)), 120_000);
}

#[test]
fn pacing_is_no_slower_than_what_was_delivered_except_in_recovery() {
    let rtt = settled(100 * MS);
    let mut controller = Controller::new(Algorithm::NewReno, at(0), 1200);
    lose(&mut controller, at(1), at(0));
    let sample = RateSample { delivered: 100_000, interval: 100 * MS, rate: 1_000_000, app_limited: false };
    controller.on_ack(at(3), &Ack { delivered: Some(sample), ..ack(&rtt, 0, at(2), 1) });
    assert_eq!(controller.pacing_rate(&rtt), 1_250_000);
    // It is forgotten after two round trips.
    for ms in [110, 220] {
        let slow = RateSample { rate: 10_000, ..sample };
        controller.on_ack(at(ms), &Ack { delivered: Some(slow), ..ack(&rtt, 0, at(ms - 100), ms) });
    }
    assert_eq!(controller.pacing_rate(&rtt), 120_000);
    controller.on_ack(at(221), &Ack { delivered: Some(sample), ..ack(&rtt, 0, at(121), 300) });
    lose(&mut controller, at(230), at(229));
    assert_eq!(controller.pacing_rate(&rtt), 120_000);
}

#[test]
fn a_reset_leaves_a_fresh_controller_of_the_same_packet_size() {
    for algorithm in Algorithm::LOSS_BASED {
        let mut clock = AckClock::new(algorithm, 1452, 100 * MS);
        clock.lose_at(100.0);
        clock.controller.reset(clock.now);
        assert_eq!(clock.controller.window(), 14_520);
        assert_eq!(clock.controller.ssthresh(), u64::MAX);
        assert_eq!(clock.controller.algorithm(), algorithm);
        // The old path's losses are not the new one's, the caller says which is which.
        lose(&mut clock.controller, clock.now, clock.now);
        assert!(clock.controller.window() < 14_520);
    }
}

#[test]
fn a_transfer_fills_a_link_with_losses_and_all() {
    for algorithm in Algorithm::LOSS_BASED {
        // 20 Mbit/s, 40 ms, half a bandwidth-delay product of queue.
        let mut transfer = Transfer::new(algorithm, 2_500_000, 40 * MS, 50_000);
        transfer.run(Duration::from_secs(30));
        assert!(transfer.dropped > 0);
        let share = transfer.delivered as f64 / 75_000_000.0;
        assert!(share > 0.93, "{algorithm} used {share}");
    }
}

/// Anything a connection can report.
#[derive(Clone, Debug)]
enum Report {
    Sent(u16, u64, u64),
    Acked(u64, u64, u64, bool),
    Lost(u64, u64, bool, bool),
    Spurious,
    Mtu(u16),
    Sample(u64),
    Wait(u64),
    Reset,
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        1 => (any::<u16>(), 0u64..1 << 40, any::<u64>()).prop_map(|(a, b, c)| Report::Sent(a, b, c)),
        4 => (any::<u64>(), 0u64..1 << 40, any::<u64>(), any::<bool>())
            .prop_map(|(a, b, c, d)| Report::Acked(a >> (b % 64), b, c, d)),
        1 => (0u64..1 << 40, any::<u64>(), prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(a, b, c, d)| Report::Lost(a, b, c, d)),
        1 => Just(Report::Spurious),
        1 => any::<u16>().prop_map(Report::Mtu),
        1 => any::<u64>().prop_map(Report::Sample),
        4 => (0u64..1 << 36).prop_map(Report::Wait),
        1 => Just(Report::Reset),
    ]
}

proptest! {
    #[test]
    fn whatever_is_reported_the_window_stays_between_two_packets_and_its_cap(
        reno: bool, reports in proptest::collection::vec(report(), 1..200)
    ) {
        let algorithm = if reno { Algorithm::NewReno } else { Algorithm::Cubic };
        let mut mtu = 1200;
        let mut now = at(1000);
        let mut controller = Controller::new(algorithm, now, mtu);
        let mut rtt = Rtt::new(333 * MS);
        for report in reports {
            let before = controller.window();
            match report {
                Report::Sent(bytes, in_flight, pn) => controller.on_sent(now, bytes, in_flight, pn),
                Report::Acked(bytes, sent, pn, app_limited) => {
                    let sent_at = Instant::from_nanos(sent);
                    controller.on_ack(now, &Ack { app_limited, ..ack(&rtt, bytes, sent_at, pn) });
                    prop_assert!(controller.window() >= before);
                    prop_assert!(!app_limited || controller.window() == before);
                }
                Report::Lost(sent, bytes, persistent, ecn) => {
                    controller.on_congestion(now, Instant::from_nanos(sent), bytes, 0, persistent, ecn);
                    prop_assert!(controller.window() <= before.max(2 * u64::from(mtu)));
                }
                Report::Spurious => controller.on_spurious(now),
                Report::Mtu(size) => {
                    mtu = size.max(1);
                    controller.on_mtu(mtu);
                }
                Report::Sample(nanos) => rtt.update(Duration::from_nanos(nanos), Duration::ZERO),
                Report::Wait(nanos) => now += Duration::from_nanos(nanos),
                Report::Reset => controller.reset(now),
            }
            prop_assert!(controller.window() >= 2 * u64::from(mtu));
            prop_assert!(controller.window() <= 1 << 40);
            prop_assert!(controller.ssthresh() >= 2);
            prop_assert!(controller.pacing_rate(&rtt) >= 120_000);
        }
    }
}

/// A controller out of slow start, with 1 MB/s delivered last.
fn delivering(algorithm: Algorithm) -> Controller {
    let mut clock = AckClock::new(algorithm, 1200, 50 * MS);
    clock.lose_at(100.0);
    let (mut controller, now) = (clock.controller, clock.now);
    let sample = RateSample { rate: 1_000_000, delivered: 50_000, interval: 50 * MS, app_limited: false };
    let rtt = settled(50 * MS);
    controller.on_ack(now, &Ack { delivered: Some(sample), ..ack(&rtt, 1200, now, 9999) });
    controller
}

#[test]
fn a_longer_way_back_widens_the_window_by_what_is_carried_meanwhile() {
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
        let mut controller = delivering(algorithm);
        let window = controller.window();
        controller.on_way_back(&settled(50 * MS), &settled(70 * MS));
        assert_eq!(controller.window(), window + 20_000, "{algorithm}");
        // A queue that the new way has seen and the old one not is no longer way.
        let mut queued = settled(100 * MS);
        queued.update(100 * MS, Duration::ZERO);
        let mut old = settled(50 * MS);
        (0..99).for_each(|_| old.update(95 * MS, Duration::ZERO));
        controller.on_way_back(&old, &queued);
        assert!(controller.window().abs_diff(window + 25_000) < 1500, "{algorithm}: {}", controller.window());
        // At most twice the window. A shorter one takes away what a longer one gave, and no more.
        let window = controller.window();
        controller.on_way_back(&settled(50 * MS), &settled(5000 * MS));
        assert_eq!(controller.window(), 2 * window);
        controller.on_way_back(&settled(70 * MS), &settled(60 * MS));
        assert_eq!(controller.window(), 2 * window - 10_000);
        let plain = delivering(algorithm).window();
        controller.on_way_back(&settled(5000 * MS), &settled(50 * MS));
        assert!(controller.window().abs_diff(plain) <= 1, "{} {plain}", controller.window());
        controller.on_way_back(&settled(5000 * MS), &settled(50 * MS));
        assert!(controller.window().abs_diff(plain) <= 1);
    }
}

#[test]
fn a_longer_way_back_is_nothing_to_a_first_slow_start_and_to_coupled_windows() {
    for algorithm in Algorithm::ALL {
        let mut fresh = Controller::new(algorithm, at(0), 1200);
        fresh.on_way_back(&settled(50 * MS), &settled(90 * MS));
        assert_eq!(fresh.window(), initial_window(1200));
    }
    let mut coupled = delivering(Algorithm::Olia);
    let window = coupled.window();
    coupled.on_way_back(&settled(50 * MS), &settled(90 * MS));
    assert_eq!(coupled.window(), window);
}

#[test]
fn everything_a_path_holds_is_small() {
    let sizes: Vec<usize> = [size_of::<Controller>(), size_of::<RateSampler>(), size_of::<Rtt>()].into();
    assert!(sizes.iter().sum::<usize>() <= 1250, "{sizes:?}");
}
