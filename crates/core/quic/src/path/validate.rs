//! Address validation of one path: challenges, responses, and the bytes an unproven address may get
//! (RFC 9000 §8). A challenge is repeated and gives up late, so that long paths validate (decision 11).

use core::time::Duration;

use tq_buf::mem::VecDeque;
use tq_time::Instant;

/// Responses owed per path; the oldest is dropped (decision 11, threat 8).
const MAX_RESPONSES: usize = 16;

/// When a challenge is first repeated if the round trip is not known (decision 11).
const FIRST_INTERVAL: Duration = Duration::from_millis(100);
/// It is not repeated faster than this.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// State of one path's address.
#[derive(Debug)]
pub(crate) struct Validation {
    validated: bool,
    /// Bytes received from and sent to an address not validated yet.
    received: u64,
    sent: u64,
    challenge: Option<Challenge>,
    responses: VecDeque<[u8; 8]>,
    /// Bytes of datagrams that carried responses.
    answered: u64,
}

#[derive(Debug)]
struct Challenge {
    /// Every copy has bytes of its own; any answer counts.
    sent: [[u8; 8]; 4],
    count: usize,
    pending: bool,
    resend_at: Option<Instant>,
    interval: Duration,
    give_up_at: Instant,
}

impl Validation {
    /// Nothing known.
    pub(crate) fn new() -> Self {
        Self {
            validated: false,
            received: 0,
            sent: 0,
            challenge: None,
            responses: VecDeque::new(),
            answered: 0,
        }
    }

    /// The address is proven.
    pub(crate) fn set_validated(&mut self) {
        self.validated = true;
        self.challenge = None;
    }

    /// The address is not proven any more.
    pub(crate) fn unset(&mut self, received: u64) {
        let responses = core::mem::take(&mut self.responses);
        *self = Self { received, responses, answered: self.answered, ..Self::new() };
    }

    pub(crate) fn is_validated(&self) -> bool {
        self.validated
    }

    pub(crate) fn on_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Bytes that may be sent: three times what was received.
    pub(crate) fn budget(&self) -> u64 {
        if self.validated { u64::MAX } else { (3 * self.received).saturating_sub(self.sent) }
    }

    /// Starts to challenge; the first repetition comes after three round trips, or early if they are not known. Gives
    /// up after `patience`, but not before three seconds.
    pub(crate) fn challenge(&mut self, now: Instant, srtt: Option<Duration>, patience: Duration) {
        self.challenge = Some(Challenge {
            sent: [[0; 8]; 4],
            count: 0,
            pending: true,
            resend_at: None,
            interval: srtt.map_or(FIRST_INTERVAL, |srtt| (3 * srtt).max(MIN_INTERVAL)),
            give_up_at: now + patience.max(Duration::from_secs(3)),
        });
    }

    pub(crate) fn is_challenging(&self) -> bool {
        self.challenge.is_some()
    }

    pub(crate) fn wants_challenge(&self) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| challenge.pending)
    }

    /// A challenge with these fresh bytes goes out.
    pub(crate) fn on_challenge_sent(&mut self, now: Instant, data: [u8; 8]) {
        if let Some(challenge) = &mut self.challenge {
            challenge.sent[challenge.count % 4] = data;
            challenge.count += 1;
            challenge.pending = false;
            challenge.resend_at = Some(now + challenge.interval);
            challenge.interval *= 2;
        }
    }

    /// Whether `data` answers a challenge of ours; if so the address is validated.
    pub(crate) fn on_response(&mut self, data: [u8; 8]) -> bool {
        let answered = self
            .challenge
            .as_ref()
            .is_some_and(|challenge| challenge.sent[..challenge.count.min(4)].contains(&data));
        if answered {
            self.set_validated();
        }
        answered
    }

    /// A PATH_CHALLENGE arrived on this path.
    pub(crate) fn on_challenge(&mut self, data: [u8; 8]) {
        if self.responses.len() == MAX_RESPONSES {
            self.responses.pop_front();
        }
        self.responses.push_back(data);
    }

    /// Bytes that responses may take now: half of what the path has brought, so that a flood of challenges is answered
    /// with less than it costs (threat 8). An honest challenge fills a datagram and pays for a full answer.
    pub(crate) fn answer_budget(&self, bytes_received: u64) -> u64 {
        if self.responses.is_empty() { 0 } else { (bytes_received / 2).saturating_sub(self.answered) }
    }

    /// A datagram of `bytes` with responses went out.
    pub(crate) fn on_answered(&mut self, bytes: usize) {
        self.answered += bytes as u64;
    }

    pub(crate) fn next_response(&mut self) -> Option<[u8; 8]> {
        self.responses.pop_front()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let challenge = self.challenge.as_ref()?;
        Some(challenge.resend_at.map_or(challenge.give_up_at, |at| at.min(challenge.give_up_at)))
    }

    /// Time passed: repeat, or give up (`true`).
    pub(crate) fn on_deadline(&mut self, now: Instant) -> bool {
        let Some(challenge) = &mut self.challenge else { return false };
        if challenge.give_up_at <= now {
            self.challenge = None;
            return true;
        }
        if challenge.resend_at.is_some_and(|at| at <= now) {
            challenge.resend_at = None;
            challenge.pending = true;
        }
        false
    }
}
