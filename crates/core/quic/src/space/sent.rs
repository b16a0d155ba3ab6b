//! Packets sent in one space, until they are acknowledged or lost (RFC 9002 appendix A).
//!
//! A ring indexed by packet number: recording a packet and acknowledging one cost O(1) and do not allocate once the
//! ring has grown to the window. It decides which packets are acknowledged and lost; it never decides how much may be
//! sent, when a probe is due or what a token means.
//!
//! Numbers settle from the oldest up: `open` is the first that may still be outstanding, everything before it is
//! acknowledged, lost or void. Lost packets stay for a while, so that one that arrives after all is noticed.

mod loss;
mod wait;

use core::ops::Range;

use tq_buf::Ranges;
use tq_buf::mem::{Vec, VecDeque};
use tq_cc::SentState;
use tq_time::Instant;
use tq_wire::frame::Ack;

use super::outcome::{Acked, BadAck};
use crate::token::{Token, Tokens};

#[cfg(test)]
mod tests;

/// Packets for which there is room at first.
const FIRST_SLOTS: usize = 1;
/// Left-out numbers remembered below the ring, as ranges.
const OLD_SKIPS: usize = 64;
/// Packets remembered besides eight for each ack-eliciting one in flight. What bounds this is a peer that makes us
/// send ACKs and never acknowledges any of them.
const SPARE: usize = 3072;

/// A packet as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct SentPacket {
    /// When.
    pub(crate) at: Instant,
    /// Bytes of the packet, counted in flight if `in_flight`.
    pub(crate) size: u16,
    /// Whether it makes the peer acknowledge.
    pub(crate) eliciting: bool,
    /// Whether it counts towards the congestion window: ack-eliciting or padded.
    pub(crate) in_flight: bool,
    /// Whether it was sent with ECT(0).
    pub(crate) ect0: bool,
    /// Whether it probes the MTU: its loss is no congestion.
    pub(crate) mtu_probe: bool,
    /// Whether it went to an address that is only probed: it says nothing of the one in use (RFC 9000 §9.4).
    pub(crate) beside: bool,
    /// Whether what it carries went again elsewhere though it was not lost.
    pub(crate) copied: bool,
    /// What it carried.
    pub(crate) tokens: Tokens,
    /// Delivery rate sampler's state when it left.
    pub(crate) rate: SentState,
}

/// What is known about a number. For settled ones, `u32` says how many numbers downward from this one are known to be
/// settled, itself included, so that an ACK repeating what is known skips them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Sent, nothing heard.
    Out,
    /// Declared lost; its tokens are gone.
    Lost,
    /// Acknowledged.
    Acked(u32),
    /// Left out, or of no interest any more.
    Void(u32),
}

#[derive(Debug)]
struct Slot {
    state: State,
    packet: SentPacket,
}

/// Sent packets of one space.
///
/// Call [`Sent::detect_lost`] after every [`Sent::on_ack`] and when [`Sent::loss_time`] has come. Memory is one slot
/// (112 bytes) per number from the oldest outstanding or recently lost one up, and at most
/// [`SPARE`] + 8 × ack-eliciting packets in flight.
#[derive(Debug)]
pub(crate) struct Sent {
    ring: VecDeque<Slot>,
    /// Number of the ring's first slot.
    base: u64,
    /// No number below this one is outstanding.
    open: u64,
    /// Nothing below this one waits to be acknowledged ([`SentPacket::waits`]).
    eldest: u64,
    /// One above the largest number sent.
    next: u64,
    /// Numbers left out: all of those in the ring and some older ones.
    skipped: Ranges,
    bytes_in_flight: u64,
    eliciting_in_flight: u64,
    last_eliciting_at: Option<Instant>,
    largest_acked: Option<u64>,
    /// Packets sent from the first moment up to before the second went another way: they say nothing of this one.
    elsewhere: Option<(Instant, Instant)>,
    /// Numbers of packets that left while the path was silent: they ask whether it lives.
    asking: Range<u64>,
    /// Packets sent before went by a way that others raced: overtaken is not lost.
    raced: Instant,
    loss: loss::Loss,
    /// Steps all ACKs have taken over the ring.
    #[cfg(test)]
    steps: usize,
}

