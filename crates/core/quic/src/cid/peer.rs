//! Connection ids the peer issued for one path: which one to send with, which to give back (RFC 9000 §5.1.2).

use smallvec::SmallVec;
use tq_buf::mem::Vec;
use tq_wire::frame::{NewConnectionId, RetireConnectionId, kind};
use tq_wire::{Cid, Code, Frame, PathId, ResetToken};

use crate::error::TransportError;
use crate::payload::Payload;
use crate::token::Token;

/// RETIRE_CONNECTION_ID frames queued or unacknowledged before the peer is told off: eight times the pool, far above
/// what an honest peer causes and far below what hurts (CVE-2024-22189, threat 6).
const MAX_RETIREMENTS: usize = 64;

/// An id to send with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerCid {
    /// Sequence number.
    pub(crate) seq: u64,
    /// The id.
    pub(crate) cid: Cid,
    /// What a stateless reset for it looks like; unknown for a client's first ids.
    pub(crate) token: Option<ResetToken>,
}

/// Ids of one path.
#[derive(Clone, Debug)]
pub(crate) struct PeerCids {
    path: PathId,
    // Room in place is for a half-open handshake, of which there may be many.
    active: Option<PeerCid>,
    spare: SmallVec<[PeerCid; 1]>,
    /// Kept for addresses beside the one in use.
    reserved: Vec<PeerCid>,
    retire_prior_to: u64,
    /// To be announced as retired.
    retiring: SmallVec<[u64; 2]>,
    /// Announced, not acknowledged.
    unacked: SmallVec<[u64; 2]>,
    limit: u64,
}

impl PeerCids {
    /// Holds at most `limit` ids, our active_connection_id_limit.
    pub(crate) fn new(path: PathId, limit: u64) -> Self {
        Self {
            path,
            active: None,
            spare: SmallVec::new(),
            reserved: Vec::new(),
            retire_prior_to: 0,
            retiring: SmallVec::new(),
            unacked: SmallVec::new(),
            limit,
        }
    }

    /// Sets the handshake id (sequence number 0), again after a Retry.
    pub(crate) fn set_first(&mut self, cid: Cid, token: Option<ResetToken>) {
        self.active = Some(PeerCid { seq: 0, cid, token });
    }

    /// The id to send with.
    #[inline]
    pub(crate) fn active(&self) -> Option<&PeerCid> {
        self.active.as_ref()
    }

    /// The token of the handshake id arrives with the transport parameters.
    pub(crate) fn set_first_token(&mut self, token: ResetToken) {
        if let Some(active) = self.active.as_mut().filter(|active| active.seq == 0) {
            active.token = Some(token);
        }
    }

    /// Takes NEW_CONNECTION_ID. Says whether the active id changed.
    // MUST 9000-5.1.1-4, 9000-5.1.2-1, 9000-19.15-3, 9000-19.15-4, 9000-19.15-7, 9000-19.15-8
    pub(crate) fn on_new(&mut self, f: &NewConnectionId) -> Result<bool, TransportError> {
        let frame = if f.path.is_some() { kind::PATH_NEW_CONNECTION_ID } else { kind::NEW_CONNECTION_ID };
        let fail = |code, why| Err(TransportError::new(code, frame, why));
        if self.active.is_some_and(|active| active.cid.is_empty()) {
            return fail(Code::PROTOCOL_VIOLATION, "NEW_CONNECTION_ID from a peer with empty connection ids");
        }
        let new = PeerCid { seq: f.seq, cid: f.cid, token: Some(f.token) };
        for known in self.active.iter().chain(&self.spare).chain(&self.reserved) {
            let same_seq = known.seq == f.seq;
            let same_cid = known.cid == f.cid;
            if same_seq != same_cid || (same_seq && known.token.is_some_and(|token| token != f.token)) {
                return fail(Code::PROTOCOL_VIOLATION, "NEW_CONNECTION_ID contradicts an earlier one");
            }
            if same_seq {
                return Ok(false);
            }
        }
        // Retire Prior To counts before the new id does.
        self.retire_prior_to = self.retire_prior_to.max(f.retire_prior_to);
        let bound = self.retire_prior_to;
        // Ids are used in order: one below the active is either retired already, perhaps acknowledged so that nobody
        // remembers, or it comes too late. The peer may have forgotten it and must not be sent to there.
        if new.seq < bound || self.active.is_some_and(|active| new.seq < active.seq) {
            self.retire(new.seq);
        } else if !self.retiring.contains(&new.seq) && !self.unacked.contains(&new.seq) {
            self.spare.push(new);
        }
        let held = self.spare.iter().chain(&self.reserved);
        let old: SmallVec<[u64; 8]> = held.map(|id| id.seq).filter(|seq| *seq < bound).collect();
        self.spare.retain(|id| id.seq >= bound);
        self.reserved.retain(|id| id.seq >= bound);
        old.into_iter().for_each(|seq| self.retire(seq));
        let changed = self.active.is_some_and(|active| active.seq < bound) && self.rotate().is_some();
        let count = (self.spare.len() + self.reserved.len()) as u64 + u64::from(self.active.is_some());
        if count > self.limit {
            return fail(
                Code::CONNECTION_ID_LIMIT_ERROR,
                "NEW_CONNECTION_ID beyond active_connection_id_limit",
            );
        }
        if self.retiring.len() + self.unacked.len() > MAX_RETIREMENTS {
            return fail(
                Code::CONNECTION_ID_LIMIT_ERROR,
                "NEW_CONNECTION_ID retires ids faster than RETIRE_CONNECTION_ID is acknowledged",
            );
        }
        Ok(changed)
    }

