//! How many full handshakes per second.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::Target;
use super::report::{Common, RateReport};

/// What was achieved.
pub(super) struct Done {
    count: u64,
    time: Duration,
    outstanding: u32,
}

impl Done {
    pub(super) fn report(&self, common: Common) -> RateReport {
        RateReport::new(None, self.outstanding, self.count, self.time, common)
    }
}

/// Connects and closes, `outstanding` at a time.
pub(super) async fn run(target: &Target, duration: Duration, outstanding: u32) -> Result<Done> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..outstanding {
        let target = target.clone();
        workers.spawn(async move {
            let mut count = 0;
            while start.elapsed() < duration {
                let connection = target.connect().await?;
                connection.confirmed().await?;
                connection.close(0, b"counted");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(worker) = workers.join_next().await {
        count += worker??;
    }
    Ok(Done { count, time: start.elapsed(), outstanding })
}
