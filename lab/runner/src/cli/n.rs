//! `n`: the scenarios that break a naive design, by number, each with its bars.

use anyhow::{Result, ensure};
use tq_runner::hard;
use tq_runner::report::Report;
use tq_runner::run::tell::Runs;
use tq_runner::run::{self as runner, Outcome, Plan, compare, tell};
use tq_scenario::{Cc, Scenario};

use super::jobs;
use super::options::{Files, Telling};

#[derive(clap::Args)]
pub(super) struct Args {
    /// 1 to 32; all that can be played if left out.
    #[arg(value_parser = clap::value_parser!(u8).range(1..=i64::from(hard::LAST)))]
    numbers: Vec<u8>,
    /// Seeds of each instead of the files' numbers.
    #[arg(long)]
    runs: Option<u32>,
    /// The first of them; the file's own if left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Congestion control of both ends instead of the files'.
    #[arg(long, value_parser = super::controller)]
    cc: Option<Cc>,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    files: Files,
}

/// A scenario, a link of it alone or all together, a seed.
type Item = (usize, Option<usize>, u64);

pub(super) fn run(args: &Args) -> Result<bool> {
    let scenarios = scenarios(args)?;
    let mut items: Vec<Item> = Vec::new();
    for (at, scenario) in scenarios.iter().enumerate() {
        let first = args.seed.unwrap_or(scenario.seed);
        for seed in (0..u64::from(scenario.measure.runs)).map(|number| first.wrapping_add(number)) {
            items.extend((0..scenario.links.len()).map(|link| (at, Some(link), seed)));
            items.push((at, None, seed));
        }
    }
    let name = |(at, link, seed): &Item| {
        let over = link.map_or("all", |link| &scenarios[*at].links[link].name);
        format!("{} over {over}, seed {seed}", scenarios[*at].name)
    };
    let outcomes = jobs::each(&items, args.telling.jobs, name, |item| one(&scenarios, args, *item));
    let links = |scenario: &Scenario| vec![Vec::new(); scenario.links.len()];
    let mut runs: Vec<Runs> =
        scenarios.iter().map(|scenario| Runs { alone: links(scenario), together: Vec::new() }).collect();
    for ((at, link, _), outcome) in items.iter().zip(outcomes) {
        let Runs { alone, together } = &mut runs[*at];
        link.map_or(together, |link| &mut alone[link]).push(outcome?);
    }
    let mut report = Report::new("n", args.seed.unwrap_or(1));
    report.scenarios =
        scenarios.iter().zip(&runs).map(|(scenario, runs)| tell::entry(scenario, runs)).collect();
    args.telling.tell(&report, &hard::markdown(&report))?;
    Ok(report.scenarios.iter().all(|entry| entry.verdict != tq_runner::report::Verdict::Fail))
}

fn one(scenarios: &[Scenario], args: &Args, (at, link, seed): Item) -> Result<Outcome> {
    let scenario = &scenarios[at];
    let plan = match link {
        None => Plan::together(scenario, seed),
        Some(link) if compare::is_calmed(scenario, link, seed) => Plan::new(scenario, link, seed).calmed(),
        Some(link) => Plan::new(scenario, link, seed),
    };
    let over = link.map_or("all", |link| &scenario.links[link].name);
    let qlog = args.telling.logs(&scenario.name, &format!("{seed}-{over}"))?;
    runner::run(Plan { qlog, ..plan.with_cc(args.cc).with_scheduler(args.telling.scheduler) })
}

/// The scenarios asked for, by number.
fn scenarios(args: &Args) -> Result<Vec<Scenario>> {
    for number in &args.numbers {
        let why = hard::later(*number);
        ensure!(why.is_none(), "n{number} is for later: {}", why.unwrap_or_default());
    }
    let folder = args.files.folder("hard");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(hard::number);
        let wanted = |number: &u8| match args.numbers.is_empty() {
            true => hard::later(*number).is_none(),
            false => args.numbers.contains(number),
        };
        if let Some(number) = number.filter(wanted) {
            let mut scenario = tq_scenario::load(&path)?;
            scenario.measure.runs = args.runs.unwrap_or(scenario.measure.runs).max(1);
            found.push((number, scenario));
        }
    }
    found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(found.into_iter().map(|(_, scenario)| scenario).collect())
}
