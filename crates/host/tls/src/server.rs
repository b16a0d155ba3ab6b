//! What a server shows, and to whom: X.509 and raw keys on one endpoint, picked per ClientHello.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoClientAuth, NoServerSessionStorage, ResolvesServerCert,
    ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::SingleCertAndKey;
use tq_crypto::Suite;
use tq_quic::handshake::{ServerTls, Session, StartError, TlsError};
use tq_wire::Version;

use crate::client::{check_alpn, suited};
use crate::peek::ClientHello;
use crate::session::{Pick, Picked, TlsSession};
use crate::tickets::SERVER_TICKETS;
use crate::verify::{Allowed, RawClients};
use crate::{CertificateIdentity, ConfigError, RawIdentity, Roots};

/// TLS alerts for hellos nothing here can answer.
const UNSUPPORTED_CERTIFICATE: u8 = 43;
const UNRECOGNIZED_NAME: u8 = 112;

/// What clients must prove.
#[derive(Clone, Default)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A raw key that `allowed` knows; it is called with the DER SubjectPublicKeyInfo after the signature was
    /// verified, and a key it refuses fails exactly as a wrong signature does (alert 49).
    RawKeys {
        /// Whether this key may come in; called on the thread that reads the handshake.
        allowed: Allowed,
        /// Whether clients without a key are refused (alert 43, or 116 if they offer one and then show none).
        required: bool,
    },
    /// A certificate that ends at one of these roots.
    Certificates {
        /// Whom to believe.
        roots: Roots,
        /// Whether clients without one are refused.
        required: bool,
    },
}

impl ClientAuth {
    /// Raw keys for which `allowed` is true, and no one else.
    pub fn raw_keys(allowed: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self::RawKeys { allowed: Arc::new(allowed), required: true }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::RawKeys { required, .. } => write!(f, "RawKeys(required: {required})"),
            Self::Certificates { required, .. } => write!(f, "Certificates(required: {required})"),
        }
    }
}

/// Settings of a server. Add at least one identity, end with [`ServerConfig::build`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ServerConfig {
    certificate: Option<CertificateIdentity>,
    raw_key: Option<RawIdentity>,
    clients: ClientAuth,
    alpn: Vec<Vec<u8>>,
    suites: Vec<Suite>,
    key_log: bool,
    early_data: bool,
    sessions: Option<usize>,
}

impl ServerConfig {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows this chain to clients that take certificates.
    pub fn certificate(mut self, identity: CertificateIdentity) -> Self {
        self.certificate = Some(identity);
        self
    }

    /// Shows this key to clients that take raw keys (RFC 7250). With a certificate too, the client's order decides.
    pub fn raw_key(mut self, identity: RawIdentity) -> Self {
        self.raw_key = Some(identity);
        self
    }

    /// Application protocols, best first: the server's order decides. There must be one.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// What clients must prove. Session tickets are off where they prove anything: a ticket would outlive a key
    /// that is revoked.
    pub fn clients(mut self, clients: ClientAuth) -> Self {
        self.clients = clients;
        self
    }

    /// Restricts the cipher suites.
    pub fn suites(mut self, suites: &[Suite]) -> Self {
        self.suites = suites.to_vec();
        self
    }

    /// Appends secrets to the file that `SSLKEYLOGFILE` names, for debugging. Off by default.
    pub fn key_log(mut self, on: bool) -> Self {
        self.key_log = on;
        self
    }

    /// Accepts 0-RTT data. Off by default. Each ticket is taken once and by this server alone, so a replay is refused;
    /// still nothing that arrives before the handshake is complete is known to be sent by the client just now.
    pub fn early_data(mut self, on: bool) -> Self {
        self.early_data = on;
        self
    }

    /// Sessions kept for clients that come back, 4096 unless told; the oldest go first. 0: no tickets are given.
    pub fn sessions(mut self, count: usize) -> Self {
        self.sessions = Some(count);
        self
    }

