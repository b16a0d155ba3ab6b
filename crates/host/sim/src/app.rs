//! Programs that use a connection: the trait, what it may do, and the traffic of scenarios as ready programs. A program
//! sees one [`Connection`] and a clock; it decides what is sent and when, never how. What it found out leaves through
//! [`Shared`] reports that whoever set up the run keeps.

mod bond;
mod bulk;
mod datagrams;
mod exchange;
mod flow;
mod gate;
mod many;
mod request;
mod requests;
mod serve;
mod web;

use std::cell::RefCell;
use std::rc::Rc;

use tq_quic::{Connection, ConnectionError, Event};
use tq_time::Instant;

pub use bond::{Bond, BondSpec, PathLog, PathOrder, PathWatch, Way};
pub use bulk::{Bulk, BulkReport, BulkSpec, Order};
pub use datagrams::{Datagrams, DatagramsReport, DatagramsSpec};
pub use many::Many;
pub use request::{ASK_LEN, Ask, ENDLESS, What};
pub use requests::{RequestRecord, Requests, RequestsReport, RequestsSpec};
pub use serve::Serve;
pub use web::{PageRecord, Web, WebMix, WebReport, WebSpec};

use crate::process::Notice;

/// A report two parties look at: the program that writes it and whoever asked for the run.
pub type Shared<T> = Rc<RefCell<T>>;

/// A program over one connection. Calls come in virtual time; after each, what the program queued is sent.
pub trait App {
    /// The connection exists. Nothing can be sent yet.
    fn on_start(&mut self, cx: &mut AppContext<'_>) {
        let _ = cx;
    }

    /// Something happened on the connection.
    fn on_event(&mut self, cx: &mut AppContext<'_>, event: &Event);

    /// The time set with [`AppContext::wake_at`] has come.
    fn on_wake(&mut self, cx: &mut AppContext<'_>) {
        let _ = cx;
    }

    /// The network told the host something; every program of the host hears of it.
    fn on_notice(&mut self, cx: &mut AppContext<'_>, notice: &Notice) {
        let _ = (cx, notice);
    }
}

/// A program's hands for the length of one call.
pub struct AppContext<'a> {
    now: Instant,
    connection: &'a mut Connection,
    wake: &'a mut Option<Instant>,
}

impl<'a> AppContext<'a> {
    /// For whoever calls an [`App`].
    pub fn new(now: Instant, connection: &'a mut Connection, wake: &'a mut Option<Instant>) -> Self {
        Self { now, connection, wake }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The connection: streams, datagrams, key updates, numbers.
    pub fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// Closes the connection with a code and nothing to say.
    pub fn close(&mut self, code: u64) {
        self.connection.close(self.now, code, b"");
    }

    /// Wakes the program at `at` (a moment that has passed means at once), or never. The latest call counts.
    pub fn wake_at(&mut self, at: Option<Instant>) {
        *self.wake = at;
    }

    /// The time last set.
    pub fn wake(&self) -> Option<Instant> {
        *self.wake
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Up,
    /// To the client.
    Down,
    /// Both at the same time.
    Both,
}

impl Direction {
    const fn up(self) -> bool {
        matches!(self, Self::Up | Self::Both)
    }

    const fn down(self) -> bool {
        matches!(self, Self::Down | Self::Both)
    }
}

/// When a client's program works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Not before this moment, and not before the handshake is complete.
    pub start: Instant,
    /// Begins nothing after this moment, and ends what has no end of its own.
    pub stop: Option<Instant>,
    /// Close the connection, with code 0, when all is done.
    pub close: bool,
}

/// When the connection of a program came how far.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The program began.
    pub started: Option<Instant>,
    /// The handshake was complete.
    pub connected: Option<Instant>,
    /// Both ends knew.
    pub confirmed: Option<Instant>,
    /// The program had done all it was to do.
    pub done: Option<Instant>,
    /// The connection ended, and why; the program's own close is told too.
    pub closed: Option<(Instant, ConnectionError)>,
}

impl Life {
    /// Notes what an event says about the connection.
    pub fn note(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Connected => _ = self.connected.get_or_insert(now),
            Event::Confirmed => _ = self.confirmed.get_or_insert(now),
            Event::Closed(error) => _ = self.closed.get_or_insert_with(|| (now, error.clone())),
            _ => {}
        }
    }
}
