//! What a caller may set. Every field has a default that suits a client and a small server.

use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use tq_buf::mem::{Arc, Vec};
use tq_cc::Algorithm;
use tq_wire::Version;

use crate::handshake::{ClientTls, ServerTls};
use crate::stream::{StreamConfig, WindowBudget};

/// The handshake must be done within this time, whatever is configured (P5).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Connection ids issued to a peer at a time (decision 4).
pub const CID_POOL: u64 = 8;

/// Smallest datagram size a QUIC path must carry (RFC 9000 §14).
pub const MIN_MTU: u16 = 1200;

/// How a connection behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Silence after which the connection is given up; zero: never. Default 30 s. The smaller of both ends' counts.
    pub idle_timeout: Duration,
    /// Streams and flow control.
    pub stream: StreamConfig,
    /// Congestion controller of new paths. Default: CUBIC, and `auto` where `max_paths` allows several (decision 19).
    pub congestion: Option<Algorithm>,
    /// Whether CUBIC and NewReno keep their own queue at 5 to 20 ms (a quarter of the least round trip), while nobody else
    /// fills it. Default: where a connection has several paths. There a queue delays what goes to other paths, and the
    /// failure of one is noticed and mended behind it; with one path it costs nobody else anything.
    pub queue_governor: Option<bool>,
    /// Whether paths with a round trip of 100 ms or more are started faster: a larger initial window, and a jump to half
    /// of what trains of packets say the path may carry. Default true.
    pub long_path_start: bool,
    /// Whether paths are measured for later connections, and begin with what earlier ones measured of their links
    /// (RFC 9959): a jump to half of that at most, a window of 1 MiB, when the first round trip is like it. Default true.
    pub remember: bool,
    /// Whether each decision of the scheduler goes to the subscriber of events, as a line from which `tq_sched::Decision` decides
    /// again (`tquic:decision_made`). That is some hundred bytes for each burst. Default false.
    pub record_decisions: bool,
    /// RTT assumed before the first sample (RFC 9002 §6.2.2). Default 333 ms.
    pub initial_rtt: Duration,
    /// Longest deliberate delay of our acknowledgements, in whole milliseconds, below 2^14. Default 5 ms (decision 7).
    pub max_ack_delay: Duration,
    /// Whether to ask a peer that can for fewer acknowledgements. Default true.
    pub ack_frequency: bool,
    /// UDP payload to start with, 1200 to 65527. Default 1200.
    pub initial_mtu: u16,
    /// Largest UDP payload to probe for. Default 1452 (Ethernet, IPv6).
    pub max_mtu: u16,
    /// Whether to probe for more than `initial_mtu` (DPLPMTUD, RFC 8899). Default true.
    pub mtu_discovery: bool,
    /// Bytes of received DATAGRAMs kept for the application; 0 refuses them. Default 1 MiB.
    pub datagram_receive_buffer: usize,
    /// Bytes of DATAGRAMs waiting to be sent. Default 1 MiB.
    pub datagram_send_buffer: usize,
    /// Send a PING after this much silence. Default none.
    pub keep_alive: Option<Duration>,
    /// Mark packets ECT(0) and validate that the path carries it. Default false (P8).
    pub ecn: bool,
    /// Pace what is sent. Default true.
    pub pacing: bool,
    /// Send reserved values where the RFCs reserve them, and clear the fixed bit for peers that allow it. Default true.
    pub grease: bool,
    /// Paths a peer may have at a time, 1 to 16; `None` for no multipath (draft-ietf-quic-multipath-21). In force if
    /// both ends set it. With 1, path 0 only for now; some peers take that for a refusal. Default `None`.
    pub max_paths: Option<u32>,
    /// Which path data goes on if there are several. Default aggregate: the sum of the paths, and never slower than the
    /// best of them.
    pub scheduler: tq_sched::Kind,
    /// Packets sealed with one key before we update it (decision 8). Default 2^22; at most the AEAD's limit.
    pub key_update_after: u64,
    /// Server: the IPv4 address clients are asked to move to (RFC 9000 §9.6). A socket must be there. Default none.
    pub preferred_v4: Option<SocketAddrV4>,
    /// Server: the same for clients that came over IPv6. Default none.
    pub preferred_v6: Option<SocketAddrV6>,
    /// Client: move to a server's preferred address of the family in use, once it has answered there. Default true.
    pub follow_preferred: bool,
    /// Whether the peer may migrate; false asks it not to (disable_active_migration). One behind a NAT that rebinds is
    /// followed all the same. Default true.
    pub allow_migration: bool,
}

