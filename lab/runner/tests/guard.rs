//! The guard in whole connections: a path that harms the others is held, shown copies of what they carry, and taken back when
//! its link is well again.

use tq_runner::run::{self, Outcome, Plan};
use tq_scenario::{Cc, Scenario};
use tq_time::Instant;

/// Windows are too small to hide what a lost packet on the second link keeps back, which from 5 to 30 s loses three in ten.
const SCENARIO: &str = r#"
name = "harms"
time = "60s"

[host]
connection_window = "512KiB"
stream_window = "512KiB"

[[link]]
name = "good"
rate = "40Mbit/s"
rtt = "20ms"
queue = "100ms"

[[link]]
name = "bad"
rate = "10Mbit/s"
rtt = "40ms"
queue = "2s"

[[event]]
at = "5s"
what = "loss"
link = "bad"
to = "30%"
for = "25s"

[[traffic]]
kind = "bulk"
bytes = "endless"
"#;

fn play(scenario: &Scenario, plan: Plan) -> Outcome {
    let outcome = run::run(plan.with_cc(Some(Cc::Cubic))).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(outcome.errors, Vec::<String>::new(), "{}", scenario.name);
    outcome
}

/// Bytes that links delivered from one second to another.
fn delivered(outcome: &Outcome, lane: usize, from: usize, to: usize) -> u64 {
    let samples = &outcome.lanes[lane].samples;
    samples[100 * to - 1].delivered[1] - samples[100 * from].delivered[1]
}

#[test]
fn a_path_that_harms_is_held_and_probed_and_comes_back_when_its_link_is_well_again() {
    let scenario = tq_scenario::parse("harms.toml", SCENARIO).unwrap_or_else(|errors| panic!("{errors}"));
    let mut came_back = 0;
    for seed in 1..=3 {
        let alone = play(&scenario, Plan::new(&scenario, 0, seed));
        let both = play(&scenario, Plan::together(&scenario, seed));
        let told = &both.paths.guarded;
        let [goodput, best] = [&both, &alone].map(|outcome| run::figures::goodput(&scenario, outcome, None));
        assert!(goodput > best, "{seed}: {goodput} of {best}");
        let after = |from: usize, what: &str| {
            told[from..].iter().position(|(_, _, did)| did.starts_with(what)).map(|at| from + at)
        };
        if let Some(held) = after(0, "held") {
            let probed = after(held, "probed").expect("copies are shown to it");
            // The link is well again at 30 s, and trains are 10 s apart at most.
            match after(probed, "admitted").map(|at| told[at].0) {
                Some(at) => {
                    assert!(at < Instant::from_nanos(42_000_000_000), "{seed}: {told:?}");
                    came_back += 1;
                }
                // Where nothing of it was acknowledged for long it is out, no longer held, and comes back like any other.
                None => assert!(both.paths.outs > 0, "{seed}: {told:?}"),
            }
        }
        // 12.5 MB is all there is room for.
        assert!(delivered(&both, 1, 50, 60) > 6_000_000, "{seed}: {told:?}");
    }
    assert!(came_back > 0, "the guard took nothing back");
}

/// Each end keeps its own queue short and sees the other's in its round trips: neither may take it for its own and hold back
/// for it. `a` alone carries 84 Mbit/s down meanwhile.
#[test]
fn bulk_both_ways_is_no_less_than_the_best_link_carries() {
    let text = std::fs::read_to_string("../scenarios/hard/n15-asymmetric.toml").expect("the file");
    let scenario = tq_scenario::parse("n15.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    for seed in [3, 4, 7] {
        let plan = Plan::together(&scenario, seed).with_cc(Some(Cc::Auto));
        let outcome = run::run(plan).expect("a run");
        let goodput = 8e-6 * run::figures::goodput(&scenario, &outcome, None);
        assert!(goodput > 84.0, "{seed}: {goodput} Mbit/s");
    }
}
