//! Messages of now and of later.

use super::{ToRouter, ToServer};

#[test]
fn messages_come_back() {
    let hello = ToServer::Hello { version: 1, software: "x".into() };
    let text = serde_json::to_string(&hello).unwrap();
    assert_eq!(text, r#"{"type":"hello","version":1,"software":"x"}"#);
    assert_eq!(serde_json::from_str::<ToServer>(&text).unwrap(), hello);
    assert_eq!(serde_json::to_string(&ToRouter::Enrolled).unwrap(), r#"{"type":"enrolled"}"#);
}

#[test]
fn what_later_versions_say_is_skipped() {
    let message = serde_json::from_str(r#"{"type":"ports","range":[1,2]}"#).unwrap();
    assert_eq!(ToServer::Unknown, message);
    let more = r#"{"type":"hello","version":1,"software":"x","mood":"good"}"#;
    assert!(matches!(serde_json::from_str(more), Ok(ToServer::Hello { .. })));
    assert!(serde_json::from_str::<ToServer>(r#"{"type":7}"#).is_err());
}
