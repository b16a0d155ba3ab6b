use proptest::prelude::*;

use super::*;
use crate::testing::{MS, ack, settled};
use crate::{Ack, Rtt};

const MTU: u16 = 1200;
const KB: u64 = 1000;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn profile(rtt: Duration, rate: u64) -> Profile {
    Profile { min_rtt: rtt, rate }
}

/// Holds 500 kB.
fn satellite() -> Profile {
    profile(100 * MS, 5_000_000)
}

fn fresh(algorithm: Algorithm) -> Controller {
    Controller::new(algorithm, at(0), MTU)
}

/// A controller that jumped, with more than the first window under way from 10 ms on.
fn under_way(algorithm: Algorithm) -> (Controller, Resume) {
    let mut controller = fresh(algorithm);
    let mut resume = Resume::begin(at(0), &satellite(), 100 * MS, &mut controller).expect("a jump");
    resume.on_sent(at(0), 12 * KB);
    assert_eq!(resume.state(), Resumption::Ready, "that is no more than everybody may send");
    resume.on_sent(at(10), 250 * KB);
    assert_eq!(resume.state(), Resumption::Unvalidated);
    (controller, resume)
}

fn acked<'a>(rtt: &'a Rtt, bytes: u64, sent_at: u64, in_flight: u64) -> Ack<'a> {
    Ack { in_flight, ..ack(rtt, bytes, at(sent_at), 1) }
}

const JUMPING: [Algorithm; 4] = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr, Algorithm::Auto];

#[test]
fn a_fresh_window_jumps_to_half_of_what_the_link_holds() {
    for algorithm in JUMPING {
        let mut controller = fresh(algorithm);
        assert!(Resume::begin(at(0), &satellite(), 100 * MS, &mut controller).is_some());
        assert_eq!(controller.window(), 250 * KB, "{algorithm}");
        let rtt = settled(100 * MS);
        let pace = controller.pacing_rate(&rtt);
        assert!(pace <= 5_000_000 * 4 / 5, "{algorithm} sends {pace} bytes a second");
    }
}

#[test]
fn a_round_trip_of_another_link_or_a_profile_that_says_less_changes_nothing() {
    for rtt in [49 * MS, 1001 * MS] {
        let mut controller = fresh(Algorithm::Cubic);
        assert!(Resume::begin(at(0), &satellite(), rtt, &mut controller).is_none());
        assert_eq!(controller.window(), 12 * KB);
    }
    let mut controller = fresh(Algorithm::Cubic);
    assert!(Resume::begin(at(0), &profile(20 * MS, 1_000_000), 20 * MS, &mut controller).is_none());
    assert_eq!(controller.window(), 12 * KB);
}

#[test]
fn a_shorter_round_trip_counts_in_the_volume() {
    let mut controller = fresh(Algorithm::Cubic);
    assert!(Resume::begin(at(0), &satellite(), 60 * MS, &mut controller).is_some());
    assert_eq!(controller.window(), 150 * KB);
}

#[test]
fn coupled_windows_and_those_that_are_not_fresh_do_not_jump() {
    let mut coupled = fresh(Algorithm::Olia);
    assert!(Resume::begin(at(0), &satellite(), 100 * MS, &mut coupled).is_none());
    let mut lost = fresh(Algorithm::Cubic);
    lost.on_congestion(at(5), at(1), 1200, 0, false, false);
    let before = lost.window();
    assert!(Resume::begin(at(6), &satellite(), 100 * MS, &mut lost).is_none());
    assert_eq!(lost.window(), before);
}

#[test]
fn what_arrives_confirms_it_and_what_was_not_used_is_taken_back() {
    let rtt = settled(100 * MS);
    for algorithm in JUMPING {
        let (mut controller, mut resume) = under_way(algorithm);
        assert!(resume.holds());
        resume.on_ack(at(80), &acked(&rtt, 12 * KB, 0, 100 * KB), &mut controller);
        assert_eq!(resume.state(), Resumption::Unvalidated, "that was the first window");
        resume.on_ack(at(110), &acked(&rtt, 2400, 10, 100 * KB), &mut controller);
        assert_eq!(resume.state(), Resumption::Validating);
        assert_eq!(controller.window(), 102_400, "{algorithm}");
        resume.on_ack(at(200), &acked(&rtt, 90 * KB, 109, 100 * KB), &mut controller);
        assert!(!resume.is_over());
        resume.on_ack(at(210), &acked(&rtt, 2400, 110, 100 * KB), &mut controller);
        assert_eq!(resume.state(), Resumption::Confirmed);
        resume.on_congestion(at(211), &mut controller);
        assert_eq!(resume.state(), Resumption::Confirmed, "a later loss is like any other");
    }
}

