//! Who is believed: a pinned raw key, anyone (tools only), or clients whose raw key a callback knows. Chains of
//! certificates are left to webpki.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, CipherSuiteCommon, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme, SupportedCipherSuite, Tls13CipherSuite,
};
use tq_crypto::Suite;

use crate::keys;
use crate::records::NoRecords;
use crate::sha256::{KeySchedule, Transcript};

/// aws-lc-rs with these suites, best first; with all of them, AES-128 first, if `suites` is empty.
pub(crate) fn provider(suites: &[Suite]) -> CryptoProvider {
    const ALL: [Suite; 3] = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305];
    let wanted = if suites.is_empty() { &ALL[..] } else { suites };
    let mut provider = aws_lc_rs::default_provider();
    let place = |suite: &SupportedCipherSuite| {
        let suite = keys::suite(suite.suite())?;
        wanted.iter().position(|wanted| *wanted == suite)
    };
    provider.cipher_suites.retain(|suite| place(suite).is_some());
    provider.cipher_suites.sort_by_key(place);
    provider.cipher_suites.iter_mut().for_each(|suite| *suite = quicker(*suite));
    provider
}

/// The same suite without what QUIC has no use for, and with a key schedule that hashes less, if it is one with SHA-256.
fn quicker(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    static AES: LazyLock<Tls13CipherSuite> =
        LazyLock::new(|| on_sha256(cipher_suite::TLS13_AES_128_GCM_SHA256, &NoRecords(16)));
    static CHACHA: LazyLock<Tls13CipherSuite> =
        LazyLock::new(|| on_sha256(cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, &NoRecords(32)));
    match keys::suite(suite.suite()) {
        Some(Suite::Aes128Gcm) => SupportedCipherSuite::Tls13(&AES),
        Some(Suite::ChaCha20Poly1305) => SupportedCipherSuite::Tls13(&CHACHA),
        Some(Suite::Aes256Gcm) | None => suite,
    }
}

fn on_sha256(suite: SupportedCipherSuite, records: &'static NoRecords) -> Tls13CipherSuite {
    let suite = suite.tls13().expect("the library has it under this name");
    Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: suite.common.suite,
            hash_provider: &Transcript,
            confidentiality_limit: suite.common.confidentiality_limit,
        },
        hkdf_provider: &KeySchedule,
        aead_alg: records,
        quic: suite.quic,
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    aws_lc_rs::default_provider().signature_verification_algorithms
}

/// TLS 1.2 is not spoken here.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled))
}

/// The certificate of a raw key is its SubjectPublicKeyInfo.
fn raw_signature(
    message: &[u8],
    spki: &[u8],
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(spki), dss, algorithms)
}

#[derive(Debug)]
struct NotThePin;

impl fmt::Display for NotThePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's key is not the pinned one")
    }
}

impl std::error::Error for NotThePin {}

/// Believes a server with one raw key.
#[derive(Debug)]
pub(crate) struct PinnedServer {
    spki: Vec<u8>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedServer {
    pub(crate) fn new(spki: Vec<u8>) -> Self {
        Self { spki, algorithms: algorithms() }
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if intermediates.is_empty() && end_entity.as_ref() == self.spki {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotThePin))).into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        raw_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Believes any certificate whose key signs the handshake.
#[derive(Debug)]
pub(crate) struct AnyServer {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyServer {
    pub(crate) fn new() -> Self {
        Self { algorithms: algorithms() }
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Says whether a client's raw key (DER SubjectPublicKeyInfo) may come in.
pub type Allowed = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Believes clients with a raw key that is allowed.
pub(crate) struct RawClients {
    pub(crate) allowed: Allowed,
    pub(crate) required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl RawClients {
    pub(crate) fn new(allowed: Allowed, required: bool) -> Self {
        Self { allowed, required, algorithms: algorithms() }
    }
}

impl fmt::Debug for RawClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawClients(required: {})", self.required)
    }
}

impl ClientCertVerifier for RawClients {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // judged with the signature, so that an unknown key costs and looks the same as a wrong signature
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match raw_signature(message, cert, dss, &self.algorithms) {
            Ok(valid) if (self.allowed)(cert) => Ok(valid),
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
