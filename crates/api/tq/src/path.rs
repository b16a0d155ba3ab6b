//! A connection's paths: opening them, asking about them, what happens to them.
//!
//! Decides what a task waits for. Which path carries what is the scheduler's decision, whether one works the core's.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tq_quic::SendDatagramError as CoreDatagramError;
use tq_quic::sched::Kind;
use tq_quic::{ClosePathError, PathEvent, PathInfo, PathPolicy, PathState, PathStats, Status};
use tq_udp::Clock;
use tq_wire::{Code, PathId};

use crate::shared::{Shared, State};
use crate::sockets::{SocketId, reaches};
use crate::{Connection, ConnectionError, OpenPathError, SchedulerError, SendDatagramError};

/// Events kept for whoever is slow to take them; some of them a peer causes.
const EVENTS: usize = 64;

/// A path of a connection. Cheap to clone; a handle of the connection like a stream.
///
/// It outlives the path: then methods say [`ClosePathError::Unknown`] or nothing.
#[derive(Clone)]
pub struct Path {
    connection: Connection,
    id: PathId,
}

impl Connection {
    /// Opens a further path from a socket of this endpoint to where the server is, and waits until it may carry data. Only
    /// clients open paths; both ends must have set [`TransportConfig::max_paths`](crate::TransportConfig).
    ///
    /// Waits for the end of the handshake and for the ids it takes, too. A path whose way is dead is given up after 3 s
    /// at least.
    ///
    /// Dropped before it is ready, the path may come into being all the same.
    ///
    /// # Errors
    /// See [`OpenPathError`].
    pub async fn open_path(&self, socket: SocketId) -> Result<Path, OpenPathError> {
        self.open_path_to(socket, self.remote_address()).await
    }

    /// As [`Connection::open_path`], to another address of the same server.
    ///
    /// # Errors
    /// See [`OpenPathError`].
    pub async fn open_path_to(&self, socket: SocketId, remote: SocketAddr) -> Result<Path, OpenPathError> {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let sockets = self.shared().sockets.upgrade();
        let local = sockets.and_then(|sockets| sockets.addr(socket)).ok_or(OpenPathError::UnknownSocket)?;
        if !reaches(local, remote) {
            return Err(OpenPathError::InvalidRemote(remote));
        }
        let id = self.wait(changes, |state| state.open_path(socket, remote)).await??;
        self.shared().act(|_| ());
        let path = Path { connection: self.clone(), id };
        let usable = |state: &mut State| match state.path(id).map(|info| info.state) {
            Some(now) if now.is_usable() => Some(Ok(())),
            Some(now) if now.is_live() => None,
            _ => Some(Err(OpenPathError::NoAnswer)),
        };
        self.wait(changes, usable).await??;
        Ok(path)
    }

    /// The paths there are, those included that still prove themselves, but none that was abandoned. A connection without
    /// multipath has one.
    pub fn paths(&self) -> Vec<Path> {
        let state = self.shared().lock();
        let live = state.core.paths().filter(|path| path.state.is_live());
        live.map(|path| Path { connection: self.clone(), id: path.id }).collect()
    }

    /// A handle of the path with this id, be there one or not.
    pub fn path(&self, id: PathId) -> Path {
        Path { connection: self.clone(), id }
    }

    /// What happens to paths from now on. Anybody may listen, any number of times.
    pub fn path_events(&self) -> PathEvents {
        let mut state = self.shared().lock();
        let receiver = match (&state.path_events, &state.error) {
            (Some(events), _) => events.subscribe(),
            (None, None) => {
                let (events, receiver) = broadcast::channel(EVENTS);
                state.path_events = Some(events);
                receiver
            }
            // Nothing happens any more: a channel whose other end is gone.
            (None, Some(_)) => broadcast::channel(1).1,
        };
        drop(state);
        PathEvents { connection: self.clone(), receiver, missed: 0 }
    }

    /// Whether there may be several paths: both ends have set [`TransportConfig::max_paths`](crate::TransportConfig), and
    /// the handshake is complete.
    pub fn is_multipath(&self) -> bool {
        self.shared().lock().core.is_multipath()
    }