#[test]
fn a_loss_takes_the_window_to_half_of_what_arrived_and_then_to_seven_tenths_of_it() {
    let rtt = settled(100 * MS);
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
        let (mut controller, mut resume) = under_way(algorithm);
        resume.on_ack(at(110), &acked(&rtt, 28 * KB, 10, 220 * KB), &mut controller);
        controller.on_congestion(at(112), at(20), 1200, 200 * KB, false, false);
        resume.on_congestion(at(112), &mut controller);
        assert_eq!(resume.state(), Resumption::Retreating);
        assert_eq!(controller.window(), 20 * KB, "{algorithm}: half of the first window and these 28 kB");
        assert!(resume.holds());
        resume.on_ack(at(150), &acked(&rtt, 60 * KB, 100, 0), &mut controller);
        assert!(!resume.is_over() && controller.window() == 20 * KB);
        resume.on_ack(at(250), &acked(&rtt, 1200, 120, 0), &mut controller);
        assert_eq!(resume.state(), Resumption::Refuted);
        assert_eq!(controller.ssthresh(), 101_200 / 10 * 7, "{algorithm}");
        assert!(controller.in_slow_start());
    }
}

#[test]
fn a_loss_before_it_was_made_use_of_leaves_the_window_a_fresh_path_would_have() {
    let mut controller = fresh(Algorithm::Cubic);
    let mut resume = Resume::begin(at(0), &satellite(), 100 * MS, &mut controller).expect("a jump");
    controller.on_congestion(at(50), at(1), 1200, 0, false, false);
    resume.on_congestion(at(50), &mut controller);
    assert_eq!(resume.state(), Resumption::Refuted);
    assert_eq!((controller.window(), controller.ssthresh()), (6 * KB, 8400));
}

#[test]
fn a_profile_is_worth_half_each_six_hours_and_nothing_after_a_day() {
    let hours = |hours: u64| satellite().aged(Duration::from_secs(hours * 3600)).map(|profile| profile.rate);
    assert_eq!(hours(0), Some(5_000_000));
    assert_eq!(hours(6), Some(2_500_000));
    assert_eq!(hours(23), Some(625_000));
    assert_eq!(hours(24), None);
    assert_eq!(profile(Duration::ZERO, 1).aged(Duration::ZERO), None);
    assert_eq!(satellite().aged(Duration::MAX), None);
}

#[test]
fn a_meter_follows_what_is_delivered_and_not_what_is_asked_for() {
    let mut meter = Meter::default();
    let mut now = at(0);
    let mut run = |meter: &mut Meter, rate: u64, limited| {
        for _ in 0..200 {
            now += 5 * MS;
            meter.on_ack(now, rate / 200, 20 * MS, limited);
        }
        meter.rate()
    };
    let near = |rate: u64, wanted: u64| rate.abs_diff(wanted) < wanted / 20;
    let full = run(&mut meter, 1_000_000, false);
    assert!(near(full, 1_000_000), "{full}");
    assert_eq!(run(&mut meter, 100_000, true), full, "too little to send");
    let less = run(&mut meter, 500_000, false);
    assert!(less > 500_000 && less < 600_000, "{less}");
    let more = run(&mut meter, 2_000_000, true);
    assert!(near(more, 2_000_000), "{more}");
}

#[test]
fn acknowledgements_that_come_at_once_after_a_pause_do_not_make_a_link_faster() {
    let mut meter = Meter::default();
    let mut now = at(0);
    for _ in 0..100 {
        for _ in 0..10 {
            now += 5 * MS;
            meter.on_ack(now, 5000, 20 * MS, false);
        }
        now += 200 * MS;
        meter.on_ack(now, 200_000, 20 * MS, false);
    }
    assert!(meter.rate() < 1_100_000, "{}", meter.rate());
}

proptest! {
    #[test]
    fn whatever_a_profile_says_the_window_is_at_most_a_mebibyte_and_the_first_one_at_least(
        micros in any::<u64>(), rate in any::<u64>(), measured in 1u64..10_000_000, age in any::<u64>(),
    ) {
        for algorithm in Algorithm::ALL {
            let mut controller = fresh(algorithm);
            let first = controller.window();
            let lie = profile(Duration::from_micros(micros), rate).aged(Duration::from_secs(age % 200_000));
            let resume = lie.and_then(|lie| {
                Resume::begin(at(0), &lie, Duration::from_micros(measured), &mut controller)
            });
            prop_assert!((first..=MOST).contains(&controller.window()));
            prop_assert_eq!(resume.is_some(), controller.window() > first);
        }
    }

    #[test]
    fn after_a_loss_no_more_is_kept_than_half_of_what_was_there(
        acks in proptest::collection::vec((1u64..50_000, 0u64..300), 0..30), lost_after in 0usize..30,
    ) {
        let rtt = settled(100 * MS);
        for algorithm in JUMPING {
            let (mut controller, mut resume) = under_way(algorithm);
            let mut arrived = 12 * KB;
            let mut now = 100;
            for (count, (bytes, sent)) in acks.iter().enumerate() {
                now += 1;
                let before = resume.state();
                if count == lost_after {
                    controller.on_congestion(at(now), at(now - 90), 1200, 0, false, false);
                    resume.on_congestion(at(now), &mut controller);
                    if before != Resumption::Confirmed && algorithm != Algorithm::Bbr {
                        prop_assert!(controller.window() <= (arrived / 2).max(2 * u64::from(MTU)));
                    }
                }
                arrived += bytes;
                resume.on_ack(at(now), &acked(&rtt, *bytes, (*sent).min(now), 200 * KB), &mut controller);
                prop_assert!(controller.window() <= 250 * KB);
            }
        }
    }
}
