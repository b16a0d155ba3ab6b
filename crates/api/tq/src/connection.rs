//! A connection's handle.
//!
//! Opens and accepts streams, carries datagrams, tells who the peer is. What happens inside the connection is the
//! core's; what an `await` waits for is said on each method.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tq_quic::SendDatagramError as CoreDatagramError;
use tq_quic::handshake::PeerIdentity;
use tq_udp::Clock;
use tq_wire::{Dir, Side, StreamId, Version};

use crate::shared::{Hold, Shared, State};
use crate::sockets::SocketId;
use crate::stats::ConnectionStats;
use crate::wakers::Halves;
use crate::{
    ConnectionError, EarlyData, ExportError, MigrateError, RecvStream, SendDatagramError, SendStream,
};

/// A QUIC connection. Cheap to clone; when the last handle goes, streams included, it closes with code 0.
#[derive(Clone)]
pub struct Connection(Arc<Hold>);

impl Connection {
    pub(crate) fn new(hold: Hold) -> Self {
        Self(Arc::new(hold))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Opens a stream both ends may send on. Waits while the peer allows no more streams. The peer learns of it
    /// with the first byte (or the end) written.
    ///
    /// Cancel-safe: a stream is opened only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let id = self.open(Dir::Bi).await?;
        Ok(self.both(id))
    }

