//! How many requests per second, each on a stream of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tq::Connection;

use super::protocol::{ORDER, Order};
use super::report::{Common, RateReport};
use super::server::swallow;

/// What was achieved.
pub(super) struct Done {
    count: u64,
    time: Duration,
    size: u32,
    outstanding: u32,
}

impl Done {
    pub(super) fn report(&self, common: Common) -> RateReport {
        RateReport::new(Some(self.size), self.outstanding, self.count, self.time, common)
    }
}

/// Sends requests of `size` octets and waits for answers of as many, `outstanding` at a time.
pub(super) async fn run(
    connection: &Connection,
    size: u32,
    duration: Duration,
    outstanding: u32,
) -> Result<Done> {
    let start = Instant::now();
    let mut request = Order::Request(size.into()).encode().to_vec();
    request.resize(ORDER + size as usize, 0x5a);
    let mut workers = JoinSet::new();
    for _ in 0..outstanding {
        let (connection, request) = (connection.clone(), request.clone());
        workers.spawn(async move {
            let mut count = 0;
            while start.elapsed() < duration {
                let (mut send, mut recv) = connection.open_bi().await?;
                send.write_all(&request).await?;
                send.finish()?;
                let received = swallow(&mut recv).await?;
                ensure!(received == u64::from(size), "an answer has {received} bytes instead of {size}");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(worker) = workers.join_next().await {
        count += worker??;
    }
    Ok(Done { count, time: start.elapsed(), size, outstanding })
}
