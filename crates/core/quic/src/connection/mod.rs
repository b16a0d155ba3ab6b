//! One connection: a struct with a field per concern. The concerns live in their own folders; this one wires them to
//! what a host calls. Receiving is in `rx`, sending in `tx`, loss and acknowledgement in `recovery`.

mod app;
mod aside;
mod cids;
mod close;
mod coupling;
mod early;
mod feedback;
mod groups;
mod guard;
pub(crate) mod handshaking;
mod health;
pub(crate) mod known;
mod log;
mod migrate;
mod multipath;
pub(crate) mod params;
mod paths;
mod pauses;
mod preferred;
mod race;
mod recovery;
mod rhythm;
mod stats;
mod timer;
mod versions;
mod ways;

pub(crate) use self::close::End;
pub(crate) use self::timer::Timer;
pub(crate) use self::ways::nanos;

use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use self::multipath::{Leaving, Multipath};
pub use early::EarlyData;
pub use paths::{ClosePathError, OpenPathError, PathEvent, PathInfo};
pub use preferred::{Local, MigrateError};
pub use race::RaceError;
pub use stats::{PathStats, Stats};
use tq_buf::mem::{Arc, Box, Vec, VecDeque};
use tq_cc::Algorithm;
use tq_event::{Counters, Emitter, Subscriber};
use tq_sched::Scheduler;
use tq_time::{Instant, Timers};
use tq_wire::params::PreferredAddress;
use tq_wire::{Cid, Ecn, PathId, ResetToken, Side, TransportParameters, Version};

use self::aside::Aside;
use self::handshaking::Handshaking;
use crate::cid::{LocalCids, PeerCids};
use crate::config::TransportConfig;
use crate::datagram::Datagrams;
use crate::error::ConnectionError;
use crate::handshake::crypto_stream::CryptoStreams;
use crate::handshake::keys::KeyStore;
use crate::path::{Path, PathState, Statuses, Tuple};
use crate::shared::Shared;
use crate::space::{Acked, Lost, Space};
use crate::stream::{StreamEvent, Streams};
use crate::tx::Copies;

/// Where a datagram came from.
#[derive(Clone, Copy, Debug)]
pub struct RecvMeta {
    /// The sender.
    pub remote: SocketAddr,
    /// The address it was sent to, if the socket tells.
    pub local_ip: Option<core::net::IpAddr>,
    /// Which of the host's sockets it came in on.
    pub socket: u32,
    /// The ECN bits of its IP header.
    pub ecn: Ecn,
}

/// Datagrams to send: one, or a batch of equal ones (the last may be shorter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To.
    pub remote: SocketAddr,
    /// From this address, if it matters.
    pub local_ip: Option<core::net::IpAddr>,
    /// Through this of the host's sockets.
    pub socket: u32,
    /// ECN bits to set.
    pub ecn: Ecn,
    /// Bytes of the buffer that were filled.
    pub len: usize,
    /// Bytes of each datagram if there is more than one.
    pub segment: Option<usize>,
    /// When it should leave. Not before this.
    pub depart_at: Instant,
}

/// What an application learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Server name and application protocol are known.
    HandshakeData,
    /// What becomes of 0-RTT: told on a client that may have sent some, before [`Event::Connected`], and on a server that
    /// takes it. Rejected, streams go again in 1-RTT by themselves.
    EarlyData {
        /// Whether the server takes it.
        accepted: bool,
    },
    /// The handshake is complete: the peer is who it says.
    Connected,
    /// Both ends know that it is complete (RFC 9001 §4.1.2).
    Confirmed,
    /// A client's packets go another way from now on: to `remote`, from the host's socket `socket`.
    Moved {
        /// The server.
        remote: SocketAddr,
        /// Which socket.
        socket: u32,
    },
    /// A client's new way carried no answer: all is as before.
    MoveFailed,
    /// The connection ended.
    Closed(ConnectionError),
    /// A stream changed.
    Stream(StreamEvent),
    /// `read_datagram` has something.
    DatagramReceived,
    /// `send_datagram` has room again.
    DatagramSpace,
    /// A path changed.
    Path(PathEvent),
}

/// What the endpoint must hear before anything is transmitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndpointEvent {
    /// Packets to this id are for this connection.
    CidIssued(Cid),
    /// No longer.
    CidRetired(Cid),
    /// On this path, a stateless reset from this address would end in this token.
    ResetToken(PathId, SocketAddr, ResetToken),
    /// There is no such token for this path any more.
    ResetTokenGone(PathId),
    /// A token for a later connection to the same server in the same version.
    NewToken(Version, Vec<u8>),
    /// The handshake is over: it no longer counts as half open.
    Established,
    /// The connection's state may go.
    Drained,
}

