//! Time as a number that is handed in.
//!
//! An [`Instant`] counts nanoseconds since a moment the host chose; nothing here reads a clock. The crate
//! decides how deadlines are kept (a table per connection, a wheel per host), never what they are for.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod instant;
mod mem;
mod timers;
mod wheel;

pub use core::time::Duration;
pub use instant::Instant;
pub use timers::Timers;
pub use wheel::Wheel;
