use proptest::prelude::*;
use tq_time::Duration;

use super::Rtt;
use crate::testing::MS;

const NONE: Duration = Duration::ZERO;

// MUST 9002-5.2-1
#[test]
fn the_first_sample_replaces_the_initial_value() {
    let mut rtt = Rtt::new(333 * MS);
    assert!(!rtt.has_sample());
    // RFC 9002 §6.2.2: 333 ms + 4 x 166.5 ms, hence about one second.
    assert_eq!(rtt.pto_base(NONE), 999 * MS);
    rtt.update(100 * MS, 10 * MS);
    assert!(rtt.has_sample());
    assert_eq!((rtt.latest(), rtt.min(), rtt.smoothed(), rtt.var()), (100 * MS, 100 * MS, 100 * MS, 50 * MS));
}

#[test]
fn later_samples_weigh_an_eighth_and_a_quarter_and_lose_the_ack_delay() {
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(100 * MS, NONE);
    rtt.update(190 * MS, 10 * MS);
    // adjusted 180; var 3/4 x 50 + 1/4 x 80; smoothed 7/8 x 100 + 1/8 x 180.
    assert_eq!(rtt.var(), Duration::from_micros(57_500));
    assert_eq!(rtt.smoothed(), 110 * MS);
    assert_eq!((rtt.latest(), rtt.min()), (190 * MS, 100 * MS));
}

// MUST 9002-5.3-2
#[test]
fn an_ack_delay_that_would_undercut_the_minimum_is_not_believed() {
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(100 * MS, NONE);
    rtt.update(108 * MS, 10 * MS);
    assert_eq!(rtt.smoothed(), 101 * MS);
    rtt.update(109 * MS, Duration::MAX);
    assert_eq!(rtt.smoothed(), 102 * MS);
}

// MUST 9002-6.1.2-1, 9002-6.2.1-1
#[test]
fn the_delays_of_loss_detection_have_their_floors() {
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(80 * MS, NONE);
    assert_eq!(rtt.loss_delay(), 90 * MS);
    assert_eq!(rtt.pto_base(25 * MS), (80 + 160 + 25) * MS);
    // RFC 9002 §7.6.1.
    assert_eq!(rtt.persistent_span(25 * MS), 3 * (80 + 160 + 25) * MS);
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(Duration::from_micros(100), NONE);
    assert_eq!(rtt.loss_delay(), MS);
    assert_eq!(rtt.pto_base(NONE), Duration::from_micros(1100));
}

#[test]
fn the_loss_delay_follows_a_sudden_rise_at_once() {
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(80 * MS, NONE);
    rtt.update(160 * MS, NONE);
    assert_eq!(rtt.loss_delay(), 180 * MS);
}

#[test]
fn the_minimum_can_begin_anew() {
    let mut rtt = Rtt::new(333 * MS);
    rtt.update(20 * MS, NONE);
    rtt.update(70 * MS, NONE);
    assert_eq!(rtt.min(), 20 * MS);
    rtt.restart_min();
    assert_eq!(rtt.min(), 70 * MS);
}

proptest! {
    // MUST 9002-5.2-2
    #[test]
    fn any_samples_keep_the_estimates_between_their_extremes(
        samples in proptest::collection::vec((0u64.., 0u64..), 1..40)
    ) {
        let mut rtt = Rtt::new(333 * MS);
        let longest = 1u64 << 60;
        let (mut low, mut high) = (u64::MAX, 1);
        for (sample, delay) in samples {
            rtt.update(Duration::from_nanos(sample), Duration::from_micros(delay));
            let sample = sample.clamp(1, longest);
            (low, high) = (low.min(sample), high.max(sample));
            prop_assert_eq!(rtt.min(), Duration::from_nanos(low));
            prop_assert!(rtt.smoothed() <= Duration::from_nanos(high));
            // Rounding down takes less than eight nanoseconds in all.
            prop_assert!(rtt.smoothed() + Duration::from_nanos(8) >= rtt.min());
            prop_assert!(rtt.pto_base(Duration::MAX) > rtt.smoothed());
            prop_assert!(rtt.loss_delay() >= MS);
        }
    }
}
