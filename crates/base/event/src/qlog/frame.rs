//! A frame in a `frames` list (quic-events-13 §8.13); multipath and ack-frequency frames as extensions.

use crate::json::{self, Object};
use crate::qlog::{Field, put_code};
use crate::{CloseCode, FrameInfo};

impl FrameInfo<'_> {
    /// Writes the fields of one frame.
    pub(crate) fn put(&self, o: &mut Object<'_>) {
        o.text("frame_type", self.name());
        match *self {
            Self::Padding { length } | Self::Datagram { length } => put_payload(o, length),
            Self::Ping | Self::HandshakeDone | Self::ImmediateAck => {}
            Self::Ack { path, delay, ranges, ecn } => {
                path.put("path_id", o);
                delay.put("ack_delay", o);
                put_ranges(o, ranges);
                if let Some((ect0, ect1, ce)) = ecn {
                    o.number("ect0", ect0);
                    o.number("ect1", ect1);
                    o.number("ce", ce);
                }
            }
            Self::ResetStream { id, code, final_size, reliable_size } => {
                o.number("stream_id", id);
                put_code(o, "error", CloseCode::Application(code));
                o.number("final_size", final_size);
                reliable_size.put("reliable_size", o);
            }
            Self::StopSending { id, code } => {
                o.number("stream_id", id);
                put_code(o, "error", CloseCode::Application(code));
            }
            Self::Crypto { offset, length } => {
                o.number("offset", offset);
                put_payload(o, length);
            }
            Self::NewToken { length } => {
                o.object("token", |o| o.object("raw", |o| length.put("length", o)));
            }
            Self::Stream { id, offset, length, fin } => {
                o.number("stream_id", id);
                o.number("offset", offset);
                if fin {
                    o.flag("fin", true);
                }
                put_payload(o, length);
            }
            _ => self.put_control(o),
        }
    }

    /// Frames that carry no data.
    fn put_control(&self, o: &mut Object<'_>) {
        match *self {
            Self::MaxData { maximum } => o.number("maximum", maximum),
            Self::MaxStreamData { id, maximum } => {
                o.number("stream_id", id);
                o.number("maximum", maximum);
            }
            Self::MaxStreams { bidirectional, maximum } => {
                put_stream_type(o, bidirectional);
                o.number("maximum", maximum);
            }
            Self::DataBlocked { limit } => o.number("limit", limit),
            Self::StreamDataBlocked { id, limit } => {
                o.number("stream_id", id);
                o.number("limit", limit);
            }
            Self::StreamsBlocked { bidirectional, limit } => {
                put_stream_type(o, bidirectional);
                o.number("limit", limit);
            }
            Self::NewConnectionId { path, sequence, retire_prior_to, cid } => {
                path.put("path_id", o);
                o.number("sequence_number", sequence);
                o.number("retire_prior_to", retire_prior_to);
                o.hex("connection_id", cid);
            }
            Self::RetireConnectionId { path, sequence } => {
                path.put("path_id", o);
                o.number("sequence_number", sequence);
            }
            Self::PathChallenge { data } | Self::PathResponse { data } => o.hex("data", &data),
            Self::ConnectionClose { code, reason } => {
                let application = matches!(code, CloseCode::Application(_));
                o.text("error_space", if application { "application" } else { "transport" });
                put_code(o, "error", code);
                reason.put("reason", o);
            }
            _ => self.put_extension(o),
        }
    }

    /// Frames of extensions, which the schema leaves to others.
    fn put_extension(&self, o: &mut Object<'_>) {
        match *self {
            Self::AckFrequency { sequence, threshold, max_ack_delay, reordering } => {
                o.number("sequence_number", sequence);
                o.number("ack_eliciting_threshold", threshold);
                max_ack_delay.put("requested_max_ack_delay", o);
                o.number("reordering_threshold", reordering);
            }
            Self::PathAbandon { path, code } => {
                path.put("path_id", o);
                o.number("error_code", code);
            }
            Self::PathStatus { path, sequence, .. } => {
                path.put("path_id", o);
                o.number("path_status_sequence_number", sequence);
            }
            Self::MaxPathId { maximum } | Self::PathsBlocked { maximum } => {
                maximum.put("maximum_path_id", o);
            }
            Self::PathCidsBlocked { path, next_sequence } => {
                path.put("path_id", o);
                o.number("next_sequence_number", next_sequence);
            }
            Self::Unknown { frame_type } => o.number("frame_type_bytes", frame_type),
            _ => {}
        }
    }
}

fn put_payload(o: &mut Object<'_>, length: usize) {
    o.object("raw", |o| length.put("payload_length", o));
}

fn put_stream_type(o: &mut Object<'_>, bidirectional: bool) {
    o.text("stream_type", if bidirectional { "bidirectional" } else { "unidirectional" });
}

/// `[[low, high], ...]`, one number where both are equal.
fn put_ranges(o: &mut Object<'_>, ranges: &[(u64, u64)]) {
    if ranges.is_empty() {
        return;
    }
    o.array("acked_ranges", ranges, |out, &(low, high)| {
        let bounds = [low, high];
        json::array(out, &bounds[..if low == high { 1 } else { 2 }], |out, pn| json::number(out, *pn));
    });
}
