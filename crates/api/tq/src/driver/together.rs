//! Small datagrams of several connections to one peer, sent with one system call.
//!
//! Most of what a handshake costs the kernel is paid per call, and a burst of handshakes between two hosts is made of
//! datagrams of a few sizes: a train for each, of which two may wait. Decides which datagrams go together, never how long
//! one waits: the driver lets them go before it does anything else. Those of one connection stay in order.

use tq_quic::Transmit;
use tq_udp::MAX_TRAIN;

/// The longest datagram that waits for others: what every path must carry, so that none can turn out too big.
const LONGEST: usize = 1200;

/// Trains that may wait at a time.
const TRAINS: usize = 2;

/// Datagrams that leave in trains.
#[derive(Default)]
pub(super) struct Together {
    /// In the order in which they leave; those in use come first.
    trains: [Train; TRAINS],
}

/// Datagrams that leave in one train: all of one size, but the last may be shorter.
#[derive(Default)]
struct Train {
    /// Where to, and the size of each; `len` is that of all. None: it is empty.
    transmit: Option<Transmit>,
    bytes: Vec<u8>,
    /// Whose each is.
    owners: Vec<u32>,
    /// The last is shorter: nothing may follow it.
    full: bool,
}

impl Together {
    /// Whether a datagram is one that may wait for others.
    pub(super) fn suits(transmit: &Transmit) -> bool {
        transmit.segment.is_none() && transmit.len <= LONGEST
    }

    /// Takes a datagram of the connection `owner` in; false if it does not go with those that are here.
    pub(super) fn join(
        &mut self,
        transmit: &Transmit,
        contents: &[u8],
        owner: u32,
        max_segments: usize,
    ) -> bool {
        if contents.is_empty() {
            return false;
        }
        // A later train leaves later, so what the connection has in one must not be overtaken by an earlier train.
        let least = self.trains.iter().rposition(|train| train.owners.contains(&owner)).unwrap_or(0);
        let trains = &mut self.trains[least..];
        // A shorter one ends a train only if there is no other place for it.
        let at = trains.iter().position(|train| train.segment() == Some(contents.len()));
        let at = at.or_else(|| trains.iter().position(|train| train.transmit.is_none()));
        let join = |train: &mut Train| train.join(transmit, contents, owner, max_segments);
        at.is_some_and(|at| join(&mut trains[at])) || trains.iter_mut().any(join)
    }

    /// Nothing more comes: a single datagram goes behind a train of longer ones, as its last.
    pub(super) fn close(&mut self, max_segments: usize) {
        let [first, second] = &mut self.trains;
        let behind = first.segment() < second.segment();
        let (longer, single) = if behind { (second, first) } else { (first, second) };
        let (Some(transmit), &[owner]) = (single.transmit, &single.owners[..]) else { return };
        let in_order = !behind || !longer.owners.contains(&owner);
        if in_order && longer.transmit.is_some() && longer.join(&transmit, &single.bytes, owner, max_segments)
        {
            single.clear();
            if behind {
                self.trains.rotate_left(1);
            }
        }
    }

    /// What is to leave next.
    pub(super) fn train(&self) -> Option<(Transmit, &[u8])> {
        let first = &self.trains[0];
        first.transmit.map(|transmit| (transmit, &first.bytes[..]))
    }

    /// So many bytes of it have left, whole datagrams; the rest stays.
    pub(super) fn left(&mut self, sent: usize) {
        let first = &mut self.trains[0];
        first.left(sent);
        if first.transmit.is_none() {
            self.trains.rotate_left(1);
        }
    }
}

impl Train {
    /// Bytes of each datagram but the last.
    fn segment(&self) -> Option<usize> {
        self.transmit.map(|train| train.segment.unwrap_or(train.len))
    }

    fn join(&mut self, transmit: &Transmit, contents: &[u8], owner: u32, max_segments: usize) -> bool {
        let Some(train) = &mut self.transmit else {
            self.transmit = Some(*transmit);
            self.bytes.extend_from_slice(contents);
            self.owners.push(owner);
            self.full = false;
            return true;
        };
        let segment = train.segment.unwrap_or(train.len);
        let same = (train.remote, train.local_ip, train.socket, train.ecn)
            == (transmit.remote, transmit.local_ip, transmit.socket, transmit.ecn);
        let room = !self.full && self.owners.len() < max_segments && train.len + contents.len() <= MAX_TRAIN;
        if !same || !room || contents.len() > segment {
            return false;
        }
        self.bytes.extend_from_slice(contents);
        self.owners.push(owner);
        self.full = contents.len() < segment;
        (train.segment, train.len) = (Some(segment), self.bytes.len());
        true
    }

    fn left(&mut self, sent: usize) {
        let Some(train) = &mut self.transmit else { return };
        let sent = sent.min(self.bytes.len());
        let datagrams = sent.div_ceil(train.segment.unwrap_or(train.len).max(1));
        self.bytes.drain(..sent);
        self.owners.drain(..datagrams.min(self.owners.len()));
        train.len = self.bytes.len();
        if self.bytes.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.transmit = None;
        self.bytes.clear();
        self.owners.clear();
    }
}

#[cfg(test)]
mod tests;
