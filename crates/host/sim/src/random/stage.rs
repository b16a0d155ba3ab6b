//! One run of a plan: hosts, link and translator as it says, both programs, the events of the network, the end. What
//! happened is handed to the verdict.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tq_cc::Algorithm;
use tq_quic::TransportConfig;
use tq_quic::sched::Kind as Kinds;
use tq_time::{Duration, Instant};
use tq_wire::Side;

use super::actor::{Actor, MESSAGES};
use super::board::Board;
use super::plan::{Item, Plan, Verb, Who};
use super::traffic::Traffic;
use super::verdict::{self, Failure, Kind};
use super::wires::{Hosts, address, network};
use crate::app::{App, AppContext};
use crate::entropy::derive;
use crate::ledger::Ledger;
use crate::quic::{Connect, HostConfig, Policy, QuicHost, ServerSetup, Verdict};
use crate::session::{SeededTls, Sizes, TlsConfig};
use crate::world::World;

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
    hosts: Hosts,
    board: Rc<RefCell<Board>>,
    traffic: Rc<RefCell<Traffic>>,
    ledger: Ledger,
}

impl<'a> Stage<'a> {
    fn new(plan: &'a Plan, tamper: Tamper) -> Self {
        let ledger = Ledger::new(derive(plan.seed, 1));
        (0..2).for_each(|side| ledger.open_messages(MESSAGES + side, None));
        let configs = [Who::Client, Who::Server].map(|who| Arc::new(transport(plan, who)));
        let board = Rc::new(RefCell::new(fresh_board(plan, &configs)));
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
            Actor::new(side, plan.is_multipath(), ops, winds_up, &board, &ledger, &hook)
        };
        let mut server_actor = Some(actor(1));
        let hosts =
            [client(plan, &configs[0], actor(0)), { server(plan, &configs[1], move || server_actor.take()) }];
        let (world, traffic) = network(plan, &hosts, tamper.wire);
        Self { plan, world, hosts, board, traffic, ledger }
    }

    fn play(mut self) -> Result<Outcome, Failure> {
        let limit = Instant::ZERO + verdict::bound(self.plan);
        let board = Rc::clone(&self.board);
        let mut looks = Looks::new(self.plan, &self.hosts);
        let over = |world: &World| {
            let mut board = board.borrow_mut();
            looks.look(world.now(), &mut board);
            !(board.any_dead() || board.is_done() || !board.wrongs.is_empty())
        };
        self.world.run_while(limit, over).map_err(fault)?;
        let complete = self.board.borrow_mut().is_done();
        if complete && !self.board.borrow().any_dead() {
            self.waits_in_vain();
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

    /// A client that waits for leave to open a path has it already, and was not told.
    fn waits_in_vain(&mut self) {
        let now = self.world.now();
        let waiting = self.board.borrow().unpathed.clone();
        let mut host = self.hosts[0].borrow_mut();
        let Some((link, handle)) = waiting.first().copied().zip(host.handles().next()) else { return };
        if let Some(Ok(path)) = host.with_connection(now, handle, |cx| Actor::try_open(cx, link)) {
            let wrong = format!("{path:?} on link {link} could be opened and the client waited to be told");
            self.board.borrow_mut().wrong(wrong);
        }
    }

    /// Closes as the plan wants it.
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

fn fresh_board(plan: &Plan, configs: &[Arc<TransportConfig>; 2]) -> Board {
    let pipe = |from: usize, to: usize| {
        let to = &configs[to].stream;
        let window = to.max_connection_window.max(to.connection_window);
        configs[from].stream.send_buffer + window + to.max_unread.min(window) + (64 << 10)
    };
    let idle = configs[0].idle_timeout.min(configs[1].idle_timeout);
    Board::new([pipe(0, 1), pipe(1, 0)], idle, plan.links() as u64)
}

fn transport(plan: &Plan, who: Who) -> TransportConfig {
    let mut config = TransportConfig::default();
    let millis = |item: &Item| Duration::from_millis(item.size(0));
    for item in plan.items.iter().filter(|item| item.who == who && item.at.is_none()) {
        let (size, on) = (item.size(0), item.number(0) != 0);
        let stream = &mut config.stream;
        match item.verb {
            Verb::Scheduler => config.scheduler = Kinds::ALL[item.size(0) as usize % Kinds::ALL.len()],
            Verb::Cc => config.congestion = Some(Algorithm::ALL[usize::from(on)]),
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
    if plan.is_multipath() {
        let most = plan.setting(who, Verb::MaxPaths).map_or(plan.links() as u64, |item| item.size(0));
        config.max_paths = Some(most.min(16) as u32);
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

fn client(plan: &Plan, transport: &Arc<TransportConfig>, actor: Actor) -> Rc<RefCell<QuicHost>> {
    let sockets = (0..plan.links()).map(|link| address(0, link, 0)).collect();
    let mut config = HostConfig::client_on(derive(plan.seed, 2), sockets);
    endpoint(plan, Who::Client, &mut config);
    let mut host = QuicHost::new(config);
    host.connect(Connect::new(Instant::ZERO, address(1, 0, 0), tls(plan, 3), Arc::clone(transport), actor));
    let mut moves: Vec<(u32, u8)> = plan.timed(Verb::Move).map(|(at, item)| (at, item.link)).collect();
    moves.sort_unstable();
    for ((at, link), number) in moves.into_iter().zip(1..) {
        let (at, to) = (Instant::from_nanos(u64::from(at) * 1_000_000), address(0, link.into(), number));
        host.rebind(at, link.into(), to);
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
    // one socket on all addresses, which answers from the one that was asked
    let first = address(1, 0, 0);
    let listens = if plan.is_multipath() { SocketAddr::from(([0; 4], first.port())) } else { first };
    let mut config = HostConfig::server(derive(plan.seed, 5), listens, setup);
    endpoint(plan, Who::Server, &mut config);
    Rc::new(RefCell::new(QuicHost::new(config)))
}

struct Nobody;

impl App for Nobody {
    fn on_event(&mut self, _: &mut AppContext<'_>, _: &tq_quic::Event) {}
}

/// Looks at the paths of both ends when they have told all they had to tell.
struct Looks {
    hosts: Option<Hosts>,
    most: [usize; 2],
}

impl Looks {
    fn new(plan: &Plan, hosts: &Hosts) -> Self {
        let links = plan.links() as u64;
        let most = [Who::Client, Who::Server]
            .map(|who| plan.setting(who, Verb::MaxPaths).map_or(links, |item| item.size(0)).min(16) as usize);
        Self { hosts: plan.is_multipath().then(|| hosts.clone()), most }
    }

    fn look(&mut self, now: Instant, board: &mut Board) {
        let Some(hosts) = &self.hosts else { return };
        for side in 0..2 {
            let host = hosts[side].borrow();
            let Some(connection) = host.handles().next().and_then(|first| host.connection(first)) else {
                continue;
            };
            if connection.is_closed() {
                continue;
            }
            // what the peer allows bounds both
            let most = self.most[0].min(self.most[1]);
            if let Err(why) = board.paths[side].look(now, connection.paths(), most) {
                board.wrong(format!("{}: {why}", ["client", "server"][side]));
            }
            let refused = connection.path_changes_refused();
            if refused > 0 {
                board.wrong(format!("{}: {refused} steps were refused", ["client", "server"][side]));
            }
        }
    }
}
