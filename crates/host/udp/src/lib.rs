//! UDP sockets as QUIC wants them, a precise timer and a clock.
//!
//! One system call carries a whole train of datagrams in either direction (`UDP_SEGMENT`, `UDP_GRO`), with
//! its ECN codepoint and the local address it used. The crate decides how a train crosses the kernel, what an
//! errno means, and how addresses look; it never decides when to send, where to, or what the bytes say.
//! Nothing here blocks or waits: wrap [`Socket`] and [`Timer`] in a reactor through their descriptors.
//!
//! All `unsafe` of the crate is in `sys`. Linux only.
#![cfg(target_os = "linux")]
#![warn(missing_docs, unreachable_pub)]

mod addr;
mod clock;
mod control;
mod device;
mod filter;
mod recv;
mod send;
mod socket;
mod sys;

pub use clock::{Clock, Timer, set_timer_slack};
pub use device::DeviceError;
pub use filter::{MAX_UNWANTED, SAMPLE, Unwanted};
pub use recv::{RecvBatch, Train, Trains};
pub use send::{MAX_TRAIN, SendError, Transmit};
pub use socket::{Options, Socket};
pub use tq_wire::Ecn;
