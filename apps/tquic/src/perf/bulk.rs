//! How much data goes through.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tq::Connection;

use super::Tuning;
use super::protocol::Order;
use super::report::{BulkReport, Common};
use super::server::{fill, swallow};

/// What to transfer.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) upload: bool,
    /// All streams together; else until the time is up.
    pub(super) bytes: Option<u64>,
    pub(super) duration: Duration,
    pub(super) streams: u32,
}

/// What was transferred, and how long it took.
pub(super) struct Done {
    bytes: u64,
    time: Duration,
}

impl Done {
    pub(super) fn report(&self, plan: Plan, tuning: &Tuning, common: Common) -> BulkReport {
        BulkReport::new(plan.upload, plan.streams, tuning.cc, self.bytes, self.time, common)
    }
}

pub(super) async fn run(connection: &Connection, plan: Plan) -> Result<Done> {
    let start = Instant::now();
    let mut streams = JoinSet::new();
    for index in 0..plan.streams {
        let connection = connection.clone();
        let share = plan.bytes.map(|bytes| share(bytes, plan.streams, index));
        let until = start + plan.duration;
        streams.spawn(async move {
            match plan.upload {
                true => upload(&connection, share, until).await,
                false => download(&connection, share, until).await,
            }
        });
    }
    let mut bytes = 0;
    while let Some(stream) = streams.join_next().await {
        bytes += stream??;
    }
    Ok(Done { bytes, time: start.elapsed() })
}

/// Stream `index`'s part of `bytes`.
fn share(bytes: u64, streams: u32, index: u32) -> u64 {
    bytes / u64::from(streams) + u64::from(u64::from(index) < bytes % u64::from(streams))
}

async fn download(connection: &Connection, share: Option<u64>, until: Instant) -> Result<u64> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&Order::Download(share.unwrap_or(u64::MAX)).encode()).await?;
    send.finish()?;
    if share.is_some() {
        return Ok(swallow(&mut recv).await?);
    }
    let mut received = 0;
    // The timeout alone would not fire while there always is a chunk.
    while Instant::now() < until
        && let Ok(chunk) = timeout_at(until, recv.read_chunk(usize::MAX)).await
    {
        received += chunk?.map_or(0, |chunk| chunk.len() as u64);
    }
    recv.stop(0)?;
    Ok(received)
}

async fn upload(connection: &Connection, share: Option<u64>, until: Instant) -> Result<u64> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&Order::Upload.encode()).await?;
    match share {
        Some(share) => fill(&mut send, share).await?,
        // What was written until then is still sent, and counts with its time.
        None => timeout_at(until, fill(&mut send, u64::MAX)).await.unwrap_or(Ok(()))?,
    }
    send.finish()?;
    let mut received = [0; 8];
    recv.read_exact(&mut received).await?;
    Ok(u64::from_be_bytes(received))
}

#[cfg(test)]
mod tests;
