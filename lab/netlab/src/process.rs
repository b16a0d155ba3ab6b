//! Processes by number: who they are and how to end them.
//!
//! Decides that a number alone names nobody: with it goes the moment the process was started, as numbers come again.

use std::fs;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since boot.
    pub started: u64,
}

impl Known {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: field(&stat, 22)?.parse().ok()? })
    }

    /// Whether it still runs (a dead one that nobody has waited for does not).
    pub fn lives(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        Self::of(self.pid) == Some(self) && !matches!(field(&stat, 3), None | Some("Z" | "X"))
    }

    /// Ends it: asked first, killed after two seconds.
    pub fn end(self) {
        for name in ["TERM", "KILL"] {
            if !self.lives() {
                return;
            }
            signal(self.pid, name);
            for _ in 0..100 {
                if !self.lives() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}

/// Field `n` of `/proc/PID/stat`, from 1; the second is in brackets and may hold blanks.
fn field(stat: &str, n: usize) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(n.checked_sub(3)?)
}

/// Sends a signal by name. Part of every POSIX shell, while the program `kill` is not part of every system.
pub fn signal(pid: u32, name: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("kill -{name} {pid}")]).stderr(Stdio::null());
    // It fails only if the process is gone, which is what callers look at next.
    let _ = command.status();
}
