//! Who handed in what, and what came out: a checker that knows flows of bytes and of messages and no protocol. Senders
//! declare, receivers declare, and the first byte that was lost, altered, doubled or out of order is a [`Violation`]
//! with its time, flow and offset. The content follows from seed, flow and offset, so nothing has to be remembered.
//! Checking a flow's content ends with its first violation: what follows one is noise.

mod book;
pub mod limits;
mod meter;
mod pattern;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use tq_time::Instant;

use self::book::Book;
pub use limits::{Breach, Kind, Limits};
pub use meter::{Arrival, MessageMeter, Meter, SharedMessageMeter, SharedMeter};
pub use pattern::Pattern;

/// Smallest message: it must say which it is.
pub const MIN_MESSAGE: usize = book::MESSAGE_HEADER;

/// The books of one run. Clones are the same books.
#[derive(Clone)]
pub struct Ledger(Rc<RefCell<Book>>);

/// Something that must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When the receiver saw it.
    pub at: Instant,
    /// Flow.
    pub flow: u64,
    /// First byte that is wrong, or number of the message.
    pub offset: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a byte or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It never came: the receiver went on, or saw the end, without it.
    Lost,
    /// It is not what was handed in.
    Altered,
    /// What came in its place had come before: the bytes that belong at `found`.
    Twice {
        /// Where they belong.
        found: u64,
    },
    /// What came in its place belongs further on, at `found`.
    OutOfOrder {
        /// Where it belongs.
        found: u64,
    },
    /// Nobody had handed it in.
    Invented,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_nanos() as f64 / 1e9;
        write!(f, "at {seconds:.6} s flow {} offset {}: ", self.flow, self.offset)?;
        match self.wrong {
            Wrong::Lost => f.write_str("lost"),
            Wrong::Altered => f.write_str("altered"),
            Wrong::Twice { found } => write!(f, "came twice: these are the bytes of offset {found}"),
            Wrong::OutOfOrder { found } => write!(f, "out of order: these are the bytes of offset {found}"),
            Wrong::Invented => f.write_str("came out although nobody had handed it in"),
        }
    }
}

/// A flow that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFlow {
    /// Flow.
    pub flow: u64,
    /// Bytes or messages handed in.
    pub handed_in: u64,
    /// Bytes or messages that came out.
    pub came_out: u64,
    /// The sender said that there is no more.
    pub finished: bool,
}

/// What the books say of all flows together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Flows that ended with every byte in place.
    pub complete: u64,
    /// Flows given up by either end.
    pub abandoned: u64,
    /// Bytes handed in, without messages.
    pub handed_in: u64,
    /// Bytes that came out.
    pub came_out: u64,
    /// Messages handed in.
    pub messages_in: u64,
    /// Messages that came out.
    pub messages_out: u64,
    /// Violations found, also those that are not kept.
    pub violations: u64,
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    /// Flow.
    pub flow: u64,
    /// Its number in the flow, from 0.
    pub number: u64,
    /// When it was handed in.
    pub handed_in: Instant,
}

impl Ledger {
    /// Empty books; `seed` decides the content of every flow.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Book::new(seed))))
    }

    /// Numbers nobody has yet: `count` of them from the one returned.
    pub fn numbers(&self, count: u64) -> u64 {
        self.0.borrow_mut().numbers(count)
    }

    /// The content of a flow.
    pub fn pattern(&self, flow: u64) -> Pattern {
        Pattern::new(self.0.borrow().seed, flow)
    }

    /// A flow of bytes begins; what comes out of it is told to `meter`.
    pub fn open(&self, now: Instant, flow: u64, meter: Option<SharedMeter>) {
        self.0.borrow_mut().open(now, flow, meter);
    }

    /// The sender handed in `len` bytes at `offset`.
    pub fn handed_in(&self, flow: u64, offset: u64, len: u64) {
        self.0.borrow_mut().handed_in(flow, offset, len);
    }

    /// The sender has no more.
    pub fn finished(&self, flow: u64) {
        self.0.borrow_mut().finished(flow);
    }

    /// These bytes came out at `offset`.
    pub fn came_out(&self, now: Instant, flow: u64, offset: u64, bytes: &[u8]) {
        self.0.borrow_mut().came_out(now, flow, offset, bytes);
    }

    /// The receiver saw the end.
    pub fn ended(&self, now: Instant, flow: u64) {
        self.0.borrow_mut().ended(now, flow);
    }

    /// Either end gave the flow up on purpose: that it is incomplete is no violation.
    pub fn abandon(&self, now: Instant, flow: u64) {
        self.0.borrow_mut().abandon(now, flow);
    }

    /// A flow of messages begins.
    pub fn open_messages(&self, flow: u64, meter: Option<SharedMessageMeter>) {
        self.0.borrow_mut().open_messages(flow, meter);
    }

    /// The next message of a flow, `size` bytes and at least [`MIN_MESSAGE`]; it counts once it is
    /// [handed in](Ledger::message_in).
    pub fn message(&self, now: Instant, flow: u64, size: usize) -> Bytes {
        self.0.borrow().message(now, flow, size)
    }

    /// The message made last was taken (`true`) or refused by what should carry it.
    pub fn message_in(&self, now: Instant, flow: u64, taken: bool) {
        self.0.borrow_mut().message_in(now, flow, taken);
    }

    /// A message came out. `None` if it is none of ours, which is a violation of flow `u64::MAX`.
    pub fn message_out(&self, now: Instant, bytes: &[u8]) -> Option<MessageInfo> {
        self.0.borrow_mut().message_out(now, bytes)
    }

    /// The first violation in time.
    pub fn first(&self) -> Option<Violation> {
        self.0.borrow().violations.first().copied()
    }

    /// Violations in order of time; at most one per flow of bytes and a thousand in all.
    pub fn violations(&self) -> Vec<Violation> {
        self.0.borrow().violations.clone()
    }

    /// Flows of bytes that have not ended, lowest number first.
    pub fn open_flows(&self) -> Vec<OpenFlow> {
        self.0.borrow().open_flows()
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        self.0.borrow().totals
    }
}
