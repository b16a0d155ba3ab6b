//! What quinn does per second, one thread on each side: a bulk download on one stream of one connection, full
//! handshakes, requests on new streams. noq, its fork, is built from the same source with the feature `noq`.
//!
//! Fixed so that stacks compare: AES-128-GCM, X25519, CUBIC, one datagram size from the first packet on, no
//! path MTU discovery, the ACK frequency extension, windows that never bind, buffers as large as the rival's.
//! Each side of a download reports the CPU time it spent from the handshake to the close.

mod config;
mod many;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use perf_common::{Fetch, Meter, Order, Serve, order};
use quinn::{Connection, ConnectionError, Incoming, RecvStream};
use tokio::time::Instant;

/// Which of the two this program is.
const STACK: &str = if cfg!(feature = "noq") { "noq" } else { "quinn" };
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
    let meter = Meter::start(STACK);
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

async fn fetch(order: Fetch) -> Result<()> {
    let Fetch { server, bytes, limit, mtu, json } = order;
    let endpoint = config::client(server, mtu)?;
    let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
    let meter = Meter::start(STACK);
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
