//! Handshakes and requests, counted for a while.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use perf_common::{Many, Meter, Turns, sum};
use s2n_quic::client::Connect;
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
                let connect = Connect::new(server).with_server_name("localhost");
                let connection = endpoint.connect(connect).await.context("handshake")?;
                connection.close(0_u32.into());
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
    let connect = Connect::new(server).with_server_name("localhost");
    let connection = endpoint.connect(connect).await.context("handshake")?;
    let mut request = size.to_be_bytes().to_vec();
    request.resize(size as usize, 0);
    let meter = Meter::start(crate::STACK);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let (mut connection, request) = (connection.handle(), Bytes::from(request.clone()));
        tasks.spawn(async move {
            let mut turns = Turns::new(start, limit);
            while turns.go_on() {
                let mut stream = connection.open_bidirectional_stream().await?;
                stream.send_data(request.clone())?;
                stream.finish()?;
                let mut got = 0;
                while let Some(part) = stream.receive().await? {
                    got += part.len() as u64;
                }
                ensure!(got == size, "an answer of {got} bytes");
                turns.done();
            }
            Ok(turns)
        });
    }
    let turns = sum(tasks).await?;
    meter.count("requests", &turns, &many);
    connection.close(0_u32.into());
    Ok(())
}
