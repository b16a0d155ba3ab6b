//! How soon a link that was silent for a while carries again. Decides when a link counts as carrying: more than a few
//! probes' bytes, then four fifths of what it carried before.

use anyhow::{Context, Result};
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::Scenario;
use tq_sim::qlog::Qlog;
use tq_time::{Duration, Instant};

use super::{AT, RATE, RTT};
use crate::run::{self, Lane, Plan, Sample};

/// An outage to come back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healing {
    /// How long nothing passes.
    pub lasts: Duration,
    /// On which link: 0 is that of 20 ms, 1 that of 40 ms.
    pub link: usize,
    /// The links' queues, as scenario files have it.
    pub queue: &'static str,
}

/// What a run has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healed {
    /// From the end of the outage until the link has brought data, to 10 ms; `None` if it did not.
    pub first: Option<Duration>,
    /// Until it brought [`SHARE`] of what it did before the outage, in 100 ms; `None` if it did not.
    pub share: Option<Duration>,
    /// Paths that were given up.
    pub abandons: u64,
    /// Whether every byte was in its place.
    pub sound: bool,
}

/// More than this is data, not probes.
const DATA: u64 = 4_500;
/// What it has to carry of what it did, in hundredths.
pub const SHARE: u64 = 80;
/// Over which time that is counted.
const OVER: Duration = Duration::from_millis(100);
/// How long it is watched before and after.
const BEFORE: Duration = Duration::from_millis(1000);
const AFTER: Duration = Duration::from_secs(4);

impl Healing {
    /// All there are, with this queue.
    pub fn all(queue: &'static str) -> Vec<Self> {
        let lasts = [100, 1_000, 10_000, 60_000].map(Duration::from_millis);
        let both = |lasts| [0, 1].map(|link| Self { lasts, link, queue });
        lasts.into_iter().flat_map(both).collect()
    }

    /// In words.
    pub fn name(&self) -> String {
        format!("heals after {} s, {} ms", self.lasts.as_secs_f64(), RTT[self.link % 2].as_millis())
    }

    /// What the first byte and the share are held against: 500 ms + 1.5 RTT, 1 s + 10 RTT.
    pub fn bounds(&self) -> [Duration; 2] {
        let rtt = RTT[self.link % 2];
        [Duration::from_millis(500) + rtt * 3 / 2, Duration::from_secs(1) + rtt * 10]
    }

    fn at(seed: u64) -> Duration {
        AT + Duration::from_micros(tq_sim::entropy::derive(seed, 9) % 500_000)
    }

    /// How long it is by seed: up to the rhythm of probes longer than in its name, if it is longer than that anyhow.
    fn lasts(&self, seed: u64) -> Duration {
        let more = Duration::from_micros(tq_sim::entropy::derive(seed, 10) % 250_000);
        if self.lasts < Duration::from_secs(1) { self.lasts } else { self.lasts + more }
    }

    fn scenario(&self, seed: u64) -> Result<Scenario> {
        let (at, lasts) = (Self::at(seed), self.lasts(seed));
        let end = (at + lasts + AFTER).as_millis();
        let mut text = format!("name = \"healing\"\ntime = \"{end}ms\"\n");
        for (name, rtt) in ["a", "b"].into_iter().zip(RTT) {
            let (rtt, queue) = (rtt.as_millis(), self.queue);
            text += &format!("[[link]]\nname = \"{name}\"\nrate = \"{RATE}Mbit/s\"\n");
            text += &format!("rtt = \"{rtt}ms\"\nqueue = \"{queue}\"\n");
        }
        let (link, at, lasts) = (["a", "b"][self.link % 2], at.as_micros(), lasts.as_micros());
        text += &format!(
            "[[event]]\nat = \"{at}us\"\nwhat = \"silent\"\nlink = \"{link}\"\nfor = \"{lasts}us\"\n"
        );
        text += "[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\n";
        tq_scenario::parse("healing.toml", &text).context("the scenario of an outage")
    }

    /// Runs it with a seed.
    ///
    /// # Errors
    /// None that a case can cause.
    pub fn run(&self, seed: u64, scheduler: Option<Scheduler>, qlog: Option<Qlog>) -> Result<Healed> {
        let scenario = self.scenario(seed)?;
        let plan = Plan::together(&scenario, seed).with_scheduler(scheduler);
        let outcome = run::run(Plan { qlog, ..plan })?;
        let cut = Instant::ZERO + Self::at(seed);
        let lane = outcome.lanes.get(self.link % 2).context("a link")?;
        let back = cut + self.lasts(seed);
        let (first, share) = (first(lane, back), share(lane, cut, back));
        Ok(Healed { first, share, abandons: outcome.paths.abandons, sound: outcome.is_sound() })
    }
}

/// Bytes the link has brought to the client until then.
fn until(lane: &Lane, at: Instant) -> u64 {
    lane.samples.iter().take_while(|sample| sample.at <= at).last().map_or(0, down)
}

fn down(sample: &Sample) -> u64 {
    sample.delivered[1]
}

fn first(lane: &Lane, back: Instant) -> Option<Duration> {
    let before = until(lane, back);
    let found = lane.samples.iter().find(|sample| sample.at > back && down(sample) > before + DATA);
    found.map(|sample| sample.at.saturating_since(back))
}

fn share(lane: &Lane, cut: Instant, back: Instant) -> Option<Duration> {
    let usual = until(lane, cut).saturating_sub(until(lane, cut - BEFORE));
    let enough = usual * SHARE / 100 / (BEFORE.as_millis() / OVER.as_millis()) as u64;
    let samples = lane.samples.iter().filter(|sample| sample.at >= back);
    let mut found =
        samples.filter(|sample| down(sample) >= until(lane, (sample.at - OVER).max(back)) + enough);
    found.next().map(|sample| sample.at.saturating_since(back))
}
