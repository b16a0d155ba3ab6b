use super::*;
use crate::interop::matrix::{Named, PAIRS, Pair};

fn cell(case: Case, link: Link) -> Cell {
    Cell { case, pair: PAIRS[0], link }
}

/// A summary as the relay writes it: counts of the server's side, and what was lost and corrupted.
fn relay(retry: u64, negotiation: u64, lost: u64, corrupted: u64, versions: &str) -> Relay {
    let up = format!(
        r#"{{"initial":2,"zero_rtt_packets":0,"handshake":1,"retry":0,"version_negotiation":0,"short":5,"other":0,
        "passed":8,"lost":{lost},"corrupted":{corrupted},"overflowed":0,"outage":0,"swallowed":0,"also":0,"ids_reused":0,"versions":[{versions}],"handshake_versions":["0x00000001"]}}"#
    );
    let down = format!(
        r#"{{"initial":1,"zero_rtt_packets":0,"handshake":1,"retry":{retry},"version_negotiation":{negotiation},
        "short":5,"other":0,"passed":8,"lost":0,"corrupted":0,"overflowed":0,"outage":0,"swallowed":0,"also":0,"ids_reused":0,
        "versions":["0x00000001"],"handshake_versions":["0x00000001"]}}"#
    );
    serde_json::from_str(&format!(r#"{{"clients":1,"turned_away":0,"rebinds":0,"rebinds_answered":0,"amplified":2900,"up":{up},"down":{down}}}"#)).unwrap()
}

fn traces(relay: Relay, log: &Qlog) -> Traces {
    Traces { relay: Some(relay), client: Some(log.clone()), server: Some(log.clone()) }
}

/// A log in which everything happened.
fn log() -> Qlog {
    Qlog {
        connections: 1,
        own_updates: 1,
        peer_updates: 1,
        marked_sent: 9,
        marked_received: 9,
        marks_acknowledged: 9,
        streams_at_once: 100,
        datagrams_sent: 20,
        datagrams_received: 15,
        crypto_sent: 9_000,
        crypto_received: 9_000,
        moves: 2,
        moves_unchallenged: 0,
        challenges_received: 2,
        responses_sent: 2,
        responses_received: 2,
        blocked_alone: 0,
        unheard: 0,
        flights: vec![700, 150],
    }
}

fn says(cell: Cell, traces: &Traces, what: &str) {
    let problem = contradiction(cell, traces).unwrap_or_default();
    assert!(problem.contains(what), "{cell}: {problem:?} should tell of {what:?}");
}

const V1: &str = "\"0x00000001\"";

#[test]
fn a_case_that_left_its_traces_was_played() {
    for &case in Case::ALL.iter().filter(|case| case.is_fast()) {
        let (retry, negotiation) =
            (u64::from(case == Case::Retry), u64::from(case == Case::VersionNegotiation));
        let versions = if negotiation > 0 { "\"0x0a1a2a3a\",\"0x00000001\"" } else { V1 };
        let traces = traces(relay(retry, negotiation, 0, 0, versions), &log());
        assert_eq!(contradiction(cell(case, Link::Clean), &traces), None);
    }
}

#[test]
fn retry_and_version_negotiation_must_be_seen_where_they_belong_and_only_there() {
    let clean = |case| cell(case, Link::Clean);
    says(clean(Case::Retry), &traces(relay(0, 0, 0, 0, V1), &log()), "0 Retry packets");
    says(clean(Case::Transfer), &traces(relay(1, 0, 0, 0, V1), &log()), "1 Retry packets");
    says(clean(Case::Transfer), &traces(relay(0, 2, 0, 0, V1), &log()), "2 Version Negotiation");
    let negotiation = clean(Case::VersionNegotiation);
    says(negotiation, &traces(relay(0, 1, 0, 0, V1), &log()), "no reserved version");
    says(negotiation, &traces(relay(0, 0, 0, 0, "\"0x1a2a3a4a\""), &log()), "no Version Negotiation");
    // A corrupted version is one the server does not speak.
    let corrupted = traces(relay(0, 1, 0, 3, V1), &log());
    assert_eq!(contradiction(cell(Case::Transfer, Link::Corruption), &corrupted), None);
}

#[test]
fn an_impaired_link_must_have_impaired_something_and_a_clean_one_nothing() {
    for (link, fine) in [(Link::Clean, (0, 0)), (Link::Loss, (4, 0)), (Link::Corruption, (0, 4))] {
        for (lost, corrupted) in [(0, 0), (4, 0), (0, 4), (4, 4)] {
            let traces = traces(relay(0, 0, lost, corrupted, V1), &log());
            let found = contradiction(cell(Case::Handshake, link), &traces);
            assert_eq!(found.is_none(), (lost, corrupted) == fine, "{link:?} {lost} {corrupted}: {found:?}");
        }
    }
}

#[test]
fn what_our_log_does_not_show_did_not_happen() {
    let none = Qlog { connections: 1, ..Qlog::default() };
    let fine = || relay(0, 0, 0, 0, V1);
    for (case, what) in [
        (Case::KeyUpdate, "we updated no keys"),
        (Case::Multiplexing, "only 0 streams"),
        (Case::Datagram, "only 0 DATAGRAM"),
        (Case::Ecn, "no packets sent marked"),
    ] {
        says(cell(case, Link::Clean), &traces(fine(), &none), what);
    }
    says(cell(Case::Transfer, Link::Clean), &traces(fine(), &Qlog::default()), "there is none");
    let one = Qlog { marks_acknowledged: 0, ..log() };
    says(cell(Case::Ecn, Link::Clean), &traces(fine(), &one), "no marks acknowledged");
}

/// A relay that did what the public runner's case is about.
fn played(case: Case) -> (Cell, Relay) {
    let cell = cell(case, Link::Runner);
    let mut relay = relay(0, 0, u64::from(cell.loses()), u64::from(cell.corrupts()), V1);
    match case {
        Case::Retry => relay.down.retry = 1,
        Case::ZeroRtt => relay.up.zero_rtt_packets = 3,
        Case::Blackhole => relay.down.outage = 9,
        Case::AmplificationLimit => relay.up.swallowed = 6,
        Case::RebindPort | Case::RebindAddr => (relay.rebinds, relay.rebinds_answered) = (2, 2),
        Case::V2 => relay.down.handshake_versions = vec!["0x6b3343cf".to_owned()],
        Case::ConnectionMigration | Case::CrossTraffic => (relay.clients, relay.down.also) = (2, MOVED),
        Case::Migration => relay.clients = 2,
        _ => {}
    }
    (cell, relay)
}

#[test]
fn the_runners_cases_leave_traces_of_their_own() {
    for &case in Case::ALL.iter().filter(|case| case.is_runners()) {
        let (cell, relay) = played(case);
        let log = Qlog { connections: cell.connections(), ..log() };
        assert_eq!(contradiction(cell, &traces(relay, &log)), None, "{cell}");
    }
    let spoilt = |case, spoil: fn(&mut Relay), what| {
        let (cell, mut relay) = played(case);
        spoil(&mut relay);
        says(cell, &traces(relay, &Qlog { connections: cell.connections(), ..log() }), what);
    };
    spoilt(Case::LongRtt, |relay| relay.up.initial = 1, "ClientHello");
    spoilt(Case::Blackhole, |relay| relay.down.outage = 0, "outage");
    spoilt(Case::AmplificationLimit, |relay| relay.up.swallowed = 5, "only 5 datagrams");
    spoilt(Case::AmplificationLimit, |relay| relay.amplified = 3001, "3001 bytes per 1000");
    spoilt(Case::RebindPort, |relay| relay.rebinds_answered = 1, "1 of 2 new addresses");
    spoilt(Case::RebindAddr, |relay| (relay.rebinds, relay.rebinds_answered) = (0, 0), "0 of 0");
    spoilt(Case::ZeroRtt, |relay| relay.up.zero_rtt_packets = 0, "0-RTT");
    spoilt(Case::V2, |relay| relay.down.handshake_versions = vec!["0x00000001".into()], "0x00000001");
    spoilt(Case::HandshakeLoss, |relay| relay.up.lost = 0, "lost 0");
    spoilt(Case::ConnectionMigration, |relay| relay.down.also = 9, "only 9 datagrams");
    spoilt(Case::ConnectionMigration, |relay| relay.up.ids_reused = 1, "of the client with an id used");
    spoilt(Case::Migration, |relay| relay.down.ids_reused = 2, "of the server with an id used");
    spoilt(Case::Migration, |relay| relay.clients = 1, "one address alone");
    spoilt(Case::CrossTraffic, |relay| relay.down.also = 0, "second door");
}

#[test]
fn a_server_that_follows_a_client_challenges_it_at_once() {
    let (cell, relay) = played(Case::RebindPort);
    let server = |log| Traces { server: Some(log), ..traces(relay.clone(), &self::log()) };
    says(cell, &server(Qlog { moves: 0, ..log() }), "never moved");
    says(cell, &server(Qlog { moves_unchallenged: 1, ..log() }), "1 of 2 new addresses carried no");
    says(cell, &server(Qlog { responses_received: 1, ..log() }), "1 of 2 new addresses were proven");
    let client =
        Traces { client: Some(Qlog { responses_sent: 0, ..log() }), ..traces(relay.clone(), &log()) };
    says(cell, &client, "none answered");
    let twice = Traces { client: Some(Qlog { connections: 2, ..log() }), ..traces(relay.clone(), &log()) };
    says(cell, &twice, "2 connections instead of 1");
    let (cell, relay) = played(Case::AmplificationLimit);
    let small = Qlog { crypto_sent: 900, crypto_received: 100, ..log() };
    says(cell, &traces(relay, &small), "only 900 bytes of CRYPTO");
}

#[test]
fn a_resumed_handshake_has_a_short_flight() {
    let (cell, relay) = played(Case::Resumption);
    let log = |flights: &[u64]| Qlog { connections: 2, flights: flights.to_vec(), ..log() };
    assert_eq!(contradiction(cell, &traces(relay.clone(), &log(&[150, 700]))), None);
    for flights in [&[700, 690][..], &[700, 0], &[]] {
        says(cell, &traces(relay.clone(), &log(flights)), "without a certificate");
    }
    let crypto = |kind: &str, name: &str, offset: u64| {
        format!(
            "\u{1e}{{\"name\":\"quic:packet_{name}\",\"data\":{{\"header\":{{\"packet_type\":\"{kind}\"}},\"frames\":\
             [{{\"frame_type\":\"crypto\",\"offset\":{offset},\"raw\":{{\"payload_length\":100}}}}]}}}}"
        )
    };
    let first = "\u{1e}{\"trace\":{\"vantage_point\":{\"type\":\"client\"}}}".to_owned();
    let lines = [
        first,
        crypto("initial", "received", 500),
        crypto("handshake", "received", 200),
        crypto("handshake", "received", 0),
        crypto("handshake", "sent", 900),
    ];
    let mut log = Qlog::default();
    log.read(&lines.join("\n")).unwrap();
    assert_eq!(log.flights, [300]);
}

#[test]
fn moves_are_read_from_a_log() {
    let record = |name: &str, frames: &str| {
        format!("\u{1e}{{\"name\":\"quic:{name}\",\"data\":{{\"frames\":[{frames}]}}}}")
    };
    let frame = |kind: &str| format!(r#"{{"frame_type":"{kind}","raw":{{"payload_length":1000}}}}"#);
    let lines = [
        "\u{1e}{\"trace\":{\"vantage_point\":{\"type\":\"server\"}}}".to_owned(),
        record("tuple_assigned", ""),
        record("packet_sent", &frame("crypto")),
        record("tuple_assigned", ""),
        record("packet_sent", &frame("path_challenge")),
        record("packet_sent", &frame("ping")),
        record("packet_received", &frame("path_response")),
        record("tuple_assigned", ""),
        record("packet_sent", &frame("ping")),
        record("packet_sent", &frame("path_challenge")),
        record("packet_received", &frame("path_challenge")),
        record("packet_sent", &frame("path_response")),
        record("packet_received", &frame("data_blocked")),
        record("packet_received", &frame("stream")),
        record("packet_received", &frame("data_blocked")),
    ];
    let mut log = Qlog::default();
    log.read(&lines.join("\n")).unwrap();
    let expected = Qlog {
        connections: 1,
        crypto_sent: 1000,
        moves: 2,
        moves_unchallenged: 1,
        challenges_received: 1,
        responses_sent: 1,
        responses_received: 1,
        blocked_alone: 1,
        flights: vec![0],
        ..Qlog::default()
    };
    assert_eq!(log, expected);
}

#[test]
fn a_peers_end_leaves_no_log_and_ours_must() {
    let pair = Pair { client: Stack::Quinn, server: Stack::Ours };
    let cell = Cell { pair, ..cell(Case::KeyUpdate, Link::Clean) };
    let mut traces = Traces { relay: Some(relay(0, 0, 0, 0, V1)), client: None, server: Some(log()) };
    assert_eq!(contradiction(cell, &traces), None);
    traces.server = Some(Qlog { peer_updates: 0, ..log() });
    says(cell, &traces, "the peer updated no keys");
    traces.server = None;
    says(cell, &traces, "our server left no qlog");
    traces.relay = None;
    says(cell, &traces, "no summary");
}

#[test]
fn a_failure_is_the_peers_only_with_the_traces_of_its_defect() {
    let pair = |client, server| Pair { client, server };
    let retry = |pair, link| Cell { case: Case::Retry, pair, link };
    let quinn = retry(pair(Stack::Quinn, Stack::Ours), Link::Corruption);
    let mut asked_again = relay(8, 0, 0, 0, V1);
    asked_again.down.corrupted = 1;
    assert!(peers_fault(quinn, &asked_again, None).is_some());
    assert_eq!(
        peers_fault(quinn, &relay(8, 0, 0, 3, V1), None),
        None,
        "no datagram of the server was corrupted"
    );
    asked_again.down.retry = 1;
    assert_eq!(peers_fault(quinn, &asked_again, None), None, "nobody asked again");
    asked_again.down.retry = 8;
    assert_eq!(peers_fault(retry(quinn.pair, Link::Loss), &asked_again, None), None);
    assert_eq!(
        peers_fault(retry(pair(Stack::Ours, Stack::Quinn), Link::Corruption), &asked_again, None),
        None
    );
}

#[test]
fn a_quiche_that_only_says_it_is_blocked_has_forgotten_what_was_lost() {
    let (mut cell, relay) = played(Case::RebindPort);
    cell.pair = Pair { client: Stack::Ours, server: Stack::Quiche };
    let stuck = Qlog { blocked_alone: STUCK, ..log() };
    assert_eq!(peers_fault(cell, &relay, Some(&stuck)), Some(QUICHE_MOVED));
    assert_eq!(peers_fault(cell, &relay, Some(&log())), None, "data came until the end");
    assert_eq!(peers_fault(cell, &relay, None), None);
    let transfer = Cell { case: Case::Transfer, ..cell };
    assert_eq!(peers_fault(transfer, &relay, Some(&stuck)), None);
    cell.pair.server = Stack::Quinn;
    assert_eq!(peers_fault(cell, &relay, Some(&stuck)), None);
}

#[test]
fn a_quiche_that_hears_no_more_of_a_handshake_leaves_the_rest_of_datagrams_unread() {
    let (mut cell, relay) = played(Case::HandshakeLoss);
    cell.pair = Pair { client: Stack::Ours, server: Stack::Quiche };
    let packet = |name: &str, kind: &str| {
        format!(
            r#"{{"name":"quic:packet_{name}","data":{{"frames":[],"header":{{"packet_type":"{kind}"}}}}}}"#
        )
    };
    let mut lines = vec![packet("sent", "handshake"); UNHEARD];
    let mut log = Qlog::default();
    log.read(&lines.join("\n")).unwrap();
    assert_eq!(peers_fault(cell, &relay, Some(&log)), Some(QUICHE_REST));
    assert_eq!(peers_fault(Cell { case: Case::Transfer, ..cell }, &relay, Some(&log)), None);
    lines.push(packet("received", "1RTT"));
    let mut log = Qlog::default();
    log.read(&lines.join("\n")).unwrap();
    assert_eq!(peers_fault(cell, &relay, Some(&log)), None, "it answered");
}

#[test]
fn a_quinn_that_takes_a_corrupted_packet_for_a_retry_says_so() {
    let says = "client: 1 files\ntq-interop: closed by the peer's transport: PROTOCOL_VIOLATION: client sent Retry\n";
    let mut corrupted = cell(Case::HandshakeCorruption, Link::Runner);
    corrupted.pair = Pair { client: Stack::Ours, server: Stack::Noq };
    assert_eq!(peers_word(corrupted, says), Some(QUINN_TYPE));
    assert_eq!(peers_word(corrupted, "tq-interop: timed out\n"), None);
    let lost = Cell { case: Case::HandshakeLoss, ..corrupted };
    assert_eq!(peers_word(lost, says), None, "nothing was corrupted");
    corrupted.pair.server = Stack::Quiche;
    assert_eq!(peers_word(corrupted, says), None);
}

#[test]
fn a_corrupted_retry_token_may_be_refused_and_nothing_else() {
    let refused = "client: 1 files\ntq-interop: closed by the peer's transport: INVALID_TOKEN\n";
    assert!(may_be_refused(cell(Case::Retry, Link::Corruption), refused));
    assert!(!may_be_refused(cell(Case::Retry, Link::Loss), refused));
    assert!(!may_be_refused(cell(Case::Handshake, Link::Corruption), refused));
    let earlier = format!("{refused}tq-interop: timed out\n");
    assert!(!may_be_refused(cell(Case::Retry, Link::Corruption), &earlier), "of an earlier run");
    assert!(!may_be_refused(cell(Case::Retry, Link::Corruption), ""));
}

#[test]
fn reserved_versions_are_known_by_their_pattern() {
    assert!(is_reserved("0x1a2a3a4a") && is_reserved("0x0a0a0a0a"));
    assert!(!is_reserved("0x00000001") && !is_reserved("0x1a2a3a4b") && !is_reserved("1a2a3a4a"));
}

#[test]
fn a_log_is_summed_up() {
    let packet = |name: &str, ecn: &str, frames: &str| {
        format!("\u{1e}{{\"name\":\"quic:packet_{name}\",\"data\":{{\"frames\":[{frames}]{ecn}}}}}")
    };
    let stream = |id: u64, fin: bool| {
        format!(r#"{{"frame_type":"stream","stream_id":{id},"offset":0,"fin":{fin},"raw":{{}}}}"#)
    };
    let marked = r#","ecn":"ECT(0)""#;
    let updated = |phase: u64, trigger: &str| {
        format!(
            "\u{1e}{{\"name\":\"quic:key_updated\",\"data\":{{\"key_phase\":{phase},\"trigger\":\"{trigger}\"}}}}"
        )
    };
    let lines = [
        "\u{1e}{\"trace\":{\"vantage_point\":{\"type\":\"client\"}}}".to_owned(),
        updated(0, "tls"),
        packet("sent", marked, &format!("{},{}", stream(0, true), stream(4, true))),
        packet("received", "", r#"{"frame_type":"ack","ect0":7}"#),
        packet("received", marked, &stream(0, true)),
        packet("sent", "", &format!("{},{}", stream(8, true), r#"{"frame_type":"datagram"}"#)),
        packet("received", "", &stream(4, false)),
        updated(1, "local_update"),
        updated(2, "remote_update"),
    ];
    let mut log = Qlog::default();
    log.read(&lines.join("\n")).unwrap();
    let expected = Qlog {
        connections: 1,
        own_updates: 1,
        peer_updates: 1,
        marked_sent: 1,
        marked_received: 1,
        marks_acknowledged: 7,
        streams_at_once: 2,
        datagrams_sent: 1,
        flights: vec![0],
        ..Qlog::default()
    };
    assert_eq!(log, expected);
    assert!(log.read("\u{1e}{\"cut off").is_err());
}
