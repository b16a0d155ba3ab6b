//! What a client asks of a server, at the start of each bidirectional stream: 34 bytes, numbers big endian.
//!
//! | bytes | field | of bytes | of messages |
//! |---|---|---|---|
//! | 0 | kind | 1 | 2 |
//! | 1 to 8 | flow | of the request; the reply's is the next | of the request, which is empty; the messages' is the next |
//! | 9 to 16 | give | bytes that follow on this stream; 2^64-1: until its end | bytes of each message |
//! | 17 to 24 | ask | bytes wanted back; 2^64-1: until the stream is stopped | messages wanted; likewise |
//! | 25 to 32 | pause | nanoseconds before the reply | nanoseconds from message to message |
//! | 33 | at once | 1: the reply need not wait for the end of the request | 0 |
//!
//! A reply is its bytes and the end of the stream, nothing else; so an upload of which nothing is wanted back is
//! answered by an empty stream once all of it has come. A server resets streams that ask for nothing it knows.

use std::time::Duration;

/// Length of an [`Ask`] on the wire.
pub const ASK_LEN: usize = 34;

/// Without end.
pub const ENDLESS: u64 = u64::MAX;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes on this stream.
    Bytes,
    /// Messages (DATAGRAM frames).
    Messages,
}

/// A request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is wanted.
    pub what: What,
    /// Ledger's number of the request; the reply's is the next.
    pub flow: u64,
    /// Bytes that follow, or bytes of each message.
    pub give: u64,
    /// Bytes or messages wanted.
    pub ask: u64,
    /// Before the reply, or between messages.
    pub pause: Duration,
    /// The reply need not wait for the end of the request.
    pub at_once: bool,
}

impl Ask {
    /// Ledger's number of the reply.
    pub const fn reply(&self) -> u64 {
        self.flow.wrapping_add(1)
    }

    /// As it is sent.
    pub fn encode(&self) -> [u8; ASK_LEN] {
        let mut out = [0; ASK_LEN];
        out[0] = match self.what {
            What::Bytes => 1,
            What::Messages => 2,
        };
        let pause = u64::try_from(self.pause.as_nanos()).unwrap_or(u64::MAX);
        let words = [self.flow, self.give, self.ask, pause];
        for (chunk, word) in out[1..33].chunks_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out[33] = u8::from(self.at_once);
        out
    }

    /// From what came; `None` if it asks for nothing known.
    pub fn decode(bytes: &[u8; ASK_LEN]) -> Option<Self> {
        let what = match bytes[0] {
            1 => What::Bytes,
            2 => What::Messages,
            _ => return None,
        };
        let (words, last) = bytes[1..].as_chunks::<8>();
        let word = |ix: usize| u64::from_be_bytes(words[ix]);
        Some(Self {
            what,
            flow: word(0),
            give: word(1),
            ask: word(2),
            pause: Duration::from_nanos(word(3)),
            at_once: last == [1],
        })
    }
}
