//! From the connections to the sockets: one buffer, one system call per train of datagrams.
//!
//! Decides who sends next and how much per visit. What may not leave yet (its departure time is ahead, or the
//! socket is full) stays with its connection, which makes nothing new until that is gone. When a packet may leave
//! is the core's decision.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};

use tq_quic::Transmit;
use tq_time::{Duration, Instant};
use tq_udp::{Clock, SendError};

use super::Driver;
use super::together::Together;
use crate::endpoint::Inner;
use crate::lock;
use crate::reactor::writable;
use crate::shared::{Shared, State};

/// Trains of one connection before the next connection is visited.
const TRAINS: usize = 4;
/// Visits before the sockets are read again.
const VISITS: usize = 16;
/// A departure this close is now: no timer is so exact.
const EARLY: Duration = Duration::from_micros(10);
/// What became of a train.
enum Sent {
    /// It left, or is as good as lost.
    Gone,
    /// The path does not carry datagrams of this size.
    TooBig(usize),
    /// The socket is full; this many bytes left.
    Full(usize),
}

/// A transmit as the socket wants it.
pub(crate) fn train<'a>(transmit: &Transmit, contents: &'a [u8]) -> tq_udp::Transmit<'a> {
    tq_udp::Transmit {
        remote: transmit.remote,
        local_ip: transmit.local_ip,
        ecn: transmit.ecn,
        segment: transmit.segment.and_then(|len| u16::try_from(len).ok()),
        contents,
    }
}

impl Driver {
    /// Visits the connections on the list; true if some are left.
    pub(super) fn transmit(&mut self) -> bool {
        for _ in 0..VISITS {
            let Some(shared) = self.turn.pop_front() else { break };
            self.visit(shared);
        }
        self.depart();
        !self.turn.is_empty()
    }

    /// Sockets that can be written again give back who waited for them.
    pub(super) fn unblock(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for blocked in &mut self.blocked {
            let Some(writable) = &blocked.full else { continue };
            if let Poll::Ready(ready) = writable.poll_write_ready(cx) {
                ready?.retain_ready();
                blocked.full = None;
                self.turn.extend(blocked.waiting.drain(..));
            }
        }
        Ok(())
    }

    /// Everything a connection needs after something happened to it: deadlines, events, packets.
    fn visit(&mut self, shared: Arc<Shared>) {
        let mut state = shared.lock();
        let now = state.at(Clock::now());
        if state.core.deadline().is_some_and(|at| at <= now) {
            state.core.on_deadline(now);
        }
        for _ in 0..TRAINS {
            state.drain_events(&mut self.woken);
            if drain_endpoint_events(&self.inner, &shared, &mut state) {
                self.wheel.remove(shared.key.0);
                drop(state);
                return self.woken.signal(&shared.signals);
            }
            let now = state.at(Clock::now());
            let Some(transmit) = self.prepare(&mut state, now) else {
                return self.leave(&shared, state);
            };
            drop(state);
            self.woken.signal(&shared.signals);
            let sent = self.send(&transmit);
            state = shared.lock();
            match sent {
                Sent::Gone => {}
                Sent::TooBig(size) => {
                    let now = state.at(Clock::now());
                    state.core.on_too_big(now, size);
                }
                Sent::Full(sent) => {
                    state.held = Some(self.buffers.hold(transmit, sent));
                    return self.wait_for_socket(shared.clone(), transmit.socket);
                }
            }
        }
        drop(state);
        // Its turn is over but perhaps not its data; it stays queued.
        self.turn.push_back(shared);
    }

    /// Puts the next train of a connection into the buffer, if it may leave now.
    fn prepare(&mut self, state: &mut State, now: Instant) -> Option<Transmit> {
        if let Some(held) = state.held.take() {
            if !due(&held.transmit, now) {
                state.held = Some(held);
                return None;
            }
            return Some(self.buffers.restore(held));
        }
        let max_segments = self.max_segments();
        let transmit = state.core.transmit(now, self.buffers.current(), max_segments)?;
        if due(&transmit, now) {
            return Some(transmit);
        }
        state.held = Some(self.buffers.hold(transmit, 0));
        None
    }

