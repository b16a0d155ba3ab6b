use std::collections::BTreeSet;

use super::*;

fn named(id: &str) -> Case {
    all().unwrap().into_iter().find(|case| case.id == id).unwrap()
}

#[test]
fn every_scenario_is_read_and_ids_are_unique() {
    let cases = all().unwrap();
    assert_eq!(cases.len(), 101);
    assert_eq!(cases.iter().map(|case| &case.id).collect::<BTreeSet<_>>().len(), 101);
    for case in &cases {
        assert!(!case.links.is_empty() && !case.bar_text.is_empty(), "{}", case.id);
        assert_eq!(case.links.len() > 1, case.runs == Runs::Together, "{}", case.id);
        if case.runs == Runs::SinglePath {
            assert!(case.load.is_some(), "{} has nothing to run", case.id);
        }
        if case.has_completion_bar() && case.runs == Runs::Together {
            assert!(case.load.is_some(), "{} has a bar without a load", case.id);
        }
    }
}

#[test]
fn bars_say_what_the_words_of_the_file_say() {
    for case in all().unwrap() {
        for bar in &case.bars {
            let [seconds, millis] =
                [bar.seconds, bar.seconds * 1000.0 - 450.0].map(|value| format!("{value}"));
            let limit = ["60", "300"].contains(&seconds.as_str()) && case.id.starts_with("qir-");
            let found =
                case.bar_text.contains(&seconds) || case.bar_text.contains(millis.split('.').next().unwrap());
            assert!(found || limit, "{}: {} is not in `{}`", case.id, bar.seconds, case.bar_text);
        }
    }
}

#[test]
fn the_satellite_runs_have_a_bar_for_each_controller() {
    let case = named("pq-sat-basic");
    assert_eq!(case.runs, Runs::SinglePath);
    assert_eq!(case.load.and_then(Load::bytes), Some(100_000_000));
    let seconds = |cc| case.bar_for(cc).unwrap().seconds;
    assert_eq!((seconds("bbr"), seconds("cubic"), seconds("reno")), (5.5, 6.5, 7.0));
    assert_eq!(case.down(&case.links[0]), Some(31_250_000.0));
    assert_eq!(case.up(&case.links[0]), Some(375_000.0));
    assert_eq!(case.links[0].queue, Some(Queue::Ms(600.0)));
}

#[test]
fn ten_megabit_of_picoquic_are_nine_and_a_half() {
    let case = named("pq-basic");
    assert_eq!(case.runs, Runs::Together);
    let rate = case.down(&case.links[0]).unwrap() * 8.0 / 1e6;
    assert!((rate - 9.54).abs() < 0.01, "{rate}");
    assert_eq!(case.load, Some(Load::Streams { sizes: &[1_000_000, 1_000_000], order: StreamOrder::Serial }));
}

#[test]
fn links_that_are_not_plain_numbers_keep_their_variants() {
    assert_eq!(named("msq-10-5-1").links[0].loss_pct, [0.0, 0.1, 0.01]);
    assert_eq!(named("neqo-delay-drop").links[0].down_ms, [50.0, 55.0]);
    assert_eq!(named("neqo-delay-drop").links[0].down, None);
    assert_eq!(named("pq-sat-loss").links[0].loss_pct, [1.6]);
    assert!(matches!(named("neqo-crazy").runs, Runs::Elsewhere(_)));
}
