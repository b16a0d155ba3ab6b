//! Which questions are open and which were answered, without I/O.
//!
//! Decides what a packet is: a question, one that is being answered, one whose answer has not arrived, or one too many.
//! What is too many is dropped; its client sends it again when there may be room. Times count from any fixed moment.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{Syn, Waiting, packet};

#[cfg(test)]
mod tests;

/// How many questions may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub pending: usize,
    /// Of one client.
    pub per_client: usize,
    /// How long one is open, if nobody answers it.
    pub patience: Duration,
}

impl Default for Limits {
    /// 4096, 1024, and longer than the connects of most systems last.
    fn default() -> Self {
        Self { pending: 4096, per_client: 1024, patience: Duration::from_secs(150) }
    }
}

/// For so long a packet that is sent again goes in without a question. By then its client has an answer, or gives up.
const MEMORY: Duration = Duration::from_secs(8);

/// What came, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions.
    pub asked: u64,
    /// Answered by letting them in.
    pub admitted: u64,
    /// Answered otherwise.
    pub refused: u64,
    /// The same question again.
    pub repeated: u64,
    /// Dropped: too many in all.
    pub full: u64,
    /// Dropped: too many of one client.
    pub greedy: u64,
    /// Given up: nobody answered.
    pub expired: u64,
    /// Not first packets of TCP, or broken ones.
    pub other: u64,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask the far side.
    Ask(Syn),
    /// Its answer is known: let it in.
    LetIn,
    /// Nothing.
    Drop,
}

/// Questions and answers.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    /// The newest packet of each question.
    pending: Waiting<Vec<u8>>,
    admitted: Waiting<()>,
    clients: HashMap<IpAddr, usize>,
    counts: Counts,
}

impl Table {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: Waiting::new(limits.pending, limits.patience),
            admitted: Waiting::new(limits.pending, MEMORY),
            clients: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a packet that came out of the TUN interface.
    pub fn take(&mut self, bytes: &[u8], now: Duration) -> Verdict {
        self.expire(now);
        let Some(syn) = packet::read(bytes) else {
            self.counts.other += 1;
            return Verdict::Drop;
        };
        if let Some(known) = self.pending.peek(&syn) {
            // The client may have begun anew from the same port; the newest is the one to answer.
            bytes.clone_into(known);
            self.counts.repeated += 1;
            return Verdict::Drop;
        }
        if self.admitted.peek(&syn).is_some() {
            self.counts.repeated += 1;
            return Verdict::LetIn;
        }
        if self.pending.len() >= self.limits.pending {
            self.counts.full += 1;
            return Verdict::Drop;
        }
        let of_client = self.clients.entry(syn.client.ip()).or_default();
        if *of_client >= self.limits.per_client.max(1) {
            self.counts.greedy += 1;
            return Verdict::Drop;
        }
        *of_client += 1;
        self.pending.insert(syn, bytes.to_vec(), now);
        self.counts.asked += 1;
        Verdict::Ask(syn)
    }

    /// The packet to let in, if the question is still open.
    pub fn admit(&mut self, syn: &Syn, now: Duration) -> Option<Vec<u8>> {
        let packet = self.close(syn)?;
        self.admitted.insert(*syn, (), now);
        self.counts.admitted += 1;
        Some(packet)
    }

    /// The packet to answer, if the question is still open.
    pub fn refuse(&mut self, syn: &Syn) -> Option<Vec<u8>> {
        let packet = self.close(syn)?;
        self.counts.refused += 1;
        Some(packet)
    }

    /// The connection has come: its client knows the answer, and the next packet is another question.
    pub fn arrived(&mut self, syn: &Syn) {
        self.admitted.take(syn);
    }

    /// What came, and what became of it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Questions without an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn close(&mut self, syn: &Syn) -> Option<Vec<u8>> {
        let packet = self.pending.take(syn)?;
        self.leave(syn);
        Some(packet)
    }

    fn leave(&mut self, syn: &Syn) {
        if let Some(count) = self.clients.get_mut(&syn.client.ip()) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&syn.client.ip());
            }
        }
    }

    fn expire(&mut self, now: Duration) {
        while let Some((syn, _)) = self.pending.expire(now) {
            self.leave(&syn);
            self.counts.expired += 1;
        }
        while self.admitted.expire(now).is_some() {}
    }
}
