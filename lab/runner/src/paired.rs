//! Each link alone and all together, seed by seed: what every comparison of bonding is made of.
//!
//! Decides what has to be played for a comparison and puts what was seen back together; what is asked of it is the
//! business of [`crate::table`], [`crate::guard`] and [`crate::sets`]. Only plain numbers are kept of a run, so that
//! thousands of them can wait for each other.

use anyhow::Result;
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::{Cc, Kind, Scenario, Target};
use tq_sim::qlog::Qlog;

use crate::report::mbps;
use crate::run::{self, Alone, Outcome, Plan, compare, figures};
use crate::stats::{self, Gain};

#[cfg(test)]
mod tests;

/// A scenario to compare.
#[derive(Clone, Debug)]
pub struct Case {
    /// Links, load and window.
    pub scenario: Scenario,
    /// Congestion control of all together.
    pub cc: Cc,
    /// Congestion controls of links alone; the best of them counts, seed by seed.
    pub alone: Vec<Cc>,
    /// Links that are played alone.
    pub links: Vec<usize>,
    /// Whether the handshake is raced over all links; else it takes place on the first.
    pub race: bool,
}

impl Case {
    /// With one controller for all, every link alone, and a raced handshake.
    pub fn new(scenario: Scenario, cc: Cc) -> Self {
        let links = (0..scenario.links.len()).collect();
        Self { scenario, cc, alone: vec![cc], links, race: true }
    }
}

/// One run to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which of the cases.
    pub case: usize,
    /// The link that is played alone; `None`: all together.
    pub over: Option<usize>,
    /// Congestion control.
    pub cc: Cc,
    /// Seed.
    pub seed: u64,
}

/// What a run has shown. Rates in 10^6 bit/s of payload, times in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// In the scenario's window; of a link alone with outages without them, times the part in which it works.
    pub goodput: f64,
    /// First packet to last byte, if it came.
    pub completion: Option<f64>,
    /// How long requests and pages took.
    pub latencies: Vec<f64>,
    /// Goodput of connections that compete.
    pub beside: f64,
    /// Payload sent again though it was not lost, over payload.
    pub twice: f64,
    /// Bytes that were lost, altered, doubled or invented, and connections that failed, in words.
    pub wrong: Vec<String>,
    /// What was not done as asked, in words.
    pub notes: Vec<String>,
}

/// A seed of a case: the links alone, in the order of [`Case::links`], and all together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The seed.
    pub seed: u64,
    /// Links alone.
    pub alone: Vec<Seen>,
    /// All together.
    pub together: Seen,
}

/// All runs that the cases need with `seeds` seeds from `first` on, case by case.
pub fn items(cases: &[Case], seeds: u64, first: u64) -> Vec<Item> {
    let mut items = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        for seed in (0..seeds).map(|number| first.wrapping_add(number)) {
            let alone =
                case.links.iter().flat_map(|link| case.alone.iter().map(move |cc| (Some(*link), *cc)));
            let all = alone.chain([(None, case.cc)]);
            items.extend(all.map(|(over, cc)| Item { case: at, over, cc, seed }));
        }
    }
    items
}

/// Plays one; logs of its connections go to `qlog`.
///
/// # Errors
/// As [`run::run`].
pub fn play(case: &Case, item: &Item, scheduler: Option<Scheduler>, qlog: Option<Qlog>) -> Result<Seen> {
    let scenario = &case.scenario;
    let plan = match item.over {
        None => Plan::together(scenario, item.seed).raced(case.race).with_scheduler(scheduler),
        Some(link) if compare::is_calmed(scenario, link, item.seed) => {
            Plan::new(scenario, link, item.seed).calmed()
        }
        Some(link) => Plan::new(scenario, link, item.seed),
    };
    let outcome = run::run(Plan { qlog, ..plan.with_cc(Some(item.cc)) })?;
    Ok(seen(scenario, &outcome))
}

