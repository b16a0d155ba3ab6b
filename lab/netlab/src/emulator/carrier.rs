//! Carrier: the router's end of a link that is down loses it, as when a cable is pulled.
//!
//! Decides that only an outage of both directions is visible; a cut in one direction just swallows packets. The
//! network's end never sees it: there is more behind a socket in the wall than a cable.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use tq_linkmodel::{Change, Direction, Duration, Instant, State};
use tq_packet::Device;
use tq_scenario::Scenario;
use tq_udp::Clock;

/// Moments at which a link's carrier comes (true) or goes, on [`Clock`].
pub(super) type Steps = Vec<(Instant, usize, bool)>;

enum Order {
    Start(Steps),
    Now(usize, bool),
}

/// A thread that switches interfaces.
pub(super) struct Carrier(Sender<Order>);

impl Carrier {
    /// For the router's end of each link. All have carrier.
    pub(super) fn new(devices: Vec<Device>) -> Self {
        let (to, from) = channel();
        thread::spawn(move || {
            let mut steps = Steps::new();
            loop {
                let until = steps.first().map_or(Duration::from_secs(3600), |(at, ..)| *at - Clock::now());
                match from.recv_timeout(until) {
                    Ok(Order::Now(link, up)) => switch(&devices, link, up),
                    Ok(Order::Start(fresh)) => {
                        (0..devices.len()).for_each(|link| switch(&devices, link, true));
                        steps = fresh;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        while steps.first().is_some_and(|(at, ..)| *at <= Clock::now()) {
                            let (_, link, up) = steps.remove(0);
                            switch(&devices, link, up);
                        }
                    }
                }
            }
        });
        Self(to)
    }

    /// Replaces what was planned; all links have carrier until then.
    pub(super) fn start(&self, steps: Steps) {
        // The thread lives as long as this value.
        let _ = self.0.send(Order::Start(steps));
    }

    /// At once.
    pub(super) fn now(&self, link: usize, up: bool) {
        let _ = self.0.send(Order::Now(link, up));
    }
}

fn switch(devices: &[Device], link: usize, up: bool) {
    if let Some(Err(error)) = devices.get(link).map(|device| device.set_up(up)) {
        eprintln!("carrier of link {link}: {error}");
    }
}

/// What a scenario's events mean for carriers.
pub(super) fn plan(scenario: &Scenario, seed: u64, epoch: Instant) -> Steps {
    let mut states = vec![[State::Up; 2]; scenario.links.len()];
    let mut steps = Steps::new();
    for timed in scenario.changes_with(seed) {
        let Change::State(state) = timed.change else { continue };
        let own = &mut states[timed.link];
        let carried = *own != [State::Down; 2];
        own[usize::from(timed.direction == Direction::Down)] = state;
        let carries = *own != [State::Down; 2];
        if carried != carries {
            let at = epoch + Duration::from_nanos(timed.at.as_nanos());
            steps.push((at, timed.link, carries));
        }
    }
    steps
}
