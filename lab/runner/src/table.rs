//! The table of bonding: what links of today carry together over what they carry alone, row by row with its bar.
//!
//! A row is a file of `lab/scenarios/bonding` and what it is judged by. Links alone go through the same stack with the same
//! controller, seed and window (docs/bonding.md); on rows with loss the better of CUBIC and BBR counts alone. Reads no
//! file; decides which rows there are and whether their bars hold.

use std::fmt::Write as _;

use serde::Serialize;
use tq_linkmodel::{Queue, Rate};
use tq_scenario::{Cc, QueueSize, Scenario};

use crate::paired::{self, Case, Pair};
use crate::report::mbps;
use crate::run::stream_share;
use crate::stats;

#[cfg(test)]
mod tests;

/// What a row is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judge {
    /// Goodput over the sum of the links alone, at least.
    Sum(f64),
    /// Goodput over the best link alone, at least, with every seed.
    NeverBelowBest(f64),
    /// Goodput over what the shared bottleneck can carry as payload, at least.
    Cell(f64),
    /// Goodput over that of the flow which competes, within.
    Beside(f64, f64),
    /// Page loads over those of the better link alone: the median within the first factor, the 99th percentile within the
    /// second and a round trip.
    Pages(f64, f64),
    /// Nothing; it is told.
    Told,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The file in `lab/scenarios/bonding`, without its ending.
    pub file: &'static str,
    /// What it is judged by.
    pub judge: Judge,
    /// The only controller it is about.
    pub only: Option<Cc>,
    /// Whether links lose at random: then the better of CUBIC and BBR counts alone.
    pub lossy: bool,
    /// How many links are played alone, from the first on, which is the better one where there is only one.
    pub alone: usize,
}

const fn row(file: &'static str, judge: Judge) -> Row {
    Row { file, judge, only: None, lossy: false, alone: usize::MAX }
}

/// The rows, in order.
pub const ROWS: [Row; 15] = [
    row("twice-100-25", Judge::Sum(0.96)),
    row("fibre300-lte80", Judge::Sum(0.93)),
    row("100-10-and-10-40", Judge::Sum(0.93)),
    row("three-links", Judge::Sum(0.92)),
    Row { lossy: true, ..row("lte40-leo100", Judge::Sum(0.85)) },
    row("dsl50-geo20", Judge::Sum(0.90)),
    row("dsl50-geo20-cold100", Judge::Sum(0.85)),
    row("dsl50-geo20-cold20", Judge::NeverBelowBest(1.0)),
    row("three-links-geo", Judge::Sum(0.92)),
    row("three-links-geo-cold100", Judge::Sum(0.88)),
    row("three-links-geo-cold20", Judge::Told),
    row("twice-100-25-cold", Judge::Sum(0.95)),
    row("lte-cell60", Judge::Cell(0.93)),
    Row { only: Some(Cc::Olia), alone: 0, ..row("lte-cell60-coupled", Judge::Beside(0.8, 1.25)) },
    Row { alone: 1, ..row("web-fibre-lte", Judge::Pages(1.02, 1.05)) },
];

/// A part of the §11.1 rule: a link's controllers alone.
const BETTER_OF: [Cc; 2] = [Cc::Cubic, Cc::Bbr];

impl Row {
    /// The cases of this row for controllers: one for each, or for its own only.
    pub fn cases(&self, scenario: &Scenario, controllers: &[Cc]) -> Vec<Case> {
        let own = self.only.map_or(controllers.to_vec(), |only| vec![only]);
        let case = |cc: Cc| {
            let mut case = Case::new(scenario.clone(), cc);
            if self.lossy {
                case.alone.extend(BETTER_OF.into_iter().filter(|other| *other != cc));
            }
            case.links.truncate(self.alone);
            case
        };
        own.into_iter().map(case).collect()
    }
}

/// Queues of all links and shared ones, longer by a factor.
pub fn stretch(scenario: &mut Scenario, factor: u32) {
    let whole = u64::from(factor);
    let longer = |queue: QueueSize| match queue {
        QueueSize::Bytes(bytes) => QueueSize::Bytes(bytes.saturating_mul(whole)),
        QueueSize::Packets(packets) => QueueSize::Packets(packets.saturating_mul(factor)),
        QueueSize::Time(time) => QueueSize::Time(time * factor),
        QueueSize::Waiting(time) => QueueSize::Waiting(time * factor),
        QueueSize::Bdp(thousandths) => QueueSize::Bdp(thousandths.saturating_mul(whole)),
        QueueSize::Default => QueueSize::Bdp(1000 * whole),
        QueueSize::Unlimited => QueueSize::Unlimited,
    };
    for way in scenario.links.iter_mut().flat_map(|link| [&mut link.up, &mut link.down]) {
        way.queue = longer(way.queue);
    }
    for (_, config) in scenario.bottlenecks.iter_mut().flat_map(|shared| [&mut shared.up, &mut shared.down]) {
        config.queue = match config.queue {
            Queue::Bytes(bytes) => Queue::Bytes(bytes.saturating_mul(whole)),
            Queue::Packets(packets) => Queue::Packets(packets.saturating_mul(factor)),
            Queue::Time(time) => Queue::Time(time * factor),
        };
    }
}

