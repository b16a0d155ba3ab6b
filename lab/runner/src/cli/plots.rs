//! `plots`: the pictures of docs/simulator.md: for each link type, or each controller's trials, goodput, queue and window
//! over time.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tq_runner::run::{self as runner, Outcome, Plan};
use tq_runner::svg::{BarGroup, BarPlot, Mark, Plot, Series};
use tq_scenario::{Cc, Scenario, Window};
use tq_time::{Duration, Instant};

use super::{jobs, list, run as single};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the plots go, like docs/plots.
    folder: PathBuf,
    /// Which scenarios: `single`, the link types with CUBIC and Reno, or `cc`, trials of every controller.
    #[arg(long, value_parser = ["single", "cc"], default_value = "single")]
    set: String,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where scenarios are; lab/scenarios if left out.
    #[arg(long)]
    scenarios: Option<PathBuf>,
}

/// Points of a line at most, so that files stay small.
const POINTS: usize = 150;

pub(super) fn run(args: &Args) -> Result<bool> {
    std::fs::create_dir_all(&args.folder)
        .with_context(|| format!("cannot make {}", args.folder.display()))?;
    let mut files = Vec::new();
    list::files(&super::folder(args.scenarios.as_deref()).join(&args.set), &mut files)?;
    let (ccs, prefix, title): (&[Cc], &str, &str) = match args.set.as_str() {
        "cc" => (&TRIED, "cc-", "Use of the link once it was found"),
        _ => (&TYPES, "", "Use of an empty link from its first second on"),
    };
    let scenarios =
        files.iter().map(|path| Ok(shown(tq_scenario::load(path)?, prefix))).collect::<Result<Vec<_>>>()?;
    let name = |scenario: &Scenario| scenario.name.clone();
    let outcomes = jobs::each(&scenarios, args.jobs, name, |scenario| {
        let each = ccs.iter().map(|cc| runner::run(Plan::new(scenario, 0, 1).with_cc(Some(*cc))));
        each.collect::<Result<Vec<_>>>()
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    for (scenario, each) in scenarios.iter().zip(&outcomes) {
        let each = Each { ccs, outcomes: each };
        for (what, plot) in [
            ("goodput", goodput(scenario, &each)),
            ("queue", queue(scenario, &each)),
            ("cwnd", window(scenario, &each)),
        ] {
            let file = args.folder.join(format!("{prefix}{}-{what}.svg", scenario.name));
            super::write(&file, &plot.svg())?;
        }
    }
    let used = used(title, &scenarios, ccs, &outcomes);
    super::write(&args.folder.join(format!("{prefix}use.svg")), &used.svg())?;
    Ok(outcomes.iter().flatten().all(Outcome::is_sound))
}

/// From the first packet on: slow start is what there is to see. Fast links are shown for a shorter time.
fn shown(mut scenario: Scenario, prefix: &str) -> Scenario {
    if !prefix.is_empty() {
        return scenario;
    }
    let rate = scenario.links[0].down.rate.unwrap_or(0);
    let seconds = match rate {
        60_000_000.. => 8,
        20_000_000.. => 15,
        _ => 30,
    };
    let warm = Duration::from_secs(1);
    scenario.measure.window = Window::Warm { from: warm, length: Duration::from_secs(seconds) - warm };
    scenario.time = Duration::from_secs(seconds);
    scenario
}

fn plot(scenario: &Scenario, what: &str, y: &str) -> Plot {
    Plot {
        title: format!("{}: {what} ({})", scenario.name, scenario.links[0].summary()),
        x: "seconds".into(),
        y: y.into(),
        y_from_zero: true,
        ..Plot::default()
    }
}

const TYPES: [Cc; 2] = [Cc::Cubic, Cc::Reno];
const TRIED: [Cc; 4] = [Cc::Cubic, Cc::Reno, Cc::Bbr, Cc::Auto];

/// What each controller did.
struct Each<'a> {
    ccs: &'a [Cc],
    outcomes: &'a [Outcome],
}

impl Each<'_> {
    fn iter(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        self.ccs.iter().map(|cc| title(*cc)).zip(self.outcomes)
    }
}

fn title(cc: Cc) -> &'static str {
    match cc {
        Cc::Cubic => "CUBIC",
        Cc::Reno => "Reno",
        Cc::Bbr => "BBR",
        other => other.name(),
    }
}

/// What chooses among the others would hide the one it chose.
fn mark(name: &str) -> Mark {
    if name == Cc::Auto.name() { Mark::Dashed } else { Mark::Line }
}

fn goodput(scenario: &Scenario, each: &Each<'_>) -> Plot {
    let mut plot = plot(scenario, "goodput", "Mbit/s of payload");
    let bin = each.outcomes[0].end.as_nanos() as f64 / 1e9 / POINTS as f64;
    for (name, outcome) in each.iter() {
        plot.series.push(Series::new(name, mark(name), single::goodput(outcome, bin)));
    }
    plot.series.push(Series::new(
        "the link's rate",
        Mark::Dashed,
        single::rate(scenario, &each.outcomes[0], bin),
    ));
    plot
}

/// The highest of neighbours, so that no peak is lost.
fn peaks(outcome: &Outcome, value: impl Fn(&runner::Sample) -> f64) -> Vec<(f64, f64)> {
    let samples = &outcome.lanes[0].samples;
    let each = samples.len().div_ceil(POINTS).max(1);
    let seconds = |at: Instant| at.as_nanos() as f64 / 1e9;
    let peak =
        |chunk: &[runner::Sample]| (seconds(chunk[0].at), chunk.iter().map(&value).fold(0.0, f64::max));
    samples.chunks(each).map(peak).collect()
}

fn queue(scenario: &Scenario, each: &Each<'_>) -> Plot {
    let mut plot = plot(scenario, "queue", "waiting time, ms");
    for (name, outcome) in each.iter() {
        let points = peaks(outcome, |sample| sample.waiting[1].as_secs_f64() * 1000.0);
        plot.series.push(Series::new(name, mark(name), points));
    }
    plot
}

fn window(scenario: &Scenario, each: &Each<'_>) -> Plot {
    let mut plot = plot(scenario, "window", "congestion window, kB");
    for (name, outcome) in each.iter() {
        let points = peaks(outcome, |sample| sample.cwnd[1] as f64 / 1000.0);
        plot.series.push(Series::new(name, mark(name), points));
    }
    let link = &scenario.links[0];
    let product = link.down.rate.unwrap_or(0) as f64 * link.rtt().as_secs_f64() / 1000.0;
    let end = each.outcomes[0].end.as_nanos() as f64 / 1e9;
    plot.series.push(Series::new("bandwidth × delay", Mark::Dashed, vec![(0.0, product), (end, product)]));
    plot
}

fn used(title: &str, scenarios: &[Scenario], ccs: &[Cc], outcomes: &[Vec<Outcome>]) -> BarPlot {
    let share = |scenario: &Scenario, outcome: &Outcome| {
        let capacity = runner::figures::capacity(scenario, outcome)?;
        Some(runner::figures::goodput(scenario, outcome, None) / capacity)
    };
    let group = |(scenario, both): (&Scenario, &Vec<Outcome>)| BarGroup {
        name: scenario.name.clone(),
        values: both.iter().map(|outcome| share(scenario, outcome)).collect(),
        limit: None,
    };
    BarPlot {
        title: title.to_owned(),
        y: "goodput / what the link can carry".into(),
        series: ccs.iter().map(|cc| self::title(*cc).to_owned()).collect(),
        limit: String::new(),
        groups: scenarios.iter().zip(outcomes).map(group).collect(),
    }
}
