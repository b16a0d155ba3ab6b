//! How many handshakes per second: full ones, resumed ones, or such with a request in 0-RTT.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tq::{Connection, EarlyData};

use super::client::Target;
use super::latency::Latencies;
use super::protocol::Order;
use super::report::{Common, RateReport};
use super::server::swallow;

/// What was achieved.
pub(super) struct Done {
    latencies: Latencies,
    time: Duration,
    outstanding: u32,
}

/// Handshakes of one kind.
#[derive(Clone, Copy, Default)]
struct Counts {
    resumed: u64,
    early: u64,
}

impl Done {
    pub(super) fn report(&self, common: Common) -> RateReport {
        RateReport::new(None, self.outstanding, &self.latencies, self.time, common)
    }
}

/// Connects and closes, `outstanding` at a time. A handshake counts when it is complete here; one that is to leave a
/// ticket for the next, when the server has confirmed it.
pub(super) async fn run(target: &Target, duration: Duration, outstanding: u32) -> Result<Done> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..outstanding {
        let target = target.clone();
        workers.spawn(async move {
            let (mut counts, mut latencies) = (Counts::default(), Latencies::new());
            let mut begun = start;
            while begun - start < duration {
                let connection = match target.start()?.into_early() {
                    Ok(connection) => {
                        request(&connection).await?;
                        connection
                    }
                    Err(connecting) => target.complete(connecting).await?,
                };
                if target.resumes() {
                    connection.confirmed().await?;
                }
                counts.resumed += u64::from(connection.is_resumed());
                counts.early += u64::from(connection.early_data() == EarlyData::Accepted);
                connection.close(0, b"");
                let now = Instant::now();
                latencies.add(now - begun);
                begun = now;
            }
            anyhow::Ok((counts, latencies))
        });
    }
    let (mut total, mut latencies) = (Counts::default(), Latencies::new());
    while let Some(worker) = workers.join_next().await {
        let (counts, own) = worker??;
        total.resumed += counts.resumed;
        total.early += counts.early;
        latencies.merge(&own);
    }
    if total.resumed > 0 {
        let all = latencies.count();
        eprintln!("{} of {all} handshakes resumed, {} with 0-RTT", total.resumed, total.early);
    }
    Ok(Done { latencies, time: start.elapsed(), outstanding })
}

/// Asks for nothing, and waits for it.
async fn request(connection: &Connection) -> Result<()> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&Order::Request(0).encode()).await?;
    send.finish()?;
    swallow(&mut recv).await?;
    Ok(())
}
