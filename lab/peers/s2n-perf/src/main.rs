//! What s2n-quic does per second, one thread on each side: a bulk download on one stream of one connection, full
//! handshakes, requests on new streams. The settings are those of the other stacks where they exist: there is no
//! ACK frequency extension.
//!
//! Each side of a download reports the CPU time it spent from the handshake to the close.

mod config;
mod many;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use perf_common::{Fetch, Meter, Order, Serve, order};
use s2n_quic::Connection;
use s2n_quic::client::Connect;
use s2n_quic::stream::BidirectionalStream;
use tokio::time::{Instant, sleep};

/// This program, in figures.
const STACK: &str = "s2n-quic";
/// How long a lone CONNECTION_CLOSE takes at most.
const GOODBYE: Duration = Duration::from_millis(50);
/// Bytes handed to the stream at once.
const CHUNK: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match order()? {
        Order::Serve(serve) => answer_all(serve).await,
        Order::Fetch(order) => fetch(order).await,
        Order::Handshakes(many) => many::handshakes(many).await,
        Order::Requests(many, size) => many::requests(many, size).await,
    }
}

async fn answer_all(Serve { listen, mtu, json }: Serve) -> Result<()> {
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
    let meter = Meter::start(STACK);
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

async fn fetch(order: Fetch) -> Result<()> {
    let Fetch { server, bytes, limit, mtu, json } = order;
    let client = config::client(server, mtu)?;
    let connect = Connect::new(server).with_server_name("localhost");
    let mut connection = client.connect(connect).await.context("handshake")?;
    let meter = Meter::start(STACK);
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
