//! The end that is ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tq_quic::crypto::Entropy;
use tq_quic::time::Instant;
use tq_quic::wire::{Dir, Ecn, PathId, StreamId};
use tq_quic::{
    ClientConfig, Connection, Endpoint, EndpointConfig, Event, Handle, PathEvent, PathInfo, RecvMeta, Route,
    ServerConfig, Status, TransportConfig, WriteError,
};
use tq_tls::AwsLc;

use crate::{Datagram, End, Identity, Multipath, SERVER};

/// Segments asked of `transmit`.
const SEGMENTS: usize = 10;

/// Our endpoint with its one connection.
pub struct Ours {
    endpoint: Endpoint,
    sockets: Vec<SocketAddr>,
    connection: Option<(Handle, Connection)>,
    /// What the application was told.
    pub events: Vec<Event>,
    sending: Vec<(StreamId, Arc<[u8]>, usize)>,
    receiving: BTreeMap<StreamId, Vec<u8>>,
    got: Vec<Vec<u8>>,
    replies: Vec<Datagram>,
    buf: Vec<u8>,
}

/// Entropy from a seed.
struct Seeded(Mutex<u64>);

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.lock().expect("nobody panics in here");
        for chunk in out.chunks_mut(8) {
            // splitmix64
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The core's clock does not begin at zero.
fn instant(now: Duration) -> Instant {
    Instant::from_nanos(1_000_000_000 + now.as_nanos() as u64)
}

/// A configuration that allows so many paths.
pub fn paths(count: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.max_paths = Some(count);
    config
}

impl Ours {
    fn new(seed: u64, sockets: Vec<SocketAddr>) -> Self {
        let entropy = Arc::new(Seeded(Mutex::new(seed)));
        Self {
            endpoint: Endpoint::new(EndpointConfig::default(), Arc::new(AwsLc), entropy),
            sockets,
            connection: None,
            events: Vec::new(),
            sending: Vec::new(),
            receiving: BTreeMap::new(),
            got: Vec::new(),
            replies: Vec::new(),
            buf: vec![0; tq_quic::TRANSMIT_BUFFER],
        }
    }

    /// A client that begins to connect over the first of its addresses.
    ///
    /// # Panics
    /// TLS cannot begin.
    pub fn client(identity: &Identity, config: TransportConfig, sockets: Vec<SocketAddr>) -> Self {
        let mut end = Self::new(1 << 32, sockets);
        let config = ClientConfig::new(identity.our_client(), Arc::new(config));
        let now = instant(Duration::ZERO);
        end.connection = Some(end.endpoint.connect(now, &config, SERVER, 0, "localhost").expect("starts"));
        end
    }

    /// A server that takes one connection.
    pub fn server(identity: &Identity, config: TransportConfig) -> Self {
        let mut end = Self::new(2 << 32, vec![SERVER]);
        let config = ServerConfig { tls: identity.our_server(), transport: Arc::new(config) };
        end.endpoint.set_server(Some(Arc::new(config)));
        end
    }

    /// The connection.
    ///
    /// # Panics
    /// There is none, yet or any more.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("a connection").1
    }

    /// What is known of a path.
    pub fn path(&mut self, id: u32) -> Option<PathInfo> {
        self.connection().paths().find(|path| path.id == PathId(id))
    }

    /// Whether the application was told this of a path.
    pub fn told(&self, event: PathEvent) -> bool {
        self.events.contains(&Event::Path(event))
    }

    /// Stateless resets, Retry and other answers that no connection gave.
    pub fn answers_without_a_connection(&self) -> u64 {
        self.endpoint.counters().datagrams_sent
    }

    fn collect(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_event() {
            self.endpoint.handle_event(*handle, event);
        }
        while let Some(event) = connection.poll_event() {
            self.events.push(event);
        }
    }

    fn work(&mut self) {
        let Some((_, connection)) = &mut self.connection else { return };
        if connection.is_closed() {
            return;
        }
        for (id, data, at) in &mut self.sending {
            while *at < data.len() {
                match connection.write_slice(*id, &data[*at..]) {
                    Ok(written) => *at += written,
                    Err(WriteError::Blocked) => break,
                    Err(error) => panic!("write failed: {error:?}"),
                }
            }
            if *at == data.len() {
                *at += 1;
                connection.finish(*id).expect("first finish");
            }
        }
        self.sending.retain(|(_, data, at)| *at <= data.len());
        while let Some(id) = connection.accept(Dir::Uni) {
            self.receiving.insert(id, Vec::new());
        }
        let mut whole = Vec::new();
        for (id, into) in &mut self.receiving {
            loop {
                match connection.read(*id, usize::MAX) {
                    Ok(Some(bytes)) => into.extend_from_slice(&bytes),
                    Ok(None) => break whole.push(*id),
                    Err(_) => break,
                }
            }
        }
        for id in whole {
            self.got.extend(self.receiving.remove(&id));
        }
    }

    fn meta(&self, datagram: &Datagram) -> RecvMeta {
        let socket = self.sockets.iter().position(|socket| *socket == datagram.to).unwrap_or(0);
        RecvMeta {
            remote: datagram.from,
            local_ip: Some(datagram.to.ip()),
            socket: socket as u32,
            ecn: Ecn::NotEct,
        }
    }
}

