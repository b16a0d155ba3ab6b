//! All streams of one device as one task, so that a device with thousands of them gets no more turns than one with a single one.
//!
//! A [`Crew`] runs futures side by side and stops after a portion of work, which its members count with their [`Pace`]: then other
//! tasks of the thread have their turn. Decides how long a turn is and who goes next (first come, first served); never what is
//! done in it.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What a turn may cost, in bytes moved.
const TURN: usize = 64 * 1024;
/// What anything costs beside its bytes: about what a system call is worth.
const STEP: usize = 4 * 1024;
/// Members looked at in a turn, whatever they do.
const LOOKS: usize = 64;

/// What a device's work has cost in the turn at hand. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<Arc<AtomicUsize>>);

impl Pace {
    /// For who is alone: no turn ends.
    pub fn free() -> Self {
        Self(None)
    }

    fn counted() -> Self {
        Self(Some(Arc::default()))
    }

    /// Takes note of a step that moved so many bytes, and lets others go first if the turn is over.
    pub async fn spend(&self, bytes: usize) {
        let Some(spent) = &self.0 else { return };
        if spent.fetch_add(bytes + STEP, Ordering::Relaxed) + bytes + STEP < TURN {
            return;
        }
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn begin(&self) {
        if let Some(spent) = &self.0 {
            spent.store(0, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|spent| spent.load(Ordering::Relaxed) >= TURN)
    }
}

/// Members with something to do, and who is to hear of it.
#[derive(Default)]
struct Ready(Mutex<Inbox>);

#[derive(Default)]
struct Inbox {
    members: VecDeque<u64>,
    crew: Option<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What wakes a member.
struct Call {
    member: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut inbox = self.ready.lock();
        inbox.members.push_back(self.member);
        let crew = inbox.crew.take();
        drop(inbox);
        if let Some(crew) = crew {
            crew.wake();
        }
    }
}

struct Member {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    call: Arc<Call>,
    waker: Waker,
}

/// Futures that run as one task.
pub struct Crew {
    ready: Arc<Ready>,
    members: HashMap<u64, Member>,
    next: u64,
    pace: Pace,
}

impl Crew {
    /// Without members.
    pub fn new() -> Self {
        Self { ready: Arc::default(), members: HashMap::new(), next: 0, pace: Pace::counted() }
    }

    /// What its members count their work with.
    pub fn pace(&self) -> Pace {
        self.pace.clone()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes a member in; it begins with the next turn.
    pub fn join(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let member = self.next;
        self.next += 1;
        let call = Arc::new(Call { member, queued: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
        let waker = Waker::from(Arc::clone(&call));
        self.members.insert(member, Member { work: Box::pin(work), call, waker: waker.clone() });
        waker.wake();
    }

    /// Works, turn after turn, until no member is left.
    ///
    /// Cancel-safe: who has not finished goes on with the next call.
    pub async fn work(&mut self) {
        poll_fn(|cx| self.turn(cx)).await;
    }

    /// One turn.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.pace.begin();
        for _ in 0..LOOKS {
            let Some(number) = self.ready.lock().members.pop_front() else { break };
            let Some(member) = self.members.get_mut(&number) else { continue };
            member.call.queued.store(false, Ordering::Release);
            if member.work.as_mut().poll(&mut Context::from_waker(&member.waker)).is_ready() {
                self.members.remove(&number);
            }
            if self.pace.is_over() {
                break;
            }
        }
        if self.members.is_empty() {
            return Poll::Ready(());
        }
        let mut inbox = self.ready.lock();
        if inbox.members.is_empty() {
            inbox.crew = Some(cx.waker().clone());
        } else {
            drop(inbox);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Default for Crew {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew({} members)", self.members.len())
    }
}

#[cfg(test)]
mod tests;
