//! From the socket to the connections: a train of datagrams is routed once and opened under one lock.
//!
//! Decides how a train is cut into runs for one connection, and how much is read before somebody may send.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tq_quic::{RecvMeta, Route};
use tq_time::Instant;
use tq_udp::{Clock, MAX_TRAIN, RecvBatch, Train};

use super::Driver;
use super::crowd::Crowd;
use super::strangers::Strangers;
use crate::endpoint::Inner;
use crate::lock;
use crate::shared::{Shared, Turn, Woken};

/// Batches taken from one socket per turn. Acknowledgements are many and short: if they were taken as slowly as data, they would
/// make a queue as soon as there is enough to send, and round trips and all that is under way would grow with it.
const BATCHES: usize = 32;
/// Bytes from which on it is enough: one batch of full trains, and another that is behind it.
const BYTES: usize = RecvBatch::TRAINS * MAX_TRAIN;
/// A receive buffer that is fuller overflows now and then.
const FULL: f32 = 0.5;

impl Driver {
    /// Takes what has arrived, up to a limit. True if a socket said that there is something, be it so or not: only
    /// asking again until it says no leaves our waker with it.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut heard = false;
        let now = Clock::now();
        if self.crowd.is_over(now) {
            self.judge(now);
        }
        for index in 0..self.sockets.len() {
            let mut bytes = 0;
            for _ in 0..BATCHES {
                let Poll::Ready(ready) = self.sockets[index].socket.poll_read_ready(cx) else { break };
                let mut guard = ready?;
                heard = true;
                let count = match guard.get_inner().recv(&mut self.batch) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    // About packets sent earlier (ICMP) or a device that is gone: told once, and what has arrived is
                    // still there.
                    Err(_) => continue,
                };
                if count < RecvBatch::TRAINS {
                    guard.clear_ready();
                }
                let mut stage = Stage {
                    inner: &self.inner,
                    turn: &mut self.turn,
                    woken: &mut self.woken,
                    reply: &mut self.reply,
                    crowd: &mut self.crowd,
                    strangers: &mut self.strangers,
                    cid_len: self.cid_len,
                };
                for train in self.batch.trains() {
                    bytes += train.data.len();
                    stage.train(self.sockets[index].number, train);
                }
                if count < RecvBatch::TRAINS || bytes > BYTES {
                    break;
                }
            }
        }
        Ok(heard)
    }

    /// An epoch is over: who asked for too much, and who is not to be heard at all.
    fn judge(&mut self, now: Instant) {
        let mut drops = 0;
        for slot in &mut self.sockets {
            let socket = slot.socket.get_ref();
            let all = socket.dropped().unwrap_or(slot.dropped);
            // What is refused counts as dropped, too: then the buffer tells whether there is too much of the rest.
            if !self.strangers.any(slot.number) || socket.fullness().is_ok_and(|full| full > FULL) {
                drops += u64::from(all.wrapping_sub(slot.dropped));
            }
            slot.dropped = all;
        }
        self.crowd.turn(now, drops);
        let (sockets, inner) = (&self.sockets, &self.inner);
        let is_peer = |source| {
            let connections = lock(&inner.state).connections();
            let has_path =
                |shared: &Arc<Shared>| shared.lock().core.paths().any(|path| path.remote == source);
            connections.iter().any(has_path)
        };
        self.strangers.turn(now, is_peer, |number, unwanted| {
            if let Some(slot) = sockets.iter().find(|slot| slot.number == number) {
                // Where that fails, they are read and thrown away as before.
                let _ = slot.socket.get_ref().refuse(unwanted);
            }
        });
    }
}

/// What receiving touches of the driver.
struct Stage<'a> {
    inner: &'a Arc<Inner>,
    turn: &'a mut Turn,
    woken: &'a mut Woken,
    reply: &'a mut Vec<u8>,
    crowd: &'a mut Crowd,
    strangers: &'a mut Strangers,
    cid_len: usize,
}

