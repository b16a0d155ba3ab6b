//! What the two ends have agreed about path ids (multipath §2, §3.1, §4): whether there is multipath at all, which ids
//! may be used, which are over for good, and the frames that say so. It never picks a path and never sends.

use core::net::SocketAddr;

use tq_buf::Ranges;
use tq_buf::mem::Box;
use tq_time::Instant;
use tq_wire::frame::{NewConnectionId, PathStatus, kind};
use tq_wire::{Code, Frame, PathId};

use super::ways::Ways;
use super::{Connection, EndpointEvent, PathCids, PathEvent};
use crate::error::TransportError;
use crate::path::Status;
use crate::payload::Payload;
use crate::token::Token;

/// Most paths a peer may have at a time, whatever is configured.
pub(crate) const MAX_PATHS: u32 = 16;
/// Connection ids issued ahead for each path id not in use (decision 4).
pub(crate) const CIDS_AHEAD: u64 = 2;

/// What is agreed.
#[derive(Debug, Default)]
pub(crate) struct Multipath {
    /// Both ends want it and the handshake is complete.
    pub(crate) on: bool,
    /// Paths the peer may have at a time.
    width: u32,
    /// Highest path id we allow.
    pub(crate) local_max: u32,
    /// MAX_PATH_ID is to be sent.
    max_pending: bool,
    /// Highest path id the peer allows, and what it allowed first.
    pub(crate) remote_max: u32,
    remote_first: u32,
    /// Ids that are over: never used again, because packet numbers start anew under each.
    over: Ranges,
    over_count: u32,
    /// PATHS_BLOCKED is to be sent.
    pub(crate) blocked: bool,
    /// PATH_CIDS_BLOCKED is to be sent for this path.
    pub(crate) cids_blocked: Option<PathId>,
    /// The peer's address during the handshake.
    pub(crate) handshake_remote: Option<SocketAddr>,
    /// The application was told that a path may be opened.
    pub(crate) told_may_open: bool,
    /// Changes of paths that no arrow of the state table allows.
    pub(crate) refused: u64,
    /// What is known across paths, while multipath is in force.
    pub(crate) ways: Option<Box<Ways>>,
}

/// The end of a path id.
#[derive(Debug)]
pub(crate) struct Leaving {
    code: u64,
    /// PATH_ABANDON is to be sent.
    pending: bool,
    acked: bool,
    /// Late packets are taken until then.
    pub(crate) until: Instant,
    /// That has passed; what is left waits for the peer to acknowledge PATH_ABANDON.
    pub(crate) expired: bool,
}

fn violation(frame: u64, why: &'static str) -> TransportError {
    TransportError::new(Code::PROTOCOL_VIOLATION, frame, why)
}

impl Multipath {
    /// Whether an id can be used by neither end any more.
    pub(crate) fn is_over(&self, path: PathId) -> bool {
        self.over.contains(u64::from(path.0))
    }

    /// Whether both ends want it, as far as parameters say.
    pub(crate) fn is_agreed(&self) -> bool {
        self.width > 0
    }

    /// Whether a frame of ours waits.
    pub(crate) fn wants(&self) -> bool {
        self.max_pending || self.blocked || self.cids_blocked.is_some()
    }

    fn write(&mut self, payload: &mut Payload<'_>) {
        if self.max_pending {
            let max = PathId(self.local_max);
            self.max_pending = !payload.frame(&Frame::MaxPathId(max), Some(Token::MaxPathId(max)));
        }
        if self.blocked {
            let max = PathId(self.remote_max);
            self.blocked = !payload.frame(&Frame::PathsBlocked(max), Some(Token::PathsBlocked(max)));
        }
    }
}

/// The initial_max_path_id that `max_paths` stands for.
// MUST mp21-2.1-1
pub(crate) fn initial_max(max_paths: Option<u32>) -> Option<PathId> {
    max_paths.map(|paths| PathId(paths.clamp(1, MAX_PATHS) - 1))
}

