//! `guard`: random links, all together against the best of them alone; every scenario in the report.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use tq_quic::sched::Kind as Scheduler;
use tq_runner::guard::{self, Line, Verdict};
use tq_runner::paired;
use tq_scenario::Cc;

use super::jobs;

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
    /// Scheduler of both ends; the stack's own if left out.
    #[arg(long, value_parser = super::scheduler)]
    scheduler: Option<Scheduler>,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// The JSON document, beside what is printed.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
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
    let seen = jobs::paired(&cases, &items, args.scheduler, args.jobs)?;
    let all = paired::gather(&cases, &items, seen);
    let lines: Vec<Line> = drawn.iter().zip(&all).map(|(case, pairs)| guard::line(case, pairs)).collect();
    let verdict = guard::verdict(&lines);
    let holds = verdict.holds;
    let (schema, cc) = (tq_runner::report::SCHEMA, args.cc.name());
    let document =
        Document { schema, kind: "guard", cc, seed: args.seed, seeds: args.seeds, verdict, lines: &lines };
    super::tell(&document, &guard::markdown(&lines), args.json, args.report.as_deref())?;
    Ok(holds)
}
