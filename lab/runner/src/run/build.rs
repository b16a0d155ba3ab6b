//! The world of a run: a client and a server at the two ends of the links that are played, the scenario's time line, its
//! programs. A single link joins client and server. Several join interfaces of the client with a router in front of the
//! server, which has an address for each; the handshake is raced over all of them, the client opens a path on each, and the
//! server answers from the address that was asked.
//!
//! Changes of a link are announced at the start, so that packets that leave after one feel it. Decides which acts of
//! a scenario can be done; the others are told.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use tq_linkmodel::{Change, LinkConfig};
use tq_quic::TransportConfig;
use tq_scenario::{Act, Action, Flow, Kind, Scenario, Side};
use tq_sim::app::{
    App, AppContext, Bond, BondSpec, Many, PathLog, PathOrder, PathWatch, Serve, Shared as Report, Way,
};
use tq_sim::entropy::derive;
use tq_sim::ledger::Ledger;
use tq_sim::qlog::Qlog;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{End, LinkId, NatId, NodeId, Prefix, World};
use tq_time::Instant;

use super::load::{self, Running};
use super::outcome::Sample;
use super::{Plan, host};

pub(super) type Host = Rc<RefCell<QuicHost>>;

/// A link that is played.
pub(super) struct Lane {
    /// Its place in the scenario.
    pub(super) index: usize,
    pub(super) link: LinkId,
    pub(super) shared: [Option<u32>; 2],
    nat: Option<NatId>,
    pub(super) samples: Vec<Sample>,
}

/// Two hosts with a connection between them.
pub(super) struct Pair {
    pub(super) client: Host,
    pub(super) server: Host,
    /// The lanes it may use; the client's sockets are in this order.
    places: Vec<usize>,
}

/// A run that is built.
pub(super) struct Net {
    pub(super) world: World,
    pub(super) seed: u64,
    pub(super) lanes: Vec<Lane>,
    pub(super) pairs: Vec<Pair>,
    pub(super) running: Vec<Running>,
    pub(super) ledger: Ledger,
    /// What the two ends were told of paths.
    pub(super) logs: [Report<PathLog>; 2],
    /// Times a path was found out that was not before, at either end, and which are now.
    pub(super) outs: u64,
    pub(super) out: [Vec<u32>; 2],
    pub(super) left_out: Vec<String>,
    /// The same of what was to be done during the run.
    pub(super) said: Report<Vec<String>>,
}

/// Addresses of the client's interface on the lane at `place`, of its translator's outside, of the server's interface.
fn client(place: usize) -> IpAddr {
    Ipv4Addr::new(10, place as u8, 0, 2).into()
}

fn outside(place: usize) -> IpAddr {
    Ipv4Addr::new(203, 0, 113 + place as u8, 1).into()
}

pub(super) fn server(place: usize) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, 1 + place as u8).into()
}

fn router_end(place: usize) -> IpAddr {
    Ipv4Addr::new(10, place as u8, 0, 1).into()
}

