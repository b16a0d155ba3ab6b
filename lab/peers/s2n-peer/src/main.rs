//! s2n-quic as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//!
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

mod client;
mod server;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use s2n_quic::provider::{datagram, io, limits::Limits};

/// Bytes of each datagram of the `datagram` case.
const DATAGRAM: usize = 500;
/// Datagrams that may wait on either side.
const QUEUE: usize = 200;
/// Flow control, bytes of a stream and of the connection.
const WINDOW: u64 = 8 << 20;

#[derive(Parser)]
#[command(about)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serve files until killed. Prints `listening ADDRESS` once it does.
    Server {
        #[arg(long)]
        listen: SocketAddr,
        /// Certificate chain, PEM.
        #[arg(long)]
        cert: PathBuf,
        /// Private key, PEM.
        #[arg(long)]
        key: PathBuf,
        /// Folder of the files.
        #[arg(long)]
        www: PathBuf,
        #[arg(long)]
        testcase: String,
    },
    /// Fetch files, whatever the server's certificate.
    Client {
        #[arg(long)]
        testcase: String,
        /// Folder the files are written to.
        #[arg(long)]
        downloads: PathBuf,
        /// `https://HOST:PORT/NAME`, all of one server.
        #[arg(required = true)]
        urls: Vec<String>,
    },
}

/// What is special about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Plain,
    ConnectionPerFile,
    ChaCha20,
    Retry,
    Datagram,
}

impl Case {
    /// There is no way to ask s2n-quic for a key update, another version or early data; the server's side of the
    /// first two is the stack's own. With rustls its server never sends the tickets, nor does its client read any:
    /// both ends stop to drive TLS when the handshake is complete.
    fn named(name: &str, client: bool) -> Option<Self> {
        Some(match name {
            "handshake" | "transfer" | "multiplexing" | "ecn" | "longrtt" | "blackhole" | "ipv6"
            | "goodput" | "amplificationlimit" | "transferloss" | "transfercorruption" | "rebind-port"
            | "rebind-addr" => Self::Plain,
            "keyupdate" | "versionnegotiation" if !client => Self::Plain,
            "handshakeloss" | "handshakecorruption" => Self::ConnectionPerFile,
            "chacha20" => Self::ChaCha20,
            "retry" => Self::Retry,
            "datagram" => Self::Datagram,
            _ => return None,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let role = Args::parse().role;
    let (testcase, is_client) = match &role {
        Role::Server { testcase, .. } => (testcase, false),
        Role::Client { testcase, .. } => (testcase, true),
    };
    let Some(case) = Case::named(testcase, is_client) else {
        eprintln!("unsupported test case: {testcase}");
        return ExitCode::from(127);
    };
    let done = match role {
        Role::Server { listen, cert, key, www, .. } => server::run(listen, &cert, &key, www, case).await,
        Role::Client { downloads, urls, .. } => client::run(&downloads, &urls, case).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
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
