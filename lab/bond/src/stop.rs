//! Ctrl-C and its kin: taken note of, so that whoever waits gives up and everything is put away.
//!
//! Decides that a signal ends no program by itself: it becomes an error of the next wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tq_linkmodel::Instant;
use tq_udp::Clock;

static ASKED: AtomicBool = AtomicBool::new(false);
const SLICE: Duration = Duration::from_millis(20);

/// From now on SIGINT, SIGTERM and SIGHUP are taken note of.
pub fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut int, mut term, mut hup] = {
        let _inside = runtime.enter();
        let [int, term, hup] = kinds.map(signal);
        [int?, term?, hup?]
    };
    let wait = async move {
        loop {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hup.recv() => {} }
            ASKED.store(true, Ordering::Relaxed);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(wait)).context("signals")?;
    Ok(())
}

/// An error if it is time to stop.
pub fn check() -> Result<()> {
    ensure!(!ASKED.load(Ordering::Relaxed), "stopped on request");
    Ok(())
}

/// Waits, unless it is time to stop.
pub fn pause(time: Duration) -> Result<()> {
    until(Clock::now() + time)
}

/// Waits until a moment, unless it is time to stop.
pub fn until(at: Instant) -> Result<()> {
    loop {
        check()?;
        let left = at - Clock::now();
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(SLICE));
    }
}

/// Asks again and again until there is an answer; `None` when `limit` has passed.
pub fn poll<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<Option<T>> {
    let end = Clock::now() + limit;
    loop {
        if let Some(found) = ask() {
            return Ok(Some(found));
        }
        if Clock::now() >= end {
            return Ok(None);
        }
        pause(SLICE)?;
    }
}
