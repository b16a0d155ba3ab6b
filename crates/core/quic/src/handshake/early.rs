//! What 0-RTT relies on: limits a client remembers from an earlier connection (RFC 9000 §7.4.1).

use tq_wire::TransportParameters;

/// A limit of `now` that is below what a client `remembered`; `None` if every one of them still holds. A server that
/// finds one must not accept 0-RTT; a client whose 0-RTT was accepted all the same must close.
// MUST 9000-7.4.1-5, 9000-7.4.1-6
pub fn limits_shrink(remembered: &TransportParameters, now: &TransportParameters) -> Option<&'static str> {
    let pairs = [
        ("active_connection_id_limit", remembered.active_cid_limit, now.active_cid_limit),
        ("initial_max_data", remembered.initial_max_data, now.initial_max_data),
        (
            "initial_max_stream_data_bidi_local",
            remembered.initial_max_stream_data_bidi_local,
            now.initial_max_stream_data_bidi_local,
        ),
        (
            "initial_max_stream_data_bidi_remote",
            remembered.initial_max_stream_data_bidi_remote,
            now.initial_max_stream_data_bidi_remote,
        ),
        (
            "initial_max_stream_data_uni",
            remembered.initial_max_stream_data_uni,
            now.initial_max_stream_data_uni,
        ),
        ("initial_max_streams_bidi", remembered.initial_max_streams_bidi, now.initial_max_streams_bidi),
        ("initial_max_streams_uni", remembered.initial_max_streams_uni, now.initial_max_streams_uni),
        ("max_datagram_frame_size", remembered.max_datagram_frame_size, now.max_datagram_frame_size),
        ("reset_stream_at", u64::from(remembered.reset_stream_at), u64::from(now.reset_stream_at)),
    ];
    pairs.into_iter().find(|(_, before, now)| now < before).map(|(name, ..)| name)
}
