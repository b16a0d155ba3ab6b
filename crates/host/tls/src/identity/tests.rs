//! Raw keys there and back, and what goes wrong with identities.

use super::*;

/// RFC 8032 §7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn seed() -> [u8; 32] {
    hex::decode(SEED).unwrap().try_into().unwrap()
}

#[test]
fn a_seed_gives_the_key_of_rfc_8032() {
    let identity = RawIdentity::from_seed(seed());
    assert_eq!(hex::encode(identity.public_key()), PUBLIC);
    assert_eq!(identity.spki(), ed25519_spki(&identity.public_key()));
}

#[test]
fn generated_keys_differ_and_debug_hides_the_secret() {
    let (one, other) = (RawIdentity::generate(), RawIdentity::generate());
    assert_ne!(one.fingerprint(), other.fingerprint());
    let shown = format!("{:?}", RawIdentity::from_seed(seed()));
    assert!(shown.contains("sha256:") && !shown.contains(&SEED[..8]), "{shown}");
    assert_eq!(one.fingerprint().to_string().len(), "sha256:".len() + 64);
}

#[test]
fn a_raw_key_goes_through_pem() {
    let file = std::env::temp_dir().join(format!("tq-tls-raw-{}.pem", std::process::id()));
    let identity = RawIdentity::generate();
    std::fs::write(&file, identity.to_pem()).unwrap();
    let read = RawIdentity::load(&file).expect("our own PEM");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(read.spki(), identity.spki());
}

#[test]
fn only_ed25519_in_pkcs8_is_a_seed() {
    let v1 = [&ED25519_PKCS8[..], &seed()].concat();
    assert_eq!(pkcs8_seed(&v1), Some(seed()));
    // version 2 carries the public half behind the seed (RFC 8410 §10.3)
    let mut v2 = [&v1[..], &[0x81, 0x21, 0], &hex::decode(PUBLIC).unwrap()].concat();
    (v2[1], v2[4]) = (v2.len() as u8 - 2, 1);
    assert_eq!(pkcs8_seed(&v2), Some(seed()));
    for cut in 0..v1.len() {
        assert_eq!(pkcs8_seed(&v1[..cut]), None, "{cut} bytes");
    }
    for at in 0..16 {
        let mut wrong = v1.clone();
        wrong[at] ^= 0x40;
        assert_eq!(pkcs8_seed(&wrong), None, "byte {at}");
    }
}
