//! One connection as its handles and the driver see it: the core behind a lock, and who waits for it.
//!
//! Handles act on the core directly and leave the rest (packets, timers, events) to the driver, which they put
//! the connection in the [`Queue`] of. Locks nest in one order only: connection, then endpoint or queue.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Waker;

use tokio::sync::{Notify, broadcast};
use tq_quic::error::ConnectionError;
use tq_quic::{Event, PathEvent, StreamEvent};
use tq_time::Instant;
use tq_udp::Clock;
use tq_wire::{Dir, Side};

use crate::driver::{Heard, Held};
use crate::lock;
use crate::queue::Queue;
use crate::sockets::Sockets;
use crate::wakers::{Outcome, Wait, Wakers};

/// Empty lists of tasks kept for later.
const SPARES: usize = 64;

/// A connection, shared by its handles, the endpoint's table and the driver.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) key: tq_quic::Handle,
    pub(crate) side: Side,
    pub(crate) signals: Signals,
    /// The endpoint's, while that exists.
    pub(crate) sockets: Weak<Sockets>,
    queue: Arc<Queue>,
}

/// What the lock protects.
pub(crate) struct State {
    key: u32,
    pub(crate) core: tq_quic::Connection,
    pub(crate) wakers: Wakers,
    /// Why it ended, once it did.
    pub(crate) error: Option<ConnectionError>,
    /// Whether the handshake completed.
    pub(crate) connected: bool,
    /// Whether it is known to have completed at both ends.
    pub(crate) confirmed: bool,
    /// No handle is left.
    pub(crate) abandoned: bool,
    /// The one `Connecting`.
    pub(crate) connecting: Option<Waker>,
    /// Whether the driver has it on its list.
    pub(crate) queued: bool,
    /// Sealed packets that wait for their time or for their socket, oldest of each socket first.
    pub(crate) held: VecDeque<Held>,
    /// How much came for it lately.
    pub(crate) heard: Heard,
    /// Whether it waits for a socket and is on no list but that socket's, `queued` or not.
    pub(crate) parked: bool,
    /// Links to which there was no way when something was to leave there.
    pub(crate) lost_links: Vec<LostLink>,
    /// Where events of paths go, once somebody listens.
    pub(crate) path_events: Option<broadcast::Sender<PathEvent>>,
    /// The socket somebody waits to have moved to, and whether that worked.
    pub(crate) moving: Option<(u32, Option<bool>)>,
    /// Datagrams of [`tq_quic::Connection::receive`] and application calls must not see time go back.
    latest: Instant,
}

/// A link that is not there, and when to look again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LostLink {
    pub(crate) socket: u32,
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) remote: SocketAddr,
    pub(crate) again: Instant,
}

/// Conditions any number of tasks may wait for.
#[derive(Default)]
pub(crate) struct Signals {
    /// The peer lets us open another stream, by direction.
    pub(crate) budget: [Notify; 2],
    /// The peer opened a stream, by direction.
    pub(crate) incoming: [Notify; 2],
    pub(crate) datagram: Notify,
    pub(crate) datagram_room: Notify,
    /// The handshake is complete, or it is known what becomes of 0-RTT.
    pub(crate) connected: Notify,
    pub(crate) confirmed: Notify,
    /// A move is over.
    pub(crate) moved: Notify,
    /// Something happened to a path, or may happen from now on.
    pub(crate) paths: Notify,
    pub(crate) closed: Notify,
}

