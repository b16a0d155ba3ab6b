//! TLS by rustls for both roles: one ALPN, no verification, key logging to `SSLKEYLOGFILE`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CipherSuite, DigitallySignedStruct, KeyLogFile, SignatureScheme};

use crate::{ALPN, Case};

/// Settings of a client that believes anybody.
///
/// # Errors
/// None are known.
pub fn client(case: Case) -> Result<rustls::ClientConfig> {
    let provider = provider(case);
    let verifier = AnyCertificate(provider.clone());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = case == Case::ZeroRtt;
    tls.key_log = Arc::new(KeyLogFile::new());
    Ok(tls)
}

/// Settings of a server with this certificate.
///
/// # Errors
/// Certificate or key cannot be read.
pub fn server(case: Case, cert: &Path, key: &Path) -> Result<rustls::ServerConfig> {
    let read = || -> Result<_, rustls::pki_types::pem::Error> {
        let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
        Ok((chain, PrivateKeyDer::from_pem_file(key)?))
    };
    let (chain, key) = read().context("reading certificate and key")?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider(case))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    if case == Case::ZeroRtt {
        // QUIC's only value (RFC 9001 §4.6.1).
        tls.max_early_data_size = u32::MAX;
    }
    tls.key_log = Arc::new(KeyLogFile::new());
    Ok(tls)
}

/// The algorithms to offer.
fn provider(case: Case) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if case == Case::ChaCha20 {
        provider.cipher_suites.retain(|s| s.suite() == CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    }
    Arc::new(provider)
}

/// The suite of Initial packets, which no offer changes.
///
/// # Panics
/// Never: the provider has it.
pub fn initial() -> rustls::quic::Suite {
    let provider = aws_lc_rs::default_provider();
    let suite = provider.cipher_suites.iter().find_map(|suite| {
        let suite = suite.tls13().filter(|s| s.common.suite == CipherSuite::TLS13_AES_128_GCM_SHA256);
        suite.and_then(|suite| suite.quic_suite())
    });
    suite.expect("the provider has AES-128-GCM")
}

/// Accepts any certificate of which the server proves to have the key.
#[derive(Debug)]
pub struct AnyCertificate(Arc<CryptoProvider>);

impl AnyCertificate {
    /// With the signatures this provider verifies.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

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
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
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
