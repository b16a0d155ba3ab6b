//! The guard's report: random links, all together against the best of them alone.
//!
//! Decides which scenarios are drawn ([`cases`]) and what the ratios say ([`Verdict`]). Every scenario is told, the worst
//! first; nothing is left out.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use tq_scenario::Cc;

use crate::grid::{self, GridCase, Set};
use crate::paired::{self, Case, Pair};

#[cfg(test)]
mod tests;

/// Never less than this part of the best link alone in [`MOST_SCENARIOS`] of them.
pub const BAR: f64 = 0.98;
/// The part of scenarios that hold [`BAR`].
pub const MOST_SCENARIOS: f64 = 0.95;
/// Never less than this.
pub const FLOOR: f64 = 0.90;

/// `count` scenarios, the same for the same seed: of ten, five are pairs of today, two are of three links, and the rest pairs in
/// the ranges of the literature, with and without loss.
///
/// # Errors
/// As [`grid::today`] and [`grid::literature`].
pub fn cases(count: usize, seed: u64) -> Result<Vec<GridCase>> {
    let (pairs, triples) = (count.div_ceil(2), count / 5);
    let rest = count - pairs - triples;
    let mut all = Vec::new();
    for (links, count) in [(2, pairs), (3, triples)].into_iter().filter(|(_, count)| *count > 0) {
        all.extend(grid::today(links, count, seed)?);
    }
    for (at, set) in Set::ALL.into_iter().enumerate() {
        let share = rest * (at + 1) / 4 - rest * at / 4;
        if share > 0 {
            all.extend(grid::literature(set, share, seed)?);
        }
    }
    Ok(all)
}

/// What is to be compared.
pub fn compared(case: &GridCase, cc: Cc) -> Case {
    Case::new(grid::scenario(case), cc)
}

/// A scenario of the report. Rates in 10^6 bit/s of payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Which.
    pub id: String,
    /// The links, in words.
    pub links: String,
    /// Goodput of each link alone.
    pub alone_mbps: Vec<f64>,
    /// Goodput of all together.
    pub together_mbps: f64,
    /// Together over the best link alone: the median of the seeds.
    pub ratio: Option<f64>,
    /// The same of each seed.
    pub ratios: Vec<f64>,
    /// Together over the sum.
    pub efficiency: Option<f64>,
    /// Payload sent again though it was not lost, over payload.
    pub twice: f64,
    /// Bytes that were wrong, and connections that failed.
    pub wrong: Vec<String>,
}

/// What came of a scenario.
pub fn line(case: &GridCase, pairs: &[Pair]) -> Line {
    let words = |link: &grid::GridLink| {
        let rate = |rate: u64| rate as f64 / 125_000.0;
        let loss = f64::from(link.loss_ppm) / 1e4;
        let rtt = link.rtt().as_secs_f64() * 1e3;
        format!("{} {:.3}/{:.3} {rtt:.0} ms {loss:.2} %", link.name, rate(link.rate_down), rate(link.rate_up))
    };
    let ratios = pairs.iter().map(|pair| pair.gain().map_or(0.0, |gain| gain.ratio_to_best)).collect();
    Line {
        id: case.id.clone(),
        links: case.links.iter().map(words).collect::<Vec<_>>().join(" + "),
        alone_mbps: paired::alone(pairs),
        together_mbps: paired::median(pairs, |pair| Some(pair.together.goodput)).unwrap_or_default(),
        ratio: paired::median(pairs, |pair| Some(pair.gain()?.ratio_to_best)),
        ratios,
        efficiency: paired::median(pairs, |pair| Some(pair.gain()?.efficiency)),
        twice: paired::median(pairs, |pair| Some(pair.together.twice)).unwrap_or_default(),
        wrong: paired::told(pairs).0,
    }
}

/// What all of them say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Scenarios.
    pub scenarios: usize,
    /// Of these, at or above [`BAR`].
    pub at_bar: usize,
    /// Below [`FLOOR`], or without a ratio.
    pub below_floor: usize,
    /// With bytes that were wrong or connections that failed.
    pub wrong: usize,
    /// The lowest ratio.
    pub least: Option<f64>,
    /// Whether all bars hold.
    pub holds: bool,
}

/// The verdict over lines; nothing holds without any.
pub fn verdict(lines: &[Line]) -> Verdict {
    let count = |what: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| what(line)).count();
    let at_bar = count(&|line| line.ratio.is_some_and(|ratio| ratio >= BAR));
    let below_floor = count(&|line| line.ratio.is_none_or(|ratio| ratio < FLOOR));
    let wrong = count(&|line| !line.wrong.is_empty());
    let enough = at_bar as f64 >= MOST_SCENARIOS * lines.len() as f64;
    Verdict {
        scenarios: lines.len(),
        at_bar,
        below_floor,
        wrong,
        least: lines.iter().filter_map(|line| line.ratio).reduce(f64::min),
        holds: !lines.is_empty() && enough && below_floor == 0 && wrong == 0,
    }
}

/// Every scenario, the lowest ratio first, and the verdict above them.
pub fn markdown(lines: &[Line]) -> String {
    let verdict = verdict(lines);
    let mut out = format!(
        "{} scenarios: {} at {BAR} of the best link alone or above ({:.1} %, {:.0} % wanted), {} below {FLOOR} (none wanted), \
         least {:.3}; {}\n\n\
         | scenario | links, down/up Mbit/s | alone | together | / best | by seed | / sum | twice |\n|---|---|---|---|---|---|---|---|\n",
        verdict.scenarios,
        verdict.at_bar,
        verdict.at_bar as f64 * 100.0 / (verdict.scenarios as f64).max(1.0),
        MOST_SCENARIOS * 100.0,
        verdict.below_floor,
        verdict.least.unwrap_or_default(),
        if verdict.holds { "met" } else { "**missed**" },
    );
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by(|a, b| a.ratio.unwrap_or(-1.0).total_cmp(&b.ratio.unwrap_or(-1.0)));
    for line in sorted {
        let list = |values: &[f64], places: usize| {
            values.iter().map(|value| format!("{value:.places$}")).collect::<Vec<_>>().join(" ")
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.3} | {} | {:.3} | {:.1} % |",
            line.id,
            line.links,
            list(&line.alone_mbps, 2),
            line.together_mbps,
            line.ratio.unwrap_or_default(),
            list(&line.ratios, 2),
            line.efficiency.unwrap_or_default(),
            line.twice * 100.0,
        );
        if !line.wrong.is_empty() {
            let _ = writeln!(out, "| | WRONG: {} | | | | | | |", line.wrong.join("; "));
        }
    }
    out
}