    /// The visit is over: the connection sleeps until its next deadline, a datagram or a call.
    fn leave(&mut self, shared: &Arc<Shared>, mut state: MutexGuard<'_, State>) {
        let held = state.held.as_ref().map(|held| held.transmit.depart_at);
        let at = match (state.core.deadline(), held) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        state.queued = false;
        drop(state);
        self.woken.signal(&shared.signals);
        // A deadline that moved away is found out when the old one comes.
        if let Some(at) = at
            && self.wheel.at(shared.key.0).is_none_or(|set| at < set)
        {
            self.wheel.insert(shared.key.0, at);
        }
    }

    /// Segments every socket can take at once.
    fn max_segments(&self) -> usize {
        self.sockets.iter().map(|socket| socket.get_ref().max_segments()).min().unwrap_or(1)
    }

    /// Sends the train in the buffer, or lets it wait for others of this turn.
    fn send(&mut self, transmit: &Transmit) -> Sent {
        if Together::suits(transmit) {
            let max_segments = self.max_segments();
            for _ in 0..2 {
                let contents = self.buffers.contents(transmit);
                if self.together.join(transmit, contents, max_segments) {
                    return Sent::Gone;
                }
                self.depart();
            }
        }
        // Nothing overtakes what came before it.
        self.depart();
        let index = transmit.socket as usize;
        let Some((socket, blocked)) = self.sockets.get(index).zip(self.blocked.get_mut(index)) else {
            return Sent::Gone;
        };
        if blocked.full.is_some() {
            return Sent::Full(0);
        }
        let contents = self.buffers.contents(transmit);
        let result = socket.get_ref().send(&train(transmit, contents));
        #[cfg(test)]
        let result =
            if std::mem::take(&mut self.refuse) { Err(SendError::WouldBlock { sent: 0 }) } else { result };
        match result {
            Ok(()) => Sent::Gone,
            Err(SendError::WouldBlock { sent }) => {
                blocked.full = writable(socket.get_ref()).ok();
                self.filled = true;
                // Without a descriptor to wait for it with, the rest is as good as lost on the way.
                if blocked.full.is_some() { Sent::Full(sent) } else { Sent::Gone }
            }
            Err(SendError::TooBig) => Sent::TooBig(transmit.segment.unwrap_or(transmit.len)),
            Err(_) => {
                lock(&self.inner.state).stats.send_errors += 1;
                Sent::Gone
            }
        }
    }

    /// Lets go what waits together. What a full socket does not take goes on waiting, before anything else.
    fn depart(&mut self) {
        let Some((transmit, contents)) = self.together.train() else { return };
        let index = transmit.socket as usize;
        let Some((socket, blocked)) = self.sockets.get(index).zip(self.blocked.get_mut(index)) else {
            return self.together.left(transmit.len);
        };
        if blocked.full.is_some() {
            return;
        }
        #[cfg(test)]
        if std::mem::take(&mut self.refuse) {
            blocked.full = writable(socket.get_ref()).ok();
            self.filled = true;
            return;
        }
        match socket.get_ref().send(&train(&transmit, contents)) {
            Ok(()) => self.together.left(transmit.len),
            Err(SendError::WouldBlock { sent }) => {
                blocked.full = writable(socket.get_ref()).ok();
                self.filled = true;
                let kept = blocked.full.is_some();
                self.together.left(if kept { sent } else { transmit.len });
            }
            Err(_) => {
                lock(&self.inner.state).stats.send_errors += 1;
                self.together.left(transmit.len);
            }
        }
    }

    /// The connection stays queued until the socket can be written.
    fn wait_for_socket(&mut self, shared: Arc<Shared>, socket: u32) {
        if let Some(blocked) = self.blocked.get_mut(socket as usize) {
            blocked.waiting.push(shared);
        }
    }
}

/// Tells the endpoint what the connection asks of it; true if the connection is no more.
fn drain_endpoint_events(inner: &Inner, shared: &Shared, state: &mut State) -> bool {
    let mut drained = false;
    while let Some(event) = state.core.poll_endpoint_event() {
        drained |= inner.on_event(shared.key, &state.core, event);
    }
    drained
}

fn due(transmit: &Transmit, now: Instant) -> bool {
    transmit.depart_at <= now + EARLY
}
