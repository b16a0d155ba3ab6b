//! Figures of a run and what they say about the scenario's bars.
//!
//! Decides how a figure is computed from progress and from the links' books; what the lab cannot see is `None`.

use serde::Serialize;
use tq_linkmodel::{Direction, Duration, Instant};
use tq_scenario::{Bar, Metric, Percentile, Scenario, Target, Value, Window};

use crate::emulator::books::{Books, LaneBooks};
use crate::peer::Done;

#[cfg(test)]
mod tests;

/// Share of a link's rate that is payload of streams: datagrams of 1452 bytes with 28 of IP and UDP around them and 33 of
/// QUIC in them, as the simulator counts. TCP has 0.7 % more room in packets of 1500 bytes.
pub const PAYLOAD_SHARE: f64 = 1419.0 / 1480.0;

/// A transfer that was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its place in the scenario's traffic.
    pub traffic: usize,
    /// Whether it is another connection beside the one that is measured.
    pub competing: bool,
    /// Whether the user's end sent.
    pub upload: bool,
    /// When it began.
    pub start: Instant,
    /// What came of it.
    pub done: Done,
}

/// Everything a figure can be computed from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its seed in this run.
    pub seed: u64,
    /// Its moment zero.
    pub zero: Instant,
    /// The transfers.
    pub measured: &'a [Measured],
    /// The links that could be used.
    pub links: &'a [usize],
    /// What the links did.
    pub books: &'a Books,
    /// Goodput of each link alone in bits per second, if that was measured.
    pub alone: &'a [f64],
}

/// The figures that are always told. Rates in bits per second, times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// In-order payload per time, in the scenario's window.
    pub goodput_bps: f64,
    /// From the start to the last byte, if all came.
    pub completion_s: Option<f64>,
    /// From the start to the first byte.
    pub first_byte_s: Option<f64>,
    /// The longest time without in-order progress, in the window.
    pub gap_s: f64,
    /// Goodput over what the links could have carried.
    pub use_ratio: Option<f64>,
    /// Bytes received in all.
    pub bytes: u64,
}

/// A bar and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// As written.
    pub bar: String,
    /// What was measured; `None` if the lab cannot see it.
    pub measured: Option<String>,
    /// The same as a number: seconds, bytes, bytes per second, or plain.
    pub value: Option<f64>,
    /// Whether it holds.
    pub holds: Option<bool>,
}

