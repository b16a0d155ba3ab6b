//! The endpoint's handle, and what its handles and its driver share.
//!
//! Decides which connection attempts wait, and which are turned away because too many do. The driver task owns
//! the socket's traffic; nothing here reads from it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tq_quic::{EndpointEvent, Handle};
use tq_time::Instant;
use tq_udp::Clock;
use tq_wire::Side;

use crate::builder::EndpointBuilder;
use crate::incoming::{Connecting, Incoming};
use crate::lock;
use crate::memory::Link;
use crate::qlog::{NewConnection, Subscribers};
use crate::queue::Queue;
use crate::shared::{Hold, Shared};
use crate::sockets::{SocketId, SocketInfo, Sockets, reaches};
use crate::stats::EndpointStats;
use crate::{ClientConfig, ConnectError, RemoveSocketError, ServerConfig};

/// Sockets and the QUIC connections over them. Cheap to clone; client and server at once if configured so.
///
/// When all handles are gone, no new connections are accepted, those that exist go on, and the driver task ends
/// with the last of them.
#[derive(Clone)]
pub struct Endpoint(Arc<Alive>);

/// Exists while some handle does.
pub(crate) struct Alive(pub(crate) Arc<Inner>);

/// What handles and driver share.
pub(crate) struct Inner {
    pub(crate) state: Mutex<State>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sockets: Arc<Sockets>,
    incoming_limit: usize,
    subscribers: Option<Arc<dyn Subscribers>>,
    /// An attempt waits, or none ever will.
    incoming: Notify,
    /// The last connection is gone.
    idle: Notify,
}

/// What the endpoint's lock protects. No connection is ever locked under it.
pub(crate) struct State {
    pub(crate) core: tq_quic::Endpoint,
    /// By handle.
    table: Vec<Option<Arc<Shared>>>,
    open: usize,
    waiting: VecDeque<tq_quic::Incoming>,
    client: Option<ClientConfig>,
    /// What is remembered of links.
    pub(crate) links: Vec<Link>,
    /// Whether [`Endpoint::close`] was called or the driver is gone.
    closed: bool,
    /// Whether no handle is left.
    abandoned: bool,
    pub(crate) stats: EndpointStats,
    latest: Instant,
}

impl Endpoint {
    /// A client on `addr`; `[::]:0` reaches both families. Set a configuration before connecting.
    ///
    /// # Errors
    /// As [`EndpointBuilder::bind`].
    pub fn client(addr: SocketAddr) -> io::Result<Self> {
        Self::builder().bind(addr)
    }

    /// A server on `addr`; `[::]` serves both families.
    ///
    /// # Errors
    /// As [`EndpointBuilder::bind`].
    pub fn server(config: ServerConfig, addr: SocketAddr) -> io::Result<Self> {
        Self::builder().server(config).bind(addr)
    }

