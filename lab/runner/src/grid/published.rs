//! The pairs of the Multipath QUIC evaluation (De Coninck and Bonaventure, CoNEXT 2017), and new ones in the
//! ranges of that literature.
//!
//! 253 pairs, drawn there by the WSP algorithm; the low-BDP and the high-BDP set share rates and losses. Each pair
//! was run in both orders with a file of 20 000 kB, three times, CUBIC on one path and OLIA on two.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::space::{Design, fill};
use super::{GridCase, GridLink, Load, mbps, millis, percent_as_ppm, queue_bytes};

/// Where the pairs come from.
pub const SOURCE: &str = "scenario lists of De Coninck and Bonaventure, Multipath QUIC, CoNEXT 2017 \
                          (github.com/qdeconinck/minitopo-experiences)";

const DATA: &str = include_str!("../../../../testdata/scenarios/wsp-conext17.json");

/// One of the four sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Round trips of 0 to 50 ms, queues of 0 to 100 ms.
    LowBdp,
    /// Round trips of 0.2 to 400 ms, queues of 2 to 2000 ms.
    HighBdp,
    /// `LowBdp` with 0 to 2.5 % of random loss.
    LowBdpLoss,
    /// `HighBdp` with 0 to 2.5 % of random loss.
    HighBdpLoss,
}

impl Set {
    /// All four.
    pub const ALL: [Self; 4] = [Self::LowBdp, Self::HighBdp, Self::LowBdpLoss, Self::HighBdpLoss];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowBdp => "wsp-lowbdp",
            Self::HighBdp => "wsp-highbdp",
            Self::LowBdpLoss => "wsp-lowbdp-loss",
            Self::HighBdpLoss => "wsp-highbdp-loss",
        }
    }

    /// The set with this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    const fn is_high(self) -> bool {
        matches!(self, Self::HighBdp | Self::HighBdpLoss)
    }

    const fn is_lossy(self) -> bool {
        matches!(self, Self::LowBdpLoss | Self::HighBdpLoss)
    }
}

/// Which link of a pair comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one listed first.
    AsListed,
    /// The other.
    Swapped,
}

/// How the published queue figure is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queues {
    /// As the paper says: a longest waiting time.
    Published,
    /// As the released script computes it, which takes seconds for milliseconds: packets of 1500 bytes for
    /// (RTT in ms + queue in s) × rate × 1 048 576 / (1500 × 8 × 1000), at least ten. About one BDP.
    AsReleased,
}

#[derive(Deserialize)]
struct Data {
    pairs: Vec<[[f64; 6]; 2]>,
}

/// The 253 pairs of a set, ids like `wsp-lowbdp/017/swapped/bdp`.
///
/// # Errors
/// If the data inside the program is damaged.
pub fn published(set: Set, order: Order, queues: Queues) -> Result<Vec<GridCase>> {
    let data: Data = serde_json::from_str(DATA).context("testdata/scenarios/wsp-conext17.json is damaged")?;
    let case = |(at, pair): (usize, &[[f64; 6]; 2])| {
        let mut links: Vec<_> = pair.iter().map(|row| path(row, set, queues)).collect();
        let mut id = format!("{}/{at:03}", set.name());
        if order == Order::Swapped {
            links.reverse();
            id.push_str("/swapped");
        }
        if queues == Queues::AsReleased {
            id.push_str("/bdp");
        }
        GridCase { id, links, load: Load { bytes: 20_000_000 } }
    };
    Ok(data.pairs.iter().enumerate().map(case).collect())
}

fn path(row: &[f64; 6], set: Set, queues: Queues) -> GridLink {
    let [rate, low_delay, low_queue, high_delay, high_queue, loss] = *row;
    let (delay, queue) = if set.is_high() { (high_delay, high_queue) } else { (low_delay, low_queue) };
    let queue = match queues {
        Queues::Published => queue_bytes(mbps(rate), queue / 1000.0),
        Queues::AsReleased => {
            let bits_per_ms = rate * 1_048_576.0 / 1000.0;
            let packets = (2.0 * delay + queue / 1000.0) * bits_per_ms / (1500.0 * 8.0);
            (packets as u64).max(10) * 1500
        }
    };
    link(rate, delay, queue, if set.is_lossy() { loss } else { 0.0 })
}

fn link(rate: f64, delay_ms: f64, queue: u64, loss_percent: f64) -> GridLink {
    GridLink {
        name: "path",
        rate_up: mbps(rate),
        rate_down: mbps(rate),
        delay_up: millis(delay_ms),
        delay_down: millis(delay_ms),
        queue_up: queue,
        queue_down: queue,
        loss_ppm: percent_as_ppm(loss_percent),
        jitter: super::Duration::ZERO,
    }
}

/// Ranges of the literature, all of them linear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Literature {
    /// Mbit/s.
    pub rate: (f64, f64),
    /// Milliseconds.
    pub rtt: (f64, f64),
    /// Milliseconds at the link's rate.
    pub queue: (f64, f64),
    /// Percent.
    pub loss: (f64, f64),
}

impl Literature {
    /// The ranges of a published set, from Paasch, Khalili and Bonaventure, CoNEXT 2013, as the 2017 lists use them.
    pub const fn of(set: Set) -> Self {
        Self {
            rate: (0.1, 100.0),
            rtt: (0.0, if set.is_high() { 400.0 } else { 50.0 }),
            queue: (0.0, if set.is_high() { 2000.0 } else { 100.0 }),
            loss: (0.0, if set.is_lossy() { 2.5 } else { 0.0 }),
        }
    }
}

/// `count` new pairs in the ranges of `set`, the same for the same seed. Ids like `fill-wsp-lowbdp/7/003`.
///
/// # Errors
/// As [`fill`].
pub fn literature(set: Set, count: usize, seed: u64) -> Result<Vec<GridCase>> {
    let ranges = Literature::of(set);
    let dimensions = if set.is_lossy() { 8 } else { 6 };
    let points = fill(Design { count, dimensions, seed })?;
    let case = |(at, point): (usize, &Vec<f64>)| {
        let links = point.chunks(dimensions / 2).map(|place| {
            let at = |axis: usize, (low, high): (f64, f64)| {
                place.get(axis).map_or(low, |share| low + share * (high - low))
            };
            let rate = at(0, ranges.rate);
            let queue = queue_bytes(mbps(rate), at(2, ranges.queue) / 1000.0);
            link(rate, at(1, ranges.rtt) / 2.0, queue, at(3, ranges.loss))
        });
        let id = format!("fill-{}/{seed}/{at:03}", set.name());
        GridCase { id, links: links.collect(), load: Load { bytes: 20_000_000 } }
    };
    Ok(points.iter().enumerate().map(case).collect())
}
