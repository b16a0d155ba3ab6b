//! How many requests per second, each on a stream of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tq::Connection;

use super::latency::Latencies;
use super::protocol::{ORDER, Order};
use super::report::{Common, RateReport};
use super::server::swallow;

/// What was achieved.
pub(super) struct Done {
    latencies: Latencies,
    time: Duration,
    size: u32,
    outstanding: u32,
}

impl Done {
    pub(super) fn report(&self, common: Common) -> RateReport {
        RateReport::new(Some(self.size), self.outstanding, &self.latencies, self.time, common)
    }
}

/// Sends requests of `size` octets, the order at their beginning included, and waits for answers of as many,
/// `outstanding` at a time.
pub(super) async fn run(
    connection: &Connection,
    size: u32,
    duration: Duration,
    outstanding: u32,
) -> Result<Done> {
    let start = Instant::now();
    let mut request = Order::Request(size.into()).encode().to_vec();
    request.resize(ORDER.max(size as usize), 0x5a);
    let mut workers = JoinSet::new();
    for _ in 0..outstanding {
        let (connection, request) = (connection.clone(), request.clone());
        workers.spawn(async move {
            let mut latencies = Latencies::new();
            let mut begun = start;
            while begun - start < duration {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&request).await?;
                send.finish()?;
                let received = swallow(&mut recv).await?;
                ensure!(received == u64::from(size), "an answer has {received} bytes instead of {size}");
                let now = Instant::now();
                latencies.add(now - begun);
                begun = now;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Latencies::new();
    while let Some(worker) = workers.join_next().await {
        latencies.merge(&worker??);
    }
    Ok(Done { latencies, time: start.elapsed(), size, outstanding })
}
