//! Distributions, with their figures.

use super::*;
use crate::testing::millis;

fn sample(jitter: Jitter) -> (f64, f64, u64, u64) {
    let mut rng = Rng::new(1, 1);
    let draws: std::vec::Vec<u64> = (0..100_000).map(|_| jitter.draw(&mut rng)).collect();
    let mean = draws.iter().sum::<u64>() as f64 / 1e5;
    let variance = draws.iter().map(|draw| (*draw as f64 - mean).powi(2)).sum::<f64>() / 1e5;
    (mean / 1e6, variance.sqrt() / 1e6, *draws.iter().min().unwrap(), *draws.iter().max().unwrap())
}

#[test]
fn even_jitter_fills_its_range() {
    let (mean, deviation, least, most) = sample(Jitter::Uniform(millis(10)));
    assert!((mean - 5.0).abs() < 0.05, "{mean}");
    assert!((deviation - 2.887).abs() < 0.03, "{deviation}");
    assert!(least < 1000 && (9_999_000..=10_000_000).contains(&most), "{least} {most}");
}

#[test]
fn bell_jitter_is_a_bell_inside_its_range() {
    let (mean, deviation, _, most) = sample(Jitter::Bell(millis(10)));
    assert!((mean - 5.0).abs() < 0.03, "{mean}");
    assert!((deviation - 1.443).abs() < 0.02, "{deviation}");
    assert!(most < 10_000_000);
    let mut rng = Rng::new(1, 1);
    let middle =
        (0..100_000).filter(|_| Jitter::Bell(millis(10)).draw(&mut rng).abs_diff(5_000_000) < 1_443_000);
    // About two thirds lie within one standard deviation.
    assert!((64_000..70_000).contains(&middle.count()));
}

#[test]
fn no_jitter_is_none_and_absurd_jitter_is_no_panic() {
    let mut rng = Rng::new(1, 1);
    assert_eq!(Jitter::NONE.draw(&mut rng), 0);
    Jitter::Uniform(Duration::MAX).draw(&mut rng);
    Jitter::Bell(Duration::MAX).draw(&mut rng);
}

#[test]
fn bursts_have_the_loss_and_the_length_they_should() {
    let config =
        GilbertElliott { to_bad_ppm: 5000, to_good_ppm: 200_000, loss_good_ppm: 0, loss_bad_ppm: MILLION };
    // p / (p + r) = 2.44 %.
    assert_eq!(config.long_run_ppm(), 24_390);
    let (mut channel, mut rng) = (Channel::new(config), Rng::new(3, 3));
    let (mut lost, mut bursts, mut before) = (0u32, 0u32, false);
    for _ in 0..1_000_000 {
        let now = channel.loses(&mut rng);
        lost += u32::from(now);
        bursts += u32::from(now && !before);
        before = now;
    }
    // Losses come in about 4900 bursts of 5, so the share is good to 5 %.
    assert!((23_000..25_800).contains(&lost), "{lost}");
    let length = f64::from(lost) / f64::from(bursts);
    assert!((4.75..5.25).contains(&length), "{length}");
}

#[test]
fn each_state_has_its_own_loss() {
    let config = GilbertElliott {
        to_bad_ppm: 100_000,
        to_good_ppm: 100_000,
        loss_good_ppm: 10_000,
        loss_bad_ppm: 500_000,
    };
    assert_eq!(config.long_run_ppm(), 255_000);
    let (mut channel, mut rng) = (Channel::new(config), Rng::new(3, 3));
    let lost = (0..1_000_000).filter(|_| channel.loses(&mut rng)).count();
    assert!((250_000..260_000).contains(&lost), "{lost}");
    let never = GilbertElliott { to_bad_ppm: 0, to_good_ppm: 0, ..config };
    assert_eq!(never.long_run_ppm(), 10_000);
}
