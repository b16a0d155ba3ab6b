use super::*;

fn scenario(id: &str) -> Scenario {
    let mut scenario = Scenario {
        id: id.to_owned(),
        links: vec![Link {
            name: "dsl".to_owned(),
            down_mbps: 50.0,
            up_mbps: 10.0,
            rtt_ms: 20.0,
            loss_pct: 0.0,
        }],
        alone_mbps: vec![Some(47.0), Some(10.0)],
        together_mbps: Some(52.0),
        bar_s: Some(5.5),
        completion_s: Some(5.25),
        verdict: Verdict::of(Some(5.25), Some(5.5)),
        ..Scenario::default()
    };
    scenario.compare();
    scenario
}

#[test]
fn what_follows_from_goodputs_is_filled_in() {
    let found = scenario("a");
    assert_eq!((found.ideal, found.benefit), (Some(57.0), Some(0.5)));
    assert_eq!(found.verdict, Verdict::Pass);
}

#[test]
fn one_path_has_no_togetherness_and_the_document_says_null() {
    let mut found = Scenario { together_mbps: None, ..scenario("a") };
    found.compare();
    let mut report = Report::new("suite", 7);
    report.scenarios.push(found);
    let value: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!((value["schema"].as_u64(), value["seed"].as_u64()), (Some(1), Some(7)));
    let entry = &value["scenarios"][0];
    for field in ["together_mbps", "benefit", "efficiency", "ratio_to_best", "ceiling", "theirs"] {
        assert!(entry.get(field).is_some_and(serde_json::Value::is_null), "{field}");
    }
    assert_eq!(entry["verdict"], "pass");
    assert_eq!(entry["alone_mbps"][0], 47.0);
}

#[test]
fn numbers_that_are_not_finite_become_null() {
    let mut report = Report::new("grid", 0);
    report.scenarios.push(Scenario { completion_s: Some(f64::NAN), ..Scenario::default() });
    let value: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert!(value["scenarios"][0]["completion_s"].is_null());
    assert!(report.table().contains(" - "));
}

#[test]
fn the_table_is_aligned_and_fits_a_hundred_columns() {
    let mut report = Report::new("grid", 1);
    for id in ["short", "a-very-long-name-of-a-scenario-that-goes-on/003/swapped/bdp"] {
        report.scenarios.push(scenario(id));
    }
    report.scenarios.push(Scenario {
        completion_s: Some(1e30),
        together_mbps: Some(1e12),
        ..scenario("huge")
    });
    report.scenarios.push(Scenario { verdict: Verdict::Skipped, ..Scenario::default() });
    let table = report.table();
    let ends: Vec<usize> = table.lines().skip(2).take(4).map(|line| line.rfind("  ").unwrap()).collect();
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(table.contains("median") && table.contains("3 pass, 0 FAIL"), "{table}");
}

#[test]
fn a_run_that_never_finished_fails_its_bar() {
    assert_eq!(Verdict::of(None, Some(1.0)), Verdict::Fail);
    assert_eq!(Verdict::of(Some(f64::NAN), Some(1.0)), Verdict::Fail);
    assert_eq!(Verdict::of(Some(2.0), None), Verdict::Report);
}

#[test]
fn an_empty_report_is_a_report() {
    let report = Report::new("grid", 1);
    assert!(report.table().contains("verdicts: 0 pass"));
}
