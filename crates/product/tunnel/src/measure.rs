//! How much goes through a session, and what that costs both ends: streams of a kind of their own, which end in the daemons
//! themselves.
//!
//! The far side sends or swallows bytes as asked, and says how much CPU time its process has used; the near side asks and counts.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tq::{Connection, RecvStream, SendStream};

use crate::header::read_answer;
use crate::{Open, Pace, Status, Target};

/// Bytes written at a time.
const BLOCK: usize = 64 * 1024;
/// How long the far side may take to begin, or to say what it has.
const ANSWER: Duration = Duration::from_secs(10);

/// What a stream of this kind is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Measure {
    /// The far side says in 8 octets how many nanoseconds of CPU time it has used.
    Cpu = 0,
    /// The far side sends until it is stopped.
    Download = 1,
    /// The far side swallows everything up to the end, then says in 8 octets how much it was.
    Upload = 2,
}

impl Measure {
    pub(crate) const ALL: [Self; 3] = [Self::Cpu, Self::Download, Self::Upload];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU time",
            Self::Download => "a measured download",
            Self::Upload => "a measured upload",
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Payload that arrived.
    pub bytes: u64,
    /// In how long.
    pub time: Duration,
    /// CPU time of the far side's process meanwhile, for whatever it did.
    pub far_cpu: Duration,
}

/// The far side of a stream.
pub(crate) async fn serve(
    measure: Measure,
    send: &mut SendStream,
    recv: &mut RecvStream,
    pace: &Pace,
    cpu: Duration,
) -> Option<()> {
    match measure {
        Measure::Cpu => {
            let nanos = u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX);
            send.write_all(&nanos.to_be_bytes()).await.ok()?;
        }
        Measure::Download => {
            let block = bytes::Bytes::from_static(&[0; BLOCK]);
            loop {
                send.write_chunk(block.clone()).await.ok()?;
                pace.spend(BLOCK).await;
            }
        }
        Measure::Upload => {
            let mut all = 0u64;
            while let Some(chunk) = recv.read_chunk(BLOCK).await.ok()? {
                all += chunk.len() as u64;
                pace.spend(chunk.len()).await;
            }
            send.write_all(&all.to_be_bytes()).await.ok()?;
        }
    }
    send.finish().ok()
}

/// Measures over so many streams, for so long.
///
/// # Errors
/// Why the far side does not take part; one of an earlier version says `BadRequest`.
pub async fn measure(
    connection: &Connection,
    upload: bool,
    streams: usize,
    time: Duration,
) -> Result<Measured, Status> {
    let before = cpu(connection).await?;
    let start = Instant::now();
    let until = start + time;
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        let connection = connection.clone();
        tasks.spawn(async move {
            if upload { self::upload(&connection, until).await } else { download(&connection, until).await }
        });
    }
    let mut bytes = 0;
    while let Some(stream) = tasks.join_next().await {
        bytes += stream.map_err(|_| Status::Broken)??;
    }
    let time = start.elapsed();
    let far_cpu = cpu(connection).await?.saturating_sub(before);
    Ok(Measured { bytes, time, far_cpu })
}

async fn open(connection: &Connection, what: Measure) -> Result<(SendStream, RecvStream), Status> {
    let ask = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(|_| Status::Broken)?;
        send.write_all(&Open::tcp(Target::Measure(what)).encode()).await.map_err(|_| Status::Broken)?;
        match read_answer(&mut recv).await.map_err(|_| Status::Broken)? {
            Status::Ok => Ok((send, recv)),
            status => Err(status),
        }
    };
    timeout_at(Instant::now() + ANSWER, ask).await.unwrap_or(Err(Status::Timeout))
}

async fn number(recv: &mut RecvStream) -> Result<u64, Status> {
    let mut octets = [0; 8];
    let read = timeout_at(Instant::now() + ANSWER, recv.read_exact(&mut octets)).await;
    read.map_err(|_| Status::Timeout)?.map_err(|_| Status::Broken)?;
    Ok(u64::from_be_bytes(octets))
}

async fn cpu(connection: &Connection) -> Result<Duration, Status> {
    let (_send, mut recv) = open(connection, Measure::Cpu).await?;
    number(&mut recv).await.map(Duration::from_nanos)
}

async fn download(connection: &Connection, until: Instant) -> Result<u64, Status> {
    let (_send, mut recv) = open(connection, Measure::Download).await?;
    let mut all = 0;
    // The timeout alone would not fire while there always is a chunk.
    while Instant::now() < until
        && let Ok(chunk) = timeout_at(until, recv.read_chunk(usize::MAX)).await
    {
        all += chunk.map_err(|_| Status::Broken)?.map_or(0, |chunk| chunk.len() as u64);
    }
    let _ = recv.stop(0);
    Ok(all)
}

async fn upload(connection: &Connection, until: Instant) -> Result<u64, Status> {
    let (mut send, mut recv) = open(connection, Measure::Upload).await?;
    let block = bytes::Bytes::from_static(&[0; BLOCK]);
    while Instant::now() < until
        && let Ok(written) = timeout_at(until, send.write_chunk(block.clone())).await
    {
        written.map_err(|_| Status::Broken)?;
    }
    // What was written until then is still sent, and counts with its time.
    send.finish().map_err(|_| Status::Broken)?;
    number(&mut recv).await
}
