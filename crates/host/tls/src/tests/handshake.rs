//! Who is believed, and what both ends then know.

use tq_crypto::Suite;
use tq_quic::handshake::{Level, PeerIdentity};

use super::*;

// MUST 9000-7-1, 9001-8.2-1
#[test]
fn an_x509_handshake_completes_and_both_ends_know_what_was_agreed() {
    for version in [Version::V1, Version::V2] {
        let (ours, theirs) = x509();
        let (client, server) = connect(&*client(ours), &*server(theirs), version);
        assert_eq!(client.tls.peer_params(), Some(SERVER_PARAMS));
        assert_eq!(server.tls.peer_params(), Some(CLIENT_PARAMS));
        for end in [&client, &server] {
            assert_eq!(end.tls.alpn(), Some(&b"hq-interop"[..]));
            assert_eq!(end.tls.server_name(), Some(NAME));
            assert_eq!(end.tls.suite(), server.tls.suite());
            assert!(end.handshake.is_some() && end.one_rtt.is_some());
        }
        assert!(matches!(client.tls.peer(), PeerIdentity::Certificates(chain) if chain.len() == 1));
        assert_eq!(server.tls.peer(), PeerIdentity::Anonymous);
        assert_eq!(client.tls.early_accepted(), Some(false));
    }
}

#[test]
fn a_handshake_survives_being_read_byte_by_byte() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    run(&mut client, &mut server, 1).expect("handshake completes");
    assert!(!client.tls.is_handshaking() && !server.tls.is_handshaking());
}

#[test]
fn a_post_quantum_hello_is_longer_than_a_datagram_and_is_answered() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours.post_quantum(true)), &*server(theirs), Version::V1);
    let hello = client.flight();
    assert!(hello[0].1.len() > 1200, "{}", hello[0].1.len());
    hello[0].1.chunks(1100).for_each(|part| server.tls.read(Level::Initial, part).expect("hello is read"));
    let (_, server_hello) = &server.flight()[0];
    // a hybrid share makes the ServerHello longer than 1088 bytes
    assert!(server_hello.len() > 1088, "{}", server_hello.len());
}

// MUST 9001-4.4-1
#[test]
fn a_pinned_raw_key_is_believed_and_another_is_not() {
    let (ours, theirs) = raw();
    let theirs = server(theirs);
    let (client_end, _) = connect(&*client(ours), &*theirs, Version::V1);
    assert!(matches!(client_end.tls.peer(), PeerIdentity::RawKey(spki) if spki.len() == 44));
    let wrong = ClientConfig::pinned_key(RawIdentity::generate().spki()).alpn(["tq1"]);
    let failed = refused(&*client(wrong), &*theirs);
    assert!(
        matches!(&failed, Failed::Client(error) if error.reason.contains("not the pinned one")),
        "{failed:?}"
    );
    assert_eq!(failed.alert(), 46);
}

#[test]
fn both_ends_prove_themselves_with_raw_keys() {
    let device = RawIdentity::generate();
    let known = device.spki().to_vec();
    let (ours, theirs) = raw();
    let theirs = server(theirs.clients(ClientAuth::raw_keys(move |spki| spki == known)));
    let (_, server_end) = connect(&*client(ours.clone().raw_key(device.clone())), &*theirs, Version::V1);
    assert_eq!(server_end.tls.peer(), PeerIdentity::RawKey(device.spki().to_vec()));

    let stranger = client(ours.clone().raw_key(RawIdentity::generate()));
    let failed = refused(&*stranger, &*theirs);
    assert!(matches!(failed, Failed::Server(_)), "{failed:?}");
    assert_eq!(failed.alert(), 49);
    // one that shows nothing offers no raw key either
    assert_eq!(refused(&*client(ours), &*theirs).alert(), 43);
}

#[test]
fn optional_client_keys_let_others_in_unnamed() {
    let (ours, theirs) = raw();
    let clients = ClientAuth::RawKeys { allowed: Arc::new(|_| true), required: false };
    let theirs = server(theirs.clients(clients));
    let (_, server_end) = connect(&*client(ours.clone()), &*theirs, Version::V1);
    assert_eq!(server_end.tls.peer(), PeerIdentity::Anonymous);
    let device = RawIdentity::generate();
    let (_, server_end) = connect(&*client(ours.raw_key(device.clone())), &*theirs, Version::V1);
    assert_eq!(server_end.tls.peer(), PeerIdentity::RawKey(device.spki().to_vec()));
}

