//! What a run measured, by the names of scenario files, and whether its bars hold.
//!
//! A figure that was not measured, or that one link cannot have (benefit, paths), is `None`. Several runs are taken
//! together: values of one kind are pooled, single values give their median, `gap` its percentile over the runs. What
//! several links do is held against what each does alone with the same seed ([`Alone`]).

use tq_linkmodel::{Direction, Rate};
use tq_scenario::{Bar, Dimension, Figure, Metric, Percentile, Scenario, Target, Value, Window};
use tq_time::{Duration, Instant};

use super::compare::Alone;
use super::outcome::{Flow, Lane, Outcome};
use super::{main_direction, stream_share};
use crate::stats;

/// A bar beside what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The bar as written.
    pub text: String,
    /// What was measured; `None` if nothing was.
    pub measured: Option<Value>,
    /// Whether it holds; `None` as before.
    pub holds: Option<bool>,
}

/// From when to when an outcome is measured.
pub fn window(scenario: &Scenario, outcome: &Outcome) -> (Instant, Instant) {
    match scenario.measure.window {
        Window::Warm { from, length } => {
            (Instant::ZERO + from, outcome.end.min(Instant::ZERO + from + length))
        }
        Window::Cold => (Instant::ZERO, outcome.completion().unwrap_or(outcome.end)),
    }
}

/// Own payload bytes per second in the window; of one traffic if `target` names one.
pub fn goodput(scenario: &Scenario, outcome: &Outcome, target: Option<Target>) -> f64 {
    let (from, to) = window(scenario, outcome);
    let seconds = to.saturating_since(from).as_secs_f64();
    let bytes = |flow: &Flow| match scenario.measure.window {
        // to the last byte, whatever the grain of the bins
        Window::Cold if flow.done.is_some() => flow.up.bytes + flow.down.bytes,
        _ => flow.up.between(from, to) + flow.down.between(from, to),
    };
    let sum: u64 = flows(outcome, target).map(bytes).sum();
    if seconds > 0.0 { sum as f64 / seconds } else { 0.0 }
}

/// The largest part of the first link's capacity in the window that could have been payload, in bytes per second; `None`
/// without a limit.
pub fn capacity(scenario: &Scenario, outcome: &Outcome) -> Option<f64> {
    let (from, to) = window(scenario, outcome);
    let index = outcome.lanes.first()?.link;
    let link = &scenario.links[index];
    let length = to.saturating_since(from);
    let since = |at: Instant| at.saturating_since(Instant::ZERO);
    let flows: Vec<&Flow> = outcome.own().collect();
    let mut sum = 0.0;
    for direction in Direction::BOTH {
        let used = flows.iter().any(|flow| flow.way(direction).bytes > 0);
        if !used && direction != main_direction(scenario) {
            continue;
        }
        let way = link.way(direction);
        let own = scenario.usable(index, direction, outcome.seed, since(from), since(to));
        let shared = way.bottleneck.and_then(|id| {
            let configs = scenario.bottleneck_configs();
            let config = configs.into_iter().find(|(known, _)| *known == id)?.1;
            match config.rate {
                Rate::Fixed(rate) => Some((rate as f64 * length.as_secs_f64()) as u64),
                _ => None,
            }
        });
        let bytes = own.into_iter().chain(shared).min()?;
        let most = scenario.hosts.server.max_datagram.unwrap_or(1452).min(1452) as u16;
        let fits = way
            .mtu
            .map_or(most, |mtu| most.min(u16::try_from(mtu.bytes.saturating_sub(28)).unwrap_or(u16::MAX)));
        sum += bytes as f64 * stream_share(fits);
    }
    let seconds = length.as_secs_f64();
    (seconds > 0.0).then(|| sum / seconds)
}

/// Waiting times in the queues of all links (or the one named) in the window, in the direction of the payload.
pub fn waiting(scenario: &Scenario, outcome: &Outcome, target: Option<Target>) -> Vec<Duration> {
    let (from, to) = window(scenario, outcome);
    let way = usize::from(main_direction(scenario) == Direction::Down);
    let samples = lanes(outcome, target).flat_map(|lane| &lane.samples);
    let within = samples.filter(|sample| sample.at >= from && sample.at <= to);
    within.map(|sample| sample.waiting[way]).collect()
}

