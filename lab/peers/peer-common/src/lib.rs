//! What the peers of interop tests have in common, whatever their stack: the command line, the cases, HTTP/0.9's request
//! line, the datagrams of `datagram`, and TLS of those that use rustls. It knows nothing of any stack.

mod cases;
mod files;
#[cfg(feature = "tls")]
pub mod tls;

pub use cases::Case;
pub use files::{REQUEST, Url, file, one_server, save};

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Application protocol.
pub const ALPN: &[u8] = b"hq-interop";
/// Bytes of each datagram of the `datagram` case, how many are sent, and how many must come back.
pub const DATAGRAM: usize = 500;
pub const DATAGRAMS: u8 = 20;
pub const ENOUGH: usize = 15;
/// When a client in the case `migration` moves, after the handshake.
pub const MOVE: Duration = Duration::from_millis(200);

/// The command line of every peer.
#[derive(Parser)]
#[command(about = "An endpoint of the QUIC interop runner's hq-interop cases, by somebody else's stack")]
struct Args {
    #[command(subcommand)]
    role: Role,
}

/// What a program is to be.
#[derive(Subcommand)]
pub enum Role {
    /// Serve files until killed. Prints `listening ADDRESS` once it does.
    Server(Server),
    /// Fetch files, whatever the server's certificate.
    Client(Client),
}

#[derive(clap::Args)]
pub struct Server {
    #[arg(long)]
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long)]
    pub cert: PathBuf,
    /// Private key, PEM.
    #[arg(long)]
    pub key: PathBuf,
    /// Folder of the files.
    #[arg(long)]
    pub www: PathBuf,
    /// connectionmigration: the address to prefer, at which something else stands that leads here.
    #[arg(long)]
    pub preferred: Option<SocketAddr>,
    #[arg(long)]
    testcase: String,
}

#[derive(clap::Args)]
pub struct Client {
    #[arg(long)]
    testcase: String,
    /// Folder the files are written to.
    #[arg(long)]
    pub downloads: PathBuf,
    /// `https://HOST:PORT/NAME`, all of one server.
    #[arg(required = true)]
    pub urls: Vec<String>,
}

/// What the command line asks for.
///
/// # Errors
/// The exit status that says that the stack `lacks` the case in this role.
pub fn asked(lacks: impl Fn(Case, bool) -> bool) -> Result<(Role, Case), ExitCode> {
    let role = Args::parse().role;
    let (name, is_client) = match &role {
        Role::Server(server) => (&server.testcase, false),
        Role::Client(client) => (&client.testcase, true),
    };
    let case = Case::named(name).filter(|case| !lacks(*case, is_client));
    let Some(case) = case else {
        eprintln!("unsupported test case: {name}");
        return Err(ExitCode::from(127));
    };
    Ok((role, case))
}

/// The exit status for how it went.
pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Any address from which `server` can be reached.
pub fn any(server: SocketAddr) -> SocketAddr {
    if server.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() }
}

/// Contents of datagram `i`.
pub fn numbered(i: u8) -> Vec<u8> {
    (0..DATAGRAM).map(|at| i.wrapping_add(at as u8)).collect()
}

/// The number of a datagram that came back as it was sent.
///
/// # Errors
/// It is something else.
pub fn echoed(datagram: &[u8]) -> anyhow::Result<u8> {
    match datagram.first() {
        Some(&i) if i < DATAGRAMS && datagram == numbered(i) => Ok(i),
        _ => anyhow::bail!("an echo of something else"),
    }
}
