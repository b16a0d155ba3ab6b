//! The command line: what there is to ask for, and who answers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::Cc;

mod failover;
mod fair;
mod grid;
mod guard;
mod jobs;
mod list;
mod n;
mod options;
mod plots;
mod run;
mod sets;
mod suite;
mod table;

/// Runs scenarios in a simulated network and reports them beside what is physically possible.
///
/// Each link of a scenario is run alone, and all together over one multipath connection. Exit code: 0 if all bars that
/// could be measured are met, 1 if one is missed or a byte was lost or altered, 2 if nothing could be run.
#[derive(Parser)]
#[command(
    name = "tq-scenarios",
    version,
    after_help = "Examples:
  tq-scenarios list single
  tq-scenarios run lab/scenarios/single/leo.toml --svg leo.svg --pcap /tmp --qlog /tmp
  tq-scenarios run lab/scenarios/bonding/fibre300-lte80.toml --scheduler aggregate --runs 3
  tq-scenarios suite --filter pq-sat
  tq-scenarios table --seeds 3 --cc auto --filter dsl50
  tq-scenarios guard --report guard.json
  tq-scenarios sets --set low-bdp-raced --count 40
  tq-scenarios n 7 8 9 --runs 5
  tq-scenarios failover --seeds 200
  tq-scenarios grid --count 20 --seed 1 --set wsp-lowbdp-loss"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One scenario file: each of its links alone, all together, figures, bars, verdict.
    Run(run::Args),
    /// The scenarios of other projects whose bar is a number, ours beside theirs.
    Suite(suite::Args),
    /// Many pairs of links that fill the literature's ranges, or today's: alone and together, against their ceilings.
    Grid(grid::Args),
    /// The table of bonding: links of today together over what they carry alone, with bars.
    Table(table::Args),
    /// Never slower than the best link: random links, every one of them in the report.
    Guard(guard::Args),
    /// Published pairs of links against the bars of their benefit.
    Sets(sets::Args),
    /// What breaks a naive design, by number: n1 to n32, each with its bars.
    N(n::Args),
    /// The longest pause in delivery when one of two links goes silent, over many seeds.
    Failover(failover::Args),
    /// Two CUBIC connections on each link of `single`, beside what theory makes of an ideal pair.
    Fair(fair::Args),
    /// The scenario files there are, one line each.
    List(list::Args),
    /// The plots of docs/simulator.md.
    Plots(plots::Args),
}

/// Congestion control on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Control {
    /// RFC 9438.
    Cubic,
    /// RFC 9002.
    Reno,
    /// BBRv3, draft-ietf-ccwg-bbr-06.
    Bbr,
    /// BBR on long paths and on those that lose packets without a queue, else CUBIC.
    Auto,
    /// Coupled windows.
    Olia,
}

impl Control {
    const fn cc(self) -> Cc {
        match self {
            Self::Cubic => Cc::Cubic,
            Self::Reno => Cc::Reno,
            Self::Bbr => Cc::Bbr,
            Self::Auto => Cc::Auto,
            Self::Olia => Cc::Olia,
        }
    }
}

/// Answers the command line; whether all went well.
pub(crate) fn run() -> Result<bool> {
    match Args::parse().command {
        Command::Run(args) => run::run(args),
        Command::Suite(args) => suite::run(&args),
        Command::Grid(args) => grid::run(&args),
        Command::Table(args) => table::run(&args),
        Command::Guard(args) => guard::run(&args),
        Command::Sets(args) => sets::run(&args),
        Command::N(args) => n::run(&args),
        Command::Failover(args) => failover::run(&args),
        Command::Fair(args) => fair::run(&args),
        Command::List(args) => list::run(&args),
        Command::Plots(args) => plots::run(&args),
    }
}

/// A scheduler by name; the error lists the names there are.
fn scheduler(name: &str) -> Result<Scheduler, String> {
    name.parse().map_err(|error: tq_quic::sched::UnknownScheduler| error.to_string())
}

/// A congestion control by the name that scenario files use; the error lists the names there are.
fn controller(name: &str) -> Result<Cc, String> {
    let names = Cc::ALL.map(Cc::name).join(", ");
    let found = Cc::ALL.into_iter().find(|cc| cc.name() == name);
    found.ok_or_else(|| format!("no congestion control \"{name}\"; there are {names}"))
}

/// Prints a document or a page, and writes the document where that is asked for.
fn tell(document: &impl serde::Serialize, page: &str, json: bool, report: Option<&Path>) -> Result<()> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    if let Some(path) = report {
        write(path, &text)?;
    }
    print!("{}", if json { &text } else { page });
    Ok(())
}

/// The folder of scenarios: that given, else `lab/scenarios` here, else that of the source tree.
fn folder(given: Option<&Path>) -> PathBuf {
    let here = Path::new("lab/scenarios");
    match given {
        Some(given) => given.to_owned(),
        None if here.is_dir() => here.to_owned(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"),
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
