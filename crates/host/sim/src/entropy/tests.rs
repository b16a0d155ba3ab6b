use tq_crypto::Entropy;

use super::{Quantiles, Random, Seeded, derive};

#[test]
fn the_same_seed_draws_the_same_and_another_seed_does_not() {
    let drawn = |seed| {
        let mut out = [0; 37];
        Seeded::new(seed).fill(&mut out);
        out
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    assert_ne!(derive(1, 2), derive(2, 1));
}

#[test]
fn numbers_below_a_bound_are_below_it_and_spread() {
    let mut random = Random::new(4);
    let mut seen = [0; 10];
    (0..10_000).for_each(|_| seen[random.below(10) as usize] += 1);
    assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
    assert_eq!(random.below(0), 0);
}

#[test]
fn a_distribution_goes_through_its_points() {
    let line = Quantiles::new(&[(100_000, 200), (50_000, 100), (10_000, 0)]);
    let at = |parts| line.at(parts);
    assert_eq!([at(0), at(10_000), at(30_000), at(50_000), at(75_000)], [0, 0, 50, 100, 150]);
    assert_eq!([at(99_999), at(100_000), at(u32::MAX)], [199, 200, 200]);
    assert_eq!((Quantiles::new(&[]).at(5), Quantiles::constant(7).at(99_999)), (0, 7));
    let jump = Quantiles::new(&[(0, 1), (50_000, 1), (50_000, u64::MAX)]);
    assert_eq!((jump.at(49_999), jump.at(50_000)), (1, u64::MAX));
}
