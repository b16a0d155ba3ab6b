//! Snapshots of what was counted.

pub use tq_quic::Stats as ConnectionStats;

use tq_event::Counters;

/// What an endpoint has done so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections in the table, those included that only drain.
    pub open: usize,
    /// Attempts that wait for [`crate::Endpoint::accept`].
    pub waiting: usize,
    /// Attempts accepted.
    pub accepted: u64,
    /// Attempts refused.
    pub refused: u64,
    /// Attempts ignored because too many waited.
    pub ignored: u64,
    /// Datagrams the kernel threw away because the receive buffer was full; wraps per socket at 2^32.
    pub socket_drops: u64,
    /// Trains the socket did not take for another reason than a full buffer or their size.
    pub send_errors: u64,
    /// Of the endpoint itself and of connections that are gone.
    pub counters: Counters,
}
