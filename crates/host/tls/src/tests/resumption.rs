//! Tickets, 0-RTT keys, and where neither must be.

use tq_quic::handshake::PeerIdentity;
use tq_wire::PathId;

use super::*;

fn opens(from: &tq_crypto::DirectionalKeys, to: &tq_crypto::DirectionalKeys) -> bool {
    let mut packet = [7; 64];
    from.packet.seal(PathId::ZERO, 0, 8, &mut packet);
    let (header, payload) = packet.split_at_mut(8);
    to.packet.open(PathId::ZERO, 0, header, payload).is_ok()
}

#[test]
fn a_second_connection_may_send_early_data_that_the_server_opens() {
    for (ours, theirs) in [x509(), raw()] {
        let (ours, theirs) = (client(ours.early_data(true)), server(theirs.early_data(true)));
        connect(&*ours, &*theirs, Version::V1);
        let (mut client, mut server) = start(&*ours, &*theirs, Version::V1);
        let early = client.tls.early_keys().expect("a ticket from the first connection");
        assert_eq!(client.tls.early_accepted(), None);
        for (level, bytes) in client.flight() {
            server.tls.read(level, &bytes).expect("hello is read");
        }
        let accepted = server.tls.early_keys().expect("0-RTT is accepted");
        assert!(opens(&early, &accepted));
        run(&mut client, &mut server, usize::MAX).expect("handshake completes");
        assert_eq!(client.tls.early_accepted(), Some(true));
        assert_ne!(client.tls.peer(), PeerIdentity::Anonymous, "the ticket remembers whom it is from");
    }
}

#[test]
fn a_server_that_forgot_refuses_early_data_and_completes() {
    let (ours, theirs) = x509();
    let ours = client(ours.early_data(true));
    connect(&*ours, &*server(theirs.clone().early_data(true)), Version::V1);
    let (mut client, mut server) = start(&*ours, &*server(theirs.early_data(true)), Version::V1);
    assert!(client.tls.early_keys().is_some());
    run(&mut client, &mut server, usize::MAX).expect("handshake completes");
    assert_eq!(client.tls.early_accepted(), Some(false));
    assert!(server.tls.early_keys().is_none());
}

// MUST 9001-5.6-1
#[test]
fn early_data_is_off_unless_both_ask_for_it() {
    for (client_on, server_on) in [(true, false), (false, true)] {
        let (ours, theirs) = x509();
        let (ours, theirs) = (client(ours.early_data(client_on)), server(theirs.early_data(server_on)));
        connect(&*ours, &*theirs, Version::V1);
        let (mut client, _) = start(&*ours, &*theirs, Version::V1);
        assert!(client.tls.early_keys().is_none());
    }
}

#[test]
fn no_ticket_outlives_a_revoked_client_key() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let revoked = Arc::new(AtomicBool::new(false));
    let asked = revoked.clone();
    let (ours, theirs) = raw();
    let ours = client(ours.raw_key(RawIdentity::generate()));
    let clients = ClientAuth::raw_keys(move |_| !asked.load(Ordering::Relaxed));
    let theirs = server(theirs.clients(clients));
    connect(&*ours, &*theirs, Version::V1);
    connect(&*ours, &*theirs, Version::V1);
    revoked.store(true, Ordering::Relaxed);
    assert_eq!(refused(&*ours, &*theirs).alert(), 49);
}

#[test]
fn whoever_resumes_nothing_gets_full_handshakes() {
    for (client_on, sessions) in [(true, 4096), (false, 4096), (true, 0), (false, 0)] {
        let (ours, theirs) = x509();
        let (ours, theirs) = (client(ours.resumption(client_on)), server(theirs.sessions(sessions)));
        let (first, _) = connect(&*ours, &*theirs, Version::V1);
        assert!(!first.tls.is_resumed());
        let (second, _) = connect(&*ours, &*theirs, Version::V1);
        assert_eq!(second.tls.is_resumed(), client_on && sessions > 0);
    }
}
