//! Published pairs of links, and the bars that their benefit is held to.
//!
//! Decides which pairs a set has, how they are started and measured ([`Kind`]), and what all of them say. The smaller link of
//! some pairs adds less than 5 % of the larger one: there a benefit says nothing, and the ratio to the best link alone is
//! judged instead.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use tq_scenario::Cc;
use tq_time::Duration;

use crate::fluid::{self, Growth, Mode};
use crate::grid::{self, GridCase, Order, Queues, Set};
use crate::paired::{self, Case, Pair};
use crate::report::Ceiling;
use crate::run::tell;
use crate::stats::{self, Gain, Summary};

#[cfg(test)]
mod tests;

/// A set with its way of being started and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both sets without loss in both orders: the handshake on the first link of a pair, 20 MB.
    AsPublished,
    /// Low-BDP without loss: the handshake raced over both links, 20 MB.
    LowBdpRaced,
    /// High-BDP likewise.
    HighBdpRaced,
    /// Both sets without loss: everything up for 5 s or 20 round trips, then 30 s.
    Warm,
    /// Both sets with loss: raced, 20 MB, CUBIC.
    Lossy,
}

/// What the benefits of a set are held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bars {
    /// No lower than the fluid ceiling's less this, in this part of the pairs.
    Ceiling {
        /// How much lower.
        less: f64,
        /// The part.
        part: f64,
    },
    /// The median, and the least.
    Benefit {
        /// The median, at least.
        median: f64,
        /// None below, if that is asked for.
        least: Option<f64>,
    },
}

/// What the ratio to the best link is held to where the benefit says nothing.
pub const RATIO: f64 = 0.98;
/// How long a warm window is.
const WARM: Duration = Duration::from_secs(30);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::AsPublished, Self::LowBdpRaced, Self::HighBdpRaced, Self::Warm, Self::Lossy];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsPublished => "as-published",
            Self::LowBdpRaced => "low-bdp-raced",
            Self::HighBdpRaced => "high-bdp-raced",
            Self::Warm => "warm",
            Self::Lossy => "lossy",
        }
    }

    /// The one with this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What its benefits are held to.
    pub const fn bars(self) -> Bars {
        match self {
            Self::AsPublished => Bars::Ceiling { less: 0.15, part: 0.90 },
            Self::LowBdpRaced => Bars::Benefit { median: 0.85, least: Some(-0.03) },
            Self::HighBdpRaced => Bars::Benefit { median: 0.5, least: Some(-0.12) },
            Self::Warm => Bars::Benefit { median: 0.93, least: Some(-0.02) },
            Self::Lossy => Bars::Benefit { median: 0.7, least: None },
        }
    }

    /// The controller it is about if none is asked for.
    pub const fn cc(self) -> Cc {
        match self {
            Self::Lossy => Cc::Cubic,
            _ => Cc::Auto,
        }
    }

    /// Its pairs; of each list and order `count`, evenly over the list, all if there are no more.
    ///
    /// # Errors
    /// As [`grid::published`].
    pub fn pairs(self, queues: Queues, count: Option<usize>) -> Result<Vec<GridCase>> {
        let (sets, orders): (&[Set], &[Order]) = match self {
            Self::AsPublished => (&[Set::LowBdp, Set::HighBdp], &[Order::AsListed, Order::Swapped]),
            Self::LowBdpRaced => (&[Set::LowBdp], &[Order::AsListed]),
            Self::HighBdpRaced => (&[Set::HighBdp], &[Order::AsListed]),
            Self::Warm => (&[Set::LowBdp, Set::HighBdp], &[Order::AsListed]),
            Self::Lossy => (&[Set::LowBdpLoss, Set::HighBdpLoss], &[Order::AsListed]),
        };
        let mut pairs = Vec::new();
        for set in sets {
            for order in orders {
                let all = grid::published(*set, *order, queues)?;
                let some = count.unwrap_or(all.len()).min(all.len());
                pairs.extend((0..some).map(|at| all[at * all.len() / some.max(1)].clone()));
            }
        }
        Ok(pairs)
    }

    /// A pair of it as something to compare.
    pub fn compared(self, pair: &GridCase, cc: Cc) -> Case {
        let scenario = match self {
            Self::Warm => grid::warm(pair, WARM),
            _ => grid::scenario(pair),
        };
        Case { race: self != Self::AsPublished, ..Case::new(scenario, cc) }
    }

    /// What the ratio of a pair is held to whose benefit says nothing. As published, the handshake takes place on the first
    /// link, though it be the slow one: what that costs the ideal as well is nobody's fault.
    fn least_ratio(self, line: &Line) -> f64 {
        match self {
            Self::AsPublished => RATIO * line.keeps.unwrap_or(1.0).min(1.0),
            _ => RATIO,
        }
    }

    /// What the ideal beside it is allowed.
    const fn mode(self) -> Mode {
        let start = match self {
            Self::AsPublished => fluid::Start::Published,
            _ => fluid::Start::Raced,
        };
        Mode {
            start,
            opening: fluid::Opening::FourDatagrams,
            acks: fluid::Acks::Fast,
            growth: Growth::RttScaled,
        }
    }
}

