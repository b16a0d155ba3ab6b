//! What both ends of a bond ask of the transport.

use std::time::Duration;

use tq::TransportConfig;

/// An outage of all links up to 120 s ends nothing.
pub(crate) const IDLE: Duration = Duration::from_secs(125);
/// A router notices that its server began anew within this and a probe or two.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Paths of a session.
pub(crate) const PATHS: u32 = 8;
/// TCP connections of a device at a time.
pub(crate) const STREAMS: u64 = 4096;

/// Codes a session is closed with.
pub(crate) mod code {
    /// The end that says it stops.
    pub(crate) const STOP: u64 = 0x10;
    /// The device came again.
    pub(crate) const REPLACED: u64 = 0x11;
    /// The device may not come any more.
    pub(crate) const ENDED: u64 = 0x12;
    /// What the peer said on the control stream makes no sense.
    pub(crate) const PROTOCOL: u64 = 0x13;
    /// There are as many sessions as there may be.
    pub(crate) const FULL: u64 = 0x14;
}

/// For both roles.
pub(crate) fn common(transport: &mut TransportConfig) {
    transport.idle_timeout = IDLE;
    transport.max_paths = Some(PATHS);
    transport.stream.max_bidi = 0;
    transport.stream.max_uni = 0;
    transport.datagram_receive_buffer = 0;
}
