//! Links, checked, and what they are for the link model.
//!
//! Decides how rates, queues and radio profiles of the file become a [`LinkConfig`]; nothing here is refused any
//! more.

use std::net::IpAddr;
use std::sync::Arc;

use tq_linkmodel::{
    BottleneckConfig, CoDel, Direction, DirectionConfig, GilbertElliott, Jitter, Leo, LinkConfig, Lte, Mtu,
    NatConfig, Policer, Preset, Queue, Rate, Trace, leo, lte,
};
use tq_time::Duration;

use crate::random;
use crate::unit::{QueueSize, Speed, Time};

/// What traffic on a link costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// Nothing per byte.
    #[default]
    Flat,
    /// By the byte.
    Metered,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The preset it was made from.
    pub preset: Option<Preset>,
    /// From the user to the network.
    pub up: Way,
    /// From the network to the user.
    pub down: Way,
    /// The translator on the user's side.
    pub nat: Option<NatOptions>,
    /// What it costs.
    pub cost: Cost,
    /// Whether its path is only for when no other is there.
    pub standby: bool,
}

/// How a rate varies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vary {
    /// It does not.
    #[default]
    Steady,
    /// By a trace of opportunities; the rate is the trace's mean.
    Trace {
        /// The trace.
        trace: Arc<Trace>,
        /// The file it came from, as written.
        file: String,
        /// Where in the trace the scenario starts.
        offset: Duration,
    },
    /// As an LTE link; the rate is the mean.
    Lte(Lte),
    /// As a link over a low satellite constellation; the rate is the nominal one.
    Leo(Leo),
}

/// One direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Bytes of IP per second, nominal or mean; no limit if `None`.
    pub rate: Option<u64>,
    /// How it varies.
    pub vary: Vary,
    /// What the queue holds.
    pub queue: QueueSize,
    /// Active queue management.
    pub codel: Option<CoDel>,
    /// ECN-capable packets that would wait longer are marked.
    pub mark_above: Option<Duration>,
    /// One-way delay.
    pub delay: Duration,
    /// Random time on top.
    pub jitter: Jitter,
    /// Whether packets may overtake each other.
    pub reorder: bool,
    /// Random loss, in parts per million.
    pub loss_ppm: u32,
    /// Loss in bursts.
    pub burst: Option<GilbertElliott>,
    /// Damage, in parts per million.
    pub corrupt_ppm: u32,
    /// Doubles, in parts per million.
    pub duplicate_ppm: u32,
    /// The longest packet.
    pub mtu: Option<Mtu>,
    /// A limit for each flow.
    pub policer: Option<Policer>,
    /// The id of the shared queue in front.
    pub bottleneck: Option<u32>,
}

/// A translator on the user's side of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatOptions {
    /// How long a mapping lives without traffic.
    pub timeout: Duration,
    /// Whether packets from outside keep it alive too.
    pub inbound_refreshes: bool,
    /// Whether each remote end gets a mapping of its own.
    pub symmetric: bool,
    /// The lowest and the highest outside port.
    pub ports: (u16, u16),
}

impl NatOptions {
    /// For the link model, with this outside address.
    pub const fn config(&self, outside: IpAddr) -> NatConfig {
        NatConfig {
            outside,
            ports: self.ports,
            timeout: self.timeout,
            inbound_refreshes: self.inbound_refreshes,
            symmetric: self.symmetric,
        }
    }
}

/// Rates and delay for a fluid model: no loss, no queue, no headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nominal {
    /// Bytes of IP per second, up; no limit if `None`.
    pub up: Option<u64>,
    /// Bytes of IP per second, down; no limit if `None`.
    pub down: Option<u64>,
    /// Both one-way delays, without jitter and queue.
    pub rtt: Duration,
}

impl Link {
    /// One of its directions.
    pub const fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// The round trip without jitter and queue.
    pub fn rtt(&self) -> Duration {
        self.up.delay.saturating_add(self.down.delay)
    }

    /// Rates and delay for a fluid model. A shared queue in front is not counted.
    pub fn nominal(&self) -> Nominal {
        Nominal { up: self.up.rate, down: self.down.rate, rtt: self.rtt() }
    }

    /// For the link model. What is random comes from `seed` and the name.
    pub fn config(&self, seed: u64) -> LinkConfig {
        let way = |direction| self.direction_config(direction, seed);
        LinkConfig { up: way(Direction::Up), down: way(Direction::Down) }
    }

