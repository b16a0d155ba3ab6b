//! Links one meets, as starting points.
//!
//! Each is one plausible link of its kind in the mid 2020s, not an average: rates and delays are round numbers
//! chosen by us, in the order of magnitude that the sources named with it report. One-way delays are half the round trip to a server in the same
//! region. Queues are those of the project's measurement rule, a time at the link's rate (fibre and cable 30 ms,
//! DSL and LEO 100 ms, LTE, 5G and GEO 300 ms). Decides numbers only.

use tq_time::Duration;

use crate::config::{DirectionConfig, LinkConfig, Queue};
use crate::generate::{Leo, Lte, leo, lte};
use crate::impair::{GilbertElliott, Jitter};
use crate::rate::Rate;
use crate::rng::Rng;

#[cfg(test)]
mod tests;

/// A kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// Fibre to the home: 300 Mbit/s both ways, 10 ms, clean. FCC, Measuring Broadband America, 13th fixed report
    /// (2022 data), compares rates, latency and loss of fibre, DSL and cable; fibre has the least of the latter two.
    Fibre,
    /// VDSL2: 50 down, 10 up, 20 ms. Same source, DSL; for the deep queues of modems Kreibich et al., Netalyzr,
    /// IMC 2010.
    Dsl,
    /// DOCSIS 3: 250 down, 25 up, 18 ms, and 0 to 4 ms of jitter up, where the modem asks for its turn. Same
    /// source, cable; for the request and grant cycle White, Active Queue Management in DOCSIS 3.x Cable Modems,
    /// CableLabs 2014.
    Cable,
    /// Wi-Fi in a busy house: 150 both ways, 6 ms, 0 to 8 ms of jitter, rare short bursts of loss (0.05 % in the
    /// long run) left over after retries, a queue of 100 ms. Høiland-Jørgensen et al., Ending the Anomaly, USENIX
    /// ATC 2017, for queueing and aggregation delays. Both directions of a real channel share its air: to model
    /// that, name one [`Bottleneck`](crate::Bottleneck) in both.
    Wifi,
    /// LTE: 80 down and 40 up on average, wandering and pausing as [`lte`] says, 40 ms, 0 to 10 ms of jitter.
    /// Winstein et al., NSDI 2013, for the shape.
    Lte,
    /// 5G in mid-band: 250 down and 50 up on average, 24 ms, 0 to 6 ms of jitter. Narayanan et al., A First Look
    /// at Commercial 5G Performance on Smartphones, WWW 2020, for rates in mid-band and how they
    /// vary; the shape is that of [`lte`] with more and shorter pauses, for want of a better one.
    FiveG,
    /// A low satellite constellation: 200 down, 20 up, nominal; 30 to 60 ms, 0 to 10 ms of jitter, handovers as
    /// [`leo`] says, with the sources there.
    Leo,
    /// A geostationary satellite: 20 down, 3 up, 600 ms, 0.01 % of loss. The way up and down alone takes 239.6
    /// to 279.0 ms each way (RFC 2488 §2); the rest is coding, framing and access to the return channel.
    Geo,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Fibre, Self::Dsl, Self::Cable, Self::Wifi, Self::Lte, Self::FiveG, Self::Leo, Self::Geo];

    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fibre => "fibre",
            Self::Dsl => "dsl",
            Self::Cable => "cable",
            Self::Wifi => "wifi",
            Self::Lte => "lte",
            Self::FiveG => "5g",
            Self::Leo => "leo",
            Self::Geo => "geo",
        }
    }

    /// The preset with this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Rates down and up in bytes per second, nominal or on average.
    pub const fn rates(self) -> [u64; 2] {
        let [down, up] = match self {
            Self::Fibre => [300, 300],
            Self::Dsl => [50, 10],
            Self::Cable => [250, 25],
            Self::Wifi => [150, 150],
            Self::Lte => [80, 40],
            Self::FiveG => [250, 50],
            Self::Leo => [200, 20],
            Self::Geo => [20, 3],
        };
        [down * 125_000, up * 125_000]
    }

    /// The link, with rates that vary by `seed` where links of this kind do.
    pub fn config(self, seed: u64) -> LinkConfig {
        let mut link = self.steady();
        let [down, up] = self.rates();
        match self {
            Self::Fibre | Self::Dsl | Self::Cable | Self::Wifi | Self::Geo => {}
            Self::Lte | Self::FiveG => {
                for (direction, rate, stream) in [(&mut link.up, up, 10), (&mut link.down, down, 11)] {
                    let shape = self.cellular(rate);
                    direction.rate = Rate::profile(lte(Rng::new(seed, stream).next(), &shape));
                }
            }
            Self::Leo => {
                let [up, down] = leo(Rng::new(seed, 12).next(), &Leo::new(up, down)).map(Rate::profile);
                (link.up.rate, link.down.rate) = (up, down);
            }
        }
        link
    }

    /// The link with even rates and without handovers, for tests that want one thing at a time.
    pub fn steady(self) -> LinkConfig {
        let [down, up] = self.rates();
        let (one_way, queue) = self.times();
        let direction = |rate| DirectionConfig {
            rate: Rate::Fixed(rate),
            queue: Queue::of(rate, Duration::from_millis(queue)),
            delay: Duration::from_millis(one_way),
            ..DirectionConfig::default()
        };
        let mut link = LinkConfig { up: direction(up), down: direction(down) };
        let jitter = |most| Jitter::Bell(Duration::from_millis(most));
        let both = [&mut link.up, &mut link.down];
        match self {
            Self::Fibre | Self::Dsl => {}
            Self::Cable => link.up.jitter = jitter(4),
            Self::Wifi => both.into_iter().for_each(|way| {
                way.jitter = jitter(8);
                way.burst = Some(WIFI_BURSTS);
            }),
            Self::FiveG => both.into_iter().for_each(|way| way.jitter = jitter(6)),
            Self::Lte | Self::Leo => both.into_iter().for_each(|way| way.jitter = jitter(10)),
            Self::Geo => both.into_iter().for_each(|way| way.loss_ppm = 100),
        }
        link
    }

    /// One-way delay and queue, in milliseconds.
    const fn times(self) -> (u64, u64) {
        match self {
            Self::Fibre => (5, 30),
            Self::Dsl => (10, 100),
            Self::Cable => (9, 30),
            Self::Wifi => (3, 100),
            Self::Lte => (20, 300),
            Self::FiveG => (12, 300),
            Self::Leo => (15, 100),
            Self::Geo => (300, 300),
        }
    }

    const fn cellular(self, rate: u64) -> Lte {
        match self {
            Self::FiveG => Lte {
                pauses_per_minute: 8,
                pause: (Duration::from_millis(10), Duration::from_millis(100)),
                ..Lte::new(rate)
            },
            _ => Lte::new(rate),
        }
    }
}

/// One burst in 20000 packets, of ten on average, in which every packet is lost: 0.05 %.
const WIFI_BURSTS: GilbertElliott =
    GilbertElliott { to_bad_ppm: 50, to_good_ppm: 100_000, loss_good_ppm: 0, loss_bad_ppm: 1_000_000 };
