//! The data types of quic-events-13 that our events use, written down from the draft, and a checker.
//!
//! A field is `name:type`; `?` in front means optional, `+` that it is our extension. Types: `n` integer,
//! `f` number, `b` boolean, `t` text, `h` hex, `a/b/c` one of these words, `@X` the type X, `*T` a list.

extern crate std;
use std::collections::BTreeMap;
use std::vec::Vec;

use serde_json::Value;

const TYPES: &[(&str, &str)] = &[
    ("quic:connection_started", "local:@Endpoint remote:@Endpoint +odcid:h"),
    (
        "quic:connection_closed",
        "?initiator:local/remote ?connection_error:t ?application_error:unknown ?error_code:n ?internal_code:n \
         ?reason:t +trigger_frame_type:n ?trigger:idle_timeout/application/error/version_mismatch/stateless_reset/\
         aborted/unspecified",
    ),
    ("quic:connection_state_updated", "?old:@ConnectionState new:@ConnectionState"),
    ("quic:version_information", "?server_versions:*h ?client_versions:*h ?chosen_version:h"),
    ("quic:alpn_information", "?server_alpns:*@Alpn ?client_alpns:*@Alpn ?chosen_alpn:@Alpn"),
    ("quic:parameters_set", "?initiator:local/remote ?preferred_address:@Preferred"),
    (
        "quic:packet_sent",
        "header:@Header ?frames:*@Frame ?raw:@Raw +ecn:@Ecn ?trigger:retransmit_reordered/retransmit_timeout/\
         pto_probe/retransmit_crypto/cc_bandwidth_probe",
    ),
    ("quic:packet_received", "header:@Header ?frames:*@Frame ?raw:@Raw +ecn:@Ecn ?trigger:keys_available"),
    (
        "quic:packet_dropped",
        "?header:@Header ?raw:@Raw ?details:@Details ?trigger:internal_error/rejected/unsupported/invalid/duplicate/\
         connection_unknown/decryption_failure/key_unavailable/general",
    ),
    ("quic:packet_buffered", "?header:@Header ?raw:@Raw ?trigger:backpressure/keys_unavailable"),
    ("quic:udp_datagrams_sent", "?count:n +total_length:n"),
    ("quic:udp_datagrams_received", "?count:n +total_length:n"),
    ("quic:key_updated", "key_type:@Key ?key_phase:n ?trigger:tls/remote_update/local_update"),
    ("quic:key_discarded", "key_type:@Key ?key_phase:n ?trigger:tls/remote_update/local_update"),
    (
        "quic:recovery_metrics_updated",
        "?min_rtt:f ?smoothed_rtt:f ?latest_rtt:f ?rtt_variance:f ?pto_count:n ?congestion_window:n \
         ?bytes_in_flight:n ?ssthresh:n ?packets_in_flight:n ?pacing_rate:n",
    ),
    ("quic:congestion_state_updated", "?old:t new:t ?trigger:t"),
    ("quic:packet_lost", "?header:@Header ?trigger:reordering_threshold/time_threshold/pto_expired"),
    (
        "quic:timer_updated",
        "?timer_type:ack/pto/loss_timeout/path_validation/handshake_timeout/idle_timeout ?timer_id:n \
         ?packet_number_space:initial/handshake/application_data event_type:set/expired/cancelled ?delta:f",
    ),
    ("quic:ecn_state_updated", "?old:t new:testing/unknown/failed/capable"),
    ("quic:mtu_updated", "?old:n new:n ?done:b"),
    (
        "quic:stream_state_updated",
        "stream_id:n ?stream_type:unidirectional/bidirectional ?old:@StreamState new:@StreamState \
         stream_side:sending/receiving",
    ),
    ("quic:connection_id_updated", "initiator:local/remote ?old:h ?new:h"),
    ("quic:tuple_assigned", "tuple_id:t ?tuple_remote:@Endpoint ?tuple_local:@Endpoint"),
    (
        "quic:recovery_parameters_set",
        "?reordering_threshold:n ?time_threshold:f timer_granularity:n ?initial_rtt:f ?max_datagram_size:n \
         ?initial_congestion_window:n ?minimum_congestion_window:n ?loss_reduction_factor:f \
         ?persistent_congestion_threshold:n",
    ),
    ("tquic:spurious_loss", "packet_number:n"),
    ("tquic:path_state_updated", "new:t"),
    ("tquic:bond_state_updated", "old:t new:t"),
    ("tquic:path_guarded", "action:t"),
    ("tquic:path_grouped", "group:n"),
    ("tquic:decision_made", "record:t"),
    ("Endpoint", "?ip_v4:t ?port_v4:n ?ip_v6:t ?port_v6:n ?connection_ids:*h"),
    ("Preferred", "?ip_v4:t ?port_v4:n ?ip_v6:t ?port_v6:n connection_id:h ?stateless_reset_token:h"),
    ("Alpn", "?byte_value:h ?string_value:t"),
    ("Header", "packet_type:@PacketType ?packet_number:n"),
    ("Raw", "?length:n ?payload_length:n"),
    ("Details", "reason:t"),
    ("Token", "?raw:@Raw"),
];

