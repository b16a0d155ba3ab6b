//! When a client's program begins and stops: the part that is the same in all of them.

use tq_quic::Event;
use tq_time::Instant;

use super::{AppContext, Life, When};

/// What the time has come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Begin,
    Stop,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    when: When,
    connected: bool,
    begun: bool,
    stopped: bool,
    over: bool,
}

impl Gate {
    pub(super) const fn new(when: When) -> Self {
        Self { when, connected: false, begun: false, stopped: false, over: false }
    }

    pub(super) const fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::Closed(_) => self.over = true,
            _ => {}
        }
    }

    /// What is to be done now. Asked until `None`.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Turn> {
        if self.over {
            return None;
        }
        if self.connected && !self.begun && now >= self.when.start {
            self.begun = true;
            return Some(Turn::Begin);
        }
        if self.begun && !self.stopped && self.when.stop.is_some_and(|stop| now >= stop) {
            self.stopped = true;
            return Some(Turn::Stop);
        }
        None
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Option<Instant> {
        match (self.over || !self.connected, self.begun) {
            (true, _) => None,
            (false, false) => Some(self.when.start),
            (false, true) => self.when.stop.filter(|_| !self.stopped),
        }
    }

    /// New work may begin.
    pub(super) const fn is_open(&self) -> bool {
        self.begun && !self.stopped && !self.over
    }

    /// All is done: notes it, and closes if that was asked for.
    pub(super) fn done(&mut self, cx: &mut AppContext<'_>, life: &mut Life) {
        if life.done.is_none() {
            life.done = Some(cx.now());
            if self.when.close {
                cx.close(0);
            }
        }
    }
}
