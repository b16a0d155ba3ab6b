//! Links between two programs on loopback: UDP goes in at one address, its fate is the link model's, and it comes out at
//! the server from an address of its link's own.
//!
//! Decides which link a datagram is on (by the address it comes from) and wakes up when it is due. Threads sleep by the
//! scheduler's leave: what is due may be late by a millisecond on a busy machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;
use tq_linkmodel::{
    Change, Delivery, Direction, DirectionConfig, Instant, Link, LinkConfig, Outcome, Packet, Queue, Rate,
};
use tq_netlab::control::Wanted;
use tq_udp::Clock;

use crate::place::{Carried, LinkFacts};

/// Headers of IP and UDP.
const HEADERS: u32 = 28;
/// Datagrams on their way at most, as the namespaces' emulator has it.
const MOST_HELD: usize = 48 << 10;
const BUFFER: usize = 4 << 20;
/// How often a thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// The router's address of link `i`.
pub(super) fn address(i: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 2 + i as u8)
}

/// All links. They end with this.
pub(super) struct Relay {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    state: Mutex<State>,
    more: Condvar,
    over: AtomicBool,
    epoch: Instant,
    front: UdpSocket,
    /// To the server, one for each link.
    backs: Vec<UdpSocket>,
}

struct State {
    links: Vec<Link>,
    /// Where the router is on each link.
    routers: Vec<Option<SocketAddr>>,
    held: BinaryHeap<Reverse<Held>>,
    count: u64,
}

/// A datagram on its way; ordered by when it is due and when it came.
struct Held {
    due: (Instant, u64),
    link: usize,
    direction: Direction,
    promise: (Packet, Delivery),
    bytes: Vec<u8>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl Relay {
    /// Links like these to a server there.
    pub(super) fn start(links: &[LinkFacts], server: SocketAddr) -> Result<Self> {
        let front = open()?;
        let backs: io::Result<Vec<_>> = links
            .iter()
            .map(|_| {
                let back = open()?;
                back.connect(server)?;
                Ok(back)
            })
            .collect();
        let models = links.iter().enumerate().map(|(i, link)| Link::new(&config(link), i as u64));
        let state = State {
            links: models.collect(),
            routers: vec![None; links.len()],
            held: BinaryHeap::new(),
            count: 0,
        };
        let port = front.local_addr()?.port();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            more: Condvar::new(),
            over: AtomicBool::new(false),
            epoch: Clock::now(),
            front,
            backs: backs.context("cannot open UDP sockets on loopback")?,
        });
        let spawn = |work: Box<dyn FnOnce(&Shared) + Send>| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || work(&shared));
        };
        spawn(Box::new(Shared::hear_router));
        for i in 0..links.len() {
            spawn(Box::new(move |shared| shared.hear_server(i)));
        }
        spawn(Box::new(Shared::deliver));
        Ok(Self { shared, port })
    }

    /// Where routers send to, on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What each link has delivered.
    pub(super) fn carried(&self) -> Vec<Carried> {
        let state = self.shared.lock();
        let of = |link: &Link| Carried {
            up: link.counters(Direction::Up).delivered_bytes,
            down: link.counters(Direction::Down).delivered_bytes,
        };
        state.links.iter().map(of).collect()
    }

    /// Changes a link, now.
    pub(super) fn change(&self, link: usize, change: Wanted) {
        let now = self.shared.now();
        self.shared.lock().links[link].set(now, Change::from(change));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.more.notify_all();
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    // As much as the kernel lets us have.
    let _ = SockRef::from(&socket).set_recv_buffer_size(BUFFER);
    Ok(socket)
}

fn config(link: &LinkFacts) -> LinkConfig {
    let rate = (link.rate_mbps * 1e6 / 8.0) as u64;
    LinkConfig::symmetric(DirectionConfig {
        rate: Rate::Fixed(rate),
        queue: Queue::of(rate, Duration::from_millis(link.queue_ms)),
        delay: Duration::from_millis(link.rtt_ms) / 2,
        ..DirectionConfig::default()
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model's time.
    fn now(&self) -> Instant {
        Instant::ZERO + (Clock::now() - self.epoch)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn hear_router(&self) {
        let mut buffer = vec![0; 65_535];
        while !self.is_over() {
            let Ok((len, from)) = self.front.recv_from(&mut buffer) else { continue };
            let known = (0..self.backs.len()).find(|i| from.ip() == IpAddr::V4(address(*i)));
            if let Some(link) = known {
                self.lock().routers[link] = Some(from);
                self.offer(link, Direction::Up, &buffer[..len]);
            }
        }
    }

    fn hear_server(&self, link: usize) {
        let mut buffer = vec![0; 65_535];
        while !self.is_over() {
            // An error is that the server is not there: it may come back.
            if let Ok(len) = self.backs[link].recv(&mut buffer) {
                self.offer(link, Direction::Down, &buffer[..len]);
            }
        }
    }

    fn offer(&self, link: usize, direction: Direction, bytes: &[u8]) {
        let (now, mut state) = (self.now(), self.lock());
        let packet = Packet { len: bytes.len() as u32 + HEADERS, ..Packet::default() };
        let Outcome::Delivered(delivery) = state.links[link].offer(now, direction, packet) else { return };
        if state.held.len() < MOST_HELD {
            state.count += 1;
            let due = (delivery.at, state.count);
            state.held.push(Reverse(Held {
                due,
                link,
                direction,
                promise: (packet, delivery),
                bytes: bytes.to_vec(),
            }));
            self.more.notify_one();
        }
    }

    fn deliver(&self) {
        let mut state = self.lock();
        while !self.is_over() {
            let now = self.now();
            let wait = state.held.peek().map_or(LOOK, |Reverse(held)| held.due.0 - now);
            if !wait.is_zero() {
                let (back, _) =
                    self.more.wait_timeout(state, wait.min(LOOK)).unwrap_or_else(PoisonError::into_inner);
                state = back;
                continue;
            }
            let Some(Reverse(held)) = state.held.pop() else { continue };
            let (packet, delivery) = &held.promise;
            if !state.links[held.link].arrives(held.direction, *packet, delivery) {
                continue;
            }
            let router = state.routers[held.link];
            drop(state);
            // Nobody listens there now: as on any network, it is lost.
            let _ = match (held.direction, router) {
                (Direction::Up, _) => self.backs[held.link].send(&held.bytes),
                (Direction::Down, Some(to)) => self.front.send_to(&held.bytes, to),
                (Direction::Down, None) => Ok(0),
            };
            state = self.lock();
        }
    }
}
