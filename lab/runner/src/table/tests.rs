use tq_scenario::Window;

use super::*;
use crate::paired::Seen;

fn load(row: &Row) -> Scenario {
    let file = format!("../scenarios/bonding/{}.toml", row.file);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    tq_scenario::load(path).expect("a scenario")
}

fn pair(alone: &[f64], together: f64, latencies: [f64; 2], count: usize) -> Pair {
    let seen = |goodput, latency| Seen { goodput, latencies: vec![latency; count], ..Seen::default() };
    let alone = alone.iter().map(|goodput| seen(*goodput, latencies[0])).collect();
    Pair { seed: 1, alone, together: Seen { beside: 10.0, ..seen(together, latencies[1]) } }
}

#[test]
fn every_row_has_its_file_and_is_measured_warm_by_the_rule_or_cold() {
    for row in &ROWS {
        let scenario = load(row);
        let Window::Warm { from, length } = scenario.measure.window else { continue };
        let longest = scenario.links.iter().map(tq_scenario::Link::rtt).max().expect("a link");
        assert!(from >= (20 * longest).max(tq_time::Duration::from_secs(5)), "{}", row.file);
        assert!(length >= tq_time::Duration::from_secs(30), "{}", row.file);
    }
}

#[test]
fn a_row_with_loss_is_held_against_the_better_controller_alone() {
    let row = ROWS.iter().find(|row| row.lossy).expect("such a row");
    let cases = row.cases(&load(row), &[Cc::Auto, Cc::Cubic]);
    assert_eq!(cases[0].alone, [Cc::Auto, Cc::Cubic, Cc::Bbr]);
    assert_eq!(cases[1].alone, [Cc::Cubic, Cc::Bbr]);
}

#[test]
fn queues_are_stretched_whatever_their_unit() {
    for row in &ROWS {
        let (before, mut after) = (load(row), load(row));
        stretch(&mut after, 4);
        for (at, link) in before.links.iter().enumerate() {
            let (short, long) = (link.config(1).down.queue, after.links[at].config(1).down.queue);
            if let (Queue::Bytes(short), Queue::Bytes(long)) = (short, long) {
                assert!(long.abs_diff(short.saturating_mul(4)) <= 4, "{}: {short} {long}", row.file);
            }
        }
        let cells = |scenario: &Scenario| scenario.bottlenecks.first().map(|shared| shared.down.1.queue);
        if let (Some(Queue::Time(short)), Some(Queue::Time(long))) = (cells(&before), cells(&after)) {
            assert_eq!(long, 4 * short);
        }
    }
}

#[test]
fn each_bar_is_met_and_missed_where_it_should_be() {
    let scenario = load(&ROWS[0]);
    let holds = |judge, pair: Pair| verdict(judge, &scenario, &[pair]).2;
    let two = |together| pair(&[10.0, 5.0], together, [1.0, 1.0], 1);
    assert_eq!(holds(Judge::Sum(0.9), two(14.0)), Some(true));
    assert_eq!(holds(Judge::Sum(0.9), two(13.0)), Some(false));
    assert_eq!(holds(Judge::NeverBelowBest(1.0), two(10.0)), Some(true));
    assert_eq!(holds(Judge::NeverBelowBest(1.0), two(9.9)), Some(false));
    assert_eq!(holds(Judge::Beside(0.8, 1.25), two(12.0)), Some(true));
    assert_eq!(holds(Judge::Beside(0.8, 1.25), two(7.0)), Some(false));
    assert_eq!(holds(Judge::Cell(0.93), two(95.0)), Some(true), "of 100 Mbit/s");
    assert_eq!(holds(Judge::Cell(0.93), two(80.0)), Some(false));
    assert_eq!(holds(Judge::Told, two(1.0)), None);
}

#[test]
fn few_pages_say_nothing_good_and_late_ones_miss() {
    let scenario = load(&ROWS[0]);
    let judged = |latencies, count| {
        verdict(Judge::Pages(1.02, 1.05), &scenario, &[pair(&[1.0], 1.0, latencies, count)]).2
    };
    assert_eq!(judged([1.0, 1.0], 100), None);
    assert_eq!(judged([1.0, 1.0], LEAST_PAGES), Some(true));
    assert_eq!(judged([1.0, 1.03], LEAST_PAGES), Some(false));
}
