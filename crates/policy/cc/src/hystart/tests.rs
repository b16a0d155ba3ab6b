use tq_time::{Duration, Instant};

use super::HyStart;
use crate::testing::{AckClock, MS, Transfer, ack, settled};
use crate::{Algorithm, Controller};

/// Drives rounds of equal samples.
struct Rounds {
    hystart: HyStart,
    /// Last packet sent. The one before it is the newest acknowledged when a round begins.
    pn: u64,
}

impl Rounds {
    /// A first round of `rtt`, too short to be judged.
    fn new(rtt: Duration) -> Self {
        let mut hystart = HyStart::new();
        hystart.on_sent(0);
        hystart.on_sent(1);
        assert!(!hystart.on_ack(0, rtt));
        Self { hystart, pn: 1 }
    }

    /// One round of `samples` acknowledgements, the last of which covers the flight the round began with.
    fn round(&mut self, rtt: Duration, samples: u64) -> bool {
        let end = self.pn;
        for sample in 1..=samples {
            self.pn += 1;
            self.hystart.on_sent(self.pn);
            let acked = if sample == samples { end } else { end - 1 };
            if self.hystart.on_ack(acked, rtt) {
                return true;
            }
        }
        false
    }
}

#[test]
fn a_rise_by_an_eighth_of_the_rtt_slows_the_growth_to_a_quarter() {
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    // 40 ms / 8 = 5 ms.
    rounds.round(Duration::from_micros(44_999), 8);
    assert_eq!(rounds.hystart.divisor(), 1);
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    rounds.round(45 * MS, 8);
    assert_eq!(rounds.hystart.divisor(), 4);
}

#[test]
fn the_threshold_stays_between_4_and_16_milliseconds() {
    for (base, quiet, loud) in [(8, 11, 12), (1000, 1015, 1016)] {
        let mut rounds = Rounds::new(base * MS);
        rounds.round(base * MS, 8);
        rounds.round(quiet * MS, 8);
        assert_eq!(rounds.hystart.divisor(), 1, "{base} ms");
        let mut rounds = Rounds::new(base * MS);
        rounds.round(base * MS, 8);
        rounds.round(loud * MS, 8);
        assert_eq!(rounds.hystart.divisor(), 4, "{base} ms");
    }
}

#[test]
fn seven_samples_judge_a_round_at_its_end_only_and_two_do_not() {
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    let end = rounds.pn;
    for _ in 0..6 {
        rounds.hystart.on_ack(end - 1, 80 * MS);
        assert_eq!(rounds.hystart.divisor(), 1);
    }
    rounds.hystart.on_ack(end, 80 * MS);
    assert_eq!(rounds.hystart.divisor(), 4);
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    rounds.round(80 * MS, 2);
    assert_eq!(rounds.hystart.divisor(), 1);
}

#[test]
fn slow_start_ends_after_five_conservative_rounds() {
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    // The round in which it begins is the first of the five.
    for _ in 0..4 {
        assert!(!rounds.round(50 * MS, 8));
        assert_eq!(rounds.hystart.divisor(), 4);
    }
    assert!(rounds.round(50 * MS, 8));
}

#[test]
fn a_fall_below_the_baseline_resumes_slow_start() {
    let mut rounds = Rounds::new(40 * MS);
    rounds.round(40 * MS, 8);
    rounds.round(50 * MS, 8);
    assert_eq!(rounds.hystart.divisor(), 4);
    rounds.round(49 * MS, 8);
    assert_eq!(rounds.hystart.divisor(), 1);
    // And may be left again.
    rounds.round(57 * MS, 8);
    assert_eq!(rounds.hystart.divisor(), 4);
}

#[test]
fn a_packet_number_space_that_starts_low_does_not_freeze_the_rounds() {
    let mut rounds = Rounds::new(40 * MS);
    rounds.hystart.on_sent(1 << 31);
    rounds.hystart.on_ack(1, 40 * MS);
    // The round now waits for a number the new space will not reach.
    rounds.hystart.on_sent(0);
    rounds.pn = 1;
    rounds.hystart.on_sent(1);
    rounds.hystart.on_ack(0, 40 * MS);
    rounds.round(40 * MS, 8);
    rounds.round(60 * MS, 8);
    assert_eq!(rounds.hystart.divisor(), 4);
}

#[test]
fn slow_start_is_left_before_a_deep_queue_overflows() {
    for algorithm in Algorithm::LOSS_BASED {
        for (rate, delay) in [(1_250_000, 40 * MS), (12_500_000, 50 * MS), (12_500_000, 200 * MS)] {
            let bdp = rate * delay.as_millis() as u64 / 1000;
            let mut transfer = Transfer::new(algorithm, rate, delay, 20 * bdp);
            while transfer.controller.in_slow_start() {
                transfer.step();
            }

            // Plain slow start ends by overflow only, at 21 times the pipe.
            assert_eq!(transfer.dropped, 0, "{algorithm} at {rate}");
            let left_at = transfer.controller.ssthresh() / bdp;
            assert!((1..20).contains(&left_at), "{algorithm} at {rate} left at {left_at}");
            // From then on the link is full.
            let before = transfer.delivered;
            transfer.run(Duration::from_secs(1));
            assert!(transfer.delivered - before > rate / 100 * 99, "{algorithm} at {rate}");
        }
    }
}

#[test]
fn a_constant_rtt_never_ends_slow_start_which_doubles_each_round() {
    let rtt = settled(100 * MS);
    let mut controller = Controller::new(Algorithm::Cubic, Instant::ZERO, 1200);
    let (mut pn, mut acked, mut now) = (0, 0, Instant::ZERO);
    for round in 0..10 {
        assert_eq!(controller.window(), 12_000 << round);
        let flight = controller.window() / 1200;
        for _ in 0..flight {
            controller.on_sent(now, 1200, 1200, pn);
            pn += 1;
        }
        let sent_at = now;
        now += 100 * MS;
        for _ in 0..flight {
            controller.on_ack(now, &ack(&rtt, 1200, sent_at, acked));
            acked += 1;
        }
    }
    assert!(controller.in_slow_start());
}

#[test]
fn it_is_not_used_again_after_a_collapse() {
    let mut clock = AckClock::new(Algorithm::NewReno, 1500, 100 * MS);
    clock.lose_at(1000.0);
    let now = clock.now;
    clock.controller.on_congestion(now, now, 1500, 0, true, false);
    assert!(clock.controller.in_slow_start());
    let threshold = clock.controller.ssthresh();
    // RTTs that would have ended an initial slow start.
    while clock.controller.in_slow_start() {
        let rtt = clock.rtt.latest() + MS;
        clock.rtt.update(rtt, Duration::ZERO);
        clock.ack();
    }
    assert_eq!(clock.controller.ssthresh(), threshold);
}
