//! A network on virtual time that drives sans-IO protocols unchanged.
#![forbid(unsafe_code)]

mod process;

pub use process::{Asked, Context, Departure, Meta, Notice, Process};

// programs that speak QUIC
pub mod app;
pub mod entropy;
pub mod ledger;

pub mod qlog;
pub mod quic;
pub mod session;
