//! Addresses that change under a path: challenges, responses, following a rebound client, going back if the new
//! address does not answer (RFC 9000 §8.2, §9).

use tq_time::Instant;
use tq_wire::PathId;

use super::{Connection, Event, RecvMeta};
use crate::error::ConnectionError;
use crate::path::{Learnt, Proof, Tuple};

/// The address before the last change and what was known of it, kept until the new one is validated.
#[derive(Debug)]
pub(crate) struct Fallback {
    path: PathId,
    tuple: Tuple,
    learnt: Option<Learnt>,
    /// When it was left.
    since: Instant,
}

impl Connection {
    // MUST 9000-8.2.2-1, 9000-8.2.2-3, 9000-19.17-1
    pub(crate) fn on_path_challenge(&mut self, now: Instant, meta: &RecvMeta, ix: usize, data: [u8; 8]) {
        // Answered on the path it came on (RFC 9000 §8.2.2). Where there is no room to remember that path there is no
        // answer, and the peer's challenge times out.
        if self.paths[ix].tuple.is_of(meta) {
            self.paths[ix].validation.on_challenge(data);
        } else if let Some(at) = self.aside_for(now, meta).filter(|_| ix == 0) {
            self.asides[at].validation.on_challenge(data);
        }
    }

    // MUST 9000-8.2.2-4
    pub(crate) fn on_path_response(&mut self, now: Instant, data: [u8; 8]) {
        for path in &mut self.paths {
            match path.validation.on_response(now, data) {
                Proof::None => {}
                Proof::Address => self.last_activity = now,
                Proof::Path => {
                    self.fallback = None;
                    self.last_activity = now;
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
    // MUST 9000-9-4, 9000-9.3-1, 9000-9.3-2, 9000-9.5-2, 9000-9.6.3-2
    pub(crate) fn rebind(&mut self, now: Instant, tuple: Tuple, ix: usize, size: usize) {
        if self.is_fallback(&tuple) {
            return self.fall_back(now, ix);
        }
        let old = self.paths[ix].tuple;
        let proven = self.fallback.is_none() && self.paths[ix].validation.is_validated();
        let patience = self.three_pto();
        let config = self.config.clone();
        let path = &mut self.paths[ix];
        let learnt = path.reset_for_new_tuple(tuple, &config, now);
        match &mut self.fallback {
            None if proven => {
                self.fallback = Some(Fallback { path: path.id, tuple: old, learnt, since: now });
            }
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
            && let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == id)
        {
            ids.peer.rotate();
        }
        self.announce_reset_token(ix);
        if proven && self.side.is_server() && ix == 0 && old.remote != tuple.remote {
            self.probe_behind(now, old);
        }
        self.log_path(now, ix);
    }

    /// Whether that is where a path was before.
    pub(super) fn is_fallback(&self, tuple: &Tuple) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.tuple == *tuple)
    }

    /// The address of a path did not answer.
    // MUST 9000-9.3.2-1
    pub(crate) fn on_validation_failed(&mut self, now: Instant, ix: usize) {
        match &self.fallback {
            Some(fallback) if fallback.path == self.paths[ix].id => {
                self.fall_back(now, ix);
                if self.side.is_client() {
                    self.events.push_back(Event::MoveFailed);
                }
            }
            _ if self.side.is_server() => self.end_now(now, ConnectionError::IdleTimeout),
            _ => {}
        }
    }

    /// Goes back to the last address that was proven; it still is, and so is what was known of it.
    // MUST 9000-9.3.2-1
    fn fall_back(&mut self, now: Instant, ix: usize) {
        let Some(fallback) = self.fallback.take() else { return };
        self.forget_aside(&fallback.tuple);
        let path = &mut self.paths[ix];
        path.restore(fallback.tuple, fallback.learnt, fallback.since, now);
        path.validation.set_validated();
        if self.side.is_client() {
            self.cids[0].peer.rotate();
        }
        self.announce_reset_token(ix);
        self.log_path(now, ix);
    }
}
