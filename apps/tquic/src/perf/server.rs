//! The answering end.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::timeout;
use tq::{Bytes, Connection, Endpoint, RecvStream, SendStream, ServerConfig, WriteError, tls};

use super::protocol::{ALPN, ORDER, Order};
use super::{ServerOptions, identity};
use crate::cpu;
use crate::pin::Pin;

/// What downloads are cut from.
static BLOCK: [u8; 1 << 20] = [0x5a; 1 << 20];
/// How long clients are given to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(1);

pub(super) async fn run(options: ServerOptions) -> Result<()> {
    let ServerOptions { listen, tuning } = options;
    let identity = identity();
    let pin = Pin::of(&identity);
    let mut config =
        ServerConfig::new(tls::ServerConfig::new().raw_key(identity).alpn([ALPN]).key_log(true))?;
    config.transport(|transport| tuning.apply(transport));
    let endpoint = Endpoint::server(config, listen).with_context(|| format!("cannot listen on {listen}"))?;
    println!("listening on {}, key fingerprint {pin}", endpoint.local_addr());
    tokio::select! {
        () = accept(&endpoint) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    endpoint.close(0, b"the server stops");
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    Ok(())
}

async fn accept(endpoint: &Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let remote = incoming.remote_address();
            match incoming.await {
                Ok(connection) => converse(connection).await,
                Err(error) => eprintln!("{remote}: {error}"),
            }
        });
    }
}

async fn converse(connection: Connection) {
    let remote = connection.remote_address();
    while let Ok((send, recv)) = connection.accept_bi().await {
        let connection = connection.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(send, recv).await
                && connection.close_reason().is_none()
            {
                eprintln!("{remote}: {error:#}");
            }
        });
    }
}

/// Does what one stream asks for.
async fn answer(mut send: SendStream, mut recv: RecvStream) -> Result<()> {
    let mut order = [0; ORDER];
    recv.read_exact(&mut order).await?;
    match Order::decode(order)? {
        Order::Cpu => {
            let nanos = u64::try_from(cpu::time().as_nanos()).unwrap_or(u64::MAX);
            send.write_all(&nanos.to_be_bytes()).await?;
        }
        Order::Download(size) => match fill(&mut send, size).await {
            // The client has measured enough.
            Err(WriteError::Stopped(_)) => return Ok(()),
            result => result?,
        },
        Order::Upload => {
            let received = swallow(&mut recv).await?;
            send.write_all(&received.to_be_bytes()).await?;
        }
        Order::Request(size) => {
            swallow(&mut recv).await?;
            fill(&mut send, size).await?;
        }
    }
    send.finish()?;
    Ok(())
}

/// Sends so many octets.
pub(super) async fn fill(send: &mut SendStream, mut size: u64) -> Result<(), WriteError> {
    let block = Bytes::from_static(&BLOCK);
    while size > 0 {
        let len = size.min(block.len() as u64);
        send.write_chunk(block.slice(..len as usize)).await?;
        size -= len;
    }
    Ok(())
}

/// Counts what comes until the end.
pub(super) async fn swallow(recv: &mut RecvStream) -> Result<u64, tq::ReadError> {
    let mut received = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        received += chunk.len() as u64;
    }
    Ok(received)
}