/// A pair of the report. Rates in 10^6 bit/s of payload; medians of the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Which.
    pub id: String,
    /// Goodput of each link alone.
    pub alone_mbps: Vec<f64>,
    /// Goodput of both together.
    pub together_mbps: f64,
    /// 0 is the best link alone, 1 the sum.
    pub benefit: Option<f64>,
    /// That of an ideal transport.
    pub ceiling: Option<f64>,
    /// The ideal's goodput over its own over the best link alone: below 1 where the handshake takes place on a slow link.
    pub keeps: Option<f64>,
    /// Together over the best link alone.
    pub ratio: Option<f64>,
    /// Whether the benefit says something.
    pub telling: bool,
    /// Bytes that were wrong, and connections that failed.
    pub wrong: Vec<String>,
}

/// What came of a pair.
pub fn line(kind: Kind, case: &Case, pairs: &[Pair]) -> Line {
    let alone = paired::alone(pairs);
    let ideal = tell::ceiling_of(&case.scenario, kind.mode());
    let keeps = |ideal: &Ceiling| Some(Gain::of(&ideal.alone_mbps, ideal.together_mbps)?.ratio_to_best);
    Line {
        id: case.scenario.name.clone(),
        ceiling: ideal.as_ref().and_then(|ideal| ideal.benefit),
        keeps: ideal.as_ref().and_then(keeps),
        telling: Gain::is_telling(&alone),
        alone_mbps: alone,
        together_mbps: paired::median(pairs, |pair| Some(pair.together.goodput)).unwrap_or_default(),
        benefit: paired::median(pairs, |pair| pair.gain()?.benefit),
        ratio: paired::median(pairs, |pair| Some(pair.gain()?.ratio_to_best)),
        wrong: paired::told(pairs).0,
    }
}

/// One thing that is held to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// In words.
    pub bar: String,
    /// What was measured, in words.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
}

