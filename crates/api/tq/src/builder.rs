//! How an endpoint is put together: socket, configurations, limits, observers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tq_quic::{EndpointConfig, WindowBudget};
use tq_tls::{AwsLc, RandomPool};
use tq_udp::{Options, Socket};

use crate::driver::Driver;
use crate::endpoint::{Endpoint, Inner};
use crate::qlog::{QlogDir, Subscribers};
use crate::sockets::Sockets;
use crate::{ClientConfig, ServerConfig};

/// Connection attempts that may wait for [`Endpoint::accept`], unless told otherwise.
const INCOMING_LIMIT: usize = 1024;

/// Makes an [`Endpoint`] with more to say than [`Endpoint::client`] and [`Endpoint::server`] ask for.
pub struct EndpointBuilder {
    pub(crate) config: EndpointConfig,
    pub(crate) server: Option<ServerConfig>,
    pub(crate) client: Option<ClientConfig>,
    pub(crate) socket: Options,
    pub(crate) incoming_limit: usize,
    pub(crate) subscribers: Option<Arc<dyn Subscribers>>,
}

impl EndpointBuilder {
    /// A client that writes qlog files if `QLOGDIR` is set.
    pub(crate) fn new() -> Self {
        Self {
            config: EndpointConfig::default(),
            server: None,
            client: None,
            socket: Options::default(),
            incoming_limit: INCOMING_LIMIT,
            subscribers: QlogDir::from_env().map(|dir| Arc::new(dir) as _),
        }
    }

    /// Accepts connections with this configuration.
    pub fn server(&mut self, config: ServerConfig) -> &mut Self {
        self.server = Some(config);
        self
    }

    /// Makes connections with this configuration.
    pub fn client(&mut self, config: ClientConfig) -> &mut Self {
        self.client = Some(config);
        self
    }

    /// What holds for the endpoint as a whole: connection ids, tokens, versions, limits. Replaces all of it.
    pub fn config(&mut self, config: EndpointConfig) -> &mut Self {
        self.config = config;
        self
    }

    /// Handshakes a server keeps open at a time (4096); beyond, first packets are dropped.
    pub fn max_half_open(&mut self, handshakes: usize) -> &mut Self {
        self.config.max_half_open = handshakes;
        self
    }

    /// Of these, how many may come from one neighbourhood, an IPv4 /24 or an IPv6 /56 (1024).
    pub fn max_half_open_per_prefix(&mut self, handshakes: usize) -> &mut Self {
        self.config.max_half_open_per_prefix = handshakes;
        self
    }

    /// From so many open handshakes on, strangers must prove their address first (1024), those of one neighbourhood from a
    /// quarter of its share on; `None`: never.
    pub fn retry_above(&mut self, handshakes: Option<usize>) -> &mut Self {
        self.config.retry_above = handshakes;
        self
    }

    /// What receive windows may grow to, all connections together (1 GiB for this endpoint alone). Endpoints of one process
    /// may share it.
    pub fn window_budget(&mut self, budget: Arc<WindowBudget>) -> &mut Self {
        self.config.window_budget = budget;
        self
    }

    /// How to open the socket: device, buffers, port sharing.
    pub fn socket(&mut self, options: Options) -> &mut Self {
        self.socket = options;
        self
    }

    /// How many connection attempts may wait for [`Endpoint::accept`] (1024); more are ignored and counted, so
    /// that clients try again.
    pub fn incoming_limit(&mut self, limit: usize) -> &mut Self {
        self.incoming_limit = limit;
        self
    }

    /// Who listens to the events of each new connection; replaces the qlog files of `QLOGDIR`.
    pub fn subscribers(&mut self, subscribers: Arc<dyn Subscribers>) -> &mut Self {
        self.subscribers = Some(subscribers);
        self
    }

    /// Opens the socket and starts the driver task on the current tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound, or there is no tokio runtime with I/O enabled to run on.
    pub fn bind(&mut self, addr: SocketAddr) -> io::Result<Endpoint> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| io::Error::other("an endpoint needs a tokio runtime: call from inside one"))?;
        let socket = Socket::bind(addr, &self.socket)?;
        let random = Arc::new(RandomPool::new());
        let mut core = tq_quic::Endpoint::new(self.config.clone(), Arc::new(AwsLc), random);
        core.set_server(self.server.as_ref().map(ServerConfig::core));
        let inner = Arc::new(Inner::new(core, Sockets::new(socket, self.socket.clone())?, self));
        runtime.spawn(Driver::new(Arc::clone(&inner), self.config.cid_len)?);
        Ok(Endpoint::new(inner))
    }
}
