//! One self-signed certificate, as all the stacks want it.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tq_quic::handshake::{ClientTls, ServerTls};

const ALPN: &str = "pair";

/// A key and a certificate for `localhost`.
#[derive(Debug)]
pub struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// A fresh one.
    ///
    /// # Panics
    /// There is no randomness.
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate: certificate.der().to_vec(), key: key.serialize_der() }
    }

    pub(crate) fn our_client(&self) -> Arc<dyn ClientTls> {
        let roots = tq_tls::Roots::from_der([self.certificate.clone()]).expect("a root");
        tq_tls::ClientConfig::with_roots(roots).alpn([ALPN]).build().expect("client TLS")
    }

    pub(crate) fn our_server(&self) -> Arc<dyn ServerTls> {
        let chain = vec![self.certificate.clone()];
        let identity = tq_tls::CertificateIdentity::from_der(chain, self.key.clone()).expect("an identity");
        tq_tls::ServerConfig::new().certificate(identity).alpn([ALPN]).build().expect("server TLS")
    }

    pub(crate) fn client(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(self.certificate.clone())).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.as_bytes().to_vec()];
        config
    }

    pub(crate) fn server(&self) -> rustls::ServerConfig {
        let chain = vec![CertificateDer::from(self.certificate.clone())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("an identity");
        config.alpn_protocols = vec![ALPN.as_bytes().to_vec()];
        config
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}
