//! Handshakes and requests, counted for a while.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config;
use crate::latency::Latencies;
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
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let (mut latencies, mut begun) = (Latencies::new(), start);
            while begun - start < limit {
                let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
                connection.close(0_u32.into(), b"");
                let now = Instant::now();
                latencies.add(now - begun);
                begun = now;
            }
            Ok(latencies)
        });
    }
    let latencies = sum(tasks).await?;
    meter.count("handshakes", &latencies, outstanding, json);
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
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let (connection, request) = (connection.clone(), request.clone());
        tasks.spawn(async move {
            let (mut latencies, mut begun, mut part) = (Latencies::new(), start, [0; 1024]);
            while begun - start < limit {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&request).await?;
                send.finish()?;
                let mut got = 0;
                while let Some(len) = recv.read(&mut part).await? {
                    got += len as u64;
                }
                ensure!(got == size, "an answer of {got} bytes");
                let now = Instant::now();
                latencies.add(now - begun);
                begun = now;
            }
            Ok(latencies)
        });
    }
    let latencies = sum(tasks).await?;
    meter.count("requests", &latencies, outstanding, json);
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

async fn sum(mut tasks: JoinSet<Result<Latencies>>) -> Result<Latencies> {
    let mut latencies = Latencies::new();
    while let Some(done) = tasks.join_next().await {
        latencies.merge(&done??);
    }
    Ok(latencies)
}
