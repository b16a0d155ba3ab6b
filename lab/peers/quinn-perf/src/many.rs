//! Handshakes and requests, counted for a while.

use anyhow::{Context, Result, ensure};
use perf_common::{Many, Meter, Turns, sum};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config;

/// Connects and closes, `outstanding` at a time, from one endpoint.
pub(crate) async fn handshakes(many: Many) -> Result<()> {
    let Many { server, limit, outstanding, mtu, .. } = many;
    let endpoint = config::client(server, mtu)?;
    let meter = Meter::start(crate::STACK);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let mut turns = Turns::new(start, limit);
            while turns.go_on() {
                let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
                connection.close(0_u32.into(), b"");
                turns.done();
            }
            Ok(turns)
        });
    }
    let turns = sum(tasks).await?;
    meter.count("handshakes", &turns, &many);
    Ok(())
}

/// Requests on new streams of one connection, `outstanding` at a time.
pub(crate) async fn requests(many: Many, size: u64) -> Result<()> {
    let Many { server, limit, outstanding, mtu, .. } = many;
    let endpoint = config::client(server, mtu)?;
    let connection = endpoint.connect(server, "localhost")?.await.context("handshake")?;
    let mut request = size.to_be_bytes().to_vec();
    request.resize(size as usize, 0);
    let meter = Meter::start(crate::STACK);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let (connection, request) = (connection.clone(), request.clone());
        tasks.spawn(async move {
            let (mut turns, mut part) = (Turns::new(start, limit), [0; 1024]);
            while turns.go_on() {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&request).await?;
                send.finish()?;
                let mut got = 0;
                while let Some(len) = recv.read(&mut part).await? {
                    got += len as u64;
                }
                ensure!(got == size, "an answer of {got} bytes");
                turns.done();
            }
            Ok(turns)
        });
    }
    let turns = sum(tasks).await?;
    meter.count("requests", &turns, &many);
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}
