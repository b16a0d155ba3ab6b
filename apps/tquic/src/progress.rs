//! A line that says how far a transfer is and how fast.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

/// Redraws a line on a terminal, prints lines elsewhere.
pub(crate) struct Progress {
    terminal: bool,
    every: Duration,
    total: u64,
    start: Instant,
    shown_at: Instant,
    shown: u64,
}

impl Progress {
    /// On stderr if that is a terminal, or always if `always`.
    pub(crate) fn new(total: u64, always: bool) -> Option<Self> {
        let terminal = std::io::stderr().is_terminal();
        let every = Duration::from_millis(if terminal { 200 } else { 1000 });
        let now = Instant::now();
        (terminal || always).then_some(Self { terminal, every, total, start: now, shown_at: now, shown: 0 })
    }

    /// So many bytes are there.
    pub(crate) fn at(&mut self, bytes: u64) {
        let elapsed = self.shown_at.elapsed();
        if elapsed < self.every {
            return;
        }
        let line = line(bytes, self.total, bytes - self.shown, elapsed);
        // A progress line that cannot be shown is no reason to stop.
        let _ = match self.terminal {
            true => write!(std::io::stderr(), "\r{line}\x1b[K"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
        (self.shown, self.shown_at) = (bytes, Instant::now());
    }

    /// It is over: the last line tells the whole.
    pub(crate) fn end(self, bytes: u64) {
        let start = if self.terminal { "\r" } else { "" };
        let end = if self.terminal { "\x1b[K" } else { "" };
        let line = line(bytes, self.total, bytes, self.start.elapsed());
        let _ = writeln!(std::io::stderr(), "{start}{line}{end}");
    }
}

fn line(bytes: u64, total: u64, moved: u64, time: Duration) -> String {
    let percent = if total == 0 { 100 } else { u128::from(bytes) * 100 / u128::from(total) };
    format!("{:>10} of {}  {percent:>3} %  {}", size(bytes), size(total), rate(moved, time))
}

/// Bytes in decimal units.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Bits per second.
pub(crate) fn rate(bytes: u64, time: Duration) -> String {
    let bits = bytes as f64 * 8.0 / time.as_secs_f64().max(1e-9);
    match bits {
        0.0..1e6 => format!("{:.1} kbit/s", bits / 1e3),
        1e6..1e9 => format!("{:.1} Mbit/s", bits / 1e6),
        _ => format!("{:.2} Gbit/s", bits / 1e9),
    }
}

#[cfg(test)]
mod tests;
