//! What a time line does to the two ends: a process that does not run, timers with a grain, keys that change, an application
//! that does not read.

use tq_runner::run::{self, Outcome, Plan};
use tq_scenario::Scenario;
use tq_time::{Duration, Instant};

fn parse(events: &str, traffic: &str, host: &str) -> Scenario {
    let links = "[[link]]\nname = \"a\"\nrate = \"8Mbit/s\"\nrtt = \"20ms\"\n[[link]]\nname = \"b\"\nrate = \"8Mbit/s\"\nrtt = \"40ms\"\n";
    let text = format!("name = \"hosts\"\ntime = \"6s\"\n{links}{events}{traffic}{host}");
    tq_scenario::parse("hosts.toml", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

const BULK: &str = "[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\n";

fn play(scenario: &Scenario) -> Outcome {
    let outcome = run::run(Plan::together(scenario, 1)).expect("a run");
    assert_eq!((&outcome.violations, &outcome.errors), (&Vec::new(), &Vec::new()));
    assert_eq!(outcome.left_out, Vec::<String>::new());
    outcome
}

fn at(seconds: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(seconds)
}

fn gap(outcome: &Outcome, flow: usize) -> Duration {
    outcome.flows[flow].down.longest_gap(at(1.0), at(5.5))
}

#[test]
fn a_process_that_does_not_run_takes_nothing_in_and_goes_on_afterwards() {
    let stall = "[[event]]\nat = \"2s\"\nwhat = \"stall\"\nside = \"client\"\nfor = \"500ms\"\n";
    let (calm, stalled) = (play(&parse("", BULK, "")), play(&parse(stall, BULK, "")));
    assert!(gap(&calm, 0) < Duration::from_millis(200), "{:?}", gap(&calm, 0));
    assert!(gap(&stalled, 0) >= Duration::from_millis(490), "{:?}", gap(&stalled, 0));
    let moved = |outcome: &Outcome| outcome.between(at(3.0), at(6.0)) as f64;
    assert!(moved(&stalled) > 0.8 * moved(&calm), "{} of {}", moved(&stalled), moved(&calm));
    assert_eq!(stalled.paths.abandons, 0);
}

#[test]
fn timers_with_a_grain_fire_late_and_nothing_breaks() {
    let coarse = play(&parse("", BULK, "[host]\ntimer_tick = \"4ms\"\n"));
    let exact = play(&parse("", BULK, ""));
    let moved = |outcome: &Outcome| outcome.between(at(1.0), at(6.0)) as f64;
    assert!(moved(&coarse) > 0.9 * moved(&exact));
    assert_ne!(moved(&coarse), moved(&exact), "the grain is felt");
}

#[test]
fn a_key_update_is_made_when_it_is_ordered() {
    for side in ["client", "server"] {
        let update = format!("[[event]]\nat = \"2s\"\nwhat = \"key-update\"\nside = \"{side}\"\n");
        let outcome = play(&parse(&update, BULK, ""));
        assert!(outcome.key_updates.iter().all(|updates| *updates == 1), "{side}: {:?}", outcome.key_updates);
    }
    assert_eq!(play(&parse("", BULK, "")).key_updates, [0, 0]);
}

#[test]
fn a_reader_that_rests_stops_its_own_stream_only() {
    let rest = "[[event]]\nat = \"2s\"\nwhat = \"pause-reader\"\ntraffic = \"stuck\"\nfor = \"2s\"\n";
    let two = "[[traffic]]\nkind = \"bulk\"\nname = \"stuck\"\nbytes = \"endless\"\n[[traffic]]\nkind = \"bulk\"\nname = \"other\"\nbytes = \"endless\"\n";
    let outcome = play(&parse(rest, two, ""));
    let (stuck, other) = (gap(&outcome, 0), gap(&outcome, 1));
    assert!(stuck >= Duration::from_millis(1900), "{stuck:?}");
    assert!(other < Duration::from_millis(300), "{other:?}");
    assert!(outcome.flows[0].down.between(at(4.0), at(5.0)) > 0, "it goes on");
}
