//! The bond with real programs: `tquicd` at both ends, three unlike links between them, `curl` on one side and a file
//! server on the other.
//!
//! A [`place`] is where that stands: a [`lab`] of network namespaces, or, without root, [`loopback`]. In either a
//! [`story`] is played: transfers while links are cut and healed. [`demo`] shows one to people, [`bars`] judges many.
//! Decides nothing about the transport, and leaves nothing behind.
#![forbid(unsafe_code)]

pub mod bars;
pub mod chart;
pub mod daemon;
pub mod demo;
pub mod files;
pub mod lab;
pub mod loopback;
pub mod ping;
pub mod place;
pub mod process;
pub mod stop;
pub mod story;
pub mod transfer;
pub mod web;
