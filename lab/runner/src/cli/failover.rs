//! `failover`: how long delivery pauses when one of two links stops carrying, over many seeds.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use tq_quic::sched::Kind as Scheduler;
use tq_runner::failover::{Case, Found, PAUSES};
use tq_runner::stats;

use super::jobs;
use super::run::log_to;

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only cases whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Only queues like this: 1bdp or 300ms; both if left out.
    #[arg(long)]
    queue: Option<String>,
    /// Scheduler of both ends; the stack's own if left out.
    #[arg(long, value_parser = super::scheduler)]
    scheduler: Option<Scheduler>,
    /// A qlog of each connection and end, into this folder.
    #[arg(long)]
    qlog: Option<PathBuf>,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// What a case came to; times in milliseconds.
#[derive(Serialize)]
struct Row {
    case: String,
    queue: &'static str,
    seeds: usize,
    gap_median: f64,
    gap_p95: f64,
    gap_max: f64,
    bound_median: f64,
    within_bound: f64,
    abandons: u64,
    holds: bool,
    sound: bool,
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let queues =
        ["1bdp", "300ms"].into_iter().filter(|queue| args.queue.as_deref().is_none_or(|only| only == *queue));
    if let Some(folder) = &args.qlog {
        std::fs::create_dir_all(folder)?;
    }
    let mut rows = Vec::new();
    for case in queues.flat_map(Case::all) {
        if args.filter.as_ref().is_some_and(|filter| !case.name().contains(filter.as_str())) {
            continue;
        }
        let seeds: Vec<u64> = (0..args.seeds).map(|at| args.seed.wrapping_add(at)).collect();
        let name = |seed: &u64| format!("{} with {}, seed {seed}", case.name(), case.queue);
        let log = |seed: &u64| {
            let stem = format!("{}-{}-{seed}", case.name().replace(' ', "-"), case.queue);
            args.qlog.as_deref().map(|folder| log_to(folder, stem, case.name()))
        };
        let run = |seed: &u64| case.run(*seed, args.scheduler, log(seed));
        let found = jobs::each(&seeds, args.jobs, name, run);
        let found: Vec<Found> = found.into_iter().collect::<Result<_>>()?;
        rows.extend(row(&case, &found));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", table(&rows));
    }
    Ok(rows.iter().all(|row| row.sound && row.holds))
}

fn row(case: &Case, found: &[Found]) -> Option<Row> {
    let millis = |time: tq_time::Duration| time.as_secs_f64() * 1000.0;
    let gaps: Vec<f64> = found.iter().map(|found| millis(found.gap)).collect();
    let bounds: Vec<f64> = found.iter().map(|found| millis(found.bound)).collect();
    let within = found.iter().filter(|found| found.gap <= found.bound).count() as f64 / found.len() as f64;
    let abandons = found.iter().map(|found| found.abandons).sum();
    let (p95, max) = (stats::quantile(&gaps, 0.95)?, stats::quantile(&gaps, 1.0)?);
    let paused = p95 <= millis(PAUSES[0]) && max <= millis(PAUSES[1]);
    Some(Row {
        case: case.name(),
        queue: case.queue,
        seeds: found.len(),
        gap_median: stats::median(&gaps)?,
        gap_p95: p95,
        gap_max: max,
        bound_median: stats::median(&bounds)?,
        within_bound: within,
        abandons,
        holds: within >= 0.95 && abandons == 0 && (!case.is_silent() || paused),
        sound: found.iter().all(|found| found.sound),
    })
}

fn table(rows: &[Row]) -> String {
    let mut out = "longest pause of in-order delivery around a cut, two links of 50 Mbit/s, 20 and 40 ms, download; ms\n\
         bound: spread + 50 + one-way delay of the link left + 25, queues as they stood; carrier: its round trip;\n\
         silent cuts besides: p95 up to 100, max up to 150\n\n"
        .to_owned();
    let _ = writeln!(
        out,
        "{:30} {:>6} {:>5} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8}",
        "cut", "queue", "seeds", "median", "p95", "max", "bound", "within", "given up"
    );
    for row in rows {
        let _ = writeln!(
            out,
            "{:30} {:>6} {:>5} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>5.1} % {:>8}  {}",
            row.case,
            row.queue,
            row.seeds,
            row.gap_median,
            row.gap_p95,
            row.gap_max,
            row.bound_median,
            row.within_bound * 100.0,
            row.abandons,
            if row.holds { "met" } else { "MISSED" }
        );
        if !row.sound {
            let _ = writeln!(out, "    WRONG BYTES");
        }
    }
    out
}
