//! Frames to bytes, and how many bytes that will be.

use super::{Frame, Stream, kind};
use crate::{PathId, StreamId, Writer, varint_len};

/// Type octets and varints of a frame, in order.
fn put(w: &mut Writer<'_>, frame_type: u64, fields: &[u64]) {
    w.varint(frame_type);
    fields.iter().for_each(|field| w.varint(*field));
}

fn len(frame_type: u64, fields: &[u64]) -> usize {
    varint_len(frame_type) + fields.iter().map(|field| varint_len(*field)).sum::<usize>()
}

/// A frame that is only varints, or not.
enum Shape<'a> {
    Numbers([u64; 5], usize),
    /// Numbers, then bytes behind a length.
    Prefixed([u64; 5], usize, &'a [u8]),
}

impl Shape<'_> {
    fn of<const N: usize>(fields: [u64; N]) -> Self {
        let mut all = [0; 5];
        all[..N].copy_from_slice(&fields);
        Self::Numbers(all, N)
    }
}

fn prefixed<const N: usize>(fields: [u64; N], bytes: &[u8]) -> Shape<'_> {
    let mut all = [0; 5];
    all[..N].copy_from_slice(&fields);
    Shape::Prefixed(all, N, bytes)
}

fn path(id: PathId) -> u64 {
    u64::from(id.0)
}

impl<'a> Frame<'a> {
    /// The frame's fields, for all but those with a layout of their own.
    fn shape(&self) -> Option<Shape<'a>> {
        Some(match *self {
            Self::Ping | Self::HandshakeDone | Self::ImmediateAck => Shape::of([]),
            Self::ResetStream(f) => Shape::of([f.id.0, f.code, f.final_size]),
            Self::ResetStreamAt(f) => Shape::of([f.id.0, f.code, f.final_size, f.reliable_size]),
            Self::StopSending(f) => Shape::of([f.id.0, f.code]),
            Self::Crypto(f) => prefixed([f.offset], f.data),
            Self::NewToken(token) => prefixed([], token),
            Self::MaxData(n) | Self::DataBlocked(n) => Shape::of([n]),
            Self::MaxStreamData(StreamId(id), n) | Self::StreamDataBlocked(StreamId(id), n) => {
                Shape::of([id, n])
            }
            Self::MaxStreams(_, n) | Self::StreamsBlocked(_, n) => Shape::of([n]),
            Self::RetireConnectionId(f) => match f.path {
                Some(id) => Shape::of([path(id), f.seq]),
                None => Shape::of([f.seq]),
            },
            Self::Close(f) => match f.frame_type {
                Some(frame_type) => prefixed([f.code, frame_type], f.reason),
                None => prefixed([f.code], f.reason),
            },
            Self::AckFrequency(f) => Shape::of([f.seq, f.threshold, f.max_ack_delay_us, f.reordering]),
            Self::PathAbandon(id, n) | Self::PathCidsBlocked(id, n) => Shape::of([path(id), n]),
            Self::PathStatus(f) => Shape::of([path(f.path), f.seq]),
            Self::MaxPathId(id) | Self::PathsBlocked(id) => Shape::of([path(id)]),
            _ => return None,
        })
    }

    /// Bytes [`Frame::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        match self.shape() {
            Some(Shape::Numbers(fields, n)) => return len(self.kind(), &fields[..n]),
            Some(Shape::Prefixed(fields, n, bytes)) => {
                return len(self.kind(), &fields[..n]) + varint_len(bytes.len() as u64) + bytes.len();
            }
            None => {}
        }
        match self {
            Self::Padding(count) => *count,
            Self::Ack(ack) => ack.encoded_len(),
            Self::Stream(f) => stream_header_len(f.id, f.offset, Some(f.data.len())) + f.data.len(),
            Self::NewConnectionId(f) => {
                let ids = f.path.map_or(0, |id| varint_len(path(id)));
                len(self.kind(), &[f.seq, f.retire_prior_to]) + ids + 1 + f.cid.len() + 16
            }
            Self::PathChallenge(_) | Self::PathResponse(_) => 9,
            Self::Datagram(data) => 1 + varint_len(data.len() as u64) + data.len(),
            _ => 0,
        }
    }

    /// Writes the frame; STREAM and DATAGRAM with a length. The caller has checked [`Frame::encoded_len`] against the
    /// room left.
    pub fn encode(&self, w: &mut Writer<'_>) {
        match self.shape() {
            Some(Shape::Numbers(fields, n)) => return put(w, self.kind(), &fields[..n]),
            Some(Shape::Prefixed(fields, n, bytes)) => {
                put(w, self.kind(), &fields[..n]);
                return w.prefixed(bytes);
            }
            None => {}
        }
        match self {
            Self::Padding(count) => w.reserve(*count).fill(0),
            Self::Ack(ack) => ack.encode(w),
            Self::Stream(f) => f.encode(w),
            Self::NewConnectionId(f) => {
                w.varint(self.kind());
                if let Some(id) = f.path {
                    w.varint(path(id));
                }
                w.varint(f.seq);
                w.varint(f.retire_prior_to);
                w.u8(f.cid.len() as u8);
                w.slice(&f.cid);
                w.slice(&f.token.0);
            }
            Self::PathChallenge(data) | Self::PathResponse(data) => {
                w.varint(self.kind());
                w.slice(data);
            }
            Self::Datagram(data) => {
                w.varint(kind::DATAGRAM_LEN);
                w.prefixed(data);
            }
            _ => {}
        }
    }
}

impl Stream<'_> {
    fn encode(&self, w: &mut Writer<'_>) {
        encode_stream_header(w, self.id, self.offset, Some(self.data.len()), self.fin);
        w.slice(self.data);
    }
}

/// Bytes of a STREAM header; `len` is absent when the frame runs to the packet's end.
pub fn stream_header_len(id: StreamId, offset: u64, len: Option<usize>) -> usize {
    let offset = if offset == 0 { 0 } else { varint_len(offset) };
    1 + varint_len(id.0) + offset + len.map_or(0, |len| varint_len(len as u64))
}

/// Writes a STREAM header; the data follows.
#[inline]
pub fn encode_stream_header(w: &mut Writer<'_>, id: StreamId, offset: u64, len: Option<usize>, fin: bool) {
    let mut first = kind::STREAM as u8;
    first |= u8::from(offset != 0) << 2 | u8::from(len.is_some()) << 1 | u8::from(fin);
    w.u8(first);
    w.varint(id.0);
    if offset != 0 {
        w.varint(offset);
    }
    if let Some(len) = len {
        w.varint(len as u64);
    }
}
