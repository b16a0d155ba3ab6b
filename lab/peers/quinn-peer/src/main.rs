//! quinn as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//! noq, its fork, is built from the same source; the few places where it differs ask for the feature `noq`.
//!
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

mod client;
mod server;

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use peer_common::{Case, Role};
use quinn::TransportConfig;
use socket2::SockRef;

/// Bytes asked for each socket buffer.
const BUFFER: usize = 4 << 20;
/// A version of the pattern reserved for forcing negotiation (RFC 9000 §15).
const RESERVED_VERSION: u32 = 0x0a1a_2a3a;

/// Both speak version 1 alone, and a client takes note of a preferred address without ever going there.
fn lacks(case: Case, is_client: bool) -> bool {
    case == Case::Version2 || case == Case::Preferred && is_client
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (role, case) = match peer_common::asked(lacks) {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    peer_common::ended(match role {
        Role::Server(options) => server::run(options, case).await,
        Role::Client(options) => client::run(&options, case).await,
    })
}

/// Windows wide enough for a few hundred Mbit/s; the rest is the stack's own choice.
fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config.stream_receive_window((4_u32 << 20).into()).receive_window((16_u32 << 20).into());
    Arc::new(config)
}

/// A bound socket with buffers that hold a window, as far as the system lets them.
fn socket(addr: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(addr).with_context(|| format!("binding {addr}"))?;
    let buffers = SockRef::from(&socket);
    buffers.set_recv_buffer_size(BUFFER)?;
    buffers.set_send_buffer_size(BUFFER)?;
    Ok(socket)
}