const WORDS: &[(&str, &str)] = &[
    (
        "ConnectionState",
        "attempted/handshake_started/handshake_complete/closed/peer_validated/early_write/handshake_confirmed/\
         closing/draining",
    ),
    ("PacketType", "initial/handshake/0RTT/1RTT/retry/version_negotiation/stateless_reset/unknown"),
    ("Ecn", "Not-ECT/ECT(1)/ECT(0)/CE"),
    (
        "Key",
        "server_initial_secret/client_initial_secret/server_handshake_secret/client_handshake_secret/\
         server_0rtt_secret/client_0rtt_secret/server_1rtt_secret/client_1rtt_secret",
    ),
    (
        "StreamState",
        "idle/open/closed/half_closed_local/half_closed_remote/ready/send/data_sent/reset_sent/reset_received/\
         receive/size_known/data_read/reset_read/data_received/destroyed",
    ),
    ("StreamType", "unidirectional/bidirectional"),
];

/// Frames by `frame_type`; those of extensions are marked by a `+` in front of the name.
const FRAMES: &[(&str, &str)] = &[
    ("padding", "?raw:@Raw"),
    ("ping", ""),
    ("ack", "?ack_delay:f ?acked_ranges:**n ?ect1:n ?ect0:n ?ce:n"),
    ("+path_ack", "path_id:n ?ack_delay:f ?acked_ranges:**n ?ect1:n ?ect0:n ?ce:n"),
    ("reset_stream", "stream_id:n error:t ?error_code:n final_size:n"),
    ("reset_stream_at", "stream_id:n error:t ?error_code:n final_size:n reliable_size:n"),
    ("stop_sending", "stream_id:n error:t ?error_code:n"),
    ("crypto", "offset:n raw:@Raw"),
    ("new_token", "token:@Token"),
    ("stream", "stream_id:n ?offset:n ?fin:b ?raw:@Raw"),
    ("max_data", "maximum:n"),
    ("max_stream_data", "stream_id:n maximum:n"),
    ("max_streams", "stream_type:@StreamType maximum:n"),
    ("data_blocked", "limit:n"),
    ("stream_data_blocked", "stream_id:n limit:n"),
    ("streams_blocked", "stream_type:@StreamType limit:n"),
    ("new_connection_id", "sequence_number:n retire_prior_to:n connection_id:h"),
    ("+path_new_connection_id", "path_id:n sequence_number:n retire_prior_to:n connection_id:h"),
    ("retire_connection_id", "sequence_number:n"),
    ("+path_retire_connection_id", "path_id:n sequence_number:n"),
    ("path_challenge", "?data:h"),
    ("path_response", "?data:h"),
    ("connection_close", "?error_space:transport/application ?error:t ?error_code:n ?reason:t"),
    ("handshake_done", ""),
    ("datagram", "?raw:@Raw"),
    (
        "+ack_frequency",
        "sequence_number:n ack_eliciting_threshold:n requested_max_ack_delay:f reordering_threshold:n",
    ),
    ("+immediate_ack", ""),
    ("+path_abandon", "path_id:n error_code:n"),
    ("+path_status_available", "path_id:n path_status_sequence_number:n"),
    ("+path_status_backup", "path_id:n path_status_sequence_number:n"),
    ("+max_path_id", "maximum_path_id:n"),
    ("+paths_blocked", "maximum_path_id:n"),
    ("+path_cids_blocked", "path_id:n next_sequence_number:n"),
    ("unknown", "frame_type_bytes:n"),
];

fn find(table: &[(&'static str, &'static str)], name: &str) -> &'static str {
    let found = table.iter().find(|(n, _)| n.trim_start_matches('+') == name);
    found.unwrap_or_else(|| panic!("{name} is not in the schema")).1
}

/// Checks a record's data: every required field is there, every field is known and of its type.
pub(super) fn check(name: &str, data: &Value) {
    check_fields(name, find(TYPES, name), data, None);
}

fn check_fields(context: &str, fields: &str, data: &Value, also: Option<&str>) {
    let object = data.as_object().unwrap_or_else(|| panic!("{context}: {data} is no object"));
    let known: BTreeMap<&str, (bool, &str)> = fields
        .split_whitespace()
        .map(|field| {
            let (name, kind) = field.split_once(':').unwrap();
            let optional = name.starts_with(['?', '+']);
            (name.trim_start_matches(['?', '+']), (optional, kind))
        })
        .collect();
    for (name, (optional, _)) in &known {
        assert!(*optional || object.contains_key(*name), "{context} lacks {name}: {data}");
    }
    for (name, value) in object {
        if also == Some(name) {
            continue;
        }
        let (_, kind) = known.get(name.as_str()).unwrap_or_else(|| panic!("{context} has a stray {name}"));
        check_type(&std::format!("{context}.{name}"), kind, value);
    }
}

fn check_type(context: &str, kind: &str, value: &Value) {
    if let Some(kind) = kind.strip_prefix('*') {
        let items: &Vec<Value> = value.as_array().unwrap_or_else(|| panic!("{context}: no list"));
        assert!(!items.is_empty(), "{context}: lists have at least one item");
        return items.iter().for_each(|item| check_type(context, kind, item));
    }
    let fits = match kind {
        "n" => value.is_u64(),
        "f" => value.is_number(),
        "b" => value.is_boolean(),
        "t" => value.is_string(),
        "h" => value.as_str().is_some_and(|t| {
            t.len() % 2 == 0 && t.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        }),
        "@Frame" => {
            let name = value["frame_type"].as_str().unwrap();
            check_fields(name, find(FRAMES, name), value, Some("frame_type"));
            true
        }
        _ => match kind.strip_prefix('@') {
            Some(name) if TYPES.iter().any(|(n, _)| *n == name) => {
                check_fields(context, find(TYPES, name), value, None);
                true
            }
            Some(name) => find(WORDS, name).split('/').any(|word| value == word),
            None => kind.split('/').any(|word| value == word),
        },
    };
    assert!(fits, "{context}: {value} is not {kind}");
}