/// A link of a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Rate of IP down, 10^6 bit/s; the nominal one if it varies, that of the shared queue if it has none.
    pub rate_mbps: Option<f64>,
    /// Round trip without queue.
    pub rtt_ms: f64,
    /// Goodput alone, the median.
    pub alone_mbps: f64,
    /// The same over the rate's share for payload.
    pub alone_use: Option<f64>,
}

/// What became of a row with a controller. Ratios seed by seed, then the median.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The row's file.
    pub scenario: String,
    /// Congestion control of all together.
    pub cc: &'static str,
    /// Seeds.
    pub seeds: usize,
    /// The links that were played alone.
    pub links: Vec<Lane>,
    /// Goodput of all together.
    pub together_mbps: f64,
    /// What they carry alone, added up.
    pub sum_mbps: f64,
    /// Together over the sum.
    pub efficiency: Option<f64>,
    /// Together over the best link alone.
    pub gain: Option<f64>,
    /// The lowest of the seeds.
    pub gain_min: Option<f64>,
    /// Payload sent again though it was not lost, over payload.
    pub twice: f64,
    /// First packet to last byte, if the row is cold.
    pub completion_s: Option<f64>,
    /// What the bar is about, and its value.
    pub figure: String,
    /// The bar.
    pub bar: String,
    /// Whether it holds; `null` without a bar.
    pub holds: Option<bool>,
    /// Bytes that were wrong, and connections that failed.
    pub wrong: Vec<String>,
    /// What was not done as the file asks.
    pub note: String,
}

/// The line of a row with a controller.
pub fn line(row: &Row, case: &Case, pairs: &[Pair]) -> Line {
    let scenario = &case.scenario;
    let alone = paired::alone(pairs);
    let links = case.links.iter().zip(&alone).map(|(at, alone)| lane(scenario, *at, *alone)).collect();
    let median = |of: fn(&Pair) -> Option<f64>| paired::median(pairs, of);
    let gains: Vec<f64> = pairs.iter().filter_map(|pair| Some(pair.gain()?.ratio_to_best)).collect();
    let (wrong, note) = paired::told(pairs);
    let (figure, bar, holds) = verdict(row.judge, scenario, pairs);
    Line {
        scenario: row.file.to_owned(),
        cc: case.cc.name(),
        seeds: pairs.len(),
        links,
        together_mbps: median(|pair| Some(pair.together.goodput)).unwrap_or_default(),
        sum_mbps: alone.iter().sum(),
        efficiency: median(|pair| Some(pair.gain()?.efficiency)),
        gain: median(|pair| Some(pair.gain()?.ratio_to_best)),
        gain_min: gains.iter().copied().reduce(f64::min),
        twice: median(|pair| Some(pair.together.twice)).unwrap_or_default(),
        completion_s: median(|pair| pair.together.completion),
        figure,
        bar,
        holds: if wrong.is_empty() { holds } else { Some(false) },
        wrong,
        note,
    }
}

/// The rate that a link has for IP down, its own or that of the queue in front of it.
fn rate(scenario: &Scenario, at: usize) -> Option<f64> {
    let way = &scenario.links[at].down;
    let shared = way.bottleneck.and_then(|id| {
        match scenario.bottleneck_configs().into_iter().find(|(known, _)| *known == id)?.1.rate {
            Rate::Fixed(rate) => Some(rate),
            _ => None,
        }
    });
    way.rate.into_iter().chain(shared).min().map(|rate| mbps(rate as f64))
}

fn lane(scenario: &Scenario, at: usize, alone: f64) -> Lane {
    let link = &scenario.links[at];
    let rate = rate(scenario, at);
    Lane {
        name: link.name.clone(),
        rate_mbps: rate,
        rtt_ms: link.rtt().as_secs_f64() * 1000.0,
        alone_mbps: alone,
        alone_use: rate.map(|rate| alone / (rate * stream_share(1452))),
    }
}

