//! noq's end. Beyond what [`End`] wants it opens and closes paths and says how they are to be used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use noq_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use noq_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    FourTuple, Incoming, PathEvent, PathId, PathStatus, ServerConfig, StreamId, Transmit, TransportConfig,
    VarInt,
};

use crate::work::work;
use crate::{Datagram, End, Identity, Multipath, SERVER};

const SEGMENTS: NonZeroUsize = NonZeroUsize::new(10).expect("not zero");

/// noq's endpoint with its one connection.
pub struct Noq {
    endpoint: Endpoint,
    /// The moment that counts as the beginning.
    epoch: Instant,
    addresses: Vec<SocketAddr>,
    connection: Option<(ConnectionHandle, Connection)>,
    /// What the application was told.
    pub events: Vec<Event>,
    /// Whether the application uses paths as the peer would like, which noq leaves to it.
    pub obliging: bool,
    sending: Vec<(StreamId, Arc<[u8]>, usize)>,
    receiving: BTreeMap<StreamId, Vec<u8>>,
    got: Vec<Vec<u8>>,
    replies: Vec<Datagram>,
}

/// A configuration that allows so many paths.
pub fn paths(count: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.max_concurrent_multipath_paths(count);
    config
}

impl Noq {
    fn new(config: EndpointConfig, server: Option<Arc<ServerConfig>>, addresses: Vec<SocketAddr>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "noq's clock cannot be made otherwise; only differences count"
        )]
        let epoch = Instant::now();
        Self {
            endpoint: Endpoint::new(Arc::new(config), server, true),
            epoch,
            addresses,
            connection: None,
            events: Vec::new(),
            obliging: true,
            sending: Vec::new(),
            receiving: BTreeMap::new(),
            got: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// A client that begins to connect over the first of its addresses.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn client(identity: &Identity, config: TransportConfig, addresses: Vec<SocketAddr>) -> Self {
        Self::client_as(EndpointConfig::default(), identity, config, addresses)
    }

    /// The same, of an endpoint that is configured.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn client_as(
        mut endpoint: EndpointConfig,
        identity: &Identity,
        config: TransportConfig,
        addresses: Vec<SocketAddr>,
    ) -> Self {
        endpoint.rng_seed(Some([1; 32]));
        let mut end = Self::new(endpoint, None, addresses);
        let crypto = QuicClientConfig::try_from(identity.client()).expect("a suite for Initials");
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(config));
        end.connection = Some(end.endpoint.connect(end.epoch, client, SERVER, "localhost").expect("starts"));
        end
    }

    /// A server that takes one connection.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn server(identity: &Identity, config: TransportConfig) -> Self {
        Self::server_as(EndpointConfig::default(), identity, config)
    }

    /// The same, of an endpoint that is configured.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn server_as(mut endpoint: EndpointConfig, identity: &Identity, config: TransportConfig) -> Self {
        let crypto = QuicServerConfig::try_from(identity.server()).expect("a suite for Initials");
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server.transport_config(Arc::new(config));
        endpoint.rng_seed(Some([2; 32]));
        Self::new(endpoint, Some(Arc::new(server)), vec![SERVER])
    }

    /// The connection.
    ///
    /// # Panics
    /// There is none, yet or any more.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("a connection").1
    }

    /// Allows the peer more paths at a time than were agreed at first.
    ///
    /// # Panics
    /// There is no multipath.
    pub fn allow_paths(&mut self, now: Duration, count: u32) {
        let (now, count) = (self.epoch + now, NonZeroU32::new(count).expect("not zero"));
        self.connection().set_max_concurrent_paths(now, count).expect("multipath");
    }

    fn told(&self, of: impl Fn(&PathEvent) -> bool) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Path(event) if of(event)))
    }

    fn queue(replies: &mut Vec<Datagram>, addresses: &[SocketAddr], transmit: &Transmit, buf: &[u8]) {
        let of = |ip| addresses.iter().find(|address| address.ip() == ip).copied();
        let from = transmit.src_ip.and_then(of).unwrap_or(addresses[0]);
        for bytes in buf[..transmit.size].chunks(transmit.segment_size.unwrap_or(transmit.size)) {
            replies.push(Datagram { from, to: transmit.destination, bytes: bytes.to_vec() });
        }
    }

    fn accept(&mut self, now: Instant, incoming: Incoming) {
        let mut buf = Vec::new();
        match self.endpoint.accept(incoming, now, &mut buf, None) {
            Ok(accepted) => self.connection = Some(accepted),
            Err(error) => {
                if let Some(transmit) = error.response {
                    Self::queue(&mut self.replies, &self.addresses, &transmit, &buf);
                }
            }
        }
    }

    fn collect(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            if let Event::Path(PathEvent::RemoteStatus { id, status, .. }) = event
                && self.obliging
            {
                let _ = connection.set_path_status(id, status);
            }
            self.events.push(event);
        }
    }

    fn work(&mut self) {
        work!(self, noq_proto);
    }
}

