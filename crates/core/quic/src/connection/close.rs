//! The end of a connection: closing, draining, silence (RFC 9000 §10.2, §10.3).

use core::time::Duration;

use tq_buf::mem::{Box, Cow, Vec};
use tq_event::ConnectionState;
use tq_time::Instant;
use tq_wire::frame::Close;
use tq_wire::{Code, Frame};

use super::{Connection, EndpointEvent, Event, SpaceId, Timer};
use crate::datagram::Datagrams;
use crate::error::{ConnectionError, TransportError};
use crate::handshake::crypto_stream::CryptoStreams;
use crate::handshake::keys::KeyStore;
use crate::space::{Acked, Lost, Sent};
use crate::stream::Streams;

/// What is over goes at multiples of this, 2^24 ns: a host of many short connections is woken once for all that ended
/// meanwhile, not for each.
const GRAIN: u64 = 1 << 24;

/// How far the end has come.
#[derive(Debug)]
pub(crate) enum End {
    /// Not begun.
    None,
    /// We closed and repeat it to whoever still sends.
    Closing(Box<Closing>),
    /// The peer closed; we keep silent.
    Draining(ConnectionError),
    /// Nothing is left.
    Drained(ConnectionError),
}

/// Our close, kept to be repeated.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) error: ConnectionError,
    code: u64,
    frame_type: Option<u64>,
    reason: Vec<u8>,
    /// A copy is to be sent.
    pub(crate) pending: bool,
    /// The first copies go on every path: the next one.
    pub(crate) round: Option<usize>,
    received: u64,
    answer_at: u64,
    /// Bytes of datagrams that came since, and that answered them: whoever sent them need not be the peer.
    brought: u64,
    answered: u64,
    /// Length of the datagram that closes, once it has been sent.
    len: u64,
    /// When the newest copy left.
    sent_at: Option<Instant>,
}

impl End {
    /// Whether streams are at an end.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self, Self::None)
    }
}

impl Closing {
    /// The frame for a packet of `id`: an application's reason is hidden until the peer is known (RFC 9000 §10.2.3).
    // MUST 9000-10.2.3-2, 9000-10.2.3-3, 9000-12.5-1
    pub(crate) fn frame(&self, id: SpaceId) -> Close<'_> {
        let early = !matches!(id, SpaceId::App(_));
        match (early, self.frame_type) {
            (true, None) => Close { code: Code::APPLICATION_ERROR.0, frame_type: Some(0), reason: b"" },
            _ => Close { code: self.code, frame_type: self.frame_type, reason: &self.reason },
        }
    }

    /// A datagram came in: every power of two of them is answered, with no more than three times their bytes. Not those
    /// that come within a round trip, `rtt`, of the last copy: they have crossed it.
    // MUST 9000-10.2.1-1, 9000-10.2.1-2
    pub(crate) fn on_packet(&mut self, now: Instant, bytes: usize, rtt: Duration) {
        self.brought += bytes as u64;
        if self.sent_at.is_some_and(|at| now < at + rtt) {
            return;
        }
        self.received += 1;
        if self.received >= self.answer_at && self.answered + self.len <= 3 * self.brought {
            self.answer_at *= 2;
            self.pending = true;
        }
    }

    /// A datagram that closes went out; the first ones, one on each path, answer nothing.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: usize, answers: bool) {
        self.sent_at = Some(now);
        self.answered += if answers { bytes as u64 } else { 0 };
        self.len = bytes as u64;
    }
}

