//! Each congestion controller against what it promises, over the links of `lab/scenarios/cc`: an empty link, a shared one,
//! loss that is no queue's, queues deep and shallow, a long way, a rate that changes both ways. Each figure is printed
//! (`cargo test -p tq-scenarios --test cc -- --nocapture`).

use std::path::Path;

use tq_runner::run::{self, Outcome, Plan, figures, stream_share};
use tq_scenario::{Cc, Scenario};
use tq_time::{Duration, Instant};

const ALL: [Cc; 5] = [Cc::Cubic, Cc::Reno, Cc::Bbr, Cc::Auto, Cc::Olia];

fn load(name: &str) -> Scenario {
    let file = format!("../scenarios/cc/{name}.toml");
    tq_scenario::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a scenario")
}

/// What a controller did: share of what the link can carry, mean waiting time in ms.
struct Found {
    outcome: Outcome,
    used: f64,
    waited: f64,
}

fn find(scenario: &Scenario, cc: Cc) -> Found {
    let outcome = run::run(Plan::new(scenario, 0, 1).with_cc(Some(cc))).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    let capacity = figures::capacity(scenario, &outcome).expect("a rate");
    let used = figures::goodput(scenario, &outcome, None) / capacity;
    let waited = mean_wait(&outcome, 5.0);
    println!("{:12} {:6} use {used:.3} mean wait {waited:6.1} ms", scenario.name, cc.name());
    Found { outcome, used, waited }
}

/// Mean waiting time downwards from so many seconds on, ms.
fn mean_wait(outcome: &Outcome, from: f64) -> f64 {
    let from = Instant::ZERO + Duration::from_secs_f64(from);
    let samples = outcome.lanes[0].samples.iter().filter(|sample| sample.at >= from);
    let (sum, count) = samples
        .fold((0.0, 0.0), |(sum, count), sample| (sum + sample.waiting[1].as_secs_f64() * 1e3, count + 1.0));
    sum / f64::max(count, 1.0)
}

/// Goodput of the first flow between two times, Mbit/s.
fn goodput(outcome: &Outcome, flow: usize, from: f64, to: f64) -> f64 {
    let at = |seconds| Instant::ZERO + Duration::from_secs_f64(seconds);
    outcome.flows[flow].down.between(at(from), at(to)) as f64 * 8e-6 / (to - from)
}

fn governed(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    (scenario.hosts.client.governor, scenario.hosts.server.governor) = (Some(true), Some(true));
    scenario
}

#[test]
fn an_empty_link_is_full() {
    for cc in ALL {
        assert!(find(&load("empty"), cc).used > 0.96, "{}", cc.name());
    }
}

#[test]
fn a_deep_queue_is_filled_by_losses_only_and_not_with_a_governor() {
    for cc in ALL {
        let found = find(&load("deep"), cc);
        assert!(found.used > 0.96, "{}", cc.name());
        let held = find(&governed(&load("deep")), cc);
        // Coupled windows give way to others, who may be there.
        let most = if cc == Cc::Olia { 160.0 } else { 20.0 };
        assert!(held.used > 0.96 && held.waited < most, "{}", cc.name());
    }
}

#[test]
fn a_shallow_queue_costs_little() {
    for (cc, least) in
        [(Cc::Cubic, 0.85), (Cc::Reno, 0.75), (Cc::Bbr, 0.9), (Cc::Auto, 0.85), (Cc::Olia, 0.75)]
    {
        assert!(find(&load("shallow"), cc).used > least, "{}", cc.name());
        assert!(find(&governed(&load("shallow")), cc).used > least, "{}", cc.name());
    }
}

#[test]
fn loss_that_is_no_queues_holds_down_those_that_go_by_loss() {
    for cc in [Cc::Bbr, Cc::Auto] {
        assert!(find(&load("random-loss"), cc).used > 0.85, "{}", cc.name());
    }
    for cc in [Cc::Cubic, Cc::Reno, Cc::Olia] {
        let used = find(&load("random-loss"), cc).used;
        assert!((0.04..0.4).contains(&used), "{}", cc.name());
    }
}

#[test]
fn a_long_way_is_filled() {
    for (cc, least) in [(Cc::Cubic, 0.8), (Cc::Bbr, 0.9), (Cc::Auto, 0.9)] {
        assert!(find(&load("long"), cc).used > least, "{}", cc.name());
    }
}

#[test]
fn a_rate_that_changes_is_followed_down_and_up() {
    let scenario = load("rate-change");
    for (cc, scenario) in ALL.into_iter().flat_map(|cc| [(cc, scenario.clone()), (cc, governed(&scenario))]) {
        let Found { outcome, .. } = find(&scenario, cc);
        let share = stream_share(1452);
        for (from, to, rate, least) in
            [(4.0, 8.0, 50.0, 0.9), (12.0, 16.0, 15.0, 0.9), (20.0, 23.0, 50.0, 0.6)]
        {
            let used = goodput(&outcome, 0, from, to) / (rate * share);
            println!("  {from} to {to} s: {used:.3}");
            assert!(used > least, "{}: {from} s {used}", cc.name());
        }
    }
}

#[test]
fn beside_a_cubic_flow_each_has_a_share() {
    for cc in ALL {
        for scenario in [load("shared"), governed(&load("shared"))] {
            let Found { outcome, .. } = find(&scenario, cc);
            let (own, other) = (goodput(&outcome, 0, 8.0, 60.0), goodput(&outcome, 1, 8.0, 60.0));
            println!("  {own:.1} beside {other:.1} Mbit/s");
            assert!(own / (own + other) > 0.15, "{}: {own} {other}", cc.name());
            assert!(own / (own + other) < 0.85, "{}: {own} {other}", cc.name());
        }
    }
}