impl Sent {
    /// Nothing sent.
    pub(crate) fn new() -> Self {
        Self {
            ring: VecDeque::new(),
            base: 0,
            open: 0,
            eldest: 0,
            next: 0,
            skipped: Ranges::new(),
            bytes_in_flight: 0,
            eliciting_in_flight: 0,
            last_eliciting_at: None,
            largest_acked: None,
            elsewhere: None,
            asking: 0..0,
            raced: Instant::ZERO,
            loss: loss::Loss::new(),
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Remembers packet `pn`, which is above all recorded before. Numbers passed over were never sent: an ACK of one
    /// is [`BadAck::Skipped`]. Each of them in the ring costs a slot, so they are to be few.
    pub(crate) fn record(&mut self, pn: u64, packet: SentPacket) {
        if pn < self.next {
            debug_assert!(false, "packet numbers ascend");
            return;
        }
        if pn > self.next {
            self.skipped.insert(self.next..pn);
        }
        if self.ring.is_empty() {
            (self.base, self.open, self.next) = (pn, pn, pn);
            self.eldest = pn;
        }
        let at = packet.at;
        if self.eldest == self.next {
            self.eldest = pn;
        }
        while self.next < pn {
            self.ring.push_back(Slot::void(at));
            self.next += 1;
        }
        self.next = pn + 1;
        if packet.in_flight {
            self.bytes_in_flight += u64::from(packet.size);
        }
        if packet.eliciting {
            self.eliciting_in_flight += 1;
            self.last_eliciting_at = Some(at);
        }
        if self.eldest == pn && !packet.waits() {
            self.eldest = self.next;
        }
        if self.ring.capacity() == 0 {
            // a flight of the handshake
            self.ring.reserve_exact(FIRST_SLOTS);
        }
        self.ring.push_back(Slot { state: State::Out, packet });
        if self.ring.len() > self.limit() {
            self.make_room(at);
        }
    }

    /// Forgets old packets that nobody waits for. One that counts is left to loss detection, which is due now.
    fn make_room(&mut self, now: Instant) {
        while self.ring.len() > self.limit()
            && let Some(front) = self.ring.front()
        {
            if front.state == State::Out && front.packet.counts() {
                self.loss.time = Some(now);
                break;
            }
            self.drop_front(1);
        }
    }

    /// Most slots there should be.
    fn limit(&self) -> usize {
        let flight = usize::try_from(self.eliciting_in_flight).unwrap_or(usize::MAX);
        flight.saturating_mul(8).saturating_add(SPARE)
    }

    /// Marks what `ack` acknowledges and adds up in `out` what of that is new. Nothing is changed if the frame is bad.
    ///
    /// Costs O(ranges + newly acknowledged): ranges below the ring end the walk, and runs of numbers known before are
    /// stepped over as one.
    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>, out: &mut Acked) -> Result<(), BadAck> {
        self.check(ack)?;
        self.loss.flight = self.eliciting_in_flight;
        for range in ack.ranges() {
            if *range.end() < self.base {
                break;
            }
            self.ack_range(*range.start(), *range.end(), out);
        }
        if out.spurious > 0 {
            self.loss.be_patient();
        }
        let raised = self.largest_acked.is_none_or(|largest| ack.largest > largest);
        if raised {
            self.largest_acked = Some(ack.largest);
            out.new_largest |= out.largest.is_some_and(|(pn, _)| pn == ack.largest);
        }
        if raised && out.new_largest && out.any_eliciting {
            self.on_first_rtt(now);
        }
        self.settle();
        self.trim(now);
        Ok(())
    }

    /// What was sent between the two moments went to another address: whether it arrives or not says nothing of the
    /// window and the round trip here (RFC 9000 §9.4).
    pub(crate) fn set_elsewhere(&mut self, from: Instant, to: Instant) {
        self.elsewhere = Some((from, to));
    }

    /// The path is silent: what is sent from number `pn` on asks whether it lives. If that is lost, it is not for a full queue.
    pub(crate) fn ask_from(&mut self, pn: u64) {
        self.asking = pn..u64::MAX;
    }

    /// It is silent no longer, or taken to be out: what is sent from number `pn` on is traffic.
    pub(crate) fn ask_until(&mut self, pn: u64) {
        self.asking.end = pn;
    }

    /// What was sent before goes again by another way, and the peer may hear either first. What looks lost then says nothing
    /// of the window.
    pub(crate) fn set_raced(&mut self, before: Instant) {
        self.raced = before;
    }

    // MUST 9000-9.4-1
    fn went_elsewhere(&self, packet: &SentPacket) -> bool {
        packet.beside || self.elsewhere.is_some_and(|(from, to)| from <= packet.at && packet.at < to)
    }

    /// Whether all numbers of `ack` were sent, as far as that is remembered.
    fn check(&self, ack: &Ack<'_>) -> Result<(), BadAck> {
        if ack.largest >= self.next {
            return Err(BadAck::Unsent);
        }
        let mut skips = self.skipped.iter().rev();
        let mut skip = skips.next();
        for range in ack.ranges() {
            while let Some(above) = &skip
                && above.start > *range.end()
            {
                skip = skips.next();
            }
            match &skip {
                Some(skip) if skip.end > *range.start() => return Err(BadAck::Skipped),
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Acknowledges `lo..=hi`: `hi` was sent and is not below the ring. Runs from the newest down, packets within a
    /// run from the oldest up, which is the order stream buffers like.
    fn ack_range(&mut self, lo: u64, hi: u64, out: &mut Acked) {
        let last = self.ring.len() - 1;
        let top = usize::try_from(hi - self.base).unwrap_or(last).min(last);
        let bottom = usize::try_from(lo.saturating_sub(self.base)).unwrap_or(last);
        // `end` is one above what is still to be looked at.
        let mut end = top + 1;
        while end > bottom {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            if let Some(known) = self.known(end - 1) {
                end = end.saturating_sub(known as usize);
                continue;
            }
            let mut start = end - 1;
            while start > bottom && self.ring[start - 1].state.settled().is_none() {
                start -= 1;
            }
            for at in start..end {
                self.ack_one(at, (at - start) as u32 + 1, out);
            }
            end = start;
        }
        self.ring[top].state.settle_run((top + 1 - end) as u32);
    }

    /// How far down the slot's number and those below are known to be settled; `None` if it is not. Takes over what
    /// the slot at the far end knows, so that no pattern of ACKs makes many walks long.
    fn known(&mut self, at: usize) -> Option<u32> {
        let run = self.ring[at].state.settled()?;
        let beyond = at.checked_sub(run as usize).and_then(|below| self.ring[below].state.settled());
        if let Some(more) = beyond {
            // What lies below the ring does not count, or the sum would grow for as long as the connection lives.
            let known = run.saturating_add(more).min(at as u32 + 1);
            self.ring[at].state.settle_run(known);
        }
        Some(run)
    }

    /// Acknowledges the packet in a slot that is not settled; `run` of the numbers downward from it are then settled.
    fn ack_one(&mut self, at: usize, run: u32, out: &mut Acked) {
        let pn = self.base + at as u64;
        let here = !self.went_elsewhere(&self.ring[at].packet);
        let slot = &mut self.ring[at];
        let was = core::mem::replace(&mut slot.state, State::Acked(run));
        let packet = &mut slot.packet;
        if out.largest.is_none_or(|(largest, _)| pn > largest) {
            out.largest = Some((pn, packet.at));
        }
        if here && packet.in_flight && out.rates.is_none_or(|(_, at)| packet.at >= at) {
            out.rates = Some((packet.rate, packet.at));
        }
        out.any_eliciting |= here && packet.eliciting;
        out.ect0 += u64::from(here && packet.ect0);
        if here && packet.mtu_probe {
            out.probe_acked = out.probe_acked.max(Some(packet.size));
        }
        if was == State::Lost {
            out.spurious += 1;
            self.loss.on_spurious(pn, self.largest_acked);
            return;
        }
        out.packets += 1;
        out.tokens.extend(packet.tokens.drain(..));
        if packet.in_flight {
            let size = u64::from(packet.size);
            out.bytes += if here { size } else { 0 };
            self.bytes_in_flight -= size;
        }
        self.eliciting_in_flight -= u64::from(packet.eliciting);
    }

    /// Moves `open` over what is settled.
    fn settle(&mut self) {
        while let Some(slot) = self.ring.get(self.index(self.open)) {
            match slot.state {
                State::Out => break,
                State::Acked(_) => self.loss.run = None,
                State::Lost | State::Void(_) => {}
            }
            self.open += 1;
        }
        self.eldest = self.eldest.max(self.open);
        while self.ring.get(self.index(self.eldest)).is_some_and(|slot| !slot.waits()) {
            self.eldest += 1;
        }
    }

    /// Drops settled packets from the ring's front, and lost ones nobody will hear of again.
    fn trim(&mut self, now: Instant) {
        let settled = self.index(self.open);
        let surplus = self.ring.len().saturating_sub(self.limit());
        let keep = self.loss.keep;
        let gone = self.ring.iter().take(settled).enumerate().take_while(|(at, slot)| {
            slot.state != State::Lost || *at < surplus || slot.packet.at + keep <= now
        });
        let gone = gone.count();
        self.drop_front(gone);
    }

    /// Drops `count` slots that hold nothing in flight.
    fn drop_front(&mut self, count: usize) {
        self.ring.drain(..count);
        self.base += count as u64;
        self.open = self.open.max(self.base);
        self.eldest = self.eldest.max(self.base);
        while self.skipped.len() > OLD_SKIPS && self.skipped.first().is_some_and(|skip| skip.end <= self.base)
        {
            self.skipped.pop_first();
        }
    }

    /// Place of a number that is not below the ring.
    fn index(&self, pn: u64) -> usize {
        usize::try_from(pn - self.base).unwrap_or(usize::MAX)
    }

    /// When [`Sent::detect_lost`] is to be called if nothing happens before.
    pub(crate) fn loss_time(&self) -> Option<Instant> {
        self.loss.time
    }

    /// Bytes of packets that count towards the congestion window.
    pub(crate) fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    /// Ack-eliciting packets outstanding.
    pub(crate) fn eliciting_in_flight(&self) -> u64 {
        self.eliciting_in_flight
    }

    /// When the last ack-eliciting packet was sent.
    pub(crate) fn last_eliciting_at(&self) -> Option<Instant> {
        self.last_eliciting_at
    }

    /// Largest number acknowledged.
    pub(crate) fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    /// Hands out copies of the tokens of the two oldest outstanding ack-eliciting packets, MTU probes aside, so that
    /// a probe can carry them again (RFC 9002 §6.2.4). The packets stay in flight.
    pub(crate) fn probe(&mut self, out: &mut Vec<Token>) {
        let from = self.index(self.open);
        let wanted =
            |slot: &&Slot| slot.state == State::Out && slot.packet.eliciting && !slot.packet.mtu_probe;
        for slot in self.ring.iter().skip(from).filter(wanted).take(2) {
            out.extend(slot.packet.tokens.iter().cloned());
        }
    }

    /// Takes everything out of flight without calling it lost, and hands the tokens out to be sent anew: after a
    /// Retry, or when 0-RTT was rejected. Late acknowledgements of these packets mean nothing.
    pub(crate) fn all_tokens_lost(&mut self, out: &mut Vec<Token>) {
        for slot in &mut self.ring {
            if slot.state == State::Out {
                out.extend(slot.packet.tokens.drain(..));
            }
        }
        self.discard();
    }

    /// Forgets all packets, because their keys are gone. Returns the bytes that were in flight.
    pub(crate) fn discard(&mut self) -> u64 {
        self.drop_front(self.ring.len());
        self.ring = VecDeque::new();
        self.eliciting_in_flight = 0;
        self.last_eliciting_at = None;
        self.loss.time = None;
        self.loss.run = None;
        core::mem::take(&mut self.bytes_in_flight)
    }
}

impl State {
    /// For numbers about which nothing new can be heard: how many there are at least, from here down.
    fn settled(self) -> Option<u32> {
        match self {
            Self::Acked(run) | Self::Void(run) => Some(run),
            Self::Out | Self::Lost => None,
        }
    }

    /// Remembers how many there are.
    fn settle_run(&mut self, known: u32) {
        if let Self::Acked(run) | Self::Void(run) = self {
            *run = known;
        }
    }
}

impl Slot {
    /// A number that was left out.
    fn void(at: Instant) -> Self {
        let packet = SentPacket {
            at,
            size: 0,
            eliciting: false,
            in_flight: false,
            ect0: false,
            mtu_probe: false,
            beside: false,
            copied: false,
            tokens: Tokens::new(),
            rate: SentState::default(),
        };
        Self { state: State::Void(1), packet }
    }
}

impl SentPacket {
    /// Whether its loss matters to anybody.
    fn counts(&self) -> bool {
        self.eliciting || self.in_flight
    }

    /// Whether silence after it says something of the path: the peer has to answer, and it is no probe for size.
    fn waits(&self) -> bool {
        self.eliciting && !self.mtu_probe && !self.beside
    }
}
