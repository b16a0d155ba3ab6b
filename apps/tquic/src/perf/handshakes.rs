//! How many handshakes per second: full ones, resumed ones, or such with a request in 0-RTT.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tq::{Connection, EarlyData};

use super::client::Target;
use super::protocol::Order;
use super::report::{Common, RateReport};
use super::server::swallow;

/// What was achieved.
pub(super) struct Done {
    count: u64,
    time: Duration,
    outstanding: u32,
}

/// Handshakes of one kind.
#[derive(Clone, Copy, Default)]
struct Counts {
    all: u64,
    resumed: u64,
    early: u64,
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
            let mut counts = Counts::default();
            while start.elapsed() < duration {
                let connection = match target.start()?.into_early() {
                    Ok(connection) => {
                        request(&connection).await?;
                        connection
                    }
                    Err(connecting) => target.complete(connecting).await?,
                };
                connection.confirmed().await?;
                counts.all += 1;
                counts.resumed += u64::from(connection.is_resumed());
                counts.early += u64::from(connection.early_data() == EarlyData::Accepted);
                connection.close(0, b"counted");
            }
            anyhow::Ok(counts)
        });
    }
    let mut total = Counts::default();
    while let Some(worker) = workers.join_next().await {
        let counts = worker??;
        total.all += counts.all;
        total.resumed += counts.resumed;
        total.early += counts.early;
    }
    if total.resumed > 0 {
        eprintln!("{} of {} handshakes resumed, {} with 0-RTT", total.resumed, total.all, total.early);
    }
    Ok(Done { count: total.all, time: start.elapsed(), outstanding })
}

/// Asks for nothing, and waits for it.
async fn request(connection: &Connection) -> Result<()> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&Order::Request(0).encode()).await?;
    send.finish()?;
    swallow(&mut recv).await?;
    Ok(())
}
