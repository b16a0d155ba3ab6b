//! quinn's end: a stack that has never heard of multipath.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    Incoming, ServerConfig, StreamId, Transmit,
};

use crate::work::work;
use crate::{Datagram, End, Identity, SERVER, client};

const SEGMENTS: usize = 10;

/// quinn's endpoint with its one connection.
pub struct Quinn {
    endpoint: Endpoint,
    epoch: Instant,
    address: std::net::SocketAddr,
    connection: Option<(ConnectionHandle, Connection)>,
    confirmed: bool,
    error: Option<String>,
    sending: Vec<(StreamId, Arc<[u8]>, usize)>,
    receiving: BTreeMap<StreamId, Vec<u8>>,
    got: Vec<Vec<u8>>,
    replies: Vec<Datagram>,
}

impl Quinn {
    fn new(server: Option<Arc<ServerConfig>>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "quinn's clock cannot be made otherwise; only differences count"
        )]
        let epoch = Instant::now();
        Self {
            address: if server.is_some() { SERVER } else { client(0) },
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), server, true, Some([3; 32])),
            epoch,
            connection: None,
            confirmed: false,
            error: None,
            sending: Vec::new(),
            receiving: BTreeMap::new(),
            got: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// A client that begins to connect.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn client(identity: &Identity) -> Self {
        let mut end = Self::new(None);
        let crypto = QuicClientConfig::try_from(identity.client()).expect("a suite for Initials");
        let config = ClientConfig::new(Arc::new(crypto));
        end.connection = Some(end.endpoint.connect(end.epoch, config, SERVER, "localhost").expect("starts"));
        end
    }

    /// A server that takes one connection.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn server(identity: &Identity) -> Self {
        let crypto = QuicServerConfig::try_from(identity.server()).expect("a suite for Initials");
        Self::new(Some(Arc::new(ServerConfig::with_crypto(Arc::new(crypto)))))
    }

    fn queue(&mut self, transmit: &Transmit, buf: &[u8]) {
        for bytes in buf[..transmit.size].chunks(transmit.segment_size.unwrap_or(transmit.size)) {
            let datagram = Datagram { from: self.address, to: transmit.destination, bytes: bytes.to_vec() };
            self.replies.push(datagram);
        }
    }

    fn accept(&mut self, now: Instant, incoming: Incoming) {
        let mut buf = Vec::new();
        match self.endpoint.accept(incoming, now, &mut buf, None) {
            Ok(accepted) => self.connection = Some(accepted),
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.queue(&transmit, &buf);
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
            match event {
                Event::Connected => self.confirmed = true,
                Event::ConnectionLost { reason } => self.error = Some(reason.to_string()),
                _ => {}
            }
        }
    }

    fn work(&mut self) {
        work!(self, quinn_proto);
    }
}

impl End for Quinn {
    fn receive(&mut self, now: Duration, datagram: Datagram) {
        let now = self.epoch + now;
        let (mut buf, bytes) = (Vec::new(), BytesMut::from(&datagram.bytes[..]));
        match self.endpoint.handle(now, datagram.from, Some(datagram.to.ip()), None, bytes, &mut buf) {
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(now, incoming),
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(transmit)) => self.queue(&transmit, &buf),
            None => {}
        }
        self.collect();
    }

    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        self.collect();
        self.work();
        let (now, mut buf) = (self.epoch + now, Vec::new());
        while let Some(transmit) = self
            .connection
            .as_mut()
            .and_then(|(_, connection)| connection.poll_transmit(now, SEGMENTS, &mut buf))
        {
            self.queue(&transmit, &buf);
            buf.clear();
        }
        out.append(&mut self.replies);
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
        self.confirmed
    }

    fn send(&mut self, data: Arc<[u8]>) {
        let (_, connection) = self.connection.as_mut().expect("a connection");
        let id = connection.streams().open(Dir::Uni).expect("streams are allowed");
        self.sending.push((id, data, 0));
    }

    fn got(&self) -> &[Vec<u8>] {
        &self.got
    }

    fn error(&self) -> Option<String> {
        self.error.clone()
    }
}
