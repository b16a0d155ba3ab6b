//! A second connection over the same links: what the first measured of them, sealed in a token for downloads and kept by
//! the host for uploads, makes it sooner, and costs little where it is not true any more.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tq_linkmodel::{Change, DirectionConfig, LinkConfig, Queue, Rate};
use tq_quic::TransportConfig;
use tq_quic::cc::{Profile, Resumption};
use tq_sim::app::{App, AppContext, Bond, BondSpec, Bulk, BulkSpec, Direction, Many, Serve, Way, When};
use tq_sim::ledger::Ledger;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{End, LinkId, World};
use tq_time::Instant;

const MB: u64 = 1_000_000;

/// Mbit/s, ms there and back, ms of queue.
type Link = (u64, u64, u64);

const DSL_GEO: &[Link] = &[(50, 20, 100), (20, 600, 300)];
const THREE: &[Link] = &[(100, 10, 50), (40, 50, 100), (20, 600, 300)];
const UNLIKE: &[Link] = &[(100, 10, 50), (10, 40, 100)];

fn near(link: usize) -> SocketAddr {
    SocketAddr::from(([10, link as u8, 0, 2], 4000))
}

fn far(link: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + link as u8], 443))
}

fn tls(seed: u64) -> Arc<SeededTls> {
    Arc::new(SeededTls::new(seed, TlsConfig::default()))
}

struct Stage {
    world: World,
    ids: Vec<LinkId>,
    client: Rc<RefCell<QuicHost>>,
    server: Rc<RefCell<QuicHost>>,
    ledger: Ledger,
    transport: Arc<TransportConfig>,
}

/// Tells the connection what its host remembers before anything else.
struct Recall {
    links: Vec<Option<Profile>>,
}

impl App for Recall {
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        let now = cx.now();
        for (socket, profile) in (0..).zip(&self.links) {
            if let Some(profile) = profile {
                cx.connection().remember(now, (socket, None), *profile, Duration::ZERO);
            }
        }
    }

    fn on_event(&mut self, _: &mut AppContext<'_>, _: &tq_quic::Event) {}
}

impl Stage {
    fn new(links: &[Link], remember: bool, seed: u64) -> Self {
        let mut world = World::new(seed);
        let nodes = [world.host("client"), world.host("server")];
        let count = links.len();
        let links = links.iter().enumerate().map(|(link, (mbps, rtt, queue))| {
            let way = DirectionConfig {
                rate: Rate::Fixed(mbps * 125_000),
                delay: Duration::from_micros(rtt * 500),
                queue: Queue::Time(Duration::from_millis(*queue)),
                ..DirectionConfig::default()
            };
            let config = LinkConfig { up: way.clone(), down: way };
            let ends = [End::new(nodes[0], near(link).ip()), End::new(nodes[1], far(link).ip())];
            world.link(format!("{link}"), ends[0], ends[1], &config)
        });
        let ids: Vec<LinkId> = links.collect();
        let ledger = Ledger::new(2);
        let mut transport = TransportConfig::default();
        transport.max_paths = Some(4);
        transport.remember = remember;
        let transport = Arc::new(transport);
        let books = ledger.clone();
        let setup = ServerSetup::new(tls(3), Arc::clone(&transport), move |_| Box::new(Serve::new(&books)));
        let listens = SocketAddr::from(([0, 0, 0, 0], 443));
        let server = Rc::new(RefCell::new(QuicHost::new(HostConfig::server(4 + 10 * seed, listens, setup))));
        let sockets = (0..count).map(near).collect();
        let client = Rc::new(RefCell::new(QuicHost::new(HostConfig::client_on(5 + 10 * seed, sockets))));
        world.spawn(nodes[0], Box::new(Rc::clone(&client)));
        world.spawn(nodes[1], Box::new(Rc::clone(&server)));
        Self { world, ids, client, server, ledger, transport }
    }

    /// Moves so many bytes in a connection of its own that begins at `start`; says how long that took.
    fn transfer(
        &mut self,
        start: Instant,
        bytes: u64,
        direction: Direction,
        told: &[Option<Profile>],
    ) -> Duration {
        let when = When { start, stop: None, close: true };
        let spec = BulkSpec { bytes: Some(bytes), direction, when, ..BulkSpec::default() };
        let (bulk, report) = Bulk::new(spec, &self.ledger);
        let way = |link: usize| Way {
            socket: link as u32,
            local: near(link).ip(),
            remote: far(link),
            standby: false,
        };
        let ways = (0..self.ids.len()).map(way).collect();
        let (bond, _) = Bond::new(BondSpec { ways, race: false, ..BondSpec::default() });
        let recall = Recall { links: told.to_vec() };
        let app = Many::new().and(recall).and(bulk).and(bond);
        let connect = Connect::new(start, far(0), tls(6), Arc::clone(&self.transport), app);
        self.client.borrow_mut().connect(connect);
        let mut now = start;
        while report.borrow().life.done.is_none() {
            now += Duration::from_millis(100);
            self.world.run_until(now).expect("a run");
            assert!(now < start + Duration::from_secs(120), "it never ends");
        }
        report.borrow().life.done.expect("done") - start
    }

