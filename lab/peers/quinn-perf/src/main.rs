//! What quinn does per second, one thread on each side: a bulk download on one stream of one connection, full
//! handshakes, requests on new streams. noq, its fork, is built from the same source with the feature `noq`.
//!
//! Fixed so that stacks compare: AES-128-GCM, X25519, CUBIC, one datagram size from the first packet on, no
//! path MTU discovery, the ACK frequency extension, windows that never bind, buffers as large as the rival's.
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
use quinn::{Connection, ConnectionError, Incoming, RecvStream};
use report::Meter;
use tokio::time::Instant;

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
    let endpoint = config::server(listen, mtu)?;
    println!("listening {}", endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Err(error) = serve_one(incoming, json).await {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

/// Sends on every stream what the first eight bytes of it ask for, or until the client has enough.
async fn serve_one(incoming: Incoming, json: bool) -> Result<()> {
    let connection = incoming.await.context("handshake")?;
    let meter = Meter::start();
    let chunk = Bytes::from(vec![0x5a; CHUNK]);
    while let Ok((mut stream, mut request)) = connection.accept_bi().await {
        let mut wanted = [0; 8];
        request.read_exact(&mut wanted).await?;
        let mut left = u64::from_be_bytes(wanted);
        let mut padding = [0; 1024];
        while let Ok(Some(_)) = request.read(&mut padding).await {}
        while left > 0 {
            let part = chunk.slice(..CHUNK.min(usize::try_from(left).unwrap_or(usize::MAX)));
            let len = part.len() as u64;
            if stream.write_chunk(part).await.is_err() {
                break;
            }
            left -= len;
        }
        // A client that is measured by time has stopped the stream or closed already.
        let _ = stream.finish();
    }
    let closed = connection.closed().await;
    // The client says what arrived, as the last write may still have been in the send buffer.
    let ConnectionError::ApplicationClosed(close) = closed else { return Err(closed).context("transfer") };
    let Ok(bytes) = close.reason[..].try_into() else { return Ok(()) };
    let sent = connection.stats().frame_tx.stream;
    meter.stop(
        "server",
        u64::from_be_bytes(bytes),
        json,
        &format!("{sent} STREAM frames, {}", path(&connection)),
    );
    Ok(())
}

async fn fetch(server: SocketAddr, bytes: u64, limit: Option<Duration>, mtu: u16, json: bool) -> Result<()> {
    let endpoint = config::client(server, mtu)?;
    let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
    let meter = Meter::start();
    let (mut request, mut stream) = connection.open_bi().await?;
    request.write_all(&bytes.to_be_bytes()).await?;
    request.finish()?;
    let end = limit.map(|limit| Instant::now() + limit);
    let mut received = 0;
    while let Some(len) = next(&mut stream).await? {
        received += len as u64;
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    ensure!(limit.is_some() || received == bytes, "{received} of {bytes} bytes");
    meter.stop("client", received, json, &path(&connection));
    connection.close(0_u32.into(), &received.to_be_bytes());
    endpoint.wait_idle().await;
    Ok(())
}

/// The length of the next chunk, which is not copied.
#[cfg(not(feature = "noq"))]
async fn next(stream: &mut RecvStream) -> Result<Option<usize>> {
    Ok(stream.read_chunk(usize::MAX, true).await?.map(|chunk| chunk.bytes.len()))
}

#[cfg(feature = "noq")]
async fn next(stream: &mut RecvStream) -> Result<Option<usize>> {
    Ok(stream.read_chunk(usize::MAX).await?.map(|chunk| chunk.len()))
}

#[cfg(feature = "noq")]
fn path(connection: &Connection) -> String {
    let stats = connection.stats();
    format!("{} packets sent, {} lost", stats.sent_packets, stats.lost_packets)
}

/// What a bad figure may be due to.
#[cfg(not(feature = "noq"))]
fn path(connection: &Connection) -> String {
    let path = connection.stats().path;
    format!(
        "{} packets sent, {} lost, {} congestion events, mtu {}, rtt {:?}",
        path.sent_packets, path.lost_packets, path.congestion_events, path.current_mtu, path.rtt
    )
}
