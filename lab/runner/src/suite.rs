//! Scenarios of public test suites with the bars they publish.
//!
//! The file holds what the suites say, in their words; what can be run and compared is said by [`table`], by hand and
//! by id. Decides which scenarios a single path can run; a bar that is no time stays words.

use anyhow::{Context, Result};
use serde::Deserialize;

mod table;
#[cfg(test)]
mod tests;

const DATA: &str = include_str!("../../../testdata/scenarios/suites.json");

/// A scenario of a public suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Like `pq-sat-basic`.
    pub id: String,
    /// Which suite.
    pub source: String,
    /// The links, as the suite gives them.
    pub links: Vec<SuiteLink>,
    /// The load in the suite's words.
    pub load_text: String,
    /// The bar in the suite's words.
    pub bar_text: String,
    /// The load as something to run; `None` if it is no transfer.
    pub load: Option<Load>,
    /// Bars that are completion times. Empty for most.
    pub bars: Vec<Bar>,
    /// Whether it can be run.
    pub runs: Runs,
    /// What to know before comparing.
    pub note: &'static str,
}

/// One link of a [`Case`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteLink {
    /// Nominal Mbit/s down; `None` if not limited. See [`Case::down`] for the real rate.
    pub down: Option<f64>,
    /// Nominal Mbit/s up, if not as down.
    pub up: Option<f64>,
    /// One-way delay down, least and most, in ms.
    pub down_ms: [f64; 2],
    /// One-way delay up, if not as down.
    pub up_ms: Option<[f64; 2]>,
    /// The queue of each direction; `None` if the suite does not say.
    pub queue: Option<Queue>,
    /// Random loss in percent; several values are variants.
    #[serde(default)]
    pub loss_pct: Vec<f64>,
    /// Jitter in ms.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Longest IP packet.
    pub mtu: Option<u32>,
    /// What numbers do not say.
    #[serde(default)]
    pub note: String,
}

/// What a queue holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Milliseconds at the link's rate.
    Ms(f64),
    /// Products of bandwidth and round trip.
    Bdp(f64),
    /// Packets.
    Packets(u32),
    /// Bytes.
    Bytes(u64),
}

/// A transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Streams down, each of these sizes.
    Streams {
        /// Bytes of each stream.
        sizes: &'static [u64],
        /// At once or one after the other.
        order: StreamOrder,
    },
    /// So many streams of one size, all at once.
    Many {
        /// How many.
        count: u32,
        /// Bytes of each.
        size: u64,
    },
    /// As much as goes within a time.
    Seconds(u32),
}

impl Load {
    /// Payload bytes, if they are known beforehand.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Streams { sizes, .. } => Some(sizes.iter().sum()),
            Self::Many { count, size } => Some(u64::from(count) * size),
            Self::Seconds(_) => None,
        }
    }
}

/// How streams follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOrder {
    /// All at the start.
    Parallel,
    /// Each after the one before it.
    Serial,
}

/// A completion time to stay within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Seconds.
    pub seconds: f64,
    /// The controller it was set for, if for one.
    pub cc: Option<&'static str>,
    /// What it is.
    pub note: &'static str,
}

/// Whether a scenario can be run in the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On one path.
    SinglePath,
    /// On several paths at once.
    Together,
    /// Is about something other than a transfer over a link; the reason.
    Elsewhere(&'static str),
}

impl Case {
    /// Whether there is a time to compare with.
    pub fn has_completion_bar(&self) -> bool {
        !self.bars.is_empty()
    }

    /// The bar for a controller: that of its name, else the first set for none, else none.
    pub fn bar_for(&self, cc: &str) -> Option<Bar> {
        let of = |wanted: Option<&str>| self.bars.iter().copied().find(|bar| bar.cc == wanted);
        of(Some(cc)).or_else(|| of(None))
    }

    /// Rate of a link towards the user in bytes per second. picoquic's links are slower than they are called: its
    /// simulator takes 2^20 bits for a Mbit, 9.54 for 10, except in its satellite tests, which set the time per byte.
    pub fn down(&self, link: &SuiteLink) -> Option<f64> {
        link.down.map(|nominal| nominal * self.bytes_per_mbit())
    }

    /// The same away from the user.
    pub fn up(&self, link: &SuiteLink) -> Option<f64> {
        link.up.or(link.down).map(|nominal| nominal * self.bytes_per_mbit())
    }

    fn bytes_per_mbit(&self) -> f64 {
        let binary = self.source.starts_with("picoquic") && !self.source.contains("satellite");
        if binary { 125_000.0 / 1.048_576 } else { 125_000.0 }
    }
}

#[derive(Deserialize)]
struct Data {
    scenarios: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    source: String,
    load: String,
    bar: String,
    links: Vec<SuiteLink>,
}

/// All scenarios, in the order of the file.
///
/// # Errors
/// If the data inside the program is damaged.
pub fn all() -> Result<Vec<Case>> {
    let data: Data = serde_json::from_str(DATA).context("testdata/scenarios/suites.json is damaged")?;
    Ok(data.scenarios.into_iter().map(case).collect())
}

fn case(row: Row) -> Case {
    let entry = table::entry(&row.id);
    let runs = match table::elsewhere(&row.id) {
        Some(reason) => Runs::Elsewhere(reason),
        None if row.links.len() > 1 => Runs::Together,
        None => Runs::SinglePath,
    };
    Case {
        id: row.id,
        source: row.source,
        links: row.links,
        load_text: row.load,
        bar_text: row.bar,
        load: entry.load,
        bars: entry.bars.to_vec(),
        runs,
        note: entry.note,
    }
}
