//! Paths coming and going: opened by the client, created by the server, validated, abandoned, forgotten
//! (multipath §3). Which frames may do that is in `multipath`; what a path knows is its own.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use tq_event::GuardAction;
use tq_sched::{BondState, Cause as HealthCause, Feedback, Health, Monitor};
use tq_time::Instant;
use tq_wire::{Code, PathId, VARINT_MAX};

use super::{Connection, EndpointEvent, Event, PathStats, RecvMeta};
use crate::cid::PeerCids;
use crate::path::{Cause, Path, PathPolicy, PathState, Status, Tuple};

/// Round trip assumed of a new path until it has answered (decision 11).
const NEW_PATH_RTT: Duration = Duration::from_millis(100);
/// Datagrams after the first that open a path: with them a server may send a whole first window (decision 11).
const FIRST_FLIGHT: u8 = 3;
/// Where nothing came for so long a NAT may have forgotten the path: many do after 30 s.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// Datagrams with copies a server sends on a new path before its address is proven: what is left of a first window. On a long
/// path it goes on for as long as the path is measured.
const FIRST_COPIES: u8 = 9;

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEvent {
    /// On a client: [`Connection::open_path`] may succeed from now on.
    MayOpen,
    /// A path exists; its address is not proven yet.
    Opened(PathId),
    /// It may carry data.
    Validated(PathId),
    /// The peer would like it to be used like this.
    Status {
        /// Path.
        path: PathId,
        /// The peer's wish.
        status: Status,
    },
    /// How it does in our sending direction changed. Only the newest is told.
    Health {
        /// Path.
        path: PathId,
        /// How it does.
        health: Health,
        /// Why it changed.
        cause: HealthCause,
    },
    /// The guard of the bond did something with it.
    Guard {
        /// Path.
        path: PathId,
        /// What.
        action: GuardAction,
    },
    /// It was found to share its bottleneck with those of the same number, or with none any more. Only the newest is told.
    Group {
        /// Path.
        path: PathId,
        /// Number of the group; zero is none.
        group: u32,
    },
    /// What the paths of the connection are together changed. Only the newest is told.
    Bond(BondState),
    /// Its address changed; what was known of it holds no longer.
    Rebound(PathId),
    /// Its address did not answer; it is abandoned.
    Failed(PathId),
    /// It is not used any more.
    Abandoned {
        /// Path.
        path: PathId,
        /// Error code given.
        code: u64,
        /// Whether this end began.
        local: bool,
    },
    /// Nothing of it is left.
    Closed(PathId),
}

/// Why no path was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenPathError {
    /// Only clients open paths.
    NotClient,
    /// The connection is over.
    Closed,
    /// Multipath is not in force (yet): it takes both ends and a complete handshake.
    NotNegotiated,
    /// The peer allows no further path ids; it was told.
    PeerLimit,
    /// Our own `max_paths` allows no further path.
    LocalLimit,
    /// One end has no connection id for the next path yet; try again at [`PathEvent::MayOpen`].
    NoConnectionId,
    /// The server asked that no path leads to its handshake address (disable_active_migration).
    Forbidden,
}

impl fmt::Display for OpenPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotClient => "only clients open paths",
            Self::Closed => "the connection is over",
            Self::NotNegotiated => "multipath is not in force",
            Self::PeerLimit => "the peer allows no further path",
            Self::LocalLimit => "max_paths allows no further path",
            Self::NoConnectionId => "no connection ids for a further path yet",
            Self::Forbidden => "the server allows no paths to this address",
        })
    }
}

impl core::error::Error for OpenPathError {}

/// Why a path was not closed, changed or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosePathError {
    /// There is no such path, or it is abandoned.
    Unknown,
    /// It is the only one: close the connection instead.
    LastPath,
}

impl fmt::Display for ClosePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such path",
            Self::LastPath => "the only path",
        })
    }
}

impl core::error::Error for ClosePathError {}

/// A path as the application sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathInfo {
    /// Its id.
    pub id: PathId,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address, if the host tells.
    pub local_ip: Option<IpAddr>,
    /// Which of the host's sockets it uses.
    pub socket: u32,
    /// What both ends have agreed of it.
    pub state: PathState,
    /// Whether the present address is proven.
    pub validated: bool,
    /// How we would like the peer to use it.
    pub local_status: Status,
    /// How the peer would like us to use it.
    pub peer_status: Status,
    /// How it does in our sending direction.
    pub health: Health,
    /// What this end thinks of sending on it.
    pub policy: PathPolicy,
    /// Whether it has not answered for so long that others take its data: it is suspect or out.
    pub silent: bool,
}

