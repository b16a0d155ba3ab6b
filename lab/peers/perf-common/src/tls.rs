//! TLS as all programs have it: AES-128-GCM, X25519, a P-256 certificate signed by itself, full handshakes only.

use std::sync::Arc;

use anyhow::Result;
use peer_common::tls::AnyCertificate;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{CipherSuite, NamedGroup};

const ALPN: &[u8] = b"perf";

/// Settings of a server, with a certificate made for it.
///
/// # Errors
/// None are known.
pub fn server() -> Result<rustls::ServerConfig> {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.into()], key.into())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // Clients resume nothing, so that tickets would be work for nothing.
    tls.send_tls13_tickets = 0;
    Ok(tls)
}

/// Settings of a client, which believes anybody.
///
/// # Errors
/// None are known.
pub fn client() -> Result<rustls::ClientConfig> {
    let provider = provider();
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(tls)
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    Arc::new(provider)
}