    /// For everything else.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::new()
    }

    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self(Arc::new(Alive(inner)))
    }

    /// Configuration of later [`Endpoint::connect`] calls.
    pub fn set_client_config(&self, config: ClientConfig) {
        lock(&self.inner().state).client = Some(config);
    }

    /// Replaces the configuration of connections accepted later; `None` accepts no more.
    pub fn set_server_config(&self, config: Option<ServerConfig>) {
        lock(&self.inner().state).core.set_server(config.as_ref().map(ServerConfig::core));
    }

    /// Starts a handshake with `remote`, which must prove to be `server_name`.
    ///
    /// # Errors
    /// See [`ConnectError`]; no packet is sent then. What goes wrong later, the [`Connecting`] tells.
    pub fn connect(&self, remote: SocketAddr, server_name: &str) -> Result<Connecting, ConnectError> {
        let config = lock(&self.inner().state).client.clone().ok_or(ConnectError::NoClientConfig)?;
        self.connect_with(&config, remote, server_name)
    }

    /// As [`Endpoint::connect`], with a configuration for this connection alone.
    ///
    /// # Errors
    /// As [`Endpoint::connect`].
    pub fn connect_with(
        &self,
        config: &ClientConfig,
        remote: SocketAddr,
        server_name: &str,
    ) -> Result<Connecting, ConnectError> {
        self.inner().connect(config, remote, server_name, None).map(Connecting::new)
    }

    /// As [`Endpoint::connect_with`], from these of the endpoint's sockets instead of the one where connections begin. With
    /// several the handshake is raced: its first packets leave on each, 10 ms apart in this order, and the connection goes
    /// on where the server answers first, so that a dead first link costs next to nothing. That is for servers made with
    /// this library: others may take the copies for something else. [`Path::socket`](crate::Path::socket) tells which won;
    /// paths over the others are then opened as usual.
    ///
    /// # Errors
    /// As [`Endpoint::connect`]; no socket, or one that is not there, reaches no address.
    pub fn connect_over(
        &self,
        sockets: &[SocketId],
        config: &ClientConfig,
        remote: SocketAddr,
        server_name: &str,
    ) -> Result<Connecting, ConnectError> {
        let (first, others) = sockets.split_first().ok_or(ConnectError::InvalidRemote(remote))?;
        self.inner().connect(config, remote, server_name, Some((*first, others))).map(Connecting::new)
    }

    /// The next connection attempt; `None` once the endpoint is closed. Any number of tasks may wait.
    ///
    /// Cancel-safe: an attempt is taken only by the call that returns it.
    pub async fn accept(&self) -> Option<Incoming> {
        let inner = self.inner();
        loop {
            let notified = inner.incoming.notified();
            {
                let mut state = lock(&inner.state);
                if let Some(incoming) = state.waiting.pop_front() {
                    return Some(Incoming::new(Arc::clone(&self.0), incoming));
                }
                if state.closed {
                    return None;
                }
            }
            notified.await;
        }
    }

    /// Closes all connections with `code` and `reason`, and refuses what comes later. `code` is cut to 2^62-1.
    pub fn close(&self, code: u64, reason: &[u8]) {
        let inner = self.inner();
        let (open, waiting) = {
            let mut state = lock(&inner.state);
            state.closed = true;
            (state.connections(), std::mem::take(&mut state.waiting))
        };
        for incoming in waiting {
            inner.refuse(incoming);
        }
        for shared in open {
            shared.close(code, reason);
        }
        inner.incoming.notify_waiters();
        inner.queue.call();
    }

    /// Waits until no connection is left, not even one that only answers late packets of its peer.
    ///
    /// Cancel-safe.
    pub async fn wait_idle(&self) {
        loop {
            let idle = self.inner().idle.notified();
            if lock(&self.inner().state).open == 0 {
                return;
            }
            idle.await;
        }
    }

    /// The socket's address, with the port the kernel chose; after [`Endpoint::rebind`] the new one's.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner().sockets.first().1
    }

    /// Opens a further socket, opened like the first: for a server's preferred address, or to move a client's
    /// connection to ([`Connection::migrate`](crate::Connection::migrate)).
    ///
    /// # Errors
    /// As [`Endpoint::add_socket`].
    pub fn bind_also(&self, addr: SocketAddr) -> io::Result<SocketId> {
        self.open_socket(self.inner().sockets.device(), addr)
    }

    /// Opens a further socket for one link: all its traffic goes through the network device `device`, whatever the routing
    /// table says, or where the route of `addr` leads if there is none named. Paths of clients begin there
    /// ([`Connection::open_path`](crate::Connection::open_path)); what comes in is for all connections. Of the endpoint's
    /// other settings (buffers, port sharing) it takes those of the first.
    ///
    /// A device that goes down and comes back is used again. One that was removed and made anew needs a new socket, and so
    /// does an address that changed: [`Endpoint::remove_socket`], then this.
    ///
    /// # Errors
    /// The address cannot be bound; the device is unknown or may not be used, with a
    /// [`DeviceError`](crate::udp::DeviceError) inside that says which and what helps; there are 64 sockets already; there is
    /// no tokio runtime to run on.
    pub fn add_socket(&self, device: Option<&str>, addr: SocketAddr) -> io::Result<SocketId> {
        self.open_socket(device, addr)
    }

    fn open_socket(&self, device: Option<&str>, addr: SocketAddr) -> io::Result<SocketId> {
        let id = self.inner().sockets.add(device, addr)?;
        self.inner().queue.call();
        Ok(id)
    }

    /// Closes a socket, while connections run. Paths over it are abandoned and others carry what was under way there. A
    /// client's connection whose only path it was goes on at the socket where connections begin now: it opens a path there
    /// if there is multipath, else moves there at once; one that may not move, and a server's, hears nothing more and times
    /// out, unless its client comes another way. Returns how many connections lost a path.
    ///
    /// # Errors
    /// There is no such socket, or it is the last one.
    pub fn remove_socket(&self, id: SocketId) -> Result<usize, RemoveSocketError> {
        let inner = self.inner();
        let gone = inner.sockets.remove(id)?;
        let (first, local) = inner.sockets.first();
        let open = {
            let mut state = lock(&inner.state);
            state.stats.socket_drops += gone.get_ref().dropped().map_or(0, u64::from);
            state.connections()
        };
        inner.queue.call();
        Ok(open.iter().filter(|shared| shared.leave_socket(id.0, first, local)).count())
    }

    /// Says that the link of a socket is gone, as a monitor of interfaces knows before any packet is lost: its paths rest, what
    /// was under way there goes again on others at once, and peers are told. The endpoint finds out by itself when sending
    /// fails, but not when packets vanish.
    pub fn link_down(&self, socket: SocketId) {
        self.tell_link(|core, now| core.on_link_down(now, socket.0, None));
    }

    /// Says that the link of a socket works again, or that something about it has changed: its paths are probed at once.
    pub fn link_up(&self, socket: SocketId) {
        self.tell_link(|core, now| core.on_link_up(now, socket.0, None));
    }

    fn tell_link(&self, tell: impl Fn(&mut tq_quic::Connection, Instant)) {
        let open = lock(&self.inner().state).connections();
        for shared in open {
            shared.act(|state| {
                let now = state.at(Clock::now());
                tell(&mut state.core, now);
            });
        }
    }

    /// The sockets there are, oldest first.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        self.inner().sockets.list()
    }

    /// The address of a socket of this endpoint.
    pub fn socket_addr(&self, socket: SocketId) -> Option<SocketAddr> {
        self.inner().sockets.addr(socket)
    }

    /// Opens a socket on `addr` and uses it from now on: new connections begin there, and those made from here move
    /// there at once, without waiting whether anything passes; one whose server does not answer goes back.
    /// Connections that may not move ([`MigrateError`](tq_quic::MigrateError)) stay where they are, and so do those that
    /// were accepted. Returns how many move.
    ///
    /// # Errors
    /// As [`Endpoint::bind_also`]; nothing changes then.
    pub fn rebind(&self, addr: SocketAddr) -> io::Result<usize> {
        let inner = self.inner();
        let id = self.bind_also(addr)?;
        inner.sockets.prefer(id);
        let open = lock(&inner.state).connections();
        let moves = |shared: &&Arc<Shared>| {
            shared.act(|state| {
                let now = state.at(Clock::now());
                state.core.migrate(now, tq_quic::Local { socket: id.0, ip: None }, true).is_ok()
            })
        };
        Ok(open.iter().filter(|shared| shared.side == Side::Client).filter(moves).count())
    }

    /// Numbers so far.
    pub fn stats(&self) -> EndpointStats {
        let state = lock(&self.inner().state);
        let mut stats = state.stats.clone();
        stats.counters.add(state.core.counters());
        stats.open = state.open;
        stats.waiting = state.waiting.len();
        drop(state);
        stats.socket_drops += self
            .inner()
            .sockets
            .all()
            .iter()
            .filter_map(|s| s.get_ref().dropped().ok())
            .map(u64::from)
            .sum::<u64>();
        stats
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("local", &self.local_addr()).finish_non_exhaustive()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let waiting = {
            let mut state = lock(&self.0.state);
            state.abandoned = true;
            std::mem::take(&mut state.waiting)
        };
        for incoming in waiting {
            self.0.refuse(incoming);
        }
        self.0.queue.call();
    }
}

