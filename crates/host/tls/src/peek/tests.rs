//! Hellos as rustls sends them, cut, mutated and made up.

use proptest::prelude::*;
use tq_quic::handshake::{Level, ServerTls};
use tq_wire::Version;

use super::*;
use crate::{ClientConfig, RawIdentity, ServerConfig};

fn sent(config: ClientConfig) -> Vec<u8> {
    let client = config.build().expect("client configuration");
    let mut bytes = Vec::new();
    let mut session = client.start(Version::V1, "Some.Name.test", b"params").expect("client starts");
    assert!(session.write(&mut bytes).is_none());
    bytes
}

fn plain() -> Vec<u8> {
    sent(ClientConfig::insecure().alpn(["h3", "hq-interop"]))
}

/// A hello with these extensions and nothing else of interest.
fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (kind, value) in extensions {
        list.extend_from_slice(&kind.to_be_bytes());
        list.extend_from_slice(&(value.len() as u16).to_be_bytes());
        list.extend_from_slice(value);
    }
    let mut body = vec![3; 34];
    body.extend_from_slice(&[0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend_from_slice(&(list.len() as u16).to_be_bytes());
    body.extend_from_slice(&list);
    [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

fn wrong(extensions: &[(u16, &[u8])]) -> PeekError {
    peek(&made(extensions)).expect_err("malformed")
}

#[test]
fn a_plain_hello_takes_certificates_only() {
    let bytes = plain();
    let hello = peek(&bytes).unwrap().expect("complete");
    assert_eq!(hello.server_name(), Some("Some.Name.test"));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h3"[..], b"hq-interop"]);
    assert!(hello.accepts_certificate() && !hello.accepts_raw_key() && !hello.prefers_raw_key());
    assert!(hello.shows_certificate() && !hello.shows_raw_key());
}

#[test]
fn a_hello_for_raw_keys_says_so() {
    let identity = RawIdentity::generate();
    let config = ClientConfig::pinned_key(identity.spki()).raw_key(identity).alpn(["tq1"]);
    let bytes = sent(config);
    let hello = peek(&bytes).unwrap().expect("complete");
    assert!(hello.accepts_raw_key() && hello.prefers_raw_key() && !hello.accepts_certificate());
    assert!(hello.shows_raw_key() && !hello.shows_certificate());
}

#[test]
fn a_hello_is_incomplete_until_its_last_byte_and_what_follows_is_ignored() {
    let bytes = plain();
    for len in 0..bytes.len() {
        assert_eq!(peek(&bytes[..len]), Ok(None), "{len} bytes");
    }
    assert_eq!(peek(&[&bytes[..], b"more"].concat()), peek(&bytes));
}

#[test]
fn other_messages_long_hellos_and_session_ids_are_refused() {
    assert_eq!(peek(&[2]), Err(PeekError::NotClientHello));
    assert_eq!(peek(&[1, 1, 0, 0]), Err(PeekError::TooLong));
    let mut with_session = plain();
    with_session[4 + 34] = 1;
    assert!(matches!(peek(&with_session), Err(PeekError::Forbidden(_))));
    assert_eq!(PeekError::NotClientHello.alert(), 10);
    assert_eq!(PeekError::TooLong.alert(), 50);
    assert_eq!(PeekError::Forbidden("x").alert(), 47);
    assert_eq!(PeekError::Malformed("x").to_string(), "x");
}

#[test]
fn every_malformed_extension_is_found() {
    let cut = PeekError::Malformed("ClientHello is cut off");
    assert_eq!(wrong(&[(0, b"")]), cut);
    assert_eq!(wrong(&[(0, b"\0\x04\0\0\x09a")]), cut);
    assert_eq!(wrong(&[(16, b"\0\x05\x02h3")]), cut);
    assert_eq!(
        wrong(&[(16, b"\0\x03\x02h3x")]),
        PeekError::Malformed("bytes after the content of an extension")
    );
    assert_eq!(wrong(&[(16, b"\0\x01\0")]), PeekError::Malformed("empty application protocol"));
    assert_eq!(wrong(&[(20, b"\0")]), PeekError::Malformed("empty list of certificate types"));
    assert_eq!(wrong(&[(19, b"\x02\0")]), cut);
    assert_eq!(wrong(&[(20, b"\x01\x02"), (20, b"\x01\0")]), PeekError::Forbidden("extension sent twice"));
    let mut after = made(&[]);
    after[3] += 1;
    after.push(0);
    assert_eq!(peek(&after), Err(PeekError::Malformed("bytes after the extensions of a ClientHello")));
}

#[test]
fn names_that_are_none_are_left_out_and_orders_are_kept() {
    for name in [&b"\0\x04\0\0\x01\xff"[..], b"\0\x03\0\0\0", b"\0\x04\x01\0\x01a"] {
        let bytes = made(&[(0, name), (77, b"whatever"), (20, b"\x03\x01\0\x02")]);
        let hello = peek(&bytes).unwrap().expect("complete");
        assert_eq!(hello.server_name(), None);
        assert!(hello.accepts_raw_key() && hello.accepts_certificate() && !hello.prefers_raw_key());
        assert_eq!(hello.alpn().count(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), first in any::<bool>()) {
        let bytes = if first { [&[1, 0, 0][..], &bytes].concat() } else { bytes };
        if let Ok(Some(hello)) = peek(&bytes) {
            hello.alpn().for_each(|protocol| assert!(!protocol.is_empty()));
            assert!(hello.server_name().is_none_or(|name| name.len() <= 253));
        }
    }

    #[test]
    fn extensions_of_arbitrary_content_never_panic(
        kinds in prop::collection::vec((prop::sample::select(vec![0u16, 16, 19, 20, 43]), prop::collection::vec(0u8..6, 0..12)), 0..6)
    ) {
        let extensions: Vec<_> = kinds.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        if let Ok(Some(hello)) = peek(&made(&extensions)) {
            hello.alpn().for_each(|protocol| assert!(!protocol.is_empty()));
        }
    }
}

#[test]
fn a_mutated_hello_never_panics_here_or_in_a_session() {
    let identity = RawIdentity::generate();
    let server = ServerConfig::new().raw_key(identity.clone()).alpn(["tq1"]).build().expect("configuration");
    let original = sent(ClientConfig::pinned_key(identity.spki()).alpn(["tq1"]));
    // every byte, to the values that hurt lengths most; and pairs from a fixed sequence
    let mut state = 9001u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let feed = |bytes: &[u8]| {
        let _ = peek(bytes);
        let mut session = server.start(Version::V1, b"params").expect("server starts");
        session.read(Level::Initial, bytes).is_ok()
    };
    assert!(feed(&original));
    for at in 0..original.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, original[at].wrapping_add(1), original[at].wrapping_sub(1)] {
            let mut bytes = original.clone();
            bytes[at] = value;
            feed(&bytes);
        }
    }
    for _ in 0..2000 {
        let mut bytes = original.clone();
        for _ in 0..3 {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = random(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random(256) as u8),
            }
        }
        feed(&bytes);
    }
}
