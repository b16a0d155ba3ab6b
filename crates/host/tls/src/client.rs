//! What a client believes, offers and shows; built once per endpoint.

use std::sync::Arc;

use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::ServerName;
use rustls::quic::ClientConnection;
use rustls::sign::SingleCertAndKey;
use tq_crypto::Suite;
use tq_quic::handshake::{ClientTls, Session, StartError};
use tq_wire::{Reader, Version};

use crate::secrets::Captured;
use crate::session::{TlsSession, tls_version};
use crate::tickets::ClientView;
use crate::tickets::{ClientTickets, Spoken};
use crate::verify::{AnyServer, PinnedServer, provider};
use crate::{CertificateIdentity, ConfigError, RawIdentity, Roots};

#[derive(Clone, Debug)]
enum Trust {
    Roots(Roots),
    Pinned(Vec<u8>),
    Anyone,
}

#[derive(Clone, Debug)]
enum Own {
    Nothing,
    Certificate(CertificateIdentity),
    Raw(RawIdentity),
}

/// Settings of a client. Start with whom to believe, add the rest, end with [`ClientConfig::build`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientConfig {
    trust: Trust,
    own: Own,
    alpn: Vec<Vec<u8>>,
    suites: Vec<Suite>,
    key_log: bool,
    early_data: bool,
    post_quantum: bool,
    resumption: bool,
}

impl ClientConfig {
    /// Believes servers whose certificate is for their name and ends at one of `roots`.
    pub fn with_roots(roots: Roots) -> Self {
        Self::of(Trust::Roots(roots))
    }

    /// Believes the one server whose RFC 7250 raw key has this DER SubjectPublicKeyInfo, whatever its name.
    pub fn pinned_key(spki: &[u8]) -> Self {
        Self::of(Trust::Pinned(spki.to_vec()))
    }

    /// Believes any server with any certificate. For tests and tools: whoever is on the path can be the server.
    pub fn insecure() -> Self {
        Self::of(Trust::Anyone)
    }

    fn of(trust: Trust) -> Self {
        Self {
            trust,
            own: Own::Nothing,
            alpn: Vec::new(),
            suites: Vec::new(),
            key_log: false,
            early_data: false,
            post_quantum: false,
            resumption: true,
        }
    }

    /// Application protocols, best first. There must be one.
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// Restricts the cipher suites, best first; the client's order decides. Without it all three are offered,
    /// AES-128 first.
    pub fn suites(mut self, suites: &[Suite]) -> Self {
        self.suites = suites.to_vec();
        self
    }

    /// Shows this certificate to servers that ask for one.
    pub fn certificate(mut self, identity: CertificateIdentity) -> Self {
        self.own = Own::Certificate(identity);
        self
    }

    /// Shows this raw key. The server must ask clients for raw keys: with any other the handshake fails (alert 40).
    pub fn raw_key(mut self, identity: RawIdentity) -> Self {
        self.own = Own::Raw(identity);
        self
    }

    /// Appends secrets to the file that `SSLKEYLOGFILE` names, for debugging. Off by default.
    pub fn key_log(mut self, on: bool) -> Self {
        self.key_log = on;
        self
    }

    /// Sends 0-RTT data to servers known from an earlier connection, if just one protocol is offered. Off by default: a
    /// server that cannot tell may be made to read it twice.
    pub fn early_data(mut self, on: bool) -> Self {
        self.early_data = on;
        self
    }

    /// Prefers the X25519MLKEM768 key exchange; the ClientHello then needs two datagrams. Off by default.
    pub fn post_quantum(mut self, on: bool) -> Self {
        self.post_quantum = on;
        self
    }

    /// Whether sessions are resumed. On by default; off, no tickets are kept, and every handshake is a full one.
    pub fn resumption(mut self, on: bool) -> Self {
        self.resumption = on;
        self
    }

