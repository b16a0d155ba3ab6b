//! What both ends of a bond ask of the transport.

use std::time::Duration;

use tq::TransportConfig;

use crate::config::Transport;

/// An outage of all links up to 120 s ends nothing.
pub(crate) const IDLE: Duration = Duration::from_secs(125);
/// A router says so often that it is there, and notices as soon that its server began anew.
pub(crate) const ALIVE: Duration = Duration::from_secs(2);
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

/// Receive windows of a stream may grow to this: 250 Mbit/s over 500 ms. Well below what a session holds for programs that do
/// not read.
const STREAM_WINDOW: u64 = 16 << 20;
/// What a router lets its server send ahead of all its programs, and a server each of its routers, to begin with.
const ROUTER_WINDOW: u64 = 64 << 20;
const SERVER_WINDOW: u64 = 4 << 20;
/// What each stream may be sent for certain, and what it is given when it begins while others leave enough: however many programs or
/// targets do not read, others go on. An upload has it with the answer of its target, before which nothing is sent.
const LEAST_WINDOW: u64 = 4 << 10;
const ROUTER_FIRST: u64 = 1 << 20;
const SERVER_FIRST: u64 = 512 << 10;

fn common(transport: &mut TransportConfig, wish: Transport) {
    if let Some(scheduler) = wish.scheduler {
        transport.scheduler = scheduler;
    }
    transport.congestion = Some(wish.congestion);
    transport.idle_timeout = IDLE;
    transport.max_paths = Some(PATHS);
    transport.stream.max_bidi = 0;
    transport.stream.max_uni = 0;
    transport.stream.stream_window = LEAST_WINDOW;
    transport.stream.max_stream_window = STREAM_WINDOW;
    transport.datagram_receive_buffer = 0;
}

/// For a router.
pub(crate) fn router(transport: &mut TransportConfig, wish: Transport) {
    common(transport, wish);
    transport.stream.connection_window = ROUTER_WINDOW;
    transport.stream.first_window = ROUTER_FIRST;
}

/// For a server.
pub(crate) fn server(transport: &mut TransportConfig, wish: Transport) {
    common(transport, wish);
    transport.stream.max_bidi = STREAMS;
    transport.stream.connection_window = SERVER_WINDOW;
    transport.stream.first_window = SERVER_FIRST;
}
