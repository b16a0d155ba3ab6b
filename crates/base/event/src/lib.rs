//! What happened, as typed values that leave the protocol.
//!
//! Every event is declared once (`events.rs`): a struct with public fields that borrow, its variant of
//! [`Event`], its qlog name and its JSON. The crate decides names and shapes. It never decides where events
//! go, keeps no clock (the caller hands in nanoseconds) and does no I/O (a [`qlog::Sink`] does).
//! Without a subscriber an emitted event costs one branch: see [`Emitter::emit`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod counters;
mod dropped;
mod emit;
mod events;
mod frame;
mod json;
mod kinds;
mod mem;
pub mod qlog;

pub use counters::Counters;
pub use dropped::DropReason;
pub use emit::{Emitter, Subscriber};
pub use events::*;
pub use frame::FrameInfo;
pub use kinds::*;
