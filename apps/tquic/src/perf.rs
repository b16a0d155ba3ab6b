//! `tquic perf`: what two hosts and the way between them can do.
//!
//! Client and server speak `tq-perf`, which also tells the client how much CPU time the server spent. They use
//! one well-known key pair: nobody is authenticated, for nothing of value is transferred.

mod bulk;
mod client;
mod handshakes;
mod latency;
mod protocol;
mod report;
mod requests;
mod server;
mod through;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use tq::quic::cc::Algorithm;
use tq::quic::sched::Kind as Scheduler;
use tq::tls::RawIdentity;
use tq::{EndpointConfig, TransportConfig, Version};

use crate::link::Link;

/// Paths a client may have at a time.
const PATHS: u32 = 8;
/// Seed of the key pair everybody knows.
const SEED: [u8; 32] = *b"tq-perf measures, nothing secret";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Answer measurements until interrupted.
    Server(ServerOptions),
    /// Measure against a server.
    Client(ClientOptions),
    /// Measure through the bond of a router that runs here, from its daemon to the server's.
    #[command(long_flag = "through")]
    Through(through::Options),
}

#[derive(Args)]
pub(crate) struct ServerOptions {
    /// Address and UDP port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDR", default_value = "[::]:4433")]
    listen: SocketAddr,
    /// Take orders in 0-RTT.
    #[arg(long)]
    early_data: bool,
    /// Give no tickets, so that every handshake is a full one.
    #[arg(long)]
    no_tickets: bool,
    /// Paths a client may have at a time; 0: no multipath.
    #[arg(long, value_name = "N", default_value_t = PATHS, value_parser = clap::value_parser!(u32).range(0..=16))]
    paths: u32,
    /// Show this certificate chain (PEM) instead of the raw key everybody knows; clients need --insecure.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
}

#[derive(Args)]
pub(crate) struct ClientOptions {
    /// Server, HOST:PORT.
    #[arg(value_name = "ADDR")]
    addr: String,
    /// Measure for so many seconds.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    duration: Duration,
    /// Measure until so many bytes were transferred, all streams together.
    #[arg(long, value_name = "N", conflicts_with_all = ["duration", "handshakes", "requests"])]
    bytes: Option<u64>,
    /// Send data to the server.
    #[arg(long, conflicts_with_all = ["download", "handshakes", "requests"])]
    upload: bool,
    /// Receive data from the server: the default.
    #[arg(long, conflicts_with_all = ["handshakes", "requests"])]
    download: bool,
    /// Streams at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    streams: u32,
    /// Count full handshakes.
    #[arg(long, conflicts_with = "requests")]
    handshakes: bool,
    /// With --handshakes: resume earlier sessions instead.
    #[arg(long, requires = "handshakes")]
    resume: bool,
    /// With --handshakes: resume, and send a small request in 0-RTT; the server must take it (--early-data).
    #[arg(long, requires = "handshakes")]
    early: bool,
    /// Count requests and answers of SIZE bytes each, a stream for each pair.
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u32).range(0..=1 << 24))]
    requests: Option<u32>,
    /// Take any certificate.
    #[arg(long)]
    insecure: bool,
    /// Use this link too: a network device, with the address to use there or without, or only an address (`=ADDR`). Several
    /// share one connection, a path over each; the handshake is raced over all of them.
    #[arg(long = "link", value_name = "DEV[=ADDR]", conflicts_with = "handshakes")]
    links: Vec<Link>,
    /// Handshakes or requests under way at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    outstanding: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tuning: Tuning,
}

/// Transport settings worth trying, of this end.
#[derive(Args, Clone)]
pub(crate) struct Tuning {
    /// Congestion control: cubic, newreno, bbr, auto or olia.
    #[arg(long, value_name = "NAME", default_value = "cubic", value_parser = algorithm)]
    cc: Algorithm,
    /// Largest UDP payload to try, bytes: 1472 for Ethernet over IPv4, 8952 for jumbo frames.
    #[arg(long, value_name = "BYTES", default_value_t = 1452, value_parser = clap::value_parser!(u16).range(1200..=65507))]
    mtu: u16,
    /// Take the path to carry datagrams of that size, without asking it.
    #[arg(long)]
    fixed_mtu: bool,
    /// Which path gets what this end sends, if there are several: aggregate, minrtt, roundrobin, weighted, blest or ecf.
    #[arg(long, value_name = "NAME", default_value = "minrtt", value_parser = scheduler)]
    scheduler: Scheduler,
    /// Speak version 2 (RFC 9369) if the other end does: a client offers it, a server chooses it.
    #[arg(long)]
    v2: bool,
}

impl Tuning {
    fn endpoint(&self) -> EndpointConfig {
        let mut config = EndpointConfig::default();
        if self.v2 {
            config.versions = vec![Version::V2, Version::V1];
        }
        config
    }

    fn apply(&self, transport: &mut TransportConfig) {
        transport.congestion = Some(self.cc);
        transport.max_mtu = self.mtu;
        if self.fixed_mtu {
            transport.initial_mtu = self.mtu;
            transport.mtu_discovery = false;
        }
        transport.scheduler = self.scheduler;
        transport.stream.max_bidi = 10_000;
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0".into()),
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|_| "known are cubic, newreno, bbr, auto and olia".into())
}

fn scheduler(name: &str) -> Result<Scheduler, String> {
    name.parse().map_err(|error: tq::UnknownScheduler| error.to_string())
}

/// The key pair of every server.
fn identity() -> RawIdentity {
    RawIdentity::from_seed(SEED)
}

pub(crate) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Server(options) => server::run(options).await,
        Command::Client(options) => client::run(options).await,
        Command::Through(options) => through::run(options).await,
    }
}