fn seen(scenario: &Scenario, outcome: &Outcome) -> Seen {
    let goodput = match &outcome.lanes[..] {
        // freed of outages where that is the comparison's rule
        [lane] => Alone::of(scenario, [outcome]).median(lane.link).unwrap_or_default(),
        _ => figures::goodput(scenario, outcome, None),
    };
    let competes = |at: &usize| matches!(scenario.traffic[*at].kind, Kind::Competing { .. });
    let beside = (0..scenario.traffic.len())
        .filter(competes)
        .map(|at| figures::goodput(scenario, outcome, Some(Target::Traffic(at))))
        .sum::<f64>();
    let latencies = outcome.own().flat_map(|flow| &flow.latencies).map(|time| time.as_secs_f64()).collect();
    let mut wrong = outcome.violations.clone();
    wrong.extend(outcome.errors.iter().cloned());
    Seen {
        goodput: mbps(goodput),
        completion: outcome.completion().map(|at| at.as_nanos() as f64 / 1e9),
        latencies,
        beside: mbps(beside),
        twice: figures::twice(outcome),
        wrong,
        notes: outcome.left_out.clone(),
    }
}

/// Puts what was seen of [`items`] back together, for each case the pairs of its seeds.
pub fn gather(cases: &[Case], items: &[Item], seen: Vec<Seen>) -> Vec<Vec<Pair>> {
    let mut all: Vec<Vec<Pair>> = vec![Vec::new(); cases.len()];
    for (item, seen) in items.iter().zip(seen) {
        let pairs = &mut all[item.case];
        if pairs.last().is_none_or(|last| last.seed != item.seed) {
            pairs.push(Pair { seed: item.seed, ..Pair::default() });
        }
        let (Some(pair), links) = (pairs.last_mut(), &cases[item.case].links) else { continue };
        match item.over.and_then(|link| links.iter().position(|known| *known == link)) {
            None => pair.together = seen,
            // another controller on the link that was seen last: the better one counts
            Some(at) if at < pair.alone.len() => {
                if seen.goodput > pair.alone[at].goodput {
                    pair.alone[at] = seen;
                }
            }
            Some(_) => pair.alone.push(seen),
        }
    }
    all
}

impl Pair {
    /// Goodputs of the links alone.
    pub fn goodputs(&self) -> Vec<f64> {
        self.alone.iter().map(|seen| seen.goodput).collect()
    }

    /// How all together compare.
    pub fn gain(&self) -> Option<Gain> {
        Gain::of(&self.goodputs(), self.together.goodput)
    }

    /// The best link alone.
    pub fn best(&self) -> f64 {
        self.goodputs().into_iter().fold(0.0, f64::max)
    }

    /// What was wrong in any of its runs.
    pub fn wrong(&self) -> impl Iterator<Item = &String> {
        self.alone.iter().chain([&self.together]).flat_map(|seen| &seen.wrong)
    }
}

/// The median of a number of each pair.
pub fn median(pairs: &[Pair], of: impl Fn(&Pair) -> Option<f64>) -> Option<f64> {
    stats::median(&pairs.iter().filter_map(of).collect::<Vec<_>>())
}

/// The median goodput of each link alone.
pub fn alone(pairs: &[Pair]) -> Vec<f64> {
    let links = pairs.first().map_or(0, |pair| pair.alone.len());
    (0..links)
        .filter_map(|link| median(pairs, |pair| pair.alone.get(link).map(|seen| seen.goodput)))
        .collect()
}

/// What was wrong and what was not done, each once.
pub fn told(pairs: &[Pair]) -> (Vec<String>, String) {
    let mut wrong: Vec<String> = pairs.iter().flat_map(Pair::wrong).cloned().collect();
    let of =
        |pair: &Pair| pair.alone.iter().chain([&pair.together]).flat_map(|seen| seen.notes.clone()).collect();
    let mut notes: Vec<String> = pairs.iter().flat_map(|pair| -> Vec<String> { of(pair) }).collect();
    for list in [&mut wrong, &mut notes] {
        list.sort();
        list.dedup();
    }
    (wrong, notes.join("; "))
}
