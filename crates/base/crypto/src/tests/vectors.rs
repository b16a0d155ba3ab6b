//! The published packets, byte for byte, in both directions.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use serde_json::Value;
use tq_wire::{Cid, PathId, Side, Version};

use super::provider::{Provider, nonce};
use crate::schedule::{directional_keys, expand_label, initial_keys, packet_key, retry_tag, update_secret};
use crate::{Crypto, DirectionalKeys, Hash, Suite, TAG_LEN, protect, unprotect};

fn vectors(name: &str) -> Value {
    let file = format!("{}/../../../testdata/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).expect("vectors")).expect("JSON")
}

/// Appendix A of RFC 9001 and of RFC 9369, which have the same shape.
fn appendices() -> [(Version, Value); 2] {
    [("rfc9001_appendix_a_v1.json", Version::V1), ("rfc9369_appendix_a_v2.json", Version::V2)].map(
        |(file, version)| {
            let vectors = vectors(file);
            assert_eq!(vectors["version"].as_str(), Some(&*format!("{:#010x}", version.0)));
            (version, vectors)
        },
    )
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hex")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn cid(value: &Value) -> Cid {
    Cid::new(&bytes(value)).expect("at most 20 bytes")
}

/// Seals and masks; the header ends with the packet number.
fn sealed(
    keys: &DirectionalKeys,
    path: PathId,
    pn: u64,
    pn_len: usize,
    header: &[u8],
    plain: &[u8],
) -> Vec<u8> {
    let mut packet = [header, plain, &[0; TAG_LEN]].concat();
    keys.packet.seal(path, pn, header.len(), &mut packet);
    protect(&*keys.header, &mut packet, header.len() - pn_len, pn_len);
    packet
}

/// Unmasks and opens what [`sealed`] made: header, packet number as sent, plaintext.
fn opened(
    keys: &DirectionalKeys,
    path: PathId,
    pn: u64,
    pn_offset: usize,
    mut packet: Vec<u8>,
) -> (Vec<u8>, u32, Vec<u8>) {
    let unprotected = unprotect(&*keys.header, &mut packet, pn_offset).expect("long enough");
    let (header, payload) = packet.split_at_mut(pn_offset + unprotected.pn_len);
    assert_eq!(header[0], unprotected.first);
    let len = keys.packet.open(path, pn, header, payload).expect("authentic");
    (header.to_vec(), unprotected.truncated, payload[..len].to_vec())
}

/// Checks a packet of the vectors both ways; `send` and `receive` belong to the two ends.
fn packet_matches(send: &DirectionalKeys, receive: &DirectionalKeys, row: &Value, plain: &[u8], wire: &str) {
    let (pn, pn_len) = (number(&row["packet_number"]), number(&row["pn_len"]) as usize);
    let header = bytes(&row["unprotected_header"]);
    let packet = sealed(send, PathId::ZERO, pn, pn_len, &header, plain);
    assert_eq!(hex::encode(&packet), wire);
    let pn_offset = header.len() - pn_len;
    let sample = packet[pn_offset + 4..].first_chunk().expect("long enough");
    assert_eq!(hex::encode(sample), text(&row["sample"]));
    assert_eq!(hex::encode(send.header.mask(sample)), text(&row["mask"]));
    let (read, truncated, read_plain) = opened(receive, PathId::ZERO, pn, pn_offset, packet);
    assert_eq!((read, read_plain), (header, plain.to_vec()));
    assert_eq!(u64::from(truncated), pn & ((1 << (8 * pn_len)) - 1));
}

// MUST 9001-5.2-1
#[test]
fn initial_secrets_and_keys_are_derived_as_printed() {
    for (version, vectors) in appendices() {
        let secret = Provider.hkdf_extract(&bytes(&vectors["initial_salt"]), &bytes(&vectors["dcid"]));
        assert_eq!(hex::encode(secret), text(&vectors["initial_secret"]));
        let (key_label, iv_label, hp_label) = match version {
            Version::V1 => ("quic key", "quic iv", "quic hp"),
            _ => ("quicv2 key", "quicv2 iv", "quicv2 hp"),
        };
        for (side, label) in [("client", "client in"), ("server", "server in")] {
            let expand = |secret: &[u8], label, len| -> (Vec<u8>, String) {
                let mut out = vec![0; len];
                expand_label(&Provider, Hash::Sha256, secret, label, &mut out);
                let shown = hex::encode(&out);
                (out, shown)
            };
            let row = &vectors[side];
            let (own, shown) = expand(&secret, label, 32);
            assert_eq!(shown, text(&row["secret"]));
            assert_eq!(expand(&own, key_label, 16).1, text(&row["key"]));
            assert_eq!(expand(&own, iv_label, 12).1, text(&row["iv"]));
            assert_eq!(expand(&own, hp_label, 16).1, text(&row["hp"]));
        }
    }
}

// MUST 9001-5.2-1
#[test]
fn the_clients_initial_is_protected_byte_for_byte() {
    for (version, vectors) in appendices() {
        let client = initial_keys(&Provider, version, &cid(&vectors["dcid"]), Side::Client);
        let server = initial_keys(&Provider, version, &cid(&vectors["dcid"]), Side::Server);
        let row = &vectors["client_initial"];
        let mut plain = bytes(&row["crypto_frame"]);
        plain.resize(number(&row["payload_len"]) as usize, 0);
        packet_matches(&client.local, &server.remote, row, &plain, text(&row["protected_packet"]));
    }
}

#[test]
fn the_servers_initial_is_protected_byte_for_byte() {
    for (version, vectors) in appendices() {
        let client = initial_keys(&Provider, version, &cid(&vectors["dcid"]), Side::Client);
        let server = initial_keys(&Provider, version, &cid(&vectors["dcid"]), Side::Server);
        let row = &vectors["server_initial"];
        let plain = bytes(&row["payload"]);
        packet_matches(&server.local, &client.remote, row, &plain, text(&row["protected_packet"]));
    }
}

#[test]
fn the_retry_tag_is_the_printed_one_and_covers_everything() {
    for (version, vectors) in appendices() {
        let row = &vectors["retry"];
        let (odcid, packet) = (cid(&row["original_dcid"]), bytes(&row["packet"]));
        let (retry, tag) = packet.split_last_chunk::<TAG_LEN>().expect("a tag");
        assert_eq!(retry_tag(&Provider, version, &odcid, retry), *tag);
        for at in 0..retry.len() {
            let mut wrong = retry.to_vec();
            wrong[at] ^= 1;
            assert_ne!(retry_tag(&Provider, version, &odcid, &wrong), *tag, "byte {at}");
        }
        assert_ne!(retry_tag(&Provider, version, &Cid::EMPTY, retry), *tag);
    }
}

#[test]
fn the_chacha20_short_header_packet_is_the_printed_one() {
    for (version, vectors) in appendices() {
        let row = &vectors["chacha20_short"];
        let keys = directional_keys(&Provider, version, Suite::ChaCha20Poly1305, &bytes(&row["secret"]));
        packet_matches(&keys, &keys, row, &bytes(&row["payload"]), text(&row["packet"]));
        // the printed key, IV and header key are the derived ones
        let iv = bytes(&row["iv"]).try_into().expect("12 bytes");
        let printed = DirectionalKeys {
            header: Provider.header_key(Suite::ChaCha20Poly1305, &bytes(&row["hp"])),
            packet: Provider.packet_key(Suite::ChaCha20Poly1305, &bytes(&row["key"]), iv),
        };
        packet_matches(&printed, &printed, row, &bytes(&row["payload"]), text(&row["packet"]));
        assert_eq!(hex::encode(nonce(iv, PathId::ZERO, number(&row["packet_number"]))), text(&row["nonce"]));
    }
}

#[test]
fn a_key_update_moves_on_to_the_printed_secret() {
    for (version, vectors) in appendices() {
        let row = &vectors["chacha20_short"];
        let mut secret = bytes(&row["secret"]);
        let seal = |secret: &[u8]| {
            let mut packet = [5; 40];
            let key = packet_key(&Provider, version, Suite::ChaCha20Poly1305, secret);
            key.seal(PathId::ZERO, 1, 4, &mut packet);
            packet
        };
        let before = seal(&secret);
        update_secret(&Provider, version, Hash::Sha256, &mut secret);
        assert_eq!(hex::encode(&secret), text(&row["ku_next_secret"]));
        assert_ne!(seal(&secret), before);
    }
}

#[test]
fn secrets_of_48_bytes_update_too() {
    let mut secret = [3; 48];
    let mut seen = vec![secret];
    for _ in 0..3 {
        update_secret(&Provider, Version::V1, Hash::Sha384, &mut secret);
        assert!(!seen.contains(&secret));
        seen.push(secret);
    }
    let keys = directional_keys(&Provider, Version::V1, Suite::Aes256Gcm, &secret);
    let header = [0x41, 9, 9];
    let packet = sealed(&keys, PathId(3), 9, 2, &header, b"plaintext");
    assert_eq!(opened(&keys, PathId(3), 9, 1, packet).2, b"plaintext");
}

#[test]
fn multipath_packets_are_the_computed_ones() {
    let vectors = vectors("multipath_nonce.json");
    let path = |row: &Value| PathId(number(&row["path"]).try_into().expect("32 bits"));
    for row in vectors["nonce"].as_array().expect("rows") {
        let iv = bytes(&row["iv"]).try_into().expect("12 bytes");
        assert_eq!(hex::encode(nonce(iv, path(row), number(&row["packet_number"]))), text(&row["nonce"]));
    }
    let rows = vectors["packets"].as_array().expect("rows");
    assert_eq!(rows.len(), 11);
    for row in rows {
        let suite = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305]
            .into_iter()
            .find(|suite| suite.name() == text(&row["suite"]))
            .expect("a suite");
        let keys = match row.get("secret") {
            Some(secret) => {
                let version = text(&row["version"]).trim_start_matches("0x");
                let version = Version(u32::from_str_radix(version, 16).expect("hex"));
                directional_keys(&Provider, version, suite, &bytes(secret))
            }
            None => DirectionalKeys {
                header: Provider.header_key(suite, &bytes(&row["hp"])),
                packet: Provider.packet_key(
                    suite,
                    &bytes(&row["key"]),
                    bytes(&row["iv"]).try_into().unwrap(),
                ),
            },
        };
        let (pn, pn_len) = (number(&row["packet_number"]), number(&row["pn_len"]) as usize);
        let (header, plain) = (bytes(&row["header"]), bytes(&row["plaintext"]));
        let packet = sealed(&keys, path(row), pn, pn_len, &header, &plain);
        assert_eq!(hex::encode(&packet), text(&row["packet"]), "path {:?}", path(row));
        let (read, _, read_plain) = opened(&keys, path(row), pn, header.len() - pn_len, packet);
        assert_eq!((read, read_plain), (header, plain));
    }
}
