//! What a written frame leaves behind in its sent packet, so that acknowledgement and loss find their way back.

use smallvec::SmallVec;
use tq_wire::{Dir, PathId, StreamId};

use crate::handshake::Level;

/// A frame that was sent. ACK and loss are a `match` on this and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Stream bytes `[offset, offset + len)`.
    Stream {
        /// Stream.
        id: StreamId,
        /// First byte.
        offset: u64,
        /// Bytes; 0 for a lone FIN.
        len: u32,
        /// Whether FIN was set.
        fin: bool,
    },
    /// Handshake bytes `[offset, offset + len)`.
    Crypto {
        /// Encryption level.
        level: Level,
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u32,
    },
    /// An ACK of a space up to `largest`; path `None` for Initial and Handshake.
    Ack {
        /// Space it reported on.
        path: Option<PathId>,
        /// Largest packet number it acknowledged.
        largest: u64,
    },
    /// RESET_STREAM.
    ResetStream(StreamId),
    /// STOP_SENDING.
    StopSending(StreamId),
    /// MAX_DATA with this limit.
    MaxData(u64),
    /// MAX_STREAM_DATA with this limit.
    MaxStreamData(StreamId, u64),
    /// MAX_STREAMS with this limit.
    MaxStreams(Dir, u64),
    /// DATA_BLOCKED at this limit.
    DataBlocked(u64),
    /// STREAM_DATA_BLOCKED at this limit.
    StreamDataBlocked(StreamId, u64),
    /// STREAMS_BLOCKED at this limit.
    StreamsBlocked(Dir, u64),
    /// NEW_CONNECTION_ID of a path.
    NewConnectionId(PathId, u64),
    /// RETIRE_CONNECTION_ID of a path.
    RetireConnectionId(PathId, u64),
    /// NEW_TOKEN.
    NewToken,
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// ACK_FREQUENCY with this sequence number.
    AckFrequency(u64),
    /// PATH_CHALLENGE; never sent again as it is.
    PathChallenge(PathId),
    /// PATH_STATUS of a path with this sequence number.
    PathStatus(PathId, u64),
    /// PATH_ABANDON of a path.
    PathAbandon(PathId),
    /// MAX_PATH_ID with this maximum.
    MaxPathId(PathId),
    /// PATHS_BLOCKED at this maximum.
    PathsBlocked(PathId),
    /// PATH_CIDS_BLOCKED of a path.
    PathCidsBlocked(PathId),
}

/// Tokens of one packet; two fit without an allocation, which is a full stream packet with an ACK.
pub type Tokens = SmallVec<[Token; 2]>;
