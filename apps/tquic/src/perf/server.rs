//! The answering end.

use anyhow::{Context, Result, bail};
use tq::{Bytes, RecvStream, SendStream, ServerConfig, WriteError, tls};

use super::protocol::{ALPN, ORDER, Order};
use super::{ServerOptions, identity};
use crate::pin::Pin;
use crate::{cpu, host};

/// What downloads are cut from.
static BLOCK: [u8; 1 << 20] = [0x5a; 1 << 20];

pub(super) async fn run(options: ServerOptions) -> Result<()> {
    let ServerOptions { listen, paths, early_data, no_tickets, cert, key, tuning } = options;
    let identity = identity();
    let pin = Pin::of(&identity);
    let mut settings = tls::ServerConfig::new().alpn([ALPN]).key_log(true).early_data(early_data);
    if no_tickets {
        settings = settings.sessions(0);
    }
    let mut config = ServerConfig::new(match cert.zip(key) {
        Some((cert, key)) => settings.certificate(tls::CertificateIdentity::load(cert, key)?),
        None => settings.raw_key(identity),
    })?;
    config.transport(|transport| {
        tuning.apply(transport);
        transport.max_paths = Some(paths).filter(|paths| *paths > 0);
    });
    let endpoint = host::bind(tuning.endpoint(), config, listen)?;
    crate::exit::say(&format!("listening on {}, key fingerprint {pin}", endpoint.local_addr()))?;
    host::serve(&endpoint, early_data, answer).await
}

/// Does what one stream asks for.
async fn answer(mut send: SendStream, mut recv: RecvStream) -> Result<()> {
    let (order, ahead) = take_order(&mut recv).await?;
    match order {
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
            let received = ahead + swallow(&mut recv).await?;
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

/// The order a stream begins with, and how many octets came with it. A small request comes as one chunk.
async fn take_order(recv: &mut RecvStream) -> Result<(Order, u64)> {
    let mut octets = Vec::new();
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        if octets.is_empty() && chunk.len() >= ORDER {
            return begin(&chunk);
        }
        octets.extend_from_slice(&chunk);
        if octets.len() >= ORDER {
            return begin(&octets);
        }
    }
    bail!("a stream ends before it says what is wanted")
}

fn begin(octets: &[u8]) -> Result<(Order, u64)> {
    let (order, ahead) = octets.split_first_chunk().context("it is long enough")?;
    Ok((Order::decode(*order)?, ahead.len() as u64))
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