impl End for Noq {
    fn receive(&mut self, now: Duration, datagram: Datagram) {
        let now = self.epoch + now;
        let tuple = FourTuple::new(datagram.from, Some(datagram.to.ip()));
        let mut buf = Vec::new();
        let bytes = BytesMut::from(&datagram.bytes[..]);
        match self.endpoint.handle(now, tuple, None, bytes, &mut buf) {
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(now, incoming),
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(transmit)) => {
                Self::queue(&mut self.replies, &self.addresses, &transmit, &buf);
            }
            None => {}
        }
        self.collect();
    }

    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        self.collect();
        self.work();
        out.append(&mut self.replies);
        if let Some((_, connection)) = &mut self.connection {
            let mut buf = Vec::new();
            while let Some(transmit) = connection.poll_transmit(self.epoch + now, SEGMENTS, &mut buf) {
                Self::queue(out, &self.addresses, &transmit, &buf);
                buf.clear();
            }
        }
        self.collect();
    }

    fn deadline(&mut self) -> Option<Duration> {
        let at = self.connection.as_mut()?.1.poll_timeout()?;
        Some(at.saturating_duration_since(self.epoch))
    }

    fn on_deadline(&mut self, now: Duration) {
        if let Some((_, connection)) = &mut self.connection {
            connection.handle_timeout(self.epoch + now);
        }
        self.collect();
    }

    fn is_confirmed(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Connected))
    }

    fn send(&mut self, data: Arc<[u8]>) {
        let id = self.connection().streams().open(Dir::Uni).expect("streams are allowed");
        self.sending.push((id, data, 0));
    }

    fn got(&self) -> &[Vec<u8>] {
        &self.got
    }

    fn error(&self) -> Option<String> {
        self.events.iter().find_map(|event| match event {
            Event::ConnectionLost { reason } => Some(reason.to_string()),
            _ => None,
        })
    }
}

impl Multipath for Noq {
    fn is_multipath(&mut self) -> bool {
        self.connection().is_multipath_negotiated()
    }

    fn open_path(&mut self, now: Duration, link: usize) -> Result<u32, String> {
        let tuple = FourTuple::new(SERVER, Some(self.addresses[link].ip()));
        let now = self.epoch + now;
        let opened = self.connection().open_path(tuple, PathStatus::Available, now);
        // an id tells its number to people only
        opened.map(|id| id.to_string().parse().expect("a number")).map_err(|error| error.to_string())
    }

    fn close_path(&mut self, now: Duration, path: u32, code: u32) {
        let now = self.epoch + now;
        let closed = self.connection().close_path(now, PathId::from(path), VarInt::from_u32(code));
        closed.expect("a path that is not the last");
    }

    fn set_status(&mut self, _: Duration, path: u32, backup: bool) {
        let status = if backup { PathStatus::Backup } else { PathStatus::Available };
        self.connection().set_path_status(PathId::from(path), status).expect("a path");
    }

    fn is_backup_for_peer(&mut self, path: u32) -> bool {
        self.connection().remote_path_status(PathId::from(path)) == Some(PathStatus::Backup)
    }

    fn remote_of(&mut self, path: u32) -> Option<SocketAddr> {
        self.connection().network_path(PathId::from(path)).ok().map(|tuple| tuple.remote())
    }

    fn is_validated(&self, path: u32) -> bool {
        self.told(|event| matches!(event, PathEvent::Established { id, .. } if *id == PathId::from(path)))
    }

    fn is_abandoned(&self, path: u32) -> bool {
        self.told(|event| matches!(event, PathEvent::Abandoned { id, .. } if *id == PathId::from(path)))
    }

    fn is_gone(&self, path: u32) -> bool {
        self.told(|event| matches!(event, PathEvent::Discarded { id, .. } if *id == PathId::from(path)))
    }

    fn describe(&mut self) -> String {
        let mut out = format!("noq: {} streams whole\n", self.got.len());
        let connection = self.connection();
        for id in connection.paths() {
            let (tuple, status) = (connection.network_path(id), connection.path_status(id));
            let peers = connection.remote_path_status(id);
            let stats = connection
                .path_stats(id)
                .map(|stats| (stats.rtt, stats.cwnd, stats.frame_tx, stats.frame_rx));
            out.push_str(&format!("path {id}: {tuple:?}, {status:?}, peer {peers:?}, {stats:?}\n"));
        }
        out
    }

    fn update_keys(&mut self, _: Duration) -> bool {
        self.connection().force_key_update();
        true
    }
}
