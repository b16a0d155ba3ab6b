//! Interval sets, stream buffers, and the one door to the heap.
//!
//! The crate decides how bytes and number ranges are held and what holding them may cost; it never decides
//! what is sent, when, or to whom. Nothing here reads a clock or does I/O. Offsets are stream offsets of
//! RFC 9000 §2.2 (0 to 2^62-1); arithmetic saturates, so a larger number is clumsy but never a panic.
#![no_std]
#![forbid(unsafe_code)]

mod assembler;
pub mod mem;
mod ranges;
mod send;

pub use assembler::{Assembler, TooFragmented};
pub use ranges::Ranges;
pub use send::SendBuffer;
