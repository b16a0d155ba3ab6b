//! Two links with rates, delays and queues that can be cut in either direction, and a flow whose gaps are measured. Virtual
//! time throughout.
#![allow(dead_code, unreachable_pub, reason = "each test file uses what it needs")]

use std::cell::RefCell;
use std::rc::Rc;

use tq_linkmodel::{Direction, DirectionConfig, Link, LinkConfig, Packet, Queue, Rate};
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::{Dir, PathId, Side, StreamId};
use tq_quic::{Connection, Event, Handle, PathEvent, TransportConfig, WriteError};

use crate::pair::{Pair, multi};

pub const MS: Duration = Duration::from_millis(1);

/// IPv4 and UDP headers.
const HEADERS: usize = 28;

/// A link of a client.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub mbps: u64,
    pub rtt_ms: u64,
    /// Longest wait in its queue.
    pub queue_ms: u64,
}

impl Line {
    pub const fn new(mbps: u64, rtt_ms: u64) -> Self {
        Self { mbps, rtt_ms, queue_ms: 20 }
    }

    fn link(&self, seed: u64) -> Link {
        Link::new(
            &LinkConfig::symmetric(DirectionConfig {
                rate: Rate::Fixed(self.mbps * 125_000),
                delay: Duration::from_micros(self.rtt_ms * 500),
                queue: Queue::Time(self.queue_ms as u32 * MS),
                ..DirectionConfig::default()
            }),
            seed,
        )
    }
}

/// What is cut: towards the server, towards the client.
pub type Dead = [bool; 2];
pub const ALIVE: Dead = [false; 2];
pub const BOTH: Dead = [true; 2];
pub const UP: Dead = [true, false];
pub const DOWN: Dead = [false, true];

/// A pair whose client has these links, and what is cut of each.
pub struct Net {
    pub pair: Pair,
    pub dead: Rc<RefCell<Vec<Dead>>>,
    /// Datagrams offered to each link, towards the server and towards the client.
    pub offered: Rc<RefCell<Vec<[u64; 2]>>>,
}

impl Net {
    pub fn new(lines: &[Line], seed: u64, change: impl FnOnce(&mut TransportConfig)) -> Self {
        let mut config = multi::paths(lines.len() as u32);
        change(&mut config);
        let mut pair = Pair::new(config.clone(), config);
        pair.client.others = (1..lines.len()).map(multi::link).collect();
        pair.delay = Duration::ZERO;
        let dead = Rc::new(RefCell::new(vec![ALIVE; lines.len()]));
        let theirs = Rc::clone(&dead);
        let offered = Rc::new(RefCell::new(vec![[0; 2]; lines.len()]));
        let counts = Rc::clone(&offered);
        let mut links: Vec<Link> =
            lines.iter().enumerate().map(|(n, line)| line.link(seed * 16 + n as u64)).collect();
        pair.link = Box::new(move |flying| {
            let of = |address| (0..links.len()).find(|n| multi::link(*n) == address);
            let Some((n, direction)) = of(flying.from)
                .map(|n| (n, Direction::Up))
                .or_else(|| of(flying.to).map(|n| (n, Direction::Down)))
            else {
                return true;
            };
            counts.borrow_mut()[n][usize::from(direction == Direction::Down)] += 1;
            let packet = Packet { len: (flying.bytes.len() + HEADERS) as u32, ecn: flying.ecn, flow: 0 };
            let Some(delivery) = links[n].offer(flying.at, direction, packet).delivery() else {
                return false;
            };
            flying.at = delivery.at;
            flying.ecn = delivery.ecn;
            !theirs.borrow()[n][usize::from(direction == Direction::Down)]
        });
        Self { pair, dead, offered }
    }

    pub fn cut(&self, n: usize, dead: Dead) {
        self.dead.borrow_mut()[n] = dead;
    }
}

/// Data without end in one direction, and when it arrived in order.
pub struct Stream {
    pub client: Handle,
    pub server: Handle,
    from: Side,
    id: StreamId,
    left: u64,
    pub got: u64,
    pub done: bool,
    finished: bool,
    /// When the last byte in order was read.
    last: Instant,
    /// Longest time between two such moments since somebody looked.
    pub gap: Duration,
}

static CHUNK: [u8; 65_536] = [0x5a; 65_536];

impl Stream {
    /// Over all links, which the client opens as paths first.
    pub fn start(net: &mut Net, from: Side, len: u64) -> Self {
        let (client, server) = multi::connected(&mut net.pair);
        Self::over(net, (client, server), from, len)
    }

    pub fn over(net: &mut Net, (client, server): (Handle, Handle), from: Side, len: u64) -> Self {
        let pair = &mut net.pair;
        let sender = if from.is_client() { pair.client(client) } else { pair.server(server) };
        let id = sender.open(Dir::Uni).expect("streams are allowed");
        let (last, gap) = (pair.now, Duration::ZERO);
        Self { client, server, from, id, left: len, got: 0, done: false, finished: false, last, gap }
    }

    pub fn work(&mut self, pair: &mut Pair) {
        let sender = self.sender(pair);
        let (mut left, id) = (self.left, self.id);
        while left > 0 {
            let len = left.min(CHUNK.len() as u64) as usize;
            match sender.write_slice(id, &CHUNK[..len]) {
                Ok(written) => left -= written as u64,
                Err(WriteError::Blocked) => break,
                Err(error) => panic!("write failed: {error:?}"),
            }
        }
        if left == 0 && !self.finished {
            sender.finish(id).expect("first finish");
            self.finished = true;
        }
        self.left = left;
        let before = self.got;
        let receiver = self.receiver(pair);
        while receiver.accept(Dir::Uni).is_some() {}
        let (mut got, mut done) = (0, false);
        loop {
            match receiver.read(id, usize::MAX) {
                Ok(Some(bytes)) => got += bytes.len() as u64,
                Ok(None) => {
                    done = true;
                    break;
                }
                Err(_) => break,
            }
        }
        self.got += got;
        self.done |= done;
        if self.got > before {
            self.gap = self.gap.max(pair.now.saturating_since(self.last));
            self.last = pair.now;
        }
    }

    pub fn sender<'a>(&self, pair: &'a mut Pair) -> &'a mut Connection {
        if self.from.is_client() { pair.client(self.client) } else { pair.server(self.server) }
    }

    pub fn receiver<'a>(&self, pair: &'a mut Pair) -> &'a mut Connection {
        if self.from.is_client() { pair.server(self.server) } else { pair.client(self.client) }
    }

    /// Lets `time` pass, or less if the data ends.
    pub fn run(&mut self, net: &mut Net, time: Duration) {
        net.pair.drive_for(time, |pair| {
            self.work(pair);
            self.done
        });
    }

    /// Lets `time` pass and gives the longest gap in it.
    pub fn gap_in(&mut self, net: &mut Net, time: Duration) -> Duration {
        self.gap = Duration::ZERO;
        self.run(net, time);
        self.gap.max(net.pair.now.saturating_since(self.last))
    }

    /// Whether either end was told of the end of a path.
    pub fn abandoned(&self, pair: &Pair) -> bool {
        let ended =
            |event: &Event| matches!(event, Event::Path(PathEvent::Abandoned { .. } | PathEvent::Failed(_)));
        pair.client.events.iter().chain(&pair.server.events).any(|(_, event)| ended(event))
    }

    /// Health of a path at the sender.
    pub fn health(&self, pair: &mut Pair, n: u32) -> tq_quic::sched::Health {
        self.sender(pair).path_stats(PathId(n)).expect("a path").health
    }
}
