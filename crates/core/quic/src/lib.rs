//! QUIC without I/O.
//!
//! A host calls [`Endpoint::receive`] with what a socket gave it, hands connection datagrams to
//! [`Connection::receive`], then drains [`Connection::poll_endpoint_event`] and [`Connection::transmit`], and arms one
//! timer for [`Connection::deadline`]. Time is an argument and never goes back; nothing here reads a clock, a socket
//! or a random device. Packet number spaces, congestion state and the choice of where to send are kept per path.
#![no_std]
#![forbid(unsafe_code)]

mod cid;
mod config;
mod connection;
mod datagram;
mod endpoint;
pub mod error;
pub mod handshake;
mod path;
mod payload;
mod rx;
mod shared;
mod space;
mod stream;
pub mod token;
mod tx;

pub use config::{
    CID_POOL, ClientConfig, EndpointConfig, HANDSHAKE_TIMEOUT, MIN_MTU, ServerConfig, TransportConfig,
};
pub use connection::{
    ClosePathError, Connection, EarlyData, EndpointEvent, Event, Local, MigrateError, OpenPathError,
    PathEvent, PathInfo, PathStats, RaceError, RecvMeta, Stats, Transmit,
};
pub use datagram::SendDatagramError;
pub use endpoint::{Endpoint, Handle, Incoming, Route};
pub use error::{ConnectionError, TransportError};
pub use path::{PathPolicy, PathState, Status};
pub use stream::{ClosedStream, ReadError, StreamConfig, StreamEvent, WindowBudget, WriteError};
pub use tx::TRANSMIT_BUFFER;

pub use tq_buf::mem;
pub use tq_cc as cc;
pub use tq_crypto as crypto;
pub use tq_event as event;
pub use tq_sched as sched;
pub use tq_time as time;
pub use tq_wire as wire;