#[test]
fn client_certificates_are_checked_against_roots() {
    let (identity, roots) = self_signed(&["client.test"]).expect("a certificate");
    let (ours, theirs) = x509();
    let clients = ClientAuth::Certificates { roots, required: true };
    let theirs = server(theirs.clients(clients));
    let chain: Vec<_> = identity.chain().map(<[u8]>::to_vec).collect();
    let (_, server_end) = connect(&*client(ours.clone().certificate(identity)), &*theirs, Version::V1);
    assert_eq!(server_end.tls.peer(), PeerIdentity::Certificates(chain));
    let (stranger, _) = self_signed(&["client.test"]).expect("a certificate");
    refused(&*client(ours.clone().certificate(stranger)), &*theirs);
    assert_eq!(refused(&*client(ours), &*theirs).alert(), 116);
}

#[test]
fn one_endpoint_serves_certificates_and_raw_keys() {
    let raw_identity = RawIdentity::generate();
    let (identity, roots) = self_signed(&[NAME]).expect("a certificate");
    let both = ServerConfig::new().certificate(identity).raw_key(raw_identity.clone()).alpn(["tq1"]);
    let both = server(both);
    let by_root = client(ClientConfig::with_roots(roots).alpn(["tq1"]));
    let by_pin = client(ClientConfig::pinned_key(raw_identity.spki()).alpn(["tq1"]));
    let (client_end, _) = connect(&*by_root, &*both, Version::V1);
    assert!(matches!(client_end.tls.peer(), PeerIdentity::Certificates(_)));
    let (client_end, _) = connect(&*by_pin, &*both, Version::V2);
    assert!(matches!(client_end.tls.peer(), PeerIdentity::RawKey(_)));
}

#[test]
fn no_certificate_type_in_common_is_alert_43() {
    let ((by_root, x509_server), (by_pin, raw_server)) = (x509(), raw());
    assert_eq!(refused(&*client(by_root.alpn(["tq1"])), &*server(raw_server)).alert(), 43);
    assert_eq!(refused(&*client(by_pin.alpn(["hq-interop"])), &*server(x509_server)).alert(), 43);
}

// MUST 9000-7-2, 9001-8.1-2, 9001-8.1-5
#[test]
fn alpn_without_overlap_is_alert_120() {
    let (ours, theirs) = x509();
    assert_eq!(refused(&*client(ours.alpn(["h3"])), &*server(theirs)).alert(), 120);
}

#[test]
fn the_servers_order_of_protocols_decides() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (ours.alpn(["tq1", "hq-interop"]), theirs.alpn(["h3", "hq-interop", "tq1"]));
    let (client_end, _) = connect(&*client(ours), &*server(theirs), Version::V1);
    assert_eq!(client_end.tls.alpn(), Some(&b"hq-interop"[..]));
}

// MUST 9000-7-1, 9001-4.4-1
#[test]
fn another_name_or_another_root_is_not_believed() {
    let (_, theirs) = x509();
    let (other, _) = x509();
    // both roots bear the same name, so it is the signature that tells them apart
    assert!(matches!(refused(&*client(other), &*server(theirs)), Failed::Client(e) if e.alert == 51));
    let (identity, roots) = self_signed(&["other.test"]).expect("a certificate");
    let theirs = server(ServerConfig::new().certificate(identity).alpn(["h3"]));
    let ours = client(ClientConfig::with_roots(roots).alpn(["h3"]));
    assert!(matches!(refused(&*ours, &*theirs), Failed::Client(e) if e.alert == 42));
    connect(&*client(ClientConfig::insecure().alpn(["h3"])), &*theirs, Version::V1);
}

#[test]
fn a_callback_picks_by_name_and_protocol() {
    let tenant = RawIdentity::generate();
    let (ours, theirs) = x509();
    let public = server(theirs);
    let private = server(ServerConfig::new().raw_key(tenant.clone()).alpn(["tq1"]));
    let chooser = choose_by(move |hello| match hello.alpn().next() {
        Some(b"tq1") if hello.server_name() == Some(NAME) => Some(private.clone()),
        Some(b"hq-interop") => Some(public.clone()),
        _ => None,
    });
    connect(&*client(ours.clone()), &*chooser, Version::V1);
    connect(&*client(ClientConfig::pinned_key(tenant.spki()).alpn(["tq1"])), &*chooser, Version::V1);
    assert_eq!(refused(&*client(ours.alpn(["h3"])), &*chooser).alert(), 112);
}