impl Connection {
    /// Opens a path from one of our sockets and addresses to an address of the server. Only clients may; the server
    /// creates its side with the first packet. The path carries data once [`PathEvent::Validated`] has come; if it never
    /// answers, [`PathEvent::Failed`] comes after at least three seconds and the id is spent.
    ///
    /// # Errors
    /// See [`OpenPathError`]: who is at fault and what to wait for.
    // MUST mp21-3.1-3
    pub fn open_path(
        &mut self,
        now: Instant,
        socket: u32,
        local_ip: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<PathId, OpenPathError> {
        let id = self.next_path_id()?;
        if self.peer.disable_active_migration && self.multipath.handshake_remote == Some(remote) {
            return Err(OpenPathError::Forbidden);
        }
        let tuple = Tuple { remote, local_ip, socket };
        let path = Path::new(id, tuple, &self.config, now, self.shared.entropy.u64());
        self.paths.push(path);
        let ix = self.paths.len() - 1;
        self.set_up_path(now, ix);
        self.paths[ix].validation.set_chosen();
        self.paths[ix].flight = FIRST_FLIGHT;
        self.paths[ix].came_before = self.came();
        self.challenge_path(now, ix);
        self.answer_way(ix);
        Ok(id)
    }

    /// Bytes that came on all paths.
    pub(crate) fn came(&self) -> u64 {
        self.paths.iter().map(|path| path.bytes_received).sum()
    }

    /// Whether the packet at hand should be full size, because data is under way again on a client's path that rested. To the
    /// server it may come from another address, which gets three times what it sent: so much is to be worth an answer. The rest
    /// of a first flight follows. Signs of life of a connection that rests stay small.
    pub(crate) fn knocks(&mut self, now: Instant, ix: usize) -> bool {
        let path = &mut self.paths[ix];
        let rested = path.heard_at.is_some_and(|at| now.saturating_since(at) >= FORGOTTEN);
        let knocks = rested
            && self.side.is_client()
            && path.state.is_usable()
            && path.space.sent.oldest_waiting().is_none()
            && self.streams.unacked_bytes() > 0;
        if knocks {
            path.flight = FIRST_FLIGHT;
        }
        knocks
    }

    /// The smallest id a path can be opened under now.
    // MUST mp21-3.1-1
    fn next_path_id(&mut self) -> Result<PathId, OpenPathError> {
        if self.side.is_server() {
            return Err(OpenPathError::NotClient);
        }
        if self.is_closed() {
            return Err(OpenPathError::Closed);
        }
        if !self.multipath.on {
            return Err(OpenPathError::NotNegotiated);
        }
        let max = self.multipath.local_max.min(self.multipath.remote_max);
        let free = |ids: &&super::PathCids| {
            ids.path.0 <= max && ids.leaving.is_none() && self.paths.iter().all(|path| path.id != ids.path)
        };
        let ready = |ids: &&super::PathCids| self.has_ids(ids);
        if let Some(id) = self.cids.iter().filter(free).filter(ready).map(|ids| ids.path).min() {
            return Ok(id);
        }
        if let Some(ids) = self.cids.iter().filter(free).min_by_key(|ids| ids.path) {
            if !ids.peer.is_usable() {
                self.multipath.cids_blocked = Some(ids.path);
            }
            return Err(OpenPathError::NoConnectionId);
        }
        if self.multipath.remote_max <= self.multipath.local_max {
            self.multipath.blocked = true;
            return Err(OpenPathError::PeerLimit);
        }
        Err(OpenPathError::LocalLimit)
    }

    /// Whether both ends have ids for a further path. Not every server takes it well when a path opens before it has an id
    /// of ours to answer with, so ours are to be acknowledged; one that gave its own with its first flight is in the same
    /// hurry, and what goes there now arrives behind ours or waits for them.
    fn has_ids(&self, ids: &super::PathCids) -> bool {
        let ours = if self.hs.confirmed { ids.local.is_known() } else { ids.local.is_issued() };
        ours && ids.peer.is_usable()
    }

    /// Tells a client's application once when a path may be opened.
    pub(crate) fn tell_may_open(&mut self) {
        if self.multipath.told_may_open || !self.multipath.on || self.side.is_server() {
            return;
        }
        let max = self.multipath.local_max.min(self.multipath.remote_max);
        let ready = self.cids.iter().any(|ids| {
            ids.path.0 <= max
                && ids.leaving.is_none()
                && self.has_ids(ids)
                && self.path_index(ids.path).is_none()
        });
        if ready {
            self.multipath.told_may_open = true;
            self.tell_path(PathEvent::MayOpen);
        }
    }

    /// Connection ids, limits and rhythm of a path that has just been put into `paths`.
    fn set_up_path(&mut self, now: Instant, ix: usize) {
        let id = self.paths[ix].id;
        let limit = self.peer.max_udp_payload_size;
        let policy = self.ack_frequency.policy();
        let path = &mut self.paths[ix];
        path.mtu.limit(limit);
        path.cc.on_mtu(path.mtu.current());
        if let Some(policy) = policy {
            path.space.owed.set_policy(policy);
        }
        if let Some(ids) = self.slot_mut(id) {
            ids.peer.rotate();
        }
        self.multipath.told_may_open = false;
        self.announce_reset_token(ix);
        self.issue_cids();
        self.log_path(now, ix);
        self.log_path_state(now, ix);
        self.tell_path(PathEvent::Opened(id));
        self.tell_may_open();
    }

    fn challenge_path(&mut self, now: Instant, ix: usize) {
        let patience = self.three_pto();
        self.paths[ix].validation.challenge(now, Some(NEW_PATH_RTT), patience);
        self.move_path(now, ix, Cause::Challenge);
    }

    /// On a server: room for a path whose first packet may be this one. Taken back by [`Connection::forget_attempt`] if
    /// it does not open.
    pub(crate) fn attempt_path(&mut self, now: Instant, meta: &RecvMeta, id: PathId) -> Option<usize> {
        let fresh = self.slot(id).is_some_and(|ids| ids.leaving.is_none());
        if self.side.is_client() || !self.multipath.on || !fresh {
            return None;
        }
        let tuple = Tuple { remote: meta.remote, local_ip: meta.local_ip, socket: meta.socket };
        self.paths.push(Path::new(id, tuple, &self.config, now, self.shared.entropy.u64()));
        Some(self.paths.len() - 1)
    }

    /// The packet did not open: nothing is kept.
    pub(crate) fn forget_attempt(&mut self) {
        self.paths.pop();
    }

    /// On a server: the first packet of a path, of `size` bytes, opened.
    // MUST mp21-3.1-4
    pub(crate) fn on_path_opened(&mut self, now: Instant, ix: usize, size: usize) {
        self.set_up_path(now, ix);
        let path = &mut self.paths[ix];
        path.bytes_received = size as u64;
        path.validation.on_received(size);
        let (id, tuple) = (path.id, path.tuple);
        if self.peer_cid(ix).is_none() {
            self.multipath.cids_blocked = Some(id);
        }
        let proven = |path: &Path| path.id != id && path.is_at(&tuple) && path.validation.is_validated();
        if self.paths.iter().any(proven) {
            self.paths[ix].validation.set_validated();
            self.on_path_validated(now, ix);
        } else {
            self.paths[ix].flight = FIRST_COPIES;
            self.challenge_path(now, ix);
        }
    }

    /// The first address of a path is proven.
    pub(crate) fn on_path_validated(&mut self, now: Instant, ix: usize) {
        let path = &mut self.paths[ix];
        let id = path.id;
        // What happened while it was being opened is no measure of how it does.
        path.monitor = Monitor::new(now);
        let rtt = path.rtt.has_sample().then(|| path.rtt.latest());
        if let Some(ways) = &mut self.multipath.ways {
            if let Some(rtt) = rtt.filter(|_| ways.control(id).is_none()) {
                // its challenge was answered, and nothing was acknowledged before
                ways.on_sample(now, id, id, rtt, Duration::ZERO);
            }
            ways.stale();
        }
        self.move_path(now, ix, Cause::Proof);
        self.tell_path(PathEvent::Validated(id));
        self.recall(now, ix);
        self.apply_status(now, id);
        if let Some(ids) = self.slot_mut(id) {
            ids.status.repeat();
        }
    }

    /// Puts a path on standby or back in use, as both ends want it, if it may be.
    pub(crate) fn apply_status(&mut self, now: Instant, id: PathId) {
        let Some(ix) = self.path_index(id).filter(|ix| self.paths[*ix].state.is_usable()) else { return };
        let agreed = self.slot(id).map_or(Status::Available, |ids| ids.status.agreed());
        let cause = if agreed == Status::Backup { Cause::Backup } else { Cause::Available };
        self.move_path(now, ix, cause);
    }

    /// Follows an arrow of the state table; what is not drawn changes nothing, is counted and logged.
    pub(crate) fn move_path(&mut self, now: Instant, ix: usize, cause: Cause) {
        let path = &mut self.paths[ix];
        match path.state.after(cause) {
            Ok(next) if next == path.state => return,
            Ok(next) => path.state = next,
            Err(crate::path::Refused) => self.multipath.refused += 1,
        }
        self.log_path_state(now, ix);
        self.look_at_bond(now);
    }

    /// Whether `id` is the only path left to speak on.
    pub(crate) fn is_last_path(&self, id: PathId) -> bool {
        let mut live = self.paths.iter().filter(|path| path.state.is_live());
        live.clone().any(|path| path.id == id) && live.all(|path| path.id == id)
    }

    /// Ends a path id: nothing goes there any more, what was outstanding goes elsewhere, late packets are acknowledged
    /// for three PTO (multipath §3.4).
    // MUST mp21-3.4-1, mp21-3.4-2
    pub(crate) fn abandon(&mut self, now: Instant, id: PathId, code: u64, local: bool) {
        let until = now + self.three_pto();
        self.leave(id, code, until);
        if let Some(ids) = self.slot_mut(id) {
            ids.peer = PeerCids::new(id, crate::config::CID_POOL);
            ids.local.stop_announcing();
            ids.status = crate::path::Statuses::default();
        }
        self.endpoint_events.push_back(EndpointEvent::ResetTokenGone(id));
        if let Some(ix) = self.path_index(id) {
            self.move_path(now, ix, Cause::Abandon);
            self.silence_path(ix);
            self.scheduler.on_feedback(Feedback::Closed(id.0));
            self.forget_guarded(id);
        }
        self.multipath.told_may_open = false;
        self.tell_path(PathEvent::Abandoned { path: id, code, local });
        self.grant_paths();
        self.tell_may_open();
    }

    /// Nothing is sent on a path any more; what it carried goes elsewhere.
    // MUST mp21-3.4.3-1
    fn silence_path(&mut self, ix: usize) {
        let path = &mut self.paths[ix];
        path.validation.stop();
        path.fallback = None;
        if path.id == PathId::ZERO {
            self.asides.clear();
        }
        path.messages.clear();
        (path.flight, path.ping, path.probes, path.pto_count) = (0, false, [0; 3], 0);
        path.resend = None;
        path.paced_until = None;
        let mut tokens = core::mem::take(&mut self.lost.tokens);
        path.space.sent.all_tokens_lost(&mut tokens);
        tokens.drain(..).for_each(|token| self.on_token_lost(&token));
        self.lost.tokens = tokens;
        self.drop_larger_datagrams();
    }

    /// When the next abandoned path is forgotten.
    pub(crate) fn leaving_deadline(&self) -> Option<Instant> {
        if !self.multipath.on {
            return None;
        }
        let leaving = self.cids.iter().filter_map(|ids| ids.leaving.as_ref());
        leaving.filter(|leaving| !leaving.expired).map(|leaving| leaving.until).min()
    }

    /// Forgets abandoned paths whose time has come.
    pub(crate) fn expire_paths(&mut self, now: Instant) {
        while let Some(id) = self.expired_path(now) {
            if let Some(ix) = self.path_index(id) {
                self.move_path(now, ix, Cause::Expire);
                self.paths.remove(ix);
                self.forget_known(id);
            }
            self.note_expired(id);
            self.tell_path(PathEvent::Closed(id));
            self.tell_may_open();
        }
    }

    fn expired_path(&self, now: Instant) -> Option<PathId> {
        let due = |ids: &&super::PathCids| {
            ids.leaving.as_ref().is_some_and(|leaving| !leaving.expired && leaving.until <= now)
        };
        self.cids.iter().find(due).map(|ids| ids.path)
    }

    /// Tells the application; only the newest status and health of a path are of interest.
    pub(crate) fn tell_path(&mut self, event: PathEvent) {
        let stands_for = |old: &Event| match (old, event) {
            (Event::Path(PathEvent::Status { path: of, .. }), PathEvent::Status { path, .. })
            | (Event::Path(PathEvent::Health { path: of, .. }), PathEvent::Health { path, .. })
            | (Event::Path(PathEvent::Group { path: of, .. }), PathEvent::Group { path, .. }) => *of == path,
            (Event::Path(PathEvent::Bond(_)), PathEvent::Bond(_)) => true,
            (Event::Path(PathEvent::Guard { path: of, action: old }), PathEvent::Guard { path, action }) => {
                *of == path && *old == action
            }
            _ => false,
        };
        if let Some(old) = self.events.iter_mut().rev().find(|old| stands_for(old)) {
            *old = Event::Path(event);
            return;
        }
        let again = matches!(event, PathEvent::Rebound(_)) && self.events.contains(&Event::Path(event));
        if !again {
            self.events.push_back(Event::Path(event));
        }
    }

    /// The address of a new path did not answer: it fails, if others are left (multipath §3.1).
    // MUST mp21-3.1-8
    pub(crate) fn on_path_failed(&mut self, now: Instant, ix: usize) {
        let id = self.paths[ix].id;
        self.tell_path(PathEvent::Failed(id));
        self.abandon(now, id, Code::PATH_UNSTABLE_OR_POOR.0, true);
    }

    /// Abandons a path; either end may. The peer is told on another one, and what was outstanding goes there as well.
    ///
    /// # Errors
    /// The path is unknown, abandoned already, or the only one.
    pub fn close_path(&mut self, now: Instant, id: PathId, code: u64) -> Result<(), ClosePathError> {
        self.live_path(id)?;
        if self.is_last_path(id) {
            return Err(ClosePathError::LastPath);
        }
        self.abandon(now, id, code.min(VARINT_MAX), true);
        Ok(())
    }

    /// Says how a path is to be used; either end may. The peer is told, and this end keeps to it as well.
    ///
    /// # Errors
    /// The path is unknown or abandoned.
    pub fn set_path_status(
        &mut self,
        now: Instant,
        id: PathId,
        status: Status,
    ) -> Result<(), ClosePathError> {
        self.live_path(id)?;
        if let Some(ids) = self.slot_mut(id) {
            ids.status.set(status);
        }
        self.apply_status(now, id);
        Ok(())
    }

    /// Says what this end thinks of sending on a path; either end may, for its own direction. It takes effect with the next
    /// packet and stays for as long as the path does.
    ///
    /// # Errors
    /// The path is unknown or abandoned.
    pub fn set_path_policy(&mut self, id: PathId, policy: PathPolicy) -> Result<(), ClosePathError> {
        let ix = self.live_path(id)?;
        self.paths[ix].policy = policy;
        Ok(())
    }

    /// Sends a PING on a path soon.
    ///
    /// # Errors
    /// The path is unknown or abandoned.
    pub fn ping_path(&mut self, id: PathId) -> Result<(), ClosePathError> {
        let ix = self.live_path(id)?;
        self.paths[ix].ping = true;
        Ok(())
    }

    /// Place of a path that is not abandoned.
    pub(crate) fn live_path(&self, id: PathId) -> Result<usize, ClosePathError> {
        let ix = self.path_index(id).ok_or(ClosePathError::Unknown)?;
        if self.paths[ix].state.is_live() { Ok(ix) } else { Err(ClosePathError::Unknown) }
    }

    /// All paths, those that linger after they were abandoned included.
    pub fn paths(&self) -> impl Iterator<Item = PathInfo> + '_ {
        self.paths.iter().map(|path| {
            let status = self.slot(path.id).map(|ids| ids.status).unwrap_or_default();
            PathInfo {
                id: path.id,
                remote: path.tuple.remote,
                local_ip: path.tuple.local_ip,
                socket: path.tuple.socket,
                state: path.state,
                validated: path.validation.is_validated(),
                local_status: status.local(),
                peer_status: status.remote(),
                health: path.health(),
                policy: path.policy,
                silent: !path.is_healthy(),
            }
        })
    }

    /// Numbers of one path.
    pub fn path_stats(&self, id: PathId) -> Option<PathStats> {
        self.path_index(id).map(|ix| self.path_stats_at(ix))
    }
}
