//! A wire of fixed delay between any number of programs: enough to try programs, no network. Datagrams of one train
//! stay in one buffer, so that the wire costs little.
#![allow(dead_code, unreachable_pub, reason = "each user needs a part of it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tq_quic::TransportConfig;
use tq_sim::app::{App, Serve};
use tq_sim::ledger::Ledger;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{Asked, Context, Meta, Notice, Process};
use tq_time::Instant;

pub const CLIENT: &str = "192.0.2.1:4000";
pub const SERVER: &str = "192.0.2.2:443";
pub const DELAY: Duration = Duration::from_millis(10);

pub type Host = Rc<RefCell<QuicHost>>;

struct Train {
    meta: Meta,
    segment: usize,
    bytes: Vec<u8>,
}

enum What {
    Train(Train),
    Timer,
    Notice(Notice),
}

/// What the wire does with a datagram, which it may change; `false` drops it.
pub type Filter = Box<dyn FnMut(Instant, &Meta, &mut [u8]) -> bool>;

pub struct Wire {
    pub now: Instant,
    pub delay: Duration,
    pub filter: Option<Filter>,
    /// Every datagram carried, if it is to be kept.
    pub tape: Option<Vec<(Instant, SocketAddr, Vec<u8>)>>,
    pub datagrams: u64,
    programs: Vec<Box<dyn Process>>,
    sockets: Vec<BTreeMap<u32, SocketAddr>>,
    timers: Vec<Option<(Instant, u64)>>,
    queue: BTreeMap<(Instant, u64), (usize, What)>,
    number: u64,
    asked: Asked,
    spare: Vec<Vec<u8>>,
}

impl Wire {
    pub fn new(delay: Duration) -> Self {
        Self {
            now: Instant::ZERO,
            delay,
            filter: None,
            tape: None,
            datagrams: 0,
            programs: Vec::new(),
            sockets: Vec::new(),
            timers: Vec::new(),
            queue: BTreeMap::new(),
            number: 0,
            asked: Asked::default(),
            spare: Vec::new(),
        }
    }

    pub fn add(&mut self, program: impl Process + 'static) -> usize {
        let ix = self.programs.len();
        self.programs.push(Box::new(program));
        self.sockets.push(BTreeMap::new());
        self.timers.push(None);
        self.call(ix, |program, cx| program.start(cx));
        self.call(ix, |program, cx| program.settle(cx));
        ix
    }

    fn post(&mut self, at: Instant, to: usize, what: What) -> u64 {
        self.number += 1;
        self.queue.insert((at, self.number), (to, what));
        self.number
    }

    /// Tells a program something at a time.
    pub fn notify(&mut self, at: Instant, to: usize, notice: Notice) {
        self.post(at, to, What::Notice(notice));
    }

    fn call(&mut self, ix: usize, act: impl FnOnce(&mut dyn Process, &mut Context<'_>)) {
        let mut asked = std::mem::take(&mut self.asked);
        act(&mut *self.programs[ix], &mut Context::new(self.now, &mut asked));
        self.sockets[ix].extend(asked.binds.iter().copied());
        for departure in &asked.departures {
            let Some(local) = self.sockets[ix].get(&departure.socket).copied() else { continue };
            let to = departure.remote;
            let found = (0..self.sockets.len()).find_map(|ix| {
                self.sockets[ix].iter().find(|(_, bound)| **bound == to).map(|(n, _)| (ix, *n))
            });
            let Some((target, socket)) = found else { continue };
            let meta = Meta { socket, local: to, remote: local, ecn: departure.ecn };
            let mut bytes = self.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&asked.bytes[departure.range.clone()]);
            let train = Train { meta, segment: departure.segment, bytes };
            self.post(departure.at + self.delay, target, What::Train(train));
        }
        if let Some(timer) = asked.timer {
            if let Some(old) = self.timers[ix].take() {
                self.queue.remove(&old);
            }
            self.timers[ix] = timer.map(|at| {
                let at = at.max(self.now);
                (at, self.post(at, ix, What::Timer))
            });
        }
        asked.clear();
        self.asked = asked;
    }