/// What is kept of one path id, whether there is a path or not: connection ids both ways, status, its end.
pub(crate) struct PathCids {
    pub(crate) path: PathId,
    pub(crate) local: LocalCids,
    pub(crate) peer: PeerCids,
    pub(crate) status: Statuses,
    /// Set once the path id is abandoned.
    pub(crate) leaving: Option<Leaving>,
}

impl PathCids {
    pub(crate) fn new(path: PathId) -> Self {
        Self {
            path,
            local: LocalCids::new(path),
            peer: PeerCids::new(path, crate::config::CID_POOL),
            status: Statuses::default(),
            leaving: None,
        }
    }
}

/// A packet number space of this connection; applications' by the path's place in `paths`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceId {
    Initial,
    Handshake,
    App(usize),
}

impl SpaceId {
    /// Place among a path's probe counters.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Initial => 0,
            Self::Handshake => 1,
            Self::App(_) => 2,
        }
    }
}

/// A QUIC connection without I/O. See the crate's page for the order of calls.
pub struct Connection {
    pub(crate) side: Side,
    pub(crate) version: Version,
    pub(crate) config: Arc<TransportConfig>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) end: End,
    pub(crate) hs: Handshaking,
    pub(crate) keys: KeyStore,
    pub(crate) crypto: CryptoStreams,
    pub(crate) initial: Option<Space>,
    pub(crate) handshake: Option<Space>,
    pub(crate) paths: Vec<Path>,
    pub(crate) cids: Vec<PathCids>,
    pub(crate) multipath: Multipath,
    /// Names the connection to people and tools.
    pub(crate) token: u32,
    /// The handshake is complete, and what could wait until later is not done.
    pub(crate) settling: bool,
    /// The peer is to get ids when the host asks what the endpoint must hear: a connection that ends with the datagrams
    /// that complete its handshake needs none.
    pub(crate) ids_due: bool,
    /// The path something was heard on last.
    pub(crate) heard_on: PathId,
    pub(crate) scheduler: Scheduler,
    /// When the scheduler wants to be asked again.
    pub(crate) pick_again: Option<Instant>,
    /// Credit is to go on this path as well.
    pub(crate) credit_on: Option<PathId>,
    /// Copies it asked for.
    pub(crate) copies: Option<Copies>,
    /// Links over which the handshake is raced, until one answers.
    pub(crate) race: Option<Box<race::Race>>,
    /// What earlier connections measured, and what this one measures for later ones.
    pub(crate) known: Option<Box<known::Known>>,
    /// Sockets of the host's that take nothing at the moment.
    pub(crate) full: SmallVec<[u32; 2]>,
    /// Addresses probed beside the one in use by path 0.
    pub(crate) asides: Vec<Aside>,
    /// The packet being written goes to one of them.
    pub(crate) beside: bool,
    /// Bytes of the datagram at hand.
    pub(crate) heard: u64,
    /// A server's address that was left, and until when it is still listened to.
    pub(crate) former: Option<(SocketAddr, Instant)>,
    /// Where a server would rather be.
    pub(crate) preferred: Option<Box<PreferredAddress>>,
    pub(crate) streams: Streams,
    pub(crate) datagrams: Datagrams,
    pub(crate) peer: TransportParameters,
    pub(crate) ack_frequency: rhythm::AckFrequencyState,
    pub(crate) timers: Timers<{ Timer::COUNT }>,
    pub(crate) idle: Option<Duration>,
    /// An ack-eliciting packet was sent since the last one received (RFC 9000 §10.1).
    pub(crate) idle_armed_by_send: bool,
    pub(crate) last_activity: Instant,
    pub(crate) events: VecDeque<Event>,
    pub(crate) endpoint_events: VecDeque<EndpointEvent>,
    pub(crate) counters: Counters,
    pub(crate) emitter: Emitter,
    // reused between calls, so that the data path does not allocate
    pub(crate) acked: Acked,
    pub(crate) lost: Lost,
    pub(crate) seals: Vec<tq_crypto::Seal>,
}

/// What a new connection is made of.
pub(crate) struct Init {
    pub(crate) side: Side,
    pub(crate) version: Version,
    pub(crate) config: Arc<TransportConfig>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tuple: Tuple,
    pub(crate) local_cid: Cid,
    pub(crate) peer_cid: Cid,
    pub(crate) hs: Handshaking,
}

