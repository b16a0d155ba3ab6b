//! Bytes to frames. The iterator ends at the first error: what follows a broken frame means nothing.

use super::{
    Ack, AckFrequency, Close, Crypto, Frame, NewConnectionId, PathStatus, ResetStream, ResetStreamAt,
    RetireConnectionId, StopSending, Stream, kind,
};
use crate::{Cid, Dir, PathId, Reader, ResetToken, StreamId, UnexpectedEnd, VARINT_MAX, varint_len};

/// Most streams of a kind there can be (RFC 9000 §4.6).
const MAX_STREAMS: u64 = 1 << 60;

/// A frame that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Its type, as far as it could be read.
    pub frame_type: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The packet ends inside the frame: FRAME_ENCODING_ERROR.
    Truncated,
    /// A type not known here: FRAME_ENCODING_ERROR.
    UnknownType,
    /// A field has a value it cannot have: FRAME_ENCODING_ERROR.
    Field(&'static str),
    /// The type is not in its shortest form: PROTOCOL_VIOLATION.
    LongType,
    /// A path id that no path can have: PROTOCOL_VIOLATION (multipath §4, §4.6).
    PathId,
}

impl Wrong {
    /// A few words for a reason phrase.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "frame is cut off",
            Self::UnknownType => "unknown frame type",
            Self::Field(why) => why,
            Self::LongType => "frame type not in its shortest form",
            Self::PathId => "path id above 2^32-1",
        }
    }
}

/// Walks the frames of a decrypted payload.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Frames<'a> {
    /// Starts at the first frame.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload), failed: false }
    }

    /// Bytes of the payload read so far.
    pub const fn position(&self) -> usize {
        self.reader.position()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_empty() {
            return None;
        }
        let frame = decode(&mut self.reader);
        self.failed = frame.is_err();
        Some(frame)
    }
}

/// A field, or what is wrong with it.
pub(super) type Field<T> = Result<T, Wrong>;

/// Ends a field with the error of a truncated frame.
pub(super) fn cut(_: UnexpectedEnd) -> Wrong {
    Wrong::Truncated
}

// MUST 9000-12.4-4, 9000-12.4-5
fn decode<'a>(r: &mut Reader<'a>) -> Result<Frame<'a>, DecodeError> {
    let start = r.position();
    let Ok(frame_type) = r.varint() else {
        return Err(DecodeError { frame_type: 0, wrong: Wrong::Truncated });
    };
    if r.position() - start != varint_len(frame_type) {
        return Err(DecodeError { frame_type, wrong: Wrong::LongType });
    }
    let body = if (kind::STREAM..=kind::STREAM_LAST).contains(&frame_type) {
        stream(r, frame_type)
    } else {
        match known(r, frame_type) {
            Some(body) => body,
            None => return Err(DecodeError { frame_type, wrong: Wrong::UnknownType }),
        }
    };
    body.map_err(|wrong| DecodeError { frame_type, wrong })
}

