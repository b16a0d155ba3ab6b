//! `run FILE`: each link of a scenario alone, all of them together, what was measured, which bars hold.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tq_linkmodel::Direction;
use tq_quic::sched::Kind as Scheduler;
use tq_runner::report::{Report, Scenario as Entry};
use tq_runner::run::tell::Runs;
use tq_runner::run::{self as runner, Outcome, Plan, compare, tell};
use tq_runner::svg::{Mark, Plot, Series};
use tq_scenario::{Metric, Scenario};
use tq_sim::qlog::{LogId, Qlog};
use tq_time::{Duration, Instant};

use super::{Control, jobs};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The scenario; docs/scenarios.md says what can be in it.
    file: PathBuf,
    /// Everything random comes from it; the scenario's own if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Congestion control of both ends instead of the scenario's.
    #[arg(long)]
    cc: Option<Control>,
    /// Instead of the scenario's traffic and bars: one download for so many seconds, as `tq-netlab run --download`.
    #[arg(long, value_name = "SECONDS")]
    download: Option<f64>,
    /// Scheduler of both ends instead of the scenario's: aggregate, minrtt, roundrobin, weighted, blest, ecf.
    #[arg(long, value_parser = super::scheduler)]
    scheduler: Option<Scheduler>,
    /// How many seeds instead of the scenario's number.
    #[arg(long)]
    runs: Option<u32>,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Goodput over time, as a plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A capture of each link (NAME-SEED-LINK.pcap; NAME-SEED-all-LINK.pcap of all together), every packet once, as it
    /// is sent.
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// A qlog of each connection and end.
    #[arg(long, value_name = "DIR")]
    qlog: Option<PathBuf>,
    /// Decisions of schedulers in it as well: `tquic:decision_made`, from which they can be made again.
    #[arg(long, requires = "qlog")]
    decisions: bool,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// What is played: a link alone, or all together.
type Item = (Option<usize>, u64);

pub(super) fn run(args: Args) -> Result<bool> {
    let mut scenario = tq_scenario::load(&args.file)?;
    if let Some(time) = args.download {
        scenario.make_download(Duration::from_secs_f64(time));
    }
    scenario.measure.runs = args.runs.unwrap_or(scenario.measure.runs).max(1);
    for folder in [&args.pcap, &args.qlog].into_iter().flatten() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let first = args.seed.unwrap_or(scenario.seed);
    let items = items(&scenario, first);
    let name = |(link, seed): &Item| {
        let over = link.map_or("all together", |link| &scenario.links[link].name);
        format!("{} over {over}, seed {seed}", scenario.name)
    };
    let outcomes = jobs::each(&items, args.jobs, name, |(link, seed)| one(&scenario, &args, *link, *seed));
    let mut runs = Runs { alone: vec![Vec::new(); scenario.links.len()], together: Vec::new() };
    for ((link, _), outcome) in items.iter().zip(outcomes) {
        link.map_or(&mut runs.together, |link| &mut runs.alone[link]).push(outcome?);
    }
    let mut report = Report::new("run", first);
    report.scenarios.push(tell::entry(&scenario, &runs));
    let entry = &report.scenarios[0];
    let passed = entry.violations.is_empty() && entry.bars.iter().all(|bar| bar.holds != Some(false));
    if let Some(path) = &args.svg {
        super::write(path, &goodput_plot(&scenario, &runs).svg())?;
    }
    if args.json {
        print!("{}", report.json()?);
    } else {
        print!("{}", words(&scenario, entry, &runs));
    }
    Ok(passed)
}

/// Seeds that links run alone with where no bar compares: enough for the report.
const COMPARED: u64 = 5;

/// Each link alone and all together, with each seed. A bar about what links do alone needs them with every seed.
fn items(scenario: &Scenario, first: u64) -> Vec<Item> {
    let runs = u64::from(scenario.measure.runs);
    let compares =
        |bar: &tq_scenario::Bar| matches!(bar.metric, Metric::Use | Metric::Gain | Metric::Benefit);
    let single = scenario.links.len() == 1;
    let alone = if single || scenario.bars.iter().any(compares) { runs } else { runs.min(COMPARED) };
    let seeds = |count: u64| (0..count).map(move |at| first.wrapping_add(at));
    let mut items: Vec<Item> =
        (0..scenario.links.len()).flat_map(|link| seeds(alone).map(move |seed| (Some(link), seed))).collect();
    if !single {
        items.extend(seeds(runs).map(|seed| (None, seed)));
    }
    items
}

