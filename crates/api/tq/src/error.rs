//! One narrow error per operation, each saying who is at fault and what to do.
//!
//! [`ConnectionError`] is the core's: why a connection ended. The others are what one call can run into; those
//! that may be cut short by the end of the connection carry it as their source.

use std::net::SocketAddr;

use thiserror::Error;

pub use tq_quic::error::ConnectionError;
pub use tq_quic::handshake::ExportError;
pub use tq_quic::sched::UnknownScheduler;

/// A connection could not even be tried: the caller's or the configuration's fault, no packet was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint was closed.
    #[error("this endpoint was closed: make a new one to connect")]
    EndpointClosed,
    /// There is no client configuration.
    #[error("no client configuration: call set_client_config first, or use connect_with")]
    NoClientConfig,
    /// TLS cannot use the server name, or its configuration does not work.
    #[error("cannot start TLS for {name:?}: {reason}")]
    Tls {
        /// The server name asked for.
        name: String,
        /// What TLS says.
        reason: String,
    },
    /// Nobody can be reached at this address: port 0, unspecified, or of a family the socket lacks.
    #[error("{0} is not an address a connection can be made to from this endpoint")]
    InvalidRemote(SocketAddr),
}

/// A connection did not move; all is as before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// It may not: the error says why, and whether later is better.
    #[error(transparent)]
    Refused(#[from] tq_quic::MigrateError),
    /// Nothing came back the new way.
    #[error("the server did not answer on the new way")]
    NoAnswer,
    /// The connection ended.
    #[error("connection lost: {0}")]
    ConnectionLost(#[from] ConnectionError),
}

/// No path was opened, or the one that was does not work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenPathError {
    /// It may not be opened: the error says whose decision that is, and whether later is better.
    #[error(transparent)]
    Refused(#[from] tq_quic::OpenPathError),
    /// The endpoint has no such socket (any more): this application's mistake.
    #[error("this endpoint has no such socket")]
    UnknownSocket,
    /// Nobody can be reached at this address: port 0, unspecified, or of a family the socket lacks.
    #[error("{0} is not an address that can be reached from this socket")]
    InvalidRemote(SocketAddr),
    /// Nothing came back that way, or the path was given up before anything did. Another try takes another path id.
    #[error("the server did not answer over this path")]
    NoAnswer,
    /// The connection ended.
    #[error("connection lost: {0}")]
    ConnectionLost(#[from] ConnectionError),
}

/// A socket was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RemoveSocketError {
    /// The endpoint has no such socket (any more).
    #[error("this endpoint has no such socket")]
    Unknown,
    /// There is no other: add one before.
    #[error("this is the endpoint's last socket: add another before it is removed, or close the endpoint")]
    Last,
}

/// A connection's scheduler was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SchedulerError {
    /// There is none of this name; the text lists those there are.
    #[error(transparent)]
    Unknown(#[from] UnknownScheduler),
    /// The connection is made (what a socket calls EISCONN): a scheduler is chosen before, in the configuration or on the
    /// [`Connecting`](crate::Connecting).
    #[error(
        "the connection is made: its scheduler is chosen before, in the configuration or while it is connecting"
    )]
    Connected,
}

/// Writing to a stream failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The peer wants no more data on this stream.
    #[error("the peer stopped reading this stream with code {0}")]
    Stopped(u64),
    /// The connection ended.
    #[error("connection lost: {0}")]
    ConnectionLost(#[source] ConnectionError),
    /// The stream was finished or reset before: this application's mistake.
    #[error("this stream was already finished or reset here")]
    ClosedStream,
}

/// Waiting for the end of a sent stream failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoppedError {
    /// The connection ended first.
    #[error("connection lost: {0}")]
    ConnectionLost(#[source] ConnectionError),
}

/// Reading from a stream failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The peer gave up sending; what was not read yet is gone.
    #[error("the peer reset this stream with code {0}")]
    Reset(u64),
    /// The connection ended.
    #[error("connection lost: {0}")]
    ConnectionLost(#[source] ConnectionError),
    /// Reading was stopped before: this application's mistake.
    #[error("this stream was already stopped here")]
    ClosedStream,
}

/// Filling a buffer from a stream failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadExactError {
    /// The stream ended; this many bytes were read and are lost.
    #[error("the peer finished the stream after {0} bytes, more were expected")]
    FinishedEarly(usize),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reading a whole stream failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadToEndError {
    /// The peer sends more than the limit given.
    #[error("the peer sends more than the {limit} bytes allowed")]
    TooLong {
        /// The limit the caller gave.
        limit: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The stream was finished, reset or stopped before: this application's mistake, and harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this stream was already finished, reset or stopped")]
pub struct ClosedStream;

/// A datagram was not taken for sending.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendDatagramError {
    /// The peer takes no datagrams, or the handshake is not complete.
    #[error("the peer accepts no datagrams")]
    Unsupported,
    /// More than one packet of the path, or than the peer allows.
    #[error("datagram of {len} bytes, at most {max} fit now")]
    TooLarge {
        /// Length asked for.
        len: usize,
        /// What [`crate::Connection::max_datagram_size`] says.
        max: usize,
    },
    /// The path asked for is not there, or may not carry data: still unproven, or abandoned.
    #[error("this path carries no data now")]
    NoPath,
    /// The send buffer is full.
    #[error("the datagram send buffer is full: drop the datagram or use send_datagram_wait")]
    Full,
    /// The connection ended.
    #[error("connection lost: {0}")]
    ConnectionLost(#[source] ConnectionError),
}

/// The attempt is the answer to a Retry: a second one would loop.
#[derive(Debug, Error)]
#[error("this attempt comes from a Retry already: accept, refuse or ignore it")]
pub struct RetryError(pub(crate) Box<crate::Incoming>);

impl RetryError {
    /// The attempt, to decide otherwise.
    pub fn into_incoming(self) -> crate::Incoming {
        *self.0
    }
}

macro_rules! into_io {
    ($($error:ty: $($pattern:pat => $kind:expr),+;)+) => {$(
        impl From<$error> for std::io::Error {
            fn from(error: $error) -> Self {
                let kind = match &error { $($pattern => $kind),+ };
                Self::new(kind, error)
            }
        }
    )+};
}

/// What a socket of the standard library would have said.
fn lost(error: &ConnectionError) -> std::io::ErrorKind {
    match error {
        ConnectionError::IdleTimeout | ConnectionError::HandshakeTimeout => std::io::ErrorKind::TimedOut,
        ConnectionError::LocallyClosed => std::io::ErrorKind::NotConnected,
        ConnectionError::Reset => std::io::ErrorKind::ConnectionReset,
        _ => std::io::ErrorKind::ConnectionAborted,
    }
}

into_io! {
    WriteError:
        WriteError::Stopped(_) => std::io::ErrorKind::BrokenPipe,
        WriteError::ConnectionLost(e) => lost(e),
        WriteError::ClosedStream => std::io::ErrorKind::NotConnected;
    ReadError:
        ReadError::Reset(_) => std::io::ErrorKind::ConnectionReset,
        ReadError::ConnectionLost(e) => lost(e),
        ReadError::ClosedStream => std::io::ErrorKind::NotConnected;
}
