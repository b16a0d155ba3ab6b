//! What the interop runner's endpoint is made of, for its binaries and for tests.
//!
//! HTTP/0.9 over QUIC (`hq-interop`) both ways and a little HTTP/3 for who speaks nothing else, the runner's test cases as settings, and a relay that loses and
//! corrupts datagrams by a seed. It judges nothing: the runner, or a test, compares files and traces.
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

pub mod case;
pub mod certificate;
pub mod client;
pub mod h3;
pub mod hq;
pub mod relay;
pub mod server;
pub mod url;