impl Inner {
    pub(crate) fn new(core: tq_quic::Endpoint, sockets: Sockets, builder: &EndpointBuilder) -> Self {
        let state = State {
            core,
            table: Vec::new(),
            open: 0,
            waiting: VecDeque::new(),
            client: builder.client.clone(),
            links: Vec::new(),
            closed: false,
            abandoned: false,
            stats: EndpointStats::default(),
            latest: Instant::ZERO,
        };
        Self {
            state: Mutex::new(state),
            queue: Arc::default(),
            sockets: Arc::new(sockets),
            incoming_limit: builder.incoming_limit,
            subscribers: builder.subscribers.clone(),
            incoming: Notify::new(),
            idle: Notify::new(),
        }
    }

    fn connect(
        &self,
        config: &ClientConfig,
        remote: SocketAddr,
        server_name: &str,
        over: Option<(SocketId, &[SocketId])>,
    ) -> Result<Hold, ConnectError> {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let invalid = ConnectError::InvalidRemote(remote);
        let (first, others) = over.unwrap_or((SocketId(self.sockets.first().0), &[]));
        for id in std::iter::once(&first).chain(others) {
            if !self.sockets.addr(*id).is_some_and(|local| reaches(local, remote)) {
                return Err(invalid);
            }
        }
        let mut state = lock(&self.state);
        if state.closed {
            return Err(ConnectError::EndpointClosed);
        }
        let now = state.at(Clock::now());
        let (key, mut core) = state
            .core
            .connect(now, config.core(), remote, first.0, server_name)
            .map_err(|error| ConnectError::Tls { name: server_name.into(), reason: error.0 })?;
        state.recall(now, remote, &mut core);
        for id in others {
            // One named twice, or too many, do not take part.
            let _ = core.race_over(tq_quic::Local { socket: id.0, ip: None });
        }
        Ok(self.admit(state, key, core, Side::Client, remote))
    }

