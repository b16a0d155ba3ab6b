//! Certificates for test servers: one that signs itself, or a long chain of large ones.
//!
//! Decides names and sizes; how they are made is rcgen's.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Letters that make a certificate of a chain large: the longest common name that is allowed, and some names.
const PADDING: usize = 60;

/// Writes `cert.pem`, `key.pem` and `ca.pem` to `out`: a chain of `length` certificates of which the first is for
/// `names`. A chain's root is not part of it.
///
/// # Errors
/// A name is none, or a file cannot be written.
pub fn write(out: &Path, names: Vec<String>, length: u8) -> Result<()> {
    let key = KeyPair::generate()?;
    let (chain, ca) = if length == 1 {
        let own = CertificateParams::new(names)?.self_signed(&key)?.pem();
        (own.clone(), own)
    } else {
        long(&key, names, length)?
    };
    for (name, pem) in [("cert.pem", chain), ("key.pem", key.serialize_pem()), ("ca.pem", ca)] {
        let file = out.join(name);
        std::fs::write(&file, pem).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The chain, leaf first, and its root.
fn long(key: &KeyPair, names: Vec<String>, length: u8) -> Result<(String, String)> {
    let root_key = KeyPair::generate()?;
    let root = authority(0)?;
    let ca = root.self_signed(&root_key)?.pem();
    let mut issuer = Issuer::new(root, root_key);
    let mut chain = Vec::new();
    for number in 1..length {
        let (params, key) = (authority(number)?, KeyPair::generate()?);
        chain.push(params.signed_by(&key, &issuer)?.pem());
        issuer = Issuer::new(params, key);
    }
    chain.push(CertificateParams::new(names)?.signed_by(key, &issuer)?.pem());
    chain.reverse();
    Ok((chain.concat(), ca))
}

/// One that may sign others, of about a kilobyte.
fn authority(number: u8) -> Result<CertificateParams> {
    let label = format!("{number:02}{}", "x".repeat(PADDING));
    let names: Vec<String> = ["a", "b", "c", "d"].map(|end| format!("{label}.{label}.{end}.test")).to_vec();
    let mut params = CertificateParams::new(names)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, label);
    Ok(params)
}

#[cfg(test)]
mod tests;