    /// Opens a stream only this end sends on. Waits while the peer allows no more streams.
    ///
    /// Cancel-safe: a stream is opened only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        let id = self.open(Dir::Uni).await?;
        Ok(SendStream::new(self.clone(), id))
    }

    /// The next stream the peer opened for both directions, in the order of their ids.
    ///
    /// Cancel-safe: a stream is taken only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended and no stream is left to accept.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let id = self.accept(Dir::Bi).await?;
        Ok(self.both(id))
    }

    /// The next stream the peer opened to send on, in the order of their ids.
    ///
    /// Cancel-safe: a stream is taken only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended and no stream is left to accept.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        let id = self.accept(Dir::Uni).await?;
        Ok(RecvStream::new(self.clone(), id))
    }

    /// Queues a datagram: it leaves soon, whole and unacknowledged by anyone but the path, or it is lost.
    ///
    /// # Errors
    /// See [`SendDatagramError`]; nothing is queued then.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), SendDatagramError> {
        self.shared().act_if(|state| {
            let result = state.send_datagram(datagram);
            let work = result.is_ok();
            (result, work)
        })
    }

    /// As [`Connection::send_datagram`], but waits while the send buffer is full.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was queued.
    ///
    /// # Errors
    /// See [`SendDatagramError`]; never `Full`.
    pub async fn send_datagram_wait(&self, datagram: Bytes) -> Result<(), SendDatagramError> {
        loop {
            let room = self.shared().signals.datagram_room.notified();
            match self.send_datagram(datagram.clone()) {
                Err(SendDatagramError::Full) => room.await,
                result => return result,
            }
        }
    }

    /// The oldest datagram received and not read. Under pressure the oldest are dropped and counted.
    ///
    /// Cancel-safe: a datagram is taken only by the call that returns it.
    ///
    /// # Errors
    /// The connection ended and no datagram is left.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        self.wait(|shared| &shared.signals.datagram, |state| state.core.read_datagram()).await
    }

    /// Bytes the largest datagram may have now; `None` if the peer takes none. Follows the path's MTU.
    pub fn max_datagram_size(&self) -> Option<usize> {
        self.shared().lock().core.max_datagram_size()
    }

    /// Closes now: the peer is told `code` and `reason`, everybody waiting here gets
    /// [`ConnectionError::LocallyClosed`], data not delivered is lost. `code` is cut to 2^62-1, the reason to
    /// what fits a packet. Does nothing if the connection has ended.
    pub fn close(&self, code: u64, reason: &[u8]) {
        self.shared().close(code, reason);
    }

    /// Waits until the handshake is complete: the peer is who it says, and what it sends is no copy of something old.
    /// Of interest after [`Connecting::into_early`](crate::Connecting::into_early) only.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection ended first.
    pub async fn connected(&self) -> Result<(), ConnectionError> {
        self.wait(|shared| &shared.signals.connected, |state| state.connected.then_some(())).await
    }

    /// Waits until it is known whether the server takes 0-RTT, and says so; false if there is none. Streams written
    /// early arrive either way.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection ended first.
    pub async fn early_accepted(&self) -> Result<bool, ConnectionError> {
        let known = |state: &mut State| match state.core.early_data() {
            EarlyData::Accepted => Some(true),
            _ => state.connected.then_some(false),
        };
        self.wait(|shared| &shared.signals.connected, known).await
    }

    /// What has become of 0-RTT so far.
    pub fn early_data(&self) -> EarlyData {
        self.shared().lock().core.early_data()
    }

    /// Whether a ticket of an earlier connection stood in for certificates; false until the handshake is complete.
    pub fn is_resumed(&self) -> bool {
        self.shared().lock().core.is_resumed()
    }

    /// The QUIC version spoken. It may change until the handshake is complete: a server may choose another of those a
    /// client offers. Tickets and tokens serve connections that begin with the version in which they came.
    pub fn version(&self) -> Version {
        self.shared().lock().core.version()
    }

    /// Waits until both ends know that the handshake is complete (RFC 9001 §4.1.2). A client that closes before
    /// may leave the server with half a handshake; one that exchanged data need not wait for this.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection ended first.
    pub async fn confirmed(&self) -> Result<(), ConnectionError> {
        self.wait(|shared| &shared.signals.confirmed, |state| state.confirmed.then_some(())).await
    }

    /// Waits until the connection ends, for whatever reason, and tells it.
    ///
    /// Cancel-safe.
    pub async fn closed(&self) -> ConnectionError {
        let never = |_: &mut State| None::<std::convert::Infallible>;
        match self.wait(|shared| &shared.signals.closed, never).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// Why the connection ended, once it did.
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.shared().lock().error.clone()
    }

    /// Moves this connection to another socket of its endpoint. The new way is probed first and used once it has
    /// answered; until then, and if it does not (3 s at least), all goes on as before. To move at once instead because
    /// the old way is gone, there is [`Endpoint::rebind`](crate::Endpoint::rebind).
    ///
    /// Cancel-safe: the move goes on.
    ///
    /// # Errors
    /// See [`MigrateError`].
    pub async fn migrate(&self, socket: SocketId) -> Result<(), MigrateError> {
        self.shared().act(|state| {
            let now = state.at(Clock::now());
            state.core.migrate(now, tq_quic::Local { socket: socket.0, ip: None }, false)?;
            state.moving = Some((socket.0, None));
            Ok::<_, MigrateError>(())
        })?;
        let outcome = |state: &mut State| state.moving.map_or(Some(false), |(_, outcome)| outcome);
        match self.wait(|shared| &shared.signals.moved, outcome).await? {
            true => Ok(()),
            false => Err(MigrateError::NoAnswer),
        }
    }

    /// Who the peer proved to be.
    pub fn peer(&self) -> PeerIdentity {
        self.shared().lock().core.peer()
    }

    /// The application protocol both ends agreed on, if any was offered.
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.shared().lock().core.alpn()
    }

    /// The name the client asked for.
    pub fn server_name(&self) -> Option<String> {
        self.shared().lock().core.server_name()
    }

    /// Where the peer is; may change during a connection.
    pub fn remote_address(&self) -> SocketAddr {
        self.shared().lock().core.remote()
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.shared().side
    }

    /// Numbers so far.
    pub fn stats(&self) -> ConnectionStats {
        self.shared().lock().core.stats()
    }

    /// Fills `out` with keying material that both ends agree on and nobody else knows (RFC 8446 §7.5).
    ///
    /// # Errors
    /// The handshake is not complete, or `out` is too long.
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportError> {
        self.shared().lock().core.export(out, label, context)
    }

    /// Starts a key update (RFC 9001 §6); false if one is under way or the handshake is not confirmed. The core
    /// also does so on its own when a key has sealed enough.
    pub fn update_keys(&self) -> bool {
        self.shared().act(|state| {
            let now = state.at(Clock::now());
            state.core.update_keys(now)
        })
    }

    async fn open(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        let open = |state: &mut State| {
            if state.error.is_some() {
                return None;
            }
            let id = state.core.open(dir)?;
            let halves = Halves { send: true, recv: dir == Dir::Bi };
            state.wakers.register(id, halves);
            Some(id)
        };
        self.wait(|shared| &shared.signals.budget[dir as usize], open).await
    }

    async fn accept(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        let accept = |state: &mut State| {
            let id = state.core.accept(dir)?;
            state.wakers.register(id, Halves { send: dir == Dir::Bi, recv: true });
            Some(id)
        };
        self.wait(|shared| &shared.signals.incoming[dir as usize], accept).await
    }

    /// Waits until `attempt` has a value. What is there is handed out even if the connection has ended. Counts against
    /// what a task may do in one go, so that one that always finds something leaves others their turn, the driver first.
    pub(crate) async fn wait<T>(
        &self,
        signal: impl Fn(&Shared) -> &Notify,
        mut attempt: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        let shared = self.shared();
        consume_budget().await;
        loop {
            let notified = signal(shared).notified();
            {
                let mut state = shared.lock();
                if let Some(value) = attempt(&mut state) {
                    return Ok(value);
                }
                if let Some(error) = &state.error {
                    return Err(error.clone());
                }
            }
            notified.await;
        }
    }

    fn both(&self, id: StreamId) -> (SendStream, RecvStream) {
        (SendStream::new(self.clone(), id), RecvStream::new(self.clone(), id))
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("side", &self.side()).field("key", &self.shared().key.0).finish()
    }
}

impl State {
    fn send_datagram(&mut self, datagram: Bytes) -> Result<(), SendDatagramError> {
        if let Some(error) = &self.error {
            return Err(SendDatagramError::ConnectionLost(error.clone()));
        }
        let len = datagram.len();
        self.core.send_datagram(datagram).map_err(|error| match error {
            CoreDatagramError::Unsupported => SendDatagramError::Unsupported,
            CoreDatagramError::TooLarge => {
                SendDatagramError::TooLarge { len, max: self.core.max_datagram_size().unwrap_or(0) }
            }
            CoreDatagramError::Blocked => SendDatagramError::Full,
        })
    }
}
