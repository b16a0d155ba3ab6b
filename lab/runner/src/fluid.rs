//! What an ideal transport could do with given links: the ceiling printed beside every result.
//!
//! A fluid model with perfect scheduling, no loss and no queue. Link i delivers
//! D_i(t) = ∫ rate_i(s) ds over [start_i, t − delay_i], with rate_i = min(0.945 × link rate, W_n / RTT'_i): the
//! window W starts at 12 000 B and grows by a factor each RTT'. A transfer is over when ΣD_i(t) = size. Nothing real
//! beats it except by a larger first window, faster growth or remembered capacity. The sender is the far end (a
//! download). Decides no bar and simulates no packet.

use serde::Serialize;

use crate::stats::Gain;

mod response;
#[cfg(test)]
mod tests;

pub use response::{LossBound, cubic_window, loss_bound, reno_window};

/// Share of a link's rate that is payload: 1200-byte datagrams under UDP, IP and QUIC headers.
pub const PAYLOAD_SHARE: f64 = 0.945;
/// First window of a connection, in bytes (RFC 9002 §7.2, ten datagrams of 1200).
pub const FIRST_WINDOW: f64 = 12_000.0;
/// Bytes whose time on the link is added to each round trip.
pub const PACKET: f64 = 1500.0;

/// One link, as the fluid sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes per second towards the receiver, above zero.
    pub rate: f64,
    /// One-way delay from sender to receiver, in seconds.
    pub delay: f64,
    /// One-way delay from receiver to sender, in seconds.
    pub back: f64,
}

impl Link {
    /// With the same delay both ways: `mbps` in 10^6 bit/s, `rtt_ms` in milliseconds.
    pub fn symmetric(mbps: f64, rtt_ms: f64) -> Self {
        Self { rate: mbps * 125_000.0, delay: rtt_ms / 2000.0, back: rtt_ms / 2000.0 }
    }

    /// Round trip without queue, in seconds.
    pub fn rtt(&self) -> f64 {
        self.delay + self.back
    }

    fn packet_time(&self) -> f64 {
        PACKET / self.rate
    }

    /// The round trip of a handshake packet.
    fn handshake_rtt(&self) -> f64 {
        self.rtt() + self.packet_time()
    }

    fn is_sound(&self) -> bool {
        let delays = [self.delay, self.back];
        self.rate.is_finite() && self.rate > 0.0 && delays.iter().all(|d| d.is_finite() && *d >= 0.0)
    }
}

/// When links may carry their first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Handshake on the first link of the list; data from 1.5 of its round trips on. The others open when its
    /// handshake is complete: 2 round trips plus their own way to the sender.
    Published,
    /// As `Published`, but the handshake takes place on the link whose round trip (with one packet) is shortest.
    Raced,
    /// All links are up; the request takes the shortest way. Alone, it takes the link's own way.
    Established,
}

/// How a further link is opened; nothing to [`Start::Established`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The sender waits for the answer to its challenge: one round trip of the link more.
    Validated,
    /// Four datagrams open it, which lift the limit of three times what was received (RFC 9000 §8.1) to a full window.
    FourDatagrams,
}

/// Which way acknowledgements take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// That of the data.
    Own,
    /// The link with the shortest way back.
    Fast,
}

/// How windows begin and grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// From [`FIRST_WINDOW`], twice per round trip.
    Plain,
    /// From ρ × [`FIRST_WINDOW`], 1 + ρ times per round trip, ρ = RTT / 100 ms within 1 to 6.
    RttScaled,
}

/// What an ideal transport is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// When links start.
    pub start: Start,
    /// How further links are opened.
    pub opening: Opening,
    /// Which way acknowledgements take when links are used together.
    pub acks: Acks,
    /// How windows grow.
    pub growth: Growth,
}

impl Default for Mode {
    /// What the project's mechanisms aim at without raced handshakes.
    fn default() -> Self {
        Self {
            start: Start::Published,
            opening: Opening::FourDatagrams,
            acks: Acks::Fast,
            growth: Growth::Plain,
        }
    }
}

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Cold: so many bytes; time runs from the first packet to the last byte.
    Bytes(f64),
    /// Warm: whatever arrives in `length` seconds from second `from` on.
    Window {
        /// Begin of the window, seconds after the first packet.
        from: f64,
        /// Its length in seconds, above zero.
        length: f64,
    },
}

/// The best of one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Single {
    /// Seconds to the last byte; `None` for [`Load::Window`].
    pub completion_s: Option<f64>,
    /// Payload bytes per second.
    pub goodput: f64,
}

