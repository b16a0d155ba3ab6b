//! Profiles that behave like radio links, made from a seed.
//!
//! Two generators, [`lte`] and [`leo`]; what they model and what they leave out stands with them. Integers only:
//! a seed means the same profile everywhere.

use tq_buf::mem::Vec;
use tq_time::Duration;

use crate::profile::{Profile, Segment};
use crate::rng::Rng;

#[cfg(test)]
mod tests;

const HOUR: Duration = Duration::from_secs(3600);
/// Rates are given in bytes per second; slower ones, and faster ones, are not generated.
const RATES: (u64, u64) = (1000, 1 << 40);

/// How an LTE link varies; see [`lte`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lte {
    /// Average rate in bytes per second over the whole profile (pauses included), held to 1 %;
    /// 1000 to 2^40.
    pub rate: u64,
    /// How long the profile is, in seconds, 1 to 86400.
    pub seconds: u32,
    /// How often it stands still, per minute on average.
    pub pauses_per_minute: u32,
    /// The shortest and the longest pause.
    pub pause: (Duration, Duration),
}

impl Lte {
    /// Five minutes around `rate` bytes per second, with four pauses of 30 to 200 ms per minute.
    pub const fn new(rate: u64) -> Self {
        let pause = (Duration::from_millis(30), Duration::from_millis(200));
        Self { rate, seconds: 300, pauses_per_minute: 4, pause }
    }
}

/// A profile of an LTE link with one user in the queue.
///
/// The rate holds for 100 ms, then takes a step: a fortieth of the way back to the average, and up to a quarter of
/// its own value up or down. It stays within an eighth and twice the average before it is scaled to meet `rate`
/// exactly. After each step the link may pause; what waits then leaves in order. So it has what Winstein et al.
/// (Stochastic Forecasts Achieve High Throughput and Low Delay over Cellular Networks, NSDI 2013) saw in four
/// networks: a rate that wanders over an order of magnitude within seconds, outages, and hardly any loss. The
/// daily rhythm, other users and handover between cells are left out.
pub fn lte(seed: u64, shape: &Lte) -> Profile {
    let mut rng = Rng::new(seed, 8);
    let steps = u64::from(shape.seconds.clamp(1, 86_400)) * 10;
    // The walk is on a scale of its own, so that it is as fine for slow links as for fast ones.
    const MEAN: u64 = 1 << 20;
    let mut walk = MEAN;
    let mut segments = Vec::with_capacity(steps as usize + 16);
    for _ in 0..steps {
        let swing = walk / 4;
        walk = walk + MEAN / 40 - walk / 40 + rng.up_to(2 * swing) - swing;
        walk = walk.clamp(MEAN / 8, MEAN * 2);
        let mut time = Duration::from_millis(100);
        if rng.chance(shape.pauses_per_minute.saturating_mul(1_000_000 / 600)) {
            let pause = within(&mut rng, shape.pause);
            // A pause takes its time from the step it interrupts, as far as it lasts.
            time = time.saturating_sub(pause).max(Duration::from_millis(1));
            segments.push(Segment { time: pause, ..Segment::default() });
        }
        segments.push(Segment { time, rate: walk, ..Segment::default() });
    }
    let rate = shape.rate.clamp(RATES.0, RATES.1);
    scale(&mut segments, rate);
    build(segments, rate)
}

/// How a link over a low satellite constellation varies; see [`leo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leo {
    /// Nominal rate up, in bytes per second, 1000 to 2^40.
    pub up: u64,
    /// Nominal rate down, in bytes per second, 1000 to 2^40.
    pub down: u64,
    /// How many satellites are met before it starts over, 1 to 10000.
    pub slots: u32,
    /// The time with one satellite, at most an hour.
    pub slot: Duration,
    /// The shortest and the longest outage at a handover.
    pub outage: (Duration, Duration),
    /// How far the round trip lies from its middle at most, either way.
    pub rtt_spread: Duration,
    /// Loss in the 100 ms after the outage, in parts per million.
    pub loss_ppm: u32,
}

impl Leo {
    /// Twenty satellites (five minutes), 15 s each, outages of 60 to 150 ms, round trip ± 15 ms, one packet in
    /// five lost for 100 ms after each handover.
    pub const fn new(up: u64, down: u64) -> Self {
        Self {
            up,
            down,
            slots: 20,
            slot: Duration::from_secs(15),
            outage: (Duration::from_millis(60), Duration::from_millis(150)),
            rtt_spread: Duration::from_millis(15),
            loss_ppm: 200_000,
        }
    }
}

/// Profiles of a satellite link, up and down, that change hands at the same moments.
///
/// Each slot draws a rate of 0.6 to 1.2 times the nominal one, for each direction, and an extra delay of 0 to
/// `rtt_spread`, the same both ways: the round trip is the configured one plus 0 to 2 `rtt_spread`, so give the
/// link the *least* one-way delay. A slot begins with the outage, in which packets wait, and 100 ms with loss.
/// The 15 s rhythm, the outage and the clusters of loss follow measurements of Starlink: Mohan et al., A
/// Multifaceted Look at Starlink Performance, WWW 2024; Huston, A Transport Protocol's View of Starlink, APNIC
/// 2024 (handover adds 30 to 50 ms and some loss); arXiv 2601.08439 (spikes of 140 ms where slots begin). The
/// daily rhythm, rain, trees and the delay's wander within a slot are left out: add jitter for the last.
pub fn leo(seed: u64, shape: &Leo) -> [Profile; 2] {
    let mut rng = Rng::new(seed, 9);
    let slots = shape.slots.clamp(1, 10_000);
    let mut both = [Vec::new(), Vec::new()];
    for _ in 0..slots {
        let outage = within(&mut rng, shape.outage);
        let delay = within(&mut rng, (Duration::ZERO, shape.rtt_spread));
        let rest = shape.slot.min(HOUR).saturating_sub(outage).max(Duration::from_millis(1));
        let lossy = rest.min(Duration::from_millis(100));
        for (segments, nominal) in both.iter_mut().zip([shape.up, shape.down]) {
            let rate = nominal.clamp(RATES.0, RATES.1) * rng.between(600, 1200) / 1000;
            let mut add = |time: Duration, rate, loss_ppm| {
                if !time.is_zero() {
                    segments.push(Segment { time, rate, delay, loss_ppm });
                }
            };
            add(outage, 0, 0);
            add(lossy, rate, shape.loss_ppm);
            add(rest.saturating_sub(lossy), rate, 0);
        }
    }
    let [up, down] = both;
    [build(up, shape.up), build(down, shape.down)]
}

/// A duration in a range, upside down or not, cut at an hour.
fn within(rng: &mut Rng, (low, high): (Duration, Duration)) -> Duration {
    let micros = |time: Duration| time.min(HOUR).as_micros() as u64;
    Duration::from_micros(rng.between(micros(low), micros(high)))
}

/// Makes the average of `segments` be `rate`.
fn scale(segments: &mut [Segment], rate: u64) {
    let time: u128 = segments.iter().map(|segment| segment.time.as_nanos()).sum();
    let carries: u128 = segments.iter().map(|s| s.time.as_nanos() * u128::from(s.rate)).sum();
    for segment in segments {
        let exact = u128::from(segment.rate) * u128::from(rate) * time;
        segment.rate = exact.checked_div(carries).unwrap_or(0) as u64;
    }
}

/// The profile of `segments`.
fn build(mut segments: Vec<Segment>, rate: u64) -> Profile {
    segments.retain(|segment| !segment.time.is_zero());
    Profile::new(segments).unwrap_or_else(|_| Profile::steady(rate))
}
