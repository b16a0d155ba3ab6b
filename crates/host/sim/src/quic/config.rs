//! What a simulated QUIC host is made of: its sockets, whom it serves, and the connections it starts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tq_quic::handshake::{ClientTls, ServerTls};
use tq_quic::{ClientConfig, EndpointConfig, Handle, Incoming, TransportConfig};
use tq_time::{Duration, Instant};

use crate::app::App;
use crate::qlog::Qlog;

/// A host to be.
pub struct HostConfig {
    /// What the host draws connection ids and the like from. Give each host its own.
    pub seed: u64,
    /// Addresses of its sockets; a socket's number is its place here.
    pub sockets: Vec<SocketAddr>,
    /// Of the endpoint.
    pub endpoint: EndpointConfig,
    /// Datagrams in a train at most. Default 10.
    pub segments: usize,
    /// Whom it serves; `None`: nobody.
    pub server: Option<ServerSetup>,
    /// Where the qlogs of its connections go.
    pub qlog: Option<Qlog>,
    /// The grain of its timers: they fire at the next whole multiple of it. Default 0, which means exactly.
    pub tick: Duration,
}

impl HostConfig {
    /// A client with one socket.
    pub fn client(seed: u64, address: SocketAddr) -> Self {
        Self::client_on(seed, vec![address])
    }

    /// A client with a socket on each of these addresses, one for each interface.
    pub fn client_on(seed: u64, sockets: Vec<SocketAddr>) -> Self {
        Self {
            seed,
            sockets,
            endpoint: EndpointConfig::default(),
            segments: 10,
            server: None,
            qlog: None,
            tick: Duration::ZERO,
        }
    }

    /// A server with one socket.
    pub fn server(seed: u64, address: SocketAddr, server: ServerSetup) -> Self {
        Self { server: Some(server), ..Self::client(seed, address) }
    }
}

/// How a host serves.
pub struct ServerSetup {
    /// Makes TLS sessions.
    pub tls: Arc<dyn ServerTls>,
    /// Of every connection.
    pub transport: Arc<TransportConfig>,
    /// What becomes of strangers. Default: all are accepted.
    pub policy: Policy,
    /// Makes a program for every connection accepted.
    pub app: AppFactory,
}

impl ServerSetup {
    /// Accepts everybody.
    pub fn new(
        tls: Arc<dyn ServerTls>,
        transport: Arc<TransportConfig>,
        app: impl FnMut(&Accepted) -> Box<dyn App> + 'static,
    ) -> Self {
        Self { tls, transport, policy: Policy::Accept, app: Box::new(app) }
    }
}

/// Makes the program of an accepted connection.
pub type AppFactory = Box<dyn FnMut(&Accepted) -> Box<dyn App>>;

/// A connection that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its name at this host.
    pub handle: Handle,
    /// How many were accepted before.
    pub index: u64,
    /// The client's address.
    pub remote: SocketAddr,
    /// Our address.
    pub local: Option<IpAddr>,
    /// When.
    pub at: Instant,
}

/// What a server does with strangers.
pub enum Policy {
    /// Accepts all.
    Accept,
    /// Asks each to prove its address first.
    Retry,
    /// Refuses all.
    Refuse,
    /// Answers none.
    Ignore,
    /// Decides case by case.
    By(Judge),
}

/// Decides about a stranger.
pub type Judge = Box<dyn FnMut(Instant, &Incoming) -> Verdict>;

/// What becomes of one stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets a connection.
    Accept,
    /// It must prove its address; accepted if it has done so.
    Retry,
    /// It is told no.
    Refuse,
    /// It hears nothing.
    Ignore,
}

impl Policy {
    pub(super) fn judge(&mut self, now: Instant, incoming: &Incoming) -> Verdict {
        match self {
            Self::Accept => Verdict::Accept,
            Self::Retry => Verdict::Retry,
            Self::Refuse => Verdict::Refuse,
            Self::Ignore => Verdict::Ignore,
            Self::By(decide) => decide(now, incoming),
        }
    }
}

/// A connection to be started.
pub struct Connect {
    /// When.
    pub at: Instant,
    /// To where.
    pub remote: SocketAddr,
    /// Through which socket.
    pub socket: u32,
    /// Whom to ask for.
    pub server_name: String,
    /// TLS, transport and version.
    pub config: ClientConfig,
    /// Its program.
    pub app: Box<dyn App>,
}

impl Connect {
    /// Through socket 0, to `server.example`, version 1.
    pub fn new(
        at: Instant,
        remote: SocketAddr,
        tls: Arc<dyn ClientTls>,
        transport: Arc<TransportConfig>,
        app: impl App + 'static,
    ) -> Self {
        let config = ClientConfig::new(tls, transport);
        let server_name = "server.example".to_string();
        Self { at, remote, socket: 0, server_name, config, app: Box::new(app) }
    }
}
