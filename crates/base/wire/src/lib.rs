//! QUIC on the wire: varints, connection ids, headers, packet numbers, frames, transport parameters.
//!
//! This crate knows layouts and the errors of layouts (RFC 8999, RFC 9000, RFC 9221, RFC 9368, RFC 9369, the
//! multipath, ACK frequency and reliable reset drafts). It never decides what a frame means to a connection, and
//! nothing a peer can send makes it panic or allocate more than the input is long.
#![no_std]
#![forbid(unsafe_code)]

mod cid;
mod codec;
mod ecn;
pub mod frame;
pub mod header;
pub mod packet_number;
pub mod params;
mod stream_id;
pub mod transport_error;
mod version;

pub use cid::{Cid, PathId, ResetToken};
pub use codec::{Reader, UnexpectedEnd, VARINT_MAX, Writer, varint_len};
pub use ecn::{Ecn, EcnCounts};
pub use frame::Frame;
pub use params::TransportParameters;
pub use stream_id::{Dir, Side, StreamId};
pub use transport_error::Code;
pub use version::Version;

#[cfg(test)]
mod tests;
