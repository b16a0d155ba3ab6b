//! Every frame of RFC 9000 §19, RFC 9221, multipath, ACK frequency and reliable reset: decode and encode.
//!
//! Decoding borrows from the packet. Whether a frame is allowed in a packet or a state is not decided here, except
//! for [`Frame::allowed_in`], which is the table of RFC 9000 §12.4.

mod ack;
mod decode;
mod encode;

pub use ack::{Ack, AckRanges, ack_max_len, encode_ack};
pub use decode::{DecodeError, Frames, Wrong};
pub use encode::{encode_stream_header, stream_header_len};

use crate::{Cid, Dir, PathId, ResetToken, StreamId};

/// Frame type numbers.
#[expect(missing_docs, reason = "each is the RFC's own name")]
pub mod kind {
    pub const PADDING: u64 = 0x00;
    pub const PING: u64 = 0x01;
    pub const ACK: u64 = 0x02;
    pub const ACK_ECN: u64 = 0x03;
    pub const RESET_STREAM: u64 = 0x04;
    pub const STOP_SENDING: u64 = 0x05;
    pub const CRYPTO: u64 = 0x06;
    pub const NEW_TOKEN: u64 = 0x07;
    pub const STREAM: u64 = 0x08;
    pub const STREAM_LAST: u64 = 0x0f;
    pub const MAX_DATA: u64 = 0x10;
    pub const MAX_STREAM_DATA: u64 = 0x11;
    pub const MAX_STREAMS_BIDI: u64 = 0x12;
    pub const MAX_STREAMS_UNI: u64 = 0x13;
    pub const DATA_BLOCKED: u64 = 0x14;
    pub const STREAM_DATA_BLOCKED: u64 = 0x15;
    pub const STREAMS_BLOCKED_BIDI: u64 = 0x16;
    pub const STREAMS_BLOCKED_UNI: u64 = 0x17;
    pub const NEW_CONNECTION_ID: u64 = 0x18;
    pub const RETIRE_CONNECTION_ID: u64 = 0x19;
    pub const PATH_CHALLENGE: u64 = 0x1a;
    pub const PATH_RESPONSE: u64 = 0x1b;
    pub const CLOSE_TRANSPORT: u64 = 0x1c;
    pub const CLOSE_APPLICATION: u64 = 0x1d;
    pub const HANDSHAKE_DONE: u64 = 0x1e;
    pub const IMMEDIATE_ACK: u64 = 0x1f;
    pub const RESET_STREAM_AT: u64 = 0x24;
    pub const DATAGRAM: u64 = 0x30;
    pub const DATAGRAM_LEN: u64 = 0x31;
    pub const PATH_ACK: u64 = 0x3e;
    pub const PATH_ACK_ECN: u64 = 0x3f;
    pub const ACK_FREQUENCY: u64 = 0xaf;
    pub const PATH_ABANDON: u64 = 0x3e75;
    pub const PATH_STATUS_BACKUP: u64 = 0x3e76;
    pub const PATH_STATUS_AVAILABLE: u64 = 0x3e77;
    pub const PATH_NEW_CONNECTION_ID: u64 = 0x3e78;
    pub const PATH_RETIRE_CONNECTION_ID: u64 = 0x3e79;
    pub const MAX_PATH_ID: u64 = 0x3e7a;
    pub const PATHS_BLOCKED: u64 = 0x3e7b;
    pub const PATH_CIDS_BLOCKED: u64 = 0x3e7c;
}

/// Packets a frame may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 0-RTT packets.
    ZeroRtt,
    /// 1-RTT packets.
    OneRtt,
}

