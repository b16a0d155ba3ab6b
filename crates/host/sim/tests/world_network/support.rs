//! A program that does what it is told and remembers what it hears.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

pub(crate) use tq_linkmodel::{Change, Direction, DirectionConfig, Drop, Ecn, LinkConfig, Mtu, Rate, State};
pub(crate) use tq_sim::{
    Context, End, Fault, LinkId, Meta, NodeId, Notice, Process, ProcessId, Reason, World,
};
pub(crate) use tq_time::{Duration, Instant};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ms(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

pub(crate) fn us(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The same both ways: nothing but a delay.
pub(crate) fn wire(delay: u64) -> LinkConfig {
    LinkConfig::symmetric(DirectionConfig { delay: millis(delay), ..DirectionConfig::default() })
}

/// What a program heard.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) datagrams: Vec<(Instant, Meta, Vec<u8>)>,
    pub(crate) notices: Vec<(Instant, Notice)>,
    pub(crate) timers: Vec<Instant>,
    pub(crate) settles: Vec<Instant>,
}

impl Log {
    /// When datagrams came.
    pub(crate) fn moments(&self) -> Vec<Instant> {
        self.datagrams.iter().map(|(at, ..)| *at).collect()
    }

    /// Where the last one came from.
    pub(crate) fn last_remote(&self) -> SocketAddr {
        self.datagrams.last().unwrap().1.remote
    }
}

/// Something to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) at: Instant,
    pub(crate) socket: u32,
    pub(crate) local: Option<IpAddr>,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Ecn,
    pub(crate) segment: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Order {
    pub(crate) fn new(at: Instant, to: &str, len: usize) -> Self {
        let bytes = vec![7; len];
        Self { at, socket: 0, local: None, to: addr(to), ecn: Ecn::Ect0, segment: 1 << 16, bytes }
    }
}

/// Binds, sends and perhaps answers.
#[derive(Default)]
pub(crate) struct Probe {
    binds: Vec<SocketAddr>,
    orders: Vec<Order>,
    timers: Vec<Option<Instant>>,
    echo: bool,
    log: Rc<RefCell<Log>>,
}

impl Probe {
    /// Binds sockets 0, 1 and so on.
    pub(crate) fn new(binds: &[&str]) -> Self {
        Self { binds: binds.iter().map(|text| addr(text)).collect(), ..Self::default() }
    }

    /// Sends this; all is handed over at the start, with its moment.
    pub(crate) fn sends(mut self, order: Order) -> Self {
        self.orders.push(order);
        self
    }

    /// Sets its timer to these at the start, one after the other.
    pub(crate) fn timers(mut self, timers: &[Option<Instant>]) -> Self {
        self.timers = timers.to_vec();
        self
    }

    /// Answers each datagram with its own bytes.
    pub(crate) fn echoes(mut self) -> Self {
        self.echo = true;
        self
    }

    /// Runs it.
    pub(crate) fn spawn(self, world: &mut World, node: NodeId) -> (ProcessId, Rc<RefCell<Log>>) {
        let log = Rc::clone(&self.log);
        (world.spawn(node, Box::new(self)), log)
    }

    /// Runs it, if nobody wants its id.
    pub(crate) fn run(self, world: &mut World, node: NodeId) -> Rc<RefCell<Log>> {
        self.spawn(world, node).1
    }
}

impl Process for Probe {
    fn start(&mut self, cx: &mut Context<'_>) {
        for (number, address) in self.binds.iter().enumerate() {
            cx.bind(number as u32, *address);
        }
        for order in self.orders.drain(..) {
            let Order { at, socket, local, to, ecn, segment, bytes } = order;
            cx.send(at, socket, local, to, ecn, segment, &bytes);
        }
        for timer in self.timers.drain(..) {
            cx.set_timer(timer);
        }
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
        self.log.borrow_mut().datagrams.push((cx.now(), *meta, bytes.to_vec()));
        if self.echo {
            cx.send(cx.now(), meta.socket, Some(meta.local.ip()), meta.remote, meta.ecn, bytes.len(), bytes);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        self.log.borrow_mut().timers.push(cx.now());
    }

    fn on_notice(&mut self, cx: &mut Context<'_>, notice: &Notice) {
        self.log.borrow_mut().notices.push((cx.now(), *notice));
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        self.log.borrow_mut().settles.push(cx.now());
    }
}

/// Two hosts and a link: 10.0.0.1 sends up, 10.0.0.2 down.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) a: NodeId,
    pub(crate) b: NodeId,
    pub(crate) link: LinkId,
}

pub(crate) const A: &str = "10.0.0.1:1000";
pub(crate) const B: &str = "10.0.0.2:443";

impl Pair {
    pub(crate) fn new(config: &LinkConfig) -> Self {
        let mut world = World::new(7);
        let (a, b) = (world.host("a"), world.host("b"));
        let link = world.link("ab", End::new(a, ip("10.0.0.1")), End::new(b, ip("10.0.0.2")), config);
        Self { world, a, b, link }
    }

    /// Runs to the end and checks the books.
    pub(crate) fn finish(&mut self) {
        finish(&mut self.world);
    }
}

/// Runs for an hour and checks the books; nothing may be in flight.
pub(crate) fn finish(world: &mut World) {
    world.run_until(ms(3_600_000)).unwrap();
    world.check().unwrap();
    assert_eq!(world.books().in_flight, 0);
}
