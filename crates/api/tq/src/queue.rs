//! Which connections the driver must look at, and whether it has to be woken for that.
//!
//! Handles push, the driver takes. A waker is kept here only while the driver sleeps, so that handles of a busy
//! endpoint never pay for a wake-up. A connection is in here at most once: its own `queued` flag sees to that.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use crate::lock;
use crate::shared::Shared;

/// The driver's inbox.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Inbox>);

#[derive(Default)]
struct Inbox {
    ready: Vec<Arc<Shared>>,
    /// Something of the endpoint itself changed.
    called: bool,
    /// The driver is gone.
    shut: bool,
    /// There while the driver sleeps.
    sleeper: Option<Waker>,
}

impl Queue {
    /// Hands over a connection whose `queued` flag the caller has just set.
    pub(crate) fn push(&self, shared: Arc<Shared>) {
        let mut inbox = lock(&self.0);
        if inbox.shut {
            return;
        }
        inbox.ready.push(shared);
        let sleeper = inbox.sleeper.take();
        drop(inbox);
        wake(sleeper);
    }

    /// Makes the driver look at the endpoint.
    pub(crate) fn call(&self) {
        let mut inbox = lock(&self.0);
        inbox.called = true;
        let sleeper = inbox.sleeper.take();
        drop(inbox);
        wake(sleeper);
    }

    /// Driver: moves what is ready to the end of `turn`. From now on nobody wakes the driver.
    pub(crate) fn take(&self, turn: &mut impl Extend<Arc<Shared>>) {
        let mut inbox = lock(&self.0);
        inbox.called = false;
        inbox.sleeper = None;
        turn.extend(inbox.ready.drain(..));
    }

    /// Driver: whether somebody has ended its sleep.
    pub(crate) fn is_called(&self) -> bool {
        let inbox = lock(&self.0);
        inbox.called || !inbox.ready.is_empty()
    }

    /// Driver: leaves its waker, unless there is something to do.
    pub(crate) fn sleep(&self, cx: &Context<'_>) -> bool {
        let mut inbox = lock(&self.0);
        if inbox.called || !inbox.ready.is_empty() {
            return false;
        }
        inbox.sleeper = Some(cx.waker().clone());
        true
    }

    /// Driver: it is gone and nobody will take anything.
    pub(crate) fn shut(&self) {
        let mut inbox = lock(&self.0);
        inbox.shut = true;
        let left = std::mem::take(&mut inbox.ready);
        drop(inbox);
        drop(left);
    }
}

fn wake(sleeper: Option<Waker>) {
    if let Some(waker) = sleeper {
        waker.wake();
    }
}
