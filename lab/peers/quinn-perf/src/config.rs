//! The settings under which stacks are compared.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use perf_common::{any, bound, tls};
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig, VarInt,
};

/// noq ends a connection whose reassembly buffer has too many gaps, which a burst of losses in a window of 64 MiB
/// makes; this one fits into the socket's buffer, so that nothing is lost there.
const WINDOW: u32 = if cfg!(feature = "noq") { 4 << 20 } else { 64 << 20 };
/// Streams open at once: more than are asked for, as a stream counts until its end is acknowledged.
const STREAMS: u32 = 1000;
/// Packets the receiver may leave without an immediate ACK, as in quinn's own measurements.
const ACK_EVERY: u32 = 10;

pub(crate) fn server(listen: SocketAddr, mtu: u16) -> Result<Endpoint> {
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls::server()?)?));
    config.transport_config(transport(mtu));
    endpoint(listen, Some(config), mtu)
}

pub(crate) fn client(server: SocketAddr, mtu: u16) -> Result<Endpoint> {
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls::client()?)?));
    config.transport_config(transport(mtu));
    #[cfg_attr(feature = "noq", expect(unused_mut, reason = "noq changes it behind a shared reference"))]
    let mut endpoint = endpoint(any(server), None, mtu)?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn endpoint(listen: SocketAddr, server: Option<ServerConfig>, mtu: u16) -> Result<Endpoint> {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(mtu.max(1472))?;
    let runtime = quinn::default_runtime().context("no runtime")?;
    Ok(Endpoint::new(config, server, bound(listen)?, runtime)?)
}

fn transport(mtu: u16) -> Arc<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY));
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .initial_mtu(mtu)
        .min_mtu(mtu)
        .mtu_discovery_config(None)
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    Arc::new(config)
}
