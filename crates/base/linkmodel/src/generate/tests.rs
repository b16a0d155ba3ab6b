//! The generators keep what their documentation promises.

use super::*;
use crate::testing::millis;

const RATE: u64 = 10_000_000;

#[test]
fn lte_meets_its_average_and_wanders() {
    for seed in 0..20 {
        let profile = lte(seed, &Lte::new(RATE));
        assert!(profile.mean_rate().abs_diff(RATE) * 100 < RATE, "{}", profile.mean_rate());
        assert!(profile.time() >= Duration::from_secs(299), "{:?}", profile.time());
        let rates = profile.segments().iter().map(|segment| segment.rate).filter(|rate| *rate > 0);
        let (least, most) = (rates.clone().min().unwrap(), rates.max().unwrap());
        assert!(most / least >= 4 && most / least <= 16, "{least} {most}");
        assert!(profile.segments().iter().all(|segment| segment.loss_ppm == 0 && segment.delay.is_zero()));
    }
}

#[test]
fn lte_pauses_as_often_and_as_long_as_asked() {
    let shape = Lte { seconds: 3600, ..Lte::new(RATE) };
    let profile = lte(1, &shape);
    let pauses: Vec<_> = profile.segments().iter().filter(|segment| segment.rate == 0).collect();
    // 240 in an hour, give or take three standard deviations.
    assert!((194..287).contains(&pauses.len()), "{}", pauses.len());
    assert!(pauses.iter().all(|pause| pause.time >= shape.pause.0 && pause.time <= shape.pause.1));
    let calm = lte(1, &Lte { pauses_per_minute: 0, ..shape });
    assert!(calm.segments().iter().all(|segment| segment.rate > 0));
}

#[test]
fn leo_changes_hands_every_slot_in_both_directions_at_once() {
    let shape = Leo::new(RATE / 10, RATE);
    let [up, down] = leo(1, &shape);
    for (profile, nominal) in [(&up, RATE / 10), (&down, RATE)] {
        assert_eq!(profile.time(), Duration::from_secs(300));
        for slot in profile.segments().chunks(3) {
            let [outage, lossy, calm] = slot else { panic!("three segments in a slot") };
            assert!(outage.rate == 0 && outage.time >= millis(60) && outage.time <= millis(150));
            assert_eq!((lossy.time, lossy.loss_ppm, calm.loss_ppm), (millis(100), 200_000, 0));
            assert_eq!(outage.time + lossy.time + calm.time, Duration::from_secs(15));
            assert!((nominal * 6 / 10..=nominal * 12 / 10).contains(&calm.rate));
            assert!(calm.rate == lossy.rate && calm.delay == outage.delay && calm.delay <= millis(15));
        }
    }
    let shared = |segment: &Segment| (segment.time, segment.delay, segment.loss_ppm);
    assert!(up.segments().iter().map(shared).eq(down.segments().iter().map(shared)));
    let mut delays: Vec<_> = down.segments().iter().map(|segment| segment.delay).collect();
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 20, "each slot has a delay of its own");
    assert!(delays[0] < millis(4) && delays[19] > millis(11));
}

#[test]
fn a_seed_is_a_profile() {
    assert_eq!(lte(1, &Lte::new(RATE)), lte(1, &Lte::new(RATE)));
    assert_ne!(lte(1, &Lte::new(RATE)), lte(2, &Lte::new(RATE)));
    assert_eq!(leo(1, &Leo::new(RATE, RATE)), leo(1, &Leo::new(RATE, RATE)));
    assert_ne!(leo(1, &Leo::new(RATE, RATE)), leo(2, &Leo::new(RATE, RATE)));
}

#[test]
fn absurd_shapes_still_make_profiles() {
    let long = (Duration::MAX, Duration::MAX);
    for rate in [0, 1, u64::MAX] {
        let shape = Lte { rate, seconds: 0, pauses_per_minute: u32::MAX, pause: long };
        assert!(lte(1, &shape).mean_rate() <= RATES.1);
        lte(1, &Lte { pause: (Duration::ZERO, Duration::ZERO), ..shape });
        let shape = Leo {
            slots: 0,
            slot: Duration::ZERO,
            outage: long,
            rtt_spread: Duration::MAX,
            loss_ppm: u32::MAX,
            ..Leo::new(rate, rate)
        };
        leo(1, &shape);
        leo(1, &Leo { slot: Duration::MAX, ..shape });
    }
}

#[test]
fn a_generated_trace_can_be_given_to_other_tools() {
    let profile = lte(1, &Lte { seconds: 60, ..Lte::new(RATE) });
    let trace = profile.to_trace(Duration::MAX).unwrap();
    assert!(trace.mean_rate().abs_diff(RATE) * 50 < RATE, "{}", trace.mean_rate());
    assert_eq!(crate::Trace::parse(&std::format!("{trace}")), Ok(trace));
}
