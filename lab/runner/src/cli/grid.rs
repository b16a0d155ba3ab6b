//! `grid`: many sets of links, each link alone and all together, against their ceilings.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tq_quic::sched::Kind as Scheduler;
use tq_runner::fluid;
use tq_runner::grid::{self, GridCase, Order, Queues, Set};
use tq_runner::report::{Report, Scenario as Entry, Verdict, mbps};
use tq_runner::run::tell::Runs;
use tq_runner::run::{self as runner, Plan, stream_share, tell};
use tq_runner::stats::{self, Gain};
use tq_runner::svg::{Plot, Series};

use super::{Control, jobs};

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many pairs; all 253 of a published set if left out, else 20.
    #[arg(long)]
    count: Option<usize>,
    /// Pairs that are drawn, and everything random in them, come from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// wsp-lowbdp, wsp-highbdp, wsp-lowbdp-loss or wsp-highbdp-loss: the ranges of the literature; today's links
    /// (fibre, DSL, LTE, 5G, LEO, GEO) if left out.
    #[arg(long)]
    set: Option<String>,
    /// The pairs as published instead of new ones in the same ranges.
    #[arg(long, requires = "set")]
    published: bool,
    /// Bytes to move; 20 MB for the literature, a second's worth for today's links.
    #[arg(long)]
    size: Option<u64>,
    /// Links of a case of today, 1 to 4.
    #[arg(long, default_value_t = 2, conflicts_with = "set")]
    links: usize,
    /// Congestion control.
    #[arg(long, default_value = "cubic")]
    cc: Control,
    /// Scheduler of both ends: aggregate, minrtt, roundrobin, weighted, blest, ecf; the stack's own if left out.
    #[arg(long, value_parser = super::scheduler)]
    scheduler: Option<Scheduler>,
    /// A JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Each link's goodput over its ceiling, and what all together reach of the sum, as a plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let cases = cases(args)?;
    let name = |case: &GridCase| case.id.clone();
    let entries = jobs::each(&cases, args.jobs, name, |case| one(case, args));
    let kind = args.set.as_deref().unwrap_or("today");
    let mut report = Report::new(&format!("grid {kind}"), args.seed);
    report.scenarios = entries.into_iter().collect::<Result<_>>()?;
    if let Some(path) = &args.svg {
        super::write(path, &plot(&report).svg())?;
    }
    if args.json {
        print!("{}", report.json()?)
    } else {
        print!("{}", table(&report))
    }
    Ok(report.scenarios.iter().all(|entry| entry.violations.is_empty()))
}

fn cases(args: &Args) -> Result<Vec<GridCase>> {
    let mut cases = match &args.set {
        None => grid::today(args.links, args.count.unwrap_or(20), args.seed)?,
        Some(name) => {
            let names = Set::ALL.map(Set::name).join(", ");
            let set = Set::named(name).with_context(|| format!("no set \"{name}\"; there are {names}"))?;
            if args.published {
                let all = grid::published(set, Order::AsListed, Queues::Published)?;
                let count = args.count.unwrap_or(all.len()).max(1);
                ensure!(count <= all.len(), "there are {} published pairs", all.len());
                // evenly over the list
                (0..count).map(|at| all[at * all.len() / count].clone()).collect()
            } else {
                grid::literature(set, args.count.unwrap_or(20), args.seed)?
            }
        }
    };
    if let Some(size) = args.size {
        ensure!(size > 0, "--size: nothing to move");
        cases.iter_mut().for_each(|case| case.load.bytes = size);
    }
    Ok(cases)
}

fn one(case: &GridCase, args: &Args) -> Result<Entry> {
    let scenario = grid::scenario(case);
    let play = |plan: Plan<'_>| {
        let plan = plan.with_cc(Some(args.cc.cc())).with_scheduler(args.scheduler);
        runner::run(plan).with_context(|| case.id.clone())
    };
    let links = 0..scenario.links.len();
    let alone = links.map(|link| Ok(vec![play(Plan::new(&scenario, link, args.seed))?]));
    let alone = alone.collect::<Result<Vec<_>>>()?;
    let together = match scenario.links.len() {
        1 => Vec::new(),
        _ => vec![play(Plan::together(&scenario, args.seed))?],
    };
    let mut entry = tell::entry(&scenario, &Runs { alone, together });
    if entry.verdict != Verdict::Fail {
        entry.verdict = Verdict::Report;
    }
    Ok(entry)
}