#[test]
fn a_server_with_one_suite_is_answered_with_it() {
    for suite in [Suite::ChaCha20Poly1305, Suite::Aes128Gcm, Suite::Aes256Gcm] {
        let (ours, theirs) = x509();
        let (client_end, server_end) =
            connect(&*client(ours), &*server(theirs.suites(&[suite])), Version::V1);
        assert_eq!((client_end.tls.suite(), server_end.tls.suite()), (Some(suite), Some(suite)));
    }
    let (ours, theirs) = x509();
    let ours = client(ours.suites(&[Suite::ChaCha20Poly1305]));
    let theirs = server(theirs.suites(&[Suite::Aes128Gcm, Suite::Aes256Gcm]));
    assert_eq!(refused(&*ours, &*theirs).alert(), 40);
}

#[test]
fn bytes_at_the_wrong_level_are_refused() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours), server(theirs));
    let (mut client_end, mut server_end) = start(&*ours, &*theirs, Version::V1);
    let hello = client_end.flight();
    server_end.tls.read(Level::Initial, &hello[0].1).expect("hello is read");
    let answer = server_end.flight();
    assert_eq!(answer[0].0, Level::Initial);
    client_end.tls.read(Level::Initial, &answer[0].1).expect("ServerHello is read");
    // what follows is encrypted with handshake keys, so it cannot come in an Initial
    let error = client_end.tls.read(Level::Initial, &answer[1].1).expect_err("wrong level");
    assert_eq!(error.alert, 10);
    assert_eq!(client_end.tls.read(Level::Handshake, &answer[1].1), Err(error), "an error is final");

    let mut early = End::new(theirs.start(Version::V1, SERVER_PARAMS).expect("server starts"));
    assert_eq!(early.tls.read(Level::Handshake, &hello[0].1).map_err(|e| e.alert), Err(10));
}

#[test]
fn handshake_bytes_behind_a_server_hello_in_one_read_are_refused() {
    let (ours, theirs) = x509();
    let (mut client_end, mut server_end) = start(&*client(ours), &*server(theirs), Version::V1);
    server_end.tls.read(Level::Initial, &client_end.flight()[0].1).expect("hello is read");
    let answer = server_end.flight();
    let together = [&answer[0].1[..], &answer[1].1].concat();
    client_end.tls.read(Level::Initial, &together).expect_err("messages of two levels");
}

#[test]
fn a_client_that_talks_tls_after_the_handshake_is_refused() {
    let (ours, theirs) = x509();
    let (_, mut server_end) = connect(&*client(ours), &*server(theirs), Version::V1);
    // KeyUpdate (RFC 9001 §6)
    let error = server_end.tls.read(Level::OneRtt, &[24, 0, 0, 1, 0]).expect_err("key update message");
    assert_eq!(error.alert, 10);
}

#[test]
fn a_server_buffers_no_endless_hello() {
    let (_, theirs) = x509();
    let mut server_end = End::new(server(theirs).start(Version::V1, SERVER_PARAMS).expect("server starts"));
    assert!(server_end.tls.is_handshaking() && server_end.tls.peer_params().is_none());
    server_end.tls.read(Level::Initial, &[1, 0, 0x3f, 0xfc]).expect("16 KiB are announced");
    let mut fed = 0;
    let error = loop {
        fed += 1000;
        if let Err(error) = server_end.tls.read(Level::Initial, &[0; 1000]) {
            break error;
        }
    };
    assert!(fed <= peek::MAX_HELLO + 1000, "{fed}");
    assert!(matches!(error.alert, 47 | 50), "{error:?}");
}

// MUST 9001-8.1-1
#[test]
fn configurations_that_cannot_work_are_refused() {
    let (ours, theirs) = x509();
    let none: [&str; 0] = [];
    assert_eq!(ours.clone().alpn(none).build().err(), Some(ConfigError::NoAlpn));
    assert_eq!(ours.clone().alpn([""]).build().err(), Some(ConfigError::BadAlpn));
    assert_eq!(theirs.clone().alpn(none).build().err(), Some(ConfigError::NoAlpn));
    assert_eq!(theirs.alpn([[b'x'; 256]]).build().err(), Some(ConfigError::BadAlpn));
    assert_eq!(ServerConfig::new().alpn(["h3"]).build().err(), Some(ConfigError::NoIdentity));
    for pin in [&b""[..], b"not a key", &RawIdentity::generate().spki()[1..]] {
        let config = ClientConfig::pinned_key(pin).alpn(["h3"]);
        assert_eq!(config.build().err(), Some(ConfigError::BadPin));
    }
    let ours = client(ours);
    assert!(ours.start(Version::V1, "no name at all", CLIENT_PARAMS).is_err());
    assert!(ours.start(Version(7), NAME, CLIENT_PARAMS).is_err());
    ours.start(Version::V1, "192.0.2.1", CLIENT_PARAMS).expect("an address will do");
}