    /// A factory of sessions. Tickets are shared by the sessions it makes: up to 256 for each version, 8 a server, each
    /// used once. A ticket serves only the version that was spoken when it came, so that whoever was led to another
    /// version must begin with that one to resume.
    ///
    /// # Errors
    /// See [`ConfigError`].
    // MUST 9000-7-1, 9001-4.2-1, 9001-4.2-2, 9001-4.4-1, 9001-5.6-1, 9001-8.4-1
    pub fn build(self) -> Result<Arc<dyn ClientTls>, ConfigError> {
        check_alpn(&self.alpn)?;
        let provider = suited(&self.suites, self.post_quantum)?;
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let pinned = matches!(self.trust, Trust::Pinned(_));
        let builder = match self.trust {
            Trust::Roots(roots) if roots.0.is_empty() => return Err(ConfigError::NoRoots),
            Trust::Roots(roots) => builder.with_root_certificates(roots.0),
            Trust::Pinned(spki) if !is_spki(&spki) => return Err(ConfigError::BadPin),
            Trust::Pinned(spki) => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(PinnedServer::new(spki)))
            }
            Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer::new())),
        };
        let mut config = match self.own {
            Own::Nothing => builder.with_no_client_auth(),
            Own::Certificate(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())))
            }
            Own::Raw(identity) => builder.with_client_cert_resolver(Arc::new(
                AlwaysResolvesClientRawPublicKeys::new(identity.certified()),
            )),
        };
        // With several protocols nobody could say which of them early data speaks.
        config.enable_early_data = self.early_data && self.alpn.len() == 1;
        config.alpn_protocols = self.alpn;
        if self.key_log {
            config.key_log = Arc::new(rustls::KeyLogFile::new());
        }
        let tickets = self.resumption.then(ClientTickets::new);
        if tickets.is_none() {
            config.resumption = Resumption::disabled();
        }
        Ok(Arc::new(Client { config: Arc::new(config), pinned, tickets }))
    }
}

/// An empty or overlong protocol cannot be encoded; none at all cannot be QUIC.
// MUST 9000-7-2, 9001-8.1-1
pub(crate) fn check_alpn(alpn: &[Vec<u8>]) -> Result<(), ConfigError> {
    if alpn.is_empty() {
        return Err(ConfigError::NoAlpn);
    }
    match alpn.iter().all(|protocol| (1..=255).contains(&protocol.len())) {
        true => Ok(()),
        false => Err(ConfigError::BadAlpn),
    }
}

pub(crate) fn suited(suites: &[Suite], post_quantum: bool) -> Result<Arc<CryptoProvider>, ConfigError> {
    let mut provider = provider(suites);
    if provider.cipher_suites.is_empty() {
        return Err(ConfigError::NoSuite);
    }
    if post_quantum {
        let hybrid = kx_group::X25519MLKEM768;
        provider.kx_groups.retain(|group| group.name() != hybrid.name());
        provider.kx_groups.insert(0, hybrid);
    }
    Ok(Arc::new(provider))
}

/// Whether the bytes are one DER SEQUENCE of an algorithm SEQUENCE and a BIT STRING (RFC 5280 §4.1).
fn is_spki(der: &[u8]) -> bool {
    fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
        let (head, rest) = der.split_first_chunk::<2>()?;
        let (len, rest) = match head[1] {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
            _ => return None,
        };
        if head[0] == tag { rest.split_at_checked(len) } else { None }
    }
    let parts = || {
        let (outer, after) = value(der, 0x30)?;
        let (_, key) = value(outer, 0x30)?;
        let (_, rest) = value(key, 0x03)?;
        (after.is_empty() && rest.is_empty()).then_some(())
    };
    parts().is_some()
}

/// Whether a server may answer in another version (RFC 9368).
fn offers_another(version: Version, params: &[u8]) -> bool {
    /// version_information: the chosen version, then those available, four octets each.
    const VERSION_INFORMATION: u64 = 0x11;
    let mut rest = Reader::new(params);
    while let (Ok(id), Ok(value)) = (rest.varint(), rest.prefixed()) {
        if id == VERSION_INFORMATION {
            let mut offered = value.chunks_exact(4).skip(1).filter_map(|octets| octets.try_into().ok());
            return offered.any(|octets| {
                let other = Version(u32::from_be_bytes(octets));
                other != version && tls_version(other).is_ok()
            });
        }
    }
    false
}

struct Client {
    config: Arc<rustls::ClientConfig>,
    pinned: bool,
    /// None: nothing is resumed.
    tickets: Option<ClientTickets>,
}

impl ClientTls for Client {
    fn start(
        &self,
        version: Version,
        server_name: &str,
        params: &[u8],
    ) -> Result<Box<dyn Session>, StartError> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| StartError(format!("{server_name:?} is neither a DNS name nor an IP address")))?;
        let mut config = self.config.clone();
        let spoken = self.tickets.as_ref().map(|tickets| {
            let spoken = Spoken::new(version);
            let tickets = tickets.clone();
            let store = ClientView { tickets, original: version, spoken: spoken.clone() };
            Arc::make_mut(&mut config).resumption = Resumption::store(Arc::new(store));
            spoken
        });
        let captured = offers_another(version, params).then(|| Captured::new(config.key_log.clone()));
        if let Some(captured) = &captured {
            Arc::make_mut(&mut config).key_log = captured.clone();
        }
        let connection = ClientConnection::new(config, tls_version(version)?, name, params.to_vec())
            .map_err(|e| StartError(e.to_string()))?;
        Ok(Box::new(TlsSession::client(connection, server_name, self.pinned, spoken, captured)))
    }
}
