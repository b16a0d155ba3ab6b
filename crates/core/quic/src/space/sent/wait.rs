//! What is outstanding when a path falls silent: how old it is, what it carries, and how it leaves without being called
//! lost. An outage is not congestion: nothing here tells a controller, and what arrives after all is recognised.

use tq_buf::mem::Vec;
use tq_time::Instant;

use super::{Sent, SentPacket, Slot, State};
use crate::token::Token;

impl Slot {
    /// Whether the peer still owes an answer that says something of the path.
    pub(super) fn waits(&self) -> bool {
        self.state == State::Out && self.packet.waits()
    }
}

/// Packets taken out of flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenOut {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// When the newest was sent.
    pub(crate) newest: Option<Instant>,
}

impl Sent {
    /// When the oldest packet was sent that the peer should have acknowledged, probes for size aside.
    pub(crate) fn oldest_waiting(&self) -> Option<Instant> {
        self.ring.get(self.index(self.eldest)).filter(|slot| slot.waits()).map(|slot| slot.packet.at)
    }

    /// The first waiting packet numbered `from` or up: number, sending time, bytes. Packets that `matters` says no to are
    /// passed over.
    pub(crate) fn next_waiting(
        &self,
        from: u64,
        matters: impl Fn(&SentPacket) -> bool,
    ) -> Option<(u64, Instant, u64)> {
        let from = from.max(self.eldest);
        let slots = self.ring.iter().enumerate().skip(self.index(from));
        let (at, slot) = slots.into_iter().find(|(_, slot)| slot.waits() && matters(&slot.packet))?;
        Some((self.base + at as u64, slot.packet.at, u64::from(slot.packet.size)))
    }

    /// Hands out copies of the tokens of packet `pn` if it is outstanding: another path takes them. It stays in flight.
    pub(crate) fn copy_tokens(&self, pn: u64, out: &mut Vec<Token>) {
        let slot = pn.checked_sub(self.base).and_then(|at| self.ring.get(usize::try_from(at).ok()?));
        if let Some(slot) = slot.filter(|slot| slot.state == State::Out) {
            out.extend(slot.packet.tokens.iter().cloned());
        }
    }

    /// Takes what is outstanding below `below` out of flight. Tokens of packets numbered `from` and up are handed out to go
    /// elsewhere; those of the others went before. Packets are remembered like lost ones: what arrives after all is
    /// spurious.
    pub(crate) fn take_out(&mut self, from: u64, below: u64, out: &mut Vec<Token>) -> TakenOut {
        let mut taken = TakenOut::default();
        let first = self.index(self.open);
        let base = self.base;
        for (at, slot) in self.ring.iter_mut().enumerate().skip(first) {
            let pn = base + at as u64;
            if pn >= below {
                break;
            }
            if slot.state != State::Out {
                continue;
            }
            let packet = &mut slot.packet;
            if pn >= from {
                out.extend(packet.tokens.drain(..));
            } else {
                packet.tokens.clear();
            }
            slot.state = if packet.counts() { State::Lost } else { State::Void(1) };
            taken.packets += u64::from(packet.counts());
            if packet.in_flight {
                taken.bytes += u64::from(packet.size);
                taken.newest = Some(packet.at);
            }
            self.eliciting_in_flight -= u64::from(packet.eliciting);
        }
        self.bytes_in_flight -= taken.bytes;
        self.loss.time = None;
        self.loss.run = None;
        self.settle();
        taken
    }
}
