//! `fair`: two CUBIC connections on each link of `single`, long enough for theory to say something.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tq_runner::fair::{self, Ideal, Pipe, Watch};
use tq_scenario::Scenario;

use super::jobs;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only links whose name contains this.
    filter: Option<String>,
    /// Runs of each link, with seeds counting up from the scenario's.
    #[arg(long, default_value_t = 2)]
    runs: u64,
    /// Cycles of CUBIC that are watched.
    #[arg(long, default_value_t = 60.0)]
    cycles: f64,
    /// Cycles before that.
    #[arg(long, default_value_t = 10.0)]
    settle: f64,
    /// How long after the first the second begins, in seconds.
    #[arg(long, default_value_t = 1.0)]
    stagger: f64,
    /// Packets that a run may take: what would take more is watched for fewer cycles.
    #[arg(long, default_value_t = 10_000_000)]
    packets: u64,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Where scenarios are; lab/scenarios if left out.
    #[arg(long)]
    scenarios: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// What was seen of one link.
#[derive(Serialize)]
struct Row {
    link: String,
    cycle_s: f64,
    settle: f64,
    cycles: f64,
    ratios: Vec<f64>,
    mean: f64,
    ideal: [f64; 3],
}

pub(super) fn run(args: &Args) -> Result<bool> {
    ensure!(args.runs > 0 && args.cycles > 0.0, "nothing to run");
    ensure!(args.settle >= 0.0 && args.stagger >= 0.0, "time runs forward only");
    let rows = links(args)?.iter().map(|scenario| row(scenario, args)).collect::<Result<Vec<_>>>()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", table(&rows));
    }
    Ok(true)
}

fn links(args: &Args) -> Result<Vec<Scenario>> {
    let folder = super::folder(args.scenarios.as_deref()).join("single");
    let mut files = Vec::new();
    super::list::files(&folder, &mut files)?;
    let wanted = |file: &&PathBuf| {
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
    };
    let load = |file: &PathBuf| Ok(tq_scenario::load(Path::new(file))?);
    let links = files.iter().filter(wanted).map(load).collect::<Result<Vec<_>>>()?;
    ensure!(!links.is_empty(), "no such link in {}", folder.display());
    Ok(links)
}

fn row(scenario: &Scenario, args: &Args) -> Result<Row> {
    let pipe = Pipe::of(scenario).with_context(|| format!("{}: no rate", scenario.name))?;
    let cycle = fair::cycle(&pipe);
    let fits = args.packets as f64 / (pipe.rate * cycle * (args.settle + args.cycles));
    let (settle, cycles) = (args.settle * fits.min(1.0), args.cycles * fits.min(1.0));
    let watch = Watch { stagger: args.stagger, settle, cycles };
    let seeds: Vec<u64> = (0..args.runs).map(|run| scenario.seed + run).collect();
    let name = |seed: &u64| format!("{}, seed {seed}", scenario.name);
    let ratios = jobs::each(&seeds, args.jobs, name, |seed| fair::ratio(scenario, &watch, *seed));
    let ratios = ratios.into_iter().collect::<Result<Vec<_>>>()?;
    let Ideal { low, median, high } = fair::ideal(&pipe, settle, cycles, 200);
    Ok(Row {
        link: scenario.name.clone(),
        cycle_s: cycle,
        settle,
        cycles,
        mean: fair::mean(&ratios),
        ratios,
        ideal: [low, median, high],
    })
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| link | cycle, s | cycles | second / first | single runs | ideal pair, 5 % 50 % 95 % |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let runs: Vec<String> = row.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.2} | {} | {:.2} {:.2} {:.2} |",
            row.link,
            row.cycle_s,
            row.cycles,
            row.mean,
            runs.join(" "),
            row.ideal[0],
            row.ideal[1],
            row.ideal[2]
        );
    }
    out
}
