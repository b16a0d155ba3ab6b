//! Dice: which datagrams are lost or changed, with a bound on how many in a row.
//!
//! Decides by a seed and a stream number; knows nothing of sockets or time.

use super::{CORRUPTIBLE, Impairment};

/// One client's fate in one direction.
#[derive(Debug)]
pub(super) struct Fate {
    impairment: Impairment,
    dice: u64,
    lost_in_a_row: u32,
    corrupted_in_a_row: u32,
}

/// What happens to one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Lose,
    Corrupt,
}

impl Fate {
    pub(super) fn new(impairment: Impairment, stream: u64) -> Self {
        let dice = impairment.seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        Self { impairment, dice, lost_in_a_row: 0, corrupted_in_a_row: 0 }
    }

    /// Decides, and changes the byte if that is the decision.
    pub(super) fn decide(&mut self, datagram: &mut [u8]) -> Verdict {
        // Always three throws, so that one decision does not shift the next.
        let (loss, corrupt, place) = (self.throw(), self.throw(), self.next());
        let Impairment { loss: losses, corrupt: corruptions, burst, .. } = self.impairment;
        let lose = loss < losses && self.lost_in_a_row < burst;
        self.lost_in_a_row = if lose { self.lost_in_a_row + 1 } else { 0 };
        if lose {
            return Verdict::Lose;
        }
        let corrupt = corrupt < corruptions
            && self.corrupted_in_a_row < burst
            && !datagram.is_empty()
            && !is_version_negotiation(datagram);
        self.corrupted_in_a_row = if corrupt { self.corrupted_in_a_row + 1 } else { 0 };
        if !corrupt {
            return Verdict::Pass;
        }
        let index = (place >> 8) as usize % datagram.len().min(CORRUPTIBLE);
        datagram[index] ^= (place as u8).max(1);
        Verdict::Corrupt
    }

    /// In [0, 1).
    fn throw(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A long header with version 0 (RFC 8999 §6).
fn is_version_negotiation(datagram: &[u8]) -> bool {
    datagram.len() >= 5 && datagram[0] & 0x80 != 0 && datagram[1..5] == [0; 4]
}
