//! One scenario over one of its links, or over all of them together, in the simulator: what is built, what runs on it,
//! what was seen.
//!
//! [`run`] makes a world of a client, links and a server, lets the scenario's traffic and time line happen in it
//! and gives back an [`Outcome`] of plain numbers. A link draws from the scenario's seed and its own name, so that
//! it has the same weather alone as among others. Decides no bar; [`figures`] does. What the simulator has no hands for
//! is told in [`Outcome::left_out`] and not guessed.

use std::io::Write;

use anyhow::{Result, ensure};
use tq_linkmodel::Direction;
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::{Cc, Scenario, Window};
use tq_sim::qlog::Qlog;
use tq_time::{Duration, Instant};

mod build;
pub mod compare;
pub mod figures;
mod host;
mod load;
mod look;
mod outcome;
pub mod tell;

pub use compare::Alone;
pub use host::{algorithm, stream_share};
pub use outcome::{Curve, Flow, Lane, Outcome, PathEnds, Sample};

use build::Net;

/// What to run.
pub struct Plan<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Which of its links carry the traffic; the connection begins on the first.
    pub links: Vec<usize>,
    /// Everything random comes from it.
    pub seed: u64,
    /// Congestion control of both ends in place of the scenario's.
    pub cc: Option<Cc>,
    /// Scheduler of both ends in place of the scenario's.
    pub scheduler: Option<Scheduler>,
    /// Without outages: what a link carries while it works.
    pub calm: bool,
    /// Whether the handshake is raced over all links, or takes place on the first.
    pub race: bool,
    /// Where packets are recorded as they are handed to each link; may be fewer than links.
    pub pcap: Vec<Box<dyn Write>>,
    /// Where the connections' logs go.
    pub qlog: Option<Qlog>,
    /// Whether decisions of schedulers are in them.
    pub decisions: bool,
}

impl<'a> Plan<'a> {
    /// Of a scenario over one of its links with a seed, recording nothing.
    pub fn new(scenario: &'a Scenario, link: usize, seed: u64) -> Self {
        let links = vec![link];
        Self {
            scenario,
            links,
            seed,
            cc: None,
            scheduler: None,
            calm: false,
            race: true,
            pcap: Vec::new(),
            qlog: None,
            decisions: false,
        }
    }

    /// Of a scenario over all its links together.
    pub fn together(scenario: &'a Scenario, seed: u64) -> Self {
        Self { links: (0..scenario.links.len()).collect(), ..Self::new(scenario, 0, seed) }
    }

    /// With this congestion control whatever the scenario says.
    #[must_use]
    pub fn with_cc(self, cc: Option<Cc>) -> Self {
        Self { cc, ..self }
    }

    /// With this scheduler whatever the scenario says.
    #[must_use]
    pub fn with_scheduler(self, scheduler: Option<Scheduler>) -> Self {
        Self { scheduler, ..self }
    }

    /// With the handshake raced over all links, or not.
    #[must_use]
    pub fn raced(self, race: bool) -> Self {
        Self { race, ..self }
    }

    /// Without outages.
    #[must_use]
    pub fn calmed(self) -> Self {
        Self { calm: true, ..self }
    }
}

/// The most samples of queue and window in a run; they are 10 ms apart unless that gives more.
const SAMPLES: u64 = 6_000;
/// The most links together: paths that a connection can have.
const MOST_LINKS: usize = 16;

/// Runs it to the end of its traffic, of its window or of its time, whichever is first.
///
/// # Errors
/// If there is no such link (or more than 16), if the capture cannot begin, or if a program made virtual time stand still.
pub fn run(plan: Plan<'_>) -> Result<Outcome> {
    let scenario = plan.scenario;
    for link in &plan.links {
        ensure!(*link < scenario.links.len(), "{} has no link {link}", scenario.name);
    }
    ensure!((1..=MOST_LINKS).contains(&plan.links.len()), "1 to {MOST_LINKS} links can be played together");
    let until = match scenario.measure.window {
        Window::Cold => scenario.time,
        Window::Warm { from, length } => scenario.time.min(from + length),
    };
    let tick = Duration::from_millis(10).max(until / SAMPLES as u32);
    let until = Instant::ZERO + until;
    let mut net = Net::build(plan)?;
    let mut now = Instant::ZERO;
    let faults = loop {
        net.sample(now);
        if now >= until || net.is_done() {
            break None;
        }
        now = until.min(now + tick);
        if let Err(fault) = net.world.run_until(now) {
            break Some(fault);
        }
    };
    if let Some(fault) = faults {
        anyhow::bail!("{}: {fault}", scenario.name);
    }
    Ok(net.finish())
}

/// The way the scenario's own bytes go: up if all of its traffic does.
pub fn main_direction(scenario: &Scenario) -> Direction {
    let up = |traffic: &tq_scenario::Traffic| traffic.direction == tq_scenario::Flow::Up;
    if scenario.traffic.iter().all(up) { Direction::Up } else { Direction::Down }
}
