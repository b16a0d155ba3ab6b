//! Addresses beside the one in use: a client probes one before it moves there, a server answers probes and validates
//! before it follows (RFC 9000 §8.2, §9.1, §9.6.2). Each has a connection id, a validation and a byte budget of its own.
//! Never carries anything but challenges and responses.

use tq_time::Instant;
use tq_wire::PathId;

use super::{Connection, Event, PathCids, RecvMeta};
use crate::path::{EcnPath, Tuple, Validation};

/// Addresses remembered; the oldest makes room.
const MAX_ASIDES: usize = 2;
/// Three times this may go to an address that has not answered: ten challenges. A server that names somebody else as its
/// preferred address gets no more out of a client (RFC 9000 §21.5.3).
const CREDIT: usize = 4000;

/// One of them.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) tuple: Tuple,
    pub(crate) validation: Validation,
    /// Number of the reserved id of the peer.
    seq: u64,
    /// Off: marks are validated once there is traffic.
    ecn: EcnPath,
    /// Twice what came from there, half of which answers may take.
    bytes: u64,
    /// The client uses it, and it is to be followed there once it has answered.
    wanted: bool,
    until: Instant,
}

impl Aside {
    pub(crate) fn on_received(&mut self, len: usize) {
        self.validation.on_received(len);
        self.bytes += 2 * len as u64;
    }

    /// Whether a challenge or a response waits.
    pub(crate) fn wants(&self) -> bool {
        self.validation.wants_challenge() || self.validation.answer_budget(self.bytes) > 0
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.validation.deadline().map_or(self.until, |at| at.min(self.until))
    }
}

impl Connection {
    /// Ids of the one path that asides belong to.
    fn first_cids(&mut self) -> Option<&mut PathCids> {
        self.cids.iter_mut().find(|ids| ids.path == PathId::ZERO)
    }

    /// Begins to probe `tuple`; `None` if the peer has given no id for it (RFC 9000 §9.5).
    // MUST 9000-9.5-1, 9000-9.5-2, 9000-9.6.2-3
    pub(super) fn probe_aside(&mut self, now: Instant, tuple: Tuple) -> Option<usize> {
        let seq = self.first_cids()?.peer.reserve()?;
        if self.asides.len() == MAX_ASIDES {
            self.drop_aside(0);
        }
        let patience = self.three_pto().max(core::time::Duration::from_secs(3));
        let mut validation = Validation::new();
        validation.challenge(now, None, patience);
        let ecn = EcnPath::new(false);
        let until = now + patience;
        self.asides.push(Aside { tuple, validation, seq, ecn, bytes: 0, wanted: false, until });
        Some(self.asides.len() - 1)
    }

    /// As a client that means to move to `tuple`, and to nowhere else.
    // MUST 9000-9.6.2-1, 9000-21.5.3-1
    pub(super) fn probe_before_moving(&mut self, now: Instant, tuple: Tuple) -> bool {
        while !self.asides.is_empty() {
            self.drop_aside(0);
        }
        let Some(at) = self.probe_aside(now, tuple) else { return false };
        self.asides[at].validation.on_received(CREDIT);
        self.asides[at].wanted = true;
        true
    }

    /// The aside a datagram came from. A server begins to remember it, and challenges in turn.
    pub(super) fn aside_for(&mut self, now: Instant, meta: &RecvMeta) -> Option<usize> {
        let known = self.asides.iter().position(|aside| aside.tuple.is_of(meta));
        if known.is_some() || self.side.is_client() || !self.hs.confirmed {
            return known;
        }
        let at = self.probe_aside(now, Tuple::of(meta))?;
        let heard = usize::try_from(self.heard).unwrap_or(0);
        self.asides[at].on_received(heard);
        Some(at)
    }

    /// The way a client seems to have left is asked whether somebody is still there (RFC 9000 §9.3.3). Packets that
    /// follow from there lead back.
    // MUST 9000-9.3.3-1
    pub(super) fn probe_behind(&mut self, now: Instant, tuple: Tuple) {
        if let Some(at) = self.probe_aside(now, tuple) {
            // it was proven
            self.asides[at].validation.on_received(CREDIT);
        }
    }