impl Connection {
    /// Both ends' parameters are known: what they allow, if both want multipath. A server knows them before the handshake
    /// is complete and issues ids for further paths with its first flight, so that a client can open these a round trip sooner.
    // MUST mp21-2-1
    pub(crate) fn agree_on_paths(&mut self) {
        let (Some(ours), Some(theirs)) = (initial_max(self.config.max_paths), self.peer.initial_max_path_id)
        else {
            return;
        };
        let multipath = &mut self.multipath;
        if multipath.width > 0 {
            return;
        }
        multipath.width = ours.0 + 1;
        multipath.local_max = ours.0;
        multipath.remote_max = theirs.0;
        multipath.remote_first = theirs.0;
        self.make_slots();
        self.ids_due = true;
    }

    /// The handshake is complete: multipath is in force if both ends want it (multipath §2).
    pub(crate) fn start_multipath(&mut self) {
        self.agree_on_paths();
        let multipath = &mut self.multipath;
        if multipath.width > 0 {
            multipath.on = true;
            multipath.handshake_remote = Some(self.paths[0].tuple.remote);
            multipath.ways = Some(Box::default());
        }
    }

    /// Whether multipath is in force: both ends configured it, and the handshake is complete.
    pub fn is_multipath(&self) -> bool {
        self.multipath.on
    }

    /// What is kept of a path id.
    pub(crate) fn slot(&self, path: PathId) -> Option<&PathCids> {
        self.cids.iter().find(|ids| ids.path == path)
    }

    /// What is kept of a path id.
    pub(crate) fn slot_mut(&mut self, path: PathId) -> Option<&mut PathCids> {
        self.cids.iter_mut().find(|ids| ids.path == path)
    }

    /// Room for every id that both ends allow.
    fn make_slots(&mut self) {
        for id in 0..=self.multipath.local_max.min(self.multipath.remote_max) {
            let path = PathId(id);
            if !self.multipath.is_over(path) && self.slot(path).is_none() {
                self.cids.push(PathCids::new(path));
            }
        }
    }

    /// What a multipath frame about `path` is about; `None` if that is over and the frame means nothing.
    // MUST mp21-2-1, mp21-4-3, mp21-4-4, mp21-4.7-1
    fn slot_for(&mut self, path: PathId, frame: u64) -> Result<Option<&mut PathCids>, TransportError> {
        if !self.multipath.on {
            return Err(violation(frame, "multipath frame without multipath"));
        }
        if path.0 > self.multipath.local_max {
            return Err(violation(frame, "path id above the maximum"));
        }
        if self.multipath.is_over(path) {
            return Ok(None);
        }
        if self.slot(path).is_none() {
            self.cids.push(PathCids::new(path));
        }
        Ok(self.slot_mut(path).filter(|ids| ids.leaving.is_none()))
    }

    /// NEW_CONNECTION_ID, of path 0, or PATH_NEW_CONNECTION_ID.
    pub(crate) fn on_new_cid(&mut self, f: &NewConnectionId) -> Result<(), TransportError> {
        let path = f.path.unwrap_or(PathId::ZERO);
        if f.path.is_some() {
            self.slot_for(path, kind::PATH_NEW_CONNECTION_ID)?;
        }
        if self.cids.iter().any(|ids| ids.path != path && ids.peer.has(&f.cid)) {
            let frame = if f.path.is_some() { kind::PATH_NEW_CONNECTION_ID } else { kind::NEW_CONNECTION_ID };
            return Err(violation(frame, "connection id of another path"));
        }
        let used = self.path_index(path);
        let Some(ids) = self.slot_mut(path).filter(|ids| ids.leaving.is_none()) else { return Ok(()) };
        let mut changed = ids.peer.on_new(f)?;
        if used.is_some() && ids.peer.active().is_none() {
            changed |= ids.peer.rotate().is_some();
        }
        if let Some(ix) = used.filter(|_| changed) {
            self.announce_reset_token(ix);
        }
        self.tell_may_open();
        Ok(())
    }