    /// What the newest connection measured of its paths at the end that sent, and how far they came with what it was told.
    fn learnt(&self, direction: Direction) -> Vec<(Option<Profile>, Option<Resumption>)> {
        let host = if direction == Direction::Down { &self.server } else { &self.client };
        let report = host.borrow().report();
        let last = report.connections.last().expect("a connection");
        last.stats.paths.iter().map(|path| (path.learnt, path.resumption)).collect()
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// What became of two transfers in a row.
struct Twice {
    first: f64,
    second: f64,
    /// Of the second.
    resumed: Vec<Option<Resumption>>,
    /// Packets the second lost.
    lost: u64,
}

/// How it goes: how much is moved which way, over links that carry so many times less by then.
#[derive(Clone, Copy, Debug)]
struct Load {
    bytes: u64,
    direction: Direction,
    slower: u64,
}

/// Moves 20 MB, and a load some time later.
fn twice(links: &[Link], load: Load, remember: bool, seed: u64) -> Twice {
    let Load { bytes, direction, slower } = load;
    let mut stage = Stage::new(links, remember, seed);
    let first = stage.transfer(at(0), 20 * MB, direction, &[]);
    let learnt: Vec<_> = stage.learnt(direction).iter().map(|(profile, _)| *profile).collect();
    for (id, (mbps, ..)) in stage.ids.clone().iter().zip(links) {
        stage.world.set(*id, at(100), Change::Rate(Rate::Fixed(mbps * 125_000 / slower)));
    }
    let told = if direction == Direction::Up && remember { &learnt[..] } else { &[] };
    let second = stage.transfer(at(200), bytes, direction, told);
    let resumed = stage.learnt(direction).iter().map(|(_, resumption)| *resumption).collect();
    let host = if direction == Direction::Down { &stage.server } else { &stage.client };
    let report = host.borrow().report();
    let lost = report.connections.last().expect("two").stats.counters.packets_lost;
    Twice { first: first.as_secs_f64(), second: second.as_secs_f64(), resumed, lost }
}

/// Plays a load with and without what the first connection measured; the median of what the second took without over with.
fn gain(links: &[Link], load: Load) -> f64 {
    let mut ratios = Vec::new();
    for seed in 1..=SEEDS {
        let (without, with) = (twice(links, load, false, seed), twice(links, load, true, seed));
        assert!(with.resumed.iter().any(Option::is_some), "nothing was made use of: {links:?} {load:?}");
        let ratio = without.second / with.second;
        println!(
            "{links:?} {load:?}: {:.3} s, then {:.3} without and {:.3} with what it measured ({ratio:.3}); {} and {} packets lost, {:?}",
            with.first, without.second, with.second, without.lost, with.lost, with.resumed,
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Of which the median counts.
const SEEDS: u64 = 5;
const LOADS: [(u64, Direction); 3] =
    [(20 * MB, Direction::Down), (20 * MB, Direction::Up), (3 * MB, Direction::Down)];

#[test]
fn a_second_connection_over_the_same_links_is_sooner_than_the_first() {
    let mut gains = Vec::new();
    for links in [DSL_GEO, THREE, UNLIKE] {
        for (bytes, direction) in LOADS {
            let gain = gain(links, Load { bytes, direction, slower: 1 });
            println!("median {gain:.3}");
            // A long path that is measured early on has little to gain over 20 MB, and nothing to lose.
            assert!(gain > 0.98);
            gains.push(gain);
        }
    }
    assert!(gains.iter().sum::<f64>() / gains.len() as f64 > 1.02, "{gains:?}");
}

#[test]
fn links_that_became_ten_times_slower_cost_next_to_nothing() {
    for links in [DSL_GEO, THREE, UNLIKE] {
        for (bytes, direction) in LOADS {
            let gain = gain(links, Load { bytes, direction, slower: 10 });
            println!("median {gain:.3}");
            assert!(gain > 0.95);
        }
    }
}