    /// A factory of sessions.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn build(self) -> Result<Arc<Server>, ConfigError> {
        check_alpn(&self.alpn)?;
        let mut shown: Vec<(bool, Arc<dyn ResolvesServerCert>)> = Vec::new();
        if let Some(identity) = &self.certificate {
            shown.push((false, Arc::new(SingleCertAndKey::from(identity.certified()))));
        }
        if let Some(identity) = &self.raw_key {
            shown.push((true, Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.certified()))));
        }
        if shown.is_empty() {
            return Err(ConfigError::NoIdentity);
        }
        let (proof, asks, optional) = self.proof()?;
        let mut variants = Vec::new();
        for (raw_server, resolver) in shown {
            let config = self.config(resolver.clone(), proof.clone(), asks != Asks::Nothing)?;
            variants.push(Variant { raw_server, asks, config });
            if optional {
                let config = self.config(resolver, Arc::new(NoClientAuth), false)?;
                variants.push(Variant { raw_server, asks: Asks::Nothing, config });
            }
        }
        let server = Server { variants: variants.into() };
        Ok(Arc::new(server))
    }

    /// How clients are checked, and whether those that cannot be may come in all the same.
    fn proof(&self) -> Result<(Arc<dyn ClientCertVerifier>, Asks, bool), ConfigError> {
        Ok(match &self.clients {
            ClientAuth::None => (Arc::new(NoClientAuth), Asks::Nothing, false),
            ClientAuth::RawKeys { allowed, required } => {
                (Arc::new(RawClients::new(allowed.clone(), *required)), Asks::RawKey, !required)
            }
            ClientAuth::Certificates { roots, .. } if roots.0.is_empty() => return Err(ConfigError::NoRoots),
            ClientAuth::Certificates { roots, required } => {
                let provider = suited(&self.suites, false)?;
                let builder =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots.0.clone()), provider);
                let builder = if *required { builder } else { builder.allow_unauthenticated() };
                let verifier = builder.build().map_err(|e| ConfigError::Tls(e.to_string()))?;
                (verifier, Asks::Certificate, !required)
            }
        })
    }

    // MUST 9001-4.2-2, 9001-4.6.1-1, 9001-5.3-2
    fn config(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
        clients: Arc<dyn ClientCertVerifier>,
        authenticated: bool,
    ) -> Result<Arc<rustls::ServerConfig>, ConfigError> {
        let mut config = rustls::ServerConfig::builder_with_provider(suited(&self.suites, false)?)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(resolver);
        config.alpn_protocols.clone_from(&self.alpn);
        let sessions = self.sessions.unwrap_or(SERVER_TICKETS);
        if authenticated || sessions == 0 {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = ServerSessionMemoryCache::new(sessions);
            // the one value QUIC knows: how much may be sent, flow control says (RFC 9001 §4.6.1)
            config.max_early_data_size = if self.early_data { u32::MAX } else { 0 };
        }
        if self.key_log {
            config.key_log = Arc::new(rustls::KeyLogFile::new());
        }
        Ok(Arc::new(config))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    RawKey,
    Certificate,
}

/// rustls wants one kind of server identity and one kind of client identity per configuration.
#[derive(Clone)]
struct Variant {
    raw_server: bool,
    asks: Asks,
    config: Arc<rustls::ServerConfig>,
}

/// A finished server configuration: makes sessions itself, or is handed out by the callback of [`choose_by`].
pub struct Server {
    variants: Arc<[Variant]>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} variants)", self.variants.len())
    }
}

impl Server {
    fn pick(&self, hello: &ClientHello<'_>) -> Result<Picked, TlsError> {
        pick(&self.variants, hello)
    }
}

fn pick(variants: &[Variant], hello: &ClientHello<'_>) -> Result<Picked, TlsError> {
    let server_fits = |variant: &&Variant| match variant.raw_server {
        true => hello.accepts_raw_key(),
        false => hello.accepts_certificate(),
    };
    let client_fits = |variant: &&Variant| match variant.asks {
        Asks::Nothing => true,
        Asks::RawKey => hello.shows_raw_key(),
        Asks::Certificate => hello.shows_certificate(),
    };
    // variants that ask come before those that do not
    let fitting = || variants.iter().filter(server_fits).filter(client_fits);
    let liked = fitting().find(|variant| variant.raw_server == hello.prefers_raw_key());
    match liked.or_else(|| fitting().next()) {
        Some(variant) => {
            Ok(Picked { config: variant.config.clone(), raw_clients: variant.asks == Asks::RawKey })
        }
        None => Err(TlsError {
            alert: UNSUPPORTED_CERTIFICATE,
            reason: Cow::Borrowed("no certificate type in common"),
        }),
    }
}

impl ServerTls for Server {
    fn start(&self, version: Version, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        let variants = self.variants.clone();
        let pick: Pick = Arc::new(move |hello: &ClientHello<'_>| pick(&variants, hello));
        Ok(Box::new(TlsSession::server(pick, version, params)?))
    }
}

struct Chooser {
    pick: Pick,
}

impl ServerTls for Chooser {
    fn start(&self, version: Version, params: &[u8]) -> Result<Box<dyn Session>, StartError> {
        Ok(Box::new(TlsSession::server(self.pick.clone(), version, params)?))
    }
}

/// Sessions whose configuration is picked per ClientHello, by name or protocol. `None` refuses with
/// unrecognized_name; a server that must not tell who exists answers every name with some configuration.
pub fn choose_by(
    choose: impl Fn(&ClientHello<'_>) -> Option<Arc<Server>> + Send + Sync + 'static,
) -> Arc<dyn ServerTls> {
    let pick = move |hello: &ClientHello<'_>| match choose(hello) {
        Some(server) => server.pick(hello),
        None => Err(TlsError {
            alert: UNRECOGNIZED_NAME,
            reason: Cow::Borrowed("nothing is served under this name and protocol"),
        }),
    };
    Arc::new(Chooser { pick: Arc::new(pick) })
}
