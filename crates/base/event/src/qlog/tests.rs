//! Records as a reader sees them: parsed by another JSON implementation, held against the schema.

extern crate std;
use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Trace, VantagePoint, Writer};
use crate::*;

mod samples;
mod schema;

const REFERENCE: u64 = 5_000_000_000;

fn trace() -> Trace<'static> {
    Trace {
        title: "a \"title\"",
        vantage_point: VantagePoint::Server,
        odcid: &[0xde, 0xad, 0x01],
        reference_ns: REFERENCE,
        wall_clock: Some("2026-11-21T02:35:06.000Z"),
    }
}

/// Splits a log the way RFC 7464 says and parses each text.
fn parse(log: &[u8]) -> Vec<Value> {
    assert_eq!(log.first(), Some(&0x1e), "starts with a record separator");
    log[1..]
        .split(|b| *b == 0x1e)
        .map(|record| {
            assert_eq!(record.last(), Some(&b'\n'), "a record ends with a line feed");
            assert_eq!(record.iter().filter(|b| **b == b'\n').count(), 1);
            serde_json::from_slice(record).unwrap()
        })
        .collect()
}

fn write(now_ns: u64, event: &Event<'_>) -> Value {
    let mut writer = Writer::new(Vec::new(), &trace());
    writer.on_event(now_ns, event);
    parse(&writer.into_sink()).pop().unwrap()
}

#[test]
fn the_header_is_a_sequential_file_of_schema_14() {
    let log = Writer::new(Vec::new(), &trace()).into_sink();
    assert_eq!(
        parse(&log),
        [json!({
            "file_schema": "urn:ietf:params:qlog:file:sequential",
            "serialization_format": "application/qlog+json-seq",
            "title": "a \"title\"",
            "trace": {
                "common_fields": {
                    "group_id": "dead01",
                    "time_format": "relative_to_epoch",
                    "reference_time": {
                        "clock_type": "monotonic",
                        "epoch": "unknown",
                        "wall_clock_time": "2026-11-21T02:35:06.000Z",
                    },
                },
                "vantage_point": { "type": "server" },
                "event_schemas": ["urn:ietf:params:qlog:events:quic-13", "urn:x-tquic:qlog:events:tquic"],
            },
        })]
    );
    let text = std::str::from_utf8(&log[..256]).unwrap();
    assert!(text.contains("application/qlog+json-seq"), "readers sniff the first 256 bytes");
}

#[test]
fn every_event_has_a_sample_and_fits_the_schema() {
    let mut seen = BTreeSet::new();
    samples::each(|event| {
        let record = write(REFERENCE + 1_500_000, event);
        assert_eq!(record["name"], event.name());
        assert_eq!(record["time"], 1.5);
        assert_eq!(record.get("tuple").cloned(), event.path().map(|p| Value::from(p.to_string())));
        schema::check(event.name(), &record["data"]);
        seen.insert(event.name());
    });
    assert_eq!(seen, Event::NAMES.iter().copied().collect());
}

#[test]
fn a_packet_shows_type_number_size_frames_and_path() {
    let frames = [
        FrameInfo::Stream { id: 4, offset: 10, length: 1000, fin: true },
        FrameInfo::Ack { path: Some(2), delay: ms(3), ranges: &[(0, 0), (2, 9)], ecn: None },
    ];
    let event = PacketSent {
        path: 2,
        space: Space::OneRtt,
        pn: 77,
        size: 1200,
        frames: &frames,
        ecn: 2,
        trigger: Some(SentTrigger::PtoProbe),
    };
    assert_eq!(
        write(REFERENCE, &event.into()),
        json!({
            "time": 0.0, "name": "quic:packet_sent", "tuple": "2",
            "data": {
                "header": { "packet_type": "1RTT", "packet_number": 77 },
                "raw": { "length": 1200 },
                "ecn": "ECT(0)",
                "trigger": "pto_probe",
                "frames": [
                    { "frame_type": "stream", "stream_id": 4, "offset": 10, "fin": true,
                      "raw": { "payload_length": 1000 } },
                    { "frame_type": "path_ack", "path_id": 2, "ack_delay": 3.0,
                      "acked_ranges": [[0], [2, 9]] },
                ],
            },
        })
    );
}

fn ms(millis: u64) -> core::time::Duration {
    core::time::Duration::from_millis(millis)
}

#[test]
fn packets_without_a_number_show_none() {
    let event =
        PacketReceived { path: 0, space: Space::Retry, pn: 0, size: 90, frames: &[], ecn: 0, trigger: None };
    assert_eq!(
        write(REFERENCE, &event.into())["data"],
        json!({ "header": { "packet_type": "retry" }, "raw": { "length": 90 } })
    );
}

#[test]
fn close_codes_have_names_where_the_rfc_has_them() {
    let close = |code| {
        let event = ConnectionClosed {
            initiator: Initiator::Remote,
            code,
            frame_type: Some(6),
            reason: b"no\x1e\xffway\n",
            trigger: CloseTrigger::Error,
        };
        write(REFERENCE, &event.into())["data"].clone()
    };
    let data = close(CloseCode::Transport(0xa));
    assert_eq!(data["connection_error"], "protocol_violation");
    assert_eq!(data["reason"], "no\u{1e}\u{fffd}way\n");
    assert_eq!(close(CloseCode::Transport(0x12a))["connection_error"], "crypto_error_0x12a");
    assert_eq!(close(CloseCode::Transport(0x10))["connection_error"], "no_viable_path");
    let far = close(CloseCode::Transport(u64::MAX));
    assert_eq!((&far["connection_error"], &far["error_code"]), (&json!("unknown"), &json!(u64::MAX)));
    let application = close(CloseCode::Application(0));
    assert_eq!(application["application_error"], "unknown");
    assert_eq!(application["error_code"], 0);
    assert_eq!(application.get("connection_error"), None);
}

