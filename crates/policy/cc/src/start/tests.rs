use tq_time::{Duration, Instant};

use super::Start;
use crate::testing::{MS, ack, settled};
use crate::{Ack, Algorithm, Controller, RateSample, Rtt};

const MTU: u64 = 1200;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn rate(rate: u64) -> Option<RateSample> {
    Some(RateSample { delivered: 1, interval: MS, rate, app_limited: false })
}

/// One round of ten acknowledgements at `bytes_per_second`; true if it ends slow start.
fn round(start: &mut Start, rtt: &Rtt, bytes_per_second: u64, window: u64, slow: bool) -> bool {
    for _ in 0..10 {
        start.on_ack(at(1), &Ack { delivered: rate(bytes_per_second), ..ack(rtt, MTU, at(0), 1) }, MTU);
    }
    start.on_round(window, slow)
}

#[test]
fn a_window_ahead_of_delivery_for_two_rounds_ends_slow_start() {
    let rtt = settled(100 * MS);
    let mut start = Start::new(false);
    // Doubling: 100 kB are delivered in 100 ms, the window is twice that.
    assert!(!round(&mut start, &rtt, 500_000, 100_000, false));
    assert!(!round(&mut start, &rtt, 1_000_000, 200_000, false));
    assert!(!start.is_careful(200_000));
    // 2.5 times the volume is the bound of SEARCH.
    start.on_ack(at(1), &Ack { delivered: rate(1_000_000), ..ack(&rtt, MTU, at(0), 1) }, MTU);
    assert!(!start.is_careful(250_000) && start.is_careful(250_001));
    assert!(!round(&mut start, &rtt, 1_000_000, 260_000, false));
    assert!(start.is_careful(0), "for the round that follows");
    assert!(round(&mut start, &rtt, 1_000_000, 280_000, false));
    assert_eq!(start.capacity(), Some(112_500));
}

#[test]
fn one_round_ahead_is_forgiven() {
    let rtt = settled(100 * MS);
    let mut start = Start::new(false);
    assert!(!round(&mut start, &rtt, 1_000_000, 200_000, false));
    assert!(!round(&mut start, &rtt, 1_000_000, 300_000, false));
    assert!(!round(&mut start, &rtt, 2_000_000, 400_000, false));
    assert!(!round(&mut start, &rtt, 2_000_000, 600_000, false));
    assert!(!round(&mut start, &rtt, 4_000_000, 800_000, false));
}

#[test]
fn a_rate_that_stands_while_the_round_trips_grow_ends_slow_start() {
    let mut start = Start::new(false);
    let risen = |ms: u32| {
        let mut rtt = settled(40 * MS);
        rtt.update(ms * MS, Duration::ZERO);
        rtt
    };
    assert!(!round(&mut start, &risen(40), 500_000, 40_000, false));
    assert!(!round(&mut start, &risen(40), 1_000_000, 80_000, false));
    // 1.25 times the mean is no rise yet, more is.
    assert!(!round(&mut start, &risen(50), 1_000_000, 80_000, false));
    assert!(!start.is_careful(0));
    assert!(!round(&mut start, &risen(51), 1_000_000, 80_000, false));
    assert!(start.is_careful(0));
    assert!(round(&mut start, &risen(60), 1_000_000, 80_000, false));
}

#[test]
fn round_trips_by_a_longer_way_back_are_no_rise() {
    let mut start = Start::new(false);
    assert!(!round(&mut start, &settled(40 * MS), 1_000_000, 40_000, false));
    for _ in 0..4 {
        assert!(!round(&mut start, &settled(60 * MS), 1_000_000, 80_000, false));
        assert!(!start.is_careful(0));
    }
}

#[test]
fn conservative_slow_start_is_over_with_the_first_round_that_brings_no_more() {
    let rtt = settled(40 * MS);
    for (brought, over) in [(1_100_000, false), (1_099_999, true)] {
        let mut start = Start::new(false);
        assert!(!round(&mut start, &rtt, 1_000_000, 0, true), "nothing to compare with");
        assert_eq!(round(&mut start, &rtt, brought, 0, true), over);
    }
}

