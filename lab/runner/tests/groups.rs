//! Paths behind one bottleneck are found out in whole connections, and links of their own are never taken for such.

use tq_runner::run::{self, Plan};
use tq_scenario::Cc;
use tq_time::Instant;

const CELL: &str = r#"
[[bottleneck]]
name = "cell"
rate = "20Mbit/s"
queue = "100ms"
"#;

/// Two links of 40 and 50 ms and one of 20; `of` says what the first two lead through.
fn scenario(of: &str, cell: &str) -> tq_scenario::Scenario {
    let text = format!(
        r#"
name = "bottlenecks"
time = "60s"
{cell}
[[link]]
name = "a"
{of}
rtt = "40ms"

[[link]]
name = "b"
{of}
rtt = "50ms"

[[link]]
name = "c"
rate = "15Mbit/s"
rtt = "20ms"
queue = "2bdp"

[[traffic]]
kind = "bulk"
bytes = "endless"
"#
    );
    tq_scenario::parse("bottlenecks.toml", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What was told of groups: when, which link's path, which group.
fn told(scenario: &tq_scenario::Scenario, cc: Cc, seed: u64) -> Vec<(Instant, u32, u32)> {
    let outcome = run::run(Plan::together(scenario, seed).with_cc(Some(cc))).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    outcome.paths.grouped
}

#[test]
fn two_of_three_links_in_one_cell_are_found_within_a_minute() {
    let scenario = scenario("rate = \"unlimited\"\nshares = \"cell\"", CELL);
    for (cc, seed) in [(Cc::Auto, 1), (Cc::Auto, 2), (Cc::Reno, 1)] {
        let found = told(&scenario, cc, seed);
        let groups: Vec<u32> = found.iter().map(|(.., group)| *group).collect();
        assert!(groups.len() == 2 && groups[0] == groups[1] && groups[0] != 0, "{cc:?} {seed}: {found:?}");
    }
}

#[test]
fn links_of_their_own_are_no_group() {
    let scenario = scenario("rate = \"10Mbit/s\"\nqueue = \"100ms\"", "");
    for (cc, seed) in [(Cc::Auto, 1), (Cc::Reno, 2), (Cc::Bbr, 3)] {
        assert_eq!(told(&scenario, cc, seed), [], "{cc:?} {seed}");
    }
}
