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

    /// When the newest waiting packet left that `matters`, and its bytes.
    pub(crate) fn newest_waiting(&self, matters: impl Fn(&SentPacket) -> bool) -> Option<(Instant, u64)> {
        let slots = self.ring.iter().skip(self.index(self.eldest)).rev();
        let slot = slots.into_iter().find(|slot| slot.waits() && matters(&slot.packet))?;
        Some((slot.packet.at, u64::from(slot.packet.size)))
    }

    /// Hands out copies of the tokens of packet `pn` if it is outstanding: another path takes them. It stays in flight.
    pub(crate) fn copy_tokens(&mut self, pn: u64, out: &mut Vec<Token>) {
        let slot = pn.checked_sub(self.base).and_then(|at| self.ring.get_mut(usize::try_from(at).ok()?));
        if let Some(slot) = slot.filter(|slot| slot.state == State::Out) {
            out.extend(slot.packet.tokens.iter().cloned());
            slot.packet.copied = true;
        }
    }

    /// Hands out copies of the tokens that `matters` says yes to, of packets outstanding from `from` on.
    pub(crate) fn tokens_from(&self, from: u64, matters: impl Fn(&Token) -> bool, out: &mut Vec<Token>) {
        let slots = self.ring.iter().skip(self.index(from.max(self.base)));
        let tokens = slots.filter(|slot| slot.state == State::Out).flat_map(|slot| slot.packet.tokens.iter());
        out.extend(tokens.filter(|token| matters(token)).cloned());
    }

    /// Takes what is outstanding below `below` out of flight. Tokens are handed out to go elsewhere, unless copies of them
    /// did before. Packets are remembered like lost ones: what arrives after all is spurious.
    pub(crate) fn take_out(&mut self, below: u64, out: &mut Vec<Token>) -> TakenOut {
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
            if !packet.copied {
                out.extend(packet.tokens.drain(..));
            }
            packet.tokens.clear();
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
