use tq_time::{Duration, Instant};

use super::Recovery;
use crate::testing::{MS, ack, settled};
use crate::{Ack, RateSample};

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

#[test]
fn one_event_covers_everything_sent_before_the_reduction() {
    let mut state = Recovery::new(1200);
    assert!(state.is_new_event(Instant::ZERO));
    state.reduce(at(100), state.cwnd);
    assert!(!state.is_new_event(at(99)));
    assert!(!state.is_new_event(at(100)));
    assert!(state.is_new_event(at(101)));
}

#[test]
fn recovery_ends_with_the_acknowledgement_of_a_later_packet() {
    let rtt = settled(50 * MS);
    let mut state = Recovery::new(1200);
    state.reduce(at(100), state.cwnd);
    assert!(!state.leaves_recovery(at(150), &ack(&rtt, 1200, at(100), 1)));
    assert!(state.in_recovery());
    assert!(state.leaves_recovery(at(150), &ack(&rtt, 1200, at(101), 2)));
    assert!(!state.in_recovery());
    // Reordered acknowledgements of older packets count again.
    assert!(state.leaves_recovery(at(150), &ack(&rtt, 1200, at(90), 0)));
}

#[test]
fn slow_start_stops_at_the_threshold_and_hands_on_the_rest() {
    let rtt = settled(50 * MS);
    let mut state = Recovery::new(1200);
    state.ssthresh = state.window() + 1000;
    assert_eq!(state.slow_start(at(1), &ack(&rtt, 3000, at(1), 1)), 2000);
    assert_eq!(state.window(), state.ssthresh);
    assert_eq!(state.slow_start(at(2), &ack(&rtt, 3000, at(2), 2)), 3000);
}

#[test]
fn a_reduction_keeps_two_packets() {
    let mut state = Recovery::new(1500);
    for ms in 1..20 {
        state.reduce(at(ms), state.cwnd.scaled(1, 2));
    }
    assert_eq!((state.window(), state.ssthresh), (3000, 3000));
    assert!(!state.in_slow_start());
}

#[test]
fn the_initial_window_follows_the_packet_size_until_it_has_moved() {
    let mut state = Recovery::new(1200);
    assert_eq!(state.window(), 12_000);
    state.on_mtu(1452);
    assert_eq!(state.window(), 14_520);
    state.on_mtu(9000);
    assert_eq!(state.window(), 18_000);
    let rtt = settled(50 * MS);
    state.slow_start(at(1), &ack(&rtt, 100, at(1), 1));
    state.on_mtu(1200);
    assert_eq!(state.window(), 18_100);
    state.collapse(at(2));
    assert_eq!(state.window(), 2400);
    state.on_mtu(1500);
    assert_eq!(state.window(), 3000);
}

#[test]
fn a_loss_in_the_handshake_is_no_proof_of_a_small_path() {
    let rtt = settled(50 * MS);
    let mut state = Recovery::new(1200);
    let sample = RateSample { delivered: 1200, interval: 50 * MS, rate: 24_000, app_limited: true };
    let handshake = Ack { delivered: Some(sample), app_limited: true, ..ack(&rtt, 1200, at(1), 1) };
    state.slow_start(at(51), &handshake);
    assert_eq!(state.proven().floor(), 12_000);
}
