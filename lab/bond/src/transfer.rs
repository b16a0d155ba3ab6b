//! A transfer by `curl`, watched: which byte came when, and whether they are the right ones.
//!
//! Decides what a goodput and a gap are: of bytes that have come out at the program, or at the file server.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tq_linkmodel::Instant;
use tq_udp::Clock;

use crate::files::Digest;
use crate::process::shown;

/// When how many bytes came. Those within a millisecond count as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks(Vec<(Instant, u64)>);

impl Marks {
    /// `bytes` came now.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        match self.0.last_mut() {
            Some((at, sum)) if now - *at < Duration::from_millis(1) => *sum += bytes,
            _ => self.0.push((now, bytes)),
        }
    }

    /// Bytes after `from` and not after `to`.
    pub fn bytes(&self, from: Instant, to: Instant) -> u64 {
        self.0.iter().filter(|(at, _)| *at > from && *at <= to).map(|(_, bytes)| bytes).sum()
    }

    /// The first byte's moment.
    pub fn first(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The last byte's moment.
    pub fn last(&self) -> Option<Instant> {
        self.0.last().map(|(at, _)| *at)
    }

    /// Mbit/s after `from` and not after `to`.
    pub fn mbps(&self, from: Instant, to: Instant) -> f64 {
        mbps(self.bytes(from, to), to - from)
    }

    /// The longest time without a byte between these moments.
    pub fn gap(&self, from: Instant, to: Instant) -> Duration {
        let inside = self.0.iter().map(|(at, _)| *at).filter(|at| *at > from && *at < to);
        let moments: Vec<_> = std::iter::once(from).chain(inside).chain([to]).collect();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

/// Mbit/s.
pub fn mbps(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8e-6 / time.as_secs_f64().max(1e-9)
}

/// What came of a transfer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// When it was begun, and when its end was seen.
    pub begun: Instant,
    /// See `begun`.
    pub ended: Instant,
    /// Its bytes.
    pub marks: Marks,
    /// How many.
    pub bytes: u64,
    /// Of them.
    pub sha256: String,
    /// Why it failed; `None` if it did not.
    pub error: Option<String>,
}

impl Flow {
    /// From its beginning to its last byte.
    pub fn time(&self) -> Duration {
        self.marks.last().unwrap_or(self.ended) - self.begun
    }
}

/// Shared with the thread that reads.
#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    marks: Mutex<Marks>,
}

/// A download that runs. Ended if dropped.
#[derive(Debug)]
pub struct Download {
    child: Child,
    begun: Instant,
    shared: Arc<Shared>,
    reading: Option<JoinHandle<std::io::Result<String>>>,
    shown: String,
}

impl Download {
    /// Starts `curl`, complete with its address, and reads what it prints.
    pub fn start(mut curl: Command) -> Result<Self> {
        curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let (shown, begun) = (shown(&curl), Clock::now());
        let mut child = curl.spawn().with_context(|| format!("cannot start {shown}"))?;
        let out = child.stdout.take().context("curl has no output")?;
        let shared = Arc::new(Shared::default());
        let noted = Arc::clone(&shared);
        let reading = Some(std::thread::spawn(move || read(out, &noted)));
        Ok(Self { child, begun, shared, reading, shown })
    }

    /// When it was begun.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Whether everything has come, or nothing will any more.
    pub fn is_over(&self) -> bool {
        self.reading.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it if it still runs, and tells.
    pub fn finish(mut self) -> Result<Flow> {
        let whole = self.is_over();
        if !whole {
            self.child.kill()?;
        }
        let read = self.reading.take().map(JoinHandle::join);
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut said)?;
        }
        let status = self.child.wait()?;
        let Some(Ok(Ok(sha256))) = read else { bail!("{}: its output cannot be read", self.shown) };
        let error = (whole && !status.success()).then(|| format!("{} ({status})", said.trim()));
        let marks = std::mem::take(&mut *self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Flow { begun: self.begun, ended: Clock::now(), marks, bytes: self.bytes(), sha256, error })
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut out: ChildStdout, shared: &Shared) -> std::io::Result<String> {
    let (mut sum, mut buffer) = (Digest::default(), vec![0; 64 << 10]);
    loop {
        let count = out.read(&mut buffer)?;
        if count == 0 {
            return Ok(sum.hex());
        }
        sum.add(&buffer[..count]);
        shared.marks.lock().unwrap_or_else(PoisonError::into_inner).add(Clock::now(), count as u64);
        shared.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
