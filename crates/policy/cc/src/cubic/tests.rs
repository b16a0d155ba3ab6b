use std::vec::Vec;

use proptest::prelude::*;
use tq_time::{Duration, Instant};

use super::{Cubic, Epoch, inflection, window_at};
use crate::controller::Law;
use crate::fixed::Bytes;
use crate::testing::{AckClock, MS, ack, settled};
use crate::{Algorithm, Controller};

const MTU: u64 = 1500;

/// `W_cubic(t)` of RFC 9438 §4.2 in packets and seconds.
fn cubic(t: f64, w_max: f64, start: f64) -> f64 {
    let k = ((w_max - start) / 0.4).cbrt();
    0.4 * (t - k).powi(3) + w_max
}

fn inner(controller: &Controller) -> &Cubic {
    match &controller.law {
        Law::Cubic(cubic) => cubic,
        _ => panic!("asked for CUBIC"),
    }
}

fn packets(bytes: Bytes) -> f64 {
    bytes.units() as f64 / 65_536.0 / MTU as f64
}

#[test]
fn the_window_follows_w_of_t_through_both_halves() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    let w_max = clock.lose_at(1000.0);
    clock.recover();
    let (began, start) = (clock.now, clock.packets());
    assert!((start - 0.7 * w_max).abs() < 0.1);
    // K = cbrt(300/0.4) = 9.09 s; up to 2K the window is the concave and then the convex half.
    let k = ((w_max - start) / 0.4).cbrt();
    while clock.now < began + Duration::from_secs_f64(2.0 * k) {
        clock.run(100 * MS);
        let t = clock.now.saturating_since(began).as_secs_f64();
        let (is, ought) = (clock.packets(), cubic(t, w_max, start));
        assert!((is / ought - 1.0).abs() < 0.005, "{is} against {ought} at {t} s");
    }
    assert!((clock.packets() / (2.0 * w_max - start) - 1.0).abs() < 0.01);
}

// MUST 9002-7-1
#[test]
fn the_mean_window_of_a_cycle_is_the_response_function() {
    // RFC 9438 §5.1: a cycle lasts until the old maximum is reached again, and with one loss per cycle the mean
    // window is 1.054 (RTT/p)^(3/4) packets: 187 at p = 10^-4 and 1054 at p = 10^-5 for an RTT of 0.1 s.
    for (mean_of_rfc, distance) in [(187.0, 1e4), (1054.0, 1e5)] {
        let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
        // The mean is 1 - 0.3/4 of the maximum.
        let w_max = clock.lose_at(mean_of_rfc / 0.925);
        clock.recover();
        let (began, first) = (clock.now, clock.acked);
        clock.run(Duration::from_secs_f64((0.3 * w_max / 0.4).cbrt()));
        let packets = (clock.acked - first) as f64 / MTU as f64;
        let round_trips = clock.now.saturating_since(began).as_secs_f64() / 0.1;
        assert!((packets / distance - 1.0).abs() < 0.02, "{packets} in a cycle");
        let mean = packets / round_trips;
        assert!((mean / mean_of_rfc - 1.0).abs() < 0.01, "{mean} against {mean_of_rfc}");
    }
}

#[test]
fn on_a_short_path_it_is_as_fast_as_reno() {
    // 10 ms: K is 4.2 s, far behind Reno. alpha is 9/17 per round trip up to the old window, then 1.
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 10 * MS);
    let prior = clock.lose_at(100.0);
    clock.recover();
    let start = clock.packets();
    let rounds_to_prior = (prior - start) * 17.0 / 9.0;
    clock.run(30 * 10 * MS);
    let slow = start + 30.0 * 9.0 / 17.0;
    assert!((clock.packets() - slow).abs() < 0.5, "{} against {slow}", clock.packets());
    clock.run(90 * 10 * MS);
    let fast = prior + 120.0 - rounds_to_prior;
    assert!((clock.packets() - fast).abs() < 1.5, "{} against {fast}", clock.packets());
}

