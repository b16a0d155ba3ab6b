//! s2n-quic as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//!
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

mod client;
mod server;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use peer_common::{Case, Role};
use s2n_quic::provider::{datagram, io, limits::Limits};

/// Datagrams that may wait on either side.
const QUEUE: usize = 200;
/// Flow control, bytes of a stream and of the connection.
const WINDOW: u64 = 8 << 20;

/// There is no way to ask s2n-quic for a key update, another version, early data, another address to prefer or a move;
/// the server's side of the first two and of the last is the stack's own. With rustls its server never sends the tickets,
/// nor does its client read any: both ends stop to drive TLS when the handshake is complete.
fn lacks(case: Case, is_client: bool) -> bool {
    match case {
        Case::KeyUpdate | Case::VersionNegotiation | Case::Migration => is_client,
        Case::Resumption | Case::ZeroRtt | Case::Version2 | Case::Preferred => true,
        _ => false,
    }
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

/// Windows wide enough for a few hundred Mbit/s; the rest is s2n-quic's own choice.
fn limits() -> Result<Limits> {
    Ok(Limits::new()
        .with_data_window(WINDOW)?
        .with_bidirectional_local_data_window(WINDOW)?
        .with_bidirectional_remote_data_window(WINDOW)?
        .with_max_handshake_duration(Duration::from_secs(60))?)
}

fn datagrams() -> Result<datagram::default::Endpoint> {
    let builder = datagram::default::Endpoint::builder();
    let builder = builder.with_send_capacity(QUEUE).and_then(|builder| builder.with_recv_capacity(QUEUE));
    let builder = builder.map_err(|error| anyhow!("{error}"))?;
    Ok(builder.build()?)
}

/// A socket; which it is can only be known if it is bound by us.
fn socket(addr: SocketAddr) -> Result<(io::Default, SocketAddr)> {
    let socket = std::net::UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    Ok((io::Default::builder().with_rx_socket(socket)?.build()?, local))
}