    /// Moves to a fresh id and retires the one in use; `None` if there is no spare.
    // MUST 9000-5.1.2-1, 9000-19.16-2, mp21-3.2.2-1
    pub(crate) fn rotate(&mut self) -> Option<PeerCid> {
        let at = (0..self.spare.len()).min_by_key(|at| self.spare[*at].seq)?;
        let new = self.spare.remove(at);
        if let Some(old) = self.active.replace(new) {
            self.retire(old.seq);
        }
        Some(new)
    }

    /// Takes the id of a preferred address (RFC 9000 §5.1.1).
    pub(crate) fn on_preferred(&mut self, cid: Cid, token: ResetToken) -> Result<(), &'static str> {
        if self.active.is_none_or(|active| active.cid.is_empty()) {
            return Err("preferred_address from a server with empty connection ids");
        }
        if self.active.is_some_and(|active| active.cid == cid) {
            return Err("the connection id of preferred_address is in use");
        }
        self.spare.push(PeerCid { seq: 1, cid, token: Some(token) });
        Ok(())
    }

    /// Whether there is an id nobody has seen.
    pub(crate) fn has_spare(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Keeps the lowest spare id for another address; returns its sequence number.
    pub(crate) fn reserve(&mut self) -> Option<u64> {
        let at = (0..self.spare.len()).min_by_key(|at| self.spare[*at].seq)?;
        let id = self.spare.remove(at);
        self.reserved.push(id);
        Some(id.seq)
    }

    /// A reserved id is not needed any more: it may have been seen, so it goes.
    pub(crate) fn release(&mut self, seq: u64) {
        if self.reserved.iter().any(|id| id.seq == seq) {
            self.reserved.retain(|id| id.seq != seq);
            self.retire(seq);
        }
    }

    /// Moves to a reserved id and retires the one in use; says whether it was still there.
    pub(crate) fn adopt(&mut self, seq: u64) -> bool {
        let Some(at) = self.reserved.iter().position(|id| id.seq == seq) else { return false };
        if let Some(old) = self.active.replace(self.reserved.remove(at)) {
            self.retire(old.seq);
        }
        true
    }

    /// Exchanges the id in use with a reserved one for one packet; call again with the number that is returned.
    pub(crate) fn exchange(&mut self, seq: u64) -> Option<u64> {
        let at = self.reserved.iter().position(|id| id.seq == seq)?;
        let old = self.active.replace(self.reserved[at])?;
        self.reserved[at] = old;
        Some(old.seq)
    }

    // MUST 9000-5.1.2-2
    fn retire(&mut self, seq: u64) {
        if !self.retiring.contains(&seq) && !self.unacked.contains(&seq) {
            self.retiring.push(seq);
        }
    }

    /// Whether `cid` is one of them.
    pub(crate) fn has(&self, cid: &Cid) -> bool {
        self.active.iter().chain(&self.spare).chain(&self.reserved).any(|id| id.cid == *cid)
    }

    /// Whether there is an id to send with, now or after [`PeerCids::rotate`].
    pub(crate) fn is_usable(&self) -> bool {
        self.active.is_some() || !self.spare.is_empty()
    }

    /// Sequence number of the id expected next.
    pub(crate) fn next_seq(&self) -> u64 {
        self.active
            .iter()
            .chain(&self.spare)
            .map(|id| id.seq + 1)
            .max()
            .unwrap_or(0)
            .max(self.retire_prior_to)
    }

    /// Whether `token` is the reset token of an id in use. One that was never sent to cannot have been lost.
    // MUST 9000-10.3.1-2
    pub(crate) fn is_reset(&self, token: &ResetToken) -> bool {
        // tokens are compared as wholes, so that timing does not tell how much of one was right
        let used = self.active.iter().chain(&self.reserved);
        used.filter(|id| id.token.as_ref() == Some(token)).count() > 0
    }

    /// Whether a RETIRE_CONNECTION_ID has to go out.
    pub(crate) fn wants(&self) -> bool {
        !self.retiring.is_empty()
    }

    /// Writes pending RETIRE_CONNECTION_ID frames.
    pub(crate) fn write(&mut self, payload: &mut Payload<'_>) {
        while let Some(seq) = self.retiring.last().copied() {
            let token = Token::RetireConnectionId(self.path, seq);
            let path = (self.path != PathId::ZERO).then_some(self.path);
            let frame = Frame::RetireConnectionId(RetireConnectionId { path, seq });
            if !payload.frame(&frame, Some(token)) {
                return;
            }
            self.retiring.pop();
            self.unacked.push(seq);
        }
    }

    /// A RETIRE_CONNECTION_ID arrived.
    pub(crate) fn on_acked(&mut self, seq: u64) {
        self.unacked.retain(|unacked| *unacked != seq);
    }

    /// A RETIRE_CONNECTION_ID was lost.
    // MUST 9000-5.1.2-2
    pub(crate) fn on_lost(&mut self, seq: u64) {
        if let Some(at) = self.unacked.iter().position(|unacked| *unacked == seq) {
            self.unacked.swap_remove(at);
            self.retiring.push(seq);
        }
    }
}
