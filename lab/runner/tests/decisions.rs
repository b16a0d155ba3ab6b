//! What a scheduler decides in a running connection can be written down and decided again: each line is a unit test.

use tq_quic::sched::{Decision, Kind, Memory};
use tq_runner::run::{self, Plan};
use tq_scenario::Scenario;
use tq_sim::qlog::Qlog;

const PAGES: &str = r#"
name = "pages"
time = "12s"

[[link]]
name = "quick"
rate = "20Mbit/s"
rtt = "20ms"

[[link]]
name = "slow"
rate = "20Mbit/s"
rtt = "120ms"
jitter = "20ms"
loss = "1%"

[[traffic]]
kind = "web"
name = "pages"
mix = "today"
pages = 20
outstanding = 32
think = "100ms"
"#;

/// Every decision of both ends.
fn decisions(scenario: &Scenario, scheduler: Kind) -> Vec<Decision> {
    let (qlog, logs) = Qlog::memory("decisions");
    let plan = Plan { qlog: Some(qlog), decisions: true, ..Plan::together(scenario, 1) };
    let outcome = run::run(plan.with_scheduler(Some(scheduler))).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    let mut found = Vec::new();
    for (_, log) in logs.all() {
        let text = String::from_utf8(log).expect("text");
        for line in text.split('\x1e').filter(|line| line.contains("tquic:decision_made")) {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let record = event["data"]["record"].as_str().expect("a record");
            let decision: Decision = record.parse().unwrap_or_else(|error| panic!("{record}: {error}"));
            assert_eq!(decision.to_string(), record);
            found.push(decision);
        }
    }
    found
}

#[test]
fn every_decision_of_every_scheduler_can_be_made_again() {
    let scenario = tq_scenario::parse("pages.toml", PAGES).unwrap_or_else(|errors| panic!("{errors}"));
    for scheduler in Kind::ALL {
        let decisions = decisions(&scenario, scheduler);
        assert!(decisions.len() > 1000, "{scheduler}: {}", decisions.len());
        for decision in &decisions {
            assert_eq!(decision.replay(), decision.pick, "{decision}");
        }
        // All but one remember something; the two that learn were told what became of earlier ones.
        let learnt = decisions.iter().filter(|made| made.memory != Memory::default()).count();
        let learns = scheduler != Kind::MinRtt;
        assert_eq!(learnt > 0, learns, "{scheduler}: {learnt}");
    }
}

#[test]
fn nothing_is_written_down_unless_it_is_asked_for() {
    let scenario = tq_scenario::parse("pages.toml", PAGES).unwrap_or_else(|errors| panic!("{errors}"));
    let (qlog, logs) = Qlog::memory("none");
    run::run(Plan { qlog: Some(qlog), ..Plan::together(&scenario, 1) }).expect("a run");
    for (_, log) in logs.all() {
        assert!(!String::from_utf8(log).expect("text").contains("decision_made"));
    }
}