/// A decoded frame. Sizes and offsets are in bytes, ids as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// This many PADDING frames in a row.
    Padding(usize),
    /// Keeps the connection or provokes an ACK.
    Ping,
    /// ACK or PATH_ACK.
    Ack(Ack<'a>),
    /// Abrupt end of a sending part.
    ResetStream(ResetStream),
    /// Asks the peer to stop sending.
    StopSending(StopSending),
    /// Handshake bytes.
    Crypto(Crypto<'a>),
    /// A token for a later connection; never empty.
    NewToken(&'a [u8]),
    /// Stream bytes.
    Stream(Stream<'a>),
    /// Connection flow control limit.
    MaxData(u64),
    /// Stream flow control limit.
    MaxStreamData(StreamId, u64),
    /// How many streams of a direction the peer may have opened in all.
    MaxStreams(Dir, u64),
    /// Blocked by MAX_DATA at this limit.
    DataBlocked(u64),
    /// Blocked by MAX_STREAM_DATA at this limit.
    StreamDataBlocked(StreamId, u64),
    /// Blocked by MAX_STREAMS at this limit.
    StreamsBlocked(Dir, u64),
    /// NEW_CONNECTION_ID or PATH_NEW_CONNECTION_ID.
    NewConnectionId(NewConnectionId),
    /// RETIRE_CONNECTION_ID or PATH_RETIRE_CONNECTION_ID.
    RetireConnectionId(RetireConnectionId),
    /// Asks for the same eight bytes.
    PathChallenge([u8; 8]),
    /// Answers a challenge.
    PathResponse([u8; 8]),
    /// Ends the connection.
    Close(Close<'a>),
    /// The server has confirmed the handshake.
    HandshakeDone,
    /// Reset with delivery up to a size.
    ResetStreamAt(ResetStreamAt),
    /// Unreliable message.
    Datagram(&'a [u8]),
    /// Asks for an ACK at once.
    ImmediateAck,
    /// Asks for another ACK rhythm.
    AckFrequency(AckFrequency),
    /// Ends a path.
    PathAbandon(PathId, u64),
    /// How the sender would like a path used.
    PathStatus(PathStatus),
    /// Highest path id the peer may use.
    MaxPathId(PathId),
    /// Wants more path ids than this maximum.
    PathsBlocked(PathId),
    /// Wants connection ids for a path; the next sequence number expected.
    PathCidsBlocked(PathId, u64),
}

/// RESET_STREAM (RFC 9000 §19.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetStream {
    /// Stream.
    pub id: StreamId,
    /// Application error code.
    pub code: u64,
    /// Length of the stream.
    pub final_size: u64,
}

/// RESET_STREAM_AT (reliable reset §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetStreamAt {
    /// Stream.
    pub id: StreamId,
    /// Application error code.
    pub code: u64,
    /// Length of the stream.
    pub final_size: u64,
    /// Bytes delivered all the same; at most `final_size`.
    pub reliable_size: u64,
}

/// STOP_SENDING (RFC 9000 §19.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSending {
    /// Stream.
    pub id: StreamId,
    /// Application error code.
    pub code: u64,
}

/// CRYPTO (RFC 9000 §19.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Offset in the level's handshake stream.
    pub offset: u64,
    /// Handshake bytes.
    pub data: &'a [u8],
}

/// STREAM (RFC 9000 §19.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Stream.
    pub id: StreamId,
    /// Offset of the first byte; offset + length is below 2^62.
    pub offset: u64,
    /// Whether the stream ends with these bytes.
    pub fin: bool,
    /// Bytes.
    pub data: &'a [u8],
}

/// NEW_CONNECTION_ID; PATH_NEW_CONNECTION_ID if `path` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewConnectionId {
    /// Path of the multipath form; `None` means path 0 in the plain form.
    pub path: Option<PathId>,
    /// Sequence number.
    pub seq: u64,
    /// Ids below this are to be retired; at most `seq`.
    pub retire_prior_to: u64,
    /// The id, 1 to 20 bytes.
    pub cid: Cid,
    /// Its reset token.
    pub token: ResetToken,
}

/// RETIRE_CONNECTION_ID; PATH_RETIRE_CONNECTION_ID if `path` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetireConnectionId {
    /// Path of the multipath form; `None` means path 0 in the plain form.
    pub path: Option<PathId>,
    /// Sequence number.
    pub seq: u64,
}

/// CONNECTION_CLOSE (RFC 9000 §19.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// Error code; of the transport if `frame_type` is given, else of the application.
    pub code: u64,
    /// The frame that caused a transport error, 0 if unknown; `None` for an application's close.
    pub frame_type: Option<u64>,
    /// Reason phrase, by custom UTF-8.
    pub reason: &'a [u8],
}

/// ACK_FREQUENCY (ack-frequency §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckFrequency {
    /// Newer frames have higher numbers.
    pub seq: u64,
    /// Ack-eliciting packets that may stay unacknowledged.
    pub threshold: u64,
    /// Wanted max_ack_delay in microseconds.
    pub max_ack_delay_us: u64,
    /// Gap that provokes an immediate ACK; 1 is the default, 0 never.
    pub reordering: u64,
}

/// PATH_STATUS_AVAILABLE and PATH_STATUS_BACKUP (multipath §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// Path.
    pub path: PathId,
    /// Whether to use it only when others fail.
    pub backup: bool,
    /// Newer frames have higher numbers.
    pub seq: u64,
}

