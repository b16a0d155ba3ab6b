//! quinn as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//! noq, its fork, is built from the same source; the few places where it differs ask for the feature `noq`.
//!
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

mod client;
mod server;
mod tls;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use quinn::TransportConfig;
use socket2::SockRef;

/// Bytes of each datagram of the `datagram` case.
const DATAGRAM: usize = 500;
/// Bytes asked for each socket buffer.
const BUFFER: usize = 4 << 20;
/// A version of the pattern reserved for forcing negotiation (RFC 9000 §15).
const RESERVED_VERSION: u32 = 0x0a1a_2a3a;

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
    /// Fetch files over one connection, whatever the server's certificate.
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
    /// Only the network is special, or nothing.
    Plain,
    /// A connection per file, one after the other.
    ConnectionPerFile,
    /// The first file on a connection of its own, the others on one that resumes its session.
    Resumption,
    /// The same, with early data.
    ZeroRtt,
    Retry,
    ChaCha20,
    KeyUpdate,
    VersionNegotiation,
    Datagram,
}

impl Case {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "handshake" | "transfer" | "multiplexing" | "ecn" | "longrtt" | "blackhole" | "ipv6"
            | "goodput" | "amplificationlimit" | "transferloss" | "transfercorruption" | "rebind-port"
            | "rebind-addr" => Self::Plain,
            "handshakeloss" | "handshakecorruption" => Self::ConnectionPerFile,
            "resumption" => Self::Resumption,
            "zerortt" => Self::ZeroRtt,
            "retry" => Self::Retry,
            "chacha20" => Self::ChaCha20,
            "keyupdate" => Self::KeyUpdate,
            "versionnegotiation" => Self::VersionNegotiation,
            "datagram" => Self::Datagram,
            _ => return None,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let role = Args::parse().role;
    let (Role::Server { testcase, .. } | Role::Client { testcase, .. }) = &role;
    let Some(case) = Case::named(testcase) else {
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
