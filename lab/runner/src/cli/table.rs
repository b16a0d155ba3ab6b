//! `table`: the table of bonding, with as many seeds and controllers as one has time for.

use anyhow::Result;
use serde::Serialize;
use tq_runner::paired::{self, Case};
use tq_runner::table::{self, Line, ROWS, Row};
use tq_scenario::Cc;

use super::jobs;
use super::options::{Files, Telling};

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many seeds; bars are for the median of 20.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Controllers; the bars are for auto, the others are told.
    #[arg(long, value_delimiter = ',', value_parser = super::controller, default_value = "auto,cubic,bbr")]
    cc: Vec<Cc>,
    /// Only rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Queues so many times as long as the files say.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    queues: u32,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    kind: &'static str,
    seed: u64,
    seeds: u64,
    queues: u32,
    lines: &'a [Line],
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let folder = args.files.folder("bonding");
    let (mut rows, mut cases): (Vec<Row>, Vec<Case>) = Default::default();
    for row in ROWS {
        if args.filter.as_ref().is_some_and(|filter| !row.file.contains(filter.as_str())) {
            continue;
        }
        let mut scenario = tq_scenario::load(folder.join(format!("{}.toml", row.file)))?;
        table::stretch(&mut scenario, args.queues);
        for case in row.cases(&scenario, &args.cc) {
            rows.push(row);
            cases.push(case);
        }
    }
    anyhow::ensure!(
        !cases.is_empty(),
        "no row has that name; there are {}",
        ROWS.map(|row| row.file).join(", ")
    );
    let items = paired::items(&cases, args.seeds.max(1), args.seed);
    let seen = jobs::paired(&cases, &items, &args.telling)?;
    let all = paired::gather(&cases, &items, seen);
    let lines: Vec<Line> =
        rows.iter().zip(&cases).zip(&all).map(|((row, case), pairs)| table::line(row, case, pairs)).collect();
    let (schema, seeds) = (tq_runner::report::SCHEMA, args.seeds.max(1));
    let document =
        Document { schema, kind: "table", seed: args.seed, seeds, queues: args.queues, lines: &lines };
    args.telling.tell(&document, &table::markdown(&lines))?;
    let judged = lines
        .iter()
        .filter(|line| line.cc == Cc::Auto.name() || args.cc.len() == 1 || !line.wrong.is_empty());
    Ok(judged.filter_map(|line| line.holds).all(|holds| holds))
}