impl Frame<'_> {
    /// The type number it is sent with.
    pub fn kind(&self) -> u64 {
        match self {
            Self::Padding(_) => kind::PADDING,
            Self::Ping => kind::PING,
            Self::Ack(ack) => ack.kind(),
            Self::ResetStream(_) => kind::RESET_STREAM,
            Self::StopSending(_) => kind::STOP_SENDING,
            Self::Crypto(_) => kind::CRYPTO,
            Self::NewToken(_) => kind::NEW_TOKEN,
            Self::Stream(_) => kind::STREAM,
            Self::MaxData(_) => kind::MAX_DATA,
            Self::MaxStreamData(..) => kind::MAX_STREAM_DATA,
            Self::MaxStreams(Dir::Bi, _) => kind::MAX_STREAMS_BIDI,
            Self::MaxStreams(Dir::Uni, _) => kind::MAX_STREAMS_UNI,
            Self::DataBlocked(_) => kind::DATA_BLOCKED,
            Self::StreamDataBlocked(..) => kind::STREAM_DATA_BLOCKED,
            Self::StreamsBlocked(Dir::Bi, _) => kind::STREAMS_BLOCKED_BIDI,
            Self::StreamsBlocked(Dir::Uni, _) => kind::STREAMS_BLOCKED_UNI,
            Self::NewConnectionId(f) if f.path.is_some() => kind::PATH_NEW_CONNECTION_ID,
            Self::NewConnectionId(_) => kind::NEW_CONNECTION_ID,
            Self::RetireConnectionId(f) if f.path.is_some() => kind::PATH_RETIRE_CONNECTION_ID,
            Self::RetireConnectionId(_) => kind::RETIRE_CONNECTION_ID,
            Self::PathChallenge(_) => kind::PATH_CHALLENGE,
            Self::PathResponse(_) => kind::PATH_RESPONSE,
            Self::Close(f) if f.frame_type.is_some() => kind::CLOSE_TRANSPORT,
            Self::Close(_) => kind::CLOSE_APPLICATION,
            Self::HandshakeDone => kind::HANDSHAKE_DONE,
            Self::ResetStreamAt(_) => kind::RESET_STREAM_AT,
            Self::Datagram(_) => kind::DATAGRAM,
            Self::ImmediateAck => kind::IMMEDIATE_ACK,
            Self::AckFrequency(_) => kind::ACK_FREQUENCY,
            Self::PathAbandon(..) => kind::PATH_ABANDON,
            Self::PathStatus(f) if f.backup => kind::PATH_STATUS_BACKUP,
            Self::PathStatus(_) => kind::PATH_STATUS_AVAILABLE,
            Self::MaxPathId(_) => kind::MAX_PATH_ID,
            Self::PathsBlocked(_) => kind::PATHS_BLOCKED,
            Self::PathCidsBlocked(..) => kind::PATH_CIDS_BLOCKED,
        }
    }

    /// Whether it obliges the receiver to acknowledge (RFC 9000 §13.2).
    // MUST 9000-19.21-3
    pub fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding(_) | Self::Ack(_) | Self::Close(_))
    }

    /// Whether a packet of such frames alone does not move the connection to a new address (RFC 9000 §9.1).
    /// Multipath adds no probing frame: PATH_NEW_CONNECTION_ID is none.
    pub fn is_probing(&self) -> bool {
        match self {
            Self::Padding(_) | Self::PathChallenge(_) | Self::PathResponse(_) => true,
            Self::NewConnectionId(f) => f.path.is_none(),
            _ => false,
        }
    }

    /// Whether the frame may be in such a packet (RFC 9000 §12.4 table 3, multipath §4, ack-frequency §4).
    // MUST 9000-12.4-3, 9000-17.2.4-1, mp21-4-2
    pub fn allowed_in(&self, packet: PacketKind) -> bool {
        use PacketKind::{Handshake, Initial, OneRtt, ZeroRtt};
        match self {
            Self::Padding(_) | Self::Ping => true,
            Self::Ack(ack) if ack.path.is_some() => packet == OneRtt,
            Self::Ack(_) | Self::Crypto(_) => packet != ZeroRtt,
            Self::Close(f) => f.frame_type.is_some() || matches!(packet, ZeroRtt | OneRtt),
            Self::NewToken(_)
            | Self::PathResponse(_)
            | Self::HandshakeDone
            | Self::RetireConnectionId(_)
            | Self::ImmediateAck
            | Self::AckFrequency(_)
            | Self::PathAbandon(..)
            | Self::PathStatus(_)
            | Self::MaxPathId(_)
            | Self::PathsBlocked(_)
            | Self::PathCidsBlocked(..) => packet == OneRtt,
            Self::NewConnectionId(f) if f.path.is_some() => packet == OneRtt,
            _ => !matches!(packet, Initial | Handshake),
        }
    }
}