/// The best of links, each alone and all together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Each link alone, in the order given.
    pub alone: Vec<Single>,
    /// All of them.
    pub together: Single,
    /// The second over the first.
    pub gain: Gain,
}

/// The ceiling of `links`. `None` without links, if a rate is not above zero, or if a number is not finite.
pub fn ceiling(links: &[Link], load: Load, mode: Mode) -> Option<Ceiling> {
    let alone = links.iter().map(|link| single(*link, load, mode)).collect::<Option<Vec<_>>>()?;
    let together = solve(&flows(links, mode)?, load)?;
    let goodputs: Vec<f64> = alone.iter().map(|single| single.goodput).collect();
    let gain = Gain::of(&goodputs, together.goodput)?;
    Some(Ceiling { alone, together, gain })
}

/// The ceiling of one link: what a connection that knows no other can do. `None` as in [`ceiling`].
pub fn single(link: Link, load: Load, mode: Mode) -> Option<Single> {
    solve(&flows(&[link], mode)?, load)
}

/// One link in use: rising steps, then the link's rate for ever.
struct Flow {
    start: f64,
    delay: f64,
    step: f64,
    rates: Vec<f64>,
    full: f64,
}

fn flows(links: &[Link], mode: Mode) -> Option<Vec<Flow>> {
    if !links.iter().all(Link::is_sound) {
        return None;
    }
    let first = match mode.start {
        Start::Raced => links.iter().min_by(|a, b| a.handshake_rtt().total_cmp(&b.handshake_rtt())),
        Start::Published | Start::Established => links.first(),
    }?;
    let first_at = links.iter().position(|link| std::ptr::eq(link, first))?;
    let shortest_back = links.iter().map(|link| link.back).fold(f64::INFINITY, f64::min);
    let flow = |(at, link): (usize, &Link)| {
        let start = match mode.start {
            Start::Established => shortest_back,
            _ if at == first_at => 1.5 * first.handshake_rtt(),
            _ => {
                let validation = match mode.opening {
                    Opening::Validated => link.handshake_rtt(),
                    Opening::FourDatagrams => 0.0,
                };
                2.0 * first.handshake_rtt() + link.back + validation
            }
        };
        let back = match mode.acks {
            Acks::Own => link.back,
            Acks::Fast => shortest_back,
        };
        Flow::new(link, start, back, mode.growth)
    };
    Some(links.iter().enumerate().map(flow).collect())
}

impl Flow {
    fn new(link: &Link, start: f64, back: f64, growth: Growth) -> Self {
        let rho = match growth {
            Growth::Plain => 1.0,
            Growth::RttScaled => (link.rtt() / 0.1).clamp(1.0, 6.0),
        };
        let full = PAYLOAD_SHARE * link.rate;
        let step = link.delay + back + link.packet_time();
        let mut rates = Vec::new();
        let mut window = FIRST_WINDOW * rho;
        // Windows at least double and everything is finite: some thousand steps at the very most.
        while window / step < full {
            rates.push(window / step);
            window *= 1.0 + rho;
        }
        Self { start, delay: link.delay, step, rates, full }
    }

    /// Bytes at the receiver by `time`.
    fn delivered(&self, time: f64) -> f64 {
        let mut left = time - self.delay - self.start;
        let mut sum = 0.0;
        for rate in &self.rates {
            if left <= 0.0 {
                return sum;
            }
            sum += rate * left.min(self.step);
            left -= self.step;
        }
        sum + self.full * left.max(0.0)
    }
}

fn solve(flows: &[Flow], load: Load) -> Option<Single> {
    let delivered = |time: f64| flows.iter().map(|flow| flow.delivered(time)).sum::<f64>();
    match load {
        Load::Window { from, length } => {
            if !(from.is_finite() && length.is_finite() && from >= 0.0 && length > 0.0) {
                return None;
            }
            let goodput = (delivered(from + length) - delivered(from)) / length;
            Some(Single { completion_s: None, goodput })
        }
        Load::Bytes(size) => {
            if !(size.is_finite() && size > 0.0) {
                return None;
            }
            let mut high = 1.0;
            while delivered(high) < size {
                high *= 2.0;
                if !f64::is_finite(high) {
                    return None;
                }
            }
            let mut low = 0.0;
            for _ in 0..80 {
                let middle = f64::midpoint(low, high);
                if delivered(middle) < size { low = middle } else { high = middle }
            }
            Some(Single { completion_s: Some(high), goodput: size / high })
        }
    }
}
