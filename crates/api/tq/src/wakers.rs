//! Who waits for what on a stream, and what became of it.
//!
//! One entry per stream some handle lives for. Never asks the core: events come in, wakers go out.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::task::Waker;

use tq_wire::{Side, StreamId};

/// How a sent stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The peer has all of it.
    Acknowledged,
    /// The peer wants no more.
    Stopped(u64),
}

/// What one task may wait for on a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Data or the end.
    Read,
    /// Room to write.
    Write,
    /// The end of the sending half.
    Outcome,
}

/// Which handles of a stream live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halves {
    pub(crate) send: bool,
    pub(crate) recv: bool,
}

#[derive(Debug)]
struct Entry {
    halves: Halves,
    waiting: [Option<Waker>; 3],
    outcome: Option<Outcome>,
}

/// The streams of one connection.
#[derive(Debug)]
pub(crate) struct Wakers {
    side: Side,
    entries: HashMap<StreamId, Entry, IdKey>,
    /// Peer's streams the application has taken, by direction.
    accepted: [u64; 2],
}

impl Wakers {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, entries: HashMap::with_hasher(IdKey::new()), accepted: [0; 2] }
    }

    /// A stream was opened or accepted and has these handles now.
    pub(crate) fn register(&mut self, id: StreamId, halves: Halves) {
        if id.initiator() != self.side {
            let accepted = &mut self.accepted[id.dir() as usize];
            *accepted = (*accepted).max(id.index() + 1);
        }
        self.entry(id).halves = halves;
    }

    /// A handle is gone; without any, so is the entry.
    pub(crate) fn release(&mut self, id: StreamId, gone: Halves) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.halves.send &= !gone.send;
        entry.halves.recv &= !gone.recv;
        if !entry.halves.send && !entry.halves.recv {
            self.entries.remove(&id);
        }
    }

    /// A task waits; it replaces one that waited for the same.
    pub(crate) fn park(&mut self, id: StreamId, wait: Wait, waker: &Waker) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let place = &mut entry.waiting[wait as usize];
            if !place.as_ref().is_some_and(|old| old.will_wake(waker)) {
                *place = Some(waker.clone());
            }
        }
    }

    /// Who waits for this, if anybody.
    pub(crate) fn take(&mut self, id: StreamId, wait: Wait) -> Option<Waker> {
        self.entries.get_mut(&id)?.waiting[wait as usize].take()
    }

    /// Takes note of how a stream ended, also for a peer's stream that nobody has accepted yet.
    pub(crate) fn settle(&mut self, id: StreamId, outcome: Outcome) {
        let untaken = id.initiator() != self.side && id.index() >= self.accepted[id.dir() as usize];
        if untaken || self.entries.contains_key(&id) {
            // STOP_SENDING may cross the acknowledgement of the last byte: the first word counts.
            self.entry(id).outcome.get_or_insert(outcome);
        }
    }

    pub(crate) fn outcome(&self, id: StreamId) -> Option<Outcome> {
        self.entries.get(&id)?.outcome
    }

    /// Everybody who waits for anything.
    pub(crate) fn take_all(&mut self, out: &mut impl Extend<Waker>) {
        let waiting = self.entries.values_mut().flat_map(|entry| &mut entry.waiting);
        out.extend(waiting.filter_map(Option::take));
    }

    fn entry(&mut self, id: StreamId) -> &mut Entry {
        self.entries.entry(id).or_insert_with(|| Entry {
            halves: Halves { send: false, recv: false },
            waiting: [None, None, None],
            outcome: None,
        })
    }
}

/// Hashes ids with the secret of one connection: a peer chooses which of its streams stay open, and so which ids are here
/// at a time.
#[derive(Clone, Debug)]
struct IdKey(u64);

impl IdKey {
    /// Drawn from the process's random state.
    fn new() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }
}

impl BuildHasher for IdKey {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { key: self.0, hash: 0 }
    }
}

struct IdHasher {
    key: u64,
    hash: u64,
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.hash ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // Both halves of the product, so that every bit of the id reaches the bits that choose a place.
        let wide = u128::from(id ^ self.key) * u128::from(self.key | 1);
        self.hash = wide as u64 ^ (wide >> 64) as u64;
    }
}

#[cfg(test)]
mod tests;
