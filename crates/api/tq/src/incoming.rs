//! Connections that are not there yet: attempts to decide on, and handshakes to wait for.

use std::future::{Future, IntoFuture};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::endpoint::Alive;
use crate::shared::Hold;
use crate::{Connection, ConnectionError, EarlyData, RetryError, UnknownScheduler};

/// Somebody knocks: a client's first packet, on which nothing was spent yet. Dropped, it is refused.
pub struct Incoming {
    endpoint: Arc<Alive>,
    /// Taken by the decision.
    core: Option<tq_quic::Incoming>,
}

impl Incoming {
    pub(crate) fn new(endpoint: Arc<Alive>, core: tq_quic::Incoming) -> Self {
        Self { endpoint, core: Some(core) }
    }

    /// Starts the handshake.
    ///
    /// # Errors
    /// The packet turned out to be wrong; the client was told.
    pub fn accept(mut self) -> Result<Connecting, ConnectionError> {
        match self.core.take() {
            Some(core) => self.endpoint.0.accept(core).map(Connecting::new),
            None => Err(ConnectionError::LocallyClosed),
        }
    }

    /// Tells the client that it is not wanted.
    pub fn refuse(self) {
        drop(self);
    }

    /// Makes the client prove its address first, at the price of a round trip and of no memory here.
    ///
    /// # Errors
    /// It comes from a Retry ([`Incoming::may_retry`]).
    pub fn retry(mut self) -> Result<(), RetryError> {
        if !self.may_retry() {
            return Err(RetryError(Box::new(self)));
        }
        if let Some(core) = self.core.take() {
            self.endpoint.0.retry(&core);
        }
        Ok(())
    }

    /// Leaves the client without an answer; it will try again for a while.
    pub fn ignore(mut self) {
        if let Some(core) = self.core.take() {
            self.endpoint.0.ignore(&core);
        }
    }

    /// Who knocks; may be forged unless the address is validated.
    pub fn remote_address(&self) -> SocketAddr {
        self.core().remote()
    }

    /// The address of this host it was sent to, if the kernel told.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.core().local_ip()
    }

    /// Whether the client proved its address with a token.
    pub fn address_validated(&self) -> bool {
        self.core().is_validated()
    }

    /// Whether [`Incoming::retry`] is possible: not for an attempt that comes from one.
    pub fn may_retry(&self) -> bool {
        self.core().may_retry()
    }

    fn core(&self) -> &tq_quic::Incoming {
        self.core.as_ref().expect("taken only by methods that consume self")
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            self.endpoint.0.refuse(core);
        }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("remote", &self.core.as_ref().map(tq_quic::Incoming::remote))
            .finish()
    }
}

impl IntoFuture for Incoming {
    type Output = Result<Connection, ConnectionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.accept()?.await })
    }
}

/// A handshake on its way. Resolves to the connection, or to why there is none; dropped, it is given up.
#[must_use = "a handshake is given up when this is dropped"]
pub struct Connecting(Option<Hold>);

impl Connecting {
    pub(crate) fn new(hold: Hold) -> Self {
        Self(Some(hold))
    }
}

impl Connecting {
    /// Chooses another scheduler than the configuration's for this connection, by name. Until this resolves.
    ///
    /// # Errors
    /// There is none of this name; the error lists those there are.
    pub fn set_scheduler(&self, name: &str) -> Result<(), UnknownScheduler> {
        let kind = name.parse()?;
        if let Some(hold) = &self.0 {
            hold.0.lock().core.set_scheduler(kind);
        }
        Ok(())
    }

    /// The connection before its handshake is complete; what there is to wait for, [`Connection::connected`] and
    /// [`Connection::early_accepted`] tell.
    ///
    /// On a client this works if the TLS settings ask for 0-RTT
    /// ([`tls::ClientConfig::early_data`](crate::tls::ClientConfig::early_data)) and a ticket of this server is at hand,
    /// from an earlier connection in the same version. What is written arrives with the first flight. If the server does
    /// not take it, streams go again by themselves and arrive once, but datagrams are lost. **Whoever is on the path may
    /// send a copy of it to the server later**: write nothing that must not be done twice.
    ///
    /// On a server it always works. Until the handshake is complete nobody has proven anything: what is read may be such
    /// a copy, and [`Connection::peer`] is anonymous.
    ///
    /// # Errors
    /// The same handshake, to be waited for, if a client has nothing to send early data with.
    pub fn into_early(mut self) -> Result<Connection, Self> {
        let able = self.0.as_ref().is_some_and(|hold| {
            let state = hold.0.lock();
            hold.0.side.is_server() || state.core.early_data() != EarlyData::None
        });
        match self.0.take() {
            Some(hold) if able => Ok(Connection::new(hold)),
            hold => Err(Self(hold)),
        }
    }
}

impl Future for Connecting {
    type Output = Result<Connection, ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(hold) = &self.0 else { return Poll::Ready(Err(ConnectionError::LocallyClosed)) };
        let mut state = hold.0.lock();
        let result = match (&state.error, state.connected) {
            // A peer may close right after its handshake: what it said is to be had from the connection.
            (_, true) => Ok(()),
            (Some(error), false) => Err(error.clone()),
            (None, false) => {
                state.connecting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        drop(state);
        let hold = self.0.take();
        Poll::Ready(result.and_then(|()| hold.map(Connection::new).ok_or(ConnectionError::LocallyClosed)))
    }
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connecting")
    }
}
