//! One run of a plan: hosts, link and translator as it says, both programs, the events of the network, the end. What
//! happened is handed to the verdict.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tq_cc::Algorithm;
use tq_linkmodel::{
    Change, Direction, DirectionConfig, GilbertElliott, Jitter, LinkConfig, Mtu, NatConfig, Queue, Rate,
    State,
};
use tq_quic::TransportConfig;
use tq_time::{Duration, Instant};
use tq_wire::Side;

use super::actor::{Actor, MESSAGES};
use super::board::Board;
use super::plan::{Item, Plan, Verb, Who};
use super::traffic::{Traffic, Watch};
use super::verdict::{self, Failure, Kind};
use crate::app::{App, AppContext};
use crate::entropy::derive;
use crate::ledger::Ledger;
use crate::process::{Context, Meta, Notice, Process};
use crate::quic::{Connect, HostConfig, Policy, QuicHost, ServerSetup, Verdict};
use crate::session::{SeededTls, Sizes, TlsConfig};
use crate::topology::{End, LinkId};
use crate::world::World;

const SERVER: &str = "198.51.100.1:443";
const CLIENT: &str = "192.168.0.2:4000";
/// Events at one instant that are too many.
const LIVELOCK: u64 = 100_000;

/// Changes bytes between a connection and its program: stream, offset, bytes.
pub type ReadHook = Box<dyn FnMut(u64, u64, Bytes) -> Bytes>;
/// Lets a datagram through to an end, or not.
pub type WireHook = Box<dyn FnMut(Instant, Side, &mut [u8]) -> bool>;

/// Sabotage, to prove that it is found.
#[derive(Default)]
pub struct Tamper {
    /// Between a connection and its program.
    pub read: Option<ReadHook>,
    /// In front of a host.
    pub wire: Option<WireHook>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Virtual time of the end.
    pub at: Instant,
    /// How each end ended: the stable name of its error.
    pub ends: [Option<&'static str>; 2],
    /// Whether all streams came to their ends.
    pub complete: bool,
    /// Datagrams sent by client and server.
    pub datagrams: [u64; 2],
    /// Bytes that came out of streams.
    pub bytes: u64,
}

/// All there is to judge.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) board: std::cell::Ref<'a, Board>,
    pub(super) traffic: std::cell::Ref<'a, Traffic>,
    pub(super) ledger: &'a Ledger,
    pub(super) world: &'a World,
    /// Connections whose state is left, both hosts.
    pub(super) open: [usize; 2],
    pub(super) failed: Vec<String>,
}

/// Runs a plan.
///
/// # Errors
/// What must never happen, with the words for a person.
pub fn run(plan: &Plan) -> Result<Outcome, Failure> {
    run_with(plan, Tamper::default())
}

/// Runs a plan with something in the way. A panic is a failure like others.
///
/// # Errors
/// What must never happen.
pub fn run_with(plan: &Plan, tamper: Tamper) -> Result<Outcome, Failure> {
    let run = std::panic::AssertUnwindSafe(|| Stage::new(plan, tamper).play());
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Err(Failure { kind: Kind::Panic, what: text.to_string() })
    })
}

struct Stage<'a> {
    plan: &'a Plan,
    world: World,
    hosts: [Rc<RefCell<QuicHost>>; 2],
    nodes: [crate::NodeId; 2],
    board: Rc<RefCell<Board>>,
    traffic: Rc<RefCell<Traffic>>,
    ledger: Ledger,
}

impl<'a> Stage<'a> {
    fn new(plan: &'a Plan, tamper: Tamper) -> Self {
        let ledger = Ledger::new(derive(plan.seed, 1));
        (0..2).for_each(|side| ledger.open_messages(MESSAGES + side, None));
        let configs = [Who::Client, Who::Server].map(|who| Arc::new(transport(plan, who)));
        let board = Rc::new(RefCell::new(fresh_board(&configs)));
        let hook = Rc::new(RefCell::new(tamper.read));
        let winds_up = Instant::ZERO + Duration::from_millis(plan.healed_at().into());
        let actor = |side| {
            let who = [Who::Client, Who::Server][side];
            let mut ops: Vec<(Instant, Item)> = plan
                .items
                .iter()
                .filter(|item| item.who == who && item.verb.is_operation())
                .filter_map(|item| Some((Instant::from_nanos(u64::from(item.at?) * 1_000_000), item.clone())))
                .collect();
            ops.sort_by_key(|(at, _)| *at);
            Actor::new(side, ops, winds_up, &board, &ledger, &hook)
        };
        let mut server_actor = Some(actor(1));
        let hosts =
            [client(plan, &configs[0], actor(0)), { server(plan, &configs[1], move || server_actor.take()) }];
        let (world, nodes, traffic) = network(plan, &hosts, tamper.wire);
        Self { plan, world, hosts, nodes, board, traffic, ledger }
    }

