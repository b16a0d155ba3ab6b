//! Whether two CUBIC connections share a link: how long to watch, what they moved, and what theory makes of it.
//!
//! Two flows over a queue that drops what does not fit are seldom even over a few cycles of CUBIC, and a cycle takes
//! seconds. So times are counted in cycles ([`cycle`]), and beside each ratio stands what an ideal pair spreads over as
//! many cycles ([`ideal`]). Decides no bar.

use anyhow::Result;
use tq_linkmodel::Queue;
use tq_scenario::{Cc, Flow, Kind, Scenario, Traffic, Window};
use tq_time::{Duration, Instant};

use crate::run::{self, Plan};

mod ideal;
#[cfg(test)]
mod tests;

pub use ideal::{Ideal, ideal};

/// Bytes of a datagram.
const PACKET: f64 = 1452.0;
/// Least time that is watched, in seconds.
const LEAST: f64 = 5.0;

/// A link as two flows that share it see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pipe {
    /// Packets per second.
    pub rate: f64,
    /// Round trip without a queue, in seconds.
    pub rtt: f64,
    /// Packets that its queue holds.
    pub queue: f64,
}

impl Pipe {
    /// The first link of a scenario, downwards; `None` without a rate.
    pub fn of(scenario: &Scenario) -> Option<Self> {
        let link = scenario.links.first()?;
        let rate = link.down.rate? as f64 / PACKET;
        let queue = match scenario.link_config(0, scenario.seed).down.queue {
            Queue::Bytes(bytes) => bytes as f64 / PACKET,
            Queue::Packets(packets) => f64::from(packets),
            Queue::Time(time) => time.as_secs_f64() * rate,
        };
        Some(Self { rate, rtt: link.rtt().as_secs_f64(), queue })
    }

    /// Packets in flight without a queue.
    pub fn product(&self) -> f64 {
        self.rate * self.rtt
    }

    /// Round trip with a full queue.
    pub fn full(&self) -> f64 {
        self.rtt + self.queue / self.rate
    }
}

/// Seconds that one of two equal flows takes from a loss back to the window it had: by the cubic or as Reno, whichever is
/// sooner (RFC 9438 §4.2, §4.3).
pub fn cycle(pipe: &Pipe) -> f64 {
    let window = (pipe.product() + pipe.queue) / 2.0;
    let cubic = (window * 0.3 / 0.4).cbrt();
    let reno = window * 0.3 * pipe.full() / (9.0 / 17.0);
    cubic.min(reno).max(2.0 * pipe.full())
}

/// When two flows are watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// How long after the first the second begins, in seconds.
    pub stagger: f64,
    /// Cycles before anything counts.
    pub settle: f64,
    /// Cycles that count.
    pub cycles: f64,
}

/// What the second of two flows moved for each byte of the first.
///
/// # Errors
/// If the scenario cannot run, or a byte was wrong.
pub fn ratio(scenario: &Scenario, watch: &Watch, seed: u64) -> Result<f64> {
    let cycle = Pipe::of(scenario).map_or(1.0, |pipe| cycle(&pipe));
    let seconds = Duration::from_secs_f64;
    let (from, length) =
        (seconds(watch.stagger + watch.settle * cycle), seconds((watch.cycles * cycle).max(LEAST)));
    let mut scenario = scenario.clone();
    scenario.make_download(from + length);
    scenario.measure.window = Window::Warm { from, length };
    scenario.seed = seed;
    scenario.traffic.push(Traffic {
        name: "second".into(),
        kind: Kind::Competing { link: 0, cc: Cc::Cubic, bytes: None, connections: 1 },
        direction: Flow::Down,
        start: seconds(watch.stagger),
        stop: None,
        over: vec![0],
        class: None,
    });
    let outcome = run::run(Plan::new(&scenario, 0, seed).with_cc(Some(Cc::Cubic)))?;
    anyhow::ensure!(outcome.violations.is_empty(), "{}: {}", scenario.name, outcome.violations.join("; "));
    anyhow::ensure!(outcome.errors.is_empty(), "{}: {}", scenario.name, outcome.errors.join("; "));
    let (from, to) = (Instant::ZERO + from, outcome.end);
    let moved: Vec<f64> = outcome.flows.iter().map(|flow| flow.down.between(from, to) as f64).collect();
    Ok(moved[1] / moved[0].max(1.0))
}

/// The mean of ratios: that of their logarithms, so that 1/2 and 2 are even.
pub fn mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.max(1e-6).ln()).sum::<f64>() / ratios.len().max(1) as f64).exp()
}
