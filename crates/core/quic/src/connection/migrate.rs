//! Addresses that change under a path: challenges, responses, following a rebound client, going back if the new
//! address does not answer (RFC 9000 §8.2, §9).

use tq_time::Instant;
use tq_wire::PathId;

use super::{Connection, RecvMeta};
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
    pub(crate) fn on_path_challenge(&mut self, meta: &RecvMeta, ix: usize, data: [u8; 8]) {
        // Answered on the path it came on (RFC 9000 §8.2.2); from an address that is not followed there is no answer,
        // and the peer's challenge times out.
        if self.paths[ix].tuple.remote == meta.remote {
            self.paths[ix].validation.on_challenge(data);
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
    }

    /// The newest packet of a client, of `size` bytes, came from `meta.remote`: follow it there, but trust the address
    /// only once it has answered.
    pub(crate) fn rebind(&mut self, now: Instant, meta: &RecvMeta, ix: usize, size: usize) {
        if self.fallback.as_ref().is_some_and(|fallback| fallback.tuple.remote == meta.remote) {
            return self.fall_back(now, ix);
        }
        let old = self.paths[ix].tuple;
        let tuple = Tuple { remote: meta.remote, local_ip: meta.local_ip, socket: meta.socket };
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
        let srtt = path.rtt.has_sample().then(|| path.rtt.smoothed());
        path.validation.challenge(now, srtt, patience);
        let id = path.id;
        // A fresh id, so that the two addresses cannot be linked by watching (RFC 9000 §9.5).
        if let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == id) {
            ids.peer.rotate();
        }
        self.announce_reset_token(ix);
        self.log_path(now, ix);
    }

    /// The address of a path did not answer.
    pub(crate) fn on_validation_failed(&mut self, now: Instant, ix: usize) {
        match &self.fallback {
            Some(fallback) if fallback.path == self.paths[ix].id => self.fall_back(now, ix),
            _ if self.side.is_server() => self.end_now(now, ConnectionError::IdleTimeout),
            _ => {}
        }
    }

    /// Goes back to the last address that was proven; it still is, and so is what was known of it.
    fn fall_back(&mut self, now: Instant, ix: usize) {
        let Some(fallback) = self.fallback.take() else { return };
        let path = &mut self.paths[ix];
        path.restore(fallback.tuple, fallback.learnt, fallback.since, now);
        path.validation.set_validated();
        self.announce_reset_token(ix);
        self.log_path(now, ix);
    }
}
