//! Answers as they look.

use tq_control::model::{Connection, Connections, Event, Path, SCHEMA, Stats};

use super::{bytes, connections, event, stats, table, time};

#[test]
fn columns_are_as_wide_as_they_have_to_be() {
    let rows = vec![vec!["x".into(), "y".into()], vec!["long".into(), String::new()]];
    assert_eq!(table(&["a", "bb"], rows), "a     bb\nx     y\nlong\n");
}

#[test]
fn figures_have_units() {
    let all = [0, 999, 1000, 1234, 99_949, 999_499, 999_500, 2_500_000_000].map(bytes);
    assert_eq!(all, ["0 B", "999 B", "1.0 kB", "1.2 kB", "100 kB", "999 kB", "1.0 MB", "2.5 GB"]);
    assert_eq!([0, 119, 120, 7200, 172_800].map(time), ["0 s", "119 s", "2 min", "2 h", "2 d"]);
}

#[test]
fn counters_are_two_lines() {
    let counters = [("packets_sent".to_owned(), 3), ("dropped_too_short".to_owned(), 1)].into();
    let text = stats(&Stats { schema: SCHEMA, counters });
    assert_eq!(text, "TquicExt: DroppedTooShort PacketsSent\nTquicExt: 1 3\n");
}

#[test]
fn events_are_one_line() {
    let [object, what, name, text] = ["path", "suspect", "1 lte", "silence"].map(str::to_owned);
    let line = event(&Event { schema: SCHEMA, at_ms: 61_005, object, event: what, name, text });
    assert_eq!(line, "    61.005 path 1 lte suspect: silence");
}

#[test]
fn connections_look_as_ss_has_them() {
    let path = Path {
        session: 0,
        id: 1,
        link: Some("lte".into()),
        local: None,
        remote: "203.0.113.7:443".into(),
        state: "active".into(),
        health: "good".into(),
        status: "available".into(),
        cost: 10,
        weight: None,
        max_rate: Some(1_250_000),
        rtt_ms: 50.53,
        rttvar_ms: 2.0,
        min_rtt_ms: 48.0,
        known: Some("confirmed".into()),
        learnt: Some(1000),
        cwnd: 1,
        in_flight: 2,
        pacing_rate: 3_000_000,
        mtu: 1452,
        bytes_sent: 4,
        bytes_received: 5,
        packets_lost: 6,
    };
    let connection = Connection {
        session: 0,
        state: "established".into(),
        tenant: "acme".into(),
        device: "van".into(),
        backlog: 7,
        streams: 2,
        scheduler: "minrtt".into(),
        paths: vec![path],
    };
    let text = connections(&Connections { schema: SCHEMA, connections: vec![connection] }, true);
    assert_eq!(
        text,
        "State        Send-Q  Streams  Paths  Peer\n\
         ESTAB        7       2        1      203.0.113.7:443 acme/van\n\
         \t path:1 dev:lte available good cost:10 max:1.2MB/s rtt:50.5/2.0 minrtt:48.0 cwnd:1 inflight:2 mss:1452 pacing:3.0MB/s sent:4 \
         rcvd:5 lost:6 known:confirmed sched:minrtt\n"
    );
}
