//! What RFC 9001 asks of the TLS beneath QUIC, as far as it shows in messages.

use tq_crypto::Suite;
use tq_quic::handshake::{Level, TlsError};

use super::*;
use crate::client::suited;
use crate::verify::AnyServer;

const CERTIFICATE_REQUEST: &[u8] = &[13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];

type Extensions<'a> = Vec<(u16, &'a [u8])>;

/// Type and body of each message.
fn messages(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut out = Vec::new();
    while let [kind, a, b, c, rest @ ..] = bytes {
        let (body, after) = rest.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        out.push((*kind, body));
        bytes = after;
    }
    out
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Extensions in a list without its length.
fn extensions(mut bytes: &[u8]) -> Extensions<'_> {
    let mut out = Vec::new();
    while bytes.len() >= 4 {
        let (body, rest) = bytes[4..].split_at(u16_at(bytes, 2).into());
        out.push((u16_at(bytes, 0), body));
        bytes = rest;
    }
    out
}

/// Session id, suites and extensions of a ClientHello.
fn parts(hello: &[u8]) -> (&[u8], &[u8], Extensions<'_>) {
    let (id, rest) = hello[39..].split_at(hello[38].into());
    let (suites, rest) = rest[2..].split_at(u16_at(rest, 0).into());
    let rest = &rest[1 + usize::from(rest[0])..];
    (id, suites, extensions(&rest[2..]))
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("it is there");
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// All that a handshake says, by who says it and level.
fn transcript(client: &mut End, server: &mut End) -> Vec<(bool, Level, Vec<u8>)> {
    let mut said = Vec::new();
    loop {
        let before = said.len();
        for (level, bytes) in client.flight() {
            server.tls.read(level, &bytes).expect("the server reads");
            said.push((true, level, bytes));
        }
        for (level, bytes) in server.flight() {
            client.tls.read(level, &bytes).expect("the client reads");
            said.push((false, level, bytes));
        }
        if said.len() == before {
            return said;
        }
    }
}

// MUST 9001-4.2-1, 9001-5.3-1, 9001-8.4-1
#[test]
fn a_hello_offers_tls_1_3_suites_with_header_protection_and_no_compatibility_mode() {
    let (ours, theirs) = x509();
    let (mut end, _) = start(&*client(ours), &*server(theirs), Version::V1);
    let flight = end.flight();
    let (id, suites, extensions) = parts(&flight[0].1);
    assert_eq!(id, b"");
    assert!(suites.chunks(2).all(|suite| [[0x13, 1], [0x13, 2], [0x13, 3]].iter().any(|s| s == suite)));
    let versions = extensions.iter().find(|(kind, _)| *kind == 43).expect("supported_versions").1;
    assert_eq!(versions, [2, 3, 4]);
}

// MUST 9001-4.2-2
#[test]
fn an_older_tls_ends_the_handshake_on_either_side() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours), server(theirs));
    let (mut client, mut server) = start(&*ours, &*theirs, Version::V1);
    let mut hello = client.flight().remove(0).1;
    server.tls.read(Level::Initial, &hello).expect("hello is read");
    let mut answer = server.flight().remove(0).1;
    replace(&mut answer, &[0, 43, 0, 2, 3, 4], &[0, 43, 0, 2, 3, 3]);
    client.tls.read(Level::Initial, &answer).expect_err("TLS 1.2 is chosen");
    let (_, mut server) = start(&*ours, &*theirs, Version::V1);
    replace(&mut hello, &[0, 43, 0, 3, 2, 3, 4], &[0, 43, 0, 3, 2, 3, 3]);
    assert_eq!(server.tls.read(Level::Initial, &hello).map_err(|error| error.alert), Err(70));
}

// MUST 9001-5.3-2
#[test]
fn a_suite_nobody_knows_does_not_spoil_a_hello() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    let mut hello = client.flight().remove(0).1;
    replace(&mut hello, &[0x13, 2], &[0x13, 0xfe]);
    server.tls.read(Level::Initial, &hello).expect("one of the others will do");
    assert_eq!(server.flight().len(), 2);
    assert_ne!(server.tls.suite(), Some(Suite::Aes256Gcm));
}

// MUST 9001-4.4-2, 9001-4.4-3, 9001-6-1
#[test]
fn a_server_that_knows_its_clients_by_certificate_asks_for_it_in_the_handshake_alone() {
    let (ours, theirs) = x509();
    let (_, roots) = self_signed(&["client.test"]).expect("a certificate");
    let theirs = theirs.clients(ClientAuth::Certificates { roots, required: false });
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    let mut asked = 0;
    for (from_client, level, bytes) in transcript(&mut client, &mut server) {
        // what rustls sends at the level of 1-RTT, if anything, is neither a request nor an update
        for (kind, _) in messages(&bytes) {
            asked += u32::from(kind == 13);
            assert!(kind != 24 && (kind != 13 || level == Level::Handshake && !from_client));
        }
    }
    assert_eq!(asked, 1);
    let mut more = Vec::new();
    assert!(server.tls.write(&mut more).is_none() && more.is_empty());
}

// MUST 9001-4.4-4
#[test]
fn a_certificate_request_after_the_handshake_breaks_a_rule_of_quic() {
    let (ours, theirs) = x509();
    let (mut client, _) = connect(&*client(ours), &*server(theirs), Version::V1);
    let error = client.tls.read(Level::OneRtt, CERTIFICATE_REQUEST).expect_err("not in QUIC");
    assert_eq!(error.alert, TlsError::QUIC_RULE);
}

