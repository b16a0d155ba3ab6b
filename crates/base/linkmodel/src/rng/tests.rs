//! Known numbers, even spread, streams apart.

use super::*;

#[test]
fn the_generator_is_splitmix64() {
    // The first outputs for state 1234567, computed by the published algorithm.
    let mut rng = Rng(1_234_567);
    assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
}

#[test]
fn streams_of_one_seed_differ_and_repeat() {
    let draw = |seed, stream| Rng::new(seed, stream).next();
    assert_eq!(draw(1, 1), draw(1, 1));
    assert_ne!(draw(1, 1), draw(1, 2));
    assert_ne!(draw(1, 1), draw(2, 1));
}

#[test]
fn chance_holds_its_odds_and_its_ends() {
    let mut rng = Rng::new(1, 1);
    assert!((0..1000).all(|_| !rng.chance(0) && rng.chance(MILLION) && rng.chance(u32::MAX)));
    // A standard deviation of a million tries at 30 % is 458.
    let hits = (0..1_000_000).filter(|_| rng.chance(300_000)).count();
    assert!(hits.abs_diff(300_000) < 5 * 458, "{hits}");
}

#[test]
fn ranges_include_both_ends_and_cope_when_upside_down() {
    let mut rng = Rng::new(1, 1);
    let mut seen = [0; 4];
    (0..4000).for_each(|_| seen[rng.up_to(3) as usize] += 1);
    assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
    assert!((0..100).all(|_| (5..=7).contains(&rng.between(5, 7))));
    assert_eq!((rng.between(9, 3), rng.up_to(0)), (9, 0));
    rng.up_to(u64::MAX);
}
