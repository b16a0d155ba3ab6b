//! The one task that moves an endpoint's packets.
//!
//! A turn is: take what the sockets have, train by train; note which deadlines passed; let the tasks run that wait
//! for what has come; visit every connection that something happened to, once, and send what it has. Decides how
//! much of each is done before the others get their turn, never what a packet says or when it may leave. Between
//! turns it sleeps on the sockets, the timer and the [`crate::queue::Queue`].

mod buffers;
mod crowd;
mod receive;
mod strangers;
mod together;
mod transmit;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tq_time::{Instant, Wheel};
use tq_udp::{Clock, RecvBatch, Timer};

use self::buffers::Buffers;
use self::crowd::Crowd;
use self::strangers::Strangers;
use self::together::Together;
use crate::endpoint::Inner;
use crate::lock;
use crate::reactor::{Writable, register};
use crate::shared::{Shared, Turn, Woken};
use crate::sockets::Registered;

pub(crate) use self::buffers::Held;
pub(crate) use self::crowd::Heard;
pub(crate) use self::transmit::train;

/// Turns before other tasks of the thread get theirs.
const TURNS: usize = 4;
/// Tasks woken at most before what they write leaves and others are woken: the peer is at work then while they are. A
/// smaller portion costs more system calls than it saves waiting.
const PORTION: usize = 64;
/// How often other tasks go first when there is news for them: those that were woken, then those that they start.
const YIELDS: u8 = 2;

/// The task. Ends when the endpoint has neither handles nor connections.
pub(crate) struct Driver {
    inner: Arc<Inner>,
    /// The endpoint's, as far as the driver knows them.
    sockets: Vec<Slot>,
    /// The state of the endpoint's list that this is.
    seen: usize,
    /// Connections to visit.
    turn: Turn,
    wheel: Wheel,
    timer: AsyncFd<Timer>,
    /// What the timer is set to, if it has not fired.
    armed: Option<Instant>,
    batch: RecvBatch,
    /// Where connections put their packets.
    buffers: Buffers,
    /// Small datagrams that leave at the end of the turn at the latest.
    together: Together,
    /// Bytes of a stateless answer.
    reply: Vec<u8>,
    woken: Woken,
    /// How much of whom is taken in.
    crowd: Crowd,
    /// Who sends what is nobody's.
    strangers: Strangers,
    /// Length of the connection ids we issue.
    cid_len: usize,
    /// A socket filled up in this turn.
    filled: bool,
    /// Where the next poll goes on.
    stage: Stage,
    /// The next train finds the socket full, which loopback never is.
    #[cfg(test)]
    refuse: bool,
}

/// How far a turn has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is done, and nobody has been let go first.
    Start,
    /// Asleep. If a task has ended that, others may be about to write too.
    Asleep,
    /// Everything has been taken in; other tasks go first so many times more.
    Heard(u8),
}

/// A socket.
struct Slot {
    /// What connections call it.
    number: u32,
    socket: Registered,
    /// There while its send buffer is full, so that what is for it must wait.
    full: Option<AsyncFd<Writable>>,
    /// Who has something for it.
    waiting: Vec<Arc<Shared>>,
    /// Datagrams the kernel has dropped so far.
    dropped: u32,
}

impl Driver {
    pub(crate) fn new(inner: Arc<Inner>, cid_len: usize) -> io::Result<Self> {
        Ok(Self {
            inner,
            sockets: Vec::new(),
            seen: 0,
            turn: Turn::new(),
            wheel: Wheel::new(),
            timer: register(Timer::new()?)?,
            armed: None,
            batch: RecvBatch::new(),
            buffers: Buffers::new(),
            together: Together::default(),
            reply: Vec::new(),
            woken: Woken::default(),
            crowd: Crowd::default(),
            strangers: Strangers::default(),
            cid_len,
            filled: false,
            stage: Stage::Start,
            #[cfg(test)]
            refuse: false,
        })
    }

