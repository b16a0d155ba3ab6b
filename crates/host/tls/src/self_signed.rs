//! A certificate nobody else vouches for: for tests, demos and first runs, always with its root handed over by hand.

use rcgen::{CertificateParams, KeyPair};

use crate::{CertificateIdentity, ConfigError, Roots};

/// A P-256 certificate for these DNS names or IP addresses, and the roots that accept it.
///
/// # Errors
/// A name cannot be in a certificate.
pub fn self_signed(names: &[&str]) -> Result<(CertificateIdentity, Roots), ConfigError> {
    let refuse = |e: &dyn std::fmt::Display| ConfigError::Tls(e.to_string());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().map_err(|e| refuse(&e))?;
    let certificate =
        CertificateParams::new(names).and_then(|params| params.self_signed(&key)).map_err(|e| refuse(&e))?;
    let der = certificate.der().to_vec();
    let identity =
        CertificateIdentity::from_der(vec![der.clone()], key.serialize_der()).map_err(|e| refuse(&e))?;
    Ok((identity, Roots::from_der([der]).map_err(|e| refuse(&e))?))
}
