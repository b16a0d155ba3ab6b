//! What is looked at while a run goes on, and at its end: queues, windows, paths. Reading changes nothing.

use tq_linkmodel::Direction;
use tq_quic::sched::Health;
use tq_quic::{PathEvent, PathInfo};
use tq_time::Instant;

use super::build::{self, Host, Net};
use super::load;
use super::outcome::{Lane, Outcome, PathEnds, Sample};

impl Net {
    /// Queues, windows and paths now.
    pub(super) fn sample(&mut self, at: Instant) {
        let mut samples = Vec::with_capacity(self.lanes.len());
        for place in 0..self.lanes.len() {
            let (link, shared) = (self.lanes[place].link, self.lanes[place].shared);
            let mut sample = Sample { at, ..Sample::default() };
            for (way, direction) in Direction::BOTH.into_iter().enumerate() {
                let own = self.world.depth(link, direction);
                let shared = shared[way].and_then(|id| self.world.bottleneck_depth(id));
                sample.queued[way] = own.bytes;
                sample.waiting[way] = own.delay + shared.map(|depth| depth.delay).unwrap_or_default();
                sample.delivered[way] = self.world.counters(link, direction).delivered_bytes;
            }
            samples.push(sample);
        }
        let ends = self.pairs.first().map(|pair| [pair.client.clone(), pair.server.clone()]);
        for (side, host) in ends.into_iter().flatten().enumerate() {
            self.sample_end(side, &host, &mut samples);
        }
        for (lane, sample) in self.lanes.iter_mut().zip(samples) {
            lane.samples.push(sample);
        }
    }

    /// Windows of one end, and paths that are out to it.
    fn sample_end(&mut self, side: usize, host: &Host, samples: &mut [Sample]) {
        let host = host.borrow();
        let Some(connection) = host.handles().next().and_then(|first| host.connection(first)) else { return };
        let stats = connection.stats();
        let mut out = Vec::new();
        for (info, stats) in connection.paths().zip(&stats.paths) {
            if info.health == Health::Out && info.state.is_live() {
                out.push(info.id.0);
            }
            let place = if side == 0 { info.socket as usize } else { self.lane_of(&info) };
            let Some(sample) = samples.get_mut(place).filter(|_| info.state.is_live()) else { continue };
            sample.cwnd[side] = stats.cwnd;
            sample.srtt = stats.srtt;
        }
        let new = out.iter().filter(|id| !self.out[side].contains(id)).count();
        self.outs += new as u64;
        self.out[side] = out;
    }

    /// The lane of a server's path, by the client's address; else by the server's own, which is asked from that lane.
    fn lane_of(&self, info: &PathInfo) -> usize {
        let asked = || (0..self.lanes.len()).find(|place| info.local_ip == Some(build::server(*place)));
        build::lane_of(info.remote.ip()).or_else(asked).filter(|place| *place < self.lanes.len()).unwrap_or(0)
    }

    /// All that was seen.
    pub(super) fn finish(self) -> Outcome {
        let counters =
            |lane: &build::Lane| Direction::BOTH.map(|direction| self.world.counters(lane.link, direction));
        let lanes: Vec<Lane> = self
            .lanes
            .iter()
            .map(|lane| Lane { link: lane.index, counters: counters(lane), samples: lane.samples.clone() })
            .collect();
        let mut outcome = Outcome {
            lanes,
            seed: self.seed,
            end: self.world.now(),
            flows: self.running.iter().map(super::load::Running::flow).collect(),
            violations: load::violations(&self.ledger, self.world.now()),
            left_out: self.left_out.iter().chain(self.said.borrow().iter()).cloned().collect(),
            paths: self.paths(),
            ..Outcome::default()
        };
        if let Err(imbalance) = self.world.check() {
            outcome.violations.push(format!("the network lost count: {imbalance}"));
        }
        if let Some(pair) = self.pairs.first() {
            let updates = |host: &Host| {
                host.borrow()
                    .report()
                    .connections
                    .first()
                    .map_or(0, |connection| connection.stats.key_generation)
            };
            outcome.key_updates = [updates(&pair.client), updates(&pair.server)];
        }
        for pair in &self.pairs {
            let reports = [pair.client.borrow().report(), pair.server.borrow().report()];
            for report in &reports {
                let counters = report.counters();
                outcome.packets += counters.packets_sent;
                outcome.packets_lost += counters.packets_lost;
                let ended = report.connections.iter().filter_map(|connection| connection.error.as_ref());
                outcome.errors.extend(ended.map(ToString::to_string));
                outcome.errors.extend(report.failed.iter().map(|(_, why)| why.clone()));
            }
        }
        let connected: Vec<(bool, bool)> = self.running.iter().map(load::Running::connected).collect();
        outcome.handshakes = connected.iter().filter(|own| **own == (true, true)).count() as u64
            + u64::from(connected.contains(&(true, false)));
        outcome
    }

    /// What became of paths.
    fn paths(&self) -> PathEnds {
        let log = self.logs[0].borrow();
        let mut ends = PathEnds { abandons: log.abandons() as u64, outs: self.outs, ..PathEnds::default() };
        let refused = log.refused.iter().map(|(at, place, why)| {
            format!("{} s: the path on link {place}: {why}", at.as_nanos() as f64 / 1e9)
        });
        ends.refused.extend(refused);
        for (at, _, event) in self.logs.iter().flat_map(|log| log.borrow().told.clone()) {
            match event {
                PathEvent::Guard { path, action } => ends.guarded.push((at, path.0, action.name())),
                PathEvent::Group { path, group } => ends.grouped.push((at, path.0, group)),
                _ => {}
            }
        }
        ends.grouped.sort_unstable();
        if let Some(pair) = self.pairs.first() {
            for report in [pair.client.borrow().report(), pair.server.borrow().report()] {
                let paths = || report.connections.iter().flat_map(|connection| &connection.stats.paths);
                ends.twice += paths().map(|path| path.bytes_resent).sum::<u64>();
                ends.false_suspects += paths().map(|path| u64::from(path.false_suspects)).sum::<u64>();
            }
            let host = pair.client.borrow();
            if let Some(connection) = host.handles().next().and_then(|first| host.connection(first)) {
                ends.open = connection.paths().filter(|path| path.state.is_live()).count() as u64;
            }
        }
        ends
    }
}
