//! Bulk transfers over the link model: what a lone sender, or several, make of a link. Virtual time throughout.
#![allow(dead_code, unreachable_pub, reason = "each test file uses what it needs")]

use std::cell::RefCell;
use std::rc::Rc;

use tq_linkmodel::{
    Counters, Direction, DirectionConfig, Jitter, Leo, Link, LinkConfig, Lte, Packet, Profile, Queue, Rate,
    leo, lte,
};
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::{Dir, StreamId};
use tq_quic::{Connection, Handle, TransportConfig, WriteError};

use crate::pair::{Pair, SERVER};

/// IPv4 and UDP headers.
const HEADERS: usize = 28;
/// Longest packet on the link.
pub const PACKET: u64 = 1480;
/// What a full packet carries of a stream: headers, tag and frame header take the rest.
pub const PAYLOAD: u64 = 1416;
/// Resolution of the delivery record.
const BIN: Duration = Duration::from_millis(1);
/// When the clock of a [`Pair`] starts.
const START: Instant = Instant::from_nanos(1_000_000_000);

/// What varies the rate of the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radio {
    None,
    Lte,
    Leo,
}

/// A link: data goes down.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub mbps: u64,
    pub up_mbps: u64,
    pub rtt_ms: u64,
    /// Queue, per cent of the bandwidth-delay product; zero: unbounded.
    pub queue: u64,
    pub jitter_ms: u64,
    pub reorder: bool,
    pub loss_ppm: u32,
    pub radio: Radio,
    pub seconds: u64,
}

impl Case {
    pub const fn new(name: &'static str, mbps: u64, rtt_ms: u64, queue: u64, seconds: u64) -> Self {
        Self {
            name,
            mbps,
            up_mbps: mbps,
            rtt_ms,
            queue,
            jitter_ms: 0,
            reorder: false,
            loss_ppm: 0,
            radio: Radio::None,
            seconds,
        }
    }

    pub const fn rate(&self) -> u64 {
        self.mbps * 125_000
    }

    pub const fn bdp(&self) -> u64 {
        self.rate() * self.rtt_ms / 1000
    }

    fn profile(&self) -> Option<Profile> {
        match self.radio {
            Radio::None => None,
            Radio::Lte => Some(lte(7, &Lte::new(self.rate()))),
            Radio::Leo => {
                let [_, down] = leo(7, &Leo::new(self.up_mbps * 125_000, self.rate()));
                Some(down)
            }
        }
    }

    fn link(&self) -> Link {
        let delay = Duration::from_micros(self.rtt_ms * 500);
        let queue = match self.queue {
            0 => Queue::default(),
            share => Queue::Bytes((self.bdp() * share / 100).max(4 * PACKET)),
        };
        let jitter = Jitter::Bell(Duration::from_millis(self.jitter_ms));
        let down = DirectionConfig {
            rate: self.profile().map_or(Rate::Fixed(self.rate()), Rate::profile),
            queue,
            delay,
            jitter,
            reorder: self.reorder,
            loss_ppm: self.loss_ppm,
            ..DirectionConfig::default()
        };
        let up = DirectionConfig {
            rate: Rate::Fixed(self.up_mbps * 125_000),
            queue: Queue::Time(Duration::from_millis(200)),
            loss_ppm: 0,
            ..down.clone()
        };
        Link::new(&LinkConfig { up, down }, 11)
    }

    /// Bytes the way down can carry between two moments.
    fn capacity(&self, from: Instant, to: Instant) -> f64 {
        let seconds = (to - from).as_secs_f64();
        let Some(profile) = self.profile() else { return self.rate() as f64 * seconds };
        // The profile begins at the epoch of the clock.
        let (mut at, mut sum) = (0.0, 0.0);
        let (from, to) = (from.as_nanos() as f64 / 1e9, to.as_nanos() as f64 / 1e9);
        while at < to {
            for segment in profile.segments() {
                let end = at + segment.time.as_secs_f64();
                sum += (end.min(to) - at.max(from)).max(0.0) * segment.rate as f64;
                at = end;
            }
        }
        sum
    }
}

/// What the link saw.
#[derive(Default)]
pub struct Seen {
    /// Bytes of IP that left the queue downwards, by [`BIN`].
    bins: Vec<u64>,
    /// Bytes offered upwards.
    pub up: u64,
    pub down: Option<Counters>,
}

impl Seen {
    fn left(&mut self, at: Instant, len: u64) {
        let bin = index(at);
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += len;
    }

    pub fn between(&self, from: Instant, to: Instant) -> u64 {
        self.bins.iter().take(index(to)).skip(index(from)).sum()
    }
}

fn index(at: Instant) -> usize {
    (at.as_nanos() / BIN.as_nanos() as u64) as usize
}

/// A pair over `case`.
pub fn pair(case: &Case, config: &TransportConfig) -> (Pair, Rc<RefCell<Seen>>) {
    let mut pair = Pair::new(config.clone(), config.clone());
    pair.delay = Duration::ZERO;
    let seen = Rc::<RefCell<Seen>>::default();
    let theirs = Rc::clone(&seen);
    let mut link = case.link();
    let server: std::net::SocketAddr = SERVER.parse().expect("an address");
    pair.link = Box::new(move |flying| {
        let direction = if flying.to == server { Direction::Up } else { Direction::Down };
        let len = (flying.bytes.len() + HEADERS) as u64;
        let packet = Packet { len: len as u32, ecn: flying.ecn, flow: 0 };
        let answer = link.offer(flying.at, direction, packet).delivery();
        let mut seen = theirs.borrow_mut();
        if direction == Direction::Down {
            seen.down = Some(link.counters(direction));
        } else {
            seen.up += len;
        }
        let Some(delivery) = answer else { return false };
        if direction == Direction::Down {
            seen.left(delivery.left, len);
        }
        flying.at = delivery.at;
        flying.ecn = delivery.ecn;
        true
    });
    (pair, seen)
}

