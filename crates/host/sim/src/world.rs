//! A network on virtual time.
//!
//! A [`World`] holds hosts, routers, links and programs, and moves from event to event in the order of time, and of
//! their making where times are equal. It is single-threaded and draws everything from its seed: same seed and same
//! calls, same bytes at the same nanoseconds. It decides where packets go and when programs are called; what a link
//! does to a packet is [`tq_linkmodel`]'s business, what a packet means the programs'.
//!
//! Hosts follow the strong model when they send (RFC 1122 §3.3.4.2): a packet from a socket bound to an address
//! leaves by the interface that has it; sockets on wildcard addresses follow routes, or the address the program
//! gives. Routers send by routes alone. Both take in what comes for any of their addresses, by whatever interface.

use std::fmt;

use tq_linkmodel::{Bottlenecks, Counters, Depth, Direction, Nat, State};
use tq_time::Instant;

use crate::packet::Pool;
use crate::process::{Asked, Calls};
use crate::route::{Map, Way, Ways};
use crate::tap::{Tap, Taps, Where};
use crate::topology::{Line, LinkId, Node, NodeId, index};

mod books;
mod build;
mod control;
mod event;
mod forward;
mod icmp;
mod program;
mod run;

pub use books::{Books, Imbalance, NodeTotals, Reason};
pub use run::Fault;

use books::Ledger;
use event::Queue;
use program::Program;
pub(crate) use program::Socket;
use run::Guard;

type Action = Box<dyn FnOnce(&mut World)>;

/// A simulated network; see the [module](crate::world).
///
/// Ids belong to the world that gave them; its verbs panic on those of another if they are out of range here.
pub struct World {
    seed: u64,
    now: Instant,
    queue: Queue,
    nodes: Vec<Node>,
    lines: Vec<Line>,
    nats: Vec<Nat>,
    shared: Bottlenecks,
    ways: Ways,
    pool: Pool,
    programs: Vec<Program>,
    /// Programs that were called at this moment, in order, and not settled yet.
    touched: Vec<u32>,
    /// Programs that were woken from outside.
    calls: Calls,
    asked: Asked,
    actions: Vec<Option<Action>>,
    free_actions: Vec<u32>,
    taps: Taps,
    udp_checksum: bool,
    guard: Guard,
    ledger: Ledger,
    fault: Option<Fault>,
}

impl World {
    /// An empty network at [`Instant::ZERO`]. All that happens by chance is drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            queue: Queue::default(),
            nodes: Vec::new(),
            lines: Vec::new(),
            nats: Vec::new(),
            shared: Bottlenecks::new(),
            ways: Ways::default(),
            pool: Pool::default(),
            programs: Vec::new(),
            touched: Vec::new(),
            calls: Calls::default(),
            asked: Asked::default(),
            actions: Vec::new(),
            free_actions: Vec::new(),
            taps: Taps::default(),
            udp_checksum: false,
            guard: Guard::default(),
            ledger: Ledger::default(),
            fault: None,
        }
    }

    /// Whether UDP datagrams that a link damaged are dropped on arrival, as a checksum would have it. Off at first,
    /// so that damage reaches the programs; damage in front of the payload is dropped either way.
    pub fn udp_checksum(&mut self, checked: bool) {
        self.udp_checksum = checked;
    }

    /// How many events there may be at one instant before a run ends with [`Fault::Livelock`]. Ten million at first.
    pub fn livelock_limit(&mut self, events: u64) {
        self.guard.limit = events;
    }

    /// Shows packets to `tap` from now on. Taps are told in the order they came.
    pub fn tap(&mut self, place: Where, tap: impl Tap + 'static) {
        self.taps.add(place, Box::new(tap));
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When something happens next, if ever.
    pub fn next_event(&self) -> Option<Instant> {
        self.queue.next()
    }

    /// The name a node was given.
    pub fn node_name(&self, node: NodeId) -> &str {
        &self.nodes[node.0 as usize].name
    }

    /// The first node with a name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(|index| NodeId(index as u32))
    }

    /// The name a link was given.
    pub fn link_name(&self, link: LinkId) -> &str {
        &self.lines[link.0 as usize].name
    }

    /// The first link with a name.
    pub fn link_named(&self, name: &str) -> Option<LinkId> {
        self.lines.iter().position(|line| line.name == name).map(|index| LinkId(index as u32))
    }

    /// All links, in the order they were made.
    pub fn links(&self) -> impl Iterator<Item = LinkId> + use<> {
        (0..self.lines.len() as u32).map(LinkId)
    }

    /// All nodes, in the order they were made.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// What a link says came of what it was offered.
    pub fn counters(&self, link: LinkId, direction: Direction) -> Counters {
        self.lines[link.0 as usize].link.counters(direction)
    }

    /// Packets that have come out of a link so far, second copies included.
    pub fn arrived(&self, link: LinkId, direction: Direction) -> u64 {
        self.lines[link.0 as usize].arrived[index(direction)]
    }

    /// How long a link's own queue is now.
    pub fn depth(&mut self, link: LinkId, direction: Direction) -> Depth {
        let now = self.now;
        self.lines[link.0 as usize].link.depth(now, direction)
    }

    /// Whether a link works now.
    pub fn state(&self, link: LinkId, direction: Direction) -> State {
        self.lines[link.0 as usize].link.state(self.now, direction)
    }

    /// What came of what a shared queue was offered; `None` if there is none with this id.
    pub fn bottleneck_counters(&self, id: u32) -> Option<Counters> {
        self.shared.queue(id).map(tq_linkmodel::Bottleneck::counters)
    }

    /// How long a shared queue is now; `None` if there is none with this id.
    pub fn bottleneck_depth(&mut self, id: u32) -> Option<Depth> {
        let now = self.now;
        self.shared.queue_mut(id).map(|queue| queue.depth(now))
    }

    /// What a node sent, received, passed on and dropped.
    pub fn totals(&self, node: NodeId) -> NodeTotals {
        self.nodes[node.0 as usize].totals
    }

    /// What a node does with a packet to an address.
    #[inline]
    fn way(&mut self, node: u32, destination: std::net::IpAddr) -> Way {
        let map = Map { nodes: &self.nodes, lines: &self.lines, nats: &self.nats };
        self.ways.way(map, node, destination)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .field("links", &self.lines.len())
            .field("programs", &self.programs.len())
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}