impl Shared {
    pub(crate) fn new(
        key: tq_quic::Handle,
        side: Side,
        core: tq_quic::Connection,
        queue: Arc<Queue>,
        sockets: Weak<Sockets>,
    ) -> Arc<Self> {
        let state = State {
            key: key.0,
            core,
            wakers: Wakers::new(side),
            error: None,
            connected: false,
            confirmed: false,
            abandoned: false,
            connecting: None,
            queued: false,
            held: VecDeque::new(),
            heard: Heard::default(),
            parked: false,
            lost_links: Vec::new(),
            path_events: None,
            moving: None,
            latest: Instant::ZERO,
        };
        Arc::new(Self { state: Mutex::new(state), key, side, signals: Signals::default(), sockets, queue })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Does something that leaves work for the driver.
    pub(crate) fn act<R>(self: &Arc<Self>, action: impl FnOnce(&mut State) -> R) -> R {
        self.act_if(|state| (action(state), true))
    }

    /// Does something that may leave work for the driver; the flag tells.
    pub(crate) fn act_if<R>(self: &Arc<Self>, action: impl FnOnce(&mut State) -> (R, bool)) -> R {
        let mut state = self.lock();
        let (result, work) = action(&mut state);
        let push = work && !std::mem::replace(&mut state.queued, true);
        drop(state);
        if push {
            self.queue.push(Arc::clone(self));
        }
        result
    }

    /// Closes, unless it is closed. The core reports no end that the application made, so that is done here.
    pub(crate) fn close(self: &Arc<Self>, code: u64, reason: &[u8]) {
        let mut woken = Woken::default();
        self.act(|state| {
            let now = state.at(Clock::now());
            state.core.close(now, code.min(tq_wire::VARINT_MAX), reason);
            if state.error.is_none() {
                state.error = state.core.error().cloned();
                state.wake_all(&mut woken);
            }
        });
        woken.fire(&self.signals);
    }

    /// The driver is gone: nothing will ever happen to this connection.
    pub(crate) fn abandon(&self, woken: &mut Woken) {
        let mut state = self.lock();
        state.error.get_or_insert(ConnectionError::LocallyClosed);
        state.wake_all(woken);
        drop(state);
        woken.fire(&self.signals);
    }
}

impl State {
    /// `now`, or the latest moment the core was told if that is later: threads read the clock before they lock.
    pub(crate) fn at(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Turns the core's events into wake-ups.
    pub(crate) fn drain_events(&mut self, woken: &mut Woken) {
        while let Some(event) = self.core.poll_event() {
            match event {
                Event::Connected => {
                    self.connected = true;
                    woken.connected = true;
                    woken.completing = self.connecting.take();
                }
                Event::EarlyData { .. } => woken.connected = true,
                Event::Confirmed => {
                    self.confirmed = true;
                    woken.confirmed = true;
                    woken.paths = true;
                }
                Event::Path(event) => {
                    woken.paths = true;
                    if let Some(events) = &self.path_events {
                        // Nobody may listen any more.
                        let _ = events.send(event);
                    }
                }
                Event::Stream(event) => self.on_stream(event, woken),
                Event::Moved { socket, .. } => self.settle_move(woken, true, |to| to == socket),
                Event::MoveFailed => self.settle_move(woken, false, |_| true),
                Event::DatagramReceived => woken.datagram = true,
                Event::DatagramSpace => woken.datagram_room = true,
                Event::Closed(error) => {
                    self.error.get_or_insert(error);
                    self.wake_all(woken);
                }
                _ => {}
            }
        }
    }

    fn settle_move(&mut self, woken: &mut Woken, worked: bool, concerns: impl Fn(u32) -> bool) {
        if let Some((to, outcome @ None)) = &mut self.moving
            && concerns(*to)
        {
            *outcome = Some(worked);
            woken.moved = true;
        }
    }

    fn on_stream(&mut self, event: StreamEvent, woken: &mut Woken) {
        match event {
            StreamEvent::Readable(id) => woken.add(self.key, self.wakers.take(id, Wait::Read)),
            StreamEvent::Writable(id) => woken.add(self.key, self.wakers.take(id, Wait::Write)),
            StreamEvent::Opened(dir) => woken.incoming[dir as usize] = true,
            StreamEvent::Available(dir) => woken.budget[dir as usize] = true,
            StreamEvent::Finished(id) => {
                self.wakers.settle(id, Outcome::Acknowledged);
                woken.add(self.key, self.wakers.take(id, Wait::Outcome));
            }
            StreamEvent::Stopped { id, code } => {
                self.wakers.settle(id, Outcome::Stopped(code));
                woken.add(self.key, self.wakers.take(id, Wait::Outcome));
                woken.add(self.key, self.wakers.take(id, Wait::Write));
            }
        }
    }

    /// The end of the connection concerns everybody.
    fn wake_all(&mut self, woken: &mut Woken) {
        woken.add(self.key, self.connecting.take());
        woken.add_all(self.key, |tasks| self.wakers.take_all(tasks));
        // Who listens hears what has happened, then that it is over.
        self.path_events = None;
        woken.budget = [true; 2];
        woken.incoming = [true; 2];
        (woken.datagram, woken.datagram_room, woken.moved, woken.paths) = (true, true, true, true);
        (woken.connected, woken.confirmed, woken.closed) = (true, true, true);
    }
}

/// Wake-ups collected under the lock, to be fired without it. Reused.
#[derive(Default)]
pub(crate) struct Woken {
    /// Somebody was woken since this was last reset who may have something to send soon. Not whoever awaits the
    /// handshake: its last flight should be on its way when the application learns that it is complete.
    pub(crate) any: bool,
    /// Somebody who awaited a handshake was woken since this was last reset.
    pub(crate) completed: bool,
    /// Awaits the handshake.
    completing: Option<Waker>,
    /// Tasks that wait for a stream, by connection: one with thousands does not keep the others' waiting.
    tasks: HashMap<u32, VecDeque<Waker>>,
    /// Connections that have such tasks, in the order of their turns.
    order: VecDeque<u32>,
    /// Such tasks.
    count: usize,
    /// Lists that were used and are empty.
    spare: Vec<VecDeque<Waker>>,
    budget: [bool; 2],
    incoming: [bool; 2],
    datagram: bool,
    datagram_room: bool,
    connected: bool,
    confirmed: bool,
    moved: bool,
    paths: bool,
    closed: bool,
}

impl Woken {
    /// Wakes everybody collected.
    pub(crate) fn fire(&mut self, signals: &Signals) {
        self.signal(signals);
        self.wake(usize::MAX);
    }

