//! Hosts with several interfaces, and hosts that are reached into while they sleep.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tq_linkmodel::{Change, Direction, DirectionConfig, LinkConfig, Rate, State};
use tq_quic::TransportConfig;
use tq_sim::app::{
    App, Bond, BondSpec, Bulk, BulkReport, BulkSpec, Many, PathLog, Requests, RequestsSpec, Serve, Shared,
    Way, When,
};
use tq_sim::entropy::Quantiles;
use tq_sim::ledger::Ledger;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{End, LinkId, Point, Seen, Tap, Where, World};
use tq_time::Instant;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn near(link: usize) -> SocketAddr {
    SocketAddr::from(([10, link as u8, 0, 2], 4000))
}

fn far(link: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + link as u8], 443))
}

struct Stage {
    world: World,
    links: Vec<LinkId>,
    client: Rc<RefCell<QuicHost>>,
    server: Rc<RefCell<QuicHost>>,
    ledger: Ledger,
    transport: Arc<TransportConfig>,
}

impl Stage {
    /// So many links of 20 Mbit/s and 10 ms each way between a client and a server.
    fn new(count: usize) -> Self {
        Self::of(&vec![(20, 10); count])
    }

    /// Links of so many Mbit/s and ms each way.
    fn of(links: &[(u64, u64)]) -> Self {
        let mut world = World::new(1);
        let nodes = [world.host("client"), world.host("server")];
        let count = links.len();
        let links = links.iter().enumerate().map(|(link, (mbps, delay))| {
            let way = DirectionConfig {
                rate: Rate::Fixed(mbps * 125_000),
                delay: Duration::from_millis(*delay),
                ..DirectionConfig::default()
            };
            let config = LinkConfig { up: way.clone(), down: way };
            let ends = [End::new(nodes[0], near(link).ip()), End::new(nodes[1], far(link).ip())];
            world.link(format!("{link}"), ends[0], ends[1], &config)
        });
        let links: Vec<LinkId> = links.collect();
        let ledger = Ledger::new(2);
        let mut transport = TransportConfig::default();
        transport.max_paths = Some(4);
        let transport = Arc::new(transport);
        let books = ledger.clone();
        let setup = ServerSetup::new(tls(3), Arc::clone(&transport), move |_| Box::new(Serve::new(&books)));
        let listens = SocketAddr::from(([0, 0, 0, 0], 443));
        let server = Rc::new(RefCell::new(QuicHost::new(HostConfig::server(4, listens, setup))));
        let sockets = (0..count).map(near).collect();
        let client = Rc::new(RefCell::new(QuicHost::new(HostConfig::client_on(5, sockets))));
        world.spawn(nodes[0], Box::new(Rc::clone(&client)));
        world.spawn(nodes[1], Box::new(Rc::clone(&server)));
        Self { world, links, client, server, ledger, transport }
    }

    fn connect(&self, when: Instant, app: impl App + 'static) {
        let connect = Connect::new(when, far(0), tls(6), Arc::clone(&self.transport), app);
        self.client.borrow_mut().connect(connect);
    }

    fn download(&self, bytes: u64) -> (Bulk, Shared<BulkReport>) {
        let spec = BulkSpec { bytes: Some(bytes), when: When::default(), ..BulkSpec::default() };
        Bulk::new(spec, &self.ledger)
    }

    /// A path on every link.
    fn paths(&self) -> (Bond, Shared<PathLog>) {
        let way = |link: usize| Way {
            socket: link as u32,
            local: near(link).ip(),
            remote: far(link),
            standby: false,
        };
        let ways = (0..self.links.len()).map(way).collect();
        Bond::new(BondSpec { ways, ..BondSpec::default() })
    }

    /// A download with a path on every link.
    fn bond(&self, bytes: u64) -> (Many, Shared<BulkReport>, Shared<PathLog>) {
        let (bond, log) = self.paths();
        let (bulk, report) = self.download(bytes);
        (Many::new().and(bulk).and(bond), report, log)
    }
}

fn tls(seed: u64) -> Arc<SeededTls> {
    Arc::new(SeededTls::new(seed, TlsConfig::default()))
}

struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut tq_sim::app::AppContext<'_>, _: &tq_quic::Event) {}
}

#[test]
fn a_host_that_sleeps_is_woken_by_a_new_connection() {
    let mut stage = Stage::new(1);
    stage.world.run_until(at(5000)).expect("a run");
    let (app, report) = stage.download(100_000);
    stage.connect(at(5000), app);
    stage.world.run_until(at(7000)).expect("a run");
    assert!(report.borrow().life.done.is_some());
}

#[test]
fn a_connection_closed_from_outside_tells_its_peer_at_once() {
    let mut stage = Stage::new(1);
    stage.connect(at(0), Nothing);
    stage.world.run_until(at(5000)).expect("a run");
    let handle = stage.client.borrow().handles().next().expect("a connection");
    stage.client.borrow_mut().with_connection(at(5000), handle, |cx| cx.close(7));
    stage.world.run_until(at(5020)).expect("a run");
    let report = stage.server.borrow().report();
    assert!(report.connections[0].error.is_some(), "the server has not heard in 20 ms");
}

