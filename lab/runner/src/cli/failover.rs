//! `failover`: how long delivery pauses when one of two links stops carrying, and how soon it carries again, over many
//! seeds.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use tq_quic::sched::Kind as Scheduler;
use tq_runner::failover::heal::{Healed, Healing};
use tq_runner::failover::{Case, Found, PAUSES};
use tq_runner::stats;
use tq_sim::qlog::Qlog;
use tq_time::Duration;

use super::jobs;
use super::run::log_to;

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// How many of them for outages, which take longer.
    #[arg(long, default_value_t = 20)]
    outages: u64,
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

/// What came of an outage; times in milliseconds, of the seeds in which it happened.
#[derive(Serialize)]
struct Back {
    case: String,
    queue: &'static str,
    seeds: usize,
    first_median: f64,
    first_p95: f64,
    first_bound: f64,
    share_median: f64,
    share_p95: f64,
    share_bound: f64,
    abandons: u64,
    holds: bool,
    sound: bool,
}

#[derive(Serialize)]
struct Report {
    cuts: Vec<Row>,
    outages: Vec<Back>,
}

pub(super) fn run(args: &Args) -> Result<bool> {
    if let Some(folder) = &args.qlog {
        std::fs::create_dir_all(folder)?;
    }
    let mut report = Report { cuts: Vec::new(), outages: Vec::new() };
    let queues = || {
        ["1bdp", "300ms"].into_iter().filter(|queue| args.queue.as_deref().is_none_or(|only| only == *queue))
    };
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    for case in queues().flat_map(Case::all).filter(|case| wanted(&case.name())) {
        let found = play(args, args.seeds, &case.name(), case.queue, |seed, log| {
            case.run(seed, args.scheduler, log)
        })?;
        report.cuts.extend(row(&case, &found));
    }
    for case in queues().flat_map(Healing::all).filter(|case| wanted(&case.name())) {
        let seeds = args.seeds.min(args.outages);
        let found =
            play(args, seeds, &case.name(), case.queue, |seed, log| case.run(seed, args.scheduler, log))?;
        report.outages.extend(back(&case, &found));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}{}", table(&report.cuts), outages(&report.outages));
    }
    let cuts = report.cuts.iter().all(|row| row.sound && row.holds);
    Ok(cuts && report.outages.iter().all(|row| row.sound && row.holds))
}

/// A case with each seed.
fn play<T: Send>(
    args: &Args,
    seeds: u64,
    case: &str,
    queue: &str,
    run: impl Fn(u64, Option<Qlog>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let seeds: Vec<u64> = (0..seeds).map(|at| args.seed.wrapping_add(at)).collect();
    let name = |seed: &u64| format!("{case} with {queue}, seed {seed}");
    let log = |seed: u64| {
        let stem = format!("{}-{queue}-{seed}", case.replace([' ', ','], "-"));
        args.qlog.as_deref().map(|folder| log_to(folder, stem, case.to_owned()))
    };
    jobs::each(&seeds, args.jobs, name, |seed| run(*seed, log(*seed))).into_iter().collect()
}

fn back(case: &Healing, found: &[Healed]) -> Option<Back> {
    // what did not happen while it was watched counts as late as can be
    let millis = |time: Option<Duration>| time.map_or(9999.0, |time| time.as_secs_f64() * 1000.0);
    let first: Vec<f64> = found.iter().map(|found| millis(found.first)).collect();
    let share: Vec<f64> = found.iter().map(|found| millis(found.share)).collect();
    let [first_bound, share_bound] = case.bounds().map(|bound| millis(Some(bound)));
    let (first_p95, share_p95) = (stats::quantile(&first, 0.95)?, stats::quantile(&share, 0.95)?);
    let abandons = found.iter().map(|found| found.abandons).sum();
    Some(Back {
        case: case.name(),
        queue: case.queue,
        seeds: found.len(),
        first_median: stats::median(&first)?,
        first_p95,
        first_bound,
        share_median: stats::median(&share)?,
        share_p95,
        share_bound,
        abandons,
        holds: first_p95 <= first_bound && share_p95 <= share_bound && abandons == 0,
        sound: found.iter().all(|found| found.sound),
    })
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
    if rows.is_empty() {
        return String::new();
    }
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

fn outages(rows: &[Back]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out =
        "\nfrom the end of an outage until its link carries data, and 80 % of what it carried before; ms\n\
         bounds: 500 ms + 1.5 RTT, 1 s + 10 RTT\n\n"
            .to_owned();
    let _ = writeln!(
        out,
        "{:30} {:>6} {:>5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "outage", "queue", "seeds", "first", "p95", "bound", "share", "p95", "bound", "given up"
    );
    for row in rows {
        let _ = writeln!(
            out,
            "{:30} {:>6} {:>5} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8}  {}{}",
            row.case,
            row.queue,
            row.seeds,
            row.first_median,
            row.first_p95,
            row.first_bound,
            row.share_median,
            row.share_p95,
            row.share_bound,
            row.abandons,
            if row.holds { "met" } else { "MISSED" },
            if row.sound { "" } else { ", WRONG BYTES" }
        );
    }
    out
}
