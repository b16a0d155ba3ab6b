//! A network on virtual time that drives sans-IO protocols unchanged.
#![forbid(unsafe_code)]

mod process;

pub use process::{Asked, Context, Departure, Meta, Notice, Process};
