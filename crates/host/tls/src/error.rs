//! What can be wrong with files and configurations: always a caller's or an operator's to fix, so each error says
//! which file and what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A certificate or key could not be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The file holds no PEM at all (perhaps DER or something else).
    NotPem {
        /// Which file.
        file: PathBuf,
    },
    /// PEM, but damaged.
    BadPem {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// PEM without a certificate.
    NoCertificate {
        /// Which file.
        file: PathBuf,
    },
    /// PEM without a private key.
    NoKey {
        /// Which file.
        file: PathBuf,
    },
    /// The private key is encrypted with a passphrase.
    EncryptedKey {
        /// Which file.
        file: PathBuf,
    },
    /// A certificate TLS cannot use.
    BadCertificate {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A private key TLS cannot use.
    BadKey {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The private key is not the certificate's.
    KeyMismatch {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// No file of root certificates was found on this system.
    NoSystemRoots,
}

impl LoadError {
    pub(crate) fn no_key(file: &Path) -> Self {
        Self::NoKey { file: file.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, cause } => write!(f, "{}: cannot be read: {cause}", file.display()),
            Self::NotPem { file } => {
                write!(f, "{}: not PEM (no line with BEGIN); convert it from DER first", file.display())
            }
            Self::BadPem { file, why } => write!(f, "{}: damaged PEM: {why}", file.display()),
            Self::NoCertificate { file } => write!(f, "{}: no certificate inside", file.display()),
            Self::NoKey { file } => write!(f, "{}: no private key inside", file.display()),
            Self::EncryptedKey { file } => {
                write!(f, "{}: the private key is encrypted; decrypt it first", file.display())
            }
            Self::BadCertificate { file, why } => {
                write!(f, "{}: certificate cannot be used: {why}", file.display())
            }
            Self::BadKey { file, why } => write!(f, "{}: private key cannot be used: {why}", file.display()),
            Self::KeyMismatch { certificate, key } => {
                write!(f, "{}: not the key of the certificate in {}", key.display(), certificate.display())
            }
            Self::NoSystemRoots => f.write_str("no file of root certificates found; install ca-certificates"),
        }
    }
}

/// The cause is part of the message and not told a second time as a source.
impl std::error::Error for LoadError {}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// QUIC needs at least one application protocol (RFC 9001 §8.1).
    NoAlpn,
    /// An application protocol is empty or longer than 255 bytes.
    BadAlpn,
    /// No cipher suite is left.
    NoSuite,
    /// A server needs a certificate, a raw key, or both.
    NoIdentity,
    /// Client certificates are asked for but there is no root to check them against.
    NoRoots,
    /// The pinned key is not a DER SubjectPublicKeyInfo.
    BadPin,
    /// The TLS library refuses, and says why.
    Tls(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAlpn => f.write_str("no application protocol (ALPN) given"),
            Self::BadAlpn => f.write_str("an application protocol (ALPN) must have 1 to 255 bytes"),
            Self::NoSuite => f.write_str("no cipher suite is left"),
            Self::NoIdentity => f.write_str("a server needs a certificate, a raw key, or both"),
            Self::NoRoots => f.write_str("no root certificate to check the peer's certificate against"),
            Self::BadPin => f.write_str("the pinned key is not a DER SubjectPublicKeyInfo"),
            Self::Tls(why) => write!(f, "TLS configuration refused: {why}"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<rustls::Error> for ConfigError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}
