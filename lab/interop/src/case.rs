//! The public interop runner's test cases, as what they change at either end.

use tq::quic::crypto::Suite;
use tq::tls;

/// Exit code by which the runner knows that a case is not supported.
pub const UNSUPPORTED: u8 = 127;

/// A supported test case. Most differ only in what the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One connection, all files at once: nothing special here.
    Plain,
    /// A connection per file, one after the other.
    ConnectionPerFile,
    /// Only ChaCha20-Poly1305.
    ChaCha20,
    /// The server sends Retry.
    Retry,
    /// The client updates keys early.
    KeyUpdate,
    /// Packets are marked ECT(0).
    Ecn,
    /// The client starts with a version nobody speaks.
    VersionNegotiation,
    /// The client begins with version 1, the server chooses version 2.
    Version2,
    /// The second connection needs no certificate.
    Resumption,
    /// The second connection sends its requests in 0-RTT.
    ZeroRtt,
    /// The client moves to the server's preferred address.
    Preferred,
    /// The client moves to another port of its own.
    Migration,
    /// Datagrams come back.
    Datagram,
}

/// Names by which the runner and we know the cases.
const NAMES: &[(&str, Case)] = &[
    ("handshake", Case::Plain),
    ("transfer", Case::Plain),
    ("multiplexing", Case::Plain),
    ("longrtt", Case::Plain),
    ("chacha20", Case::ChaCha20),
    ("retry", Case::Retry),
    ("keyupdate", Case::KeyUpdate),
    ("ecn", Case::Ecn),
    ("versionnegotiation", Case::VersionNegotiation),
    ("v2", Case::Version2),
    ("resumption", Case::Resumption),
    ("zerortt", Case::ZeroRtt),
    ("rebind-port", Case::Plain),
    ("rebind-addr", Case::Plain),
    ("transferloss", Case::Plain),
    ("transfercorruption", Case::Plain),
    ("handshakeloss", Case::ConnectionPerFile),
    ("handshakecorruption", Case::ConnectionPerFile),
    ("multiconnect", Case::ConnectionPerFile),
    ("blackhole", Case::Plain),
    ("amplificationlimit", Case::Plain),
    ("ipv6", Case::Plain),
    ("goodput", Case::Plain),
    ("crosstraffic", Case::Plain),
    ("connectionmigration", Case::Preferred),
    ("migration", Case::Migration),
    ("datagram", Case::Datagram),
];

impl Case {
    /// The case of this name; `None` if it is not supported.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, case)| *case)
    }

    /// Cipher suites to offer or accept.
    pub fn suites(self) -> &'static [Suite] {
        match self {
            Self::ChaCha20 => &[Suite::ChaCha20Poly1305],
            _ => &[Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305],
        }
    }

    /// Transport settings of either end.
    pub fn transport(self, transport: &mut tq::TransportConfig) {
        transport.ecn = self == Self::Ecn;
        // Stacks that do not know the parameter must not mind it, nor those that have multipath switched off. Between
        // two of ours it is agreed, and path 0 the only one.
        transport.max_paths = (self == Self::Plain).then_some(4);
    }

    /// Settings of either endpoint.
    pub fn endpoint(self) -> tq::EndpointConfig {
        let mut config = tq::EndpointConfig::default();
        if self == Self::Version2 {
            config.versions = vec![tq::Version::V2, tq::Version::V1];
        }
        config
    }

    /// TLS settings of a client that believes `roots`, or anybody.
    pub fn client_tls(self, roots: Option<tls::Roots>, alpn: &str) -> tls::ClientConfig {
        let trust = roots.map_or_else(tls::ClientConfig::insecure, tls::ClientConfig::with_roots);
        trust.alpn([alpn]).suites(self.suites()).key_log(true).early_data(self == Self::ZeroRtt)
    }

    /// TLS settings of a server with this certificate.
    pub fn server_tls(self, identity: tls::CertificateIdentity, alpn: &str) -> tls::ServerConfig {
        let settings = tls::ServerConfig::new().certificate(identity).alpn([alpn]);
        settings.suites(self.suites()).key_log(true).early_data(self == Self::ZeroRtt)
    }
}

#[cfg(test)]
mod tests;