fn one(scenario: &Scenario, args: &Args, link: Option<usize>, seed: u64) -> Result<Outcome> {
    let plan = match link {
        None => Plan::together(scenario, seed),
        Some(link) if compare::is_calmed(scenario, link, seed) => Plan::new(scenario, link, seed).calmed(),
        Some(link) => Plan::new(scenario, link, seed),
    };
    let mut plan = plan.with_cc(args.cc.map(Control::cc)).with_scheduler(args.scheduler);
    let over = link.map_or("all", |link| &scenario.links[link].name);
    let stem = format!("{}-{seed}-{over}", scenario.name);
    if let Some(folder) = &args.pcap {
        for played in &plan.links {
            let name = match link {
                Some(_) => format!("{stem}.pcap"),
                None => format!("{stem}-{}.pcap", scenario.links[*played].name),
            };
            plan.pcap.push(Box::new(create(&folder.join(name))?));
        }
    }
    plan.decisions = args.decisions;
    plan.qlog = args.qlog.as_deref().map(|folder| log_to(folder, stem, scenario.name.clone()));
    runner::run(plan)
}

/// Logs of each connection and end in a folder; their names begin with `stem`.
pub(super) fn log_to(folder: &Path, stem: String, title: String) -> Qlog {
    let folder = folder.to_path_buf();
    Qlog::new(title, move |id: &LogId| {
        let file = create(&folder.join(format!("{stem}-{}", id.file_name())));
        file.map_err(|error| eprintln!("{error:#}")).ok().map(|file| Box::new(file) as Box<dyn Write + Send>)
    })
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// Goodput over time, a line for each link alone and for all together (first seed), with what a single link could carry.
pub(super) fn goodput_plot(scenario: &Scenario, runs: &Runs) -> Plot {
    let mut plot = Plot {
        title: format!("{}: goodput", scenario.name),
        x: "seconds".into(),
        y: "Mbit/s".into(),
        y_from_zero: true,
        ..Plot::default()
    };
    let bin = scenario.measure.bin.as_secs_f64();
    for (link, outcomes) in scenario.links.iter().zip(&runs.alone) {
        if let Some(outcome) = outcomes.first() {
            plot.series.push(Series::new(&link.name, Mark::Line, goodput(outcome, bin)));
        }
    }
    if let Some(outcome) = runs.together.first() {
        plot.series.push(Series::new("all together", Mark::Line, goodput(outcome, bin)));
    }
    if let ([outcomes], []) = (&runs.alone[..], &runs.together[..])
        && let Some(outcome) = outcomes.first()
    {
        plot.series.push(Series::new("the link's rate", Mark::Dashed, rate(scenario, outcome, bin)));
    }
    plot
}

/// Own goodput of a run in bins, in Mbit/s.
pub(super) fn goodput(outcome: &Outcome, bin: f64) -> Vec<(f64, f64)> {
    let at = |bin_at: f64| Instant::from_nanos((bin_at * 1e9) as u64);
    let bins = (outcome.end.as_nanos() as f64 / 1e9 / bin) as u32;
    (0..bins)
        .map(|number| {
            let from = f64::from(number) * bin;
            let bytes = outcome.between(at(from), at(from + bin));
            (from + bin / 2.0, bytes as f64 * 8.0 / 1e6 / bin)
        })
        .collect()
}

/// What the first link could carry in bins, headers included, in Mbit/s.
pub(super) fn rate(scenario: &Scenario, outcome: &Outcome, bin: f64) -> Vec<(f64, f64)> {
    let direction: Direction = runner::main_direction(scenario);
    let Some(link) = outcome.lanes.first().map(|lane| lane.link) else { return Vec::new() };
    let bins = (outcome.end.as_nanos() as f64 / 1e9 / bin) as u32;
    let time = std::time::Duration::from_secs_f64;
    (0..bins)
        .filter_map(|number| {
            let from = f64::from(number) * bin;
            let bytes = scenario.usable(link, direction, outcome.seed, time(from), time(from + bin))?;
            Some((from + bin / 2.0, bytes as f64 * 8.0 / 1e6 / bin))
        })
        .collect()
}

/// The report for people.
fn words(scenario: &Scenario, entry: &Entry, runs: &Runs) -> String {
    use std::fmt::Write as _;
    let mut out = format!("{}: {}\n", scenario.name, scenario.about);
    let ceilings = entry.ceiling.as_ref().map(|ceiling| ceiling.alone_mbps.clone()).unwrap_or_default();
    let _ = writeln!(
        out,
        "\n{:40} {:>13} {:>13} {:>9} {:>8}",
        "link, alone", "goodput", "ceiling", "packets", "dropped"
    );
    let sums = |outcomes: &[Outcome]| {
        let packets: u64 = outcomes.iter().map(|outcome| outcome.packets).sum();
        let counters = outcomes.iter().flat_map(|outcome| &outcome.lanes).flat_map(|lane| &lane.counters);
        (packets, counters.map(tq_linkmodel::Counters::dropped_total).sum::<u64>())
    };
    for (at, link) in scenario.links.iter().enumerate() {
        let (packets, dropped) = sums(&runs.alone[at]);
        let _ = writeln!(
            out,
            "{:40} {:>6} Mbit/s {:>6} Mbit/s {packets:>9} {dropped:>8}",
            link.summary(),
            number(entry.alone_mbps[at]),
            number(ceilings.get(at).copied()),
        );
    }
    if scenario.links.len() > 1 {
        let ceiling = entry.ceiling.as_ref().map(|ceiling| ceiling.together_mbps);
        let (packets, dropped) = sums(&runs.together);
        let _ = writeln!(
            out,
            "{:40} {:>6} Mbit/s {:>6} Mbit/s {packets:>9} {dropped:>8}",
            "all together",
            number(entry.together_mbps),
            number(ceiling)
        );
        out += &bond(entry);
    }
    if let (Some(took), Some(ceiling)) = (entry.completion_s, &entry.ceiling) {
        let _ = writeln!(out, "completion {took:.3} s, ceiling {} s", number(ceiling.completion_s));
    }
    for figure in &entry.figures {
        let value = figure.value.map_or("-".to_owned(), |value| format!("{value:.4} {}", figure.unit));
        let _ = writeln!(out, "{:20} {value}", figure.name);
    }
    for bar in &entry.bars {
        let word = match bar.holds {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "the simulator cannot say",
        };
        let _ = writeln!(
            out,
            "bar {:32} {} ({word})",
            bar.text,
            bar.measured.as_deref().unwrap_or("not measured")
        );
    }
    for violation in &entry.violations {
        let _ = writeln!(out, "WRONG BYTES {violation}");
    }
    if !entry.note.is_empty() {
        let _ = writeln!(out, "note: {}", entry.note);
    }
    let _ = writeln!(out, "verdict: {}", entry.verdict.word());
    out
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

/// How all together compare with each alone, and what each link had of it.
fn bond(entry: &Entry) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let three = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let _ = writeln!(
        out,
        "together / sum {} (sum {} Mbit/s), together / best {}, benefit {}; ceiling's benefit {}",
        three(entry.efficiency),
        number(entry.ideal),
        three(entry.ratio_to_best),
        three(entry.benefit),
        three(entry.ceiling.as_ref().and_then(|ceiling| ceiling.benefit)),
    );
    for path in &entry.paths {
        let share = path.share.map(|share| share * 100.0);
        let _ = writeln!(
            out,
            "  {:16} {:>6} % of the bytes, dropped {:>6}, srtt {:>7} ms, queue {:>7} ms",
            path.link,
            number(share),
            path.dropped,
            number(path.srtt_ms),
            number(path.queue_ms)
        );
    }
    if let (Some(abandons), Some(outs)) = (entry.abandons, entry.outs) {
        let _ = writeln!(out, "  paths given up {abandons}, found out {outs}");
    }
    if let Some(groups) = entry.groups.filter(|groups| *groups > 0) {
        let _ = writeln!(out, "  paths found in a group, or in none any more: {groups}");
    }
    out
}