/// A server that writes without end, or `left` bytes; a client that reads.
pub struct Bulk {
    pub client: Handle,
    pub server: Handle,
    id: StreamId,
    left: u64,
    pub got: u64,
    pub done: bool,
    finished: bool,
}

impl Bulk {
    pub fn start(pair: &mut Pair, len: u64) -> Self {
        let (client, server) = pair.connected();
        let id = pair.server(server).open(Dir::Uni).expect("streams are allowed");
        Self { client, server, id, left: len, got: 0, done: false, finished: false }
    }

    pub fn work(&mut self, pair: &mut Pair) {
        let sender = pair.server(self.server);
        while self.left > 0 {
            let len = self.left.min(CHUNK.len() as u64) as usize;
            match sender.write_slice(self.id, &CHUNK[..len]) {
                Ok(written) => self.left -= written as u64,
                Err(WriteError::Blocked) => break,
                Err(error) => panic!("write failed: {error:?}"),
            }
        }
        if self.left == 0 && !self.finished {
            self.finished = true;
            sender.finish(self.id).expect("first finish");
        }
        let receiver = pair.client(self.client);
        while receiver.accept(Dir::Uni).is_some() {}
        loop {
            match receiver.read(self.id, usize::MAX) {
                Ok(Some(bytes)) => self.got += bytes.len() as u64,
                Ok(None) => {
                    self.done = true;
                    break;
                }
                Err(_) => break,
            }
        }
    }

    pub fn sender<'a>(&self, pair: &'a mut Pair) -> &'a mut Connection {
        pair.server(self.server)
    }
}

static CHUNK: [u8; 65_536] = [0x5a; 65_536];

/// What came of a run. Shares are of what the link can carry.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Time from the first byte to the end of slow start, if it ended.
    pub slow_start: Option<Duration>,
    /// Use of the link by packets that were needed, from the end of slow start to the end of the run.
    pub used: f64,
    /// The same from the first byte on.
    pub whole: f64,
    /// Share of packets declared lost.
    pub lost: f64,
    /// Share of packets the link dropped.
    pub dropped: f64,
    /// Share of packets declared lost that were not.
    pub spurious: f64,
    pub longest_queue: Duration,
    pub ptos: u64,
    pub events: u64,
    /// Upward load, Mbit/s.
    pub up: f64,
    /// When the last byte was read: a round trip for the handshake, and the time from the first byte on.
    pub took: Option<Duration>,
}

/// Sends without end for the time the case says, or `len` bytes.
pub fn run(case: &Case, config: &TransportConfig, len: Option<u64>) -> Outcome {
    let (mut pair, seen) = pair(case, config);
    let mut flow = Bulk::start(&mut pair, len.unwrap_or(u64::MAX));
    let begin = pair.now;
    let mut exit = None;
    let mut looked = pair.now;
    let end = Duration::from_secs(case.seconds);
    pair.drive_for(end, |pair| {
        flow.work(pair);
        if pair.now >= looked + BIN {
            looked = pair.now;
            let path = flow.sender(pair).stats().paths[0];
            if exit.is_none() && path.ssthresh != u64::MAX {
                exit = Some(pair.now);
            }
        }
        flow.done
    });
    assert!(len.is_none() || flow.done, "{}: {} bytes of {len:?}", case.name, flow.got);
    let (now, counters) = (pair.now, flow.sender(&mut pair).stats().counters);
    let seen = seen.borrow();
    let share = |from: Instant| {
        let useless = counters.packets_spuriously_lost as f64 * PACKET as f64 * (now - from).as_secs_f64()
            / (now - begin).as_secs_f64();
        (seen.between(from, now) as f64 - useless) / case.capacity(from, now)
    };
    let sent = counters.packets_sent.max(1) as f64;
    Outcome {
        slow_start: exit.map(|exit| exit - begin),
        used: share(exit.unwrap_or(begin)),
        whole: share(begin),
        lost: counters.packets_lost as f64 / sent,
        dropped: seen.down.map_or(0.0, |down| down.dropped_total() as f64 / down.offered as f64),
        spurious: counters.packets_spuriously_lost as f64 / sent,
        longest_queue: seen.down.map_or(Duration::ZERO, |down| down.longest.delay),
        ptos: counters.ptos,
        events: counters.congestion_events,
        up: seen.up as f64 * 8e-6 / (now - START).as_secs_f64(),
        took: flow.done.then(|| now - begin + Duration::from_millis(case.rtt_ms)),
    }
}

pub fn heading() -> String {
    format!(
        "{:<26} {:>7} {:>7} {:>8} {:>7} {:>7} {:>8} {:>9} {:>4} {:>5} {:>7}",
        "link",
        "used",
        "whole",
        "ss ms",
        "lost %",
        "drop %",
        "spur. %",
        "queue ms",
        "pto",
        "event",
        "up Mb/s"
    )
}

pub fn line(case: &Case, o: &Outcome) -> String {
    format!(
        "{:<26} {:>7.3} {:>7.3} {:>8} {:>7.3} {:>7.3} {:>8.3} {:>9.1} {:>4} {:>5} {:>7.2}",
        case.name,
        o.used,
        o.whole,
        o.slow_start.map_or("-".into(), |t| t.as_millis().to_string()),
        o.lost * 100.0,
        o.dropped * 100.0,
        o.spurious * 100.0,
        o.longest_queue.as_secs_f64() * 1e3,
        o.ptos,
        o.events,
        o.up,
    )
}