#[test]
fn a_loss_below_the_last_maximum_lowers_the_memory_but_reduces_once() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    let first = clock.lose_at(1000.0);
    clock.recover();
    clock.run(2000 * MS);
    let second = clock.packets();
    assert!(second < first);
    clock.lose();
    assert!((clock.packets() - 0.7 * second).abs() < 0.01);
    let cubic = inner(&clock.controller);
    assert!((packets(cubic.state.w_max) - 0.85 * second).abs() < 0.01);
    assert!((packets(cubic.state.prior) - second).abs() < 0.01);
}

#[test]
fn a_loss_above_the_last_maximum_remembers_the_window_itself() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    clock.lose_at(100.0);
    clock.recover();
    let second = clock.lose_at(150.0);
    assert!((packets(inner(&clock.controller).state.w_max) - second).abs() < 0.01);
}

#[test]
fn the_target_is_at_most_half_again_the_window() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    clock.lose_at(20.0);
    clock.recover();
    clock.ack();
    // Acknowledgements stop for a minute but packets stay in flight: W_cubic is now 80 000 packets.
    clock.now += Duration::from_secs(60);
    let before = clock.packets();
    let sent_at = clock.now - 100 * MS;
    let bytes = clock.controller.window();
    clock.controller.on_ack(clock.now, &ack(&settled(100 * MS), bytes, sent_at, 1 << 20));
    let growth = clock.packets() / before;
    assert!((growth - 1.5).abs() < 0.001, "{growth}");
}

#[test]
fn time_without_use_of_the_window_does_not_count() {
    let run = |pause: &dyn Fn(&mut AckClock)| {
        let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
        clock.lose_at(1000.0);
        clock.recover();
        clock.run(4000 * MS);
        pause(&mut clock);
        clock.run(4000 * MS);
        clock.packets()
    };
    let busy = run(&|_| ());
    let app_limited = run(&|clock| {
        clock.app_limited = true;
        let before = clock.packets();
        clock.run(Duration::from_secs(5));
        assert_eq!(clock.packets(), before);
        clock.app_limited = false;
    });
    assert!((busy / app_limited - 1.0).abs() < 0.002, "{busy} and {app_limited}");
    let idle = run(&|clock| {
        clock.now += Duration::from_secs(60);
        clock.controller.on_sent(clock.now, 1500, 0, clock.acked / MTU);
    });
    assert!((busy / idle - 1.0).abs() < 0.002, "{busy} and {idle}");
}

#[test]
fn after_hystart_the_curve_begins_at_its_inflection_point() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    while clock.packets() < 500.0 {
        clock.ack();
    }
    // The queue fills: the RTT rises for good.
    for _ in 0..40 {
        clock.rtt.update(150 * MS, Duration::ZERO);
    }
    while clock.controller.in_slow_start() {
        clock.ack();
    }
    let start = clock.packets();
    clock.ack();
    let epoch = inner(&clock.controller).state.epoch;
    let epoch = epoch.expect("congestion avoidance has begun");
    assert_eq!(epoch.k, 0);
    assert!((packets(epoch.origin) - start).abs() < 0.1);
    let began = epoch.start;
    clock.run(8000 * MS);
    let t = clock.now.saturating_since(began).as_secs_f64();
    let ought = cubic(t, start, start);
    assert!((clock.packets() / ought - 1.0).abs() < 0.01, "{} against {ought}", clock.packets());
}