#[test]
fn a_socket_moved_from_outside_is_moved_when_its_time_comes() {
    let mut stage = Stage::new(1);
    stage.connect(at(0), Nothing);
    stage.world.run_until(at(5000)).expect("a run");
    let moved = SocketAddr::new(near(0).ip(), 4001);
    stage.client.borrow_mut().rebind(at(5100), 0, moved);
    stage.world.run_until(at(5200)).expect("a run");
    let handle = stage.client.borrow().handles().next().expect("a connection");
    stage.client.borrow_mut().with_connection(at(5200), handle, |cx| cx.connection().ping());
    stage.world.run_until(at(5400)).expect("a run");
    let server = stage.server.borrow();
    let handle = server.handles().next().expect("a connection");
    assert_eq!(server.connection(handle).expect("it lives").remote(), moved);
}

/// From where to where packets went, as the client got them.
struct Pairs(Rc<RefCell<Vec<(IpAddr, IpAddr)>>>, tq_sim::NodeId);

impl Tap for Pairs {
    fn on_packet(&mut self, seen: &Seen<'_>) {
        if seen.point == Point::Delivered && seen.node == self.1 {
            let pair = (seen.header.source.ip(), seen.header.destination.ip());
            if !self.0.borrow().contains(&pair) {
                self.0.borrow_mut().push(pair);
            }
        }
    }
}

#[test]
fn a_path_is_opened_on_every_link_and_the_server_answers_from_where_it_was_asked() {
    let mut stage = Stage::new(3);
    let pairs = Rc::new(RefCell::new(Vec::new()));
    let home = stage.world.node("client").expect("a client");
    stage.world.tap(Where::World, Pairs(Rc::clone(&pairs), home));
    let (app, report, log) = stage.bond(5_000_000);
    stage.connect(at(0), app);
    stage.world.run_until(at(10_000)).expect("a run");
    assert!(report.borrow().life.done.is_some());
    assert_eq!(stage.ledger.first(), None);
    let mut pairs = pairs.borrow().clone();
    pairs.sort();
    let asked: Vec<(IpAddr, IpAddr)> = (0..3).map(|link| (far(link).ip(), near(link).ip())).collect();
    assert_eq!(pairs, asked);
    for link in &stage.links {
        let bytes = stage.world.counters(*link, Direction::Down).delivered_bytes;
        assert!(bytes > 500_000, "{bytes} bytes on {}", stage.world.link_name(*link));
    }
    assert_eq!(log.borrow().abandons(), 0);
    stage.world.check().expect("balanced books");
}

#[test]
fn a_path_that_never_answers_is_tried_again_when_its_interface_is_back() {
    let mut stage = Stage::new(2);
    let dead = stage.links[1];
    stage.world.set(dead, at(0), Change::State(State::Down));
    stage.world.set(dead, at(12_000), Change::State(State::Up));
    let (app, report, log) = stage.bond(60_000_000);
    stage.connect(at(0), app);
    stage.world.run_until(at(40_000)).expect("a run");
    assert!(report.borrow().life.done.is_some());
    assert!(log.borrow().abandons() > 0, "{:?}", log.borrow());
    assert!(stage.world.counters(dead, Direction::Down).delivered_bytes > 1_000_000);
    assert_eq!(stage.ledger.first(), None);
}

#[test]
fn answers_beside_two_hundred_downloads_do_not_wait_for_all_their_turns() {
    let mut stage = Stage::of(&[(50, 5), (20, 25), (10, 60)]);
    let (bond, _) = stage.paths();
    let stop = Some(at(6000));
    let when = When { stop, ..When::default() };
    let (bulk, downloads) = Bulk::new(BulkSpec { streams: 200, when, ..BulkSpec::default() }, &stage.ledger);
    let spec = RequestsSpec {
        reply: Quantiles::constant(64),
        think: Quantiles::constant(50_000),
        when: When { start: at(2000), stop, ..When::default() },
        ..RequestsSpec::default()
    };
    let (ssh, answers) = Requests::new(spec, &stage.ledger);
    stage.connect(at(0), Many::new().and(bulk).and(ssh).and(bond));
    stage.world.run_until(at(7000)).expect("a run");
    assert_eq!(stage.ledger.first(), None);
    let report = downloads.borrow();
    let rate = report.down.borrow().bytes * 8 / 6_000_000;
    let mut waits: Vec<_> = answers.borrow().records.iter().map(|record| record.latency()).collect();
    waits.sort();
    assert!(rate >= 60, "{rate} Mbit/s of 80");
    // A turn of 16 KiB of each takes 330 ms, the way there and back 10.
    let most = waits[waits.len() * 99 / 100];
    assert!(waits.len() > 50 && most <= Duration::from_millis(30), "{waits:?}");
}
