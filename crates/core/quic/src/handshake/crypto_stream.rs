//! CRYPTO bytes of the three levels: what is to send, what has arrived (RFC 9000 §7.5).
//! Never looks into them.

use bytes::Bytes;
use tq_buf::mem::Box;
use tq_buf::{Assembler, SendBuffer};
use tq_wire::Code;
use tq_wire::frame::{self, kind};

use super::Level;
use crate::error::TransportError;
use crate::payload::Payload;
use crate::token::Token;

/// CRYPTO bytes a peer may have outstanding beyond what TLS has read, per level (threat 12).
pub(crate) const MAX_BUFFERED: u64 = 64 * 1024;

/// One direction pair per level.
#[derive(Default)]
pub(crate) struct CryptoStreams {
    /// Initial and Handshake.
    levels: [CryptoStream; 2],
    /// 1-RTT: there once something comes or goes, which is not while a handshake is half open.
    late: Option<Box<CryptoStream>>,
}

#[derive(Default)]
struct CryptoStream {
    send: SendBuffer,
    recv: Assembler,
}

impl CryptoStreams {
    fn of(&self, level: Level) -> Option<&CryptoStream> {
        match level {
            Level::OneRtt => self.late.as_deref(),
            _ => self.levels.get(level as usize),
        }
    }

    fn of_mut(&mut self, level: Level) -> &mut CryptoStream {
        match level {
            Level::OneRtt => self.late.get_or_insert_default(),
            _ => &mut self.levels[level as usize],
        }
    }

    /// Takes a frame's bytes. TLS reads at `current`; levels before it bring nothing new.
    // MUST 9000-7.5-1, 9000-7.5-2, 9001-4.1.3-1, 9001-4.1.3-2
    pub(crate) fn on_frame(
        &mut self,
        level: Level,
        current: Level,
        f: &frame::Crypto<'_>,
    ) -> Result<(), TransportError> {
        let recv = &mut self.of_mut(level).recv;
        let end = f.offset + f.data.len() as u64;
        if end > recv.consumed() + MAX_BUFFERED {
            return Err(TransportError::new(
                Code::CRYPTO_BUFFER_EXCEEDED,
                kind::CRYPTO,
                "CRYPTO beyond 64 KiB ahead of what TLS has read",
            ));
        }
        if level < current && end > recv.highest() {
            let why = "CRYPTO goes on at a level that TLS has left";
            return Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::CRYPTO, why));
        }
        recv.insert(f.offset, f.data).map_err(|_| {
            TransportError::new(Code::CRYPTO_BUFFER_EXCEEDED, kind::CRYPTO, "CRYPTO in more than 1024 pieces")
        })
    }

    /// The next bytes in order.
    pub(crate) fn read(&mut self, level: Level) -> Option<Bytes> {
        let recv = &mut self.of_mut(level).recv;
        let bytes = recv.read(usize::MAX);
        if recv.consumed() == recv.highest() {
            // a message is over; what it took is not kept for the next, which may never come
            recv.clear();
        }
        bytes
    }

    /// TLS has left `level`: fails if bytes came that it has not read.
    // MUST 9001-4.1.3-3
    pub(crate) fn leave(&self, level: Level) -> Result<(), TransportError> {
        let read = self.of(level).is_none_or(|stream| stream.recv.consumed() == stream.recv.highest());
        match read {
            true => Ok(()),
            false => {
                let why = "CRYPTO beyond the last message of its level";
                Err(TransportError::new(Code::PROTOCOL_VIOLATION, kind::CRYPTO, why))
            }
        }
    }

    /// Queues bytes TLS wants sent.
    pub(crate) fn queue(&mut self, level: Level, bytes: &[u8]) {
        self.of_mut(level).send.write_slice(bytes);
    }

    /// Whether there is something to send at `level`.
    pub(crate) fn wants(&self, level: Level) -> bool {
        self.of(level).is_some_and(|stream| stream.send.has_lost() || stream.send.unsent() > 0)
    }

    /// Writes as many CRYPTO frames as fit.
    pub(crate) fn write(&mut self, level: Level, payload: &mut Payload<'_>) {
        let send = &mut self.of_mut(level).send;
        // type, offset and a two-byte length; less than 16 bytes of data are not worth a frame
        while payload.room() > 11 + 16 && (send.has_lost() || send.unsent() > 0) {
            let Some(range) = send.next(payload.room() - 11, u64::MAX) else { return };
            let len = (range.end - range.start) as usize;
            payload.out.varint(kind::CRYPTO);
            payload.out.varint(range.start);
            payload.out.varint(len as u64);
            send.copy(range.clone(), payload.out.reserve(len));
            payload.eliciting = true;
            payload.tokens.push(Token::Crypto { level, offset: range.start, len: len as u32 });
        }
    }

    /// A CRYPTO frame was acknowledged.
    pub(crate) fn on_acked(&mut self, level: Level, offset: u64, len: u32) {
        self.of_mut(level).send.ack(offset..offset + u64::from(len));
    }

    /// A CRYPTO frame was lost.
    // MUST 9001-4-1, 9001-4.9-1
    pub(crate) fn on_lost(&mut self, level: Level, offset: u64, len: u32) {
        self.of_mut(level).send.lose(offset..offset + u64::from(len));
    }

    /// Forgets a level whose keys are gone.
    pub(crate) fn discard(&mut self, level: Level) {
        *self.of_mut(level) = CryptoStream::default();
    }

    /// After a Retry: what was sent goes again.
    pub(crate) fn send_again(&mut self, level: Level) {
        let send = &mut self.of_mut(level).send;
        let sent = send.sent();
        send.lose(0..sent);
    }
}