/// Differences in one-way delay, queues included, between the slowest and the fastest link in the window.
fn spread(scenario: &Scenario, outcome: &Outcome) -> Vec<Duration> {
    let (from, to) = window(scenario, outcome);
    let direction = main_direction(scenario);
    let way = usize::from(direction == Direction::Down);
    let count = outcome.lanes.iter().map(|lane| lane.samples.len()).min().unwrap_or(0);
    let at = |ix: usize| {
        let delays = outcome
            .lanes
            .iter()
            .map(move |lane| scenario.links[lane.link].way(direction).delay + lane.samples[ix].waiting[way]);
        let (low, high) = delays
            .fold((Duration::MAX, Duration::ZERO), |(low, high), delay| (low.min(delay), high.max(delay)));
        high.saturating_sub(low)
    };
    let within = |ix: &usize| {
        let moment = outcome.lanes[0].samples[*ix].at;
        moment >= from && moment <= to
    };
    (0..count).filter(within).map(at).collect()
}

/// Packets that links (or the one named) dropped per packet offered, whatever the reason.
pub fn loss(outcome: &Outcome, target: Option<Target>) -> f64 {
    let (offered, dropped) = lanes(outcome, target)
        .flat_map(|lane| &lane.counters)
        .fold((0, 0), |sum, counters| (sum.0 + counters.offered, sum.1 + counters.dropped_total()));
    dropped as f64 / (offered as f64).max(1.0)
}

/// Payload that went again on another path though it was not lost, per payload that came out.
pub fn twice(outcome: &Outcome) -> f64 {
    let payload: u64 = outcome.own().map(|flow| flow.up.bytes + flow.down.bytes).sum();
    outcome.paths.twice as f64 / (payload as f64).max(1.0)
}

/// The links played, or the one named.
fn lanes(outcome: &Outcome, target: Option<Target>) -> impl Iterator<Item = &Lane> {
    outcome.lanes.iter().filter(move |lane| match target {
        Some(Target::Link(index)) => lane.link == index,
        Some(Target::Traffic(_)) | None => true,
    })
}

fn flows(outcome: &Outcome, target: Option<Target>) -> impl Iterator<Item = &Flow> {
    outcome.flows.iter().filter(move |flow| match target {
        Some(Target::Traffic(index)) => flow.traffic == index,
        Some(Target::Link(_)) | None => !flow.competing,
    })
}

fn percentile(mut times: Vec<Duration>, rank: Option<Percentile>) -> Option<Duration> {
    times.sort_unstable();
    let tenths = rank.map_or(500, |Percentile(tenths)| usize::from(tenths));
    let last = times.len().checked_sub(1)?;
    times.get((last * tenths).div_ceil(1000)).copied()
}

/// Before the first outage and after the last, what belongs to the gap that outages make.
const BEFORE: Duration = Duration::from_millis(200);
const AFTER: Duration = Duration::from_secs(2);

/// From when to when gaps are looked for: around the outages if that is what a cold run over several links is about.
fn gap_window(scenario: &Scenario, outcome: &Outcome) -> (Instant, Instant, bool) {
    let (from, to) = window(scenario, outcome);
    let cold = matches!(scenario.measure.window, Window::Cold);
    let changes = scenario.changes_with(outcome.seed);
    let mut states = changes.iter().filter(|timed| matches!(timed.change, tq_linkmodel::Change::State(_)));
    match states.next() {
        Some(first) if cold && outcome.is_bond() => {
            let last = states.next_back().map_or(first.at, |last| last.at);
            (
                Instant::from_nanos(first.at.as_nanos().saturating_sub(BEFORE.as_nanos() as u64)),
                to.min(last + AFTER),
                false,
            )
        }
        _ => (from, to, cold),
    }
}

fn gap(scenario: &Scenario, outcome: &Outcome, target: Option<Target>) -> Option<Duration> {
    let (from, to, cold) = gap_window(scenario, outcome);
    let each = flows(outcome, target).flat_map(|flow| [&flow.up, &flow.down]).filter(|way| way.bytes > 0);
    each.map(|way| {
        // cold, the way to the first byte is the handshake's
        let from = way.first.filter(|_| cold).map_or(from, |first| first.max(from));
        way.longest_gap(from, way.ended.map_or(to, |ended| ended.min(to)))
    })
    .max()
}

