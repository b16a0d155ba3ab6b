//! The settings under which stacks are compared.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use anyhow::{Context, Result};
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, ServerConfig, TransportConfig, VarInt,
};
use rustls::CipherSuite;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, NamedGroup, PeerIncompatible, SignatureScheme};
use socket2::{Domain, Socket, Type};

const ALPN: &[u8] = b"perf";
/// noq ends a connection whose reassembly buffer has too many gaps, which a burst of losses in a window of 64 MiB
/// makes; this one fits into the socket's buffer, so that nothing is lost there.
const WINDOW: u32 = if cfg!(feature = "noq") { 4 << 20 } else { 64 << 20 };
/// Streams open at once: more than are asked for, as a stream counts until its end is acknowledged.
const STREAMS: u32 = 1000;
/// Packets the receiver may leave without an immediate ACK, as in quinn's own measurements.
const ACK_EVERY: u32 = 10;
/// Socket buffers, asked for with privilege where there is one.
const RECV_BUFFER: i32 = 8 << 20;
const SEND_BUFFER: i32 = 2 << 20;

pub(crate) fn server(listen: SocketAddr, mtu: u16) -> Result<Endpoint> {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.into()], key.into())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Clients resume nothing, so that tickets would be work for nothing.
    tls.send_tls13_tickets = 0;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(mtu));
    endpoint(listen, Some(config), mtu)
}

pub(crate) fn client(server: SocketAddr, mtu: u16) -> Result<Endpoint> {
    let provider = provider();
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Full handshakes only.
    tls.resumption = rustls::client::Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(mtu));
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    #[cfg_attr(feature = "noq", expect(unused_mut, reason = "noq changes it behind a shared reference"))]
    let mut endpoint = endpoint(SocketAddr::new(any, 0), None, mtu)?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn endpoint(listen: SocketAddr, server: Option<ServerConfig>, mtu: u16) -> Result<Endpoint> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
    set_buffer(&socket, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECV_BUFFER);
    set_buffer(&socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER);
    socket.bind(&listen.into()).context("binding")?;
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(mtu.max(1472))?;
    let runtime = quinn::default_runtime().context("no runtime")?;
    Ok(Endpoint::new(config, server, socket.into(), runtime)?)
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

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    Arc::new(provider)
}

/// Tries past the system's limit, then within it. A smaller buffer shows in the figures, not as an error.
fn set_buffer(socket: &Socket, force: i32, plain: i32, size: i32) {
    for option in [force, plain] {
        let (fd, value, len) = (socket.as_raw_fd(), (&raw const size).cast(), size_of::<i32>());
        // SAFETY: the descriptor is open, the value is an `i32` and `len` its size.
        if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, len as libc::socklen_t) } == 0 {
            return;
        }
    }
}

/// Accepts any certificate of which the server proves to have the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
