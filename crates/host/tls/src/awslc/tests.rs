//! The provider against published packets and RFC 5869.

use serde_json::Value;
use tq_crypto::schedule;

use super::*;

fn vectors(name: &str) -> Value {
    let file = format!("{}/../../../testdata/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).expect("vectors")).expect("JSON")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a hex string")).expect("hex")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("length")
}

#[test]
fn the_nonce_is_the_iv_with_path_and_packet_number() {
    let vectors = vectors("multipath_nonce.json");
    let rows = vectors["nonce"].as_array().expect("rows");
    for row in rows {
        let path = PathId(row["path"].as_u64().expect("path") as u32);
        let pn = row["packet_number"].as_u64().expect("number");
        assert_eq!(nonce(array(&row["iv"]), path, pn), array(&row["nonce"]));
    }
    assert!(!rows.is_empty());
}

#[test]
fn packets_of_all_paths_are_sealed_and_opened_byte_for_byte() {
    let vectors = vectors("multipath_nonce.json");
    for row in vectors["packets"].as_array().expect("rows") {
        let keys = if row["secret"].is_string() {
            let version = row["version"].as_str().expect("version").trim_start_matches("0x");
            let version = tq_wire::Version(u32::from_str_radix(version, 16).expect("hex"));
            schedule::directional_keys(&AwsLc, version, Suite::ChaCha20Poly1305, &bytes(&row["secret"]))
        } else {
            tq_crypto::DirectionalKeys {
                header: AwsLc.header_key(Suite::Aes128Gcm, &bytes(&row["hp"])),
                packet: AwsLc.packet_key(Suite::Aes128Gcm, &bytes(&row["key"]), array(&row["iv"])),
            }
        };
        let path = PathId(row["path"].as_u64().expect("path") as u32);
        let pn = row["packet_number"].as_u64().expect("number");
        let pn_len = row["pn_len"].as_u64().expect("length") as usize;
        let (header, plain) = (bytes(&row["header"]), bytes(&row["plaintext"]));
        let mut packet = [&header[..], &plain, &[0; TAG_LEN]].concat();
        keys.packet.seal(path, pn, header.len(), &mut packet);
        tq_crypto::protect(&*keys.header, &mut packet, header.len() - pn_len, pn_len);
        assert_eq!(hex::encode(&packet), row["packet"].as_str().expect("hex"));

        tq_crypto::unprotect(&*keys.header, &mut packet, header.len() - pn_len).expect("long enough");
        let (read, payload) = packet.split_at_mut(header.len());
        assert_eq!(read, header);
        let len = keys.packet.open(path, pn, read, payload).expect("authentic");
        assert_eq!(payload[..len], plain);
    }
}

#[test]
fn hkdf_is_that_of_rfc_5869() {
    // RFC 5869 A.1
    let prk = AwsLc.hkdf_extract(&hex::decode("000102030405060708090a0b0c").unwrap(), &[0x0b; 22]);
    assert_eq!(hex::encode(prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    let mut okm = [0; 42];
    AwsLc.hkdf_expand(Hash::Sha256, &prk, &hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap(), &mut okm);
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(hex::encode(okm), expected);
    // SHA-384 gives other bytes and the longest output allowed works
    let mut long = [0; 255 * 48];
    AwsLc.hkdf_expand(Hash::Sha384, &[1; 48], b"info", &mut long);
    assert!(long.iter().any(|byte| *byte != 0));
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let tag = AwsLc.hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn entropy_does_not_repeat() {
    assert_ne!(AwsLc.u64(), AwsLc.u64());
}
