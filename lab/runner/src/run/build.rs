//! The world of a run: a client and a server at the two ends of one link, the scenario's time line, its programs.
//!
//! Changes of a link are announced at the start, so that packets that leave after one feel it. Decides which acts of
//! a scenario a single path can do; the others are told.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use tq_linkmodel::Direction;
use tq_quic::TransportConfig;
use tq_scenario::{Act, Action, Cc, Kind, Scenario};
use tq_sim::app::{App, Many, Serve};
use tq_sim::entropy::derive;
use tq_sim::ledger::Ledger;
use tq_sim::qlog::Qlog;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{End, LinkId, NatId, NodeId, World};
use tq_time::Instant;

use super::load::{self, Running};
use super::outcome::{Outcome, Sample};
use super::{Plan, host};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

type Host = Rc<RefCell<QuicHost>>;

/// A run that is built.
pub(super) struct Net {
    pub(super) world: World,
    scenario_link: usize,
    seed: u64,
    link: LinkId,
    shared: [Option<u32>; 2],
    hosts: Vec<(Host, Host)>,
    running: Vec<Running>,
    ledger: Ledger,
    left_out: Vec<String>,
}

impl Net {
    pub(super) fn build(plan: Plan<'_>) -> Result<Self> {
        let Plan { scenario, link: index, seed, cc, pcap, qlog } = plan;
        let mut world = World::new(derive(seed, 1));
        world.udp_checksum(true);
        for (id, config) in scenario.bottleneck_configs() {
            world.bottleneck(id, &config);
        }
        let (client, server) = (world.host("client"), world.host("server"));
        let named = &scenario.links[index];
        let link = world.link_seeded(
            named.name.clone(),
            End::new(client, CLIENT),
            End::new(server, SERVER),
            &scenario.link_config(index, seed),
            scenario.link_seed(index, seed),
        );
        let nat =
            scenario.nat_config(index, IpAddr::V4(OUTSIDE)).and_then(|nat| world.nat(link, client, nat));
        let shared = [named.up.bottleneck, named.down.bottleneck];
        if let Some(out) = pcap {
            world.capture_link(link, out)?;
        }
        let ledger = Ledger::new(derive(seed, 2));
        let mut net = Self {
            world,
            scenario_link: index,
            seed,
            link,
            shared,
            hosts: Vec::new(),
            running: Vec::new(),
            ledger,
            left_out: Vec::new(),
        };
        net.programs(scenario, [client, server], cc, qlog.as_ref());
        net.time_line(scenario, nat, client);
        net.left_out.sort();
        net.left_out.dedup();
        Ok(net)
    }

    /// The scenario's connection with all its traffic, and one connection for each that competes.
    fn programs(&mut self, scenario: &Scenario, nodes: [NodeId; 2], cc: Option<Cc>, qlog: Option<&Qlog>) {
        let bin = load::grain(scenario.time);
        let mut own = Many::new();
        let mut beside = Vec::new();
        for (at, traffic) in scenario.traffic.iter().enumerate() {
            if !traffic.over.contains(&self.scenario_link) {
                self.left_out.push(format!("traffic {}: it is for other links", traffic.name));
                continue;
            }
            let made = load::programs(traffic, at, bin, self.seed, &self.ledger);
            let start = Instant::ZERO + traffic.start;
            for (app, running) in made {
                self.running.push(running);
                match traffic.kind {
                    Kind::Competing { cc, .. } => beside.push((app, cc, start)),
                    _ => own = own.and_boxed(app),
                }
            }
        }
        let mut left_out = std::mem::take(&mut self.left_out);
        let (up, up_segments) = host::transport(&scenario.hosts.client, cc, &mut left_out);
        let (down, down_segments) = host::transport(&scenario.hosts.server, cc, &mut left_out);
        let transports = [(up, up_segments), (down, down_segments)];
        self.pair(nodes, 0, &transports, Box::new(own), Instant::ZERO, qlog);
        for (number, (app, theirs, start)) in (1..).zip(beside) {
            let (instead, why) = host::algorithm(theirs);
            left_out.extend(why);
            let other = |transport: &Arc<TransportConfig>| {
                let mut transport = TransportConfig::clone(transport);
                transport.congestion = instead;
                Arc::new(transport)
            };
            let transports = transports.each_ref().map(|(transport, segments)| (other(transport), *segments));
            self.pair(nodes, number, &transports, app, start, qlog);
        }
        self.left_out = left_out;
    }

    /// Client and server number `number`, and a connection between them.
    fn pair(
        &mut self,
        nodes: [NodeId; 2],
        number: u16,
        transports: &[(Arc<TransportConfig>, usize); 2],
        app: Box<dyn App>,
        start: Instant,
        qlog: Option<&Qlog>,
    ) {
        let [(up, up_segments), (down, down_segments)] = transports;
        let label = 16 * (u64::from(number) + 1);
        let seed = |part: u64| derive(self.seed, label + part);
        let tls = |part| Arc::new(SeededTls::new(seed(part), TlsConfig::default()));
        let books = self.ledger.clone();
        let setup = ServerSetup::new(tls(1), Arc::clone(down), move |_| Box::new(Serve::new(&books)));
        let remote = SocketAddr::new(SERVER.into(), 443 + number);
        let mut config = HostConfig::server(seed(2), remote, setup);
        (config.segments, config.qlog) = (*down_segments, qlog.cloned());
        let server = Rc::new(RefCell::new(QuicHost::new(config)));
        let mut config = HostConfig::client(seed(3), SocketAddr::new(CLIENT.into(), 4000 + number));
        (config.segments, config.qlog) = (*up_segments, qlog.cloned());
        let mut client = QuicHost::new(config);
        let mut connect = Connect::new(start, remote, tls(4), Arc::clone(up), Nothing);
        connect.app = app;
        client.connect(connect);
        let client = Rc::new(RefCell::new(client));
        self.world.spawn(nodes[0], Box::new(Rc::clone(&client)));
        self.world.spawn(nodes[1], Box::new(Rc::clone(&server)));
        self.hosts.push((client, server));
    }