/// From the start, or from the last end of an outage, to the next byte.
fn first_byte(scenario: &Scenario, outcome: &Outcome, target: Option<Target>) -> Option<Duration> {
    let state = |timed: &tq_scenario::Timed| match timed.change {
        tq_linkmodel::Change::State(state) if outcome.lane(timed.link).is_some() => Some((timed.at, state)),
        _ => None,
    };
    let states: Vec<_> = scenario.changes_with(outcome.seed).iter().filter_map(state).collect();
    let healed = states.iter().rev().find(|(_, state)| *state == tq_linkmodel::State::Up).map(|(at, _)| *at);
    let ways = || flows(outcome, target).flat_map(|flow| [&flow.up, &flow.down]);
    let asked = Instant::ZERO
        + match target {
            Some(Target::Traffic(at)) => scenario.traffic[at].start,
            _ => Duration::ZERO,
        };
    match healed {
        Some(at) => ways().filter_map(|way| way.next_after(at)).min().map(|next| next.saturating_since(at)),
        None => ways().filter_map(|way| way.first).min().map(|first| first.saturating_since(asked)),
    }
}

fn fairness(scenario: &Scenario, outcome: &Outcome) -> Option<f64> {
    let (from, to) = window(scenario, outcome);
    let moved = |flow: &Flow| (flow.up.between(from, to) + flow.down.between(from, to)) as f64;
    let mut shares: Vec<f64> = outcome.flows.iter().filter(|flow| flow.competing).map(moved).collect();
    shares.push(outcome.own().map(moved).sum());
    stats::jain(&shares).filter(|_| shares.len() > 1)
}

fn ratio(value: f64) -> Value {
    Value::Ratio((value * 1e6).round() as i64)
}

/// One figure of one run; latencies are the pool's business.
fn single(
    scenario: &Scenario,
    outcome: &Outcome,
    metric: Metric,
    target: Option<Target>,
    alone: &Alone,
) -> Option<f64> {
    let bond = outcome.is_bond();
    let seconds = |time: Duration| time.as_secs_f64();
    let gain = || alone.gain(scenario, outcome).filter(|_| bond);
    let main = main_direction(scenario);
    match metric {
        Metric::Use if bond => gain().map(|gain| gain.efficiency),
        Metric::Use => {
            let capacity = capacity(scenario, outcome)?;
            Some(goodput(scenario, outcome, target) / capacity).filter(|used| used.is_finite())
        }
        Metric::Gain => gain().map(|gain| gain.ratio_to_best),
        Metric::Benefit => gain().and_then(|gain| gain.benefit),
        Metric::Goodput => Some(goodput(scenario, outcome, target)),
        Metric::Completion => outcome.completion().map(|at| seconds(at.saturating_since(Instant::ZERO))),
        Metric::FirstByte => first_byte(scenario, outcome, target).map(seconds),
        Metric::Gap => gap(scenario, outcome, target).map(seconds),
        Metric::Loss if matches!(target, Some(Target::Traffic(_))) => {
            delivered(outcome, target).map(|delivered| 1.0 - delivered)
        }
        Metric::Loss => Some(loss(outcome, target)),
        Metric::Delivered => delivered(outcome, target),
        Metric::Fairness => fairness(scenario, outcome),
        Metric::Handshakes => Some(outcome.handshakes as f64),
        Metric::Completed => Some(f64::from(u8::from(outcome.completion().is_some()))),
        Metric::Bytes => {
            let counters = lanes(outcome, target).flat_map(|lane| &lane.counters);
            Some(counters.map(|counters| counters.delivered_bytes).sum::<u64>() as f64)
        }
        Metric::Share => {
            let sum = |target| lanes(outcome, target).map(|lane| lane.delivered(main)).sum::<u64>() as f64;
            Some(sum(target) / sum(None)).filter(|share| share.is_finite())
        }
        Metric::Paths => bond.then_some(outcome.paths.open as f64),
        Metric::Abandons => bond.then_some(outcome.paths.abandons as f64),
        Metric::Outs => bond.then_some(outcome.paths.outs as f64),
        Metric::Suspects => bond.then_some(outcome.paths.false_suspects as f64),
        Metric::Grouped => outcome.paths.grouped.first().map(|(at, ..)| at.as_nanos() as f64 / 1e9),
        Metric::Groups => bond.then_some(outcome.paths.grouped.len() as f64),
        Metric::Duplicates => bond.then(|| twice(outcome)),
        Metric::Latency | Metric::QueueDelay | Metric::Spread => None,
    }
}

