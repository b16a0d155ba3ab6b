//! A server that chooses another version than its client began with, and tickets that belong to one.

use tq_crypto::Suite;
use tq_wire::params::VersionInformation;
use tq_wire::{PathId, TransportParameters, Writer};

use super::*;

const BOTH: [Version; 2] = [Version::V1, Version::V2];

fn params(chosen: Version, streams: u64) -> Vec<u8> {
    let information = VersionInformation { chosen, available: BOTH.into_iter().collect() };
    let params = TransportParameters {
        initial_max_streams_uni: streams,
        version_information: Some(information),
        ..TransportParameters::default()
    };
    let mut out = vec![0; 200];
    let mut w = Writer::new(&mut out);
    params.encode(&mut w, None);
    let len = w.len();
    out.truncate(len);
    out
}

/// A handshake that begins with one version; the server chooses `to`, the client follows.
fn switched(ours: &dyn ClientTls, theirs: &dyn ServerTls, from: Version, to: Version) -> (End, End, bool) {
    let client = ours.start(from, NAME, &params(from, 5)).expect("client starts");
    let server = theirs.start(from, &params(from, 5)).expect("server starts");
    let (mut client, mut server) = (End::new(client), End::new(server));
    let early = client.tls.early_keys().is_some();
    let mut asked = 0;
    for (level, bytes) in client.flight() {
        assert_eq!(level, Level::Initial);
        for part in bytes.chunks(50) {
            let choose = &mut |offered: &[u8]| {
                asked += 1;
                assert!(TransportParameters::decode(offered, tq_wire::Side::Client).is_ok());
                (to != from).then(|| (to, params(to, 5)))
            };
            server.tls.read_hello(part, choose).expect("hello is read");
        }
    }
    assert_eq!(asked, 1);
    if to != from {
        assert!(client.tls.switch_version(to));
    }
    run(&mut client, &mut server, usize::MAX).expect("handshake completes");
    (client, server, early)
}

fn opens(from: &dyn tq_crypto::PacketKey, to: &dyn tq_crypto::PacketKey) -> bool {
    let mut packet = [7; 64];
    from.seal(PathId::ZERO, 0, 8, &mut packet);
    let (header, payload) = packet.split_at_mut(8);
    to.open(PathId::ZERO, 0, header, payload).is_ok()
}

#[test]
fn both_ends_derive_the_same_keys_of_the_chosen_version_in_every_suite() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        for (from, to) in [(Version::V1, Version::V2), (Version::V2, Version::V1)] {
            let (ours, theirs) = x509();
            let (ours, theirs) = (client(ours.suites(&[suite])), server(theirs));
            let (mut client, mut server, _) = switched(&*ours, &*theirs, from, to);
            let handshake = (client.handshake.take().unwrap(), server.handshake.take().unwrap());
            let data = (client.one_rtt.take().unwrap(), server.one_rtt.take().unwrap());
            for (ours, theirs) in [handshake, data] {
                assert!(opens(&*ours.local.packet, &*theirs.remote.packet));
                assert!(opens(&*theirs.local.packet, &*ours.remote.packet));
                let sample = [3; 16];
                assert_eq!(ours.local.header.mask(&sample), theirs.remote.header.mask(&sample));
            }
            for _ in 0..3 {
                let (ours, theirs) = (client.tls.next_keys().unwrap(), server.tls.next_keys().unwrap());
                assert!(opens(&*ours.local, &*theirs.remote) && opens(&*theirs.local, &*ours.remote));
            }
        }
    }
}

#[test]
fn a_client_that_does_not_follow_has_other_keys() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours), server(theirs));
    let begin = |version| ours.start(version, NAME, &params(version, 5)).expect("client starts");
    let mut deaf = End::new(begin(Version::V1));
    let mut end = End::new(theirs.start(Version::V1, &params(Version::V1, 5)).expect("server starts"));
    for (_, bytes) in deaf.flight() {
        let choose = &mut |_: &[u8]| Some((Version::V2, params(Version::V2, 5)));
        end.tls.read_hello(&bytes, choose).expect("hello is read");
    }
    run(&mut deaf, &mut end, usize::MAX).expect("TLS itself knows no version");
    let (ours, theirs) = (deaf.one_rtt.unwrap(), end.one_rtt.unwrap());
    assert!(!opens(&*ours.local.packet, &*theirs.remote.packet));
}

#[test]
fn a_client_that_offers_one_version_or_has_read_an_answer_does_not_change() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours), server(theirs));
    let (mut alone, _) = start(&*ours, &*theirs, Version::V1);
    assert!(!alone.tls.switch_version(Version::V2));
    let (mut client, ..) = switched(&*ours, &*theirs, Version::V1, Version::V1);
    assert!(!client.tls.switch_version(Version::V2));
}

#[test]
fn a_ticket_serves_the_version_that_was_spoken_when_it_came() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours.early_data(true)), server(theirs.early_data(true)));
    switched(&*ours, &*theirs, Version::V1, Version::V2);
    assert!(!switched(&*ours, &*theirs, Version::V1, Version::V1).2, "the first was version 2's");
    let (client, server, early) = switched(&*ours, &*theirs, Version::V2, Version::V2);
    assert!(early && client.tls.is_resumed() && server.tls.is_resumed());
    let (client, _, early) = switched(&*ours, &*theirs, Version::V1, Version::V2);
    assert!(early && client.tls.is_resumed(), "0-RTT in version 1, everything else in 2");
    assert_eq!(client.tls.early_accepted(), Some(true));
}

// MUST 9000-7.4.1-5, 9000-7.4.1-6, 9000-7.4.1-7
#[test]
fn a_server_that_grants_less_gives_a_full_handshake() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours.early_data(true)), server(theirs.early_data(true)));
    for (streams, resumed) in [(5, false), (5, true), (9, true), (8, false)] {
        let client = ours.start(Version::V1, NAME, &params(Version::V1, 5)).expect("client starts");
        let server = theirs.start(Version::V1, &params(Version::V1, streams)).expect("server starts");
        let (mut client, mut server) = (End::new(client), End::new(server));
        run(&mut client, &mut server, usize::MAX).expect("handshake completes");
        assert_eq!(server.tls.is_resumed(), resumed, "{streams} streams");
        // the other ticket of each connection must not serve the next
        while ours.start(Version::V1, NAME, CLIENT_PARAMS).expect("starts").early_keys().is_some() {}
        let again = ours.start(Version::V1, NAME, &params(Version::V1, 5)).expect("client starts");
        let server = theirs.start(Version::V1, &params(Version::V1, streams)).expect("server starts");
        run(&mut End::new(again), &mut End::new(server), usize::MAX).expect("handshake completes");
    }
}

#[test]
fn a_server_keeps_as_many_sessions_as_it_was_told() {
    let (ours, theirs) = x509();
    let (ours, theirs) = (client(ours.early_data(true)), server(theirs.early_data(true).sessions(0)));
    connect(&*ours, &*theirs, Version::V1);
    let (mut client, _) = start(&*ours, &*theirs, Version::V1);
    assert!(client.tls.early_keys().is_none(), "no ticket came");
}
