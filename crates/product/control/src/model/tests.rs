//! The words of schema 1, as they have to stay.

use super::{Event, Link, NewToken, Path, SCHEMA, Session, Stats, Status, Traffic};

#[test]
fn a_status_keeps_its_words() {
    let status = Status {
        schema: SCHEMA,
        name: "home".into(),
        role: "router".into(),
        version: "0.1.0".into(),
        uptime_s: 5,
        session: Some(Session {
            state: "connected".into(),
            tenant: "acme".into(),
            device: "van".into(),
            server: "203.0.113.7:443".into(),
            since_s: 4,
            sessions: 1,
            error: None,
        }),
        sessions: vec![],
        links: vec![Link {
            name: "dsl".into(),
            device: Some("eth0".into()),
            address: None,
            state: "up".into(),
            cost: "flat".into(),
            priority: 0,
            weight: None,
            max_rate: None,
            backup: false,
            path: Some(0),
            error: None,
        }],
        traffic: Traffic { open: 1, opened: 2, bytes_up: 3, bytes_down: 4 },
    };
    let expected = concat!(
        r#"{"schema":1,"name":"home","role":"router","version":"0.1.0","uptime_s":5,"#,
        r#""session":{"state":"connected","tenant":"acme","device":"van","server":"203.0.113.7:443","since_s":4,"sessions":1},"#,
        r#""sessions":[],"links":[{"name":"dsl","device":"eth0","state":"up","cost":"flat","priority":0,"backup":false,"path":0}],"#,
        r#""traffic":{"open":1,"opened":2,"bytes_up":3,"bytes_down":4}}"#
    );
    assert_eq!(serde_json::to_string(&status).unwrap(), expected);
    assert_eq!(serde_json::from_str::<Status>(expected).unwrap(), status);
}

#[test]
fn paths_events_and_stats_keep_their_words() {
    let path = Path {
        session: 0,
        id: 2,
        link: Some("lte".into()),
        local: Some("10.0.0.2:40000".into()),
        remote: "203.0.113.7:443".into(),
        state: "active".into(),
        health: "good".into(),
        status: "available".into(),
        cost: 10,
        weight: Some(5),
        max_rate: Some(1000),
        rtt_ms: 50.5,
        rttvar_ms: 2.0,
        min_rtt_ms: 48.0,
        known: None,
        learnt: None,
        cwnd: 1,
        in_flight: 2,
        pacing_rate: 3,
        mtu: 1452,
        bytes_sent: 4,
        bytes_received: 5,
        packets_lost: 6,
    };
    let expected = concat!(
        r#"{"session":0,"id":2,"link":"lte","local":"10.0.0.2:40000","remote":"203.0.113.7:443","state":"active","#,
        r#""health":"good","status":"available","cost":10,"weight":5,"max_rate":1000,"rtt_ms":50.5,"rttvar_ms":2.0,"min_rtt_ms":48.0,"cwnd":1,"in_flight":2,"#,
        r#""pacing_rate":3,"mtu":1452,"bytes_sent":4,"bytes_received":5,"packets_lost":6}"#
    );
    assert_eq!(serde_json::to_string(&path).unwrap(), expected);
    let event = Event {
        schema: SCHEMA,
        at_ms: 7,
        object: "link".into(),
        event: "down".into(),
        name: "lte".into(),
        text: String::new(),
    };
    let expected = r#"{"schema":1,"at_ms":7,"object":"link","event":"down","name":"lte"}"#;
    assert_eq!(serde_json::to_string(&event).unwrap(), expected);
    let stats = Stats { schema: SCHEMA, counters: [("b".into(), 2), ("a".into(), 1)].into() };
    assert_eq!(serde_json::to_string(&stats).unwrap(), r#"{"schema":1,"counters":{"a":1,"b":2}}"#);
    let token = NewToken {
        schema: SCHEMA,
        tenant: "acme".into(),
        device: "van".into(),
        token: "tquic://1/x".into(),
        expires: None,
    };
    let expected = r#"{"schema":1,"tenant":"acme","device":"van","token":"tquic://1/x"}"#;
    assert_eq!(serde_json::to_string(&token).unwrap(), expected);
}

#[test]
fn requests_with_unknown_words_are_refused() {
    assert!(serde_json::from_str::<super::SetLink>(r#"{"up":true}"#).is_ok());
    assert!(serde_json::from_str::<super::SetLink>(r#"{"upp":true}"#).is_err());
    assert!(serde_json::from_str::<super::AddTenant>(r#"{"secret":"x"}"#).is_err());
}