/// What the bar is about with its value, the bar, whether it holds.
fn verdict(judge: Judge, scenario: &Scenario, pairs: &[Pair]) -> (String, String, Option<bool>) {
    let said = |name: &str, value: Option<f64>| format!("{name} {}", number(value));
    match judge {
        Judge::Sum(bar) => {
            let value = paired::median(pairs, |pair| Some(pair.gain()?.efficiency));
            (said("of the sum", value), format!(">= {bar}"), Some(value.is_some_and(|value| value >= bar)))
        }
        Judge::NeverBelowBest(bar) => {
            let gains: Vec<f64> = pairs.iter().filter_map(|pair| Some(pair.gain()?.ratio_to_best)).collect();
            let least = gains.iter().copied().reduce(f64::min).filter(|_| gains.len() == pairs.len());
            (
                said("of the best, least", least),
                format!(">= {bar}"),
                Some(least.is_some_and(|least| least >= bar)),
            )
        }
        Judge::Cell(bar) => {
            let most = rate(scenario, 0).map(|rate| rate * stream_share(1452));
            let value = paired::median(pairs, |pair| Some(pair.together.goodput / most?));
            (said("of the cell", value), format!(">= {bar}"), Some(value.is_some_and(|value| value >= bar)))
        }
        Judge::Beside(low, high) => {
            let value = paired::median(pairs, |pair| Some(pair.together.goodput / pair.together.beside));
            let holds = value.is_some_and(|value| (low..=high).contains(&value));
            (said("of the flow beside", value), format!("{low} to {high}"), Some(holds))
        }
        Judge::Pages(middle, late) => pages(middle, late, scenario, pairs),
        Judge::Told => (String::new(), String::new(), None),
    }
}

/// Page loads of all seeds, together against the better link alone.
fn pages(middle: f64, late: f64, scenario: &Scenario, pairs: &[Pair]) -> (String, String, Option<bool>) {
    let together: Vec<f64> = pairs.iter().flat_map(|pair| pair.together.latencies.clone()).collect();
    let alone: Vec<f64> =
        pairs.iter().filter_map(|pair| pair.alone.first()).flat_map(|seen| seen.latencies.clone()).collect();
    let at = |values: &[f64], q: f64| stats::quantile(values, q).unwrap_or(f64::INFINITY);
    let rtt = scenario.links[0].rtt().as_secs_f64();
    let (median, p99) = ([at(&together, 0.5), at(&alone, 0.5)], [at(&together, 0.99), at(&alone, 0.99)]);
    let holds =
        median[0] <= middle * median[1] && p99[0] <= late * p99[1] + rtt && together.len() >= alone.len();
    let enough = together.len() >= LEAST_PAGES;
    let figure = format!(
        "{} pages, median {:.0} of {:.0} ms, p99 {:.0} of {:.0} ms",
        together.len(),
        median[0] * 1e3,
        median[1] * 1e3,
        p99[0] * 1e3,
        p99[1] * 1e3
    );
    let bar = format!("<= {middle}, <= {late} + {:.0} ms, {LEAST_PAGES} pages", rtt * 1e3);
    // too few pages say nothing good
    (figure, bar, if enough || !holds { Some(holds) } else { None })
}

/// Page loads without which a row about them says nothing.
const LEAST_PAGES: usize = 2000;

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// All lines for documents.
pub fn markdown(lines: &[Line]) -> String {
    let mut out = String::from(
        "| scenario | cc | alone, Mbit/s (of the link) | together | sum | / sum | / best, least | twice | judged by | bar | |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in lines {
        let lane = |lane: &Lane| {
            let used = lane.alone_use.map_or(String::new(), |used| format!(" ({used:.2})"));
            format!("{} {:.2}{used}", lane.name, lane.alone_mbps)
        };
        let word = match line.holds {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.2} | {} | {}, {} | {:.1} % | {} | {} | {word} |",
            line.scenario,
            line.cc,
            line.links.iter().map(lane).collect::<Vec<_>>().join(", "),
            line.together_mbps,
            line.sum_mbps,
            number(line.efficiency),
            number(line.gain),
            number(line.gain_min),
            line.twice * 100.0,
            line.figure,
            line.bar,
        );
    }
    for line in lines.iter().filter(|line| !line.wrong.is_empty() || !line.note.is_empty()) {
        let wrong = line.wrong.join("; ");
        let _ = writeln!(out, "\n{} {}: {}{}", line.scenario, line.cc, wrong, line.note);
    }
    out
}
