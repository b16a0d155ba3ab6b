//! Two endpoints, a virtual clock and a link that can be told what to do. No sockets, no sleeping.
#![allow(dead_code, unreachable_pub, reason = "each test file uses what it needs")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use tq_quic::handshake::{ClientTls, ServerTls};
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::Ecn;
use tq_quic::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, Event, Handle, Incoming, RecvMeta,
    Route, ServerConfig, Transmit, TransportConfig,
};
use tq_tls::AwsLc;

pub const CLIENT: &str = "192.0.2.1:4000";
pub const SERVER: &str = "192.0.2.2:443";

pub mod entropy;
pub mod flow;
pub mod link;
pub mod plain;
pub mod raw;

/// One end.
pub struct End {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    /// Addresses of sockets 1 and up.
    pub others: Vec<SocketAddr>,
    pub connections: BTreeMap<Handle, Connection>,
    pub accepted: VecDeque<Handle>,
    pub events: Vec<(Handle, Event)>,
    /// What a server does with strangers.
    pub policy: fn(&Incoming) -> Policy,
    /// Largest number of segments asked of `transmit`.
    pub segments: usize,
    /// Where datagrams went, and their bytes, since somebody looked; kept only up to a bound.
    pub sent_to: Vec<(SocketAddr, u64)>,
    buf: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Accept,
    Retry,
    Refuse,
    Ignore,
}

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Flying {
    pub at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub ecn: Ecn,
    pub bytes: Vec<u8>,
}

/// What the link does with a datagram, which it may change; `false` drops it.
pub type Link = Box<dyn FnMut(&mut Flying) -> bool>;

pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
    pub delay: Duration,
    /// By arrival, then by departure.
    pub flying: BTreeMap<(Instant, u64), Flying>,
    pub link: Link,
    pub tls: Arc<dyn ClientTls>,
    pub server_config: Arc<ServerConfig>,
    pub client_transport: Arc<TransportConfig>,
    pub sent: [u64; 2],
    pub datagrams: [u64; 2],
    pub launched: u64,
    /// Steps in a row in which neither time nor a datagram moved.
    pub stuck: u32,
}

/// TLS of both sides over one self-signed certificate.
pub fn tls() -> (Arc<dyn ClientTls>, Arc<dyn ServerTls>) {
    let (identity, roots) = tq_tls::self_signed(&["localhost"]).expect("a certificate");
    let client = tq_tls::ClientConfig::with_roots(roots).alpn(["test"]).build().expect("client TLS");
    let server =
        tq_tls::ServerConfig::new().certificate(identity).alpn(["test"]).build().expect("server TLS");
    (client, server)
}

impl Default for Pair {
    fn default() -> Self {
        Self::new(TransportConfig::default(), TransportConfig::default())
    }
}

impl Pair {
    pub fn new(client: TransportConfig, server: TransportConfig) -> Self {
        Self::with(client, server, EndpointConfig::default(), EndpointConfig::default())
    }

    pub fn with(
        client: TransportConfig,
        server: TransportConfig,
        client_endpoint: EndpointConfig,
        server_endpoint: EndpointConfig,
    ) -> Self {
        let (client_tls, server_tls) = tls();
        let server_config = Arc::new(ServerConfig { tls: server_tls, transport: Arc::new(server) });
        let mut pair = Self {
            now: Instant::from_nanos(1_000_000_000),
            client: End::new(CLIENT, client_endpoint),
            server: End::new(SERVER, server_endpoint),
            delay: Duration::from_millis(10),
            flying: BTreeMap::new(),
            link: Box::new(|_| true),
            tls: client_tls,
            server_config,
            client_transport: Arc::new(client),
            sent: [0; 2],
            datagrams: [0; 2],
            launched: 0,
            stuck: 0,
        };
        pair.server.endpoint.set_server(Some(Arc::clone(&pair.server_config)));
        pair
    }
}

impl Pair {
    /// Starts a connection from the client.
    pub fn connect(&mut self) -> Handle {
        let config = ClientConfig::new(Arc::clone(&self.tls), Arc::clone(&self.client_transport));
        self.connect_with(&config)
    }

