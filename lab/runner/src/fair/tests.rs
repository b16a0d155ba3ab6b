use super::{Pipe, cycle, ideal, mean};

/// 50 Mbit/s, 40 ms, a queue of one product.
const PIPE: Pipe = Pipe { rate: 4304.0, rtt: 0.04, queue: 172.0 };

#[test]
fn a_cycle_is_that_of_the_cubic_or_of_reno() {
    // 172 packets each: the cubic returns after (172 × 0.75)^(1/3) s
    assert!((cycle(&PIPE) - 5.05).abs() < 0.02, "{}", cycle(&PIPE));
    // 17 packets each, round trip 40 ms: Reno is sooner, 17.2 × 0.3 × 17/9 × 40 ms
    let short = Pipe { rate: 861.0, rtt: 0.02, queue: 17.2 };
    assert!((cycle(&short) - 0.39).abs() < 0.01, "{}", cycle(&short));
}

#[test]
fn ideal_pairs_are_even_and_less_spread_the_longer_they_are_watched() {
    let short = ideal(&PIPE, 10.0, 20.0, 200);
    let long = ideal(&PIPE, 10.0, 120.0, 200);
    assert!((0.95..1.05).contains(&long.median), "{long:?}");
    assert!(long.low > short.low && long.high < short.high, "{short:?} {long:?}");
    assert!(short.low > 0.6 && short.high < 1.7, "{short:?}");
}

#[test]
fn a_half_and_a_double_are_even() {
    assert!((mean(&[0.5, 2.0]) - 1.0).abs() < 1e-9);
    assert!(mean(&[]).is_finite());
}