    fn play(mut self) -> Result<Outcome, Failure> {
        let limit = Instant::ZERO + verdict::bound(self.plan);
        let board = Rc::clone(&self.board);
        let over = |_: &World| {
            let mut board = board.borrow_mut();
            !(board.any_dead() || board.is_done())
        };
        self.world.run_while(limit, over).map_err(fault)?;
        let complete = self.board.borrow_mut().is_done();
        if complete && !self.board.borrow().any_dead() {
            self.close()?;
        }
        if complete || self.board.borrow().any_dead() {
            self.fade()?;
        }
        let ends = self.board.borrow().deaths.each_ref().map(|death| death.as_ref().map(|d| d.error.name()));
        self.judge(complete)?;
        let (at, bytes) = (self.world.now(), self.ledger.totals().came_out);
        let datagrams = self.traffic.borrow().sent;
        Ok(Outcome { at, ends, complete, datagrams, bytes })
    }

    /// Closes as the plan wants it, and wakes the hosts, which do not know.
    fn close(&mut self) -> Result<(), Failure> {
        let way = self.plan.setting(Who::Net, Verb::End).map_or(0, |item| item.number(0));
        let alive =
            [Who::Client, Who::Server].iter().any(|who| self.plan.setting(*who, Verb::Alive).is_some());
        let closers: &[usize] = match way {
            1 => &[1],
            2 => &[0, 1],
            3 if !alive => &[],
            _ => &[0],
        };
        let now = self.world.now();
        for side in closers {
            let mut host = self.hosts[*side].borrow_mut();
            let first = host.report().connections.first().map(|connection| connection.handle);
            self.board.borrow_mut().closes[*side] = Some((now, 0));
            if let Some(handle) = first {
                host.with_connection(now, handle, |cx| cx.close(0));
            }
            drop(host);
            let to = self.plan.timed(Verb::Move).count() as u16;
            self.world.spawn(self.nodes[*side], Box::new(Poke(address(*side, to))));
        }
        Ok(())
    }

    /// Lets the connections go.
    fn fade(&mut self) -> Result<(), Failure> {
        let idle = self.board.borrow().idle;
        let limit = self.world.now() + 2 * idle + verdict::lingering(self.plan);
        let (hosts, board) = (self.hosts.clone(), Rc::clone(&self.board));
        let mut last = Instant::ZERO;
        // Looking at a host is not free: once a second of virtual time will do.
        let open = |world: &World| {
            if world.now() < last + Duration::from_secs(1) {
                return true;
            }
            last = world.now();
            !board.borrow().is_dead() || hosts.iter().any(|host| host.borrow().open() > 0)
        };
        self.world.run_while(limit, open).map(|_| ()).map_err(fault)
    }

    fn judge(&mut self, complete: bool) -> Result<(), Failure> {
        let open = self.hosts.each_ref().map(|host| host.borrow().open());
        let failed = self.hosts.iter().flat_map(|host| host.borrow().report().failed);
        let scene = Scene {
            plan: self.plan,
            board: self.board.borrow(),
            traffic: self.traffic.borrow(),
            ledger: &self.ledger,
            world: &self.world,
            open,
            failed: failed.map(|(_, why)| why).collect(),
        };
        verdict::judge(&scene, complete)
    }
}

fn fault(fault: crate::world::Fault) -> Failure {
    Failure { kind: Kind::Livelock, what: fault.to_string() }
}

fn fresh_board(configs: &[Arc<TransportConfig>; 2]) -> Board {
    let pipe = |from: usize, to: usize| {
        let to = &configs[to].stream;
        let window = to.max_connection_window.max(to.connection_window);
        configs[from].stream.send_buffer + window + (64 << 10)
    };
    let idle = configs[0].idle_timeout.min(configs[1].idle_timeout);
    Board::new([pipe(0, 1), pipe(1, 0)], idle)
}