    /// Tasks that wait for a stream and are to be woken.
    pub(crate) fn waiting(&self) -> usize {
        self.count
    }

    /// A task of connection `key`, if there is one.
    fn add(&mut self, key: u32, task: Option<Waker>) {
        if let Some(task) = task {
            self.add_all(key, |tasks| tasks.push_back(task));
        }
    }

    fn add_all(&mut self, key: u32, fill: impl FnOnce(&mut VecDeque<Waker>)) {
        let (spare, order) = (&mut self.spare, &mut self.order);
        let tasks = self.tasks.entry(key).or_insert_with(|| {
            order.push_back(key);
            spare.pop().unwrap_or_default()
        });
        let before = tasks.len();
        fill(tasks);
        self.count += tasks.len() - before;
    }

    /// Wakes so many of the tasks that wait for a stream, one of each connection in turn, those of one in the order in which
    /// something happened to them; true if some are left for the next time.
    pub(crate) fn wake(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some(key) = self.order.pop_front() else { break };
            let Some(tasks) = self.tasks.get_mut(&key) else { continue };
            if let Some(task) = tasks.pop_front() {
                self.count -= 1;
                self.any = true;
                task.wake();
            }
            if !tasks.is_empty() {
                self.order.push_back(key);
            } else if let Some(empty) = self.tasks.remove(&key)
                && self.spare.len() < SPARES
            {
                self.spare.push(empty);
            }
        }
        self.count > 0
    }

    /// Wakes everybody collected who does not wait for a stream.
    pub(crate) fn signal(&mut self, signals: &Signals) {
        if let Some(waker) = self.completing.take() {
            self.completed = true;
            waker.wake();
        }
        for dir in Dir::ALL.map(|dir| dir as usize) {
            self.any |= self.budget[dir] | self.incoming[dir];
            notify(&mut self.budget[dir], &signals.budget[dir]);
            notify(&mut self.incoming[dir], &signals.incoming[dir]);
        }
        self.any |= self.datagram;
        notify(&mut self.datagram, &signals.datagram);
        notify(&mut self.datagram_room, &signals.datagram_room);
        notify(&mut self.connected, &signals.connected);
        notify(&mut self.confirmed, &signals.confirmed);
        notify(&mut self.moved, &signals.moved);
        notify(&mut self.paths, &signals.paths);
        notify(&mut self.closed, &signals.closed);
    }
}

fn notify(flag: &mut bool, signal: &Notify) {
    if std::mem::take(flag) {
        signal.notify_waiters();
    }
}

/// What an application holds on to: when the last one goes, the connection closes with code 0.
pub(crate) struct Hold(pub(crate) Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandoned = true;
        if state.error.is_none() {
            drop(state);
            self.0.close(0, b"");
        } else {
            state.core.strip();
        }
    }
}

/// The driver's list of the turn.
pub(crate) type Turn = VecDeque<Arc<Shared>>;