    /// Brings the list of sockets up to date. Who waited for one that is gone goes on without it.
    fn catch_up(&mut self) {
        let Some(list) = self.inner.sockets.news(&mut self.seen) else { return };
        let mut old = std::mem::take(&mut self.sockets);
        for (number, socket) in list {
            let slot = match old.iter().position(|slot| slot.number == number) {
                Some(at) => old.swap_remove(at),
                None => Slot { number, socket, full: None, waiting: Vec::new(), dropped: 0 },
            };
            self.sockets.push(slot);
        }
        for gone in old {
            self.go_on(gone.number, gone.waiting);
        }
    }

    /// Puts connections whose deadline has passed on the list of the turn.
    fn expire(&mut self) {
        let now = Clock::now();
        while let Some(key) = self.wheel.pop(now) {
            let shared = lock(&self.inner.state).connection(key).cloned();
            if let Some(shared) = shared
                && !std::mem::replace(&mut shared.lock().queued, true)
            {
                self.turn.push_back(shared);
            }
        }
    }

    /// Wakes tasks, unless some are awake whose words have not left yet; true if others are left.
    fn wake_portion(&mut self) -> bool {
        let waiting = self.woken.waiting();
        // In equal parts, so that the last is not a handful.
        let portion = waiting.div_ceil(waiting.div_ceil(PORTION).max(1));
        self.woken.wake(if self.woken.any { 0 } else { portion })
    }

    /// Gets ready to sleep until something happens; false if something has.
    fn rest(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if let Some(at) = self.wheel.next().into_iter().chain(self.strangers.next()).min()
            && self.armed.is_none_or(|armed| at < armed)
        {
            // A timer that fires early is put right then; most deadlines only ever move away.
            self.timer.get_ref().set(Some(at))?;
            self.armed = Some(at);
        }
        if let Poll::Ready(ready) = self.timer.poll_read_ready(cx) {
            let mut guard = ready?;
            if guard.get_inner().take().is_ok() {
                self.armed = None;
            }
            guard.clear_ready();
            return Ok(false);
        }
        Ok(self.inner.queue.sleep(cx))
    }

    /// Up to [`TURNS`] turns. Ends one in the middle, to go on right after all tasks that can run now, if tasks were
    /// woken or one has woken us: what they write leaves in one train, with the acknowledgements.
    fn run(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        for _ in 0..TURNS {
            let ask = match std::mem::replace(&mut self.stage, Stage::Start) {
                // What came while others went first has woken nobody but a driver that was about to run.
                Stage::Heard(0) => true,
                Stage::Heard(yields) => {
                    self.stage = Stage::Heard(yields - 1);
                    break;
                }
                before => {
                    self.catch_up();
                    let heard = self.receive(cx)?;
                    self.unblock(cx)?;
                    self.expire();
                    let called = before == Stage::Asleep && self.inner.queue.is_called();
                    self.wake_portion();
                    if std::mem::take(&mut self.woken.any) || called {
                        self.stage = Stage::Heard(YIELDS - 1);
                        break;
                    }
                    heard
                }
            };
            self.inner.queue.take(&mut self.turn);
            // A socket that has just filled up must be asked once, so that it wakes us.
            let more = self.transmit() | std::mem::take(&mut self.filled);
            let left = self.wake_portion();
            if lock(&self.inner.state).finished() {
                return Ok(Poll::Ready(()));
            }
            if !more && std::mem::take(&mut self.woken.completed) {
                // The last flights of their handshakes are on the way; what they have to say next is known soon.
                self.stage = Stage::Heard(0);
                break;
            }
            if !ask && !more && !left && self.rest(cx)? {
                self.stage = Stage::Asleep;
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // An error here is the reactor's or the timer's: the descriptors are gone, and `drop` tells everybody.
        self.get_mut().run(cx).unwrap_or(Poll::Ready(()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.inner.queue.shut();
        for shared in self.inner.orphan() {
            shared.abandon(&mut self.woken);
        }
        // Those whose turn had not come yet.
        self.woken.wake(usize::MAX);
    }
}

#[cfg(test)]
mod tests;
