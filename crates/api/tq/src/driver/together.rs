//! Small datagrams of several connections to one peer, sent with one system call.
//!
//! Most of what a handshake costs the kernel is paid per call, and a burst of handshakes between two hosts is made of
//! datagrams of equal size. Decides which datagrams go together, never how long one waits: the driver lets them go before
//! it does anything else.

use tq_quic::Transmit;
use tq_udp::MAX_TRAIN;

/// The longest datagram that waits for others: what every path must carry, so that none can turn out too big.
const LONGEST: usize = 1200;

/// Datagrams that leave in one train: all of one size, but the last may be shorter.
#[derive(Default)]
pub(super) struct Together {
    /// Where to, and the size of each; `len` is that of all.
    train: Option<Transmit>,
    bytes: Vec<u8>,
    count: usize,
    /// The last is shorter: nothing may follow it.
    full: bool,
}

impl Together {
    /// Whether a datagram is one that may wait for others.
    pub(super) fn suits(transmit: &Transmit) -> bool {
        transmit.segment.is_none() && transmit.len <= LONGEST
    }

    /// Takes a datagram in; false if it does not go with those that are here.
    pub(super) fn join(&mut self, transmit: &Transmit, contents: &[u8], max_segments: usize) -> bool {
        let Some(train) = &mut self.train else {
            self.train = Some(*transmit);
            self.bytes.extend_from_slice(contents);
            (self.count, self.full) = (1, false);
            return true;
        };
        let segment = train.segment.unwrap_or(train.len);
        let same = (train.remote, train.local_ip, train.socket, train.ecn)
            == (transmit.remote, transmit.local_ip, transmit.socket, transmit.ecn);
        let room = !self.full && self.count < max_segments && train.len + contents.len() <= MAX_TRAIN;
        if !same || !room || contents.len() > segment || contents.is_empty() {
            return false;
        }
        self.bytes.extend_from_slice(contents);
        self.count += 1;
        self.full = contents.len() < segment;
        (train.segment, train.len) = (Some(segment), self.bytes.len());
        true
    }

    /// What is to leave.
    pub(super) fn train(&self) -> Option<(Transmit, &[u8])> {
        self.train.map(|train| (train, &self.bytes[..]))
    }

    /// So many bytes have left, whole datagrams; the rest stays.
    pub(super) fn left(&mut self, sent: usize) {
        self.bytes.drain(..sent.min(self.bytes.len()));
        match &mut self.train {
            Some(train) if !self.bytes.is_empty() => train.len = self.bytes.len(),
            train => *train = None,
        }
    }
}

#[cfg(test)]
mod tests;