impl TransportConfig {
    /// The congestion controller of new paths.
    pub fn congestion(&self) -> Algorithm {
        let several = self.max_paths.is_some_and(|most| most > 1);
        self.congestion.unwrap_or(if several { Algorithm::Auto } else { Algorithm::Cubic })
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            stream: StreamConfig::default(),
            congestion: None,
            queue_governor: None,
            long_path_start: true,
            remember: true,
            record_decisions: false,
            initial_rtt: Duration::from_millis(333),
            max_ack_delay: Duration::from_millis(5),
            ack_frequency: true,
            initial_mtu: MIN_MTU,
            max_mtu: 1452,
            mtu_discovery: true,
            datagram_receive_buffer: 1 << 20,
            datagram_send_buffer: 1 << 20,
            keep_alive: None,
            ecn: false,
            pacing: true,
            grease: true,
            max_paths: None,
            scheduler: tq_sched::Kind::Aggregate,
            key_update_after: 1 << 22,
            preferred_v4: None,
            preferred_v6: None,
            follow_preferred: true,
            allow_migration: true,
        }
    }
}

/// What an endpoint needs to know before any connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Length of the connection ids we issue, 4 to 20. Default 8.
    pub cid_len: usize,
    /// First octet of the connection ids we issue: the worker that owns the connection (decision 4). Default none:
    /// random.
    pub worker: Option<u8>,
    /// Key of stateless reset tokens. Keep it over restarts so that peers learn quickly. Default: drawn anew.
    pub reset_key: Option<[u8; 32]>,
    /// Key of Retry and NEW_TOKEN tokens. Share it between servers of one address. Default: drawn anew.
    pub token_key: Option<[u8; 32]>,
    /// Versions spoken, preferred first. Default v1. A server answers a client in the first of these that the client
    /// offers; a client offers them all and begins with [`ClientConfig::version`].
    pub versions: Vec<Version>,
    /// Handshakes a server keeps open at a time; beyond, Initials are dropped. Default 4096.
    pub max_half_open: usize,
    /// Of these, how many may come from one neighbourhood: an IPv4 /24 or an IPv6 /56. Default 1024.
    pub max_half_open_per_prefix: usize,
    /// From so many handshakes on, strangers without a token are sent a Retry instead of being reported; those of one
    /// neighbourhood from a quarter of its share on. `None`: never. Default 1024.
    pub retry_above: Option<usize>,
    /// How long a token of NEW_TOKEN may be used. Default 7 days.
    pub token_lifetime: Duration,
    /// How long a Retry token may be used. Default 15 s.
    pub retry_lifetime: Duration,
    /// What receive windows may grow to, all connections together; share it between the endpoints of a process.
    /// Default 1 GiB for this endpoint alone.
    pub window_budget: Arc<WindowBudget>,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            cid_len: 8,
            worker: None,
            reset_key: None,
            token_key: None,
            versions: tq_buf::mem::vec![Version::V1],
            max_half_open: 4096,
            max_half_open_per_prefix: 1024,
            retry_above: Some(1024),
            token_lifetime: Duration::from_secs(7 * 24 * 3600),
            retry_lifetime: Duration::from_secs(15),
            window_budget: Arc::new(WindowBudget::new(1 << 30)),
        }
    }
}

/// How to serve.
#[derive(Clone)]
pub struct ServerConfig {
    /// Makes TLS sessions.
    pub tls: Arc<dyn ServerTls>,
    /// Of every accepted connection.
    pub transport: Arc<TransportConfig>,
}

/// How to connect.
#[derive(Clone)]
pub struct ClientConfig {
    /// Makes TLS sessions.
    pub tls: Arc<dyn ClientTls>,
    /// Of the connection.
    pub transport: Arc<TransportConfig>,
    /// Version of the first packet. Default v1.
    pub version: Version,
}

impl ClientConfig {
    /// Version 1 with these settings.
    pub const fn new(tls: Arc<dyn ClientTls>, transport: Arc<TransportConfig>) -> Self {
        Self { tls, transport, version: Version::V1 }
    }
}