    /// The rate of one direction for the link model.
    pub(crate) fn rate(&self, direction: Direction, seed: u64) -> Rate {
        let way = self.way(direction);
        let Some(rate) = way.rate else { return Rate::Unlimited };
        match &way.vary {
            Vary::Steady => Rate::Fixed(rate),
            Vary::Trace { trace, offset, .. } => Rate::Trace { trace: Arc::clone(trace), offset: *offset },
            Vary::Lte(shape) => {
                let stream = if direction == Direction::Up { 10 } else { 11 };
                Rate::profile(lte(random::seed(seed, &self.name, stream), &Lte { rate, ..*shape }))
            }
            Vary::Leo(shape) => {
                // Both directions draw from one stream, so that they change hands at the same moments.
                let shape = Leo { up: rate, down: rate, ..*shape };
                let [up, down] = leo(random::seed(seed, &self.name, 12), &shape);
                Rate::profile(if direction == Direction::Up { up } else { down })
            }
        }
    }

    fn direction_config(&self, direction: Direction, seed: u64) -> DirectionConfig {
        let way = self.way(direction);
        DirectionConfig {
            rate: self.rate(direction, seed),
            queue: way.queue.resolve(way.rate, self.rtt()),
            codel: way.codel,
            mark_above: way.mark_above,
            delay: way.delay,
            jitter: way.jitter,
            reorder: way.reorder,
            loss_ppm: way.loss_ppm,
            burst: way.burst,
            corrupt_ppm: way.corrupt_ppm,
            duplicate_ppm: way.duplicate_ppm,
            mtu: way.mtu,
            policer: way.policer,
            bottleneck: way.bottleneck,
        }
    }

    /// One line for reports: `fibre 300/100 Mbit/s 5 ms` (down/up, round trip).
    pub fn summary(&self) -> String {
        let number = |rate: Option<u64>| rate.map(|rate| Speed(rate).parts());
        let rates = match (number(self.down.rate), number(self.up.rate)) {
            (None, None) => "unlimited".to_owned(),
            (Some(down), Some(up)) if down == up => format!("{} {}", down.0, down.1),
            (Some(down), Some(up)) if down.1 == up.1 => format!("{}/{} {}", down.0, up.0, down.1),
            (down, up) => {
                let text = |rate: Option<(String, &str)>| {
                    rate.map_or_else(|| "unlimited".to_owned(), |(value, unit)| format!("{value} {unit}"))
                };
                format!("{}/{}", text(down), text(up))
            }
        };
        let (time, unit) = Time(self.rtt()).parts();
        format!("{} {rates} {time} {unit}", self.name)
    }
}

/// A queue that links share: one for each direction, or one for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// Upwards: the id that links refer to, and the queue.
    pub up: (u32, BottleneckConfig),
    /// Downwards. The same id as `up` if both directions wait in one queue, as in the air.
    pub down: (u32, BottleneckConfig),
}

impl Shared {
    /// The queues: two, or one for both directions.
    pub fn configs(&self) -> Vec<(u32, BottleneckConfig)> {
        let mut configs = vec![self.up.clone()];
        if self.down.0 != self.up.0 {
            configs.push(self.down.clone());
        }
        configs
    }

    /// The id for a direction.
    pub const fn id(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Up => self.up.0,
            Direction::Down => self.down.0,
        }
    }
}

impl QueueSize {
    /// For the link model: at `rate` bytes per second and a round trip of `rtt`. Without a rate what needs one is
    /// no bound; the parser refuses that.
    pub fn resolve(self, rate: Option<u64>, rtt: Duration) -> Queue {
        match self {
            Self::Unlimited => Queue::default(),
            Self::Bytes(bytes) => Queue::Bytes(bytes),
            Self::Packets(packets) => Queue::Packets(packets),
            Self::Waiting(time) => Queue::Time(time),
            Self::Time(time) => rate.map_or_else(Queue::default, |rate| Queue::of(rate, time)),
            Self::Bdp(thousandths) => {
                let Some(rate) = rate else { return Queue::default() };
                let product = u128::from(rate).saturating_mul(rtt.as_nanos());
                let exact = product.saturating_mul(thousandths.into()) / 1_000_000_000_000;
                Queue::Bytes(u64::try_from(exact).unwrap_or(u64::MAX))
            }
            Self::Default => match rate.map(|rate| Queue::of(rate, rtt)) {
                Some(Queue::Bytes(bytes)) => Queue::Bytes(bytes.max(Self::LEAST)),
                _ => Queue::default(),
            },
        }
    }
}