    /// Announces what changes, and plans what hosts do.
    fn time_line(&mut self, scenario: &Scenario, nat: Option<NatId>, client: NodeId) {
        for timed in scenario.changes_with(self.seed) {
            if timed.link == self.scenario_link {
                self.world.set_direction(self.link, timed.direction, timed.at, timed.change);
            }
        }
        for (number, act) in (0..).zip(scenario.acts_with(self.seed)) {
            if act.link.is_none_or(|link| link == self.scenario_link)
                && let Err(why) = self.act(&act, nat, client, number)
            {
                self.left_out.push(why.to_owned());
            }
        }
    }

    fn act(&mut self, act: &Act, nat: Option<NatId>, client: NodeId, number: u8) -> Result<(), &'static str> {
        let (at, link) = (act.at, self.link);
        // Another address of the documentation range each time.
        let fresh = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2 + number % 250));
        match (&act.action, nat) {
            (Action::Rebind, Some(nat)) => self.world.at(at, move |world| world.rebind(nat)),
            (Action::Rebind, None) => return Err("rebind: the link has no translator"),
            (Action::Address(to), Some(nat)) => {
                let to = to.unwrap_or(fresh);
                self.world.at(at, move |world| world.rebind_to(nat, to));
            }
            (Action::Address(to), None) => {
                let to = to.unwrap_or(IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2 + number % 250)));
                self.world.at(at, move |world| world.move_address(link, client, to));
                for (port, (client, _)) in (4000..).zip(&self.hosts) {
                    client.borrow_mut().rebind(at, 0, SocketAddr::new(to, port));
                }
            }
            (Action::Abandon | Action::Open | Action::Standby | Action::Available, _) => {
                return Err("paths that open, close or stand by: needs the bond");
            }
            (Action::KeyUpdate(_), _) => return Err("key-update: the core decides itself when"),
            (Action::Stall(..), _) => return Err("stall: simulated programs always run"),
            (Action::Reader { .. }, _) => return Err("pause-reader: simulated programs always read"),
            (Action::Unreachable(_), _) => return Err("unreachable: the simulated link cannot answer"),
            (Action::DropPackets { .. }, _) => return Err("drop-packets: the simulated link cannot count"),
        }
        Ok(())
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn is_done(&self) -> bool {
        let own = &self.running;
        let over = |running: &Running| running.done().is_some() || running.closed();
        own.iter().filter(|running| running.finite).all(over)
            && (own.iter().any(|running| running.finite) || own.iter().all(over))
    }

    /// Queue and window now.
    pub(super) fn sample(&mut self, at: Instant) -> Sample {
        let mut sample = Sample { at, ..Sample::default() };
        for (way, direction) in Direction::BOTH.into_iter().enumerate() {
            let own = self.world.depth(self.link, direction);
            let shared = self.shared[way].and_then(|id| self.world.bottleneck_depth(id));
            sample.queued[way] = own.bytes;
            sample.waiting[way] = own.delay + shared.map(|depth| depth.delay).unwrap_or_default();
        }
        let Some((client, server)) = self.hosts.first() else { return sample };
        for (side, host) in [client, server].into_iter().enumerate() {
            let host = host.borrow();
            let stats = host.handles().next().and_then(|first| host.connection(first)).map(|c| c.stats());
            if let Some(path) = stats.as_ref().and_then(|stats| stats.paths.first()) {
                (sample.cwnd[side], sample.srtt) = (path.cwnd, path.srtt);
            }
        }
        sample
    }

    /// All that was seen.
    pub(super) fn finish(self, samples: Vec<Sample>) -> Outcome {
        let mut outcome = Outcome {
            link: self.scenario_link,
            seed: self.seed,
            end: self.world.now(),
            flows: self.running.iter().map(Running::flow).collect(),
            samples,
            counters: Direction::BOTH.map(|direction| self.world.counters(self.link, direction)),
            violations: load::violations(&self.ledger, self.world.now()),
            left_out: self.left_out,
            ..Outcome::default()
        };
        if let Err(imbalance) = self.world.check() {
            outcome.violations.push(format!("the network lost count: {imbalance}"));
        }
        for (client, server) in &self.hosts {
            let (client, server) = (client.borrow().report(), server.borrow().report());
            for report in [&client, &server] {
                let counters = report.counters();
                outcome.packets += counters.packets_sent;
                outcome.packets_lost += counters.packets_lost;
                let ended = report.connections.iter().filter_map(|connection| connection.error.as_ref());
                outcome.errors.extend(ended.map(ToString::to_string));
                outcome.errors.extend(report.failed.iter().map(|(_, why)| why.clone()));
            }
        }
        let connected: Vec<(bool, bool)> = self.running.iter().map(Running::connected).collect();
        outcome.handshakes = connected.iter().filter(|own| **own == (true, true)).count() as u64
            + u64::from(connected.contains(&(true, false)));
        outcome
    }
}

/// A program that does nothing.
struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut tq_sim::app::AppContext<'_>, _: &tq_quic::Event) {}
}
