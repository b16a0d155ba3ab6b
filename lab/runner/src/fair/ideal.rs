//! Two ideal CUBIC flows over one queue that drops what does not fit: windows by round trips, and each packet too many
//! is one flow's or the other's as likely as their windows are large. What is random about it is what real packets do
//! not control; so the spread of this model is what a correct implementation may show.

use super::{Pipe, cycle};
use crate::stats;

const C: f64 = 0.4;
const BETA: f64 = 0.7;
const ALPHA: f64 = 9.0 / 17.0;
const CONVERGED: f64 = 0.85;

/// What ideal pairs show over some cycles: nine in ten runs are from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ideal {
    /// One in twenty runs is lower.
    pub low: f64,
    /// The one in the middle.
    pub median: f64,
    /// One in twenty runs is higher.
    pub high: f64,
}

/// Of `runs` pairs that are watched for `cycles` after `settle`; the second begins with a tenth of the first's window.
pub fn ideal(pipe: &Pipe, settle: f64, cycles: f64, runs: u64) -> Ideal {
    let cycle = cycle(pipe);
    let ratios: Vec<f64> =
        (1..=runs).map(|seed| pair(pipe, settle * cycle, (settle + cycles) * cycle, seed)).collect();
    let at = |share| stats::quantile(&ratios, share).unwrap_or(f64::NAN);
    Ideal { low: at(0.05), median: at(0.5), high: at(0.95) }
}

/// One flow, in packets and seconds (RFC 9438 §4).
#[derive(Clone, Copy)]
struct Sender {
    window: f64,
    most: f64,
    prior: f64,
    reno: f64,
    since: f64,
    inflection: f64,
}

impl Sender {
    fn new(window: f64) -> Self {
        Self { window, most: window, prior: window, reno: window, since: 0.0, inflection: 0.0 }
    }

    fn reduce(&mut self, now: f64, rtt: f64) {
        let window = self.window;
        self.most = if window < self.most { window * CONVERGED } else { window };
        self.prior = window;
        self.window = window * BETA;
        self.reno = self.window;
        self.since = now + rtt;
        self.inflection = ((self.most - self.window).max(0.0) / C).cbrt();
    }

    fn grow(&mut self, now: f64, rtt: f64) {
        self.reno += if self.reno >= self.prior { 1.0 } else { ALPHA };
        let at = |time: f64| C * (time - self.since - self.inflection).powi(3) + self.most;
        if at(now) < self.reno {
            self.window = self.window.max(self.reno);
        } else {
            self.window = self.window.max(at(now + rtt).min(1.5 * self.window));
        }
    }
}

/// What the second moves for each packet of the first between `from` and `to`.
fn pair(pipe: &Pipe, from: f64, to: f64, seed: u64) -> f64 {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    let room = pipe.product() + pipe.queue;
    let mut flows = [Sender::new(room / 1.1), Sender::new(room / 11.0)];
    let (mut now, mut moved) = (0.0, [0.0; 2]);
    while now < to {
        let total = flows[0].window + flows[1].window;
        let rtt = pipe.rtt * (total.min(room) / pipe.product()).max(1.0);
        let mut hit = [false; 2];
        if total > room {
            for _ in 0..((total - room).round() as u64).clamp(1, 1000) {
                hit[usize::from(draw() * total >= flows[0].window)] = true;
            }
        }
        for ((flow, hit), moved) in flows.iter_mut().zip(hit).zip(&mut moved) {
            if now >= from {
                *moved += flow.window;
            }
            if now < flow.since {
                continue;
            }
            if hit { flow.reduce(now, rtt) } else { flow.grow(now, rtt) }
        }
        now += rtt;
    }
    moved[1] / moved[0].max(1.0)
}