#[test]
fn jitter_makes_the_round_trip_longer_and_no_exit() {
    // 20 to 36 ms: a window that doubles is twice the volume of the mean, but 2.8 times that of the least.
    let mut start = Start::new(false);
    for _ in 0..3 {
        for ms in [20, 36, 24, 32, 28, 20, 36, 24, 32, 28] {
            let mut rtt = settled(20 * MS);
            rtt.update(ms * MS, Duration::ZERO);
            start.on_ack(at(1), &Ack { delivered: rate(1_000_000), ..ack(&rtt, MTU, at(0), 1) }, MTU);
        }
        assert!(!start.on_round(56_000, false));
    }
    assert!(!start.is_careful(56_000));
    assert_eq!(start.capacity(), Some(31_500));
}

#[test]
fn without_samples_nothing_is_concluded() {
    let mut start = Start::new(true);
    assert!(!start.on_round(u64::MAX, false) && !start.on_round(u64::MAX, true));
    assert!(!start.is_careful(u64::MAX));
    assert_eq!((start.capacity(), start.proven(), start.jump()), (None, None, None));
}

/// Acknowledges a train of sixteen packets sent at `sent`, four at a time, `gap` apart.
fn train(start: &mut Start, rtt: &Rtt, sent: u64, gap: Duration) {
    let first = at(sent) + rtt.latest();
    for i in 0..4 {
        start.on_ack(first + gap * i, &ack(rtt, 4 * MTU, at(sent), u64::from(i)), MTU);
    }
}

#[test]
fn two_trains_tell_half_of_what_a_long_path_carries_once() {
    let rtt = settled(300 * MS);
    let mut start = Start::new(true);
    // 4800 bytes in 1 and 2 ms: the slower is 2.4 MB/s, which is 720 kB in 300 ms.
    train(&mut start, &rtt, 0, MS);
    assert_eq!((start.jump(), start.train_rate()), (None, None));
    assert!(start.wants_trains());
    train(&mut start, &rtt, 40, 2 * MS);
    assert_eq!((start.jump(), start.train_rate()), (Some(360_000), Some(2_400_000)));
    assert_eq!(start.jump(), None);
    assert!(!start.wants_trains());
}

#[test]
fn a_held_back_last_acknowledgement_does_not_slow_a_train() {
    let rtt = settled(300 * MS);
    let mut start = Start::new(true);
    for sent in [0, 50, 100] {
        train(&mut start, &rtt, sent, 2 * MS);
        start.on_ack(at(sent + 331), &ack(&rtt, MTU, at(sent), 9), MTU);
    }
    assert_eq!(start.jump(), Some(360_000));
}

#[test]
fn what_was_held_back_counts_for_nothing_though_the_train_would_be_too_short_without() {
    let rtt = settled(300 * MS);
    let mut start = Start::new(true);
    // Six packets in 2 ms after the first acknowledgement, and two 25 ms later: six are enough when no more comes.
    for sent in [0, 50, 100] {
        for (gap, packets) in [(0, 3), (1, 3), (2, 3), (27, 2)] {
            start.on_ack(at(sent + 300 + gap), &ack(&rtt, packets * MTU, at(sent), gap), MTU);
        }
    }
    assert_eq!((start.jump(), start.train_rate()), (Some(540_000), Some(3_600_000)));
}

#[test]
fn an_acknowledgement_of_less_than_those_before_counts_if_another_follows() {
    let rtt = settled(300 * MS);
    let jumped = |acks: &[(u64, u64)]| {
        let mut start = Start::new(true);
        for sent in [0, 50, 100] {
            for (micros, packets) in acks {
                let now = at(sent + 300) + Duration::from_micros(*micros);
                start.on_ack(now, &ack(&rtt, packets * MTU, at(sent), *micros), MTU);
            }
        }
        start.train_rate().or_else(|| start.jump().and_then(|_| start.train_rate()))
    };
    // Packets that arrive 100 us apart. The last one waited for another; it came too soon after the others to be seen.
    assert_eq!(jumped(&[(0, 3), (300, 3), (600, 3), (900, 3), (1900, 1)]), Some(12_000_000));
    assert_eq!(
        jumped(&[(0, 3), (300, 3), (600, 3), (1600, 2)]),
        Some(12_000_000),
        "held back, not seen as such"
    );
    // Those in the middle went with what another path had to say.
    assert_eq!(jumped(&[(0, 2), (300, 3), (500, 2), (700, 2), (1200, 1)]), Some(12_000_000));
}

