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

use super::together::Together;
use super::{Driver, Held, Slot};
use crate::endpoint::Inner;
use crate::lock;
use crate::reactor::writable;
use crate::shared::{LostLink, Shared, State};

/// Trains of one connection before it is looked whether others wait, and while they do: with more, those whose window or pacer
/// lets go less at a time would have less than their share, and the longer a round takes, the less.
const TRAINS: usize = 4;
const SHARED_TRAINS: usize = 1;
/// Trains, or visits of those that have less, before the sockets are read again.
const AT_ONCE: usize = 64;
/// Trains of one connection that may wait, each for a socket that is full. Beyond that it makes nothing new.
const HELD: usize = 4;
/// How soon a connection that waits for a socket is visited again for what is overdue already: that waits for the socket.
const PATIENCE: Duration = Duration::from_millis(1);
/// How often is looked whether a link that was lost is there again, as often as paths that are out are probed.
const LOOK: Duration = Duration::from_millis(250);
/// A departure this close is now: no timer is so exact.
const EARLY: Duration = Duration::from_micros(10);
/// What became of a train.
enum Sent {
    /// It left, or is as good as lost.
    Gone,
    /// The path does not carry datagrams of this size.
    TooBig(usize),
    /// It did not leave: the link it was for is not there.
    NoLink,
    /// The socket has turned out to be full; this many bytes left.
    Full(usize),
    /// The socket is full, and others wait already.
    Behind,
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
        let mut left = AT_ONCE;
        while left > 0
            && let Some(shared) = self.turn.pop_front()
        {
            let trains = if self.turn.is_empty() { TRAINS } else { SHARED_TRAINS };
            self.visit(shared, trains);
            left = left.saturating_sub(trains);
        }
        self.depart();
        !self.turn.is_empty()
    }

    /// Sockets that can be written again give back who waited for them.
    pub(super) fn unblock(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for index in 0..self.sockets.len() {
            let slot = &mut self.sockets[index];
            let Some(writable) = &slot.full else { continue };
            if let Poll::Ready(ready) = writable.poll_write_ready(cx) {
                ready?.retain_ready();
                slot.full = None;
                let (number, waiting) = (slot.number, std::mem::take(&mut slot.waiting));
                self.go_on(number, waiting);
            }
        }
        Ok(())
    }

    /// Nothing has to wait for this socket any more.
    pub(super) fn go_on(&mut self, socket: u32, waiting: Vec<Arc<Shared>>) {
        for shared in waiting {
            let mut state = shared.lock();
            state.core.set_writable(socket, true);
            // One that has other sockets to go on with may be on a list by now.
            let idle = !std::mem::replace(&mut state.queued, true);
            let parked = std::mem::take(&mut state.parked);
            drop(state);
            if idle || parked {
                self.turn.push_back(shared);
            }
        }
    }

    /// Everything a connection needs after something happened to it: deadlines, events, packets, up to so many trains of these.
    fn visit(&mut self, shared: Arc<Shared>, trains: usize) {
        let mut state = shared.lock();
        let now = state.at(Clock::now());
        if state.core.deadline().is_some_and(|at| at <= now) {
            state.core.on_deadline(now);
        }
        if !state.lost_links.is_empty() {
            self.look_for_links(&mut state, now);
        }
        for _ in 0..trains {
            state.drain_events(&mut self.woken);
            if drain_endpoint_events(&self.inner, &shared, &mut state) {
                self.wheel.remove(shared.key.0);
                drop(state);
                return self.woken.signal(&shared.signals);
            }
            let now = state.at(Clock::now());
            let Some(transmit) = self.prepare(&mut state, now) else {
                return self.leave(&shared, state, now);
            };
            drop(state);
            self.woken.signal(&shared.signals);
            let sent = self.send(&transmit, shared.key.0);
            state = shared.lock();
            match sent {
                Sent::Gone => {}
                Sent::NoLink => state.lose_link(&transmit),
                Sent::TooBig(size) => {
                    let now = state.at(Clock::now());
                    state.core.on_too_big(now, transmit.socket, transmit.remote, size);
                }
                Sent::Full(sent) => {
                    state.held.push_front(self.buffers.hold(transmit, sent));
                    if self.wait_for_socket(&shared, &mut state, transmit.socket) {
                        return;
                    }
                }
                Sent::Behind => {
                    state.held.push_back(self.buffers.hold(transmit, 0));
                    if self.wait_for_socket(&shared, &mut state, transmit.socket) {
                        return;
                    }
                }
            }
        }
        drop(state);
        // Its turn is over but perhaps not its data; it stays queued.
        self.turn.push_back(shared);
    }

    /// Links that were lost and to which there is a way again.
    fn look_for_links(&self, state: &mut State, now: Instant) {
        let State { lost_links, core, .. } = state;
        lost_links.retain_mut(|lost| {
            if lost.again > now {
                return true;
            }
            lost.again = now + LOOK;
            let slot = self.sockets.iter().find(|slot| slot.number == lost.socket);
            let found = slot.is_none_or(|slot| slot.socket.get_ref().has_route(lost.remote, lost.local_ip));
            if found {
                core.on_link_up(now, lost.socket, lost.local_ip);
            }
            !found
        });
    }

    /// Puts the next train of a connection into the buffer, if it may leave now.
    fn prepare(&mut self, state: &mut State, now: Instant) -> Option<Transmit> {
        if !state.held.is_empty() {
            let ready = |held: &Held| due(&held.transmit, now) && !self.is_full(held.transmit.socket);
            if let Some(held) = state.held.iter().position(ready).and_then(|at| state.held.remove(at)) {
                return Some(self.buffers.restore(held));
            }
            let early = state.held.iter().any(|held| !due(&held.transmit, now));
            if early || state.held.len() >= HELD || !state.core.is_multipath() {
                return None;
            }
        }
        let max_segments = self.max_segments();
        let transmit = state.core.transmit(now, self.buffers.current(), max_segments)?;
        if due(&transmit, now) {
            return Some(transmit);
        }
        state.held.push_back(self.buffers.hold(transmit, 0));
        None
    }

    /// The visit is over: the connection sleeps until its next deadline, a datagram or a call.
    fn leave(&mut self, shared: &Arc<Shared>, mut state: MutexGuard<'_, State>, now: Instant) {
        let mut at = state.core.deadline();
        if !state.held.is_empty() {
            // What is due and could not leave waits for its socket, which tells when it can be written.
            let early = state.held.iter().map(|held| held.transmit.depart_at).filter(|at| *at > now + EARLY);
            at = at.map(|at| at.max(now + PATIENCE)).into_iter().chain(early).min();
        }
        let look = state.lost_links.iter().map(|lost| lost.again).min();
        let at = at.into_iter().chain(look).min();
        state.queued = false;
        let over = state.core.is_closed();
        if over && state.abandoned {
            state.core.strip();
        }
        drop(state);
        self.woken.signal(&shared.signals);
        // A deadline that moved away is found out when the old one comes, unless it moves for good.
        if let Some(at) = at
            && self.wheel.at(shared.key.0).is_none_or(|set| at < set || over && at != set)
        {
            self.wheel.insert(shared.key.0, at);
        }
    }

    /// Segments every socket can take at once.
    fn max_segments(&self) -> usize {
        self.sockets.iter().map(|slot| slot.socket.get_ref().max_segments()).min().unwrap_or(1)
    }

    fn is_full(&self, socket: u32) -> bool {
        self.sockets.iter().any(|slot| slot.number == socket && slot.full.is_some())
    }

    /// Sends the train in the buffer, or lets it wait for others of this turn.
    fn send(&mut self, transmit: &Transmit, owner: u32) -> Sent {
        let is_it = |slot: &Slot| slot.number == transmit.socket;
        if !self.sockets.iter().any(is_it) {
            // It may have been added since the turn began.
            self.catch_up();
        }
        if Together::suits(transmit) && !self.is_full(transmit.socket) {
            let max_segments = self.max_segments();
            for _ in 0..2 {
                let contents = self.buffers.contents(transmit);
                if self.together.join(transmit, contents, owner, max_segments) {
                    return Sent::Gone;
                }
                self.depart();
            }
        }
        // Nothing overtakes what came before it.
        self.depart();
        let Some(slot) = self.sockets.iter_mut().find(|slot| is_it(slot)) else { return Sent::Gone };
        if slot.full.is_some() {
            return Sent::Behind;
        }
        let socket = slot.socket.get_ref();
        let result = socket.send(&train(transmit, self.buffers.contents(transmit)));
        #[cfg(test)]
        let result =
            if std::mem::take(&mut self.refuse) { Err(SendError::WouldBlock { sent: 0 }) } else { result };
        match result {
            Ok(()) => Sent::Gone,
            Err(SendError::WouldBlock { sent }) => {
                slot.full = writable(socket).ok();
                self.filled = true;
                // Without a descriptor to wait for it with, the rest is as good as lost on the way.
                if slot.full.is_some() { Sent::Full(sent) } else { Sent::Gone }
            }
            Err(SendError::TooBig) => Sent::TooBig(transmit.segment.unwrap_or(transmit.len)),
            Err(error) => {
                lock(&self.inner.state).stats.send_errors += 1;
                match error {
                    SendError::Unreachable(_) | SendError::BadSource(_) => Sent::NoLink,
                    _ => Sent::Gone,
                }
            }
        }
    }

    /// Lets go what waits together. What a full socket does not take goes on waiting, before anything else.
    fn depart(&mut self) {
        let max_segments = self.max_segments();
        self.together.close(max_segments);
        while let Some((transmit, contents)) = self.together.train() {
            let Some(slot) = self.sockets.iter_mut().find(|slot| slot.number == transmit.socket) else {
                self.together.left(transmit.len);
                continue;
            };
            if slot.full.is_some() {
                return;
            }
            let socket = slot.socket.get_ref();
            let result = socket.send(&train(&transmit, contents));
            #[cfg(test)]
            let result = if std::mem::take(&mut self.refuse) {
                Err(SendError::WouldBlock { sent: 0 })
            } else {
                result
            };
            match result {
                Ok(()) => self.together.left(transmit.len),
                Err(SendError::WouldBlock { sent }) => {
                    slot.full = writable(socket).ok();
                    self.filled = true;
                    let kept = slot.full.is_some();
                    self.together.left(if kept { sent } else { transmit.len });
                }
                Err(_) => {
                    lock(&self.inner.state).stats.send_errors += 1;
                    self.together.left(transmit.len);
                }
            }
        }
    }

    /// What the connection has for this socket waits until it can be written. True if the connection does so as a whole,
    /// on no list but the socket's: it has no other way to go on with.
    fn wait_for_socket(&mut self, shared: &Arc<Shared>, state: &mut State, socket: u32) -> bool {
        let Some(slot) = self.sockets.iter_mut().find(|slot| slot.number == socket) else { return false };
        state.parked = !state.core.is_multipath();
        if state.parked || !slot.waiting.iter().any(|other| Arc::ptr_eq(other, shared)) {
            slot.waiting.push(Arc::clone(shared));
        }
        if !state.parked {
            state.core.set_writable(socket, false);
        }
        state.parked
    }
}

impl State {
    /// A train did not leave because the device, the route or the source address is gone. A client has a socket for each
    /// link, so that concerns all its paths there. A server's socket serves many links, and its paths are left to find out.
    fn lose_link(&mut self, transmit: &Transmit) {
        let &Transmit { socket, remote, local_ip, .. } = transmit;
        let known = self.lost_links.iter().any(|lost| (lost.socket, lost.local_ip) == (socket, local_ip));
        if known || self.core.side().is_server() || !self.core.is_multipath() {
            return;
        }
        let now = self.at(Clock::now());
        self.core.on_link_down(now, socket, local_ip);
        self.lost_links.push(LostLink { socket, local_ip, remote, again: now + LOOK });
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
