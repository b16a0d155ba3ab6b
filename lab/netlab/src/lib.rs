//! Emulated links between network namespaces: real kernels and real programs over the link model.
//!
//! A [`lab`] is five namespaces made from a scenario's file: a host behind the user's router, the router, the links,
//! the server where all links end, and a host behind it. The links are one process ([`emulator`]) that holds each
//! packet until the moment the link model names. Measures with the kernel's TCP and MPTCP and with our QUIC ([`run`]),
//! and measures itself ([`calibrate`]). Decides no packet's fate and keeps nothing when a lab is down.
#![forbid(unsafe_code)]

pub mod bars;
pub mod calibrate;
pub mod control;
pub mod emulator;
pub mod frame;
pub mod health;
pub mod lab;
pub mod names;
pub mod peer;
pub mod probe;
pub mod process;
pub mod run;
pub mod set;
pub mod state;
pub mod topology;
