//! One connection at a simulated host: the core's state, its program, when either wants to be woken.

use tq_quic::{Connection, Endpoint, EndpointEvent, Event, Handle};
use tq_time::Instant;

use crate::app::{App, AppContext};
use crate::process::Notice;

/// Rounds of events and answers within one moment before the rest waits for the next call. Honest programs need a
/// handful; the bound keeps a program that answers every event with another from holding virtual time for ever.
const ROUNDS: usize = 1000;

pub(super) struct Slot {
    pub(super) handle: Handle,
    pub(super) connection: Connection,
    pub(super) app: Box<dyn App>,
    /// When the program wants to be woken.
    pub(super) wake: Option<Instant>,
    /// Under which moment the host's queue knows this connection.
    pub(super) queued: Option<Instant>,
    /// It is in the list of connections to serve.
    pub(super) touched: bool,
    /// Its place in the report.
    pub(super) record: usize,
    told: bool,
}

impl Slot {
    pub(super) fn new(handle: Handle, connection: Connection, app: Box<dyn App>, record: usize) -> Self {
        Self { handle, connection, app, wake: None, queued: None, touched: false, record, told: false }
    }

    /// When something is to be done without a datagram.
    pub(super) fn due(&self) -> Option<Instant> {
        let deadline = self.connection.deadline();
        deadline.into_iter().chain(self.wake).min()
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.app.on_start(&mut AppContext::new(now, &mut self.connection, &mut self.wake));
    }

    /// Time has come to `now`.
    pub(super) fn on_time(&mut self, now: Instant) {
        if self.connection.deadline().is_some_and(|at| at <= now) {
            self.connection.on_deadline(now);
        }
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
            self.app.on_wake(&mut AppContext::new(now, &mut self.connection, &mut self.wake));
        }
    }

    pub(super) fn on_notice(&mut self, now: Instant, notice: &Notice) {
        self.app.on_notice(&mut AppContext::new(now, &mut self.connection, &mut self.wake), notice);
    }

    /// Tells endpoint and program what happened; says whether the program heard something, so may have something to
    /// send. The host may have to be told that the connection is drained.
    pub(super) fn collect(&mut self, now: Instant, endpoint: &mut Endpoint) -> bool {
        let mut heard = false;
        for _ in 0..ROUNDS {
            self.tell_endpoint(endpoint);
            let Some(event) = self.connection.poll_event() else { break };
            self.hear(now, &event);
            heard = true;
        }
        // The core does not report what the program itself did; programs are told of every end alike.
        if !self.told
            && let Some(error) = self.connection.error()
        {
            let event = Event::Closed(error.clone());
            self.hear(now, &event);
        }
        self.tell_endpoint(endpoint);
        heard
    }

    fn hear(&mut self, now: Instant, event: &Event) {
        self.told |= matches!(event, Event::Closed(_));
        self.app.on_event(&mut AppContext::new(now, &mut self.connection, &mut self.wake), event);
    }

    fn tell_endpoint(&mut self, endpoint: &mut Endpoint) {
        while let Some(event) = self.connection.poll_endpoint_event() {
            // The endpoint forgets the handle with this one, and may give it to another connection.
            debug_assert!(self.connection.is_drained() || !matches!(event, EndpointEvent::Drained));
            endpoint.handle_event(self.handle, event);
        }
    }
}
