//! Several links of a scenario at once: what is compared with what, what a time line does to paths, and that a run over
//! several links repeats to the last byte.

use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use tq_runner::report::Verdict;
use tq_runner::run::tell::Runs;
use tq_runner::run::{self, Alone, Outcome, Plan, compare, figures, tell};
use tq_scenario::{Kind, Scenario, Window};

fn load(name: &str) -> Scenario {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    tq_scenario::load(folder.join(name)).expect("a scenario")
}

fn parse(text: &str) -> Scenario {
    tq_scenario::parse("test.toml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

const LINKS: &str = r#"
[[link]]
name = "a"
rate = "20Mbit/s"
rtt = "20ms"

[[link]]
name = "b"
rate = "20Mbit/s"
rtt = "40ms"
"#;

/// Two links, what happens to them, and a download: of so many bytes, or for as long as it lasts.
fn two(time: &str, bytes: &str, events: &str, bars: &str) -> Scenario {
    let bars = if bars.is_empty() { String::new() } else { format!("bars = [{bars}]\n") };
    parse(&format!(
        "name = \"two\"\ntime = \"{time}\"\n{bars}{LINKS}{events}[[traffic]]\nkind = \"bulk\"\nbytes = \"{bytes}\"\n"
    ))
}

fn together(scenario: &Scenario) -> Outcome {
    let outcome = run::run(Plan::together(scenario, scenario.seed)).expect("a run");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(outcome.errors, Vec::<String>::new());
    outcome
}

fn runs(scenario: &Scenario) -> Runs {
    let alone = (0..scenario.links.len()).map(|link| {
        let plan = Plan::new(scenario, link, scenario.seed);
        let calm = compare::is_calmed(scenario, link, scenario.seed);
        vec![run::run(if calm { plan.calmed() } else { plan }).expect("a run")]
    });
    Runs { alone: alone.collect(), together: vec![together(scenario)] }
}

#[test]
fn two_links_carry_more_than_one_and_the_columns_say_how_much() {
    let scenario =
        two("20s", "10MB", "", "\"gain >= 1.5\", \"use >= 0.7\", \"paths == 2\", \"abandons == 0\"");
    let entry = tell::entry(&scenario, &runs(&scenario));
    let (sum, all) = (entry.ideal.expect("a sum"), entry.together_mbps.expect("a figure"));
    let best = entry.alone_mbps.iter().flatten().copied().fold(0.0, f64::max);
    assert!(entry.efficiency.is_some_and(|found| (found - all / sum).abs() < 1e-9));
    assert!(entry.ratio_to_best.is_some_and(|found| (found - all / best).abs() < 1e-9));
    assert_eq!(entry.verdict, Verdict::Pass, "{:?}", entry.bars);
    let shares: f64 = entry.paths.iter().filter_map(|path| path.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{:?}", entry.paths);
    assert!(
        entry.paths.iter().all(|path| path.srtt_ms.is_some_and(|srtt| srtt >= 20.0)),
        "{:?}",
        entry.paths
    );
}

#[test]
fn a_link_that_is_out_for_half_of_the_time_counts_half() {
    let event = "[[event]]\nat = \"5s\"\nwhat = \"silent\"\nlink = \"a\"\n";
    let scenario = two("10s", "endless", event, "");
    assert!(compare::is_calmed(&scenario, 0, 1) && !compare::is_calmed(&scenario, 1, 1));
    let calm = run::run(Plan::new(&scenario, 0, 1).calmed()).expect("a run");
    let full = run::figures::goodput(&scenario, &calm, None);
    let alone = Alone::of(&scenario, [&calm]).median(0).expect("a figure");
    assert!((alone / full - 0.5).abs() < 1e-6, "{alone} of {full}");
}

#[test]
fn all_schedulers_move_everything() {
    let scenario = two("20s", "3MB", "", "");
    for kind in tq_quic::sched::Kind::ALL {
        let outcome = run::run(Plan::together(&scenario, 1).with_scheduler(Some(kind))).expect("a run");
        assert_eq!(outcome.violations, Vec::<String>::new(), "{kind}");
        assert!(outcome.completion().is_some(), "{kind}");
        assert_eq!(outcome.paths.open, 2, "{kind}");
    }
}

#[test]
fn a_path_is_given_up_and_opened_again_as_the_time_line_says() {
    let event = "[[event]]\nat = \"1s\"\nwhat = \"abandon\"\nlink = \"a\"\nfor = \"1s\"\n";
    let outcome = together(&two("5s", "endless", event, ""));
    assert_eq!((outcome.paths.abandons, outcome.paths.open), (1, 2));
    assert_eq!(outcome.paths.refused, Vec::<String>::new());
    let delivered = |from: usize, to: usize| {
        let samples = &outcome.lanes[0].samples;
        samples[to].delivered[1] - samples[from].delivered[1]
    };
    assert!(delivered(150, 200) < 30_000, "{} bytes on a path that is given up", delivered(150, 200));
    assert!(delivered(300, 400) > 1_000_000, "{} bytes on the path that is back", delivered(300, 400));
}

#[test]
fn a_path_on_standby_carries_nothing_while_another_lives_and_everything_when_it_dies() {
    let event = "[[event]]\nat = \"1s\"\nwhat = \"standby\"\nlink = \"a\"\n\
                 [[event]]\nat = \"3s\"\nwhat = \"silent\"\nlink = \"b\"\n";
    let outcome = together(&two("8s", "endless", event, ""));
    let samples = &outcome.lanes[0].samples;
    let delivered = |from: usize, to: usize| samples[to].delivered[1] - samples[from].delivered[1];
    assert!(delivered(150, 290) < 100_000, "{} bytes on standby", delivered(150, 290));
    assert!(delivered(600, 700) > 1_000_000, "{} bytes with no other path", delivered(600, 700));
    assert_eq!(outcome.paths.abandons, 0);
}

#[test]
fn cut_silently_or_loudly_a_path_comes_back_when_its_link_does() {
    for what in ["silent", "down"] {
        let event = format!("[[event]]\nat = \"2s\"\nwhat = \"{what}\"\nlink = \"b\"\nfor = \"1500ms\"\n");
        let outcome = together(&two("10s", "endless", &event, ""));
        let samples = &outcome.lanes[1].samples;
        let late = samples[950].delivered[1] - samples[800].delivered[1];
        assert!(late > 1_000_000, "{what}: {late} bytes after it healed");
        assert_eq!((outcome.paths.abandons, outcome.paths.open), (0, 2), "{what}");
    }
}

#[test]
fn a_link_that_gets_another_address_keeps_its_path() {
    for nat in [false, true] {
        let translated = if nat { "nat = { timeout = \"60s\" }\n" } else { "" };
        let links = LINKS.replace("rtt = \"40ms\"\n", &format!("rtt = \"40ms\"\n{translated}"));
        let scenario = parse(&format!(
            "name = \"moves\"\ntime = \"6s\"\n{links}[[event]]\nat = \"2s\"\nwhat = \"address\"\nlink = \"b\"\n\
             [[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\n"
        ));
        let outcome = together(&scenario);
        let samples = &outcome.lanes[1].samples;
        let late = samples[550].delivered[1] - samples[400].delivered[1];
        assert!(late > 1_000_000, "nat {nat}: {late} bytes from the new address");
        assert_eq!((outcome.paths.abandons, outcome.paths.open), (0, 2), "nat {nat}");
    }
}

#[test]
fn a_competing_connection_stays_on_its_link() {
    let scenario = parse(&format!(
        "name = \"beside\"\ntime = \"6s\"\n{LINKS}[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\nstop = \"10ms\"\n\
         [[traffic]]\nkind = \"competing\"\nlink = \"b\"\nbytes = \"endless\"\n"
    ));
    let outcome = together(&scenario);
    assert!(outcome.lanes[1].counters[1].delivered_bytes > 5_000_000);
    assert!(outcome.lanes[0].counters[1].delivered_bytes < 500_000);
}

#[test]
fn a_published_bond_scenario_has_figures_for_all_that_it_asks() {
    let mut scenario = load("published/mptcp-link-usage.toml");
    scenario.measure.runs = 1;
    let entry = tell::entry(&scenario, &Runs { alone: Vec::new(), together: vec![together(&scenario)] });
    for bar in entry.bars.iter().filter(|bar| bar.text.starts_with("share")) {
        assert!(bar.holds.is_some(), "{bar:?}");
    }
}

/// Bytes that are kept.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_run_over_several_links_repeats_to_the_last_byte() {
    let scenario = load("bonding/three-links.toml");
    let mut short = scenario.clone();
    short.time = std::time::Duration::from_secs(2);
    short.measure = tq_scenario::Measure::default();
    let record = |seed: u64| {
        let tapes: Vec<Tape> = (0..3).map(|_| Tape::default()).collect();
        let mut plan = Plan::together(&short, seed);
        plan.pcap = tapes.iter().map(|tape| Box::new(tape.clone()) as Box<dyn Write>).collect();
        run::run(plan).expect("a run");
        tapes.iter().map(|tape| tape.0.borrow().clone()).collect::<Vec<_>>()
    };
    let (one, again, other) = (record(5), record(5), record(6));
    assert!(one == again, "captures differ");
    assert!(one != other, "the seed does not matter");
    assert!(one.iter().all(|tape| tape.len() > 100_000), "a link carried next to nothing");
}

#[test]
fn a_dead_first_link_does_not_keep_a_connection_from_beginning() {
    let event = "[[event]]\nat = \"0s\"\nwhat = \"silent\"\nlink = \"a\"\nfor = \"2s\"\n";
    let scenario = two("10s", "3MB", event, "");
    let outcome = together(&scenario);
    let done = outcome.completion().expect("a completed download");
    assert!(done.as_nanos() < 4_000_000_000, "done at {done:?}");
}

/// Every file of `lab/scenarios/bonding` with a download of 12 MB: what is sent again though it was not lost is no more than
/// 5 % of it.
#[test]
fn little_is_sent_twice_over_the_links_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/bonding");
    let entries = std::fs::read_dir(folder).expect("files").map(|entry| entry.expect("one").path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    let play = |file: &std::path::PathBuf| {
        let mut scenario = tq_scenario::load(file).expect("a scenario");
        scenario.traffic.truncate(1);
        scenario.traffic[0].kind = Kind::Bulk { bytes: Some(12_000_000), streams: 1, sequential: false };
        scenario.measure.window = Window::Cold;
        let outcome = together(&scenario);
        (
            scenario.name.clone(),
            figures::twice(&outcome),
            outcome.own().map(|flow| flow.down.bytes).sum::<u64>(),
        )
    };
    let played: Vec<_> = files.iter().map(play).collect();
    assert!(played.len() >= 14, "{played:?}");
    for (name, twice, bytes) in &played {
        println!("{name}: {:.2} % of {bytes}", twice * 100.0);
    }
    assert!(played.iter().all(|(_, twice, bytes)| *twice <= 0.05 && *bytes >= 12_000_000), "{played:?}");
}

/// With this seed the last four packets on the satellite are lost; a probe there is answered 600 ms later. The DSL alone takes
/// 3.43 s.
#[test]
fn the_end_of_a_long_path_goes_again_when_it_is_overdue() {
    let scenario = load("bonding/dsl50-geo20-cold20.toml");
    let outcome = run::run(Plan::together(&scenario, 20)).expect("a run");
    let done = outcome.completion().expect("a completed download");
    assert!(done.as_nanos() < 3_100_000_000, "done at {done:?}");
}

/// All that is left on the satellite is lost and nothing else is under way, so that no acknowledgement wakes anybody: after a round
/// trip and its variation it goes again (a suspicion would take four times that, 3.51 s in all).
#[test]
fn the_end_of_a_long_path_that_is_lost_as_a_whole_wakes_the_sender() {
    let text = include_str!("../../scenarios/bonding/dsl50-geo20-cold20.toml");
    let lost = "[[event]]\nat = \"2.55s\"\nwhat = \"loss\"\nlink = \"geo\"\nto = \"100%\"\nfor = \"300ms\"\n\n[[traffic]]";
    let scenario = parse(&text.replacen("[[traffic]]", lost, 1));
    let done = together(&scenario).completion().expect("a completed download");
    assert!((2_900_000_000..3_300_000_000).contains(&done.as_nanos()), "done at {done:?}");
}
