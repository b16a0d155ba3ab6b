//! Runs of a scenario as an entry of a report, beside the fluid ceiling.

use tq_linkmodel::Rate;
use tq_scenario::{Kind, Scenario, Value, Window};

use super::compare::Alone;
use super::figures::{self, Judged};
use super::outcome::Outcome;
use super::{main_direction, stream_share};
use crate::fluid;
use crate::report::{self, Verdict, mbps};

/// The links as the fluid model sees them, for the way that the scenario's bytes go; `None` if a rate has no limit.
pub fn fluid_links(scenario: &Scenario) -> Option<Vec<fluid::Link>> {
    let direction = main_direction(scenario);
    let shared = scenario.bottleneck_configs();
    let link = |link: &tq_scenario::Link| {
        let way = link.way(direction);
        let own = way.rate.map(|rate| rate as f64);
        let front =
            way.bottleneck.and_then(|id| match shared.iter().find(|(known, _)| *known == id)?.1.rate {
                Rate::Fixed(rate) => Some(rate as f64),
                _ => None,
            });
        // The fluid counts datagrams of 1200 bytes; ours are longer where the link lets them.
        let share = stream_share(1452) / fluid::PAYLOAD_SHARE;
        let rate = own.into_iter().chain(front).reduce(f64::min)? * share;
        let back = link.way(direction.opposite()).delay.as_secs_f64();
        Some(fluid::Link { rate, delay: way.delay.as_secs_f64(), back })
    };
    scenario.links.iter().map(link).collect()
}

/// What the scenario moves, as the fluid model wants it.
pub fn fluid_load(scenario: &Scenario) -> Option<fluid::Load> {
    if let Window::Warm { from, length } = scenario.measure.window {
        return Some(fluid::Load::Window { from: from.as_secs_f64(), length: length.as_secs_f64() });
    }
    let mut sum = 0;
    for traffic in &scenario.traffic {
        match traffic.kind {
            Kind::Bulk { bytes: Some(bytes), streams, sequential: false } => {
                sum += bytes * u64::from(streams)
            }
            Kind::Competing { .. } => {}
            _ => return None,
        }
    }
    (sum > 0).then_some(fluid::Load::Bytes(sum as f64))
}

/// The ideal that the core's own start is to be compared with.
pub fn mode() -> fluid::Mode {
    fluid::Mode { growth: fluid::Growth::RttScaled, ..fluid::Mode::default() }
}

/// The scenario's ceiling; `None` where the fluid model has no say.
pub fn ceiling(scenario: &Scenario) -> Option<report::Ceiling> {
    ceiling_of(scenario, mode())
}

/// The same of an ideal that is allowed something else.
pub fn ceiling_of(scenario: &Scenario, mode: fluid::Mode) -> Option<report::Ceiling> {
    let (links, load) = (fluid_links(scenario)?, fluid_load(scenario)?);
    let found = fluid::ceiling(&links, load, mode)?;
    let first = (links.first()?, scenario.links.first()?.way(main_direction(scenario)));
    let p = f64::from(first.1.loss_ppm) / 1e6;
    let bound = fluid::loss_bound(first.0.rate * fluid::PAYLOAD_SHARE, first.0.rtt(), p, 1416.0);
    Some(report::Ceiling::of(&found, bound))
}

/// A value in the unit of reports: seconds, 10^6 bit/s, bytes, counts, ratios.
pub fn number(value: Value) -> (f64, &'static str) {
    match value {
        Value::Ratio(millionths) => (millionths as f64 / 1e6, ""),
        Value::Time(time) => (time.as_secs_f64(), "s"),
        Value::Rate(rate) => (mbps(rate as f64), "Mbit/s"),
        Value::Bytes(bytes) => (bytes as f64, "B"),
        Value::Count(count) => (count as f64, ""),
    }
}

/// The runs of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// Over each link alone, in the order of the scenario's links.
    pub alone: Vec<Vec<Outcome>>,
    /// Over all together; empty with one link.
    pub together: Vec<Outcome>,
}

impl Runs {
    /// Of one link.
    pub fn single(outcomes: Vec<Outcome>) -> Self {
        Self { alone: vec![outcomes], together: Vec::new() }
    }

    /// Those that the scenario is judged by: together if there are several links.
    pub fn judged(&self) -> &[Outcome] {
        match (&self.together[..], &self.alone[..]) {
            ([], [single]) => single,
            (together, _) => together,
        }
    }
}

