//! A satellite that hands over every 15 s, beside an LTE link that loses: what a pause of it costs a window that falls with losses.

use std::path::Path;

use tq_runner::run::{self, Plan, figures};
use tq_scenario::{Cc, Scenario};

fn goodput(scenario: &Scenario, plan: Plan<'_>) -> f64 {
    let outcome = run::run(plan.with_cc(Some(Cc::Cubic))).expect("a run");
    assert_eq!(outcome.errors, Vec::<String>::new());
    figures::goodput(scenario, &outcome, None)
}

/// With a reduction in each round trip of a hand-over it was 0.74 and 0.85 of the satellite alone, whose queue makes its round trips
/// as long as all that is lost then.
#[test]
fn a_hand_over_is_one_loss_and_the_window_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/bonding");
    let scenario = tq_scenario::load(folder.join("lte40-leo100.toml")).expect("a scenario");
    for seed in [1, 2] {
        let alone = goodput(&scenario, Plan::new(&scenario, 1, seed));
        let together = goodput(&scenario, Plan::together(&scenario, seed));
        println!("seed {seed}: {alone:.1} alone, {together:.1} together");
        assert!(together > 0.95 * alone, "seed {seed}: {together} of {alone}");
    }
}
