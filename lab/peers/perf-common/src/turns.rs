//! Turns of one worker, each with the time it took.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::latency::Latencies;

/// What a worker has done so far.
pub struct Turns {
    start: Instant,
    limit: Duration,
    begun: Instant,
    pub(crate) latencies: Latencies,
}

impl Turns {
    /// A worker that began at `start`, for `limit`.
    pub fn new(start: Instant, limit: Duration) -> Self {
        Self { start, limit, begun: start, latencies: Latencies::new() }
    }

    /// Whether there is time for another.
    pub fn go_on(&self) -> bool {
        self.begun - self.start < self.limit
    }

    /// A turn is over, and the next begins.
    pub fn done(&mut self) {
        let now = Instant::now();
        self.latencies.add(now - self.begun);
        self.begun = now;
    }
}

/// What all workers did.
///
/// # Errors
/// One of them failed.
pub async fn sum(mut workers: JoinSet<Result<Turns>>) -> Result<Turns> {
    let mut total = Turns::new(Instant::now(), Duration::ZERO);
    while let Some(done) = workers.join_next().await {
        total.latencies.merge(&done??.latencies);
    }
    Ok(total)
}
