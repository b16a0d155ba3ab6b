//! The rhythm of acknowledgements (draft-ietf-quic-ack-frequency): what we ask of the peer, and what it asks of us.
//!
//! It decides how many packets and how much time the peer may let pass. Which way acknowledgements take is decided in
//! `ways.rs`, when ours are due in `space/owed`.

use core::time::Duration;

use tq_wire::frame::{AckFrequency, kind};
use tq_wire::{Code, Frame};

use super::Connection;
use crate::error::TransportError;
use crate::path::Path;
use crate::payload::Payload;
use crate::space::AckPolicy;
use crate::token::Token;

/// Shortest ACK delay we promise a peer that asks (ack-frequency §3).
pub(super) const MIN_ACK_DELAY: Duration = Duration::from_millis(1);

/// Most packets per ACK we ask for, about one GSO batch.
const MAX_THRESHOLD: u64 = 40;
/// The same while a path is measured by trains of 16.
const MAX_TRAIN_THRESHOLD: u64 = 2;

/// ACKs a window is to have.
const PER_WINDOW: u64 = 16;
/// Packets per ACK that need not be fewer for the sake of a path that is starting: three ACKs for a train of 16.
const ENOUGH: u64 = 4;
/// How many times more ACKs than a wide path needs itself the start of another may cost: they share its way back.
const DEARER: u64 = 4;
/// Longest ACK delay we ask for.
const MAX_DELAY: Duration = Duration::from_millis(25);

/// A path that brought so many bytes is not starting any more, though its controller may say so for good: a window that is
/// held down never leaves slow start.
const STARTED: u64 = 1 << 20;

/// Packets in flight from which on a path is in use.
const TRAIN: u64 = 8;

/// What we asked of the peer, and what it asked of us.
#[derive(Debug, Default)]
pub(crate) struct AckFrequencyState {
    next_seq: u64,
    /// Newest request, kept until it is acknowledged or replaced.
    request: Option<AckFrequency>,
    pending: bool,
    /// Highest request of the peer.
    peer_seq: Option<u64>,
    /// The rhythm it asked for.
    policy: Option<AckPolicy>,
}

impl AckFrequencyState {
    /// Delay the peer may use because we asked for it.
    pub(crate) fn requested_delay(&self) -> Duration {
        self.request.map_or(Duration::ZERO, |request| Duration::from_micros(request.max_ack_delay_us))
    }

    pub(crate) fn wants(&self) -> bool {
        self.pending
    }

    /// The rhythm the peer asked for, on every path.
    pub(crate) fn policy(&self) -> Option<AckPolicy> {
        self.policy
    }

    pub(crate) fn write(&mut self, payload: &mut Payload<'_>) {
        let Some(request) = self.request.filter(|_| self.pending) else { return };
        if payload.frame(&Frame::AckFrequency(request), Some(Token::AckFrequency(request.seq))) {
            self.pending = false;
        }
    }

    pub(crate) fn on_lost(&mut self, seq: u64) {
        self.pending |= self.request.is_some_and(|request| request.seq == seq);
    }
}

impl Connection {
    /// The peer wants another ACK rhythm (ack-frequency §4).
    pub(crate) fn on_ack_frequency(&mut self, f: &AckFrequency) -> Result<(), TransportError> {
        let wrong = |why| Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::ACK_FREQUENCY, why));
        if f.max_ack_delay_us < MIN_ACK_DELAY.as_micros() as u64 {
            return wrong("ACK_FREQUENCY asks for less than min_ack_delay");
        }
        if f.max_ack_delay_us >= (1 << 14) * 1000 {
            return wrong("ACK_FREQUENCY asks for 2^14 ms or more");
        }
        if self.ack_frequency.peer_seq.is_some_and(|seq| f.seq <= seq) {
            return Ok(());
        }
        self.ack_frequency.peer_seq = Some(f.seq);
        let policy = AckPolicy {
            threshold: f.threshold,
            max_delay: Duration::from_micros(f.max_ack_delay_us),
            reordering: f.reordering,
        };
        self.ack_frequency.policy = Some(policy);
        self.paths.iter_mut().for_each(|path| path.space.owed.set_policy(policy));
        Ok(())
    }

    /// Asks for about sixteen ACKs a window where the peer can do that.
    // MUST 9000-19.21-1
    pub(crate) fn update_ack_frequency(&mut self) {
        let Some(min) = self.peer.min_ack_delay.filter(|_| self.config.ack_frequency && self.hs.confirmed)
        else {
            return;
        };
        let Some((threshold, delay)) = self.rhythm() else { return };
        let delay = delay.max(min).clamp(MIN_ACK_DELAY, MAX_DELAY).as_micros() as u64;
        let near = |new, old| new < old * 2 && new * 2 > old;
        let old = self.ack_frequency.request.map_or((1, 0), |old| (old.threshold, old.max_ack_delay_us));
        let alone = self.live().nth(1).is_none();
        if near(threshold, old.0) && (alone || near(delay, old.1)) {
            return;
        }
        let seq = self.ack_frequency.next_seq;
        let request = AckFrequency { seq, threshold, max_ack_delay_us: delay, reordering: 3 };
        self.ack_frequency.request = Some(request);
        self.ack_frequency.next_seq += 1;
        self.ack_frequency.pending = true;
    }

    fn live(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|path| path.state.is_live())
    }

    /// Packets per ACK, and a delay that the limits of both ends may change. One rhythm serves all paths: that of the one
    /// with most in flight suits where most is to be acknowledged, but while one is starting its own does; and trains of a new
    /// path, the first of them sent before it was heard of, tell its rate by how far apart they are acknowledged.
    fn rhythm(&self) -> Option<(u64, Duration)> {
        let widest = self.live().max_by_key(|path| path.cc.window())?;
        let used = |path: &Path| path.space.sent.eliciting_in_flight() >= TRAIN;
        let starts = |path: &&Path| path.cc.in_slow_start() && path.bytes_acked < STARTED && used(path);
        let path = self.live().filter(starts).min_by_key(|path| path.cc.window()).unwrap_or(widest);
        let trains = self.live().any(|path| used(path) && (path.cc.train() > 0 || !path.rtt.has_sample()));
        let most = if trains { MAX_TRAIN_THRESHOLD } else { MAX_THRESHOLD };
        let packets = |path: &Path| path.cc.window() / u64::from(path.mtu.current()) / PER_WINDOW;
        let sparing = ENOUGH.max(packets(widest) / DEARER).min(packets(widest));
        let threshold = packets(path).max(sparing).clamp(1, most);
        if self.multipath.ways.as_ref().is_some_and(|ways| ways.groups.is_testing()) {
            return Some((threshold, MIN_ACK_DELAY));
        }
        // a window of few such ACKs depends on the delay alone once the others have nothing to send
        let narrow = |path: &&Path| path.bytes_acked > 0 && packets(path) * 2 <= threshold;
        let rtts = self.live().filter(narrow).map(|path| path.rtt.smoothed());
        Some((threshold, rtts.fold(path.rtt.smoothed(), Duration::min) / 4))
    }
}
