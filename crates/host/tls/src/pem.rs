//! PEM files in and out. Errors name the file and the cause, because an operator reads them.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::LoadError;

pub(crate) type Section = (SectionKind, Vec<u8>);

/// Where distributions keep their bundle of root certificates.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// All sections of a PEM file.
pub(crate) fn sections(file: &Path) -> Result<Vec<Section>, LoadError> {
    let bytes = fs::read(file).map_err(|cause| LoadError::Unreadable { file: file.into(), cause })?;
    parse(file, &bytes)
}

pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Vec<Section>, LoadError> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(LoadError::NotPem { file: file.into() });
    }
    if bytes.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY") {
        return Err(LoadError::EncryptedKey { file: file.into() });
    }
    Section::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| LoadError::BadPem { file: file.into(), why: describe(&error) })
}

/// The parser's error in words: its own prints lines as lists of numbers.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("line {} is missing", String::from_utf8_lossy(end_marker).trim_end())
        }
        pem::Error::IllegalSectionStart { line } => {
            let line: String = String::from_utf8_lossy(line).chars().take(64).collect();
            format!("cannot understand the line {}", line.trim_end())
        }
        other => other.to_string(),
    }
}

pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    certificates_in(file, &sections(file)?)
}

pub(crate) fn certificates_in(
    file: &Path,
    sections: &[Section],
) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let certificates: Vec<_> = sections
        .iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der.clone()))
        .collect();
    match certificates.is_empty() {
        true => Err(LoadError::NoCertificate { file: file.into() }),
        false => Ok(certificates),
    }
}

pub(crate) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    key_in(file, &sections(file)?)
}

pub(crate) fn key_in(file: &Path, sections: &[Section]) -> Result<PrivateKeyDer<'static>, LoadError> {
    sections
        .iter()
        .find_map(|(kind, der)| PrivateKeyDer::from_pem(*kind, der.clone()))
        .ok_or_else(|| LoadError::no_key(file))
}

/// Root certificates a peer's chain may end at.
#[derive(Clone, Debug)]
pub struct Roots(pub(crate) RootCertStore);

impl Roots {
    /// Every certificate of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, is not PEM, or one of its certificates cannot be a root.
    pub fn load(file: impl AsRef<Path>) -> Result<Self, LoadError> {
        let file = file.as_ref();
        Self::of(file, certificates(file)?)
    }

    /// From DER, such as a self-signed certificate handed over by other means.
    ///
    /// # Errors
    /// There is none, or one cannot be a root.
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, LoadError> {
        Self::of(Path::new("root certificate"), certificates.into_iter().map(CertificateDer::from).collect())
    }

    fn of(file: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<Self, LoadError> {
        if certificates.is_empty() {
            return Err(LoadError::NoCertificate { file: file.into() });
        }
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store
                .add(certificate)
                .map_err(|e| LoadError::BadCertificate { file: file.into(), why: e.to_string() })?;
        }
        Ok(Self(store))
    }

    /// The roots this system trusts. Those it cannot parse are left out, as everyone does.
    ///
    /// # Errors
    /// None of the usual files exists, or none of its certificates is usable.
    pub fn system() -> Result<Self, LoadError> {
        let file = BUNDLES.iter().map(PathBuf::from).find(|file| file.exists());
        let file = file.ok_or(LoadError::NoSystemRoots)?;
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(certificates(&file)?);
        if added == 0 { Err(LoadError::NoCertificate { file }) } else { Ok(Self(store)) }
    }
}

/// DER as PEM, 64 characters a line.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits =
                group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for i in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
                text.push(if i <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests;