/// A line for each link.
fn table(report: &Report) -> String {
    let mut out = format!(
        "{}, seed {}: each link alone, then all together; Mbit/s of payload; ceiling: an ideal transport; loss: what theory \
         leaves to the controller at the link's random loss; Ben: 0 is the best link alone, 1 the sum\n\n{:32} {:26} {:>6} {:>8} {:>8} {:>6} {:>8}\n",
        report.kind, report.seed, "case", "link", "loss %", "goodput", "ceiling", "share", "loss"
    );
    for entry in &report.scenarios {
        let ceilings = entry.ceiling.as_ref().map(|ceiling| ceiling.alone_mbps.clone()).unwrap_or_default();
        for (at, link) in entry.links.iter().enumerate() {
            let words =
                format!("{} {:.2}/{:.2} {:.0} ms", link.name, link.down_mbps, link.up_mbps, link.rtt_ms);
            let (found, best) = (entry.alone_mbps[at], ceilings.get(at).copied());
            let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let share = found.zip(best).map(|(found, best)| found / best);
            let bound = fluid::loss_bound(
                link.down_mbps * 125_000.0 * stream_share(1452),
                link.rtt_ms / 1000.0,
                link.loss_pct / 100.0,
                1419.0,
            );
            let _ = writeln!(
                out,
                "{:32} {words:26} {:>6.2} {:>8} {:>8} {:>6} {:>8}",
                if at == 0 { &entry.id } else { "" },
                link.loss_pct,
                number(found),
                number(best),
                number(share),
                number(bound.map(|bound| mbps(bound.cubic))),
            );
        }
        out += &together(entry);
        if !entry.violations.is_empty() {
            let _ = writeln!(out, "    WRONG BYTES: {}", entry.violations.join("; "));
        }
    }
    out.push('\n');
    out + &report.summary() + &bars(report)
}

/// The line of all links together.
fn together(entry: &Entry) -> String {
    let Some(goodput) = entry.together_mbps else { return String::new() };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let ceiling = entry.ceiling.as_ref();
    format!(
        "{:32} {:33} {goodput:>8.2} {:>8} {:>6}   / sum {}, / best {}, Ben {} of {}\n",
        "",
        "together",
        number(ceiling.map(|ceiling| ceiling.together_mbps)),
        number(ceiling.map(|ceiling| goodput / ceiling.together_mbps)),
        number(entry.efficiency),
        number(entry.ratio_to_best),
        number(entry.benefit),
        number(ceiling.and_then(|ceiling| ceiling.benefit)),
    )
}

/// How many cases are within 0.15 of their ceiling's benefit, and how many are not slower than the best link. A benefit
/// says little where a link adds less than 5 % of the best; such cases count for the second only.
fn bars(report: &Report) -> String {
    let share = |values: &[bool]| {
        let good = values.iter().filter(|value| **value).count();
        format!("{good} of {}", values.len())
    };
    let telling = |entry: &&Entry| {
        let alone: Vec<f64> = entry.alone_mbps.iter().copied().flatten().collect();
        Gain::is_telling(&alone)
    };
    let benefit = report.scenarios.iter().filter(telling).filter_map(|entry| {
        let ceiling = entry.ceiling.as_ref()?.benefit?;
        Some(entry.benefit? >= ceiling - 0.15)
    });
    let floor = |bar: f64| -> Vec<bool> {
        report.scenarios.iter().filter_map(|entry| Some(entry.ratio_to_best? >= bar)).collect()
    };
    let benefits: Vec<bool> = benefit.collect();
    if floor(0.0).is_empty() {
        return String::new();
    }
    format!(
        "benefit >= that of the ceiling - 0.15: {} that say something; ratio to best >= 0.98: {}, >= 0.90: {}\n",
        share(&benefits),
        share(&floor(0.98)),
        share(&floor(0.90))
    )
}

/// How much of their ceilings the links reach, as a distribution.
fn plot(report: &Report) -> Plot {
    let shares: Vec<f64> = report
        .scenarios
        .iter()
        .flat_map(|entry| {
            let ceilings = entry.ceiling.iter().flat_map(|ceiling| &ceiling.alone_mbps);
            entry.alone_mbps.iter().zip(ceilings).filter_map(|(found, best)| found.map(|found| found / best))
        })
        .collect();
    let sums: Vec<f64> = report.scenarios.iter().filter_map(|entry| entry.efficiency).collect();
    let mut series = vec![Series::cdf("links alone", &shares)];
    if !stats::sorted(&sums).is_empty() {
        series.push(Series::cdf("all together", &sums));
    }
    Plot {
        title: format!(
            "{}: each link alone against its fluid ceiling, all together against the sum",
            report.kind
        ),
        x: "goodput / ceiling, goodput / sum".into(),
        y: "share of links not above".into(),
        y_from_zero: true,
        series,
        ..Plot::default()
    }
}
