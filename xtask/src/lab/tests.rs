use super::*;

fn run(goodput: f64, holds: bool) -> Run {
    Run {
        verdict: if holds { "pass" } else { "fail" }.into(),
        reasons: Vec::new(),
        figures: Figures { goodput_bps: goodput * 1e6, gap_s: 0.1, completion_s: None },
        alone_bps: vec![goodput * 5e5, goodput * 6e5],
        bars: vec![Bar {
            bar: "use >= 0.9".into(),
            measured: Some(format!("{goodput}")),
            value: Some(goodput),
            holds: Some(holds),
        }],
        health: Health { cpu: 0.5, load: 1.0, late_ms: [0.0; 3] },
    }
}

#[test]
fn the_run_in_the_middle_decides_about_a_bar() {
    let runs: Vec<_> = [1.0, 9.0, 8.0, 7.0, 2.0].iter().map(|rate| run(*rate, *rate > 6.0)).collect();
    let result = sum(VARIANTS[0], &runs, &[]);
    assert_eq!((result.verdict, result.goodput_mbps), ("pass", Some(7.0)));
    assert_eq!(result.bars[0].median.as_deref(), Some("7"));
    assert_eq!(result.alone_mbps, [3.5, 4.2]);
    let result = sum(VARIANTS[0], &runs[..1], &runs[1..2]);
    assert_eq!((result.verdict, result.valid, result.invalid), ("fail", 1, 1));
}

#[test]
fn without_a_valid_run_there_is_nothing_to_say() {
    let result = sum(VARIANTS[1], &[], &[run(1.0, true)]);
    assert_eq!((result.verdict, result.goodput_mbps), ("skipped", None));
}

#[test]
fn side_by_side_has_a_scheduler_and_a_window() {
    let options = Options::parse(&["--beside", "--scheduler", "minrtt", "--window", "4s"]).unwrap();
    assert!(options.beside && options.filters.is_empty());
    assert_eq!((options.scheduler.as_deref(), options.window.as_deref()), (Some("minrtt"), Some("4s")));
    assert!(Options::parse(&["--window"]).is_err());
}

#[test]
fn several_filters_and_jobs_are_taken_and_no_jobs_at_all_are_refused() {
    let options = Options::parse(&["geo", "lte", "--jobs", "2", "--rounds", "3"]).unwrap();
    assert_eq!(
        (options.filters, options.jobs, options.rounds),
        (vec!["geo".into(), "lte".into()], Some(2), Some(3))
    );
    assert!(Options::parse(&["--jobs", "0"]).is_err() && Options::parse(&["--rounds"]).is_err());
}

#[test]
fn ours_may_be_played_without_the_others_but_not_beside_them() {
    let options = Options::parse(&["bonding/", "--ours", "--window", "15s"]).unwrap();
    assert!(options.ours && !options.beside && options.window.is_some());
    assert!(Options::parse(&["--ours", "--beside"]).is_err());
}

#[test]
fn links_are_alike_if_only_their_names_differ() {
    let two = |rtt: &str| {
        format!(
            "time = \"1s\"\n[[link]]\nname = \"a\"\nrtt = \"5ms\"\n\n[[link]]\nname = \"b\"\nrtt = \"{rtt}\"\n\n[[traffic]]\nkind = \"bulk\"\n"
        )
    };
    assert!(beside::alike(&two("5ms")));
    assert!(!beside::alike(&two("6ms")));
}

#[test]
fn options_are_told_apart_from_the_filter() {
    let options = Options::parse(&["single/", "--report", "lab.json", "--rounds", "7"]).unwrap();
    assert_eq!((options.filters, options.rounds), (vec!["single/".to_owned()], Some(7)));
    assert!(Options::parse(&["--rounds", "0"]).is_err());
    assert!(Options::parse(&["--fast"]).is_err());
}