/// `None` if the type is unknown.
// MUST 9000-19.3-1
fn known<'a>(r: &mut Reader<'a>, frame_type: u64) -> Option<Field<Frame<'a>>> {
    Some(match frame_type {
        kind::PADDING => Ok(padding(r)),
        kind::PING => Ok(Frame::Ping),
        kind::ACK => Ack::decode(r, false, false).map(Frame::Ack),
        kind::ACK_ECN => Ack::decode(r, false, true).map(Frame::Ack),
        kind::PATH_ACK => Ack::decode(r, true, false).map(Frame::Ack),
        kind::PATH_ACK_ECN => Ack::decode(r, true, true).map(Frame::Ack),
        kind::RESET_STREAM => reset_stream(r),
        kind::STOP_SENDING => stop_sending(r),
        kind::CRYPTO => crypto(r),
        kind::NEW_TOKEN => new_token(r),
        kind::MAX_DATA => r.varint().map(Frame::MaxData).map_err(cut),
        kind::MAX_STREAM_DATA => pair(r).map(|(id, max)| Frame::MaxStreamData(StreamId(id), max)),
        kind::MAX_STREAMS_BIDI => streams(r).map(|n| Frame::MaxStreams(Dir::Bi, n)),
        kind::MAX_STREAMS_UNI => streams(r).map(|n| Frame::MaxStreams(Dir::Uni, n)),
        kind::DATA_BLOCKED => r.varint().map(Frame::DataBlocked).map_err(cut),
        kind::STREAM_DATA_BLOCKED => pair(r).map(|(id, limit)| Frame::StreamDataBlocked(StreamId(id), limit)),
        kind::STREAMS_BLOCKED_BIDI => streams(r).map(|n| Frame::StreamsBlocked(Dir::Bi, n)),
        kind::STREAMS_BLOCKED_UNI => streams(r).map(|n| Frame::StreamsBlocked(Dir::Uni, n)),
        kind::NEW_CONNECTION_ID => new_cid(r, false),
        kind::RETIRE_CONNECTION_ID => r
            .varint()
            .map(|seq| Frame::RetireConnectionId(RetireConnectionId { path: None, seq }))
            .map_err(cut),
        kind::PATH_CHALLENGE => r.array().map(Frame::PathChallenge).map_err(cut),
        kind::PATH_RESPONSE => r.array().map(Frame::PathResponse).map_err(cut),
        kind::CLOSE_TRANSPORT => close(r, true),
        kind::CLOSE_APPLICATION => close(r, false),
        kind::HANDSHAKE_DONE => Ok(Frame::HandshakeDone),
        kind::IMMEDIATE_ACK => Ok(Frame::ImmediateAck),
        kind::RESET_STREAM_AT => reset_stream_at(r),
        kind::DATAGRAM => r.slice(r.remaining()).map(Frame::Datagram).map_err(cut),
        kind::DATAGRAM_LEN => r.prefixed().map(Frame::Datagram).map_err(cut),
        kind::ACK_FREQUENCY => ack_frequency(r),
        _ => return multipath(r, frame_type),
    })
}

fn multipath<'a>(r: &mut Reader<'a>, frame_type: u64) -> Option<Field<Frame<'a>>> {
    Some(match frame_type {
        kind::PATH_ABANDON => with_path(r, Frame::PathAbandon),
        kind::PATH_STATUS_BACKUP => {
            with_path(r, |path, seq| Frame::PathStatus(PathStatus { path, backup: true, seq }))
        }
        kind::PATH_STATUS_AVAILABLE => {
            with_path(r, |path, seq| Frame::PathStatus(PathStatus { path, backup: false, seq }))
        }
        kind::PATH_NEW_CONNECTION_ID => new_cid(r, true),
        kind::PATH_RETIRE_CONNECTION_ID => {
            with_path(r, |path, seq| Frame::RetireConnectionId(RetireConnectionId { path: Some(path), seq }))
        }
        kind::MAX_PATH_ID => path_id(r).map(Frame::MaxPathId),
        kind::PATHS_BLOCKED => path_id(r).map(Frame::PathsBlocked),
        kind::PATH_CIDS_BLOCKED => with_path(r, Frame::PathCidsBlocked),
        _ => return None,
    })
}

/// A path id is a varint below 2^32 (multipath §4).
pub(super) fn path_id(r: &mut Reader<'_>) -> Field<PathId> {
    u32::try_from(r.varint().map_err(cut)?).map(PathId).map_err(|_| Wrong::PathId)
}

fn with_path<'a>(r: &mut Reader<'a>, frame: impl FnOnce(PathId, u64) -> Frame<'a>) -> Field<Frame<'a>> {
    let path = path_id(r)?;
    Ok(frame(path, r.varint().map_err(cut)?))
}

fn pair(r: &mut Reader<'_>) -> Field<(u64, u64)> {
    Ok((r.varint().map_err(cut)?, r.varint().map_err(cut)?))
}

/// Counts the zeros at once instead of a frame each.
fn padding<'a>(r: &mut Reader<'a>) -> Frame<'a> {
    let rest = r.rest();
    // Sixteen at a time: most of a first datagram is padding.
    let words = rest.as_chunks().0.iter().take_while(|word| u128::from_ne_bytes(**word) == 0).count();
    let zeros = words * 16 + rest[words * 16..].iter().take_while(|byte| **byte == 0).count();
    let _ = r.slice(zeros);
    Frame::Padding(zeros + 1)
}