    pub fn connect_with(&mut self, config: &ClientConfig) -> Handle {
        let remote = self.server.address;
        let (handle, connection) = self
            .client
            .endpoint
            .connect(self.now, config, remote, 0, "localhost")
            .expect("a name TLS can use");
        self.client.connections.insert(handle, connection);
        handle
    }

    /// Connects and waits until both ends are confirmed; returns both handles.
    pub fn connected(&mut self) -> (Handle, Handle) {
        let client = self.connect();
        self.drive_for(Duration::from_secs(5), |pair| {
            pair.client.has(client, &Event::Confirmed) && !pair.server.accepted.is_empty()
        });
        assert!(self.client.has(client, &Event::Confirmed), "no handshake: {:?}", self.client.events);
        let server = self.server.accepted.pop_front().expect("the server accepted");
        (client, server)
    }

    pub fn client(&mut self, handle: Handle) -> &mut Connection {
        self.client.connections.get_mut(&handle).expect("a connection")
    }

    pub fn server(&mut self, handle: Handle) -> &mut Connection {
        self.server.connections.get_mut(&handle).expect("a connection")
    }

    /// Lets both ends send what they have, without letting time pass.
    pub fn flush(&mut self) {
        for side in 0..2 {
            let end = if side == 0 { &mut self.client } else { &mut self.server };
            let to_flight = end.transmit(self.now);
            for (transmit, bytes) in to_flight {
                self.launch(side, &transmit, &bytes);
            }
        }
    }

    pub fn launch(&mut self, side: usize, transmit: &Transmit, bytes: &[u8]) {
        let end = if side == 0 { &self.client } else { &self.server };
        let from = end.socket(transmit.socket);
        for bytes in bytes.chunks(transmit.segment.unwrap_or(bytes.len().max(1))) {
            self.sent[side] += bytes.len() as u64;
            self.datagrams[side] += 1;
            let at = self.now.max(transmit.depart_at) + self.delay;
            let mut flying =
                Flying { at, from, to: transmit.remote, ecn: transmit.ecn, bytes: bytes.to_vec() };
            if (self.link)(&mut flying) {
                self.inject(flying);
            }
        }
    }

    /// Puts a datagram on its way past the link, also one nobody sent.
    pub fn inject(&mut self, flying: Flying) {
        self.launched += 1;
        self.flying.insert((flying.at, self.launched), flying);
    }

    /// One step: send, move the clock to what happens next, deliver. `false` if nothing is left to happen before
    /// `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let first = self.flying.first_key_value().map(|((at, _), _)| *at);
        let next = first.into_iter().chain(self.client.deadline()).chain(self.server.deadline()).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        let moved = next > self.now || self.flying.first_key_value().is_some_and(|((at, _), _)| *at <= next);
        self.stuck = if moved { 0 } else { self.stuck + 1 };
        assert!(self.stuck < 100, "a deadline stays in the past");
        self.now = self.now.max(next);
        let now = self.now;
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let flying = entry.remove();
            let side = usize::from(self.server.socket_at(flying.to).is_some());
            let end = if side == 0 { &mut self.client } else { &mut self.server };
            if let Some((transmit, reply)) = end.receive(now, &flying) {
                self.launch(side, &transmit, &reply);
            }
        }
        self.client.on_deadline(now);
        self.server.on_deadline(now);
        true
    }

    /// Steps until `done` or for at most `limit` of virtual time.
    pub fn drive_for(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let until = self.now + limit;
        let mut steps = 0u32;
        while !done(self) && self.step(until) {
            steps += 1;
            assert!(steps < 5_000_000, "no progress in virtual time");
        }
    }

    /// Lets `time` pass.
    pub fn pass(&mut self, time: Duration) {
        self.drive_for(time, |_| false);
    }
}