    /// Accepts an attempt; the reply to one that fails is sent here.
    pub(crate) fn accept(&self, incoming: tq_quic::Incoming) -> Result<Hold, crate::ConnectionError> {
        let remote = incoming.remote();
        let mut reply = Vec::new();
        let mut state = lock(&self.state);
        let now = state.at(Clock::now());
        match state.core.accept(now, incoming, &mut reply) {
            Ok((key, core)) => {
                state.stats.accepted += 1;
                Ok(self.admit(state, key, core, Side::Server, remote))
            }
            Err((error, transmit)) => {
                drop(state);
                if let Some(transmit) = transmit {
                    self.reply(&transmit, &reply);
                }
                Err(error)
            }
        }
    }

    /// A connection enters the table and the driver's queue.
    fn admit(
        &self,
        mut state: MutexGuard<'_, State>,
        key: Handle,
        mut core: tq_quic::Connection,
        side: Side,
        remote: SocketAddr,
    ) -> Hold {
        let subscribers = self.subscribers.as_ref();
        if let Some(subscriber) = subscribers.and_then(|s| s.subscriber(&NewConnection { side, remote })) {
            core.set_subscriber(state.latest, subscriber);
        }
        let shared = Shared::new(key, side, core, Arc::clone(&self.queue), Arc::downgrade(&self.sockets));
        let index = key.0 as usize;
        if index >= state.table.len() {
            state.table.resize(index + 1, None);
        }
        state.table[index] = Some(Arc::clone(&shared));
        state.open += 1;
        drop(state);
        shared.act(|_| ());
        Hold(shared)
    }

    /// The driver's word that somebody knocks.
    pub(crate) fn knock(&self, incoming: tq_quic::Incoming) {
        let mut state = lock(&self.state);
        if state.closed || state.abandoned {
            drop(state);
            return self.refuse(incoming);
        }
        if state.waiting.len() >= self.incoming_limit {
            state.stats.ignored += 1;
            return state.core.ignore(&incoming);
        }
        state.waiting.push_back(incoming);
        drop(state);
        self.incoming.notify_waiters();
    }

    pub(crate) fn ignore(&self, incoming: &tq_quic::Incoming) {
        lock(&self.state).core.ignore(incoming);
    }

    pub(crate) fn refuse(&self, incoming: tq_quic::Incoming) {
        let mut reply = Vec::new();
        let mut state = lock(&self.state);
        state.stats.refused += 1;
        let now = state.at(Clock::now());
        let transmit = state.core.refuse(now, &incoming, &mut reply);
        drop(state);
        self.reply(&transmit, &reply);
    }

    pub(crate) fn retry(&self, incoming: &tq_quic::Incoming) {
        let mut reply = Vec::new();
        let mut state = lock(&self.state);
        let now = state.at(Clock::now());
        let transmit = state.core.retry(now, incoming, &mut reply);
        drop(state);
        if let Some(transmit) = transmit {
            self.reply(&transmit, &reply);
        }
    }

    /// Sends a datagram no connection answers for. If it cannot leave now it is lost, as it could be further on.
    pub(crate) fn reply(&self, transmit: &tq_quic::Transmit, contents: &[u8]) {
        if let Some(socket) = self.sockets.get(transmit.socket) {
            let contents = &contents[..transmit.len.min(contents.len())];
            let _ = socket.get_ref().send(&crate::driver::train(transmit, contents));
        }
    }

    /// Tells the core what a connection asks of the endpoint; true if the connection is no more.
    pub(crate) fn on_event(&self, key: Handle, core: &tq_quic::Connection, event: EndpointEvent) -> bool {
        let drained = matches!(event, EndpointEvent::Drained);
        let mut state = lock(&self.state);
        state.core.handle_event(key, event);
        let entry = state.table.get_mut(key.0 as usize).filter(|_| drained);
        if entry.and_then(Option::take).is_some() {
            state.stats.counters.add(&core.counters());
            state.open -= 1;
            if state.open == 0 {
                drop(state);
                self.idle.notify_waiters();
            }
        }
        drained
    }

    /// The driver is gone; returns the connections it leaves behind.
    pub(crate) fn orphan(&self) -> Vec<Arc<Shared>> {
        let mut state = lock(&self.state);
        state.closed = true;
        let left = state.connections();
        state.table.clear();
        state.open = 0;
        drop(state);
        self.incoming.notify_waiters();
        self.idle.notify_waiters();
        left
    }
}

impl State {
    /// `now`, or the latest moment the core was told if that is later.
    pub(crate) fn at(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(crate) fn connection(&self, key: u32) -> Option<&Arc<Shared>> {
        self.table.get(key as usize)?.as_ref()
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Shared>> {
        self.table.iter().flatten().cloned().collect()
    }

    /// Whether nothing can happen any more.
    pub(crate) fn finished(&self) -> bool {
        self.open == 0 && self.abandoned
    }
}