#[test]
fn a_train_that_was_short_counts_when_the_next_one_begins() {
    let rtt = settled(300 * MS);
    let mut start = Start::new(true);
    let mut short = |sent, packets| {
        start.on_ack(at(300 + sent), &ack(&rtt, 4 * MTU, at(sent), 1), MTU);
        start.on_ack(at(301 + sent), &ack(&rtt, packets * MTU, at(sent), 2), MTU);
        start.jump()
    };
    assert_eq!([short(0, 5), short(10, 4), short(20, 5)], [None; 3], "four are too few");
    assert_eq!(short(30, 5), Some(900_000));
}

#[test]
fn short_trains_and_short_paths_tell_nothing() {
    let rtt = settled(300 * MS);
    let mut start = Start::new(true);
    for sent in 0..9 {
        start.on_ack(at(300 + sent * 10), &ack(&rtt, 4 * MTU, at(sent * 10), 1), MTU);
        start.on_ack(at(301 + sent * 10), &ack(&rtt, 4 * MTU, at(sent * 10), 2), MTU);
    }
    assert_eq!(start.jump(), None);
    for (rtt, on) in [(59 * MS, true), (300 * MS, false)] {
        let mut start = Start::new(on);
        for sent in 0..9 {
            train(&mut start, &settled(rtt), sent * 20, MS);
        }
        assert_eq!((start.jump(), start.wants_trains(), start.scale()), (None, false, 1000));
    }
}

#[test]
fn the_initial_window_is_scaled_to_the_length_of_the_path() {
    for (rtt, window) in [(99, 13_000), (100, 13_000), (250, 31_000), (600, 73_000), (2000, 73_000)] {
        let rtt = settled(Duration::from_millis(rtt));
        let mut controller = Controller::new(Algorithm::Cubic, at(0), 1200).with_long_start(true);
        controller.on_ack(at(1), &ack(&rtt, 1000, at(0), 1));
        assert!(controller.window().abs_diff(window) <= 6000, "{} at {rtt:?}", controller.window());
        let mut plain = Controller::new(Algorithm::Cubic, at(0), 1200);
        plain.on_ack(at(1), &ack(&rtt, 1000, at(0), 1));
        assert_eq!(plain.window(), 13_000);
    }
}

#[test]
fn a_loss_soon_after_the_jump_leaves_what_was_proven() {
    let rtt = settled(300 * MS);
    let mut controller = Controller::new(Algorithm::Cubic, at(0), 1200).with_long_start(true);
    let mut pn = 0;
    for sent in [0, 20, 40, 60] {
        for i in 0..4 {
            pn += 1;
            let ack = Ack { delivered: rate(200_000), ..ack(&rtt, 4 * MTU, at(sent), pn) };
            controller.on_ack(at(sent + 300 + 2 * i), &ack);
        }
    }
    assert!(controller.window() >= 360_000, "{}", controller.window());
    controller.on_congestion(at(500), at(400), 1200, 0, false, false);
    // 200 kB/s for 300 ms.
    assert!((59_000..61_000).contains(&controller.window()), "{}", controller.window());
}

#[test]
fn the_window_drains_to_the_path_and_losses_of_the_overshoot_are_answered_for() {
    let rtt = settled(100 * MS);
    let mut controller = Controller::new(Algorithm::Cubic, at(0), 1200);
    let (mut pn, mut ms) = (0, 0);
    // 1 MB/s is delivered whatever the window is.
    while controller.ssthresh() == u64::MAX {
        for _ in 0..20 {
            (pn, ms) = (pn + 4, ms + 5);
            controller.on_sent(at(ms), 1200, 0, pn + 100);
            controller.on_ack(at(ms), &Ack { delivered: rate(1_000_000), ..ack(&rtt, 5000, at(ms), pn) });
        }
        assert!(ms < 5000, "slow start does not end");
    }
    let drained = controller.ssthresh();
    assert!((112_000..114_000).contains(&drained), "{drained}");
    let before = controller.window();
    controller.on_congestion(at(ms), at(ms - 200), 1200, 0, false, false);
    assert_eq!(controller.window(), before);
    controller.on_congestion(at(ms + 9), at(ms + 1), 1200, 0, false, false);
    assert!(controller.window() < before);
}

