//! `guard`: random links, all together against the best of them alone; every scenario in the report.

use anyhow::Result;
use serde::Serialize;
use tq_runner::guard::{self, Line, Verdict};
use tq_runner::paired;
use tq_scenario::Cc;

use super::jobs;
use super::options::Telling;

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many scenarios; the bar is for 200.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Seeds of each; the bar is for the median of 5.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Which scenarios are drawn, and the first of their seeds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only scenarios whose id contains this, to look at some again.
    #[arg(long)]
    filter: Option<String>,
    /// Congestion control.
    #[arg(long, value_parser = super::controller, default_value = "auto")]
    cc: Cc,
    #[command(flatten)]
    telling: Telling,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    kind: &'static str,
    cc: &'static str,
    seed: u64,
    seeds: u64,
    verdict: Verdict,
    lines: &'a [Line],
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let mut drawn = guard::cases(args.count, args.seed)?;
    if let Some(filter) = &args.filter {
        drawn.retain(|case| case.id.contains(filter.as_str()));
    }
    let cases: Vec<_> = drawn.iter().map(|case| guard::compared(case, args.cc)).collect();
    let items = paired::items(&cases, args.seeds.max(1), args.seed);
    let seen = jobs::paired(&cases, &items, &args.telling)?;
    let all = paired::gather(&cases, &items, seen);
    let lines: Vec<Line> = drawn.iter().zip(&all).map(|(case, pairs)| guard::line(case, pairs)).collect();
    let verdict = guard::verdict(&lines);
    let holds = verdict.holds;
    let (schema, cc) = (tq_runner::report::SCHEMA, args.cc.name());
    let document =
        Document { schema, kind: "guard", cc, seed: args.seed, seeds: args.seeds, verdict, lines: &lines };
    args.telling.tell(&document, &guard::markdown(&lines))?;
    Ok(holds)
}
