//! Addresses that change under a path: challenges, responses, following a rebound client, going back if the new
//! address does not answer (RFC 9000 §8.2, §9). One path's change is nothing to the others.

use core::time::Duration;

use tq_buf::mem::Box;
use tq_time::Instant;

use super::{Connection, PathEvent, RecvMeta};
use crate::error::ConnectionError;
use crate::path::{Fallback, Tuple};

/// Responses owed over all paths (decision 11).
const MAX_RESPONSES: usize = 256;

impl Connection {
    pub(crate) fn on_path_challenge(&mut self, meta: &RecvMeta, ix: usize, data: [u8; 8]) {
        // Answered on the path it came on (RFC 9000 §8.2.2); from an address that is not followed there is no answer,
        // and the peer's challenge times out.
        let path = &self.paths[ix];
        if path.tuple.remote != meta.remote || !path.state.is_live() {
            return;
        }
        if self.paths.iter().map(|path| path.validation.responses()).sum::<usize>() >= MAX_RESPONSES
            && let Some(most) = self.paths.iter_mut().max_by_key(|path| path.validation.responses())
        {
            most.validation.drop_response();
        }
        self.paths[ix].validation.on_challenge(data);
    }

    pub(crate) fn on_path_response(&mut self, now: Instant, data: [u8; 8]) {
        for ix in 0..self.paths.len() {
            let path = &mut self.paths[ix];
            let Some(sent_at) = path.validation.on_response(data) else { continue };
            path.fallback = None;
            if !path.rtt.has_sample() {
                // both ways over this path: better than any guess, until an ACK says more
                path.space.sent.on_first_rtt(now);
                path.rtt.update(now.saturating_since(sent_at), Duration::ZERO);
            }
            self.last_activity = now;
            if self.paths[ix].state.is_live() && !self.paths[ix].state.is_usable() {
                self.on_path_validated(now, ix);
            }
        }
    }

    /// The newest packet of a client, of `size` bytes, came from `meta.remote`: follow it there, but trust the address
    /// only once it has answered.
    pub(crate) fn rebind(&mut self, now: Instant, meta: &RecvMeta, ix: usize, size: usize) {
        let path = &self.paths[ix];
        if path.fallback.as_ref().is_some_and(|fallback| fallback.tuple.remote == meta.remote) {
            return self.fall_back(now, ix);
        }
        let old = path.tuple;
        let tuple = Tuple { remote: meta.remote, local_ip: meta.local_ip, socket: meta.socket };
        let proven = path.fallback.is_none() && path.validation.is_validated();
        let patience = self.three_pto();
        let config = self.config.clone();
        let path = &mut self.paths[ix];
        let learnt = path.reset_for_new_tuple(tuple, &config, now);
        match &mut path.fallback {
            None if proven => path.fallback = Some(Box::new(Fallback { tuple: old, learnt, since: now })),
            // The port alone changed before, so until now all was as at the proven address.
            Some(fallback) if fallback.learnt.is_none() => fallback.learnt = learnt,
            _ => {}
        }
        path.validation.unset(size as u64);
        let srtt = path.rtt.has_sample().then(|| path.rtt.smoothed());
        path.validation.challenge(now, srtt, patience);
        let id = path.id;
        // A fresh id, so that the two addresses cannot be linked by watching (RFC 9000 §9.5).
        if let Some(ids) = self.slot_mut(id) {
            ids.peer.rotate();
        }
        self.announce_reset_token(ix);
        self.log_path(now, ix);
        self.tell_path(PathEvent::Rebound(id));
    }

    /// The address of a path did not answer.
    pub(crate) fn on_validation_failed(&mut self, now: Instant, ix: usize) {
        let path = &self.paths[ix];
        if path.fallback.is_some() {
            return self.fall_back(now, ix);
        }
        if !self.is_last_path(path.id) {
            return self.on_path_failed(now, ix);
        }
        if self.side.is_server() || !path.state.is_usable() {
            self.end_now(now, ConnectionError::IdleTimeout);
        }
    }

    /// Goes back to the last address that was proven; it still is, and so is what was known of it.
    fn fall_back(&mut self, now: Instant, ix: usize) {
        let path = &mut self.paths[ix];
        let Some(fallback) = path.fallback.take() else { return };
        path.restore(fallback.tuple, fallback.learnt, fallback.since, now);
        path.validation.set_validated();
        self.announce_reset_token(ix);
        self.log_path(now, ix);
    }
}
