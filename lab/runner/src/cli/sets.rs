//! `sets`: published pairs of links against the bars of their benefit.

use anyhow::Result;
use serde::Serialize;
use tq_runner::grid::Queues;
use tq_runner::paired::{self, Case};
use tq_runner::sets::{self, Held, Kind, Line};
use tq_scenario::Cc;

use super::jobs;
use super::options::Telling;

#[derive(clap::Args)]
pub(super) struct Args {
    /// as-published, low-bdp-raced, high-bdp-raced, warm, lossy; all of them if left out.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    set: Vec<Kind>,
    /// So many pairs of each list and order, evenly over it; all 253 if left out.
    #[arg(long)]
    count: Option<usize>,
    /// Only pairs whose id contains this, to look at some again; `--count` is taken first.
    #[arg(long)]
    filter: Option<String>,
    /// Seeds of each.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Queues as the released script makes them (about one bandwidth-delay product) instead of as the paper says.
    #[arg(long)]
    released: bool,
    /// Congestion control; that of the set (auto, cubic for lossy) if left out.
    #[arg(long, value_parser = super::controller)]
    cc: Option<Cc>,
    /// Every pair in the table, not only those furthest below their ceilings; documents always have all.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    telling: Telling,
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = Kind::ALL.map(Kind::name).join(", ");
    Kind::named(name).ok_or_else(|| format!("no set \"{name}\"; there are {names}"))
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    kind: &'static str,
    seed: u64,
    seeds: u64,
    sets: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    set: &'static str,
    cc: &'static str,
    bars: Vec<Held>,
    lines: Vec<Line>,
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let kinds = if args.set.is_empty() { Kind::ALL.to_vec() } else { args.set.clone() };
    let queues = if args.released { Queues::AsReleased } else { Queues::Published };
    let (mut page, mut told) = (String::new(), Vec::new());
    for kind in kinds {
        let cc = args.cc.unwrap_or(kind.cc());
        let mut pairs = kind.pairs(queues, args.count)?;
        pairs.retain(|pair| args.filter.as_ref().is_none_or(|filter| pair.id.contains(filter.as_str())));
        let cases: Vec<Case> = pairs.iter().map(|pair| kind.compared(pair, cc)).collect();
        let items = paired::items(&cases, args.seeds.max(1), args.seed);
        let seen = jobs::paired(&cases, &items, &args.telling)?;
        let all = paired::gather(&cases, &items, seen);
        let lines: Vec<Line> =
            cases.iter().zip(&all).map(|(case, pairs)| sets::line(kind, case, pairs)).collect();
        page += &sets::markdown(kind, &lines, args.all);
        page.push('\n');
        told.push(Told { set: kind.name(), cc: cc.name(), bars: sets::verdict(kind, &lines), lines });
    }
    let holds = told.iter().flat_map(|set| &set.bars).all(|held| held.holds);
    let (schema, seeds) = (tq_runner::report::SCHEMA, args.seeds.max(1));
    let document = Document { schema, kind: "sets", seed: args.seed, seeds, sets: told };
    args.telling.tell(&document, &page)?;
    Ok(holds)
}