    /// Queues a datagram that goes over this path and no other: it is lost if the path is.
    ///
    /// # Errors
    /// See [`SendDatagramError`]; nothing is queued then. `Full` is about the path's own queue of 64 KiB, for which there
    /// is nothing to wait.
    pub fn send_datagram_on(&self, path: PathId, datagram: Bytes) -> Result<(), SendDatagramError> {
        self.shared().act_if(|state| {
            let result = state.send_datagram_on(path, datagram);
            let work = result.is_ok();
            (result, work)
        })
    }

    /// The name of the scheduler that says where data goes if there are several paths.
    pub fn scheduler(&self) -> &'static str {
        self.shared().lock().core.scheduler().name()
    }

    /// Chooses another scheduler, which works until the handshake is complete only: after
    /// [`Connecting::into_early`](crate::Connecting::into_early).
    ///
    /// # Errors
    /// See [`SchedulerError`].
    pub fn set_scheduler(&self, name: &str) -> Result<(), SchedulerError> {
        let kind: Kind = name.parse()?;
        let mut state = self.shared().lock();
        if state.connected || state.error.is_some() {
            return Err(SchedulerError::Connected);
        }
        state.core.set_scheduler(kind);
        Ok(())
    }
}

fn changes(shared: &Shared) -> &Notify {
    &shared.signals.paths
}

impl Shared {
    /// The endpoint's socket `gone` is no more; `first` on `local` is where connections begin. Whether there was a path.
    pub(crate) fn leave_socket(self: &Arc<Self>, gone: u32, first: u32, local: SocketAddr) -> bool {
        self.act(|state| state.leave_socket(gone, first, local))
    }
}

impl State {
    /// `None` while there is something to wait for.
    fn open_path(&mut self, socket: SocketId, remote: SocketAddr) -> Option<Result<PathId, OpenPathError>> {
        if let Some(error) = &self.error {
            return Some(Err(error.clone().into()));
        }
        let now = self.at(Clock::now());
        match self.core.open_path(now, socket.0, None, remote) {
            Err(tq_quic::OpenPathError::NotNegotiated) if !self.confirmed => None,
            Err(tq_quic::OpenPathError::NoConnectionId) => None,
            result => Some(result.map_err(Into::into)),
        }
    }

    fn path(&self, id: PathId) -> Option<PathInfo> {
        self.core.paths().find(|path| path.id == id)
    }

    fn send_datagram_on(&mut self, path: PathId, datagram: Bytes) -> Result<(), SendDatagramError> {
        if let Some(error) = &self.error {
            return Err(SendDatagramError::ConnectionLost(error.clone()));
        }
        if !self.path(path).is_some_and(|path| path.state.is_usable()) {
            return Err(SendDatagramError::NoPath);
        }
        let len = datagram.len();
        self.core.send_datagram_on(path, datagram).map_err(|error| match error {
            CoreDatagramError::Unsupported => SendDatagramError::Unsupported,
            CoreDatagramError::TooLarge => {
                SendDatagramError::TooLarge { len, max: self.core.max_datagram_size_on(path).unwrap_or(0) }
            }
            CoreDatagramError::Blocked => SendDatagramError::Full,
        })
    }

    fn leave_socket(&mut self, gone: u32, first: u32, local: SocketAddr) -> bool {
        let now = self.at(Clock::now());
        let lost: Vec<_> =
            self.core.paths().filter(|path| path.socket == gone && path.state.is_live()).collect();
        for path in &lost {
            let code = Code::PATH_UNSTABLE_OR_POOR.0;
            if self.core.close_path(now, path.id, code) != Err(ClosePathError::LastPath) {
                continue;
            }
            // It is the only one: another takes its place, or it moves.
            let reached = reaches(local, path.remote);
            if reached && self.core.open_path(now, first, None, path.remote).is_ok() {
                // There are two now. What goes wrong is told when the new one fails.
                let _ = self.core.close_path(now, path.id, code);
            } else if reached {
                // Refused, it stays where it is, and times out.
                let _ = self.core.migrate(now, tq_quic::Local { socket: first, ip: None }, true);
            }
        }
        !lost.is_empty()
    }
}

impl Path {
    /// Its id: the same at both ends, never used again in this connection.
    pub fn id(&self) -> PathId {
        self.id
    }

    /// The connection it is a path of.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is known of it; `None` once nothing is left of it.
    pub fn info(&self) -> Option<PathInfo> {
        self.connection.shared().lock().path(self.id)
    }