impl End for Ours {
    fn receive(&mut self, now: Duration, mut datagram: Datagram) {
        let meta = self.meta(&datagram);
        let mut reply = Vec::new();
        let transmit = match self.endpoint.receive(instant(now), &meta, &mut datagram.bytes, &mut reply) {
            Route::Connection(_) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.receive(instant(now), &meta, &mut datagram.bytes);
                }
                None
            }
            Route::Incoming(incoming) => match self.endpoint.accept(instant(now), incoming, &mut reply) {
                Ok(accepted) => {
                    self.connection = Some(accepted);
                    None
                }
                Err((_, transmit)) => transmit,
            },
            Route::Reply(transmit) => Some(transmit),
            Route::Kept | Route::Drop(_) => None,
        };
        if let Some(transmit) = transmit {
            let from = self.sockets[transmit.socket as usize];
            self.replies.push(Datagram { from, to: transmit.remote, bytes: reply });
        }
        self.collect();
    }

    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        self.collect();
        self.work();
        out.append(&mut self.replies);
        if let Some((_, connection)) = &mut self.connection {
            while let Some(transmit) = connection.transmit(instant(now), &mut self.buf, SEGMENTS) {
                let from = self.sockets[transmit.socket as usize];
                for bytes in self.buf[..transmit.len].chunks(transmit.segment.unwrap_or(transmit.len)) {
                    out.push(Datagram { from, to: transmit.remote, bytes: bytes.to_vec() });
                }
            }
        }
        self.collect();
    }

    fn deadline(&mut self) -> Option<Duration> {
        let at = self.connection.as_ref()?.1.deadline()?;
        Some(Duration::from_nanos(at.as_nanos().saturating_sub(1_000_000_000)))
    }

    fn on_deadline(&mut self, now: Duration) {
        if let Some((_, connection)) = &mut self.connection {
            connection.on_deadline(instant(now));
        }
        self.collect();
    }

    fn is_confirmed(&self) -> bool {
        self.events.contains(&Event::Confirmed)
    }

    fn send(&mut self, data: Arc<[u8]>) {
        let id = self.connection().open(Dir::Uni).expect("streams are allowed");
        self.sending.push((id, data, 0));
    }

    fn got(&self) -> &[Vec<u8>] {
        &self.got
    }

    fn error(&self) -> Option<String> {
        self.events.iter().find_map(|event| match event {
            Event::Closed(error) => Some(error.to_string()),
            _ => None,
        })
    }
}

impl Multipath for Ours {
    fn is_multipath(&mut self) -> bool {
        self.connection().is_multipath()
    }

    fn open_path(&mut self, now: Duration, link: usize) -> Result<u32, String> {
        let local = self.sockets[link].ip();
        let opened = self.connection().open_path(instant(now), link as u32, Some(local), SERVER);
        opened.map(|id| id.0).map_err(|error| error.to_string())
    }

    fn close_path(&mut self, now: Duration, path: u32, code: u32) {
        let closed = self.connection().close_path(instant(now), PathId(path), u64::from(code));
        closed.expect("a path that is not the last");
    }

    fn set_status(&mut self, now: Duration, path: u32, backup: bool) {
        let status = if backup { Status::Backup } else { Status::Available };
        self.connection().set_path_status(instant(now), PathId(path), status).expect("a path");
    }

    fn is_backup_for_peer(&mut self, path: u32) -> bool {
        self.path(path).is_some_and(|path| path.peer_status == Status::Backup)
    }

    fn remote_of(&mut self, path: u32) -> Option<SocketAddr> {
        self.path(path).map(|path| path.remote)
    }

    fn is_validated(&self, path: u32) -> bool {
        self.told(PathEvent::Validated(PathId(path)))
    }

    fn is_abandoned(&self, path: u32) -> bool {
        let of = |event: &Event| matches!(event, Event::Path(PathEvent::Abandoned { path: of, .. }) if of.0 == path);
        self.events.iter().any(of)
    }

    fn is_gone(&self, path: u32) -> bool {
        self.told(PathEvent::Closed(PathId(path)))
    }

    fn describe(&mut self) -> String {
        let got = self.got.len();
        let connection = self.connection();
        let paths: Vec<PathInfo> = connection.paths().collect();
        format!("ours: {got} streams whole\n{paths:?}\n{:?}", connection.stats())
    }

    fn update_keys(&mut self, now: Duration) -> bool {
        self.connection().update_keys(instant(now))
    }
}
