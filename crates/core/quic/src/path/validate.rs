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
    /// Whether the address may get only three times what came from it; not one we chose ourselves.
    limited: bool,
    /// Bytes received from and sent to an address not validated yet.
    received: u64,
    sent: u64,
    challenge: Option<Challenge>,
    responses: VecDeque<[u8; 8]>,
    /// Bytes of datagrams that carried responses.
    answered: u64,
    question: Question,
}

/// Challenges that ask a proven address whether it is still there. Nothing is decided if they are not answered.
#[derive(Debug, Default)]
struct Question {
    sent: [[u8; 8]; 4],
    count: usize,
    pending: bool,
}

#[derive(Debug)]
struct Challenge {
    /// Every copy has bytes of its own; any answer counts.
    sent: [([u8; 8], Instant); 4],
    /// Which of them left in a datagram of full size.
    full: [bool; 4],
    count: usize,
    pending: bool,
    resend_at: Option<Instant>,
    interval: Duration,
    give_up_at: Instant,
    /// The first interval and how long it lasts, if it has to be done again.
    first: Duration,
    patience: Duration,
}

/// What an answer to a challenge proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing.
    None,
    /// That the address is the peer's; whether it carries 1200 bytes is still asked.
    Address,
    /// All.
    Path,
}

impl Challenge {
    fn new(now: Instant, first: Duration, patience: Duration) -> Self {
        Self {
            sent: [([0; 8], now); 4],
            full: [false; 4],
            count: 0,
            pending: true,
            resend_at: None,
            interval: first,
            give_up_at: now + patience,
            first,
            patience,
        }
    }
}

impl Validation {
    /// Nothing known.
    pub(crate) fn new() -> Self {
        Self {
            validated: false,
            limited: true,
            received: 0,
            sent: 0,
            challenge: None,
            responses: VecDeque::new(),
            answered: 0,
            question: Question::default(),
        }
    }

    /// Asks for a sign of life, unless a challenge is under way that will bring one.
    pub(crate) fn ask(&mut self) {
        self.question.pending = self.challenge.is_none();
    }

    /// Whether `data` answers a question of ours.
    pub(crate) fn is_answer(&self, data: &[u8; 8]) -> bool {
        self.question.sent[..self.question.count.min(4)].contains(data)
    }

    /// The address is proven.
    pub(crate) fn set_validated(&mut self) {
        self.validated = true;
        self.challenge = None;
    }

    /// The address was proven in another way; a challenge goes on, for the rest of the way.
    pub(crate) fn vouch(&mut self) {
        self.validated = true;
    }

    /// The address is not proven any more.
    pub(crate) fn unset(&mut self, received: u64) {
        let responses = core::mem::take(&mut self.responses);
        *self = Self { received, responses, answered: self.answered, ..Self::new() };
    }

    /// The address was chosen here: it is challenged, but nobody else could be flooded by it.
    pub(crate) fn set_chosen(&mut self) {
        self.limited = false;
    }

    /// Responses owed.
    pub(crate) fn responses(&self) -> usize {
        self.responses.len()
    }

    /// Drops the oldest response owed.
    pub(crate) fn drop_response(&mut self) {
        self.responses.pop_front();
    }

    /// Nothing is asked and nothing is answered any more.
    pub(crate) fn stop(&mut self) {
        self.challenge = None;
        self.question = Question::default();
        self.responses.clear();
    }

    pub(crate) fn is_validated(&self) -> bool {
        self.validated
    }

    /// Whether it is proven and carries 1200 bytes, as far as anybody has asked.
    pub(crate) fn is_proven(&self) -> bool {
        self.validated && self.challenge.is_none()
    }

    pub(crate) fn on_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Bytes that may be sent: three times what was received.
    // MUST 9000-8-1, 9000-8.1-1, 9000-9.3-3
    pub(crate) fn budget(&self) -> u64 {
        if self.validated || !self.limited { u64::MAX } else { (3 * self.received).saturating_sub(self.sent) }
    }

    /// Starts to challenge; the first repetition comes after three round trips, or early if they are not known. Gives
    /// up after `patience`, but not before three seconds.
    pub(crate) fn challenge(&mut self, now: Instant, srtt: Option<Duration>, patience: Duration) {
        let first = srtt.map_or(FIRST_INTERVAL, |srtt| (3 * srtt).max(MIN_INTERVAL));
        self.challenge = Some(Challenge::new(now, first, patience.max(Duration::from_secs(3))));
    }

    pub(crate) fn is_challenging(&self) -> bool {
        self.challenge.is_some()
    }

    pub(crate) fn wants_challenge(&self) -> bool {
        self.challenge.as_ref().map_or(self.question.pending, |challenge| challenge.pending)
    }

    /// A challenge with these fresh bytes goes out, `full` if in a datagram of 1200 bytes.
    pub(crate) fn on_challenge_sent(&mut self, now: Instant, data: [u8; 8], full: bool) {
        if let Some(challenge) = &mut self.challenge {
            challenge.sent[challenge.count % 4] = (data, now);
            challenge.full[challenge.count % 4] = full;
            challenge.count += 1;
            challenge.pending = false;
            challenge.resend_at = Some(now + challenge.interval);
            challenge.interval *= 2;
        } else {
            self.question.sent[self.question.count % 4] = data;
            self.question.count += 1;
            self.question.pending = false;
        }
    }

    /// When the challenge went out that `data` answers.
    pub(crate) fn challenge_sent_at(&self, data: &[u8; 8]) -> Option<Instant> {
        let challenge = self.challenge.as_ref()?;
        let sent = &challenge.sent[..challenge.count.min(4)];
        sent.iter().find(|(sent, _)| sent == data).map(|(_, at)| *at)
    }

    /// What `data` proves. If it answers a challenge of ours the address is validated; another challenge follows if that
    /// one was too small to say that datagrams of 1200 bytes pass (RFC 9000 §8.2.1).
    // MUST 9000-8.2.1-3, 9000-8.2.3-1, mp21-3.1-6
    pub(crate) fn on_response(&mut self, now: Instant, data: [u8; 8]) -> Proof {
        let Some(challenge) = &self.challenge else { return Proof::None };
        let Some(at) = challenge.sent[..challenge.count.min(4)].iter().position(|(sent, _)| *sent == data)
        else {
            return Proof::None;
        };
        if challenge.full[at] {
            self.set_validated();
            return Proof::Path;
        }
        let again = Challenge::new(now, challenge.first, challenge.patience);
        self.validated = true;
        self.challenge = Some(again);
        Proof::Address
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

    // MUST 9000-8.2.2-7
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
