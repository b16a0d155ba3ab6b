//! The daemon of a bond, as a library: what `tquicd` runs, and what tests run in their own process.
//!
//! A configuration names one of two roles. A server lets devices in and connects for them; a router brings programs' TCP
//! connections to it over all its links. Decides who is in charge of what and how it starts, reloads and ends; the bytes
//! are `tq-tunnel`'s, the paths `tq`'s, the keys `tq-identity`'s.
#![forbid(unsafe_code)]

mod api;
mod clock;
pub mod config;
mod confine;
mod daemon;
mod events;
mod exit;
mod figures;
pub mod log;
mod notify;
pub mod router;
pub mod server;
mod transport;

pub use config::Config;
pub use confine::confine;
pub use daemon::{Daemon, run};
pub use exit::Fatal;
pub use router::preview;