// MUST 9001-4.6.1-2
#[test]
fn a_ticket_with_another_early_data_size_breaks_a_rule_of_quic() {
    for (size, fits) in [(u32::MAX, true), (1000, false), (0, false)] {
        let (ours, theirs) = x509();
        let ours = client(ours.early_data(true));
        let (mut client, _) = connect(&*ours, &*server(theirs.early_data(true)), Version::V1);
        let mut ticket = vec![4, 0, 0, 24, 0, 0, 14, 16, 0, 0, 0, 0, 1, 0, 0, 2, 1, 2, 0, 8, 0, 42, 0, 4];
        ticket.extend_from_slice(&size.to_be_bytes());
        // in pieces
        let result = ticket.chunks(5).try_for_each(|part| client.tls.read(Level::OneRtt, part));
        match fits {
            true => assert_eq!(result, Ok(())),
            false => assert_eq!(result.map_err(|error| error.alert), Err(TlsError::QUIC_RULE), "{size}"),
        }
    }
}

// MUST 9001-4.1.3-3
#[test]
fn bytes_behind_the_last_message_of_a_level_break_a_rule_of_quic() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    server.tls.read(Level::Initial, &client.flight()[0].1).expect("hello is read");
    let answer = server.flight();
    let together = [&answer[0].1[..], &answer[1].1[..7]].concat();
    let error = client.tls.read(Level::Initial, &together).expect_err("a piece of the next level");
    assert_eq!(error.alert, TlsError::QUIC_RULE);
}

// MUST 9001-6-2
#[test]
fn a_key_update_of_tls_is_an_unexpected_message_on_either_side() {
    let (ours, theirs) = x509();
    let (client, server) = connect(&*client(ours), &*server(theirs), Version::V1);
    for mut end in [client, server] {
        let error = end.tls.read(Level::OneRtt, &[24, 0, 0, 1, 0]).expect_err("not in QUIC");
        assert_eq!(error.alert, 10);
    }
}

// MUST 9001-8.1-2, 9001-8.1-5
#[test]
fn a_hello_without_protocols_is_refused_with_the_alert_for_it() {
    let (_, theirs) = x509();
    let config = rustls::ClientConfig::builder_with_provider(suited(&[], false).expect("suites"))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer::new()))
        .with_no_client_auth();
    let (name, version) = (NAME.try_into().expect("a name"), rustls::quic::Version::V1);
    let client = rustls::quic::ClientConnection::new(Arc::new(config), version, name, CLIENT_PARAMS.into());
    let mut hello = Vec::new();
    client.expect("starts").write_hs(&mut hello);
    let mut end = End::new(server(theirs).start(Version::V1, SERVER_PARAMS).expect("server starts"));
    assert_eq!(end.tls.read(Level::Initial, &hello).map_err(|error| error.alert), Err(120));
}

// MUST 9001-8.1-2, 9001-8.1-3
#[test]
fn a_server_that_chooses_no_protocol_is_refused_with_the_alert_for_it() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    server.tls.read(Level::Initial, &client.flight()[0].1).expect("hello is read");
    let answer = server.flight();
    client.tls.read(Level::Initial, &answer[0].1).expect("ServerHello is read");
    // EncryptedExtensions without the protocol
    let said = messages(&answer[1].1);
    assert_eq!(said[0].0, 8);
    let mut kept = Vec::new();
    for (kind, body) in extensions(&said[0].1[2..]).iter().filter(|(kind, _)| *kind != 16) {
        kept.extend([&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat());
    }
    let len = kept.len() as u8;
    let message = [&[8, 0, 0, len + 2, 0, len], &kept[..]].concat();
    assert_eq!(client.tls.read(Level::Handshake, &message).map_err(|error| error.alert), Err(120));
}

// MUST 9001-8.2-2
#[test]
fn a_hello_without_transport_parameters_lacks_an_extension() {
    let (ours, theirs) = x509();
    let (mut client, mut server) = start(&*client(ours), &*server(theirs), Version::V1);
    let mut hello = client.flight().remove(0).1;
    let len = CLIENT_PARAMS.len() as u8;
    replace(&mut hello, &[0, 57, 0, len], &[0xfa, 0x57, 0, len]);
    assert_eq!(server.tls.read(Level::Initial, &hello).map_err(|error| error.alert), Err(109));
}

// MUST 9001-8.2-1, 9001-8.3-1, 9001-4.6.1-1
#[test]
fn early_data_ends_without_a_word_and_both_ends_show_their_parameters() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours.early_data(true)), server(theirs.early_data(true)));
    for early in [false, true] {
        let (mut client, mut server) = start(&*ours, &*theirs, Version::V1);
        assert_eq!(client.tls.early_keys().is_some(), early);
        let said = transcript(&mut client, &mut server);
        assert_eq!(client.tls.early_accepted(), Some(early));
        let all = said.iter().flat_map(|(_, _, bytes)| messages(bytes));
        assert!(all.clone().all(|(kind, _)| kind != 5), "EndOfEarlyData");
        let with = |kind: u8, params: &[u8]| {
            let message = all.clone().find(|(of, _)| *of == kind).expect("it is sent").1;
            let extension = [&[0, 57, 0, params.len() as u8], params].concat();
            message.windows(extension.len()).any(|window| window == extension)
        };
        assert!(with(1, CLIENT_PARAMS) && with(8, SERVER_PARAMS));
        let after: Vec<_> = said.iter().filter(|(_, level, _)| *level == Level::OneRtt).collect();
        assert!(!after.is_empty() && after.iter().all(|(from_client, ..)| !from_client));
        for (kind, body) in after.iter().flat_map(|(_, _, bytes)| messages(bytes)) {
            assert_eq!(kind, 4, "tickets and nothing else");
            assert!(body.ends_with(&[0, 42, 0, 4, 0xff, 0xff, 0xff, 0xff]), "{body:02x?}");
        }
    }
}