/// What all pairs of a set say: its own bars over telling pairs, and the ratio of the others.
pub fn verdict(kind: Kind, lines: &[Line]) -> Vec<Held> {
    let telling: Vec<&Line> = lines.iter().filter(|line| line.telling).collect();
    let benefits: Vec<f64> = telling.iter().map(|line| line.benefit.unwrap_or(-1.0)).collect();
    let sorted = stats::sorted(&benefits);
    let (median, least) = (stats::median(&benefits), sorted.first().copied());
    let mut held = Vec::new();
    let mut hold = |bar: String, measured: String, holds: bool| held.push(Held { bar, measured, holds });
    match kind.bars() {
        Bars::Ceiling { less, part } => {
            let near = |line: &&&Line| {
                line.benefit.zip(line.ceiling).is_some_and(|(benefit, ceiling)| benefit >= ceiling - less)
            };
            let count = telling.iter().filter(near).count();
            let share = count as f64 / (telling.len() as f64).max(1.0);
            let bar = format!("benefit >= ceiling - {less} in {:.0} %", part * 100.0);
            hold(bar, format!("{count} of {} ({:.1} %)", telling.len(), share * 100.0), share >= part);
        }
        Bars::Benefit { median: wanted, least: floor } => {
            let found = median.unwrap_or(-1.0);
            hold(format!("median benefit >= {wanted}"), format!("{found:.3}"), found >= wanted);
            if let Some(floor) = floor {
                let below = sorted.iter().filter(|benefit| **benefit < floor).count();
                let measured = format!("{below} below, least {:.3}", least.unwrap_or(-1.0));
                hold(format!("no benefit below {floor}"), measured, below == 0 && least.is_some());
            }
        }
    }
    let others: Vec<&Line> = lines.iter().filter(|line| !line.telling).collect();
    let ratio = |line: &Line| line.ratio.unwrap_or_default();
    let good = others.iter().filter(|line| ratio(line) >= kind.least_ratio(line)).count();
    if !others.is_empty() {
        let least = others.iter().map(|line| ratio(line)).fold(f64::INFINITY, f64::min);
        let measured = format!("{good} of {}, least {least:.3}", others.len());
        let of = if kind == Kind::AsPublished { " of what the ideal keeps of it" } else { "" };
        let bar = format!("ratio to the best >= {RATIO}{of} where a link adds < 5 %");
        hold(bar, measured, good == others.len());
    }
    let wrong = lines.iter().filter(|line| !line.wrong.is_empty()).count();
    if wrong > 0 {
        hold("no byte wrong, no connection failed".to_owned(), format!("{wrong} pairs"), false);
    }
    held
}

/// The verdict, the distribution beside the ceiling's, and the pairs furthest below it; `all`: every pair.
pub fn markdown(kind: Kind, lines: &[Line], all: bool) -> String {
    let mut out = format!("{}: {} pairs\n\n", kind.name(), lines.len());
    for held in verdict(kind, lines) {
        let word = if held.holds { "met" } else { "**missed**" };
        let _ = writeln!(out, "- {}: {}, {word}", held.bar, held.measured);
    }
    let telling = || lines.iter().filter(|line| line.telling);
    let rows: [(&str, Vec<f64>); 2] = [
        ("measured", telling().filter_map(|line| line.benefit).collect()),
        ("ceiling", telling().filter_map(|line| line.ceiling).collect()),
    ];
    out += "\n| benefit | median | p10 | least |\n|---|---|---|---|\n";
    for (name, values) in rows {
        if let Some(Summary { median, p10, min, .. }) = Summary::of(&values) {
            let _ = writeln!(out, "| {name} | {median:.3} | {p10:.3} | {min:.3} |");
        }
    }
    let behind = |line: &Line| match (line.telling, line.benefit, line.ceiling, line.ratio) {
        (true, Some(benefit), Some(ceiling), _) => benefit - ceiling,
        (false, .., Some(ratio)) => ratio - 1.0,
        _ => -1.0,
    };
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by(|a, b| behind(a).total_cmp(&behind(b)));
    sorted.truncate(if all { sorted.len() } else { 12 });
    out += "\n| pair | alone | together | benefit | ceiling | / best | |\n|---|---|---|---|---|---|---|\n";
    for line in sorted {
        let alone: Vec<String> = line.alone_mbps.iter().map(|rate| format!("{rate:.2}")).collect();
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let _ = writeln!(
            out,
            "| {} | {} | {:.2} | {} | {} | {} | {}{} |",
            line.id,
            alone.join(" "),
            line.together_mbps,
            number(line.benefit),
            number(line.ceiling),
            number(line.ratio),
            if line.telling { "" } else { "< 5 %" },
            if line.wrong.is_empty() { String::new() } else { format!("WRONG: {}", line.wrong.join("; ")) },
        );
    }
    out
}
