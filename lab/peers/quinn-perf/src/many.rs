//! Handshakes and requests, counted for a while.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::config;
use crate::report::Meter;

/// How requests are made.
#[derive(Clone, Copy)]
pub(crate) struct Many {
    /// Bytes of each request and each answer.
    pub(crate) size: u64,
    pub(crate) limit: Duration,
    pub(crate) outstanding: u32,
    pub(crate) mtu: u16,
    pub(crate) json: bool,
}

/// Connects and closes, `outstanding` at a time, from one endpoint.
pub(crate) async fn handshakes(
    server: SocketAddr,
    limit: Duration,
    outstanding: u32,
    mtu: u16,
    json: bool,
) -> Result<()> {
    let endpoint = config::client(server, mtu)?;
    let meter = Meter::start();
    let end = tokio::time::Instant::now() + limit;
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while tokio::time::Instant::now() < end {
                let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
                connection.close(0_u32.into(), b"");
                count += 1;
            }
            Ok(count)
        });
    }
    let count = sum(tasks).await?;
    meter.count("handshakes", count, outstanding, json);
    Ok(())
}

/// Requests on new streams of one connection, `outstanding` at a time.
pub(crate) async fn requests(server: SocketAddr, many: Many) -> Result<()> {
    let Many { size, limit, outstanding, mtu, json } = many;
    let endpoint = config::client(server, mtu)?;
    let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
    let mut request = size.to_be_bytes().to_vec();
    request.resize(size as usize, 0);
    let meter = Meter::start();
    let end = tokio::time::Instant::now() + limit;
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let (connection, request) = (connection.clone(), request.clone());
        tasks.spawn(async move {
            let (mut count, mut part) = (0, [0; 1024]);
            while tokio::time::Instant::now() < end {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&request).await?;
                send.finish()?;
                let mut got = 0;
                while let Some(len) = recv.read(&mut part).await? {
                    got += len as u64;
                }
                ensure!(got == size, "an answer of {got} bytes");
                count += 1;
            }
            Ok(count)
        });
    }
    let count = sum(tasks).await?;
    meter.count("requests", count, outstanding, json);
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

async fn sum(mut tasks: JoinSet<Result<u64>>) -> Result<u64> {
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(count)
}
