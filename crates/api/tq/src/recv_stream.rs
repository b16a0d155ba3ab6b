//! The receiving half of a stream.
//!
//! Bytes come out of the core's assembler, as chunks without a copy or into the caller's buffer with one. The
//! driver is told, for reading may enlarge the peer's window.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::coop::poll_proceed;
use tq_quic::ReadError as CoreError;
use tq_wire::StreamId;

use crate::connection::Connection;
use crate::shared::State;
use crate::wakers::{Halves, Wait};
use crate::{ClosedStream, ReadError, ReadExactError, ReadToEndError};

/// Receives bytes in order. Dropped before its end was read, it is stopped with code 0.
pub struct RecvStream {
    connection: Connection,
    id: StreamId,
    /// Nothing more will come: what every later read says.
    end: Option<End>,
}

#[derive(Clone, Copy)]
enum End {
    Finished,
    Reset(u64),
    Stopped,
}

impl RecvStream {
    pub(crate) fn new(connection: Connection, id: StreamId) -> Self {
        Self { connection, id, end: None }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The connection it belongs to.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Reads some bytes into `buffer` and says how many, at least one unless `buffer` is empty; `None` at the end.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was read.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
        poll_fn(|cx| self.poll_slice(cx, buffer)).await
    }

    /// The next bytes, up to `max` of them and without a copy; `None` at the end.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was read.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        if max == 0 {
            return Ok(Some(Bytes::new()));
        }
        poll_fn(|cx| self.poll(cx, |state, id| state.core.read(id, max))).await
    }

    /// Fills `buffer`.
    ///
    /// Not cancel-safe: dropped before it is ready, what was read is lost.
    ///
    /// # Errors
    /// The stream ends early, or see [`ReadError`]; what was read is lost.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReadExactError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]).await? {
                Some(more) => filled += more,
                None => return Err(ReadExactError::FinishedEarly(filled)),
            }
        }
        Ok(())
    }

    /// Everything up to the end, if it is not more than `limit` bytes. Memory grows with what arrives.
    ///
    /// Not cancel-safe: dropped before it is ready, what was read is lost.
    ///
    /// # Errors
    /// There is more, and the stream is stopped with code 0; or see [`ReadError`]. What was read is lost.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, ReadToEndError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.read_chunk(usize::MAX).await? {
            if chunk.len() > limit - all.len() {
                let _ = self.stop(0);
                return Err(ReadToEndError::TooLong { limit });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Tells the peer that no more is wanted, and why; what was not read is gone. `code` is cut to 2^62-1.
    ///
    /// # Errors
    /// It was stopped or read to its end before, or the connection ended.
    pub fn stop(&mut self, code: u64) -> Result<(), ClosedStream> {
        if self.end.is_some() {
            return Err(ClosedStream);
        }
        self.end = Some(End::Stopped);
        let (id, code) = (self.id, code.min(tq_wire::VARINT_MAX));
        self.connection.shared().act(|state| state.core.stop(id, code)).map_err(|_| ClosedStream)
    }

    fn poll_slice(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<Option<usize>, ReadError>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(Some(0)));
        }
        self.poll(cx, |state, id| state.core.read_into(id, buffer))
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut State, StreamId) -> Result<Option<T>, CoreError>,
    ) -> Poll<Result<Option<T>, ReadError>> {
        match self.end {
            None => {}
            Some(End::Finished) => return Poll::Ready(Ok(None)),
            Some(End::Reset(code)) => return Poll::Ready(Err(ReadError::Reset(code))),
            Some(End::Stopped) => return Poll::Ready(Err(ReadError::ClosedStream)),
        }
        let turn = ready!(poll_proceed(cx));
        let id = self.id;
        let mut ended = false;
        let result = self.connection.shared().act_if(|state| match read(state, id) {
            Ok(value) => {
                // The end often comes with the last bytes: then nothing is left to ask for, now or when this is dropped.
                ended = value.is_none() || state.core.read_end(id);
                if ended {
                    state.wakers.release(id, Halves { send: false, recv: true });
                }
                (Ok(value), true)
            }
            Err(CoreError::Blocked) if state.error.is_none() => {
                state.wakers.park(id, Wait::Read, cx.waker());
                (Err(CoreError::Blocked), false)
            }
            // Data that arrived before the end of the connection was read above.
            Err(error) => (Err(error), false),
        });
        if ended {
            self.end = Some(End::Finished);
        }
        if result.is_ok() {
            turn.made_progress();
        }
        Poll::Ready(match result {
            Ok(value) => Ok(value),
            Err(CoreError::Reset(code)) => {
                self.end = Some(End::Reset(code));
                Err(ReadError::Reset(code))
            }
            Err(error) => match self.connection.close_reason() {
                Some(lost) => Err(ReadError::ConnectionLost(lost)),
                None if matches!(error, CoreError::Blocked) => return Poll::Pending,
                None => Err(ReadError::ClosedStream),
            },
        })
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.get_mut().poll_slice(cx, buffer.initialize_unfilled()));
        Poll::Ready(read.map(|read| buffer.advance(read.unwrap_or(0))).map_err(Into::into))
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if let Some(End::Finished) = self.end {
            // What was to be done about it was done then.
            return;
        }
        let (id, ended) = (self.id, self.end.is_some());
        self.connection.shared().act_if(|state| {
            state.wakers.release(id, Halves { send: false, recv: true });
            let stopped = !ended && state.error.is_none() && state.core.stop(id, 0).is_ok();
            ((), stopped)
        });
    }
}

impl std::fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecvStream").field(&self.id).finish()
    }
}
