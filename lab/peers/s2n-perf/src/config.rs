//! The settings under which stacks are compared.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CipherSuite, DigitallySignedStruct, NamedGroup, PeerIncompatible, SignatureScheme};
use s2n_quic::provider::{congestion_controller, io, limits::Limits, tls::rustls as quic};
use s2n_quic::{Client, Server};
use socket2::{Domain, Socket, Type};

const ALPN: &[u8] = b"perf";
const WINDOW: u64 = 64 << 20;
/// Bytes of a stream that wait to be sent or acknowledged: many times what is in flight on loopback.
const UNSENT: u32 = 8 << 20;
/// What IPv4 and UDP add to a datagram: s2n-quic counts them.
const HEADERS: u16 = 28;
/// Socket buffers, asked for with privilege where there is one.
const RECV_BUFFER: i32 = 8 << 20;
const SEND_BUFFER: i32 = 2 << 20;
/// Streams open at once.
const STREAMS: u64 = 1000;

pub(crate) fn server(listen: SocketAddr, mtu: u16) -> Result<(Server, SocketAddr)> {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.into()], key.into())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.send_tls13_tickets = 0;
    let (io, local) = socket(listen, mtu)?;
    let server = Server::builder()
        .with_tls(quic::Server::from(tls))?
        .with_limits(limits()?)?
        .with_congestion_controller(congestion_controller::Cubic::default())?
        .with_io(io)?
        .start()
        .map_err(|error| anyhow!("{error}"))?;
    Ok((server, local))
}

pub(crate) fn client(server: SocketAddr, mtu: u16) -> Result<Client> {
    let provider = provider();
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Full handshakes only.
    tls.resumption = rustls::client::Resumption::disabled();
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    Client::builder()
        .with_tls(quic::Client::from(tls))?
        .with_limits(limits()?)?
        .with_congestion_controller(congestion_controller::Cubic::default())?
        .with_io(socket(SocketAddr::new(any, 0), mtu)?.0)?
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
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
    set_buffer(&socket, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECV_BUFFER);
    set_buffer(&socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER);
    socket.bind(&listen.into()).context("binding")?;
    socket.set_nonblocking(true)?;
    let socket: std::net::UdpSocket = socket.into();
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