/// The entry of a scenario.
pub fn entry(scenario: &Scenario, runs: &Runs) -> report::Scenario {
    let mut entry = report::Scenario { id: scenario.name.clone(), ..report::Scenario::default() };
    let alone = Alone::of(scenario, runs.alone.iter().flatten());
    for (index, link) in scenario.links.iter().enumerate() {
        let nominal = link.nominal();
        let rate = |rate: Option<u64>| mbps(rate.unwrap_or(0) as f64);
        entry.links.push(report::Link {
            name: link.name.clone(),
            up_mbps: rate(nominal.up),
            down_mbps: rate(nominal.down),
            rtt_ms: nominal.rtt.as_secs_f64() * 1000.0,
            loss_pct: f64::from(link.way(main_direction(scenario)).loss_ppm) / 10_000.0,
        });
        entry.alone_mbps.push(alone.median(index).map(mbps));
    }
    entry.ceiling = ceiling(scenario);
    together(scenario, &runs.together, &alone, &mut entry);
    let outcomes = runs.judged();
    let bars = figures::judge(scenario, outcomes, &alone);
    let asked = figures::asked(scenario, outcomes, &alone);
    entry.figures = asked.into_iter().map(|(name, value)| figure(&name, value)).collect();
    let done: Vec<f64> = outcomes.iter().filter_map(Outcome::completion).map(seconds).collect();
    entry.completion_s = crate::stats::median(&done).filter(|_| done.len() == outcomes.len());
    let every = || runs.alone.iter().flatten().chain(&runs.together);
    let notes = every().flat_map(|outcome| outcome.left_out.iter().chain(&outcome.errors));
    let mut notes: Vec<&str> = notes.map(String::as_str).collect();
    notes.extend(runs.together.iter().flat_map(|outcome| &outcome.paths.refused).map(String::as_str));
    notes.sort_unstable();
    notes.dedup();
    entry.note = notes.join("; ");
    entry.violations = every().flat_map(|outcome| outcome.violations.clone()).collect();
    entry.verdict = verdict(&entry, &bars);
    entry.bars = bars
        .into_iter()
        .map(|bar| report::Bar {
            text: bar.text,
            measured: bar.measured.map(|value| value.to_string()),
            holds: bar.holds,
        })
        .collect();
    entry
}

/// What all links do together: medians over the seeds that were run alone as well, and what each link had of it.
fn together(scenario: &Scenario, outcomes: &[Outcome], alone: &Alone, entry: &mut report::Scenario) {
    let goodputs: Vec<f64> =
        outcomes.iter().map(|outcome| figures::goodput(scenario, outcome, None)).collect();
    entry.together_mbps = crate::stats::median(&goodputs).map(mbps);
    entry.compare();
    let gains: Vec<_> = outcomes.iter().filter_map(|outcome| alone.gain(scenario, outcome)).collect();
    if gains.is_empty() {
        return;
    }
    let median = |values: Vec<f64>| crate::stats::median(&values);
    entry.benefit = median(gains.iter().filter_map(|gain| gain.benefit).collect());
    entry.efficiency = median(gains.iter().map(|gain| gain.efficiency).collect());
    entry.ratio_to_best = median(gains.iter().map(|gain| gain.ratio_to_best).collect());
    let direction = main_direction(scenario);
    let way = usize::from(direction == tq_linkmodel::Direction::Down);
    for (place, link) in scenario.links.iter().enumerate() {
        let lanes = || outcomes.iter().filter_map(|outcome| Some((outcome, outcome.lanes.get(place)?)));
        let all = |outcome: &Outcome| outcome.lanes.iter().map(|lane| lane.delivered(direction)).sum::<u64>();
        let share = |(outcome, lane): (&Outcome, &super::Lane)| {
            lane.delivered(direction) as f64 / (all(outcome) as f64).max(1.0)
        };
        let sample = |what: fn(&super::Sample) -> f64| -> Vec<f64> {
            lanes().flat_map(|(_, lane)| lane.samples.iter().map(what)).filter(|value| *value > 0.0).collect()
        };
        let waiting = lanes().flat_map(|(_, lane)| &lane.samples);
        entry.paths.push(report::PathRow {
            link: link.name.clone(),
            share: median(lanes().map(share).collect()),
            dropped: lanes().map(|(_, lane)| lane.counters[way].dropped_total()).sum(),
            srtt_ms: median(sample(|sample| sample.srtt.as_secs_f64() * 1000.0)),
            queue_ms: median(waiting.map(|sample| sample.waiting[way].as_secs_f64() * 1000.0).collect()),
        });
    }
    let sum = |what: fn(&super::PathEnds) -> u64| outcomes.iter().map(|outcome| what(&outcome.paths)).sum();
    (entry.abandons, entry.outs) = (Some(sum(|paths| paths.abandons)), Some(sum(|paths| paths.outs)));
    entry.groups = Some(sum(|paths| paths.grouped.len() as u64));
}

fn seconds(at: tq_time::Instant) -> f64 {
    at.saturating_since(tq_time::Instant::ZERO).as_secs_f64()
}

fn figure(name: &str, value: Option<Value>) -> report::Figure {
    let number = value.map(number);
    let unit = number.map_or("", |(_, unit)| unit);
    report::Figure { name: name.to_owned(), value: number.map(|(value, _)| value), unit: unit.to_owned() }
}

fn verdict(entry: &report::Scenario, bars: &[Judged]) -> Verdict {
    if !entry.violations.is_empty() || bars.iter().any(|bar| bar.holds == Some(false)) {
        Verdict::Fail
    } else if !bars.is_empty() && bars.iter().all(|bar| bar.holds == Some(true)) {
        Verdict::Pass
    } else if bars.is_empty() {
        Verdict::Report
    } else {
        Verdict::Skipped
    }
}
