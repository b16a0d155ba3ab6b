//! A case of the grid in the language of scenarios: links as they are, one download over all of them, no bars.

use tq_linkmodel::Jitter;
use tq_scenario::{Cost, Flow, Host, Hosts, Kind, Link, Measure, QueueSize, Scenario, Traffic, Way, Window};
use tq_time::Duration;

use super::{GridCase, GridLink};

/// Virtual time after which a transfer is given up.
const PATIENCE: Duration = Duration::from_secs(7200);

/// The case as a scenario: its transfer, cold.
pub fn scenario(case: &GridCase) -> Scenario {
    let links: Vec<Link> = case.links.iter().enumerate().map(link).collect();
    let traffic = Traffic {
        name: "bulk".into(),
        kind: Kind::Bulk { bytes: Some(case.load.bytes), streams: 1, sequential: false },
        direction: Flow::Down,
        start: Duration::ZERO,
        stop: None,
        over: (0..links.len()).collect(),
        class: None,
    };
    Scenario {
        name: case.id.clone(),
        about: String::new(),
        source: None,
        seed: 1,
        time: PATIENCE,
        links,
        bottlenecks: Vec::new(),
        events: Vec::new(),
        traffic: vec![traffic],
        hosts: Hosts { client: Host::default(), server: Host::default() },
        measure: Measure::default(),
        bars: Vec::new(),
    }
}

fn link((at, link): (usize, &GridLink)) -> Link {
    let way = |rate, delay, queue| Way {
        rate: Some(rate),
        delay,
        queue: QueueSize::Bytes(queue),
        loss_ppm: link.loss_ppm,
        jitter: Jitter::Uniform(link.jitter),
        ..Way::default()
    };
    Link {
        name: format!("{}-{}", link.name, at + 1),
        preset: None,
        up: way(link.rate_up, link.delay_up, link.queue_up),
        down: way(link.rate_down, link.delay_down, link.queue_down),
        nat: None,
        cost: Cost::Flat,
        standby: false,
    }
}

/// The same links under a download without end, measured warm (docs/scenarios.md): from 5 s or 20 round trips on, for so
/// long.
pub fn warm(case: &GridCase, length: Duration) -> Scenario {
    let mut scenario = scenario(case);
    let longest = case.links.iter().map(GridLink::rtt).max().unwrap_or_default();
    let from = (20 * longest).max(Duration::from_secs(5));
    scenario.make_download(from + length);
    scenario.measure.window = Window::Warm { from, length };
    scenario
}
