//! Pairs and triples of links one meets today.
//!
//! The ranges are round numbers chosen by us around the presets of the link model, wide enough to hold what the
//! sources named there report; they are plausible, not a survey. Rates are spread evenly on a logarithmic scale,
//! all else linearly. Fibre and DSL have no random loss to speak of; where a range begins at 0, loss and jitter do
//! too.

use anyhow::Result;

use super::space::{Design, SplitMix, fill};
use super::{Duration, GridCase, GridLink, Load, mbps, millis, percent_as_ppm, queue_bytes};

/// A kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Fibre to the home.
    Fibre,
    /// VDSL2 and older.
    Dsl,
    /// LTE.
    Lte,
    /// 5G in mid-band.
    FiveG,
    /// A low satellite constellation.
    Leo,
    /// A geostationary satellite.
    Geo,
}

/// What links of a class are like: (least, most).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassRange {
    /// Mbit/s down.
    pub down: (f64, f64),
    /// Mbit/s up; never more than down.
    pub up: (f64, f64),
    /// Round trip to a server in the same region, ms.
    pub rtt: (f64, f64),
    /// Queue per direction, ms at the link's rate.
    pub queue: (f64, f64),
    /// Most jitter per direction, ms.
    pub jitter: (f64, f64),
    /// Random loss per direction, percent.
    pub loss: (f64, f64),
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Fibre, Self::Dsl, Self::Lte, Self::FiveG, Self::Leo, Self::Geo];

    /// The name, that of the link model's preset.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fibre => "fibre",
            Self::Dsl => "dsl",
            Self::Lte => "lte",
            Self::FiveG => "5g",
            Self::Leo => "leo",
            Self::Geo => "geo",
        }
    }

    /// Its ranges.
    pub const fn range(self) -> ClassRange {
        let (down, up, rtt, queue, jitter, loss) = match self {
            Self::Fibre => ((50., 1000.), (20., 1000.), (2., 20.), (10., 60.), (0., 1.), (0., 0.)),
            Self::Dsl => ((6., 100.), (1., 40.), (10., 40.), (30., 300.), (0., 2.), (0., 0.)),
            Self::Lte => ((5., 150.), (2., 50.), (30., 80.), (100., 1000.), (2., 20.), (0., 0.1)),
            Self::FiveG => ((50., 800.), (10., 100.), (12., 40.), (50., 500.), (1., 10.), (0., 0.05)),
            Self::Leo => ((50., 300.), (5., 30.), (25., 70.), (30., 200.), (1., 15.), (0., 1.)),
            Self::Geo => ((5., 100.), (1., 10.), (550., 700.), (100., 1000.), (0., 10.), (0., 0.1)),
        };
        ClassRange { down, up, rtt, queue, jitter, loss }
    }

    /// The link at a place in the unit cube: down, up, round trip, queue, restlessness (jitter and loss together).
    fn link(self, place: &[f64]) -> GridLink {
        let range = self.range();
        let share = |axis: usize| place.get(axis).copied().unwrap_or(0.5);
        let linear = |axis, (low, high): (f64, f64)| low + share(axis) * (high - low);
        let logarithmic = |axis, (low, high): (f64, f64)| low * (high / low).powf(share(axis));
        let down = logarithmic(0, range.down);
        let up = logarithmic(1, range.up).min(down);
        let (delay, queue) = (millis(linear(2, range.rtt) / 2.0), linear(3, range.queue) / 1000.0);
        GridLink {
            name: self.name(),
            rate_up: mbps(up),
            rate_down: mbps(down),
            delay_up: delay,
            delay_down: delay,
            queue_up: queue_bytes(mbps(up), queue),
            queue_down: queue_bytes(mbps(down), queue),
            loss_ppm: percent_as_ppm(linear(4, range.loss)),
            jitter: Duration::from_micros((linear(4, range.jitter) * 1000.0) as u64),
        }
    }
}

/// `count` cases of `links` links (1 to 4) of today, the same for the same seed. Every set of classes occurs as often
/// as every other, give or take one; sets of equal kinds are among them. Ids like `today-2/7/003`. The load is a
/// second at the sum of the rates, 5 MB at least and 100 MB at most.
///
/// # Errors
/// As [`fill`]; also for no links or more than four.
pub fn today(links: usize, count: usize, seed: u64) -> Result<Vec<GridCase>> {
    anyhow::ensure!((1..=4).contains(&links), "1 to 4 links, not {links}");
    const AXES: usize = 5;
    let points = fill(Design { count, dimensions: AXES * links, seed })?;
    let mut rng = SplitMix::new(!seed);
    let mut sets = sets_of(links);
    rng.shuffle(&mut sets);
    let mut cases = Vec::with_capacity(count);
    for (at, (point, classes)) in points.iter().zip(sets.iter().cycle()).enumerate() {
        let mut links: Vec<_> =
            point.chunks(AXES).zip(classes).map(|(place, class)| class.link(place)).collect();
        rng.shuffle(&mut links);
        let sum: u64 = links.iter().map(|link| link.rate_down).sum();
        let load = Load { bytes: sum.clamp(5_000_000, 100_000_000) };
        cases.push(GridCase { id: format!("today-{}/{seed}/{at:03}", links.len()), links, load });
    }
    Ok(cases)
}

/// All ways to choose `links` classes, with repetition, regardless of order.
fn sets_of(links: usize) -> Vec<Vec<Class>> {
    let mut sets = vec![Vec::new()];
    for _ in 0..links {
        sets = sets
            .iter()
            .flat_map(|set: &Vec<Class>| {
                let least = set.last().copied().unwrap_or(Class::Fibre);
                Class::ALL.into_iter().filter(move |class| *class >= least).map(|class| {
                    let mut longer = set.clone();
                    longer.push(class);
                    longer
                })
            })
            .collect();
    }
    sets
}
