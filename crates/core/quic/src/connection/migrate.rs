//! Addresses that change under a path: challenges, responses, following a rebound client, going back if the new
//! address does not answer (RFC 9000 §8.2, §9). One path's change is nothing to the others.

use tq_buf::mem::Box;
use tq_time::Instant;
use tq_wire::{Code, PathId};

use super::{Connection, Event, PathEvent, RecvMeta};
use crate::error::{ConnectionError, TransportError};
use crate::path::{Fallback, Proof, Tuple};

/// Responses owed over all paths (decision 11).
const MAX_RESPONSES: usize = 256;

impl Connection {
    // MUST 9000-8.2.2-1, 9000-8.2.2-3, 9000-19.17-1, mp21-3.1-5
    pub(crate) fn on_path_challenge(&mut self, now: Instant, meta: &RecvMeta, ix: usize, data: [u8; 8]) {
        // Answered on the path it came on (RFC 9000 §8.2.2). Where there is no room to remember that path there is no
        // answer, and the peer's challenge times out.
        let path = &self.paths[ix];
        if !path.tuple.is_of(meta) {
            let first = path.id == PathId::ZERO && path.state.is_live();
            match self.aside_for(now, meta) {
                Some(at) if first => self.asides[at].validation.on_challenge(data),
                None if first => self.on_way_asked(now, meta, data),
                _ => {}
            }
            return;
        }
        if !path.state.is_live() {
            return;
        }
        if self.paths.iter().map(|path| path.validation.responses()).sum::<usize>() >= MAX_RESPONSES
            && let Some(most) = self.paths.iter_mut().max_by_key(|path| path.validation.responses())
        {
            most.validation.drop_response();
        }
        self.paths[ix].validation.on_challenge(data);
    }

    // MUST 9000-8.2.2-4
    pub(crate) fn on_path_response(&mut self, now: Instant, meta: &RecvMeta, data: [u8; 8]) {
        self.on_way_answered(now, meta, data);
        for ix in 0..self.paths.len() {
            let path = &mut self.paths[ix];
            let sent_at = path.validation.challenge_sent_at(&data);
            let answer = path.validation.is_answer(&data);
            let proof = path.validation.on_response(now, data);
            if answer || proof != Proof::None {
                self.on_path_answered(now, ix);
            }
            let path = &mut self.paths[ix];
            if proof == Proof::None {
                continue;
            }
            self.last_activity = now;
            if let Some(sent_at) = sent_at {
                path.on_answered(now, sent_at);
            }
            if proof == Proof::Path {
                path.fallback = None;
                if path.state.is_live() && !path.state.is_usable() {
                    self.on_path_validated(now, ix);
                }
            }
        }
        for at in 0..self.asides.len() {
            let proof = self.asides[at].validation.on_response(now, data);
            if proof != Proof::None {
                self.last_activity = now;
                if proof == Proof::Path {
                    self.on_aside_proven(now, at);
                }
                return;
            }
        }
    }

    /// The newest packet of a client, of `size` bytes, came from `tuple.remote`: follow it there, but trust the address
    /// only once it has answered. Also how a client moves without waiting for an answer.
    // MUST 9000-9-4, 9000-9.3-1, 9000-9.3-2, 9000-9.5-2, 9000-9.6.3-2, mp21-3.1.2-1, mp21-3.1.2-2
    pub(crate) fn rebind(&mut self, now: Instant, tuple: Tuple, ix: usize, size: usize) {
        if self.is_fallback(ix, &tuple) {
            return self.fall_back(now, ix);
        }
        let path = &self.paths[ix];
        let old = path.tuple;
        let proven = path.fallback.is_none() && path.validation.is_validated();
        let patience = self.three_pto();
        let config = self.config.clone();
        let path = &mut self.paths[ix];
        let learnt = path.reset_for_new_tuple(tuple, &config, now);
        if let (Some(_), Some(known)) = (&learnt, &mut self.known) {
            known.forget(path.id);
        }
        match &mut path.fallback {
            None if proven => path.fallback = Some(Box::new(Fallback { tuple: old, learnt, since: now })),
            // The port alone changed before, so until now all was as at the proven address.
            Some(fallback) if fallback.learnt.is_none() => fallback.learnt = learnt,
            _ => {}
        }
        path.validation.unset(size as u64);
        if self.side.is_client() {
            // the server's address is as proven as it was: nobody is flooded but by our own doing
            path.validation.set_validated();
        }
        let srtt = path.rtt.has_sample().then(|| path.rtt.smoothed());
        path.validation.challenge(now, srtt, patience);
        let id = path.id;
        // A fresh id, so that the two addresses cannot be linked by watching (RFC 9000 §9.5).
        if !self.adopt_aside(ix)
            && let Some(ids) = self.slot_mut(id)
        {
            ids.peer.rotate();
        }
        self.announce_reset_token(ix);
        if proven && self.side.is_server() && id == PathId::ZERO && old.remote != tuple.remote {
            self.probe_behind(now, old);
        }
        self.on_left_behind(ix);
        self.log_path(now, ix);
        self.tell_path(PathEvent::Rebound(id));
    }

    /// Whether that is where path `ix` was before.
    pub(super) fn is_fallback(&self, ix: usize, tuple: &Tuple) -> bool {
        self.paths[ix].fallback.as_ref().is_some_and(|fallback| fallback.tuple == *tuple)
    }

    /// The address of a path did not answer.
    // MUST 9000-9.3.2-1
    pub(crate) fn on_validation_failed(&mut self, now: Instant, ix: usize) {
        let path = &self.paths[ix];
        if path.fallback.is_some() {
            self.fall_back(now, ix);
            if self.side.is_client() {
                self.events.push_back(Event::MoveFailed);
            }
            return;
        }
        let failed = self.side.is_server() || !path.state.is_usable();
        if failed && self.is_last_path(path.id) {
            self.end_for_want_of_paths(now);
        } else if failed {
            self.on_path_failed(now, ix);
        }
    }

    /// No path is left on which anything has answered. A client that opened it says so, there if anywhere; whoever was left
    /// by its peer goes without a word (RFC 9000 §9).
    fn end_for_want_of_paths(&mut self, now: Instant) {
        if self.side.is_server() || !self.multipath.on {
            return self.end_now(now, ConnectionError::IdleTimeout);
        }
        self.fail(now, TransportError::new(Code::NO_VIABLE_PATH, 0, "no path answers"));
    }

    /// Goes back to the last address that was proven; it still is, and so is what was known of it.
    // MUST 9000-9.3.2-1
    fn fall_back(&mut self, now: Instant, ix: usize) {
        let path = &mut self.paths[ix];
        let Some(fallback) = path.fallback.take() else { return };
        if path.id == PathId::ZERO {
            self.forget_aside(&fallback.tuple);
        }
        let path = &mut self.paths[ix];
        path.restore(fallback.tuple, fallback.learnt, fallback.since, now);
        path.validation.set_validated();
        let id = path.id;
        self.forget_known(id);
        if self.side.is_client()
            && let Some(ids) = self.slot_mut(id)
        {
            ids.peer.rotate();
        }
        self.announce_reset_token(ix);
        self.log_path(now, ix);
    }
}