    /// An address is in use again, and probed no more.
    pub(super) fn forget_aside(&mut self, tuple: &Tuple) {
        if let Some(at) = self.asides.iter().position(|aside| aside.tuple == *tuple) {
            self.drop_aside(at);
        }
    }

    fn drop_aside(&mut self, at: usize) {
        let aside = self.asides.remove(at);
        if let Some(ids) = self.first_cids() {
            ids.peer.release(aside.seq);
        }
    }

    /// Time passed.
    // MUST 9000-9.6.1-1
    pub(super) fn tend_asides(&mut self, now: Instant) {
        let mut at = 0;
        while let Some(aside) = self.asides.get_mut(at) {
            let due = aside.validation.deadline().is_some_and(|at| at <= now);
            if !(due && aside.validation.on_deadline(now)) && now < aside.until {
                at += 1;
                continue;
            }
            self.drop_aside(at);
            if self.side.is_client() {
                self.events.push_back(Event::MoveFailed);
            }
        }
    }

    /// Puts an aside in the place of the first path, or back. `false` if it has no id any more.
    pub(crate) fn exchange_aside(&mut self, at: usize) -> bool {
        let seq = self.asides[at].seq;
        let Some(peer) = self.first_cids().map(|ids| &mut ids.peer) else { return false };
        let Some(other) = peer.exchange(seq).or_else(|| {
            // the peer wanted the id back
            let seq = peer.reserve()?;
            peer.exchange(seq)
        }) else {
            return false;
        };
        let (aside, path) = (&mut self.asides[at], &mut self.paths[0]);
        aside.seq = other;
        core::mem::swap(&mut aside.tuple, &mut path.tuple);
        core::mem::swap(&mut aside.validation, &mut path.validation);
        core::mem::swap(&mut aside.ecn, &mut path.ecn);
        core::mem::swap(&mut aside.bytes, &mut path.bytes_received);
        true
    }

    /// Path `ix` has just moved to where an aside was: what that has learnt holds. Says whether its id does as well.
    pub(super) fn adopt_aside(&mut self, ix: usize) -> bool {
        let (tuple, first) = (self.paths[ix].tuple, self.paths[ix].id == PathId::ZERO);
        let Some(at) = self.asides.iter().position(|aside| first && aside.tuple == tuple) else {
            return false;
        };
        let aside = self.asides.remove(at);
        if aside.validation.is_proven() {
            self.paths[ix].fallback = None;
        }
        self.paths[ix].validation = aside.validation;
        self.first_cids().is_some_and(|ids| ids.peer.adopt(aside.seq))
    }

    /// An aside answered: whoever waited for that moves.
    // MUST 9000-9.6.2-2, 9000-9.6.3-1
    pub(super) fn on_aside_proven(&mut self, now: Instant, at: usize) {
        let Aside { tuple, wanted, .. } = self.asides[at];
        if !wanted {
            return;
        }
        let former = self.paths[0].tuple.remote;
        self.rebind(now, tuple, 0, 0);
        if self.side.is_client() {
            self.former = (former != tuple.remote).then(|| (former, now + self.three_pto()));
            self.events.push_back(Event::Moved { remote: tuple.remote, socket: tuple.socket });
        }
    }

    /// The newest packet of a client came by another way. To another address of its own it is followed at once, with
    /// little trust; to another of ours only when it has answered there (RFC 9000 §9.3, §9.6.2).
    // MUST 9000-9-3, 9000-9-4, 9000-9.3-1, 9000-9.6.2-2
    pub(crate) fn follow_client(&mut self, now: Instant, meta: &RecvMeta, ix: usize, size: usize) {
        let tuple = Tuple::of(meta);
        let back = self.is_fallback(ix, &tuple);
        let first = self.paths[ix].id == PathId::ZERO;
        if first && tuple.remote == self.paths[ix].tuple.remote && !back {
            let Some(at) = self.aside_for(now, meta) else { return };
            if !self.asides[at].validation.is_proven() {
                self.asides[at].wanted = true;
                return;
            }
        }
        self.rebind(now, tuple, ix, size);
    }
}