    /// RETIRE_CONNECTION_ID, of path 0, or PATH_RETIRE_CONNECTION_ID.
    pub(crate) fn on_retire_frame(
        &mut self,
        path: Option<PathId>,
        seq: u64,
        carrier: &tq_wire::Cid,
    ) -> Result<(), TransportError> {
        if let Some(path) = path
            && self.slot_for(path, kind::PATH_RETIRE_CONNECTION_ID)?.is_none()
        {
            return Ok(());
        }
        self.on_retire_cid(path.unwrap_or(PathId::ZERO), seq, carrier)
    }

    /// PATH_STATUS_AVAILABLE or PATH_STATUS_BACKUP: kept for a path that does not exist yet (decision 12).
    pub(crate) fn on_path_status(&mut self, now: Instant, f: &PathStatus) -> Result<(), TransportError> {
        let frame = if f.backup { kind::PATH_STATUS_BACKUP } else { kind::PATH_STATUS_AVAILABLE };
        let status = if f.backup { Status::Backup } else { Status::Available };
        let Some(ids) = self.slot_for(f.path, frame)? else { return Ok(()) };
        let before = ids.status.remote();
        if ids.status.on_frame(status, f.seq) && status != before {
            self.apply_status(now, f.path);
            self.tell_path(PathEvent::Status { path: f.path, status });
            if let Some(ix) = self.path_index(f.path) {
                self.on_demoted(ix, f.backup);
            }
        }
        Ok(())
    }

    /// MAX_PATH_ID (multipath §4.6).
    // MUST mp21-4.6-3, mp21-4.6-4
    pub(crate) fn on_max_path_id(&mut self, max: PathId) -> Result<(), TransportError> {
        let multipath = &mut self.multipath;
        if !multipath.on {
            return Err(violation(kind::MAX_PATH_ID, "multipath frame without multipath"));
        }
        if max.0 < multipath.remote_first {
            return Err(violation(kind::MAX_PATH_ID, "MAX_PATH_ID below the transport parameter"));
        }
        if max.0 > multipath.remote_max {
            multipath.remote_max = max.0;
            self.make_slots();
            self.issue_cids();
            self.tell_may_open();
        }
        Ok(())
    }

    /// PATHS_BLOCKED: nothing to do, ids are granted as others end.
    // MUST mp21-4.7-1
    pub(crate) fn on_paths_blocked(&mut self, max: PathId) -> Result<(), TransportError> {
        if !self.multipath.on {
            return Err(violation(kind::PATHS_BLOCKED, "multipath frame without multipath"));
        }
        if max.0 > self.multipath.local_max {
            return Err(violation(kind::PATHS_BLOCKED, "PATHS_BLOCKED above the maximum"));
        }
        Ok(())
    }

    /// PATH_CIDS_BLOCKED: nothing to do, ids are issued ahead.
    // MUST mp21-4.7-2
    pub(crate) fn on_path_cids_blocked(&mut self, path: PathId, next: u64) -> Result<(), TransportError> {
        let Some(ids) = self.slot_for(path, kind::PATH_CIDS_BLOCKED)? else { return Ok(()) };
        if next > ids.local.next_seq() {
            let why = "PATH_CIDS_BLOCKED of an id that was not issued";
            return Err(violation(kind::PATH_CIDS_BLOCKED, why));
        }
        Ok(())
    }

    /// PATH_ABANDON: accepted in every state, of ids never used as well, and answered (decision 12).
    // MUST mp21-3.4-3
    pub(crate) fn on_path_abandon(
        &mut self,
        now: Instant,
        path: PathId,
        code: u64,
    ) -> Result<(), TransportError> {
        if self.slot_for(path, kind::PATH_ABANDON)?.is_none() {
            return Ok(());
        }
        if self.is_last_path(path) {
            return Err(TransportError::new(
                Code::NO_VIABLE_PATH,
                kind::PATH_ABANDON,
                "PATH_ABANDON of the last path",
            ));
        }
        self.abandon(now, path, code, false);
        Ok(())
    }