#[test]
fn parameters_stand_under_their_names_and_unknown_ones_in_a_list() {
    let list = [
        Parameter { name: "initial_max_data", value: ParameterValue::Number(1 << 60) },
        Parameter { name: "disable_active_migration", value: ParameterValue::Flag(true) },
        Parameter { name: "initial_source_connection_id", value: ParameterValue::Bytes(&[]) },
        Parameter { name: "", value: ParameterValue::Unknown { id: 27, value: &[1, 2] } },
        Parameter { name: "", value: ParameterValue::Unknown { id: 58, value: &[] } },
    ];
    let event = ParametersSet { owner: Initiator::Remote, list: &list };
    assert_eq!(
        write(REFERENCE, &event.into())["data"],
        json!({
            "initiator": "remote",
            "initial_max_data": 1u64 << 60,
            "disable_active_migration": true,
            "initial_source_connection_id": "",
            "unknown_parameters": [{ "id": 27, "value": "0102" }, { "id": 58, "value": "" }],
        })
    );
}

#[test]
fn times_keep_their_nanoseconds_and_never_run_before_the_reference() {
    let event = Event::from(PacketDropped { reason: DropReason::Empty, size: 0 });
    let line = |now| {
        let mut writer = Writer::new(Vec::new(), &trace());
        writer.on_event(now, &event);
        std::string::String::from_utf8(writer.into_sink()).unwrap()
    };
    assert!(line(REFERENCE + 1_234_567).contains(r#"{"time":1.234567,"#));
    assert!(line(REFERENCE + 2_000_000).contains(r#"{"time":2.000,"#));
    assert!(line(REFERENCE + 2_010_000).contains(r#"{"time":2.010,"#));
    assert!(line(1).contains(r#"{"time":0.000,"#));
    assert!(line(u64::MAX).contains(r#"{"time":18446744068709.551615,"#));
}

#[test]
fn a_missing_threshold_is_left_out_and_rates_are_bits() {
    let mut event = RecoveryMetricsUpdated {
        path: 1,
        cwnd: 12_000,
        bytes_in_flight: 0,
        srtt: ms(20),
        min_rtt: ms(19),
        latest_rtt: ms(21),
        rttvar: core::time::Duration::from_nanos(1_500),
        ssthresh: u64::MAX,
        pto_count: 0,
        pacing_rate: 1000,
    };
    let data = write(REFERENCE, &event.into())["data"].clone();
    assert_eq!(data.get("ssthresh"), None);
    assert_eq!(data["pacing_rate"], 8000);
    assert_eq!(data["smoothed_rtt"], 20.0);
    assert_eq!(data["rtt_variance"], 0.0015);
    event.ssthresh = 5;
    assert_eq!(write(REFERENCE, &event.into())["data"]["ssthresh"], 5);
}

#[test]
fn a_mapped_address_is_shown_as_ipv4() {
    let event =
        PathAssigned { path: 3, local: "[::ffff:192.0.2.1]:443".parse().unwrap(), remote: samples::remote() };
    assert_eq!(
        write(REFERENCE, &event.into())["data"],
        json!({
            "tuple_id": "3",
            "tuple_local": { "ip_v4": "192.0.2.1", "port_v4": 443 },
            "tuple_remote": { "ip_v6": "2001:db8::7", "port_v6": 4433 },
        })
    );
}

#[test]
fn a_log_is_the_header_and_one_record_per_event() {
    let mut writer = Writer::new(Vec::new(), &trace());
    let mut events = 0;
    samples::each(|event| {
        writer.on_event(REFERENCE, event);
        events += 1;
    });
    assert_eq!(parse(writer.sink_mut()).len(), 1 + events);
}

proptest! {
    #[test]
    fn any_reason_phrase_survives_as_text(reason: Vec<u8>) {
        let event = ConnectionClosed {
            initiator: Initiator::Remote,
            code: CloseCode::Application(1),
            frame_type: None,
            reason: &reason,
            trigger: CloseTrigger::Application,
        };
        let expected = std::string::String::from_utf8_lossy(&reason).into_owned();
        prop_assert_eq!(&write(REFERENCE, &event.into())["data"]["reason"], &Value::from(expected));
    }

    #[test]
    fn any_alpn_is_shown_in_bytes_and_if_possible_in_text(alpn: Vec<u8>) {
        let event = AlpnInformation { server: &[], client: &[&alpn], chosen: None };
        let record = write(REFERENCE, &event.into());
        let shown = &record["data"]["client_alpns"][0];
        prop_assert_eq!(shown["byte_value"].as_str().unwrap().len(), alpn.len() * 2);
        prop_assert_eq!(shown["string_value"].as_str(), std::str::from_utf8(&alpn).ok());
    }
}