fn transport(plan: &Plan, who: Who) -> TransportConfig {
    let mut config = TransportConfig::default();
    let millis = |item: &Item| Duration::from_millis(item.size(0));
    for item in plan.items.iter().filter(|item| item.who == who && item.at.is_none()) {
        let (size, on) = (item.size(0), item.number(0) != 0);
        let stream = &mut config.stream;
        match item.verb {
            Verb::Cc => config.congestion = Algorithm::ALL[usize::from(on)],
            Verb::Idle => config.idle_timeout = millis(item),
            Verb::Streams => (stream.max_bidi, stream.max_uni) = (size, item.size(1)),
            Verb::Window => (stream.stream_window, stream.connection_window) = (size, item.size(1)),
            Verb::Grow => (stream.max_stream_window, stream.max_connection_window) = (size, item.size(1)),
            Verb::SendBuf => stream.send_buffer = size,
            Verb::AckDelay => config.max_ack_delay = millis(item),
            Verb::AckFreq => config.ack_frequency = on,
            Verb::InitialMtu => config.initial_mtu = size.min(65_000) as u16,
            Verb::Probe => config.mtu_discovery = on,
            Verb::Alive => config.keep_alive = Some(millis(item)),
            Verb::Ecn => config.ecn = on,
            Verb::Pace => config.pacing = on,
            Verb::Grease => config.grease = on,
            Verb::Keys => config.key_update_after = size,
            Verb::MessageIn => config.datagram_receive_buffer = size as usize,
            Verb::MessageOut => config.datagram_send_buffer = size as usize,
            Verb::Rtt => config.initial_rtt = millis(item),
            Verb::Fair => stream.fair = on,
            Verb::LongStart => config.long_path_start = on,
            _ => {}
        }
    }
    let stream = &mut config.stream;
    stream.max_stream_window = stream.max_stream_window.max(stream.stream_window);
    stream.max_connection_window = stream.max_connection_window.max(stream.connection_window);
    config
}

fn tls(plan: &Plan, label: u64) -> Arc<SeededTls> {
    let set = |verb| plan.setting(Who::Net, verb).map(|item| item.size(0) as usize);
    let mut sizes = Sizes::default();
    sizes.client_hello = set(Verb::Hello).unwrap_or(sizes.client_hello).min(8000);
    sizes.chain = set(Verb::Chain).unwrap_or(sizes.chain).min(20_000);
    Arc::new(SeededTls::new(derive(plan.seed, label), TlsConfig { sizes, ..TlsConfig::default() }))
}

fn endpoint(plan: &Plan, who: Who, config: &mut HostConfig) {
    let set = |verb| plan.setting(who, verb).map(|item| item.size(0) as usize);
    config.endpoint.cid_len = set(Verb::Cid).unwrap_or(8).clamp(4, 20);
    config.segments = set(Verb::Train).unwrap_or(10);
}

fn address(side: usize, moves: u16) -> SocketAddr {
    let text = if side == 0 { CLIENT } else { SERVER };
    let mut address: SocketAddr = text.parse().unwrap_or_else(|_| SocketAddr::from(([0; 4], 0)));
    if side == 0 {
        address.set_port(address.port() + moves);
    }
    address
}

fn client(plan: &Plan, transport: &Arc<TransportConfig>, actor: Actor) -> Rc<RefCell<QuicHost>> {
    let mut config = HostConfig::client(derive(plan.seed, 2), address(0, 0));
    endpoint(plan, Who::Client, &mut config);
    let mut host = QuicHost::new(config);
    host.connect(Connect::new(Instant::ZERO, address(1, 0), tls(plan, 3), Arc::clone(transport), actor));
    let mut moves: Vec<u32> = plan.timed(Verb::Move).map(|(at, _)| at).collect();
    moves.sort_unstable();
    for (at, number) in moves.into_iter().zip(1..) {
        host.rebind(Instant::from_nanos(u64::from(at) * 1_000_000), 0, address(0, number));
    }
    Rc::new(RefCell::new(host))
}

