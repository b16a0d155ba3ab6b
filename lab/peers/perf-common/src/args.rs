//! The command line, which is the same for all programs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args, Parser, Subcommand};

/// What a program is to do.
pub enum Order {
    /// Answer.
    Serve(Serve),
    /// A download.
    Fetch(Fetch),
    /// Full handshakes.
    Handshakes(Many),
    /// Requests of so many bytes, and answers of as many.
    Requests(Many, u64),
}

/// How to serve.
#[derive(Args, Clone, Copy)]
pub struct Serve {
    /// Where.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Bytes of each datagram.
    #[arg(long, default_value_t = 1452)]
    pub mtu: u16,
    /// One JSON object per connection instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

/// One download.
#[derive(Clone, Copy)]
pub struct Fetch {
    /// From.
    pub server: SocketAddr,
    /// Bytes to ask for.
    pub bytes: u64,
    /// When enough has come.
    pub limit: Option<Duration>,
    /// Bytes of each datagram.
    pub mtu: u16,
    /// One JSON object instead of a sentence.
    pub json: bool,
}

/// The same thing again and again.
#[derive(Clone, Copy)]
pub struct Many {
    /// With whom.
    pub server: SocketAddr,
    /// For how long.
    pub limit: Duration,
    /// So many at a time.
    pub outstanding: u32,
    /// Bytes of each datagram.
    pub mtu: u16,
    /// One JSON object instead of a sentence.
    pub json: bool,
}

#[derive(Parser)]
#[command(about)]
struct Line {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Send to whoever asks, until killed. Prints `listening ADDRESS` once it does.
    Server(Serve),
    /// Fetch from a server.
    Client(Client),
}

#[derive(Args)]
#[command(group = ArgGroup::new("amount").required(true))]
struct Client {
    server: SocketAddr,
    /// How much.
    #[arg(long, group = "amount")]
    bytes: Option<u64>,
    /// How long, in seconds.
    #[arg(long, group = "amount")]
    duration: Option<f64>,
    /// Count full handshakes instead.
    #[arg(long, conflicts_with_all = ["bytes", "requests"])]
    handshakes: bool,
    /// Count requests of so many bytes on new streams, and answers of as many, instead.
    #[arg(long, value_name = "BYTES", conflicts_with = "bytes", value_parser = clap::value_parser!(u64).range(8..=1000))]
    requests: Option<u64>,
    /// Handshakes or requests at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    outstanding: u32,
    /// Bytes of each datagram.
    #[arg(long, default_value_t = 1452)]
    mtu: u16,
    /// One JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

/// Reads the command line; says what is wrong with it and ends the program.
///
/// # Errors
/// A duration is missing or none.
pub fn order() -> Result<Order> {
    let client = match Line::parse().role {
        Role::Server(serve) => return Ok(Order::Serve(serve)),
        Role::Client(client) => client,
    };
    let Client { server, bytes, duration, handshakes, requests, outstanding, mtu, json } = client;
    let limit = duration.map(Duration::try_from_secs_f64).transpose()?;
    if !handshakes && requests.is_none() {
        return Ok(Order::Fetch(Fetch { server, bytes: bytes.unwrap_or(u64::MAX), limit, mtu, json }));
    }
    let many = Many { server, limit: limit.context("--duration")?, outstanding, mtu, json };
    Ok(match requests {
        None => Order::Handshakes(many),
        Some(size) => Order::Requests(many, size),
    })
}
