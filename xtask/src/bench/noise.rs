//! Whether the machine was quiet enough for figures to mean something.
//!
//! Looks at what the processors do while nothing of ours runs, and at how far rounds differ. It says so; what to do
//! about it is the reader's.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

/// How long processors are watched before a measurement.
const LOOK: Duration = Duration::from_millis(200);
/// Share of all processors' time that others may take.
const BUSY: f64 = 0.10;
/// Measurements of a run that may begin in such a moment.
const EXCUSED: f64 = 0.15;
/// How far the middle half of the rounds' ratios may lie apart, as a share of the median.
const SPREAD: f64 = 0.25;

/// What is held against a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Noise {
    /// Shares of processor time that others took before each measurement.
    #[serde(skip)]
    others: Vec<f64>,
}

/// Whether figures count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) valid: bool,
    pub(super) why: Vec<String>,
}

impl Noise {
    /// Watches for a moment, before a measurement.
    pub(super) fn look(&mut self) {
        let before = times();
        sleep(LOOK);
        if let (Some(before), Some(after)) = (before, times()) {
            self.others.push(busy(before, after));
        }
    }

    /// The verdict, given the rounds' ratios of ours to the best peer.
    pub(super) fn verdict(&self, ratios: &[f64]) -> Verdict {
        let mut why = Vec::new();
        let disturbed = self.others.iter().filter(|share| **share > BUSY).count();
        if disturbed as f64 > EXCUSED * self.others.len() as f64 {
            let (count, of) = (disturbed, self.others.len());
            why.push(format!(
                "others took more than {:.0} % of the processors before {count} of {of} measurements",
                BUSY * 100.0
            ));
        }
        let mut sorted = ratios.to_vec();
        sorted.sort_by(f64::total_cmp);
        if let (Some(low), Some(middle), Some(high)) =
            (sorted.get(sorted.len() / 4), sorted.get(sorted.len() / 2), sorted.get(sorted.len() * 3 / 4))
        {
            let spread = (high - low) / middle;
            if spread > SPREAD {
                why.push(format!(
                    "the middle half of the rounds' ratios spans {:.0} % of the median",
                    spread * 100.0
                ));
            }
        }
        Verdict { valid: why.is_empty(), why }
    }
}

/// Busy and all time of the processors so far, in ticks.
fn times() -> Option<(u64, u64)> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

fn parse(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|number| number.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}

fn busy(before: (u64, u64), after: (u64, u64)) -> f64 {
    let (busy, all) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    if all == 0 { 0.0 } else { busy as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