    /// Allows as many more ids as are over, so that the peer has the same number of paths to use again. Some may still
    /// linger, but no more than there may be paths: what lingers has state.
    // MUST mp21-4.6-2
    pub(crate) fn grant_paths(&mut self) {
        let leaving = self.cids.iter().filter(|ids| ids.leaving.is_some()).count() as u32;
        let multipath = &mut self.multipath;
        let spent = multipath.over_count.saturating_add(leaving.min(multipath.width));
        let max = (multipath.width - 1).saturating_add(spent);
        if max > multipath.local_max {
            multipath.local_max = max;
            multipath.max_pending = true;
            self.make_slots();
            self.issue_cids();
        }
    }

    /// Notes that a path id is abandoned; its PATH_ABANDON is to be sent.
    pub(crate) fn leave(&mut self, path: PathId, code: u64, until: Instant) {
        if let Some(ids) = self.slot_mut(path) {
            ids.leaving = Some(Leaving { code, pending: true, acked: false, until, expired: false });
        }
    }

    /// PATH_ABANDON of ours arrived.
    pub(crate) fn on_abandon_acked(&mut self, path: PathId) {
        let Some(leaving) = self.slot_mut(path).and_then(|ids| ids.leaving.as_mut()) else { return };
        leaving.acked = true;
        leaving.pending = false;
        if leaving.expired {
            self.forget_path(path);
        }
    }

    /// PATH_ABANDON of ours was lost.
    pub(crate) fn on_abandon_lost(&mut self, path: PathId) {
        if let Some(leaving) = self.slot_mut(path).and_then(|ids| ids.leaving.as_mut()) {
            leaving.pending = !leaving.acked;
        }
    }

    /// Three PTO have passed since `path` was abandoned and everything of it is gone; says whether the peer knows.
    pub(crate) fn note_expired(&mut self, path: PathId) {
        let Some(leaving) = self.slot_mut(path).and_then(|ids| ids.leaving.as_mut()) else { return };
        leaving.expired = true;
        if leaving.acked {
            self.forget_path(path);
        }
    }

    /// The peer knows: packets with ids of this path would now be a stranger's. Not before, because the endpoint answers a
    /// stranger's packets with stateless resets, and those end the peer's connection.
    // MUST mp21-3.4-4
    fn forget_path(&mut self, path: PathId) {
        if let Some(ways) = &mut self.multipath.ways {
            ways.forget(path);
        }
        let events = &mut self.endpoint_events;
        if let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == path) {
            events.extend(ids.local.take_all().map(EndpointEvent::CidRetired));
        }
        self.cids.retain(|ids| ids.path != path);
        if self.multipath.over.insert_one(u64::from(path.0)) {
            self.multipath.over_count += 1;
        }
        self.grant_paths();
    }

    /// MAX_PATH_ID of ours was lost: the newest goes again.
    pub(crate) fn on_max_path_id_lost(&mut self, max: PathId) {
        self.multipath.max_pending |= max.0 == self.multipath.local_max;
    }

    /// Whether frames about paths wait that any path may carry.
    pub(crate) fn wants_path_control(&self) -> bool {
        self.multipath.wants()
            || self
                .cids
                .iter()
                .any(|ids| ids.status.wants() || ids.leaving.as_ref().is_some_and(|leaving| leaving.pending))
    }

    /// Writes frames about paths.
    // MUST mp21-4-1
    pub(crate) fn write_path_control(&mut self, payload: &mut Payload<'_>) {
        for ids in &mut self.cids {
            let path = ids.path;
            if let Some(leaving) = ids.leaving.as_mut().filter(|leaving| leaving.pending) {
                let frame = Frame::PathAbandon(path, leaving.code);
                leaving.pending = !payload.frame(&frame, Some(Token::PathAbandon(path)));
            }
            ids.status.write(path, payload);
        }
        if let Some(path) = self.multipath.cids_blocked {
            let next = self.slot(path).map_or(0, |ids| ids.peer.next_seq());
            let frame = Frame::PathCidsBlocked(path, next);
            if payload.frame(&frame, Some(Token::PathCidsBlocked(path))) {
                self.multipath.cids_blocked = None;
            }
        }
        self.multipath.write(payload);
    }
}
