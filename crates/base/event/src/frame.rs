//! A frame as far as a log needs it: what it was and where it pointed, never its content.
//! Names are those of quic-events-13, of the multipath, ack-frequency and reset-at drafts for the rest.

use core::time::Duration;

/// One frame of a packet. `path` is present in the multipath form of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields carry the names and meaning of RFC 9000 §19")]
pub enum FrameInfo<'a> {
    /// A run of PADDING, `length` bytes.
    Padding { length: usize },
    /// PING.
    Ping,
    /// ACK or PATH_ACK; `ranges` are inclusive (low, high), `ecn` is (ECT0, ECT1, CE).
    Ack { path: Option<u32>, delay: Duration, ranges: &'a [(u64, u64)], ecn: Option<(u64, u64, u64)> },
    /// RESET_STREAM, or RESET_STREAM_AT with a reliable size.
    ResetStream { id: u64, code: u64, final_size: u64, reliable_size: Option<u64> },
    /// STOP_SENDING.
    StopSending { id: u64, code: u64 },
    /// CRYPTO.
    Crypto { offset: u64, length: usize },
    /// NEW_TOKEN.
    NewToken { length: usize },
    /// STREAM.
    Stream { id: u64, offset: u64, length: usize, fin: bool },
    /// MAX_DATA.
    MaxData { maximum: u64 },
    /// MAX_STREAM_DATA.
    MaxStreamData { id: u64, maximum: u64 },
    /// MAX_STREAMS.
    MaxStreams { bidirectional: bool, maximum: u64 },
    /// DATA_BLOCKED.
    DataBlocked { limit: u64 },
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked { id: u64, limit: u64 },
    /// STREAMS_BLOCKED.
    StreamsBlocked { bidirectional: bool, limit: u64 },
    /// NEW_CONNECTION_ID or PATH_NEW_CONNECTION_ID; the reset token is a secret and left out.
    NewConnectionId { path: Option<u32>, sequence: u64, retire_prior_to: u64, cid: &'a [u8] },
    /// RETIRE_CONNECTION_ID or PATH_RETIRE_CONNECTION_ID.
    RetireConnectionId { path: Option<u32>, sequence: u64 },
    /// PATH_CHALLENGE.
    PathChallenge { data: [u8; 8] },
    /// PATH_RESPONSE.
    PathResponse { data: [u8; 8] },
    /// CONNECTION_CLOSE.
    ConnectionClose { code: crate::CloseCode, reason: &'a [u8] },
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// DATAGRAM.
    Datagram { length: usize },
    /// ACK_FREQUENCY.
    AckFrequency { sequence: u64, threshold: u64, max_ack_delay: Duration, reordering: u64 },
    /// IMMEDIATE_ACK.
    ImmediateAck,
    /// PATH_ABANDON.
    PathAbandon { path: u32, code: u64 },
    /// PATH_STATUS_AVAILABLE or PATH_STATUS_BACKUP.
    PathStatus { path: u32, available: bool, sequence: u64 },
    /// MAX_PATH_ID.
    MaxPathId { maximum: u32 },
    /// PATHS_BLOCKED.
    PathsBlocked { maximum: u32 },
    /// PATH_CIDS_BLOCKED.
    PathCidsBlocked { path: u32, next_sequence: u64 },
    /// Any other frame.
    Unknown { frame_type: u64 },
}

impl FrameInfo<'_> {
    /// The `frame_type` of logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Padding { .. } => "padding",
            Self::Ping => "ping",
            Self::Ack { path: None, .. } => "ack",
            Self::Ack { .. } => "path_ack",
            Self::ResetStream { reliable_size: None, .. } => "reset_stream",
            Self::ResetStream { .. } => "reset_stream_at",
            Self::StopSending { .. } => "stop_sending",
            Self::Crypto { .. } => "crypto",
            Self::NewToken { .. } => "new_token",
            Self::Stream { .. } => "stream",
            Self::MaxData { .. } => "max_data",
            Self::MaxStreamData { .. } => "max_stream_data",
            Self::MaxStreams { .. } => "max_streams",
            Self::DataBlocked { .. } => "data_blocked",
            Self::StreamDataBlocked { .. } => "stream_data_blocked",
            Self::StreamsBlocked { .. } => "streams_blocked",
            Self::NewConnectionId { path: None, .. } => "new_connection_id",
            Self::NewConnectionId { .. } => "path_new_connection_id",
            Self::RetireConnectionId { path: None, .. } => "retire_connection_id",
            Self::RetireConnectionId { .. } => "path_retire_connection_id",
            Self::PathChallenge { .. } => "path_challenge",
            Self::PathResponse { .. } => "path_response",
            Self::ConnectionClose { .. } => "connection_close",
            Self::HandshakeDone => "handshake_done",
            Self::Datagram { .. } => "datagram",
            Self::AckFrequency { .. } => "ack_frequency",
            Self::ImmediateAck => "immediate_ack",
            Self::PathAbandon { .. } => "path_abandon",
            Self::PathStatus { available: true, .. } => "path_status_available",
            Self::PathStatus { .. } => "path_status_backup",
            Self::MaxPathId { .. } => "max_path_id",
            Self::PathsBlocked { .. } => "paths_blocked",
            Self::PathCidsBlocked { .. } => "path_cids_blocked",
            Self::Unknown { .. } => "unknown",
        }
    }
}
