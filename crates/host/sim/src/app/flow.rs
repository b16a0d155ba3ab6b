//! One direction of a stream: content of a flow into it, or out of it into the ledger. Decides how much is made at a
//! time; where it goes and what it means is not known here.

use bytes::Bytes;
use tq_quic::{ReadError, WriteError};
use tq_time::Instant;
use tq_wire::StreamId;

use super::AppContext;
use crate::ledger::{Ledger, Pattern};

/// Bytes made at a time, so that a stream that is blocked holds no more.
const CHUNK: u64 = 32 << 10;

/// How far a direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more, later.
    More,
    /// Over as it should be.
    Done,
    /// Given up by the peer or by the end of the connection.
    Gone,
}

/// Content on its way into a stream.
pub(super) struct Outflow {
    id: StreamId,
    flow: u64,
    pattern: Pattern,
    /// What goes before the content; not part of the flow.
    head: Bytes,
    made: Bytes,
    /// Bytes of the flow handed in, bytes there are.
    at: u64,
    total: u64,
    state: Progress,
}

impl Outflow {
    pub(super) fn new(ledger: &Ledger, id: StreamId, flow: u64, head: Bytes, total: u64) -> Self {
        let pattern = ledger.pattern(flow);
        Self { id, flow, pattern, head, made: Bytes::new(), at: 0, total, state: Progress::More }
    }

    /// Writes as much as fits.
    pub(super) fn pump(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) -> Progress {
        while self.state == Progress::More {
            if self.head.is_empty() && self.made.is_empty() {
                self.make();
            }
            let flow = self.head.is_empty();
            if flow && self.made.is_empty() {
                ledger.finished(self.flow);
                let finished = cx.connection().finish(self.id);
                self.state = if finished.is_ok() { Progress::Done } else { Progress::Gone };
                break;
            }
            let bytes = if flow { &mut self.made } else { &mut self.head };
            match cx.connection().write(self.id, bytes) {
                Ok(written) if flow => {
                    ledger.handed_in(self.flow, self.at, written as u64);
                    self.at += written as u64;
                }
                Ok(_) => {}
                Err(WriteError::Blocked) => break,
                Err(_) => self.abandon(cx.now(), ledger),
            }
        }
        self.state
    }

    fn make(&mut self) {
        let len = (self.total - self.at).min(CHUNK);
        let mut bytes = vec![0; len as usize];
        self.pattern.fill(self.at, &mut bytes);
        self.made = bytes.into();
    }

    /// Ends an endless flow where it is.
    pub(super) fn stop(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) -> Progress {
        self.total = self.total.min(self.at);
        self.made = Bytes::new();
        self.pump(cx, ledger)
    }

    /// The peer wants no more.
    pub(super) fn abandon(&mut self, now: Instant, ledger: &Ledger) {
        if self.state == Progress::More {
            self.state = Progress::Gone;
            ledger.abandon(now, self.flow);
        }
    }

    pub(super) const fn state(&self) -> Progress {
        self.state
    }
}

/// Content on its way out of a stream.
pub(super) struct Inflow {
    id: StreamId,
    flow: u64,
    at: u64,
    state: Progress,
}

impl Inflow {
    pub(super) const fn new(id: StreamId, flow: u64) -> Self {
        Self { id, flow, at: 0, state: Progress::More }
    }

    /// Bytes that came out so far.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// These were read before the flow was known.
    pub(super) fn take(&mut self, now: Instant, ledger: &Ledger, bytes: &[u8]) {
        if !bytes.is_empty() {
            ledger.came_out(now, self.flow, self.at, bytes);
            self.at += bytes.len() as u64;
        }
    }

    /// Reads what is there.
    pub(super) fn drain(&mut self, cx: &mut AppContext<'_>, ledger: &Ledger) -> Progress {
        while self.state == Progress::More {
            match cx.connection().read(self.id, usize::MAX) {
                Ok(Some(bytes)) => self.take(cx.now(), ledger, &bytes),
                Ok(None) => self.state = Progress::Done,
                Err(ReadError::Blocked) => break,
                Err(_) => self.state = Progress::Gone,
            }
        }
        self.state
    }

    pub(super) const fn state(&self) -> Progress {
        self.state
    }

    /// Nothing more is wanted.
    pub(super) const fn give_up(&mut self) {
        self.state = Progress::Gone;
    }
}