fn server(
    plan: &Plan,
    transport: &Arc<TransportConfig>,
    mut actor: impl FnMut() -> Option<Actor> + 'static,
) -> Rc<RefCell<QuicHost>> {
    let setup = ServerSetup::new(tls(plan, 4), Arc::clone(transport), move |_| match actor() {
        Some(actor) => Box::new(actor),
        None => Box::new(Nobody),
    });
    let retry = plan.setting(Who::Net, Verb::Retry).is_some_and(|item| item.number(0) != 0);
    let mut served = false;
    let policy = Policy::By(Box::new(move |_, incoming| match retry && incoming.may_retry() {
        true => Verdict::Retry,
        // a late copy of a first datagram looks like another client
        false if std::mem::replace(&mut served, true) => Verdict::Ignore,
        false => Verdict::Accept,
    }));
    let setup = ServerSetup { policy, ..setup };
    let mut config = HostConfig::server(derive(plan.seed, 5), address(1, 0), setup);
    endpoint(plan, Who::Server, &mut config);
    Rc::new(RefCell::new(QuicHost::new(config)))
}

struct Nobody;

impl App for Nobody {
    fn on_event(&mut self, _: &mut AppContext<'_>, _: &tq_quic::Event) {}
}

fn rate(item: Option<&Item>) -> Rate {
    item.map_or(Rate::Unlimited, |item| Rate::Fixed(item.size(0).saturating_mul(1000)))
}

fn mtu(item: Option<&Item>) -> Option<Mtu> {
    item.map(|item| Mtu { bytes: item.size(0) as u32, icmp: item.number(1) != 0 })
}

fn ppm(item: Option<&Item>, ix: usize) -> u32 {
    item.map_or(0, |item| item.size(ix).min(1_000_000) as u32)
}

fn micros(item: Option<&Item>) -> Duration {
    Duration::from_micros(item.map_or(0, |item| item.size(0)))
}

fn direction(plan: &Plan, who: Who) -> DirectionConfig {
    let set = |verb| plan.setting(who, verb);
    let jitter = set(Verb::Jitter);
    DirectionConfig {
        rate: rate(set(Verb::Rate)),
        queue: Queue::Bytes(set(Verb::Queue).map_or(1 << 20, |item| item.size(0))),
        mark_above: set(Verb::Mark).map(|item| micros(Some(item))),
        delay: micros(set(Verb::Delay)),
        jitter: Jitter::Uniform(micros(jitter)),
        reorder: jitter.is_some_and(|item| item.number(1) != 0),
        loss_ppm: ppm(set(Verb::Loss), 0),
        burst: set(Verb::Burst).map(|item| GilbertElliott {
            to_bad_ppm: ppm(Some(item), 0),
            to_good_ppm: ppm(Some(item), 1),
            loss_good_ppm: 0,
            loss_bad_ppm: ppm(Some(item), 2),
        }),
        corrupt_ppm: ppm(set(Verb::Corrupt), 0),
        duplicate_ppm: ppm(set(Verb::Double), 0),
        mtu: mtu(set(Verb::Mtu)),
        ..DirectionConfig::default()
    }
}

type Network = (World, [crate::NodeId; 2], Rc<RefCell<Traffic>>);

/// A client behind a translator, a link with all the faults, a server.
fn network(plan: &Plan, hosts: &[Rc<RefCell<QuicHost>>; 2], wire: Option<WireHook>) -> Network {
    let mut world = World::new(derive(plan.seed, 6));
    world.livelock_limit(LIVELOCK);
    let (home, router, far) = (world.host("client"), world.router("router"), world.host("server"));
    let outside = IpAddr::from([203, 0, 113, 1]);
    let wall = [End::new(home, address(0, 0).ip()), End::new(router, IpAddr::from([192, 168, 0, 1]))];
    world.link("inside", wall[0], wall[1], &LinkConfig::default());
    let config = LinkConfig { up: direction(plan, Who::Up), down: direction(plan, Who::Down) };
    let link = world.link("link", End::new(router, outside), End::new(far, address(1, 0).ip()), &config);
    let nat = world.nat(link, router, NatConfig::new(outside));
    let traffic = Rc::new(RefCell::new(Traffic::new(home, far)));
    world.tap(crate::Where::World, Watch(Rc::clone(&traffic)));
    let hook = Rc::new(RefCell::new(wire));
    for (side, node) in [(1, far), (0, home)] {
        let (host, hook) = (Rc::clone(&hosts[side]), Rc::clone(&hook));
        world.spawn(node, Box::new(Gate { side, host, hook }));
    }
    let mut addresses = 1;
    for item in &plan.items {
        let Some(at) = item.at.map(|at| Instant::from_nanos(u64::from(at) * 1_000_000)) else { continue };
        match (item.verb, nat) {
            (Verb::Nat, Some(nat)) => world.at(at, move |world| world.rebind(nat)),
            (Verb::NatAddress, Some(nat)) => {
                addresses += 1;
                let address = IpAddr::from([203, 0, 113, addresses]);
                world.at(at, move |world| world.rebind_to(nat, address));
            }
            _ => change(&mut world, link, at, item),
        }
    }
    heal(&mut world, plan, link);
    (world, [home, far], traffic)
}

fn change(world: &mut World, link: LinkId, at: Instant, item: &Item) {
    let set = |world: &mut World, at: Instant, change: Change| {
        let ways: &[Direction] = match item.who {
            Who::Up => &[Direction::Up],
            Who::Down => &[Direction::Down],
            _ => &Direction::BOTH,
        };
        let ways = ways.to_vec();
        world.at(at, move |world| {
            ways.iter().for_each(|way| world.set_direction(link, *way, at, change.clone()));
        });
    };
    let lasts = Duration::from_millis(item.size(0));
    match item.verb {
        Verb::Out | Verb::Cut => {
            let state = if item.verb == Verb::Out { State::Silent } else { State::Down };
            set(world, at, Change::State(state));
            set(world, at + lasts, Change::State(State::Up));
        }
        Verb::Rate => set(world, at, Change::Rate(rate(Some(item)))),
        Verb::Delay => set(world, at, Change::Delay(micros(Some(item)))),
        Verb::Loss => set(world, at, Change::Loss(ppm(Some(item), 0))),
        Verb::Mtu => set(world, at, Change::Mtu(mtu(Some(item)))),
        _ => {}
    }
}

/// Faults that can end do.
fn heal(world: &mut World, plan: &Plan, link: LinkId) {
    let at = Instant::from_nanos(u64::from(plan.healed_at()) * 1_000_000);
    for (way, who) in [(Direction::Up, Who::Up), (Direction::Down, Who::Down)] {
        let config = direction(plan, who);
        world.at(at, move |world| {
            let DirectionConfig { rate, delay, mtu, .. } = config;
            let changes =
                [Change::State(State::Up), Change::Loss(0), Change::Rate(rate), Change::Delay(delay)];
            changes
                .into_iter()
                .chain([Change::Mtu(mtu)])
                .for_each(|change| world.set_direction(link, way, at, change));
        });
    }
}

/// A host with sabotage in front of it.
struct Gate {
    side: usize,
    host: Rc<RefCell<QuicHost>>,
    hook: Rc<RefCell<Option<WireHook>>>,
}

impl Process for Gate {
    fn start(&mut self, cx: &mut Context<'_>) {
        self.host.start(cx);
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        let side = [Side::Client, Side::Server][self.side];
        let passes = self.hook.borrow_mut().as_mut().is_none_or(|hook| hook(cx.now(), side, bytes));
        if passes {
            self.host.on_datagram(cx, meta, bytes);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        self.host.on_timer(cx);
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        self.host.on_notice(cx, notice);
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        self.host.settle(cx);
    }
}

/// Sends a stray byte to a program on the same host, which wakes it.
struct Poke(SocketAddr);

impl Process for Poke {
    fn start(&mut self, cx: &mut Context<'_>) {
        cx.bind(0, SocketAddr::new(self.0.ip(), 9));
        cx.send(cx.now(), 0, None, self.0, tq_wire::Ecn::NotEct, 1, b"?");
    }

    fn on_datagram(&mut self, _: &mut Context<'_>, _: &Meta, _: &mut [u8]) {}

    fn on_timer(&mut self, _: &mut Context<'_>) {}

    fn on_notice(&mut self, _: &mut Context<'_>, _: &Notice) {}

    fn settle(&mut self, _: &mut Context<'_>) {}
}
