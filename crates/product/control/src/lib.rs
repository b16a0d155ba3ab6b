//! The daemon's control API: what is told and asked, and HTTP/JSON over a local socket to do it with.
//!
//! One set of types ([`model`]) serves the daemon, the tools and the metrics, so that a figure means the same everywhere. Decides
//! how requests are written and who may knock (whoever may open the socket); what they do is the daemon's business ([`Api`]).
#![forbid(unsafe_code)]

mod client;
mod http;
mod metrics;
pub mod model;
mod server;

pub use client::{Client, ClientError, Events};
pub use http::{Api, Method, Reply, Request};
pub use metrics::prometheus;
pub use server::{ControlSocket, group, serve_metrics};

/// Where a daemon of this name listens.
pub fn socket_path(name: &str) -> std::path::PathBuf {
    format!("/run/tquic/{name}.sock").into()
}
