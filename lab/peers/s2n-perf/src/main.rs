//! What s2n-quic does per second, one thread on each side: a bulk download on one stream of one connection, full
//! handshakes, requests on new streams. The settings are those of the other stacks where they exist: there is no
//! ACK frequency extension.
//!
//! Each side of a download reports the CPU time it spent from the handshake to the close.

mod config;
// Every stack is measured with the same ruler.
#[path = "../../../../apps/tquic/src/perf/latency.rs"]
mod latency;
mod many;
mod report;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::{ArgGroup, Parser, Subcommand};
use report::Meter;
use s2n_quic::Connection;
use s2n_quic::client::Connect;
use s2n_quic::stream::BidirectionalStream;
use tokio::time::{Instant, sleep};

/// How long a lone CONNECTION_CLOSE takes at most.
const GOODBYE: Duration = Duration::from_millis(50);
/// Bytes handed to the stream at once.
const CHUNK: usize = 64 << 10;

#[derive(Parser)]
#[command(about)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Send to whoever asks, until killed. Prints `listening ADDRESS` once it does.
    Server {
        #[arg(long)]
        listen: SocketAddr,
        /// Bytes of each datagram.
        #[arg(long, default_value_t = 1452)]
        mtu: u16,
        /// One JSON object per connection instead of a sentence.
        #[arg(long)]
        json: bool,
    },
    /// Fetch from a server.
    #[command(group = ArgGroup::new("amount").required(true))]
    Client {
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
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Args::parse().role {
        Role::Server { listen, mtu, json } => serve(listen, mtu, json).await,
        Role::Client { server, bytes, duration, handshakes, requests, outstanding, mtu, json } => {
            let limit = duration.map(Duration::try_from_secs_f64).transpose()?;
            if handshakes {
                return many::handshakes(server, limit.context("--duration")?, outstanding, mtu, json).await;
            }
            if let Some(size) = requests {
                let many = many::Many { size, limit: limit.context("--duration")?, outstanding, mtu, json };
                return many::requests(server, many).await;
            }
            fetch(server, bytes.unwrap_or(u64::MAX), limit, mtu, json).await
        }
    }
}

async fn serve(listen: SocketAddr, mtu: u16, json: bool) -> Result<()> {
    let (mut server, local) = config::server(listen, mtu)?;
    println!("listening {local}");
    while let Some(connection) = server.accept().await {
        tokio::spawn(async move {
            if let Err(error) = serve_one(connection, json).await {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

/// Sends on every stream what the first eight bytes of it ask for, or until the client has enough.
async fn serve_one(mut connection: Connection, json: bool) -> Result<()> {
    let meter = Meter::start();
    let chunk = Bytes::from(vec![0x5a; CHUNK]);
    let mut sent = 0;
    while let Ok(Some(stream)) = connection.accept_bidirectional_stream().await {
        sent += answer(stream, &chunk).await?;
    }
    // What was under way at the end counts, too, as the client cannot say here what arrived; it is little.
    if sent > MANY {
        meter.stop("server", sent, json, "");
    }
    Ok(())
}

/// Bytes from which on a connection is a download, not requests.
const MANY: u64 = 100 << 20;

async fn answer(mut stream: BidirectionalStream, chunk: &Bytes) -> Result<u64> {
    let mut request = Vec::new();
    while let Some(part) = stream.receive().await? {
        request.extend_from_slice(&part);
    }
    let wanted = request.get(..8).context("a request that is too short")?;
    let wanted = u64::from_be_bytes(wanted.try_into()?);
    let mut left = wanted;
    while left > 0 {
        let part = chunk.slice(..CHUNK.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let len = part.len() as u64;
        if stream.send(part).await.is_err() {
            return Ok(wanted - left);
        }
        left -= len;
    }
    // A client that is measured by time has closed already.
    let _ = stream.finish();
    Ok(wanted)
}

async fn fetch(server: SocketAddr, bytes: u64, limit: Option<Duration>, mtu: u16, json: bool) -> Result<()> {
    let client = config::client(server, mtu)?;
    let connect = Connect::new(server).with_server_name("localhost");
    let mut connection = client.connect(connect).await.context("handshake")?;
    let meter = Meter::start();
    let mut stream = connection.open_bidirectional_stream().await?;
    stream.send(Bytes::copy_from_slice(&bytes.to_be_bytes())).await?;
    stream.finish()?;
    let end = limit.map(|limit| Instant::now() + limit);
    let mut received = 0;
    let mut chunks = vec![Bytes::new(); 64];
    loop {
        let (count, open) = stream.receive_vectored(&mut chunks).await?;
        // It takes none that has something in it.
        received += chunks[..count].iter_mut().map(|chunk| std::mem::take(chunk).len() as u64).sum::<u64>();
        if !open || end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    ensure!(limit.is_some() || received == bytes, "{received} of {bytes} bytes");
    meter.stop("client", received, json, "");
    connection.close(0_u32.into());
    sleep(GOODBYE).await;
    Ok(())
}
