//! Our core against the cores of other stacks, all of them without I/O, in one process and on one virtual clock.
//!
//! An [`End`] is one endpoint with one connection; [`Pair`] puts two of them at the ends of a [`Net`] of links with
//! delay, rate, queue and a NAT each. Streams are one-way, and what arrives is kept whole, so that a test can say that
//! nothing was lost, altered or delivered twice. No sockets, no sleeping; nothing here knows what a test is about.
#![warn(missing_docs, unreachable_pub)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

mod net;
pub mod noq;
pub mod ours;
pub mod quinn;
mod tls;
mod work;

pub use net::{Datagram, Link, Net, SERVER, client};
pub use tls::Identity;

/// What a stack does that carries no multipath; the rest is its own.
pub trait End {
    /// A datagram arrives.
    fn receive(&mut self, now: Duration, datagram: Datagram);
    /// Moves application data, and takes what there is to send.
    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>);
    /// When [`End::on_deadline`] is to be called.
    fn deadline(&mut self) -> Option<Duration>;
    /// The deadline has passed.
    fn on_deadline(&mut self, now: Duration);
    /// Whether the handshake is confirmed and paths may be thought of.
    fn is_confirmed(&self) -> bool;
    /// Opens a stream for these bytes.
    fn send(&mut self, data: Arc<[u8]>);
    /// Streams that arrived whole, in that order.
    fn got(&self) -> &[Vec<u8>];
    /// How the connection ended, if it did.
    fn error(&self) -> Option<String>;
}

/// What a stack with multipath does besides. Paths are named by their ids on the wire.
pub trait Multipath: End {
    /// Whether both ends agreed on it.
    fn is_multipath(&mut self) -> bool;
    /// Opens a path over a link; the stack's own words if it does not.
    ///
    /// # Errors
    /// Whatever the stack says.
    fn open_path(&mut self, now: Duration, link: usize) -> Result<u32, String>;
    /// Abandons a path that is not the last.
    fn close_path(&mut self, now: Duration, path: u32, code: u32);
    /// Says how a path is to be used.
    fn set_status(&mut self, now: Duration, path: u32, backup: bool);
    /// Whether the peer would like it to be used when no other can be.
    fn is_backup_for_peer(&mut self, path: u32) -> bool;
    /// The peer's address on a path.
    fn remote_of(&mut self, path: u32) -> Option<SocketAddr>;
    /// Whether the application was told that a path may carry data.
    fn is_validated(&self, path: u32) -> bool;
    /// Whether it was told that a path is abandoned.
    fn is_abandoned(&self, path: u32) -> bool;
    /// Whether it was told that nothing is left of a path.
    fn is_gone(&self, path: u32) -> bool;
    /// What it knows of its paths, for people.
    fn describe(&mut self) -> String;
    /// Moves to new keys, if that may be now.
    fn update_keys(&mut self, now: Duration) -> bool;
}

/// Two ends and what is between them.
pub struct Pair<C, S> {
    /// Time since the beginning.
    pub now: Duration,
    /// Opened the connection, has all the links.
    pub client: C,
    /// Has one address.
    pub server: S,
    /// The links.
    pub net: Net,
    /// Streams begun, up and down.
    sent: [usize; 2],
    out: Vec<Datagram>,
    stuck: u32,
}

impl<C: End, S: End> Pair<C, S> {
    /// Ends that have said nothing yet.
    pub fn new(client: C, server: S, net: Net) -> Self {
        Self { now: Duration::ZERO, client, server, net, sent: [0; 2], out: Vec::new(), stuck: 0 }
    }

    /// Steps until both ends are confirmed.
    ///
    /// # Panics
    /// They are not in five seconds.
    pub fn connect(&mut self) {
        self.until(Duration::from_secs(5), |pair| pair.client.is_confirmed() && pair.server.is_confirmed());
        self.pass(Duration::from_millis(300));
    }

    /// Sends what there is, moves the clock to what happens next and lets it happen; `false` if that is after `until`.
    fn step(&mut self, until: Duration) -> bool {
        self.client.transmit(self.now, &mut self.out);
        self.server.transmit(self.now, &mut self.out);
        for datagram in self.out.drain(..) {
            self.net.carry(self.now, datagram);
        }
        let next =
            [self.net.next(), self.client.deadline(), self.server.deadline()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.stuck = if next > self.now { 0 } else { self.stuck + 1 };
        assert!(self.stuck < 10_000, "a deadline stays in the past");
        self.now = self.now.max(next);
        while let Some(datagram) = self.net.arrived(self.now) {
            if datagram.to == SERVER {
                self.server.receive(self.now, datagram);
            } else {
                self.client.receive(self.now, datagram);
            }
        }
        if self.client.deadline().is_some_and(|at| at <= self.now) {
            self.client.on_deadline(self.now);
        }
        if self.server.deadline().is_some_and(|at| at <= self.now) {
            self.server.on_deadline(self.now);
        }
        true
    }

    /// Lets `time` pass.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Steps until `done`; returns how long it took.
    ///
    /// # Panics
    /// It is not done within `limit`.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            if !self.step(start + limit) {
                assert!(
                    done(self),
                    "not done in {limit:?}; client: {:?}, server: {:?}",
                    self.client.error(),
                    self.server.error()
                );
            }
        }
        self.now - start
    }

    /// Sends `len` bytes each way and waits for all of them; returns how long it took.
    ///
    /// # Panics
    /// Not all arrive within `limit`, or other bytes do.
    pub fn exchange(&mut self, len: usize, limit: Duration) -> Duration {
        self.begin([len, len]);
        self.finish(limit)
    }

    /// Begins to send so many bytes up and down; no stream for none.
    pub fn begin(&mut self, [up, down]: [usize; 2]) {
        if up > 0 {
            self.sent[0] += 1;
            self.client.send(pattern(up, 1));
        }
        if down > 0 {
            self.sent[1] += 1;
            self.server.send(pattern(down, 2));
        }
    }

    /// Waits for all that [`Pair::begin`] began; returns how long it took.
    ///
    /// # Panics
    /// Not all arrives within `limit`, or other bytes do, or more.
    pub fn finish(&mut self, limit: Duration) -> Duration {
        let count = |pair: &Self| [pair.server.got().len(), pair.client.got().len()];
        let took = self.until(limit, |pair| count(pair) == pair.sent);
        for (got, side) in [(self.server.got().last(), 1), (self.client.got().last(), 2)] {
            let got = got.map_or(&[][..], |got| got);
            assert!(*got == *pattern(got.len(), side), "bytes were altered");
        }
        took
    }
}

/// Bytes that tell where they belong.
fn pattern(len: usize, side: usize) -> Arc<[u8]> {
    (0..len).map(|i| (i * 7 + i / 251 + i / 65_521 + side) as u8).collect()
}

impl<C: Multipath, S: Multipath> Pair<C, S> {
    /// Connects and opens a path over every link.
    ///
    /// # Panics
    /// That takes more than five seconds.
    pub fn connect_all(&mut self) {
        self.connect();
        for link in 1..self.net.links.len() {
            self.open(link);
        }
    }

    /// Opens a path over a link and waits until both ends may use it.
    ///
    /// # Panics
    /// That takes more than five seconds.
    pub fn open(&mut self, link: usize) -> u32 {
        let id = self.client.open_path(self.now, link).expect("a path may be opened");
        self.until(Duration::from_secs(5), |pair| {
            pair.client.is_validated(id) && pair.server.is_validated(id)
        });
        id
    }
}