    fn deliver(&mut self, to: usize, mut train: Train) {
        let mut bytes = std::mem::take(&mut train.bytes);
        let mut filter = self.filter.take();
        for datagram in bytes.chunks_mut(train.segment) {
            self.datagrams += 1;
            if filter.as_mut().is_some_and(|filter| !filter(self.now, &train.meta, datagram)) {
                continue;
            }
            if let Some(tape) = &mut self.tape {
                tape.push((self.now, train.meta.remote, datagram.to_vec()));
            }
            self.call(to, |program, cx| program.on_datagram(cx, &train.meta, datagram));
        }
        self.filter = filter;
        self.spare.push(bytes);
    }

    /// Everything of the next moment, if it comes before `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        let Some(at) = self.queue.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        let mut touched = Vec::new();
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= at) {
            let (to, what) = entry.remove();
            match what {
                What::Train(train) => self.deliver(to, train),
                What::Notice(notice) => self.call(to, |program, cx| program.on_notice(cx, &notice)),
                What::Timer => {
                    self.timers[to] = None;
                    self.call(to, |program, cx| program.on_timer(cx));
                }
            }
            if !touched.contains(&to) {
                touched.push(to);
            }
        }
        for ix in touched {
            self.call(ix, |program, cx| program.settle(cx));
        }
        true
    }

    pub fn run(&mut self, until: Instant) {
        let (mut last, mut same) = (self.now, 0u64);
        while self.step(until) {
            same = if self.now == last { same + 1 } else { 0 };
            last = self.now;
            assert!(same < 100_000, "virtual time stands still at {last:?}");
        }
    }
}

pub fn seconds(seconds: f64) -> Instant {
    Instant::from_nanos((seconds * 1e9) as u64)
}

/// A client, a server that serves, a wire between them and the books.
pub struct World {
    pub wire: Wire,
    pub client: Host,
    pub server: Host,
    pub ledger: Ledger,
}

/// What a world is made of.
pub struct Parts {
    pub seed: u64,
    pub tls: TlsConfig,
    pub transport: TransportConfig,
    pub client: Box<dyn FnOnce(&mut HostConfig)>,
    pub server: Box<dyn FnOnce(&mut HostConfig)>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            seed: 1,
            tls: TlsConfig::default(),
            transport: TransportConfig::default(),
            client: Box::new(|_| ()),
            server: Box::new(|_| ()),
        }
    }
}

impl Parts {
    /// One connection from the start, with the program `app` makes.
    pub fn with<A: App + 'static, R>(self, app: impl FnOnce(&Ledger) -> (A, R)) -> (World, R) {
        let ledger = Ledger::new(self.seed);
        let (app, report) = app(&ledger);
        (self.with_all(ledger, vec![Box::new(app)]), report)
    }

    /// A connection from the start for each program.
    pub fn with_all(self, ledger: Ledger, apps: Vec<Box<dyn App>>) -> World {
        let (seed, transport) = (self.seed, Arc::new(self.transport));
        let tls = |label| Arc::new(SeededTls::new(seed + label, self.tls.clone()));
        let books = ledger.clone();
        let setup = ServerSetup::new(tls(1), Arc::clone(&transport), move |_| Box::new(Serve::new(&books)));
        let mut config = HostConfig::server(seed + 10, SERVER.parse().expect("an address"), setup);
        (self.server)(&mut config);
        let server = Rc::new(RefCell::new(QuicHost::new(config)));
        let mut config = HostConfig::client(seed + 20, CLIENT.parse().expect("an address"));
        (self.client)(&mut config);
        let mut client = QuicHost::new(config);
        let tls = tls(2);
        for app in apps {
            let remote = SERVER.parse().expect("an address");
            let (tls, transport) = (Arc::clone(&tls), Arc::clone(&transport));
            let mut connect = Connect::new(Instant::ZERO, remote, tls, transport, Nothing);
            connect.app = app;
            client.connect(connect);
        }
        let client = Rc::new(RefCell::new(client));
        let mut wire = Wire::new(DELAY);
        wire.add(Rc::clone(&server));
        wire.add(Rc::clone(&client));
        World { wire, client, server, ledger }
    }
}

/// A program that does nothing.
pub struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut tq_sim::app::AppContext<'_>, _: &tq_quic::Event) {}
}
