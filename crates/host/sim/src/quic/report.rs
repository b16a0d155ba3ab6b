//! What a simulated QUIC host can say about itself and its connections at any moment.

use std::net::SocketAddr;

use tq_event::Counters;
use tq_quic::{ConnectionError, Handle, Stats};
use tq_time::Instant;
use tq_wire::Side;

/// A host's numbers.
#[derive(Clone, Debug, Default)]
pub struct HostReport {
    /// Connections, in the order in which they began.
    pub connections: Vec<ConnectionReport>,
    /// Strangers seen, asked to come back with a token, refused, not answered.
    pub strangers: [u64; 4],
    /// Connections that could not even begin, and why.
    pub failed: Vec<(Instant, String)>,
    /// Datagrams dropped before they reached a connection.
    pub endpoint: Counters,
    /// Datagrams handed to the network.
    pub datagrams_sent: u64,
    /// Datagrams that came from it.
    pub datagrams_received: u64,
}

impl HostReport {
    /// Connections whose state is not gone yet.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|connection| connection.gone.is_none()).count()
    }

    /// All connections' counters together.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for connection in &self.connections {
            sum.add(&connection.stats.counters);
        }
        sum
    }
}

/// A connection's numbers.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// Its name at this host; names are used again when a connection is gone.
    pub handle: Handle,
    /// Which end this host is.
    pub side: Side,
    /// The peer's address at the start.
    pub remote: SocketAddr,
    /// When it began.
    pub started: Instant,
    /// When its state was gone.
    pub gone: Option<Instant>,
    /// Why it ended, if it did.
    pub error: Option<ConnectionError>,
    /// Its numbers when it ended, or now.
    pub stats: Stats,
}