impl Connection {
    /// Closes for the application. What was not sent is dropped; the peer sees `code` and `reason` (cut to what fits
    /// a packet).
    pub fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        if self.end.is_over() {
            return;
        }
        let code = code.min(tq_wire::VARINT_MAX);
        self.start_closing(now, ConnectionError::LocallyClosed, code, None, reason.into());
    }

    /// Closes because of `error`.
    // MUST 9000-10.3-1, 9000-11.1-1
    pub(crate) fn fail(&mut self, now: Instant, error: TransportError) {
        if self.end.is_over() {
            return;
        }
        let (code, frame) = (error.code.0, error.frame);
        let reason = match &error.reason {
            Cow::Borrowed(text) => text.as_bytes().to_vec(),
            Cow::Owned(text) => text.as_bytes().to_vec(),
        };
        self.start_closing(now, ConnectionError::Violation(error), code, Some(frame), reason);
    }

    fn start_closing(
        &mut self,
        now: Instant,
        error: ConnectionError,
        code: u64,
        frame_type: Option<u64>,
        mut reason: Vec<u8>,
    ) {
        reason.truncate(512);
        self.log_closed(now, &error);
        if error != ConnectionError::LocallyClosed {
            self.events.push_back(Event::Closed(error.clone()));
        }
        self.end = End::Closing(Box::new(Closing {
            error,
            code,
            frame_type,
            reason,
            pending: true,
            round: Some(0),
            received: 0,
            answer_at: 1,
            brought: 0,
            answered: 0,
            len: 0,
            sent_at: None,
        }));
        self.linger(now, ConnectionState::Closing);
    }

    /// The peer closed.
    pub(crate) fn on_close_frame(&mut self, now: Instant, f: &Close<'_>) {
        let reason = f.reason.to_vec();
        let error = match f.frame_type {
            Some(frame) => ConnectionError::PeerTransport { code: Code(f.code), frame, reason },
            None => ConnectionError::PeerApplication { code: f.code, reason },
        };
        self.drain(now, error);
    }

    /// The peer has lost its state.
    // MUST 9000-10.3.1-4
    pub(crate) fn on_stateless_reset(&mut self, now: Instant) {
        self.drain(now, ConnectionError::Reset);
    }

    fn drain(&mut self, now: Instant, error: ConnectionError) {
        if matches!(self.end, End::Draining(_) | End::Drained(_)) {
            return;
        }
        if !self.end.is_over() {
            self.log_closed(now, &error);
            self.events.push_back(Event::Closed(error.clone()));
        }
        self.end = End::Draining(error);
        self.linger(now, ConnectionState::Draining);
    }

    /// Three PTO from now, or a little later, the state goes (RFC 9000 §10.2).
    fn linger(&mut self, now: Instant, state: ConnectionState) {
        let until = (now + self.three_pto()).as_nanos();
        let until = Instant::from_nanos(until.checked_next_multiple_of(GRAIN).unwrap_or(until));
        for timer in [Timer::Idle, Timer::Handshake, Timer::OldKeys, Timer::KeepAlive, Timer::Silence] {
            self.timers.clear(timer as usize);
        }
        self.timers.set(Timer::Close as usize, until);
        self.log_state(now, state);
    }

    /// Ends without a word to the peer.
    pub(crate) fn end_now(&mut self, now: Instant, error: ConnectionError) {
        if matches!(self.end, End::Drained(_)) {
            return;
        }
        if !self.end.is_over() {
            self.log_closed(now, &error);
            self.events.push_back(Event::Closed(error.clone()));
        }
        self.end = End::Drained(error);
        self.release(now);
    }

    /// Closing or draining is over.
    pub(crate) fn drained(&mut self, now: Instant) {
        let error = match core::mem::replace(&mut self.end, End::None) {
            End::Closing(closing) => closing.error,
            End::Draining(error) | End::Drained(error) => error,
            End::None => return,
        };
        self.end = End::Drained(error);
        self.release(now);
    }

    fn release(&mut self, now: Instant) {
        (0..super::Timer::COUNT).for_each(|timer| self.timers.clear(timer));
        for ids in &self.cids {
            self.endpoint_events.extend(ids.local.all().map(|cid| EndpointEvent::CidRetired(*cid)));
        }
        if let Some(dcid) = self.hs.initial_dcid.take() {
            self.endpoint_events.push_back(EndpointEvent::CidRetired(dcid));
        }
        self.endpoint_events.push_back(EndpointEvent::Drained);
        self.log_state(now, ConnectionState::Closed);
    }

    /// Gives back what only an application could still ask for or send. For a host whose application has let go of a
    /// connection: once that has ended and said so, little of it lingers. Before, this does nothing.
    pub fn strip(&mut self) {
        match &self.end {
            End::None => return,
            End::Closing(closing) if closing.sent_at.is_none() => return,
            // Keys stay: they repeat the close.
            End::Closing(_) => {}
            End::Draining(_) | End::Drained(_) => {
                self.keys = KeyStore::default();
                self.initial = None;
                self.handshake = None;
            }
        }
        (self.hs.session, self.hs.client) = (None, None);
        (self.hs.token, self.hs.new_token, self.hs.waiting) = (Vec::new(), None, Vec::new());
        self.crypto = CryptoStreams::default();
        self.streams = Streams::new(self.side, &self.config.stream);
        self.datagrams = Datagrams::new(0, 0);
        (self.acked, self.lost, self.seals) = (Acked::default(), Lost::default(), Vec::new());
        for space in [&mut self.initial, &mut self.handshake].into_iter().flatten() {
            space.sent = Sent::new();
        }
        for path in &mut self.paths {
            path.space.sent = Sent::new();
        }
    }

    /// Whether the connection has ended or is ending.
    pub fn is_closed(&self) -> bool {
        self.end.is_over()
    }

    /// Whether nothing is left to send or to wait for.
    pub fn is_drained(&self) -> bool {
        matches!(self.end, End::Drained(_))
    }

    /// Why it ended.
    pub fn error(&self) -> Option<&ConnectionError> {
        match &self.end {
            End::None => None,
            End::Closing(closing) => Some(&closing.error),
            End::Draining(error) | End::Drained(error) => Some(error),
        }
    }

    /// The frame to close with in a packet of `id`.
    pub(crate) fn close_frame(&self, id: SpaceId) -> Option<Frame<'_>> {
        match &self.end {
            End::Closing(closing) => Some(Frame::Close(closing.frame(id))),
            _ => None,
        }
    }
}
