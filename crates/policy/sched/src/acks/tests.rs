use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * MS)
}

fn path(id: u32, rtt: u64, heard: u64) -> AckPath {
    AckPath {
        id,
        healthy: true,
        received_at: Some(at(heard)),
        received: 100_000,
        srtt: rtt * MS,
        return_delay: (rtt / 2 * MS) as i64,
        metered: false,
    }
}

fn routing(now: u64, paths: &[AckPath]) -> AckRouting {
    let mut routing = AckRouting::new();
    routing.update(at(now), paths);
    routing
}

const BOTH: Routes = Routes { own: true, fast: Some(0) };

#[test]
fn a_long_path_is_acknowledged_on_the_short_one_and_now_and_then_on_itself() {
    let paths = [path(0, 20, 1000), path(1, 600, 1000)];
    let mut routing = routing(1000, &paths);
    assert_eq!(routing.fast(), Some(0));
    assert_eq!(routing.routes(at(1000), 1, true, false, &paths), BOTH);
    routing.on_ack_sent(at(1000), 1, 1);
    routing.on_ack_sent(at(1000), 1, 0);
    assert_eq!(routing.own_deadline(at(1000), 1, &paths), Some(at(1150)), "a quarter of its RTT");
    let fast_only = Routes { own: false, fast: Some(0) };
    assert_eq!(routing.routes(at(1005), 1, true, false, &paths), fast_only);
    assert_eq!(routing.routes(at(1005), 1, false, true, &paths), Routes { own: true, fast: None });
    assert_eq!(routing.routes(at(1150), 1, true, false, &paths), BOTH);
    assert_eq!(routing.routes(at(1005), 0, true, false, &paths), Routes { own: true, fast: None });
    assert_eq!(routing.own_deadline(at(1000), 0, &paths), None);
}

#[test]
fn alike_paths_acknowledge_themselves() {
    let paths = [path(0, 40, 1000), path(1, 50, 1000), path(2, 64, 1000)];
    let routing = routing(1000, &paths);
    assert_eq!(routing.routes(at(1000), 1, true, false, &paths), Routes { own: true, fast: None });
    assert_eq!(routing.routes(at(1000), 1, false, false, &paths), Routes::default());
    assert_eq!(routing.routes(at(1000), 2, true, false, &paths), BOTH, "1.5 times");
}

#[test]
fn a_fast_path_that_falls_silent_is_left_at_once() {
    let paths = [path(0, 20, 700), path(1, 600, 1000)];
    let mut routing = routing(800, &paths);
    assert_eq!(routing.fast(), Some(0));
    let alone = Routes { own: true, fast: None };
    assert_eq!(routing.routes(at(1000), 1, true, false, &paths), alone, "before anything is chosen anew");
    assert_eq!(routing.update(at(1000), &paths), Some(1));
    assert_eq!(routing.routes(at(1000), 1, true, false, &paths), alone);
}

#[test]
fn unknown_unhealthy_and_metered_paths_are_not_loaded() {
    let unknown = AckPath { received_at: None, ..path(0, 20, 0) };
    let ill = AckPath { healthy: false, ..path(0, 20, 1000) };
    let metered = AckPath { metered: true, ..path(0, 20, 1000) };
    for other in [unknown, ill, metered] {
        let paths = [other, path(1, 600, 1000)];
        let routes = routing(1000, &paths).routes(at(1000), 1, true, false, &paths);
        assert_eq!(routes, Routes { own: true, fast: None }, "{other:?}");
    }
    let quiet = [path(0, 20, 1000), path(1, 600, 1000)];
    let later = [path(0, 20, 9000), path(1, 600, 1000)];
    let fast_only = Routes { own: false, fast: Some(0) };
    assert_eq!(
        routing(1000, &quiet).routes(at(9000), 1, true, false, &later),
        fast_only,
        "nothing arrives there"
    );
    let paths = [path(0, 600, 1000), AckPath { healthy: false, ..path(1, 20, 1000) }];
    assert_eq!(routing(1000, &paths).routes(at(1000), 1, true, false, &paths), BOTH, "though it is longer");
}

