//! A client that asks for a number of bytes and measures how fast they come.
//!
//! `cargo run --example download -- 100` downloads 100 MB over loopback.

use std::error::Error;

use tokio::time::Instant;
use tq::{Bytes, Connection, Endpoint, tls};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let megabytes: u64 = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let key = tls::RawIdentity::generate();
    let trust = tls::ClientConfig::pinned_key(key.spki()).alpn(["bytes"]);
    let show = tls::ServerConfig::new().raw_key(key).alpn(["bytes"]);

    let server = Endpoint::server(tq::ServerConfig::new(show)?, "[::1]:0".parse()?)?;
    let client = Endpoint::client("[::]:0".parse()?)?;
    client.set_client_config(tq::ClientConfig::new(trust)?);
    let connecting = client.connect(server.local_addr(), "localhost")?;
    let incoming = server.accept().await.ok_or("closed")?;
    tokio::spawn(async move { serve(&incoming.await?).await });
    let connection = connecting.await?;

    let start = Instant::now();
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&(megabytes * 1_000_000).to_be_bytes()).await?;
    send.finish()?;
    let mut received = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        received += chunk.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{received} bytes in {seconds:.3} s, {:.0} Mbit/s", received as f64 * 8e-6 / seconds);
    connection.close(0, b"done");
    client.wait_idle().await;
    Ok(())
}

/// Answers each stream with as many bytes as it asks for.
async fn serve(connection: &Connection) -> Result<()> {
    let block = Bytes::from_static(&[0x5a; 64 * 1024]);
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        let mut wanted = [0; 8];
        recv.read_exact(&mut wanted).await?;
        let mut left = u64::from_be_bytes(wanted);
        while left > 0 {
            let len = left.min(block.len() as u64);
            send.write_chunk(block.slice(..len as usize)).await?;
            left -= len;
        }
        send.finish()?;
    }
    Ok(())
}
