//! Connection ids of a connection: issuing to the pool's size, retiring, looking up the path of an id.

use tq_wire::{Cid, PathId};

use super::multipath::CIDS_AHEAD;
use super::{Connection, EndpointEvent};
use crate::config::CID_POOL;
use crate::error::TransportError;

/// Ids a peer has of the first path until the handshake's burst is over.
const CIDS_FIRST: u64 = 3;

impl Connection {
    /// The path under which we issued `cid`.
    // MUST 9000-5.1.1-2
    #[inline]
    pub(crate) fn path_of(&self, cid: &Cid) -> Option<PathId> {
        self.cids.iter().find(|ids| ids.local.contains(cid)).map(|ids| ids.path)
    }

    /// Place of a path in `paths`.
    #[inline]
    pub(crate) fn path_index(&self, id: PathId) -> Option<usize> {
        self.paths.iter().position(|path| path.id == id)
    }

    /// The id to send with on a path.
    // MUST mp21-3.1-2
    #[inline]
    pub(crate) fn peer_cid(&self, ix: usize) -> Option<Cid> {
        let id = self.paths[ix].id;
        let ids = self.cids.iter().find(|ids| ids.path == id)?;
        ids.peer.active().map(|active| active.cid)
    }

    /// Issues ids until the peer has the pool or its limit, whichever is less; for a start a few, which is enough to move
    /// twice.
    // MUST 9000-5.1-2, 9000-5.1.1-3, mp21-3.2.1-1
    pub(crate) fn issue_cids(&mut self) {
        let remote_max = self.multipath.remote_max;
        let complete = self.hs.complete;
        for ids in self.cids.iter_mut().filter(|ids| ids.leaving.is_none() && ids.path.0 <= remote_max) {
            // two ahead where there is no path yet, one of them in a server's first flight
            let used = self.paths.iter().any(|path| path.id == ids.path);
            let pool = match (used, self.settling) {
                (_, _) if !complete => 1,
                (false, _) => CIDS_AHEAD,
                (true, true) => CIDS_FIRST,
                (true, false) => CID_POOL,
            };
            let pool = pool.min(self.peer.active_cid_limit);
            for _ in 0..ids.local.missing(pool) {
                let known = |cid: &Cid| ids.local.contains(cid);
                // short ids may come up again; a few draws are enough
                let Some(cid) = (0..8).map(|_| self.shared.new_cid()).find(|cid| !known(cid)) else { return };
                ids.local.issue(cid, self.shared.reset_token(&cid), true);
                self.endpoint_events.push_back(EndpointEvent::CidIssued(cid));
            }
        }
    }

    /// The peer gave an id back.
    pub(crate) fn on_retire_cid(
        &mut self,
        path: PathId,
        seq: u64,
        carrier: &Cid,
    ) -> Result<(), TransportError> {
        let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == path) else { return Ok(()) };
        if let Some(cid) = ids.local.on_retire(seq, carrier)? {
            self.endpoint_events.push_back(EndpointEvent::CidRetired(cid));
            self.settle_now();
        }
        Ok(())
    }

    /// The peer issued an id, or moved on to it; tells the endpoint what a reset would look like.
    // MUST 9000-10.3.1-2
    pub(crate) fn announce_reset_token(&mut self, ix: usize) {
        let id = self.paths[ix].id;
        let Some(ids) = self.cids.iter().find(|ids| ids.path == id) else { return };
        if let Some(token) = ids.peer.active().and_then(|active| active.token) {
            let remote = self.paths[ix].tuple.remote;
            self.endpoint_events.push_back(EndpointEvent::ResetToken(id, remote, token));
        }
    }
}