impl Connection {
    pub(crate) fn new(now: Instant, init: Init) -> Self {
        let Init { side, version, config, shared, tuple, local_cid, peer_cid, hs } = init;
        let seed = || shared.entropy.u64();
        let mut path = Path::new(PathId::ZERO, tuple, &config, now, seed());
        // the handshake proves it in its own way
        path.state = PathState::Active;
        let mut ids = PathCids::new(PathId::ZERO);
        // the token of a server's goes out with its transport parameters, that of a client's not at all
        ids.local.issue(local_cid, ResetToken([0; ResetToken::LEN]), false);
        ids.peer.set_first(peer_cid, None);
        let mut connection = Self {
            side,
            version,
            end: End::None,
            keys: KeyStore::default(),
            crypto: CryptoStreams::default(),
            initial: Some(Space::new(seed(), true)),
            handshake: None,
            paths: tq_buf::mem::vec![path],
            cids: tq_buf::mem::vec![ids],
            multipath: Multipath::default(),
            token: shared.entropy.u64() as u32,
            settling: false,
            ids_due: false,
            heard_on: PathId::ZERO,
            scheduler: Scheduler::new(config.scheduler),
            pick_again: None,
            credit_on: None,
            copies: None,
            race: None,
            known: None,
            full: SmallVec::new(),
            asides: Vec::new(),
            beside: false,
            heard: 0,
            former: None,
            preferred: None,
            streams: Streams::new(side, &config.stream),
            datagrams: Datagrams::new(config.datagram_receive_buffer, config.datagram_send_buffer),
            peer: TransportParameters::default(),
            ack_frequency: rhythm::AckFrequencyState::default(),
            timers: Timers::default(),
            idle: Some(config.idle_timeout).filter(|idle| !idle.is_zero()),
            idle_armed_by_send: false,
            last_activity: now,
            // what a half-open handshake has to say, and no more
            events: VecDeque::with_capacity(1),
            endpoint_events: VecDeque::with_capacity(2),
            counters: Counters::default(),
            emitter: Emitter::none(),
            acked: Acked::default(),
            lost: Lost::default(),
            seals: Vec::new(),
            config,
            shared,
            hs,
        };
        let budget = Arc::clone(&connection.shared.window_budget);
        connection.streams.harden(budget, connection.shared.entropy.u64());
        connection.endpoint_events.push_back(EndpointEvent::CidIssued(local_cid));
        connection.timers.set(Timer::Handshake as usize, now + crate::config::HANDSHAKE_TIMEOUT);
        connection.arm_idle(now);
        connection
    }

    /// Hands events of this connection to `subscriber` from now on.
    pub fn set_subscriber(&mut self, now: Instant, subscriber: Box<dyn Subscriber>) {
        self.emitter = Emitter::new(subscriber);
        self.log_start(now);
    }

    /// What happened; `None` when all was told. Ask after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some(event) = self.streams.poll_event() {
            return Some(Event::Stream(event));
        }
        self.datagrams.take_space().then_some(Event::DatagramSpace)
    }

    /// What the endpoint must be told, before the next `transmit`.
    pub fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        if self.endpoint_events.is_empty() && core::mem::take(&mut self.ids_due) && !self.is_closed() {
            self.issue_cids();
            self.tell_may_open();
        }
        self.endpoint_events.pop_front()
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Version spoken: the one the connection began with until the server is known to have chosen another.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        !self.hs.complete && !self.is_closed()
    }

    /// The congestion controller of the first path.
    pub fn congestion(&self) -> Option<Algorithm> {
        self.paths.first().map(|path| path.cc.algorithm())
    }

    /// The peer's address on the first path that is not abandoned.
    pub fn remote(&self) -> SocketAddr {
        self.paths[self.first_live()].tuple.remote
    }

    /// A number that names the connection to people and tools (A3). It is random and not secret.
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Place of the first path that is not abandoned; there is one until the connection ends.
    pub(crate) fn first_live(&self) -> usize {
        self.paths.iter().position(|path| path.state.is_live()).unwrap_or(0)
    }

    /// The space behind an id, if its keys are not gone.
    pub(crate) fn space_mut(&mut self, id: SpaceId) -> Option<&mut Space> {
        match id {
            SpaceId::Initial => self.initial.as_mut(),
            SpaceId::Handshake => self.handshake.as_mut(),
            SpaceId::App(ix) => self.paths.get_mut(ix).map(|path| &mut path.space),
        }
    }

    pub(crate) fn space(&self, id: SpaceId) -> Option<&Space> {
        match id {
            SpaceId::Initial => self.initial.as_ref(),
            SpaceId::Handshake => self.handshake.as_ref(),
            SpaceId::App(ix) => self.paths.get(ix).map(|path| &path.space),
        }
    }

    /// Bytes in flight on a path. Initial and Handshake run on the first path.
    // MUST 9002-6.4-2, 9002-7.5-2
    pub(crate) fn in_flight(&self, ix: usize) -> u64 {
        let early = |space: &Option<Space>| space.as_ref().map_or(0, |space| space.sent.bytes_in_flight());
        let app = self.paths[ix].space.sent.bytes_in_flight();
        if self.paths[ix].id == PathId::ZERO {
            app + early(&self.initial) + early(&self.handshake)
        } else {
            app
        }
    }

    /// Longest delay the peer puts on acknowledgements of 1-RTT packets.
    pub(crate) fn peer_ack_delay(&self) -> Duration {
        self.peer.max_ack_delay.max(self.ack_frequency.requested_delay())
    }
}

#[cfg(test)]
mod tests;
