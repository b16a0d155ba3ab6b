//! A whole scenario, checked: what [`crate::parse`] gives and runners ask.

use tq_linkmodel::{BottleneckConfig, LinkConfig, NatConfig};
use tq_time::Duration;

use crate::bar::Bar;
use crate::event::Event;
use crate::host::Hosts;
use crate::link::{Link, Shared};
use crate::measure::{Measure, Window};
use crate::random;
use crate::traffic::{Flow, Kind, Traffic};

/// A scenario in which everything is resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: letters, digits, `-`, `.` and `_`.
    pub name: String,
    /// What it is for, for people.
    pub about: String,
    /// Where its numbers come from, if not from us.
    pub source: Option<String>,
    /// The seed to use unless the runner is told another.
    pub seed: u64,
    /// How long it runs at most.
    pub time: Duration,
    /// The links, in the order of the file. At least one.
    pub links: Vec<Link>,
    /// Queues that links share.
    pub bottlenecks: Vec<Shared>,
    /// What changes, as written. [`Scenario::changes`] and [`Scenario::acts`] have it expanded.
    pub events: Vec<Event>,
    /// Who sends what. At least one.
    pub traffic: Vec<Traffic>,
    /// The two ends.
    pub hosts: Hosts,
    /// What is measured, and when.
    pub measure: Measure,
    /// What must hold.
    pub bars: Vec<Bar>,
}

impl Scenario {
    /// The link with index `i` for the link model; a perfect wire if there is none. What is random in it (radio
    /// profiles) comes from `seed` and the link's name, so a link is the same alone and among others.
    pub fn link_config(&self, i: usize, seed: u64) -> LinkConfig {
        self.links.get(i).map(|link| link.config(seed)).unwrap_or_default()
    }

    /// The seed to give to [`tq_linkmodel::Link::new`] for link `i`: of `seed` and the link's name.
    pub fn link_seed(&self, i: usize, seed: u64) -> u64 {
        self.links.get(i).map_or(seed, |link| random::seed(seed, &link.name, 1))
    }

    /// The shared queues with the ids that [`Scenario::link_config`] uses.
    pub fn bottleneck_configs(&self) -> Vec<(u32, BottleneckConfig)> {
        self.bottlenecks.iter().flat_map(Shared::configs).collect()
    }

    /// The translator in front of link `i` on the user's side, if it has one; `outside` is the address that the
    /// network sees.
    pub fn nat_config(&self, i: usize, outside: std::net::IpAddr) -> Option<NatConfig> {
        self.links.get(i)?.nat.as_ref().map(|nat| nat.config(outside))
    }

    /// The index of the link with this name.
    pub fn link_named(&self, name: &str) -> Option<usize> {
        self.links.iter().position(|link| link.name == name)
    }

    /// Replaces traffic and bars by one download for `time` from the start, so that tools can be put side by side on the
    /// same links.
    pub fn make_download(&mut self, time: Duration) {
        self.traffic.truncate(1);
        for traffic in &mut self.traffic {
            traffic.kind = Kind::Bulk { bytes: None, streams: 1, sequential: false };
            (traffic.direction, traffic.start, traffic.stop) = (Flow::Down, Duration::ZERO, None);
        }
        self.measure.window = Window::Cold;
        self.time = time;
        self.bars.clear();
    }
}