#[test]
fn with_as_much_the_other_way_the_window_falls_as_for_a_loss_and_no_further() {
    let rtt = settled(100 * MS);
    let mut controller = Controller::new(Algorithm::Cubic, at(0), 1200);
    let (mut pn, mut ms, mut before) = (0, 0, 0);
    while controller.ssthresh() == u64::MAX {
        for _ in 0..20 {
            (pn, ms) = (pn + 4, ms + 5);
            before = controller.window();
            controller.on_sent(at(ms), 1200, 0, pn + 100);
            let ack = Ack { delivered: rate(1_000_000), two_way: true, ..ack(&rtt, 5000, at(ms), pn) };
            controller.on_ack(at(ms), &ack);
            if controller.ssthresh() != u64::MAX {
                break;
            }
        }
        assert!(ms < 5000, "slow start does not end");
    }
    let after = controller.window();
    assert!(after >= before * 7 / 10 && after < before * 3 / 4, "{after} of {before}");
    // before slow start ends, a loss halves or less what it was, whatever acknowledgements tell
    let mut controller = Controller::new(Algorithm::Cubic, at(0), 1200);
    for pn in 1..20 {
        controller.on_sent(at(pn), 1200, 0, pn);
        let ack = Ack { delivered: rate(100_000), two_way: true, ..ack(&rtt, 5000, at(pn), pn) };
        controller.on_ack(at(pn), &ack);
    }
    let before = controller.window();
    controller.on_congestion(at(30), at(20), 1200, 0, false, false);
    assert_eq!(controller.window(), before * 7 / 10);
}

#[test]
fn rounds_that_the_application_held_back_end_nothing() {
    let rtt = settled(100 * MS);
    for limited in [false, true] {
        let mut start = Start::new(false);
        assert!(!round(&mut start, &rtt, 1_000_000, 200_000, false));
        let ended = (0..4).any(|_| {
            for _ in 0..10 {
                let ack = Ack { delivered: rate(100_000), app_limited: limited, ..ack(&rtt, MTU, at(0), 1) };
                start.on_ack(at(1), &ack, MTU);
            }
            start.on_round(300_000, false)
        });
        assert_eq!(ended, !limited);
    }
}

#[test]
fn a_rate_that_was_acknowledged_by_a_longer_way_ends_nothing() {
    let rtt = settled(6 * MS);
    let mut start = Start::new(false);
    assert!(!round(&mut start, &rtt, 4_000_000, 48_000, false));
    // The window doubles, acknowledgements take 11 ms instead of 6, and so the rate seems to stand.
    let slower = RateSample { delivered: 1, interval: 11 * MS, rate: 4_000_000, app_limited: false };
    for window in [96_000, 192_000, 384_000] {
        for _ in 0..10 {
            start.on_ack(at(1), &Ack { delivered: Some(slower), ..ack(&rtt, MTU, at(0), 1) }, MTU);
        }
        assert!(!start.is_careful(0));
        assert!(!start.on_round(window, false));
    }
}

#[test]
fn a_narrow_path_is_sent_no_trains() {
    let mut rtt = settled(100 * MS);
    let mut start = Start::new(true);
    let sample = |rate| Some(RateSample { delivered: 1, interval: 100 * MS, rate, app_limited: false });
    start.on_ack(at(1), &Ack { delivered: sample(17_000), ..ack(&rtt, MTU, at(0), 1) }, MTU);
    assert!(start.wants_trains(), "so little may be the window's");
    rtt.update(201 * MS, Duration::ZERO);
    start.on_ack(at(1), &Ack { delivered: sample(200_000), ..ack(&rtt, MTU, at(0), 1) }, MTU);
    assert!(start.wants_trains());
    start.on_ack(at(1), &Ack { delivered: sample(17_000), ..ack(&rtt, MTU, at(0), 1) }, MTU);
    assert!(!start.wants_trains());
}
