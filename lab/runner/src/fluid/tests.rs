use super::*;
use crate::grid::{Order, Queues, Set, published};
use crate::stats::Summary;

const SIZE: Load = Load::Bytes(20e6);

fn mode(start: Start, opening: Opening, acks: Acks, growth: Growth) -> Mode {
    Mode { start, opening, acks, growth }
}

/// Median, tenth percentile and minimum of the benefit over a published set in both orders: 506 runs.
fn benefits(set: Set, mode: Mode) -> [f64; 3] {
    let mut all = Vec::new();
    for order in [Order::AsListed, Order::Swapped] {
        for case in published(set, order, Queues::Published).unwrap() {
            let links: Vec<Link> = case.links.iter().map(|link| link.fluid()).collect();
            all.push(ceiling(&links, SIZE, mode).unwrap().gain.benefit.unwrap());
        }
    }
    assert_eq!(all.len(), 506);
    let summary = Summary::of(&all).unwrap();
    [summary.median, summary.p10, summary.min]
}

fn assert_near(set: Set, mode: Mode, expected: [f64; 3]) {
    let found = benefits(set, mode);
    for (name, found, expected) in [0, 1, 2].map(|at| (["median", "p10", "min"][at], found[at], expected[at]))
    {
        assert!(
            expected.is_nan() || (found - expected).abs() <= 0.03,
            "{set:?} {mode:?}: {name} is {found:.3}, the model said {expected:.3}"
        );
    }
}

// The figures below are those of the project's notes on bonding, computed there by an independent program.

#[test]
fn low_bdp_pairs_give_the_figures_of_the_notes() {
    use {Acks::*, Growth::Plain, Opening::*, Start::*};
    let set = Set::LowBdp;
    assert_near(set, mode(Published, Validated, Own, Plain), [0.87, 0.66, -0.063]);
    assert_near(set, mode(Published, FourDatagrams, Own, Plain), [0.90, 0.71, -0.063]);
    assert_near(set, mode(Published, Validated, Fast, Plain), [0.92, 0.72, -0.063]);
    assert_near(set, mode(Published, FourDatagrams, Fast, Plain), [0.94, 0.76, -0.063]);
    assert_near(set, mode(Raced, FourDatagrams, Own, Plain), [0.93, 0.81, 0.65]);
    // The notes give one minimum, 0.65, for both kinds of acknowledgement.
    assert_near(set, mode(Raced, FourDatagrams, Fast, Plain), [0.97, 0.84, f64::NAN]);
}

#[test]
fn high_bdp_pairs_in_published_order_give_the_figures_of_the_notes() {
    use {Acks::*, Growth::*, Opening::*, Start::Published};
    let set = Set::HighBdp;
    assert_near(set, mode(Published, Validated, Own, Plain), [0.27, -0.09, -0.30]);
    assert_near(set, mode(Published, FourDatagrams, Own, Plain), [0.34, -0.09, -0.30]);
    assert_near(set, mode(Published, Validated, Fast, Plain), [0.46, -0.05, -0.30]);
    assert_near(set, mode(Published, FourDatagrams, Fast, Plain), [0.53, -0.01, -0.30]);
    assert_near(set, mode(Published, Validated, Own, RttScaled), [0.39, -0.06, -0.30]);
    assert_near(set, mode(Published, FourDatagrams, Own, RttScaled), [0.48, -0.01, -0.30]);
    assert_near(set, mode(Published, Validated, Fast, RttScaled), [0.52, -0.03, -0.30]);
    assert_near(set, mode(Published, FourDatagrams, Fast, RttScaled), [0.61, 0.07, -0.30]);
}

#[test]
fn high_bdp_pairs_raced_or_established_give_the_figures_of_the_notes() {
    use {Acks::*, Growth::*, Opening::FourDatagrams, Start::*};
    let set = Set::HighBdp;
    assert_near(set, mode(Raced, FourDatagrams, Own, Plain), [0.43, 0.08, -0.05]);
    assert_near(set, mode(Raced, FourDatagrams, Fast, Plain), [0.66, 0.24, -0.05]);
    assert_near(set, mode(Raced, FourDatagrams, Own, RttScaled), [0.59, 0.31, -0.07]);
    assert_near(set, mode(Raced, FourDatagrams, Fast, RttScaled), [0.74, 0.36, -0.07]);
    assert_near(set, mode(Established, FourDatagrams, Own, Plain), [0.52, 0.15, 0.04]);
    assert_near(set, mode(Established, FourDatagrams, Fast, Plain), [0.74, 0.34, 0.21]);
    // No minimum was given for scaled growth.
    assert_near(set, mode(Established, FourDatagrams, Own, RttScaled), [0.69, 0.46, f64::NAN]);
    assert_near(set, mode(Established, FourDatagrams, Fast, RttScaled), [0.83, 0.55, f64::NAN]);
}

fn efficiency(links: &[Link], load: Load, acks: Acks, growth: Growth) -> f64 {
    let mode = mode(Start::Published, Opening::FourDatagrams, acks, growth);
    ceiling(links, load, mode).unwrap().gain.efficiency
}

#[test]
fn a_long_transfer_over_two_equal_links_comes_near_the_sum() {
    let links = [Link::symmetric(100.0, 25.0); 2];
    let [short, long] =
        [20e6, 100e6].map(|size| efficiency(&links, Load::Bytes(size), Acks::Own, Growth::Plain));
    assert!(0.9 < short && short < long && long < 1.0, "{short} {long}");
    let warm = efficiency(&links, Load::Window { from: 5.0, length: 30.0 }, Acks::Own, Growth::Plain);
    assert!((warm - 1.0).abs() < 1e-6, "{warm}");
}