/// Messages that came out per message handed in.
fn delivered(outcome: &Outcome, target: Option<Target>) -> Option<f64> {
    let sum =
        flows(outcome, target).fold((0, 0), |sum, flow| (sum.0 + flow.messages.0, sum.1 + flow.messages.1));
    (sum.0 > 0).then(|| sum.1 as f64 / sum.0 as f64)
}

/// A figure over all runs of one link, or of all together; `None` if nothing was measured.
pub fn value(
    scenario: &Scenario,
    outcomes: &[Outcome],
    metric: Metric,
    rank: Option<Percentile>,
    target: Option<Target>,
    alone: &Alone,
) -> Option<Value> {
    let pooled = |times: Vec<Duration>| percentile(times, rank).map(Value::Time);
    match metric {
        Metric::Latency => pooled(
            outcomes
                .iter()
                .flat_map(|outcome| flows(outcome, target))
                .flat_map(|flow| flow.latencies.clone())
                .collect(),
        ),
        Metric::QueueDelay => {
            pooled(outcomes.iter().flat_map(|outcome| waiting(scenario, outcome, target)).collect())
        }
        Metric::Spread => pooled(outcomes.iter().flat_map(|outcome| spread(scenario, outcome)).collect()),
        _ => {
            let values: Vec<Option<f64>> =
                outcomes.iter().map(|outcome| single(scenario, outcome, metric, target, alone)).collect();
            let found: Vec<f64> = values.iter().copied().flatten().collect();
            let of_all = match (metric, rank) {
                (Metric::Completed, _) => found.iter().sum::<f64>() / (found.len() as f64).max(1.0),
                // a run that did not finish took for ever
                (Metric::Completion, _) if found.len() < values.len() => return None,
                (_, Some(Percentile(tenths))) => stats::quantile(&found, f64::from(tenths) / 1000.0)?,
                _ => stats::median(&found)?,
            };
            Some(match metric.dimension() {
                Dimension::Ratio => ratio(of_all),
                Dimension::Time => Value::Time(Duration::from_secs_f64(of_all.max(0.0))),
                Dimension::Rate => Value::Rate(of_all as u64),
                Dimension::Bytes => Value::Bytes(of_all as u64),
                Dimension::Count => Value::Count(of_all as u64),
            })
        }
    }
}

/// The bars, each with what was measured. A transfer that did not complete misses its bar.
pub fn judge(scenario: &Scenario, outcomes: &[Outcome], alone: &Alone) -> Vec<Judged> {
    let judge = |bar: &Bar| {
        let measured = value(scenario, outcomes, bar.metric, bar.percentile, bar.target, alone);
        let unfinished = bar.metric == Metric::Completion && !outcomes.is_empty();
        let holds = measured.map(|measured| bar.holds(measured)).or(unfinished.then_some(false));
        Judged { text: bar.text.clone(), measured, holds }
    };
    scenario.bars.iter().map(judge).collect()
}

/// What the scenario asks to be reported, in words and values.
pub fn asked(scenario: &Scenario, outcomes: &[Outcome], alone: &Alone) -> Vec<(String, Option<Value>)> {
    let mut rows = Vec::new();
    let mut row = |metric: Metric, rank: Option<u16>| {
        let name = match rank {
            Some(1000) => format!("{}.max", metric.name()),
            Some(tenths) => format!("{}.p{}", metric.name(), tenths / 10),
            None => metric.name().to_owned(),
        };
        rows.push((name, value(scenario, outcomes, metric, rank.map(Percentile), None, alone)));
    };
    for figure in &scenario.measure.figures {
        match figure {
            Figure::Goodput => {
                row(Metric::Goodput, None);
                if scenario.links.len() == 1 {
                    row(Metric::Use, None);
                }
            }
            Figure::Completion => row(Metric::Completion, None),
            Figure::Latency => [500, 990, 1000].into_iter().for_each(|rank| row(Metric::Latency, Some(rank))),
            Figure::Gap => row(Metric::Gap, Some(1000)),
            Figure::Loss => row(Metric::Loss, None),
            Figure::QueueDelay => {
                [500, 990, 1000].into_iter().for_each(|rank| row(Metric::QueueDelay, Some(rank)));
            }
            Figure::Fairness => row(Metric::Fairness, None),
        }
    }
    rows
}
