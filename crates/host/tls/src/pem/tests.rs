//! What an operator reads when a file is wrong.

use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::{CertificateIdentity, RawIdentity};

/// A file that goes away with its test.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let file = std::env::temp_dir().join(format!("tq-tls-{}-{name}", std::process::id()));
        fs::write(&file, content).unwrap();
        Self(file)
    }
}

impl AsRef<Path> for File {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The message, which must name the file.
fn refused(chain: &File, key: &File, named: &File) -> String {
    let message = CertificateIdentity::load(chain, key).expect_err("refused").to_string();
    assert!(message.contains(named.0.to_str().unwrap()), "{message}");
    message
}

#[test]
fn a_chain_and_its_key_load_from_two_files_or_one() {
    let (chain, key) = pair();
    let both = File::new("both.pem", chain.clone() + &key);
    CertificateIdentity::load(&both, &both).expect("one file");
    let (chain_file, key_file) = (File::new("a-chain.pem", &chain), File::new("a-key.pem", &key));
    let identity = CertificateIdentity::load(&chain_file, &key_file).expect("two files");
    assert_eq!(identity.chain().count(), 1);
    CertificateIdentity::from_pem(&chain, &key).expect("no file");
    Roots::load(&chain_file).expect("its own root");
}

#[test]
fn each_cause_has_its_own_message_and_names_its_file() {
    let ((chain, key), (_, other)) = (pair(), pair());
    let (chain, key, other) =
        (File::new("chain.pem", chain), File::new("key.pem", key), File::new("other.pem", other));
    let text = File::new("text.pem", "hello");
    let damaged = File::new("damaged.pem", fs::read_to_string(&key).unwrap().replace("-----END", "-----EDN"));
    let base64 = File::new("base64.pem", "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n");
    let locked = File::new(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let junk = File::new("junk.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let no_x509 = File::new("no-x509.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = File(PathBuf::from("/nonexistent/file.pem"));

    assert!(refused(&missing, &key, &missing).contains("cannot be read"));
    assert!(refused(&chain, &missing, &missing).contains("cannot be read"));
    assert!(refused(&text, &key, &text).contains("not PEM"));
    assert!(refused(&key, &key, &key).contains("no certificate inside"));
    assert!(refused(&chain, &chain, &chain).contains("no private key inside"));
    assert!(refused(&chain, &damaged, &damaged).contains("damaged PEM"));
    assert!(refused(&base64, &key, &base64).contains("damaged PEM"));
    assert!(refused(&chain, &locked, &locked).contains("encrypted"));
    assert!(refused(&chain, &junk, &junk).contains("private key cannot be used"));
    assert!(refused(&no_x509, &key, &no_x509).contains("certificate cannot be used"));
    let mismatch = refused(&chain, &other, &other);
    assert!(mismatch.contains("not the key of the certificate in") && mismatch.contains("chain.pem"));
}

#[test]
fn other_files_are_no_raw_keys_and_no_roots() {
    let (chain, key) = pair();
    let (chain, key) = (File::new("raw-chain.pem", chain), File::new("raw-key.pem", key));
    let message = RawIdentity::load(&key).expect_err("a P-256 key").to_string();
    assert!(message.contains("not an Ed25519 key"), "{message}");
    let message = RawIdentity::load(&chain).expect_err("a certificate").to_string();
    assert!(message.contains("no private key inside"), "{message}");
    assert!(matches!(Roots::load(&key), Err(LoadError::NoCertificate { .. })));
    assert!(matches!(Roots::from_der([]), Err(LoadError::NoCertificate { .. })));
    assert!(matches!(Roots::from_der([vec![1, 2, 3]]), Err(LoadError::BadCertificate { .. })));
}

#[test]
fn what_is_encoded_is_read_again() {
    for len in 0..100 {
        let der: Vec<u8> = (0..len).collect();
        let text = encode("CERTIFICATE", &der);
        assert!(text.lines().all(|line| line.len() <= 64));
        let sections = parse(Path::new("text"), text.as_bytes()).expect("PEM");
        assert_eq!(sections, [(SectionKind::Certificate, der)]);
    }
}