// MUST 9000-19.8-2
fn stream<'a>(r: &mut Reader<'a>, frame_type: u64) -> Field<Frame<'a>> {
    let id = StreamId(r.varint().map_err(cut)?);
    let offset = if frame_type & 4 != 0 { r.varint().map_err(cut)? } else { 0 };
    let data = if frame_type & 2 != 0 { r.prefixed() } else { r.slice(r.remaining()) }.map_err(cut)?;
    if offset + data.len() as u64 > VARINT_MAX {
        return Err(Wrong::Field("stream longer than 2^62-1"));
    }
    Ok(Frame::Stream(Stream { id, offset, fin: frame_type & 1 != 0, data }))
}

// MUST 9000-19.6-1
fn crypto<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    let offset = r.varint().map_err(cut)?;
    let data = r.prefixed().map_err(cut)?;
    if offset + data.len() as u64 > VARINT_MAX {
        return Err(Wrong::Field("crypto stream longer than 2^62-1"));
    }
    Ok(Frame::Crypto(Crypto { offset, data }))
}

fn reset_stream<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    let (id, code) = pair(r)?;
    Ok(Frame::ResetStream(ResetStream { id: StreamId(id), code, final_size: r.varint().map_err(cut)? }))
}

fn reset_stream_at<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    let (id, code) = pair(r)?;
    let (final_size, reliable_size) = pair(r)?;
    if reliable_size > final_size {
        return Err(Wrong::Field("reliable size above final size"));
    }
    Ok(Frame::ResetStreamAt(ResetStreamAt { id: StreamId(id), code, final_size, reliable_size }))
}

fn stop_sending<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    pair(r).map(|(id, code)| Frame::StopSending(StopSending { id: StreamId(id), code }))
}

// MUST 9000-19.7-2
fn new_token<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    match r.prefixed().map_err(cut)? {
        [] => Err(Wrong::Field("empty token")),
        token => Ok(Frame::NewToken(token)),
    }
}

// MUST 9000-4.6-1, 9000-19.11-1, 9000-19.14-1
fn streams(r: &mut Reader<'_>) -> Field<u64> {
    match r.varint().map_err(cut)? {
        count if count > MAX_STREAMS => Err(Wrong::Field("more than 2^60 streams")),
        count => Ok(count),
    }
}

// MUST 9000-19.15-1, 9000-19.15-6
fn new_cid<'a>(r: &mut Reader<'a>, with_path: bool) -> Field<Frame<'a>> {
    let path = if with_path { Some(path_id(r)?) } else { None };
    let (seq, retire_prior_to) = pair(r)?;
    if retire_prior_to > seq {
        return Err(Wrong::Field("retire prior to above sequence number"));
    }
    let len = usize::from(r.u8().map_err(cut)?);
    if !(1..=Cid::MAX_LEN).contains(&len) {
        return Err(Wrong::Field("connection id not of 1 to 20 bytes"));
    }
    let cid = Cid::new(r.slice(len).map_err(cut)?).ok_or(Wrong::Truncated)?;
    let token = ResetToken(r.array().map_err(cut)?);
    Ok(Frame::NewConnectionId(NewConnectionId { path, seq, retire_prior_to, cid, token }))
}

fn close<'a>(r: &mut Reader<'a>, transport: bool) -> Field<Frame<'a>> {
    let code = r.varint().map_err(cut)?;
    let frame_type = if transport { Some(r.varint().map_err(cut)?) } else { None };
    Ok(Frame::Close(Close { code, frame_type, reason: r.prefixed().map_err(cut)? }))
}

fn ack_frequency<'a>(r: &mut Reader<'a>) -> Field<Frame<'a>> {
    let (seq, threshold) = pair(r)?;
    let (max_ack_delay_us, reordering) = pair(r)?;
    Ok(Frame::AckFrequency(AckFrequency { seq, threshold, max_ack_delay_us, reordering }))
}