impl End {
    pub fn new(address: &str, config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config, Arc::new(AwsLc), Arc::new(entropy::Seeded::next())),
            address: address.parse().expect("an address"),
            others: Vec::new(),
            connections: BTreeMap::new(),
            accepted: VecDeque::new(),
            events: Vec::new(),
            policy: |_| Policy::Accept,
            segments: 44,
            sent_to: Vec::with_capacity(1024),
            buf: vec![0; tq_quic::TRANSMIT_BUFFER],
        }
    }

    /// The address of a socket.
    pub fn socket(&self, number: u32) -> SocketAddr {
        number.checked_sub(1).map_or(self.address, |at| self.others[at as usize])
    }

    fn socket_at(&self, address: SocketAddr) -> Option<u32> {
        let mut all = std::iter::once(&self.address).chain(&self.others);
        all.position(|known| *known == address).map(|at| at as u32)
    }

    /// How a connection ended, if the application was told.
    pub fn closed(&self, handle: Handle) -> Option<&ConnectionError> {
        self.events.iter().find_map(|(of, event)| match event {
            Event::Closed(error) if *of == handle => Some(error),
            _ => None,
        })
    }

    pub fn has(&self, handle: Handle, event: &Event) -> bool {
        self.events.iter().any(|(of, what)| *of == handle && what == event)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.connections.values().filter_map(Connection::deadline).min()
    }

    fn on_deadline(&mut self, now: Instant) {
        for connection in self.connections.values_mut() {
            if connection.deadline().is_some_and(|at| at <= now) {
                connection.on_deadline(now);
            }
        }
        self.collect();
    }

    /// Tells the endpoint what it must know and keeps what applications would hear.
    pub fn collect(&mut self) {
        let mut gone = Vec::new();
        for (handle, connection) in &mut self.connections {
            while let Some(event) = connection.poll_endpoint_event() {
                self.endpoint.handle_event(*handle, event);
            }
            while let Some(event) = connection.poll_event() {
                self.events.push((*handle, event));
            }
            if connection.is_drained() {
                gone.push(*handle);
            }
        }
        for handle in gone {
            self.connections.remove(&handle);
        }
    }

    fn transmit(&mut self, now: Instant) -> Vec<(Transmit, Vec<u8>)> {
        self.collect();
        let mut out = Vec::new();
        let buf = &mut self.buf;
        for connection in self.connections.values_mut() {
            while let Some(transmit) = connection.transmit(now, buf, self.segments) {
                assert!(transmit.len > 0 && out.len() < 100_000, "transmit does not end");
                if self.sent_to.len() < self.sent_to.capacity() {
                    self.sent_to.push((transmit.remote, transmit.len as u64));
                }
                out.push((transmit, buf[..transmit.len].to_vec()));
            }
        }
        self.collect();
        out
    }

    fn receive(&mut self, now: Instant, flying: &Flying) -> Option<(Transmit, Vec<u8>)> {
        let socket = self.socket_at(flying.to).unwrap_or(0);
        let meta = RecvMeta {
            remote: flying.from,
            local_ip: Some(self.socket(socket).ip()),
            socket,
            ecn: flying.ecn,
        };
        let mut reply = Vec::new();
        let mut bytes = flying.bytes.clone();
        let route = self.endpoint.receive(now, &meta, &mut bytes, &mut reply);
        let transmit = match route {
            Route::Connection(handle) => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.receive(now, &meta, &mut bytes);
                }
                None
            }
            Route::Incoming(incoming) => self.decide(now, incoming, &mut reply),
            Route::Reply(transmit) => Some(transmit),
            Route::Kept | Route::Drop(_) => None,
        };
        self.collect();
        transmit.map(|transmit| (transmit, reply))
    }

    fn decide(&mut self, now: Instant, incoming: Incoming, reply: &mut Vec<u8>) -> Option<Transmit> {
        match (self.policy)(&incoming) {
            Policy::Retry if incoming.may_retry() => self.endpoint.retry(now, &incoming, reply),
            Policy::Accept | Policy::Retry => match self.endpoint.accept(now, incoming, reply) {
                Ok((handle, connection)) => {
                    self.connections.insert(handle, connection);
                    self.accepted.push_back(handle);
                    None
                }
                Err((_, transmit)) => transmit,
            },
            Policy::Refuse => Some(self.endpoint.refuse(now, &incoming, reply)),
            Policy::Ignore => {
                self.endpoint.ignore(&incoming);
                None
            }
        }
    }
}
