//! Asynchronous QUIC for tokio.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use tq::{Endpoint, tls};
//!
//! let key = tls::RawIdentity::generate();
//! let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["echo"]);
//! let show = tls::ServerConfig::new().raw_key(key).alpn(["echo"]);
//! let server = Endpoint::server(tq::ServerConfig::new(show)?, "127.0.0.1:0".parse()?)?;
//! let client = Endpoint::client("127.0.0.1:0".parse()?)?;
//! client.set_client_config(tq::ClientConfig::new(trust)?);
//!
//! let connecting = client.connect(server.local_addr(), "localhost")?;
//! let accepted = server.accept().await.ok_or("closed")?.accept()?;
//! let (client_side, server_side) = (connecting.await?, accepted.await?);
//! let (mut send, _recv) = client_side.open_bi().await?;
//! send.write_all(b"hello").await?;
//! send.finish()?;
//! let (_send, mut recv) = server_side.accept_bi().await?;
//! assert_eq!(recv.read_to_end(1024).await?, b"hello");
//! # Ok(()) }
//! ```
//!
//! # Shape
//! The nouns are quinn's. An [`Endpoint`] owns sockets and one driver task; a [`Connection`] is cheap to clone;
//! [`SendStream`] and [`RecvStream`] also are tokio's `AsyncWrite` and `AsyncRead`. The protocol itself is
//! `tq-quic`, which does no I/O; this crate decides who waits for what, and when the driver runs. It never
//! decides what goes into a packet.
//!
//! # Several paths
//! Off unless both ends set [`TransportConfig::max_paths`] (draft-ietf-quic-multipath-21); a peer that does not know it gets
//! a connection of one path. An endpoint has a socket for each link ([`Endpoint::add_socket`]), which come and go while
//! connections run ([`Endpoint::remove_socket`]); [`Endpoint::connect_over`] races the handshake over them. A server needs no more than one: on `[::]` it takes paths on all its
//! addresses and answers from where it was asked. `cargo run -p tq --example multipath` shows all of it.
//!
//! | who may | what |
//! |---|---|
//! | the client | [`Connection::open_path`]; say with which scheduler it sends, before it connects |
//! | the server | say with which scheduler it sends, in [`ServerConfig`]: accepted connections inherit it |
//! | either | [`Path::set_status`] (a path is a backup if one end says so), [`Path::close`], [`Path::ping`], [`Connection::send_datagram_on`], listen to [`Connection::path_events`] |
//!
//! Each end schedules what it sends, downloads therefore the server. Stream data goes on any path; what a path that fails had
//! under way goes again on others. A device, route or address that is gone is noticed when sending fails, and looked for four
//! times a second; who watches interfaces says so earlier with [`Endpoint::link_down`] and [`Endpoint::link_up`].
//!
//! # Dropping
//! * The last handle of a connection (`Connection`, its streams, a `Connecting`) closes it with code 0 and no
//!   reason. To let data arrive first, wait for [`SendStream::stopped`] or for the peer to close.
//! * A [`SendStream`] that was neither finished nor reset is finished.
//! * A [`RecvStream`] that was not read to its end is stopped with code 0.
//! * An [`Incoming`] nobody decided on is refused.
//! * Connections outlive the [`Endpoint`] handle; [`Endpoint::wait_idle`] waits for their last packets.
//!
//! # Cancellation
//! Every `async fn` says whether dropping its future loses anything.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod builder;
mod config;
mod connection;
mod driver;
mod endpoint;
mod error;
mod incoming;
mod memory;
mod path;
pub mod qlog;
mod queue;
mod reactor;
mod recv_stream;
mod send_stream;
mod shared;
mod sockets;
mod stats;
mod wakers;

pub use builder::EndpointBuilder;
pub use bytes::Bytes;
pub use config::{ClientConfig, ServerConfig, TransportConfig};
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use error::{
    ClosedStream, ConnectError, ConnectionError, ExportError, MigrateError, OpenPathError, ReadError,
    ReadExactError, ReadToEndError, RemoveSocketError, RetryError, SchedulerError, SendDatagramError,
    StoppedError, UnknownScheduler, WriteError,
};
pub use incoming::{Connecting, Incoming};
pub use memory::ServerToken;
pub use path::{Path, PathEvents};
pub use recv_stream::RecvStream;
pub use send_stream::SendStream;
pub use sockets::{SocketId, SocketInfo};
pub use stats::{ConnectionStats, EndpointStats};

pub use tq_event as event;
pub use tq_quic as quic;
pub use tq_quic::cc::{Profile, Resumption};
pub use tq_quic::event::GuardAction;
pub use tq_quic::handshake::PeerIdentity;
pub use tq_quic::sched::{BondState, Cause as HealthCause, Health as PathHealth};
pub use tq_quic::{
    ClosePathError, EarlyData, EndpointConfig, PathEvent, PathInfo, PathPolicy, PathState, PathStats,
    Status as PathStatus, StreamConfig, WindowBudget,
};
pub use tq_tls as tls;
pub use tq_udp as udp;
pub use tq_wire::{Code, Dir, PathId, Side, StreamId, Version};

/// Locks, also after a panic elsewhere: what the locks protect is consistent between calls of the core.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
