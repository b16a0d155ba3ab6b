//! Sets of links to run one load over: published ones, and ones drawn so that they fill their ranges evenly.
//!
//! Decides which links and which load; who runs them decides scheduler, controller and mode.

use tq_time::Duration;

use crate::fluid;

mod classes;
mod play;
mod published;
mod space;
#[cfg(test)]
mod tests;

pub use classes::{Class, ClassRange, today};
pub use play::{scenario, warm};
pub use published::{Literature, Order, Queues, SOURCE, Set, literature, published};
pub use space::{Design, MOST_POINTS, SplitMix, fill, least_distance, random};

/// One run to make.
#[derive(Clone, Debug, PartialEq)]
pub struct GridCase {
    /// Unique within its set and stable, like `wsp-lowbdp/017/swapped`.
    pub id: String,
    /// The links, in the order in which they are to be started.
    pub links: Vec<GridLink>,
    /// What to move.
    pub load: Load,
}

/// A transfer from the far end to the user (down).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Payload bytes.
    pub bytes: u64,
}

/// One link of a [`GridCase`]. "Up" is from the user to the network.
#[derive(Clone, Debug, PartialEq)]
pub struct GridLink {
    /// Its kind, or "path" if it has none.
    pub name: &'static str,
    /// Bytes per second of IP, up.
    pub rate_up: u64,
    /// Bytes per second of IP, down.
    pub rate_down: u64,
    /// One-way delay up, without queue.
    pub delay_up: Duration,
    /// One-way delay down, without queue.
    pub delay_down: Duration,
    /// Most bytes in the queue, up.
    pub queue_up: u64,
    /// Most bytes in the queue, down.
    pub queue_down: u64,
    /// Random loss in each direction, parts per million.
    pub loss_ppm: u32,
    /// Most random time on top of the delay in each direction; order is kept.
    pub jitter: Duration,
}

impl GridLink {
    /// The link as the fluid model sees it, for loads that go down.
    pub fn fluid(&self) -> fluid::Link {
        fluid::Link {
            rate: self.rate_down as f64,
            delay: self.delay_down.as_secs_f64(),
            back: self.delay_up.as_secs_f64(),
        }
    }

    /// Round trip without queue.
    pub fn rtt(&self) -> Duration {
        self.delay_up + self.delay_down
    }
}

/// Bytes that a rate moves in a time, and at least ten full packets, without which no burst of a sender survives.
fn queue_bytes(rate: u64, seconds: f64) -> u64 {
    ((rate as f64 * seconds) as u64).max(10 * 1500)
}

fn millis(ms: f64) -> Duration {
    Duration::from_micros((ms * 1000.0).round() as u64)
}

fn mbps(rate: f64) -> u64 {
    (rate * 125_000.0).round() as u64
}

fn percent_as_ppm(percent: f64) -> u32 {
    (percent * 10_000.0).round() as u32
}
