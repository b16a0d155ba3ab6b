//! How long delivery pauses when one of two links stops carrying: two links of 50 Mbit/s with round trips of 20 and 40 ms
//! under a download that fills both. Decides what is cut, when it is measured and what bound a pause is held against.

use anyhow::{Context, Result};
use tq_quic::sched::Kind as Scheduler;
use tq_scenario::Scenario;
use tq_sim::qlog::Qlog;
use tq_time::{Duration, Instant};

use crate::run::{self, Outcome, Plan};

pub mod heal;
#[cfg(test)]
mod tests;

/// What happens to the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing: what the pauses are like anyhow.
    Nothing,
    /// Nothing passes, and nobody is told.
    Both,
    /// What carries data does not pass, its acknowledgements would.
    Data,
    /// Acknowledgements do not pass, data does.
    Acks,
    /// Nothing passes, and the client's interface says so; the server, which sends, has to be told.
    Carrier,
    /// As [`Cut::Both`], for so long.
    Blip(Duration),
}

/// One thing to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is cut.
    pub cut: Cut,
    /// Of which link: 0 is that of 20 ms, on which the acknowledgements of both may come, 1 that of 40 ms.
    pub link: usize,
    /// The links' queues, as scenario files have it.
    pub queue: &'static str,
    /// Rate of the link that is left, Mbit/s; the other has 50.
    pub left: u64,
}

/// What a run has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The longest time without in-order progress, from 0.2 s before the cut to 1 s after it or its end.
    pub gap: Duration,
    /// What it is held against, with the queues as they were at the cut: see [`bound`].
    pub bound: Duration,
    /// Paths that were given up.
    pub abandons: u64,
    /// Whether every byte was in its place.
    pub sound: bool,
}

/// Round trips of the two links.
const RTT: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(40)];
/// Rate of both links unless a case says otherwise, Mbit/s.
const RATE: u64 = 50;
/// When a cut comes at the earliest; it comes within 2 s, by seed.
const AT: Duration = Duration::from_secs(2);
const BEFORE: Duration = Duration::from_millis(200);
const AFTER: Duration = Duration::from_secs(1);
/// What p95 and the longest of the pauses may be after a silent cut.
pub const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(150)];

impl Case {
    /// Of two links of 50 Mbit/s.
    pub const fn new(cut: Cut, link: usize, queue: &'static str) -> Self {
        Self { cut, link, queue, left: RATE }
    }

    /// All there are, with this queue.
    pub fn all(queue: &'static str) -> Vec<Self> {
        let mut cases = vec![Self::new(Cut::Nothing, 0, queue)];
        for cut in [Cut::Both, Cut::Data, Cut::Acks, Cut::Carrier] {
            cases.extend([0, 1].map(|link| Self::new(cut, link, queue)));
        }
        let blips = [50, 100, 300, 1000].map(Duration::from_millis);
        cases.extend(blips.map(|lasts| Self::new(Cut::Blip(lasts), 0, queue)));
        cases.extend([0, 1].map(|link| Self { left: 10, ..Self::new(Cut::Both, link, queue) }));
        cases
    }

    /// In words.
    pub fn name(&self) -> String {
        let link = RTT[self.link % 2].as_millis();
        let name = match self.cut {
            Cut::Nothing => "nothing".to_owned(),
            Cut::Both => format!("both ways of {link} ms"),
            Cut::Data => format!("data on {link} ms"),
            Cut::Acks => format!("acks on {link} ms"),
            Cut::Carrier => format!("carrier of {link} ms"),
            Cut::Blip(lasts) => format!("{} ms on {link} ms", lasts.as_millis()),
        };
        if self.left == RATE { name } else { format!("{name}, {} left", self.left) }
    }

    /// Whether pauses are held to [`PAUSES`] as well.
    pub const fn is_silent(&self) -> bool {
        !matches!(self.cut, Cut::Nothing | Cut::Carrier)
    }

