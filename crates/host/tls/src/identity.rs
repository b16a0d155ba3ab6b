//! What an endpoint proves itself with: an X.509 chain and its key, or an Ed25519 raw key (RFC 7250).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::SectionKind;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tq_crypto::Entropy;

use crate::pem::{self, encode};
use crate::verify::provider;
use crate::{AwsLc, LoadError};

/// Everything before the 32 bytes of an Ed25519 SubjectPublicKeyInfo (RFC 8410 §4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Everything before the 32-byte seed of an Ed25519 PKCS #8 key (RFC 8410 §7).
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The SubjectPublicKeyInfo of an Ed25519 public key, as a pin wants it.
pub fn ed25519_spki(public: &[u8; 32]) -> Vec<u8> {
    [&ED25519_SPKI[..], public].concat()
}

/// SHA-256 of a SubjectPublicKeyInfo; displays as `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a DER SubjectPublicKeyInfo.
    pub fn of(spki: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, spki).as_ref());
        Self(out)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ed25519 key pair, shown to peers as a raw public key. `Debug` shows the public half only.
#[derive(Clone)]
pub struct RawIdentity {
    seed: [u8; 32],
    certified: Arc<CertifiedKey>,
}

impl RawIdentity {
    /// A new key from the system's randomness.
    pub fn generate() -> Self {
        let mut seed = [0; 32];
        AwsLc.fill(&mut seed);
        Self::from_seed(seed)
    }

    /// The key of a 32-byte secret (RFC 8032 §5.1.5), such as one derived from a tenant's token.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let der = PrivatePkcs8KeyDer::from([&ED25519_PKCS8[..], &seed].concat());
        let key = provider(&[])
            .key_provider
            .load_private_key(PrivateKeyDer::Pkcs8(der))
            .expect("every 32 bytes are an Ed25519 seed");
        let spki = key.public_key().expect("an Ed25519 key knows its public half").to_vec();
        let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key));
        Self { seed, certified }
    }

    /// Reads a PEM file with an Ed25519 `PRIVATE KEY` (PKCS #8, without the public half or with it).
    ///
    /// # Errors
    /// The file cannot be read, is not PEM, or holds no Ed25519 key.
    pub fn load(file: impl AsRef<Path>) -> Result<Self, LoadError> {
        let file = file.as_ref();
        let sections = pem::sections(file)?;
        let Some((_, der)) = sections.iter().find(|(kind, _)| *kind == SectionKind::PrivateKey) else {
            return Err(LoadError::no_key(file));
        };
        let why = "not an Ed25519 key in PKCS #8".to_owned();
        pkcs8_seed(der).map(Self::from_seed).ok_or(LoadError::BadKey { file: file.into(), why })
    }

    /// The secret half as PEM; keep it readable by its owner only.
    pub fn to_pem(&self) -> String {
        encode("PRIVATE KEY", &[&ED25519_PKCS8[..], &self.seed].concat())
    }

    /// DER SubjectPublicKeyInfo: what a peer pins.
    pub fn spki(&self) -> &[u8] {
        &self.certified.cert[0]
    }

    /// The 32 bytes of the public key alone.
    pub fn public_key(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(&self.spki()[ED25519_SPKI.len()..]);
        out
    }

    /// SHA-256 of [`RawIdentity::spki`].
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.spki())
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

impl fmt::Debug for RawIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawIdentity({})", self.fingerprint())
    }
}

/// The seed of an Ed25519 PKCS #8 structure, version 1 or 2 (RFC 5958 §2).
fn pkcs8_seed(der: &[u8]) -> Option<[u8; 32]> {
    // SEQUENCE, length below 128, then INTEGER 0 or 1 and the rest as in version 1
    let [0x30, len, 0x02, 0x01, 0 | 1, rest @ ..] = der else { return None };
    if usize::from(*len) + 2 != der.len() {
        return None;
    }
    rest.strip_prefix(&ED25519_PKCS8[5..])?.first_chunk().copied()
}

/// An X.509 chain, leaf first, and the key of the leaf.
#[derive(Clone)]
pub struct CertificateIdentity(Arc<CertifiedKey>);

impl CertificateIdentity {
    /// Reads a chain and a key from PEM files; they may be the same file.
    ///
    /// # Errors
    /// See [`LoadError`]: each names the file and the cause.
    pub fn load(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, LoadError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        Self::checked(pem::certificates(chain)?, pem::key(key)?, chain, key)
    }

    /// From PEM text, such as a secret store hands out. Errors name the files `certificate` and `key`.
    ///
    /// # Errors
    /// As [`CertificateIdentity::load`].
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, LoadError> {
        let (chain_name, key_name) = (Path::new("certificate"), Path::new("key"));
        let chain = pem::certificates_in(chain_name, &pem::parse(chain_name, chain.as_bytes())?)?;
        let key = pem::key_in(key_name, &pem::parse(key_name, key.as_bytes())?)?;
        Self::checked(chain, key, chain_name, key_name)
    }

    /// From DER: certificates leaf first, and a PKCS #8 key.
    ///
    /// # Errors
    /// As [`CertificateIdentity::load`].
    pub fn from_der(chain: Vec<Vec<u8>>, pkcs8: Vec<u8>) -> Result<Self, LoadError> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let (chain_name, key_name) = (Path::new("certificate"), Path::new("key"));
        if chain.is_empty() {
            return Err(LoadError::NoCertificate { file: chain_name.into() });
        }
        Self::checked(chain, PrivateKeyDer::Pkcs8(pkcs8.into()), chain_name, key_name)
    }

    fn checked(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        chain_file: &Path,
        key_file: &Path,
    ) -> Result<Self, LoadError> {
        let key = provider(&[])
            .key_provider
            .load_private_key(key)
            .map_err(|e| LoadError::BadKey { file: key_file.into(), why: e.to_string() })?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(LoadError::KeyMismatch { certificate: chain_file.into(), key: key_file.into() })
            }
            Err(e) => Err(LoadError::BadCertificate { file: chain_file.into(), why: e.to_string() }),
        }
    }

    /// The chain in DER, leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.cert.iter().map(|cert| &cert[..])
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.0.clone()
    }
}

impl fmt::Debug for CertificateIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateIdentity({} certificates)", self.0.cert.len())
    }
}

#[cfg(test)]
mod tests;