/// Which lane an address of the client's side belongs to; `None` if a scenario named it.
pub(super) fn lane_of(remote: IpAddr) -> Option<usize> {
    match remote {
        IpAddr::V4(ip) => match ip.octets() {
            [10, place, ..] => Some(place.into()),
            [203, 0, third, _] => third.checked_sub(113).map(usize::from),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// A router in front of the server if there are several links, joined by a wire that costs nothing.
fn front(world: &mut World, server_node: NodeId, links: usize) -> Option<NodeId> {
    if links < 2 {
        return None;
    }
    let router = world.router("router");
    let wire = world.link(
        "wire",
        End::new(router, Ipv4Addr::new(198, 51, 100, 254)),
        End::new(server_node, server(0)),
        &LinkConfig::default(),
    );
    (1..links).for_each(|place| world.add_address(wire, server_node, server(place)));
    Some(router)
}

/// What the two ends of a pair are made of.
type Transports = [(Arc<TransportConfig>, host::Grain); 2];

impl Net {
    pub(super) fn build(plan: Plan<'_>) -> Result<Self> {
        let Plan { scenario, links, seed, cc, scheduler, calm, race, pcap, qlog, decisions } = plan;
        let mut world = World::new(derive(seed, 1));
        world.udp_checksum(true);
        for (id, config) in scenario.bottleneck_configs() {
            world.bottleneck(id, &config);
        }
        let nodes = [world.host("client"), world.host("server")];
        let far = front(&mut world, nodes[1], links.len());
        let mut lanes = Vec::new();
        for (place, index) in links.iter().copied().enumerate() {
            let named = &scenario.links[index];
            let link = world.link_seeded(
                named.name.clone(),
                End::new(nodes[0], client(place)),
                far.map_or(End::new(nodes[1], server(place)), |router| End::new(router, router_end(place))),
                &scenario.link_config(index, seed),
                scenario.link_seed(index, seed),
            );
            if let Some(router) = far {
                // each address of the client's is reached over its own link, not over the shortest way
                let named = scenario.acts_with(seed).into_iter().filter(|act| act.link == Some(index));
                let named = named.filter_map(|act| match act.action {
                    Action::Address(to) => to,
                    _ => None,
                });
                for (address, bits) in [(client(place), 16), (outside(place), 24)] {
                    world.route(router, Prefix::new(address, bits), link);
                }
                named.for_each(|address| world.route(router, address, link));
            }
            let nat = scenario.nat_config(index, outside(place));
            let nat = nat.and_then(|nat| world.nat(link, nodes[0], nat));
            let shared = [named.up.bottleneck, named.down.bottleneck];
            lanes.push(Lane { index, link, shared, nat, samples: Vec::new() });
        }
        for (lane, out) in lanes.iter().zip(pcap) {
            world.capture_link(lane.link, out)?;
        }
        let mut net = Self {
            world,
            seed,
            lanes,
            pairs: Vec::new(),
            running: Vec::new(),
            ledger: Ledger::new(derive(seed, 2)),
            logs: Default::default(),
            outs: 0,
            out: Default::default(),
            left_out: Vec::new(),
            said: Report::default(),
        };
        let orders = net.time_line(scenario, nodes[0], calm);
        let mut transports = [&scenario.hosts.client, &scenario.hosts.server]
            .map(|end| host::transport(end, cc, &mut net.left_out));
        if net.lanes.len() > 1 {
            for ((transport, _), end) in
                transports.iter_mut().zip([&scenario.hosts.client, &scenario.hosts.server])
            {
                host::several(transport, end, net.lanes.len(), scheduler, &mut net.left_out);
            }
        }
        for (transport, _) in &mut transports {
            Arc::make_mut(transport).record_decisions = decisions;
        }
        net.programs(scenario, nodes, transports, (orders, race), qlog.as_ref());
        net.moves(scenario);
        net.orders(scenario);
        net.left_out.sort();
        net.left_out.dedup();
        Ok(net)
    }

    fn place_of(&self, index: usize) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.index == index)
    }

    /// The scenario's connection with all its traffic, and one connection for each that competes.
    fn programs(
        &mut self,
        scenario: &Scenario,
        nodes: [NodeId; 2],
        transports: Transports,
        (orders, race): (Vec<(Instant, usize, PathOrder)>, bool),
        qlog: Option<&Qlog>,
    ) {
        let bin = load::grain(scenario.time);
        let mut own = Many::new();
        let mut beside = Vec::new();
        for (at, traffic) in scenario.traffic.iter().enumerate() {
            let on: Vec<usize> = traffic.over.iter().filter_map(|index| self.place_of(*index)).collect();
            let Some(first) = on.first().copied() else {
                self.left_out.push(format!("traffic {}: it is for other links", traffic.name));
                continue;
            };
            let rests = rests(scenario, at, self.seed);
            if !rests.is_empty()
                && !matches!((&traffic.kind, traffic.direction), (Kind::Bulk { .. }, Flow::Down))
            {
                self.left_out.push(format!("pause-reader: {} always reads", traffic.name));
            }
            let made = load::programs(traffic, at, bin, self.seed, &self.ledger, rests);
            let start = Instant::ZERO + traffic.start;
            let competes = matches!(traffic.kind, Kind::Competing { .. });
            if on.len() < self.lanes.len() && !competes {
                self.left_out.push(format!("traffic {}: it is not kept to its links", traffic.name));
            }
            for (app, running) in made {
                self.running.push(running);
                match traffic.kind {
                    Kind::Competing { cc, .. } => beside.push((app, cc, start, first)),
                    _ => own = own.and_boxed(app),
                }
            }
        }
        let places: Vec<usize> = (0..self.lanes.len()).collect();
        if places.len() > 1 {
            let ways = places.iter().map(|place| Way {
                socket: *place as u32,
                local: client(*place),
                remote: SocketAddr::new(server(*place), 443),
                standby: scenario.links[self.lanes[*place].index].standby,
            });
            let spec = BondSpec { ways: ways.collect(), orders, race, ..BondSpec::default() };
            let (bond, log) = Bond::new(spec);
            self.logs[0] = log;
            own = own.and(bond);
        }
        self.pair(nodes, 0, &transports, Box::new(own), Instant::ZERO, &places, qlog);
        for (number, (app, theirs, start, place)) in (1..).zip(beside) {
            let (instead, why) = host::algorithm(theirs);
            self.left_out.extend(why);
            let other = |transport: &Arc<TransportConfig>| {
                let mut transport = TransportConfig::clone(transport);
                (transport.congestion, transport.max_paths) = (Some(instead), None);
                Arc::new(transport)
            };
            let transports = transports.each_ref().map(|(transport, grain)| (other(transport), *grain));
            self.pair(nodes, number, &transports, app, start, &[place], qlog);
        }
    }

    /// Client and server number `number`, and a connection between them over the lanes at `places`.
    fn pair(
        &mut self,
        nodes: [NodeId; 2],
        number: u16,
        transports: &Transports,
        app: Box<dyn App>,
        start: Instant,
        places: &[usize],
        qlog: Option<&Qlog>,
    ) {
        let [(up, near_grain), (down, far_grain)] = transports;
        let label = 16 * (u64::from(number) + 1);
        let seed = |part: u64| derive(self.seed, label + part);
        let tls = |part| Arc::new(SeededTls::new(seed(part), TlsConfig::default()));
        let (books, log, first) = (self.ledger.clone(), Rc::clone(&self.logs[1]), number == 0);
        let setup = ServerSetup::new(tls(1), Arc::clone(down), move |_| {
            let serve = Serve::new(&books);
            if first { Box::new(Many::new().and(serve).and(PathWatch::new(&log))) } else { Box::new(serve) }
        });
        let remote = SocketAddr::new(server(places[0]), 443 + number);
        let listens = match places {
            [_] => remote,
            _ => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), remote.port()),
        };
        let mut config = HostConfig::server(seed(2), listens, setup);
        (config.segments, config.tick, config.qlog) = (far_grain.segments, far_grain.tick, qlog.cloned());
        let far = Rc::new(RefCell::new(QuicHost::new(config)));
        let sockets = places.iter().map(|place| SocketAddr::new(client(*place), 4000 + number)).collect();
        let mut config = HostConfig::client_on(seed(3), sockets);
        (config.segments, config.tick, config.qlog) = (near_grain.segments, near_grain.tick, qlog.cloned());
        let mut near = QuicHost::new(config);
        let mut connect = Connect::new(start, remote, tls(4), Arc::clone(up), Nothing);
        connect.app = app;
        near.connect(connect);
        let near = Rc::new(RefCell::new(near));
        self.world.spawn(nodes[0], Box::new(Rc::clone(&near)));
        self.world.spawn(nodes[1], Box::new(Rc::clone(&far)));
        self.pairs.push(Pair { client: near, server: far, places: places.to_vec() });
    }

    /// Announces what changes, and plans what translators do; gives back what the client is to do about paths.
    fn time_line(
        &mut self,
        scenario: &Scenario,
        node: NodeId,
        calm: bool,
    ) -> Vec<(Instant, usize, PathOrder)> {
        for timed in scenario.changes_with(self.seed) {
            let calmed = calm && matches!(timed.change, Change::State(_));
            if let Some(place) = self.place_of(timed.link).filter(|_| !calmed) {
                let link = self.lanes[place].link;
                self.world.set_direction(link, timed.direction, timed.at, timed.change);
            }
        }
        let mut orders = Vec::new();
        for (number, act) in (0..).zip(scenario.acts_with(self.seed)) {
            let place = match act.link {
                None => Some(0),
                Some(link) => self.place_of(link),
            };
            let Some(place) = place else { continue };
            match self.act(&act, place, node, number) {
                Ok(order) => orders.extend(order.map(|order| (act.at, place, order))),
                Err(why) => self.left_out.push(why.to_owned()),
            }
        }
        orders
    }

    fn act(
        &mut self,
        act: &Act,
        place: usize,
        node: NodeId,
        number: u8,
    ) -> Result<Option<PathOrder>, &'static str> {
        let at = act.at;
        let Lane { link, nat, .. } = self.lanes[place];
        match (&act.action, nat) {
            (Action::Rebind, Some(nat)) => self.world.at(at, move |world| world.rebind(nat)),
            (Action::Rebind, None) => return Err("rebind: the link has no translator"),
            (Action::Address(to), Some(nat)) => {
                let to = to.unwrap_or(fresh(number, place, true));
                self.world.at(at, move |world| world.rebind_to(nat, to));
            }
            (Action::Address(to), None) => {
                let to = to.unwrap_or(fresh(number, place, false));
                self.world.at(at, move |world| world.move_address(link, node, to));
            }
            (Action::Abandon | Action::Open | Action::Standby | Action::Available, _)
                if self.lanes.len() == 1 =>
            {
                return Err("paths that open, close or stand by: there is one link");
            }
            (Action::Abandon, _) => return Ok(Some(PathOrder::Abandon)),
            (Action::Open, _) => return Ok(Some(PathOrder::Open)),
            (Action::Standby, _) => return Ok(Some(PathOrder::Standby)),
            (Action::Available, _) => return Ok(Some(PathOrder::Available)),
            // what is about a host is done when there is one, a reader's when it is made
            (Action::KeyUpdate(_) | Action::Stall(..) | Action::Reader { .. }, _) => {}
            (Action::Unreachable(_), _) => return Err("unreachable: the simulated link cannot answer"),
            (Action::DropPackets { .. }, _) => return Err("drop-packets: the simulated link cannot count"),
        }
        Ok(None)
    }

    /// Sockets follow interfaces that get another address.
    fn moves(&mut self, scenario: &Scenario) {
        for (number, act) in (0..).zip(scenario.acts_with(self.seed)) {
            let place = act.link.map_or(Some(0), |link| self.place_of(link));
            if let (Action::Address(to), Some(place)) = (&act.action, place)
                && self.lanes[place].nat.is_none()
            {
                let to = to.unwrap_or(fresh(number, place, false));
                for (port, pair) in (4000..).zip(&self.pairs) {
                    let socket = pair.places.iter().position(|own| *own == place);
                    if let Some(socket) = socket {
                        let address = SocketAddr::new(to, port);
                        pair.client.borrow_mut().rebind(act.at, socket as u32, address);
                    }
                }
            }
        }
    }

    /// Hosts that do not run for a while, or update their keys.
    fn orders(&mut self, scenario: &Scenario) {
        let Some(pair) = self.pairs.first() else { return };
        let host = |side: &Side| match side {
            Side::Client => Rc::clone(&pair.client),
            Side::Server => Rc::clone(&pair.server),
        };
        for act in scenario.acts_with(self.seed) {
            match &act.action {
                Action::Stall(side, lasts) => host(side).borrow_mut().stall(act.at, *lasts),
                Action::KeyUpdate(side) => {
                    let (host, said) = (host(side), Rc::clone(&self.said));
                    self.world.at(act.at, move |world| {
                        let (now, first) = (world.now(), host.borrow().handles().next());
                        let update = |cx: &mut AppContext<'_>| cx.connection().update_keys(now);
                        let done =
                            first.and_then(|first| host.borrow_mut().with_connection(now, first, update));
                        if done != Some(true) {
                            said.borrow_mut().push("key-update: not allowed then".to_owned());
                        }
                    });
                }
                _ => {}
            }
        }
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn is_done(&self) -> bool {
        let own = &self.running;
        let over = |running: &Running| running.done().is_some() || running.closed();
        own.iter().filter(|running| running.finite).all(over)
            && (own.iter().any(|running| running.finite) || own.iter().all(over))
    }
}

/// Another address of a documentation range (behind a translator: its outside) each time.
fn fresh(number: u8, place: usize, nat: bool) -> IpAddr {
    let (last, place) = (2 + number % 250, place as u8);
    match nat {
        true => Ipv4Addr::new(203, 0, 113 + place, last).into(),
        false => Ipv4Addr::new(10, place, 1, last).into(),
    }
}

/// From when to when nobody reads a traffic.
fn rests(scenario: &Scenario, traffic: usize, seed: u64) -> Vec<(Instant, Instant)> {
    let mut rests: Vec<(Instant, Instant)> = Vec::new();
    for act in scenario.acts_with(seed) {
        match (act.action, rests.last_mut()) {
            (Action::Reader { traffic: of, .. }, _) if of != traffic => {}
            (Action::Reader { reads: true, .. }, Some((_, to))) => *to = act.at,
            (Action::Reader { reads: false, .. }, _) => rests.push((act.at, Instant::from_nanos(u64::MAX))),
            _ => {}
        }
    }
    rests
}

/// A program that does nothing.
struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut AppContext<'_>, _: &tq_quic::Event) {}
}