impl Stage<'_> {
    /// Hands a train to whom it concerns, run by run.
    fn train(&mut self, socket: u32, train: Train<'_>) {
        let Train { remote, local_ip, ecn, stride, data, received_at } = train;
        let meta = RecvMeta { remote: normal(remote), local_ip, socket, ecn };
        let mut rest = data;
        while !rest.is_empty() {
            let (first, after) = rest.split_at_mut(stride.min(rest.len()));
            let target = Target::of(first, self.cid_len);
            rest = match self.route(received_at, &meta, first) {
                Some(shared) => {
                    let run = target.map_or(0, |target| target.run(after, stride, self.cid_len));
                    let (run, other) = after.split_at_mut(run);
                    let size = (1 + run.len().div_ceil(stride.max(1)), first.len() + run.len());
                    let datagrams = std::iter::once(first).chain(run.chunks_mut(stride));
                    self.deliver(shared, received_at, &meta, datagrams, size);
                    other
                }
                None => after,
            };
        }
    }

    /// Asks the endpoint whose datagram this is, and does what it says if it is no connection's.
    fn route(&mut self, now: Instant, meta: &RecvMeta, datagram: &mut [u8]) -> Option<Arc<Shared>> {
        let mut endpoint = lock(&self.inner.state);
        let now = endpoint.at(now);
        self.reply.clear();
        let route = endpoint.core.receive(now, meta, datagram, self.reply);
        if let Route::Connection(key) = route {
            return endpoint.connection(key.0).cloned();
        }
        drop(endpoint);
        match route {
            Route::Incoming(incoming) => {
                // Whoever accepts it has something to send soon.
                self.woken.any = true;
                self.inner.knock(incoming);
            }
            unknown @ (Route::Reply(_) | Route::Drop(_)) => {
                if let Route::Reply(transmit) = &unknown {
                    self.inner.reply(transmit, self.reply);
                }
                let first = datagram.first().copied().unwrap_or(0);
                self.strangers.on_unknown(meta.socket, meta.remote, first);
            }
            Route::Kept | Route::Connection(_) => {}
        }
        None
    }

    /// A run of datagrams for one connection (how many, and their bytes), under one lock, with one wake-up per task concerned.
    fn deliver<'d>(
        &mut self,
        shared: Arc<Shared>,
        now: Instant,
        meta: &RecvMeta,
        datagrams: impl Iterator<Item = &'d mut [u8]>,
        (count, bytes): (usize, usize),
    ) {
        let mut state = shared.lock();
        let admitted = self.crowd.admit(&mut state.heard, &shared, count, bytes);
        let now = state.at(now);
        for datagram in datagrams.take(admitted) {
            state.core.receive(now, meta, datagram);
        }
        // Who awaits the handshake is told when its last flight leaves: a task that closes at once could be sooner.
        if state.connected {
            state.drain_events(self.woken);
        }
        let queued = std::mem::replace(&mut state.queued, true);
        drop(state);
        self.woken.signal(&shared.signals);
        if !queued {
            self.turn.push_back(shared);
        }
    }
}

/// What tells that two datagrams with short headers have the same destination: their connection id, as a number.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    cid: [u8; 20],
}

impl Target {
    /// `None` for long headers: those are few, and routing also looks at their version and type.
    fn of(datagram: &[u8], cid_len: usize) -> Option<Self> {
        let (head, rest) = datagram.split_first()?;
        if head & 0x80 != 0 {
            return None;
        }
        let mut cid = [0; 20];
        cid.get_mut(..cid_len)?.copy_from_slice(rest.get(..cid_len)?);
        Some(Self { cid })
    }

    /// Bytes at the start of `rest` that are datagrams for the same connection.
    fn run(self, rest: &[u8], stride: usize, cid_len: usize) -> usize {
        let alike = rest.chunks(stride).take_while(|next| Self::of(next, cid_len) == Some(self));
        alike.map(<[u8]>::len).sum()
    }
}

/// IPv4 peers have IPv4 addresses, whatever the socket.
fn normal(remote: SocketAddr) -> SocketAddr {
    SocketAddr::new(remote.ip().to_canonical(), remote.port())
}

#[cfg(test)]
mod tests;