    /// How long after the cut pauses count.
    fn after(&self) -> Duration {
        match self.cut {
            Cut::Blip(lasts) => AFTER + lasts,
            _ => AFTER,
        }
    }

    /// When it happens, by seed: the phase of everything that repeats must not decide.
    fn at(seed: u64) -> Duration {
        AT + Duration::from_micros(tq_sim::entropy::derive(seed, 9) % 2_000_000)
    }

    /// What happens in which directions.
    const fn events(&self) -> &'static [(&'static str, &'static str)] {
        match self.cut {
            Cut::Nothing => &[],
            Cut::Both | Cut::Blip(_) => &[("silent", "both")],
            Cut::Data => &[("silent", "down")],
            Cut::Acks => &[("silent", "up")],
            // each end sees the carrier of the direction in which it sends
            Cut::Carrier => &[("down", "up"), ("silent", "down")],
        }
    }

    fn scenario(&self, seed: u64) -> Result<Scenario> {
        let lasts = match self.cut {
            Cut::Blip(lasts) => format!("for = \"{}ms\"\n", lasts.as_millis()),
            _ => String::new(),
        };
        let names = ["a", "b"];
        let end = (Self::at(seed) + self.after() + BEFORE).as_millis();
        let mut text = format!("name = \"failover\"\ntime = \"{end}ms\"\n");
        for (link, name) in names.into_iter().enumerate() {
            let (rtt, queue) = (RTT[link].as_millis(), self.queue);
            let rate = if link == self.link { RATE } else { self.left };
            text += &format!("[[link]]\nname = \"{name}\"\nrate = \"{rate}Mbit/s\"\n");
            text += &format!("rtt = \"{rtt}ms\"\nqueue = \"{queue}\"\n");
        }
        for (what, direction) in self.events() {
            let (link, at) = (names[self.link % 2], Self::at(seed).as_micros());
            text += &format!("[[event]]\nat = \"{at}us\"\nwhat = \"{what}\"\nlink = \"{link}\"\n");
            text += &format!("direction = \"{direction}\"\n{lasts}");
        }
        text += "[[traffic]]\nkind = \"bulk\"\nbytes = \"endless\"\n";
        tq_scenario::parse("failover.toml", &text).context("the scenario of a cut")
    }

    /// Runs it with a seed.
    ///
    /// # Errors
    /// None that a case can cause.
    pub fn run(&self, seed: u64, scheduler: Option<Scheduler>, qlog: Option<Qlog>) -> Result<Found> {
        let scenario = self.scenario(seed)?;
        let plan = Plan::together(&scenario, seed).with_scheduler(scheduler);
        let outcome = run::run(Plan { qlog, ..plan })?;
        let at = Instant::ZERO + Self::at(seed);
        let (from, to) = (at - BEFORE, at + self.after());
        let gaps = outcome.own().map(|flow| flow.down.longest_gap(from, to));
        let gap = gaps.max().context("a download")?;
        let bound = bound(&outcome, self, at);
        Ok(Found { gap, bound, abandons: outcome.paths.abandons, sound: outcome.is_sound() })
    }
}

/// What a pause is held against: spread + 50 ms + one-way delay of the link that is left + 25 ms, queues included as they
/// stood at the cut; with an interface's word, one round trip of the link that is left.
fn bound(outcome: &Outcome, case: &Case, at: Instant) -> Duration {
    let down = usize::from(true);
    let delay = |link: usize| {
        let samples = outcome.lanes.get(link).map(|lane| &lane.samples[..]).unwrap_or_default();
        let last = samples.iter().take_while(|sample| sample.at <= at).last();
        RTT[link] / 2 + last.map(|sample| sample.waiting[down]).unwrap_or_default()
    };
    let left = 1 - case.link % 2;
    match case.cut {
        Cut::Carrier => delay(left) + RTT[left] / 2,
        _ => {
            delay(0).abs_diff(delay(1)) + Duration::from_millis(50) + delay(left) + Duration::from_millis(25)
        }
    }
}
