//! quiche as a partner for interop tests: HTTP/0.9 over `hq-interop`, as the public interop runner speaks it.
//!
//! quiche has no sockets of its own: one thread with one blocking socket drives it here.
//! Exit status: 0 all went well, 1 it did not, 127 the test case is not one this stack can play.

#![expect(clippy::disallowed_methods, reason = "quiche reads the clock itself; so does what drives it")]

mod client;
mod pump;
mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Bytes of each datagram of the `datagram` case.
const DATAGRAM: usize = 500;
/// UDP payload sent at most: what the public runner's network carries.
const PAYLOAD: usize = 1350;
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
    Resumption,
    ZeroRtt,
    Retry,
    VersionNegotiation,
    Datagram,
}

impl Case {
    /// quiche neither marks packets nor counts marks; TLS 1.3's suites are BoringSSL's choice, and nobody can ask
    /// for a key update.
    fn named(name: &str, client: bool) -> Option<Self> {
        Some(match name {
            "handshake" | "transfer" | "multiplexing" | "longrtt" | "blackhole" | "ipv6" | "goodput"
            | "amplificationlimit" | "transferloss" | "transfercorruption" | "rebind-port"
            | "rebind-addr" => Self::Plain,
            "chacha20" | "keyupdate" if !client => Self::Plain,
            "handshakeloss" | "handshakecorruption" => Self::ConnectionPerFile,
            "resumption" => Self::Resumption,
            "zerortt" => Self::ZeroRtt,
            "retry" => Self::Retry,
            "versionnegotiation" => Self::VersionNegotiation,
            "datagram" => Self::Datagram,
            _ => return None,
        })
    }
}

fn main() -> ExitCode {
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
        Role::Server { listen, cert, key, www, .. } => server::run(listen, &cert, &key, &www, case),
        Role::Client { downloads, urls, .. } => client::run(&downloads, &urls, case),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What both roles want of a connection.
fn config(version: u32, case: Case, identity: Option<(&Path, &Path)>) -> Result<quiche::Config> {
    let mut config = quiche::Config::new(version)?;
    if let Some((cert, key)) = identity {
        config.load_cert_chain_from_pem_file(cert.to_str().context("path")?)?;
        config.load_priv_key_from_pem_file(key.to_str().context("path")?)?;
    }
    config.set_application_protos(&[b"hq-interop"])?;
    config.verify_peer(false);
    config.log_keys();
    config.set_max_idle_timeout(30_000);
    config.set_max_recv_udp_payload_size(65_527);
    config.set_max_send_udp_payload_size(PAYLOAD);
    config.set_initial_max_data(WINDOW);
    config.set_initial_max_stream_data_bidi_local(WINDOW);
    config.set_initial_max_stream_data_bidi_remote(WINDOW);
    config.set_initial_max_streams_bidi(100);
    config.set_initial_max_streams_uni(100);
    config.set_active_connection_id_limit(4);
    config.enable_dgram(true, 200, 200);
    if case == Case::ZeroRtt {
        config.enable_early_data();
    }
    Ok(config)
}

/// Secrets go to `SSLKEYLOGFILE`.
fn log_keys(connection: &mut quiche::Connection) -> Result<()> {
    let Some(file) = std::env::var_os("SSLKEYLOGFILE") else { return Ok(()) };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file).context("SSLKEYLOGFILE")?;
    connection.set_keylog(Box::new(file));
    Ok(())
}

/// A connection id nobody can guess.
fn random_id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    let source = std::fs::File::open("/dev/urandom").context("/dev/urandom")?;
    std::io::Read::read_exact(&mut &source, &mut id)?;
    Ok(id)
}
