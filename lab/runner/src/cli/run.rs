//! `run FILE`: each link of a scenario alone, what was measured, which bars hold.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tq_linkmodel::Direction;
use tq_runner::report::{Report, Scenario as Entry};
use tq_runner::run::{self as runner, Outcome, Plan, tell};
use tq_runner::svg::{Mark, Plot, Series};
use tq_scenario::Scenario;
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
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Goodput over time, as a plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A capture of each link (NAME-SEED-LINK.pcap), every packet once, as it is sent.
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// A qlog of each connection and end.
    #[arg(long, value_name = "DIR")]
    qlog: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

pub(super) fn run(args: Args) -> Result<bool> {
    let mut scenario = tq_scenario::load(&args.file)?;
    if let Some(time) = args.download {
        scenario.make_download(Duration::from_secs_f64(time));
    }
    for folder in [&args.pcap, &args.qlog].into_iter().flatten() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let first = args.seed.unwrap_or(scenario.seed);
    let seeds: Vec<u64> = (0..u64::from(scenario.measure.runs)).map(|at| first.wrapping_add(at)).collect();
    let links = 0..scenario.links.len();
    let items: Vec<(usize, u64)> =
        links.clone().flat_map(|link| seeds.iter().map(move |seed| (link, *seed))).collect();
    let name = |item: &(usize, u64)| {
        format!("{} over {}, seed {}", scenario.name, scenario.links[item.0].name, item.1)
    };
    let outcomes = jobs::each(&items, args.jobs, name, |(link, seed)| one(&scenario, &args, *link, *seed));
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<Result<_>>()?;
    let runs: Vec<Vec<Outcome>> = outcomes.chunks(seeds.len().max(1)).map(<[_]>::to_vec).collect();
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

fn one(scenario: &Scenario, args: &Args, link: usize, seed: u64) -> Result<Outcome> {
    let mut plan = Plan::new(scenario, link, seed).with_cc(args.cc.map(Control::cc));
    let stem = format!("{}-{seed}-{}", scenario.name, scenario.links[link].name);
    if let Some(folder) = &args.pcap {
        plan.pcap = Some(Box::new(create(&folder.join(format!("{stem}.pcap")))?));
    }
    if let Some(folder) = &args.qlog {
        let folder = folder.clone();
        let open = move |id: &LogId| {
            let file = create(&folder.join(format!("{stem}-{}", id.file_name())));
            file.map_err(|error| eprintln!("{error:#}"))
                .ok()
                .map(|file| Box::new(file) as Box<dyn Write + Send>)
        };
        plan.qlog = Some(Qlog::new(scenario.name.clone(), open));
    }
    runner::run(plan)
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// Goodput over time, a line for each link (first seed), with what the link could carry.
pub(super) fn goodput_plot(scenario: &Scenario, runs: &[Vec<Outcome>]) -> Plot {
    let mut plot = Plot {
        title: format!("{}: goodput", scenario.name),
        x: "seconds".into(),
        y: "Mbit/s".into(),
        y_from_zero: true,
        ..Plot::default()
    };
    let bin = scenario.measure.bin.as_secs_f64();
    for outcome in runs.iter().filter_map(|outcomes| outcomes.first()) {
        let name = &scenario.links[outcome.link].name;
        plot.series.push(Series::new(name, Mark::Line, goodput(outcome, bin)));
    }
    if let [outcomes] = runs
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

/// What the link could carry in bins, headers included, in Mbit/s.
pub(super) fn rate(scenario: &Scenario, outcome: &Outcome, bin: f64) -> Vec<(f64, f64)> {
    let direction: Direction = runner::main_direction(scenario);
    let bins = (outcome.end.as_nanos() as f64 / 1e9 / bin) as u32;
    let time = std::time::Duration::from_secs_f64;
    (0..bins)
        .filter_map(|number| {
            let from = f64::from(number) * bin;
            let bytes =
                scenario.usable(outcome.link, direction, outcome.seed, time(from), time(from + bin))?;
            Some((from + bin / 2.0, bytes as f64 * 8.0 / 1e6 / bin))
        })
        .collect()
}

/// The report for people.
fn words(scenario: &Scenario, entry: &Entry, runs: &[Vec<Outcome>]) -> String {
    use std::fmt::Write as _;
    let mut out = format!("{}: {}\n", scenario.name, scenario.about);
    let ceilings = entry.ceiling.as_ref().map(|ceiling| ceiling.alone_mbps.clone()).unwrap_or_default();
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let _ = writeln!(
        out,
        "\n{:40} {:>13} {:>13} {:>9} {:>8}",
        "link, alone", "goodput", "ceiling", "packets", "dropped"
    );
    for (at, link) in scenario.links.iter().enumerate() {
        let outcomes = &runs[at];
        let packets: u64 = outcomes.iter().map(|outcome| outcome.packets).sum();
        let dropped: u64 = outcomes
            .iter()
            .flat_map(|outcome| &outcome.counters)
            .map(tq_linkmodel::Counters::dropped_total)
            .sum();
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
        let _ = writeln!(
            out,
            "together: needs the bond; sum of the links {} Mbit/s, ceiling of all {} Mbit/s",
            number(entry.ideal),
            number(ceiling)
        );
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
            None => "needs the bond or what is not there yet",
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
