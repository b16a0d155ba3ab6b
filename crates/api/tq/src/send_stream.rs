//! The sending half of a stream.
//!
//! Bytes go straight into the core's send buffer; the driver is told that there are some. Waits while the buffer
//! or the peer's window is full.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::task::coop::poll_proceed;
use tq_quic::WriteError as CoreError;
use tq_wire::StreamId;

use crate::connection::Connection;
use crate::shared::State;
use crate::wakers::{Halves, Outcome, Wait};
use crate::{ClosedStream, StoppedError, WriteError};

/// Sends bytes in order. Dropped before it was finished or reset, it is finished.
///
/// As tokio's `AsyncWrite`, shutting down means [`SendStream::finish`]; flushing does nothing, for nothing waits
/// to be flushed.
pub struct SendStream {
    connection: Connection,
    id: StreamId,
}

impl SendStream {
    pub(crate) fn new(connection: Connection, id: StreamId) -> Self {
        Self { connection, id }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The connection it belongs to.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Writes some bytes of `data` and says how many, at least one unless `data` is empty.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was written.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        poll_fn(|cx| self.poll_slice(cx, data)).await
    }

    /// Writes all of `data`.
    ///
    /// Not cancel-safe: dropped before it is ready, an unknown part was written.
    ///
    /// # Errors
    /// See [`WriteError`]; a part may have been written.
    pub async fn write_all(&mut self, mut data: &[u8]) -> Result<(), WriteError> {
        while !data.is_empty() {
            let written = self.write(data).await?;
            data = &data[written..];
        }
        Ok(())
    }

    /// Writes all of `chunk` without copying it.
    ///
    /// Not cancel-safe: dropped before it is ready, an unknown part was written.
    ///
    /// # Errors
    /// See [`WriteError`]; a part may have been written.
    pub async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), WriteError> {
        while !chunk.is_empty() {
            poll_fn(|cx| self.poll(cx, |state, id| state.core.write(id, &mut chunk))).await?;
        }
        Ok(())
    }

    /// Ends the stream after what was written. Does not wait: see [`SendStream::stopped`] for that. If the peer
    /// wants no more of it, that is as good as finished.
    ///
    /// # Errors
    /// It was finished or reset already, or the connection ended.
    pub fn finish(&mut self) -> Result<(), ClosedStream> {
        let id = self.id;
        self.connection.shared().act(|state| match state.core.finish(id) {
            Err(_) if !matches!(state.wakers.outcome(id), Some(Outcome::Stopped(_))) => Err(ClosedStream),
            _ => Ok(()),
        })
    }

    /// Gives up: the peer is told `code` and may never see what was written. `code` is cut to 2^62-1.
    ///
    /// # Errors
    /// It was reset before, everything has arrived, or the connection ended.
    pub fn reset(&mut self, code: u64) -> Result<(), ClosedStream> {
        let (id, code) = (self.id, code.min(tq_wire::VARINT_MAX));
        self.connection.shared().act(|state| state.core.reset(id, code)).map_err(|_| ClosedStream)
    }

    /// Streams with a higher priority are sent first; 0 unless told.
    ///
    /// # Errors
    /// All of it has arrived, it was reset, or the connection ended.
    pub fn set_priority(&mut self, priority: i32) -> Result<(), ClosedStream> {
        let id = self.id;
        self.connection.shared().lock().core.set_priority(id, priority).map_err(|_| ClosedStream)
    }

    /// Waits until the peer has everything and the end (`None`), or wants no more (`Some(code)`).
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// The connection ended first.
    pub async fn stopped(&mut self) -> Result<Option<u64>, StoppedError> {
        poll_fn(|cx| {
            let mut state = self.connection.shared().lock();
            match (state.wakers.outcome(self.id), &state.error) {
                (Some(Outcome::Acknowledged), _) => Poll::Ready(Ok(None)),
                (Some(Outcome::Stopped(code)), _) => Poll::Ready(Ok(Some(code))),
                (None, Some(error)) => Poll::Ready(Err(StoppedError::ConnectionLost(error.clone()))),
                (None, None) => {
                    state.wakers.park(self.id, Wait::Outcome, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn poll_slice(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, WriteError>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll(cx, |state, id| state.core.write_slice(id, data))
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut State, StreamId) -> Result<usize, CoreError>,
    ) -> Poll<Result<usize, WriteError>> {
        let turn = ready!(poll_proceed(cx));
        let id = self.id;
        self.connection.shared().act_if(|state| {
            if let Some(error) = &state.error {
                return (Poll::Ready(Err(WriteError::ConnectionLost(error.clone()))), false);
            }
            match write(state, id) {
                Ok(written) => {
                    turn.made_progress();
                    (Poll::Ready(Ok(written)), true)
                }
                Err(CoreError::Stopped(code)) => (Poll::Ready(Err(WriteError::Stopped(code))), false),
                Err(CoreError::Closed) => (Poll::Ready(Err(WriteError::ClosedStream)), false),
                Err(CoreError::Blocked) => {
                    state.wakers.park(id, Wait::Write, cx.waker());
                    (Poll::Pending, false)
                }
            }
        })
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.get_mut().poll_slice(cx, data));
        Poll::Ready(written.map_err(Into::into))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Shutting down twice is no mistake.
        let _ = self.get_mut().finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        let id = self.id;
        self.connection.shared().act_if(|state| {
            state.wakers.release(id, Halves { send: true, recv: false });
            let finished = state.error.is_none() && state.core.finish(id).is_ok();
            ((), finished)
        });
    }
}

impl std::fmt::Debug for SendStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SendStream").field(&self.id).finish()
    }
}
