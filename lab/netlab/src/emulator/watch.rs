//! A hot thread's eye on itself: how long it ran, how long it waited for a processor, and why its latest packet was late.
//!
//! Decides when the kernel is asked: every [`Watch::USUAL`], and when a packet is later than any before. Blames nobody; the
//! figures stand beside each other.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};
use tq_linkmodel::{Duration, Instant};

#[cfg(test)]
mod tests;

/// What a thread did before it sent the packet that was latest. All in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// How late the packet was.
    pub late: u64,
    /// How long after the moment it had asked for the thread came back from its sleep.
    pub overslept: u64,
    /// From there on until the packet was sent, the round before included.
    pub worked: u64,
    /// Time in the run queue, ready but without a processor, in the last tenth of a second.
    pub queued: u64,
}

impl std::fmt::Display for Stall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [overslept, worked, queued] =
            [self.overslept, self.worked, self.queued].map(|nanos| nanos as f64 / 1e6);
        write!(
            f,
            "its thread woke {overslept:.1} ms late, worked {worked:.1} ms and waited {queued:.1} ms for a processor"
        )
    }
}

/// What the kernel says of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// CPU time since its start, ns.
    pub cpu: u64,
    /// Time in the run queue since its start, ns.
    pub queued: u64,
}

/// The watch of the thread that made it.
#[derive(Debug)]
pub struct Watch {
    /// `None` where the kernel does not tell.
    file: Option<File>,
    asked: Instant,
    /// `Times::queued` when last asked.
    queued: u64,
    worst: Stall,
}

impl Watch {
    /// The kernel is asked so often.
    const USUAL: Duration = Duration::from_millis(100);
    /// What is less late needs no explanation, ns.
    const WORTH: u64 = 1_000_000;

    /// Of the calling thread, whoever asks it later.
    pub fn of_this_thread() -> Self {
        let file = File::open("/proc/thread-self/schedstat").ok();
        Self { file, asked: Instant::ZERO, queued: 0, worst: Stall::default() }
    }

    /// What the kernel says now; zeroes where it does not tell.
    pub fn times(&self) -> Times {
        let mut text = [0; 96];
        let len = self.file.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        parse(&text[..len])
    }

    /// Takes note of a round: when the thread wanted to wake, when it did, how long the round before took, when this one had
    /// sent everything, and how late its latest packet was (ns).
    #[inline]
    pub fn round(&mut self, wanted: Instant, woke: Instant, before: Duration, sent: Instant, late: u64) {
        let worse = late > self.worst.late.max(Self::WORTH);
        if !worse && sent - self.asked < Self::USUAL {
            return;
        }
        let queued = self.times().queued;
        if worse {
            let nanos = |time: Duration| time.as_nanos() as u64;
            self.worst = Stall {
                late,
                overslept: nanos(woke - wanted),
                worked: nanos(before) + nanos(sent - woke),
                queued: queued.saturating_sub(self.queued),
            };
        }
        (self.asked, self.queued) = (sent, queued);
    }

    /// Why the latest packet since the last [`forget`](Self::forget) was late, if any was.
    pub const fn worst(&self) -> Stall {
        self.worst
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        self.worst = Stall::default();
    }
}

/// `/proc/…/schedstat`: time on a processor, time waiting for one, how often.
fn parse(text: &[u8]) -> Times {
    let mut words = text.split(|byte| *byte == b' ').map(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let mut next = || words.next().flatten().unwrap_or(0);
    Times { cpu: next(), queued: next() }
}