    /// What the ends have agreed of it; [`PathState::Failed`] once nothing is left of it.
    pub fn state(&self) -> PathState {
        self.info().map_or(PathState::Failed, |info| info.state)
    }

    /// How this end would like it to be used, and how the peer would; it is a backup if either says so. `None` once
    /// nothing is left of it.
    pub fn status(&self) -> Option<(Status, Status)> {
        self.info().map(|info| (info.local_status, info.peer_status))
    }

    /// Says how it is to be used, by both ends; either may. As a backup it carries data only if no other path can.
    ///
    /// # Errors
    /// It is abandoned.
    pub fn set_status(&self, status: Status) -> Result<(), ClosePathError> {
        self.connection.shared().act(|state| {
            let now = state.at(Clock::now());
            state.core.set_path_status(now, self.id, status)
        })
    }

    /// What this end thinks of sending on it; `None` once nothing is left of it.
    pub fn policy(&self) -> Option<PathPolicy> {
        self.info().map(|info| info.policy)
    }

    /// Says what this end thinks of sending on it: cost, weight, the most it may take. Either end may, for its own
    /// direction; the peer is not told. It takes effect at once and stays for as long as the path does.
    ///
    /// # Errors
    /// It is abandoned.
    pub fn set_policy(&self, policy: PathPolicy) -> Result<(), ClosePathError> {
        self.connection.shared().act(|state| state.core.set_path_policy(self.id, policy))
    }

    /// Its numbers; `None` once nothing is left of it.
    pub fn stats(&self) -> Option<PathStats> {
        self.connection.shared().lock().core.path_stats(self.id)
    }

    /// Where it leads.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.info().map(|info| info.remote)
    }

    /// The socket of this endpoint it uses.
    pub fn socket(&self) -> Option<SocketId> {
        self.info().map(|info| SocketId(info.socket))
    }

    /// Our address: of a wildcard socket the one that packets come to, if that is known, with the socket's port.
    pub fn local_address(&self) -> Option<SocketAddr> {
        let info = self.info()?;
        let bound = self.connection.shared().sockets.upgrade()?.addr(SocketId(info.socket))?;
        Some(SocketAddr::new(info.local_ip.unwrap_or(bound.ip()), bound.port()))
    }

    /// Sends something that the peer must acknowledge, so that a silent path is noticed and translators on the way stay
    /// awake. Either end may.
    ///
    /// # Errors
    /// It is abandoned.
    pub fn ping(&self) -> Result<(), ClosePathError> {
        self.connection.shared().act(|state| state.core.ping_path(self.id))
    }

    /// Queues a datagram for it, as [`Connection::send_datagram_on`] does.
    ///
    /// # Errors
    /// As there.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), SendDatagramError> {
        self.connection.send_datagram_on(self.id, datagram)
    }

    /// Bytes the largest datagram for it may have now; `None` if the peer takes none or it may carry no data.
    pub fn max_datagram_size(&self) -> Option<usize> {
        self.connection.shared().lock().core.max_datagram_size_on(self.id)
    }

    /// Abandons it; either end may. The peer is told `code` (cut to 2^62-1) on another path, and others carry what was
    /// under way.
    ///
    /// # Errors
    /// It is abandoned already, or it is the only one: close the connection instead.
    pub fn close(&self, code: u64) -> Result<(), ClosePathError> {
        self.connection.shared().act(|state| {
            let now = state.at(Clock::now());
            state.core.close_path(now, self.id, code)
        })
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Path").field("id", &self.id.0).field("state", &self.state()).finish()
    }
}

/// What happens to the paths of a connection, in order. A handle of the connection like a stream.
#[derive(Debug)]
pub struct PathEvents {
    connection: Connection,
    receiver: broadcast::Receiver<PathEvent>,
    missed: u64,
}

impl PathEvents {
    /// The next event. Who is slow misses the oldest beyond 64 and learns how many from [`PathEvents::missed`].
    ///
    /// Cancel-safe: an event is taken only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended and no event is left.
    pub async fn next(&mut self) -> Result<PathEvent, ConnectionError> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Ok(event),
                Err(RecvError::Lagged(count)) => self.missed += count,
                Err(RecvError::Closed) => return Err(self.connection.closed().await),
            }
        }
    }

    /// Events that were missed so far: [`Connection::paths`] tells how things stand.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
