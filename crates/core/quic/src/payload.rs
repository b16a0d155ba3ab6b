//! The frames of one packet while it is being filled: a bounded writer and the tokens of what was written.

use tq_wire::{Frame, Writer};

use crate::token::{Token, Tokens};

/// Room for frames of one packet.
#[derive(Debug)]
pub(crate) struct Payload<'a> {
    /// Where frames go; `remaining()` is the room left.
    pub(crate) out: Writer<'a>,
    /// What was written and must be heard of again.
    pub(crate) tokens: Tokens,
    /// Whether an ack-eliciting frame was written.
    pub(crate) eliciting: bool,
}

impl<'a> Payload<'a> {
    /// An empty payload over `room`.
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { out: Writer::new(room), tokens: Tokens::new(), eliciting: false }
    }

    /// Bytes left.
    pub(crate) fn room(&self) -> usize {
        self.out.remaining()
    }

    /// Writes `frame` if it fits and says whether it did.
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, token: Option<Token>) -> bool {
        if frame.encoded_len() > self.room() {
            return false;
        }
        frame.encode(&mut self.out);
        self.eliciting |= frame.is_ack_eliciting();
        self.tokens.extend(token);
        true
    }
}