#[test]
fn the_fast_path_changes_only_for_one_that_stays_better() {
    let mut paths = [path(0, 40, 1000), path(1, 60, 1000)];
    let mut routing = routing(1000, &paths);
    let mut fast = |now: u64, second: u64| {
        paths[1] = path(1, second, now);
        paths[0].received_at = Some(at(now));
        routing.update(at(now), &paths)
    };
    assert_eq!(fast(1100, 38), Some(0));
    assert_eq!(fast(9000, 38), Some(0), "1 ms is no reason");
    assert_eq!(fast(9100, 20), Some(0));
    assert_eq!(fast(9900, 20), Some(0));
    assert_eq!(fast(10_000, 60), Some(0), "not for a second");
    assert_eq!(fast(10_100, 20), Some(0));
    assert_eq!(fast(11_100, 20), Some(1));
    routing.forget(1);
    assert_eq!(routing.fast(), None);
}

#[test]
fn the_pace_follows_window_and_round_trip() {
    let ms = Duration::from_millis;
    assert_eq!(Pace::new(ms(20), 14_000, 1400), Pace { packets: 2, delay: Duration::from_micros(2500) });
    assert_eq!(Pace::new(ms(1), 1_400_000, 1400), Pace { packets: 64, delay: ms(1) });
    assert_eq!(Pace::new(ms(600), 140_000, 1400), Pace { packets: 12, delay: ms(25) });
    assert_eq!(Pace::new(ms(100), 140_000, 0).delay, ms(5));
}

#[test]
fn a_path_on_which_little_arrives_does_not_bring_the_acknowledgements_of_much() {
    let ms = |now: u64, little: u64, much: u64| {
        let little = AckPath { received: little, ..path(0, 5, now) };
        [little, AckPath { received: much, ..path(1, 40, now) }]
    };
    let mut routing = AckRouting::new();
    // 1 Mbit/s beside 88: every other packet of 1400 bytes is acknowledged, wherever.
    let mut left = None;
    for now in 1..1000 {
        let paths = ms(now, now * 125, now * 11_000);
        let fast = routing.update(at(now), &paths);
        if fast != Some(0) {
            left = left.or(Some(now));
        }
        for _ in 0..4 {
            routing.on_ack_sent(at(now), 1, fast.unwrap_or(1));
        }
    }
    assert!(left.is_some_and(|at| at < 10), "the first kilobyte may: {left:?}");
    assert_eq!(routing.fast(), Some(1), "nor does it later");
    // Now it brings as much itself: it is used again when it was better for a second.
    for now in 1000..3000 {
        let paths = ms(now, 125_000 + (now - 1000) * 11_000, now * 11_000);
        let fast = routing.update(at(now), &paths);
        for _ in 0..4 {
            routing.on_ack_sent(at(now), 1, fast.unwrap_or(1));
        }
    }
    assert_eq!(routing.fast(), Some(0));
}

#[test]
fn a_path_that_was_alone_is_left_at_once_for_a_better_one() {
    let first = path(0, 600, 1000);
    let mut routing = routing(1000, &[first]);
    assert_eq!(routing.fast(), Some(0), "there is no other");
    let both = [first, path(1, 20, 1000)];
    assert_eq!(routing.update(at(1001), &both), Some(1), "nobody chose the first one");
    // Between two that were there it takes a second.
    let turned = [path(0, 20, 1000), path(1, 600, 1000)];
    assert_eq!(routing.update(at(1002), &turned), Some(1));
}

#[test]
fn acknowledgements_become_fewer_before_they_leave_the_short_way() {
    // 5 Mbit/s, 20 ms beside 85, 190 ms: every third packet of 1400 bytes is acknowledged, or as many fewer as is asked for.
    let mut routing = AckRouting::new();
    let mut sent = 0;
    for now in 1..5000 {
        let small = AckPath { received: now * 625, ..path(0, 20, now) };
        let paths = [small, AckPath { received: now * 10_600, ..path(1, 190, now) }];
        assert_eq!(routing.update(at(now), &paths), Some(0), "{now} ms");
        let due = now * 10_600 / 1400 / 3;
        let times = u64::from(routing.thinning(0));
        assert!((1..=8).contains(&times));
        while sent + times <= due {
            sent += times;
            routing.on_ack_sent(at(now), 1, 0);
        }
    }
    assert_eq!(routing.thinning(1), 1);
    assert!(routing.thinning(0) > 1);
}
