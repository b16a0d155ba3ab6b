//! The settings under which stacks are compared.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};
use perf_common::{any, bound, tls};
use s2n_quic::provider::{congestion_controller, io, limits::Limits, tls::rustls as quic};
use s2n_quic::{Client, Server};

const WINDOW: u64 = 64 << 20;
/// Bytes of a stream that wait to be sent or acknowledged: many times what is in flight on loopback.
const UNSENT: u32 = 8 << 20;
/// What IPv4 and UDP add to a datagram: s2n-quic counts them.
const HEADERS: u16 = 28;
/// Streams open at once.
const STREAMS: u64 = 1000;

pub(crate) fn server(listen: SocketAddr, mtu: u16) -> Result<(Server, SocketAddr)> {
    let (io, local) = socket(listen, mtu)?;
    let server = Server::builder()
        .with_tls(quic::Server::from(tls::server()?))?
        .with_limits(limits()?)?
        .with_congestion_controller(congestion_controller::Cubic::default())?
        .with_io(io)?
        .start()
        .map_err(|error| anyhow!("{error}"))?;
    Ok((server, local))
}

pub(crate) fn client(server: SocketAddr, mtu: u16) -> Result<Client> {
    Client::builder()
        .with_tls(quic::Client::from(tls::client()?))?
        .with_limits(limits()?)?
        .with_congestion_controller(congestion_controller::Cubic::default())?
        .with_io(socket(any(server), mtu)?.0)?
        .start()
        .map_err(|error| anyhow!("{error}"))
}

fn limits() -> Result<Limits> {
    Ok(Limits::new()
        .with_data_window(WINDOW)?
        .with_bidirectional_local_data_window(WINDOW)?
        .with_bidirectional_remote_data_window(WINDOW)?
        .with_max_open_local_bidirectional_streams(STREAMS)?
        .with_max_open_remote_bidirectional_streams(STREAMS)?
        .with_max_send_buffer_size(UNSENT)?
        // Round trips of microseconds are what there is; the guess for the first one is a wide area's.
        .with_initial_round_trip_time(Duration::from_millis(1))?)
}

fn socket(listen: SocketAddr, mtu: u16) -> Result<(io::Default, SocketAddr)> {
    let socket = bound(listen)?;
    let local = socket.local_addr()?;
    let packet = mtu + HEADERS;
    let io = io::Default::builder()
        .with_rx_socket(socket)?
        .with_max_mtu(packet)?
        .with_initial_mtu(packet)?
        .with_base_mtu(packet)?
        .build()?;
    Ok((io, local))
}