impl Facts<'_> {
    fn own(&self, target: Option<Target>) -> impl Iterator<Item = &Measured> {
        let only = move |measured: &&Measured| match target {
            Some(Target::Traffic(traffic)) => measured.traffic == traffic,
            _ => !measured.competing,
        };
        self.measured.iter().filter(only)
    }

    /// Progress in order of time.
    fn progress(&self, target: Option<Target>) -> Vec<(Instant, u64)> {
        let mut list: Vec<_> =
            self.own(target).flat_map(|measured| measured.done.progress.iter().copied()).collect();
        list.sort_unstable();
        list
    }

    fn start(&self, target: Option<Target>) -> Instant {
        self.own(target).map(|measured| measured.start).min().unwrap_or(self.zero)
    }

    /// From when to when is measured.
    fn window(&self, target: Option<Target>) -> (Instant, Instant) {
        match self.scenario.measure.window {
            Window::Warm { from, length } => (self.zero + from, self.zero + from + length),
            Window::Cold => {
                let last = self.progress(target).last().map(|(at, _)| *at);
                let start = self.start(target);
                (start, last.unwrap_or(start).max(start))
            }
        }
    }

    /// Bits per second in the window.
    pub fn goodput(&self, target: Option<Target>) -> f64 {
        let (from, to) = self.window(target);
        // What comes at the window's first moment was sent before it, at its last within it.
        let inside = |at: Instant| at > from && at <= to;
        let cold = self.scenario.measure.window == Window::Cold;
        let list = self.progress(target);
        let bytes: u64 = list.iter().filter(|(at, _)| cold || inside(*at)).map(|(_, bytes)| bytes).sum();
        bytes as f64 * 8.0 / (to - from).as_secs_f64().max(1e-9)
    }

    fn completion(&self, target: Option<Target>) -> Option<Duration> {
        let all = self.own(target).all(|measured| measured.done.complete);
        let last = self.progress(target).last()?.0;
        all.then(|| last - self.start(target))
    }

    fn gap(&self, target: Option<Target>) -> Duration {
        let (from, to) = self.window(target);
        let warm = matches!(self.scenario.measure.window, Window::Warm { .. });
        let list = self.progress(target);
        let inside: Vec<_> = list.iter().map(|(at, _)| *at).filter(|at| *at >= from && *at <= to).collect();
        // A cold window begins with the first byte: what is before is the handshake.
        let edges = if warm { [Some(from), Some(to)] } else { [None, None] };
        let moments: Vec<_> = edges[0].into_iter().chain(inside).chain(edges[1]).collect();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(to - from)
    }

    /// Bits per second of payload that the links could have carried in the window.
    fn capacity(&self) -> Option<f64> {
        let (from, to) = self.window(None);
        let direction = if self.own(None).any(|m| !m.upload) { Direction::Down } else { Direction::Up };
        let mut sum = 0.0;
        for &link in self.links {
            let bytes = self.scenario.usable(link, direction, self.seed, from - self.zero, to - self.zero)?;
            sum += bytes as f64;
        }
        Some(sum * 8.0 * PAYLOAD_SHARE / (to - from).as_secs_f64().max(1e-9))
    }

    fn lanes(&self, target: Option<Target>) -> impl Iterator<Item = &LaneBooks> {
        let down = self.own(None).any(|measured| !measured.upload);
        let links = self.books.links.iter().enumerate();
        links
            .filter(move |(i, _)| !matches!(target, Some(Target::Link(link)) if link != *i))
            .map(move |(_, link)| if down { &link.down } else { &link.up })
    }

    /// What is always told.
    pub fn figures(&self) -> Figures {
        let progress = self.progress(None);
        let goodput = self.goodput(None);
        let seconds = |time: Duration| time.as_secs_f64();
        let first = progress.first().map(|(at, _)| seconds(*at - self.start(None)));
        Figures {
            goodput_bps: goodput,
            completion_s: self.completion(None).map(seconds),
            first_byte_s: first,
            gap_s: seconds(self.gap(None)),
            use_ratio: self.capacity().filter(|most| *most > 0.0).map(|most| goodput / most),
            bytes: progress.iter().map(|(_, bytes)| bytes).sum(),
        }
    }

    /// The value of a bar's figure.
    pub fn value(&self, bar: &Bar) -> Option<Value> {
        let ratio = |value: f64| Value::Ratio((value * 1e6).round() as i64);
        let target = bar.target;
        let best = self.alone.iter().copied().reduce(f64::max).filter(|best| *best > 0.0);
        Some(match bar.metric {
            // Of several links what each carries alone is the measure, as in the simulator.
            Metric::Use if best.is_some() => ratio(self.goodput(None) / self.alone.iter().sum::<f64>()),
            Metric::Use => ratio(self.figures().use_ratio?),
            Metric::Gain => ratio(self.goodput(None) / best?),
            Metric::Benefit => {
                let (best, sum) = (best?, self.alone.iter().sum::<f64>());
                // Below the best link the scale is that link itself (Kaspar).
                let over = self.goodput(None) - best;
                ratio(if over < 0.0 { over / best } else { over / (sum - best).max(1.0) })
            }
            Metric::Goodput => Value::Rate((self.goodput(target) / 8.0) as u64),
            Metric::Completion => Value::Time(self.completion(target)?),
            Metric::FirstByte => Value::Time(self.progress(target).first()?.0 - self.start(target)),
            Metric::Gap => Value::Time(self.gap(target)),
            Metric::QueueDelay if bar.percentile == Some(Percentile(1000)) => {
                Value::Time(Duration::from_nanos(self.lanes(target).map(|lane| lane.longest_wait).max()?))
            }
            Metric::Loss => {
                let (lost, sent) = self
                    .lanes(target)
                    .fold((0, 0), |(lost, sent), lane| (lost + lane.dropped_total(), sent + lane.offered));
                ratio(lost as f64 / (sent as f64).max(1.0))
            }
            Metric::Fairness => ratio(self.fairness()?),
            Metric::Share => {
                let all: u64 = self.lanes(None).map(|lane| lane.delivered_bytes).sum();
                let own: u64 = self.lanes(target).map(|lane| lane.delivered_bytes).sum();
                ratio(own as f64 / (all as f64).max(1.0))
            }
            Metric::Bytes => Value::Bytes(self.lanes(target).map(|lane| lane.delivered_bytes).sum()),
            Metric::Completed => ratio(f64::from(u8::from(self.own(target).all(|m| m.done.complete)))),
            _ => return None,
        })
    }

    /// Jain's index over the measured connection and its competitors.
    fn fairness(&self) -> Option<f64> {
        let competing = self.measured.iter().filter(|measured| measured.competing);
        let mut rates: Vec<f64> =
            competing.map(|measured| self.goodput(Some(Target::Traffic(measured.traffic)))).collect();
        (!rates.is_empty()).then_some(())?;
        rates.push(self.goodput(None));
        let (sum, squares) = rates.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        (squares > 0.0).then(|| sum * sum / (rates.len() as f64 * squares))
    }

    /// Every bar of the scenario.
    pub fn judge(&self) -> Vec<Judged> {
        let judged = self.scenario.bars.iter().map(|bar| {
            let value = self.value(bar);
            Judged {
                bar: bar.text.clone(),
                measured: value.map(|value| value.to_string()),
                value: value.map(number),
                holds: value.map(|value| bar.holds(value)),
            }
        });
        judged.collect()
    }
}

fn number(value: Value) -> f64 {
    match value {
        Value::Ratio(millionths) => millionths as f64 / 1e6,
        Value::Time(time) => time.as_secs_f64(),
        Value::Rate(count) | Value::Bytes(count) | Value::Count(count) => count as f64,
    }
}