#[test]
fn a_spurious_event_is_undone_as_if_it_had_not_been() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1500, 100 * MS);
    clock.lose_at(1000.0);
    clock.recover();
    clock.run(5000 * MS);
    let before = *inner(&clock.controller);
    let sent_at = clock.now - 100 * MS;
    clock.controller.on_congestion(clock.now, sent_at, MTU, 0, false, false);
    assert!(clock.controller.window() < before.state.recovery.window());
    clock.run(200 * MS);
    clock.controller.on_spurious(clock.now);
    let after = inner(&clock.controller);
    assert_eq!(after.state.recovery.cwnd, before.state.recovery.cwnd);
    assert_eq!(after.state.recovery.ssthresh, before.state.recovery.ssthresh);
    assert_eq!((after.state.w_max, after.state.prior), (before.state.w_max, before.state.prior));
    let key = |epoch: Option<Epoch>| epoch.map(|e| (e.start, e.origin, e.k, e.reno));
    assert_eq!(key(after.state.epoch), key(before.state.epoch));
    // Undone once only, and growth goes on.
    let window = clock.controller.window();
    clock.controller.on_spurious(clock.now);
    assert_eq!(clock.controller.window(), window);
    clock.run(200 * MS);
    assert!(clock.controller.window() > window);
}

#[test]
fn a_change_of_packet_size_keeps_the_window_and_the_curve_s_maximum() {
    let mut clock = AckClock::new(Algorithm::Cubic, 1200, 100 * MS);
    clock.lose_at(1000.0);
    clock.recover();
    clock.run(1000 * MS);
    let (window, w_max) = (clock.controller.window(), inner(&clock.controller).state.w_max);
    clock.controller.on_mtu(1452);
    clock.mtu = 1452;
    assert_eq!(clock.controller.window(), window);
    clock.ack();
    let epoch = inner(&clock.controller).state.epoch.expect("a new epoch");
    assert_eq!(epoch.origin, w_max);
    let k = ((w_max.floor() - window) as f64 / 1452.0 / 0.4).cbrt();
    assert!((epoch.k as f64 / 1e6 - k).abs() < 1e-3);
}

#[test]
fn ten_gigabits_over_a_satellite_do_not_overflow() {
    let mut clock = AckClock::new(Algorithm::Cubic, 9000, 600 * MS);
    clock.lose_at(83_333.0);
    clock.recover();
    clock.run(Duration::from_secs(60));
    let ought = cubic(60.0, 83_333.0, 0.7 * 83_333.0);
    assert!((clock.packets() / ought - 1.0).abs() < 0.01, "{} against {ought}", clock.packets());
}

proptest! {
    #[test]
    fn the_curve_is_that_of_the_rfc(below in 0u64..1 << 32, base in 3000u64..1 << 32, mtu in 1200u64..9000, ms in 0u64..600_000) {
        let origin = Bytes::new(base + below);
        let k = inflection(Bytes::new(below), mtu);
        let exact = (below as f64 / mtu as f64 / 0.4).cbrt() * 1e6;
        prop_assert!((k as f64 - exact).abs() <= 1.0 + exact * 1e-12);
        let epoch = Epoch { start: Instant::ZERO, origin, k, reno: Bytes::ZERO };
        let t = ms as f64 / 1e3;
        let change = 0.4 * (t - exact / 1e6).powi(3) * mtu as f64;
        let ought = (origin.floor() as f64 + change).clamp(0.0, (1u64 << 40) as f64);
        let is = window_at(&epoch, Duration::from_millis(ms), mtu).units() as f64 / 65_536.0;
        // A microsecond of K at the steepest point, or the last bit of a double.
        let slope = 1.2 * (t - exact / 1e6).powi(2) * mtu as f64 * 1e-6;
        prop_assert!((is - ought).abs() <= 1.0 + slope * 1.01 + ought * 1e-9, "{is} against {ought}");
    }

    #[test]
    fn the_curve_never_falls_nor_panics(
        below: u64, origin: u64, mtu in 1u64..65_536, times in proptest::collection::vec(0u64.., 2..20)
    ) {
        let origin = Bytes::new(origin);
        let k = inflection(Bytes::new(below), mtu);
        let epoch = Epoch { start: Instant::ZERO, origin, k, reno: Bytes::ZERO };
        let mut times = times;
        times.sort_unstable();
        let windows: Vec<_> = times.iter().map(|&t| window_at(&epoch, Duration::from_nanos(t), mtu)).collect();
        prop_assert!(windows.is_sorted());
    }
}