#[test]
fn cold_transfers_over_two_and_three_links_give_the_figures_of_the_notes() {
    use {Acks::*, Growth::*, Opening::FourDatagrams};
    let (dsl, geo) = (Link::symmetric(50.0, 20.0), Link::symmetric(20.0, 600.0));
    let twins = [Link::symmetric(100.0, 25.0); 2];
    let three = [Link::symmetric(100.0, 10.0), Link::symmetric(40.0, 50.0), geo];
    let rows: [(&[Link], f64, Acks, Growth, f64); 8] = [
        (&twins, 20e6, Own, Plain, 0.938),
        (&twins, 100e6, Own, Plain, 0.986),
        (&[dsl, geo], 20e6, Own, Plain, 0.80),
        (&[dsl, geo], 20e6, Fast, Plain, 0.905),
        (&[dsl, geo], 20e6, Fast, RttScaled, 0.965),
        (&[dsl, geo], 100e6, Own, Plain, 0.94),
        (&three, 20e6, Own, Plain, 0.88),
        (&three, 20e6, Fast, RttScaled, 0.93),
    ];
    for (links, size, acks, growth, expected) in rows {
        let mode = mode(Start::Established, FourDatagrams, acks, growth);
        let found = ceiling(links, Load::Bytes(size), mode).unwrap().gain.efficiency;
        assert!((found - expected).abs() < 0.005, "{size} {mode:?}: {found} instead of {expected}");
    }
}

#[test]
fn a_satellite_beside_a_slow_line_gives_the_times_of_the_notes() {
    use {Acks::*, Growth::*};
    let links = [Link::symmetric(1.0, 20.0), Link::symmetric(10.0, 600.0)];
    for (acks, growth, expected) in [(Own, Plain, 10.96), (Fast, Plain, 9.42), (Fast, RttScaled, 8.5)] {
        let mode = mode(Start::Published, Opening::FourDatagrams, acks, growth);
        let found = ceiling(&links, Load::Bytes(10e6), mode).unwrap().together.completion_s.unwrap();
        assert!((found - expected).abs() < 0.06, "{mode:?}: {found} instead of {expected}");
    }
}

#[test]
fn a_satellite_alone_needs_scaled_growth_for_a_short_transfer() {
    let link = Link::symmetric(250.0, 600.0);
    let of = |growth| {
        let mode = Mode { growth, ..Mode::default() };
        single(link, Load::Bytes(100e6), mode).unwrap().completion_s.unwrap()
    };
    assert!((of(Growth::Plain) - 10.3).abs() < 0.4, "{}", of(Growth::Plain));
    assert!((of(Growth::RttScaled) - 6.2).abs() < 0.4, "{}", of(Growth::RttScaled));
}

#[test]
fn one_link_alone_takes_its_handshake_and_its_payload_time() {
    // 945 kB/s, and a first window that already fills it: 1.5 handshakes (with one packet each), the way, 1 s.
    let link = Link { rate: 1e6, delay: 0.001, back: 0.001 };
    let found = single(link, Load::Bytes(945_000.0), Mode::default()).unwrap();
    let expected = 1.5 * (0.002 + 0.0015) + 0.001 + 1.0;
    assert!((found.completion_s.unwrap() - expected).abs() < 1e-9);
    let warm = single(link, Load::Window { from: 5.0, length: 10.0 }, Mode::default()).unwrap();
    assert!((warm.goodput - 945_000.0).abs() < 1e-3 && warm.completion_s.is_none());
}

#[test]
fn nonsense_has_no_ceiling() {
    let fine = Link::symmetric(10.0, 10.0);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(ceiling(&[fine, Link { rate, ..fine }], SIZE, Mode::default()), None);
    }
    assert_eq!(ceiling(&[Link { delay: f64::NAN, ..fine }], SIZE, Mode::default()), None);
    assert_eq!(ceiling(&[], SIZE, Mode::default()), None);
    assert_eq!(ceiling(&[fine], Load::Bytes(0.0), Mode::default()), None);
    assert_eq!(ceiling(&[fine], Load::Window { from: 0.0, length: 0.0 }, Mode::default()), None);
    assert!(ceiling(&[Link { delay: 1e300, ..fine }], SIZE, Mode::default()).is_some());
}

#[test]
fn random_loss_bounds_reno_and_cubic_as_their_formulas_say() {
    // √(1.5 / 0.0001) = 122.47 packets; 1.0538 · 1000^¾ = 187.4 packets at 100 ms.
    assert!((reno_window(1e-4) - 122.47).abs() < 0.01);
    assert!((cubic_window(0.1, 1e-4) - 187.4).abs() < 0.1);
    // On a short path CUBIC does as Reno does.
    let bound = loss_bound(1e9, 0.01, 0.01, 1200.0).unwrap();
    assert_eq!(bound.cubic, bound.reno);
    assert_eq!(loss_bound(1000.0, 0.1, 1e-6, 1200.0).unwrap().cubic, 1000.0);
    assert_eq!(loss_bound(1e6, 0.1, 0.0, 1200.0), None);
    assert_eq!(loss_bound(1e6, 0.0, 0.1, 1200.0), None);
}
