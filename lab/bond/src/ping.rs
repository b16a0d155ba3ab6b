//! How long a small question takes through the bond: 64 bytes over a TCP connection that stays open, and back.
//!
//! Not ICMP: the bond carries TCP. Decides when to ask (every 50 ms, or as soon as the last answer is there) and
//! notes each time; a question that is not answered for long is the same question still.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tq_linkmodel::Instant;
use tq_udp::Clock;

use crate::stop;

const EVERY: Duration = Duration::from_millis(50);
/// A question's bytes.
const SIZE: usize = 64;
/// Longer than any outage here.
const PATIENCE: Duration = Duration::from_secs(110);

/// How long the last answer is waited for.
const LAST: Duration = Duration::from_secs(5);

/// Questions that go on until this is dropped.
#[derive(Debug)]
pub struct Pinger {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<(Instant, Duration)>>>,
    asking: Option<JoinHandle<Result<()>>>,
}

/// Times of answers, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Median.
    pub p50: f64,
    /// One in a hundred is longer.
    pub p99: f64,
    /// The longest.
    pub most: f64,
}

impl Pinger {
    /// Asks over a connection.
    pub fn start(tcp: TcpStream) -> Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::over(tcp))
    }

    /// Asks over anything that gives back what it gets.
    pub fn over(pipe: impl Read + Write + Send + 'static) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&answers));
        let asking = std::thread::spawn(move || ask(pipe, &stopped, &noted));
        Self { stop, answers, asking: Some(asking) }
    }

    /// One that asks nobody.
    pub fn none() -> Self {
        Self { stop: Arc::default(), answers: Arc::default(), asking: None }
    }

    /// How many answers have come.
    pub fn answers(&self) -> usize {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What was asked after `from` and not after `to`; `None` if nothing was.
    pub fn times(&self, from: Instant, to: Instant) -> Option<Times> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = answers.iter().filter(|(asked, _)| *asked > from && *asked <= to);
        let mut all: Vec<f64> = inside.map(|(_, time)| time.as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        let at = |part: f64| all[((all.len() - 1) as f64 * part).round() as usize];
        (!all.is_empty()).then(|| Times { p50: at(0.5), p99: at(0.99), most: at(1.0) })
    }

    /// The longest times, ms, and when was asked: so many of them.
    pub fn slowest(&self, count: usize) -> Vec<(Instant, f64)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            answers.iter().map(|(asked, time)| (*asked, time.as_secs_f64() * 1e3)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(count);
        all
    }

    /// Stops, and says whether the connection lived as long.
    pub fn finish(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let is_over = || self.asking.as_ref().is_none_or(JoinHandle::is_finished).then_some(());
        stop::poll(LAST, is_over)?.with_context(|| format!("an answer has not come for {LAST:?}"))?;
        match self.asking.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => bail!("nobody asked"),
        }
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask(mut tcp: impl Read + Write, stop: &AtomicBool, noted: &Mutex<Vec<(Instant, Duration)>>) -> Result<()> {
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let (asked, mut question) = (Clock::now(), [0; SIZE]);
        question[..8].copy_from_slice(&number.to_le_bytes());
        tcp.write_all(&question)?;
        tcp.flush()?;
        let mut answer = [0; SIZE];
        tcp.read_exact(&mut answer)?;
        if answer != question {
            bail!("answer {number} is not what was asked");
        }
        let time = Clock::now() - asked;
        noted.lock().unwrap_or_else(PoisonError::into_inner).push((asked, time));
        number += 1;
        std::thread::sleep(EVERY.saturating_sub(time));
    }
    Ok(())
}
