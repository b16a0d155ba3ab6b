//! Which outstanding packets are lost (RFC 9002 §6.1, §7.6).
//!
//! Packets are lost in the order they were sent, because both thresholds are monotone: detection walks up from the
//! oldest outstanding packet and stops at the first that is not lost, so each packet is looked at once.

use tq_time::{Duration, Instant};

use super::{Sent, State};
use crate::space::outcome::Lost;
use crate::token::Token;

/// kPacketThreshold (RFC 9002 §6.1.1).
pub(super) const PACKET_THRESHOLD: u64 = 3;
/// Losses in a row without a spurious one after which a raised threshold is halved.
pub(super) const CALM: u8 = 16;
/// Most eighths of the loss delay that spurious losses add to it: as much again.
const MOST_PATIENCE: u32 = 8;
/// Lost packets are remembered for this many loss delays after they were sent, ...
const KEEP_DELAYS: u32 = 4;
/// ... but at least this long: links that stall deliver late by hundreds of milliseconds.
const KEEP_MIN: Duration = Duration::from_secs(1);

/// State of loss detection.
#[derive(Debug)]
pub(super) struct Loss {
    /// When to look again.
    pub(super) time: Option<Instant>,
    /// A packet this far below the largest acknowledged is lost.
    threshold: u64,
    /// Eighths added to the time threshold; one more for each ACK that reveals spurious losses, as RFC 8985 §6.2 widens
    /// its reordering window.
    patience: u32,
    /// Losses since the last spurious one.
    calm: u8,
    /// Ack-eliciting packets in flight before the last ACK.
    pub(super) flight: u64,
    /// Sending times of the first and last ack-eliciting packet of the run of lost ones just below `open`.
    pub(super) run: Option<(Instant, Instant)>,
    /// When the first RTT sample was taken.
    first_rtt: Option<Instant>,
    /// How long after its sending a lost packet is remembered.
    pub(super) keep: Duration,
}

impl Loss {
    pub(super) fn new() -> Self {
        Self {
            time: None,
            threshold: PACKET_THRESHOLD,
            patience: 0,
            calm: 0,
            flight: 0,
            run: None,
            first_rtt: None,
            keep: KEEP_MIN,
        }
    }

    /// A packet declared lost was delivered. The packet threshold grows past how far it was overtaken, up to half of
    /// what was in flight: so a real loss is still noticed while the second half of the window is on its way, and not
    /// later than the time threshold would. `largest_acked` is from before the ACK, which may itself have been late.
    pub(super) fn on_spurious(&mut self, pn: u64, largest_acked: Option<u64>) {
        self.run = None;
        self.calm = 0;
        let overtaken_by = largest_acked.map_or(0, |largest| largest.saturating_sub(pn));
        self.threshold = self.threshold.max((overtaken_by + 1).min(self.flight / 2));
    }

    /// An ACK revealed spurious losses: packets get more time from now on.
    pub(super) fn be_patient(&mut self) {
        self.patience = (self.patience + 1).min(MOST_PATIENCE);
    }

    /// A real loss, it seems: reordering may have gone with the route that caused it.
    fn on_loss(&mut self) {
        if self.threshold == PACKET_THRESHOLD && self.patience == 0 {
            return;
        }
        self.calm += 1;
        if self.calm == CALM {
            self.calm = 0;
            self.threshold = (self.threshold / 2).max(PACKET_THRESHOLD);
            self.patience /= 2;
        }
    }

    /// An ack-eliciting packet sent at `at` is lost; `span` becomes the run it ends if that is longer.
    // MUST 9002-7.6.2-1
    fn extend_run(&mut self, at: Instant, span: &mut Option<(Instant, Instant)>) {
        if self.first_rtt.is_none_or(|first| at <= first) {
            return;
        }
        let Some((start, _)) = self.run else {
            self.run = Some((at, at));
            return;
        };
        self.run = Some((start, at));
        if span.is_none_or(|(from, to)| at.saturating_since(start) > to.saturating_since(from)) {
            *span = Some((start, at));
        }
    }
}

impl Sent {
    /// Declares lost what is (RFC 9002 §6.1): packets sent before an acknowledged one, by at least the packet
    /// threshold, or at least `loss_delay` ago (more after spurious losses). Adds them up in `out` and sets [`Sent::loss_time`].
    ///
    /// The packet threshold is 3, more after spurious losses. A packet so far behind the newest that remembering it
    /// costs too much is lost as well, acknowledged ones above it or not.
    // MUST 9002-7.4-1
    pub(crate) fn detect_lost(&mut self, now: Instant, loss_delay: Duration, out: &mut Lost) {
        let loss_delay = loss_delay + loss_delay * self.loss.patience / 8;
        self.loss.keep = (loss_delay * KEEP_DELAYS).max(KEEP_MIN);
        self.loss.time = None;
        let before = out.packets;
        let surplus = self.base + self.ring.len().saturating_sub(self.limit()) as u64;
        loop {
            self.settle();
            let Some(slot) = self.ring.get(self.index(self.open)) else { break };
            let overtaken_by = self.largest_acked.and_then(|largest| largest.checked_sub(self.open));
            let due = slot.packet.at + loss_delay;
            let late = overtaken_by.is_some_and(|by| by >= self.loss.threshold || due <= now);
            if !late && self.open >= surplus {
                if overtaken_by.is_none() {
                    break;
                }
                if slot.packet.counts() {
                    self.loss.time = Some(due);
                    break;
                }
            }
            self.lose(out);
        }
        if out.packets > before {
            self.loss.on_loss();
        }
        self.trim(now);
    }

    /// Takes the packet at `open` out of flight.
    fn lose(&mut self, out: &mut Lost) {
        let at = self.index(self.open);
        let packet = &self.ring[at].packet;
        let here = !self.went_elsewhere(packet) && packet.at >= self.raced;
        let slot = &mut self.ring[at];
        let packet = &mut slot.packet;
        if !packet.counts() {
            // An ACK gone astray; nobody is told and nothing depends on it.
            slot.state = State::Void(1);
            packet.tokens.clear();
            return;
        }
        slot.state = State::Lost;
        out.numbers.push(self.open);
        let asked = self.asking.contains(&self.open)
            && !packet.tokens.iter().any(|token| matches!(token, Token::Stream { .. }));
        out.tokens.extend(packet.tokens.drain(..));
        let size = u64::from(packet.size);
        if packet.in_flight {
            self.bytes_in_flight -= size;
        }
        self.eliciting_in_flight -= u64::from(packet.eliciting);
        if !here || asked {
            out.strayed = true;
            return;
        }
        if packet.mtu_probe {
            out.probe_lost = Some(out.probe_lost.map_or(packet.size, |least| least.min(packet.size)));
            return;
        }
        out.packets += 1;
        if packet.in_flight {
            out.bytes += size;
            out.rate = packet.rate;
        }
        out.newest = Some((self.open, packet.at));
        if packet.eliciting {
            self.loss.extend_run(packet.at, &mut out.span);
        }
    }

    /// The path has had its first RTT sample at `at`, be it from packets of another space. Losses of packets sent
    /// before do not make persistent congestion. A sample from this space is noticed without this call.
    pub(crate) fn on_first_rtt(&mut self, at: Instant) {
        self.loss.first_rtt.get_or_insert(at);
    }
}
