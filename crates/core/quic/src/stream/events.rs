//! What streams tell the application, and how its verbs fail. Events are coalesced where they are raised: each waits
//! for the verb that answers it before it can be raised again, so their number is bounded by the number of streams.

use core::fmt;

use tq_wire::{Dir, StreamId};

/// Something an application may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The peer opened at least one stream: call accept until it gives none. Not raised again before that.
    Opened(Dir),
    /// Bytes, the end or a reset can be read: read until it is `Blocked` or over. Not raised again before that.
    Readable(StreamId),
    /// A write that was `Blocked` may go on.
    Writable(StreamId),
    /// The peer has all bytes and the end of the stream.
    Finished(StreamId),
    /// The peer does not want more of this stream; it was reset with the same code.
    Stopped {
        /// Stream.
        id: StreamId,
        /// The peer application's code.
        code: u64,
    },
    /// An open that was refused may now succeed.
    Available(Dir),
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// No room now; wait for [`StreamEvent::Writable`].
    Blocked,
    /// The peer wants no more, with this code.
    Stopped(u64),
    /// Finished, reset, or not a stream that can be written.
    Closed,
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Nothing there now; wait for [`StreamEvent::Readable`].
    Blocked,
    /// The peer reset the stream with this code. Said once; after that the stream is `Closed`.
    Reset(u64),
    /// Read to the end, stopped, or not a stream that can be read.
    Closed,
}

/// The verb came too late or the stream has no such part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedStream;

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("no room to write now"),
            Self::Stopped(code) => write!(f, "the peer stopped the stream with code {code}"),
            Self::Closed => f.write_str("the stream cannot be written any more"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("nothing to read now"),
            Self::Reset(code) => write!(f, "the peer reset the stream with code {code}"),
            Self::Closed => f.write_str("the stream cannot be read any more"),
        }
    }
}

impl fmt::Display for ClosedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is closed")
    }
}

impl core::error::Error for WriteError {}
impl core::error::Error for ReadError {}
impl core::error::Error for ClosedStream {}
