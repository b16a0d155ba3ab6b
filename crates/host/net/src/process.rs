//! What a process may do, and how it gives away what it does not need.
//!
//! Meant for the beginning of `main`, before there are threads: Linux keeps capabilities for each thread, and threads inherit them.

use std::io;
use std::time::Duration;

use crate::sys;

/// What of root's power the daemon uses, by its number (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Ports below 1024.
    NetBindService = 10,
    /// Rules, routes, TUN and transparent sockets.
    NetAdmin = 12,
    /// Raw sockets, and sockets tied to a device.
    NetRaw = 13,
}

impl Capability {
    /// All that are known here.
    pub const ALL: [Self; 3] = [Self::NetBindService, Self::NetAdmin, Self::NetRaw];

    fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// CPU time of this process so far, all threads, for itself and in the kernel.
pub fn cpu_time() -> Duration {
    sys::cpu_time().unwrap_or_default()
}

/// How many descriptors this process may have open.
pub fn descriptors() -> u64 {
    sys::descriptors().map_or(1024, |(now, _)| now)
}

/// Allows this process as many descriptors as it may allow itself; how many that is.
///
/// # Errors
/// The system's. The limit stays as it was.
pub fn raise_descriptors() -> io::Result<u64> {
    let (now, most) = sys::descriptors()?;
    if now < most {
        sys::set_descriptors(most, most)?;
    }
    Ok(most)
}

/// Keeps `keep`, as far as the process has them, and gives everything else away for good, also for programs that it starts. These
/// inherit what is kept. Returns what is kept.
///
/// `groups` are those that the process is made a member of before, if it may do that: it can then give files to them.
///
/// # Errors
/// The system's; then the process may be left with less than it had, never with more.
pub fn keep_only(keep: &[Capability], groups: &[u32]) -> io::Result<Vec<Capability>> {
    const SETGID: u64 = 1 << 6;
    const SETPCAP: u64 = 1 << 8;
    let has = sys::capabilities()?;
    if has & SETGID != 0 && !groups.is_empty() {
        let mut all = sys::groups()?;
        all.extend(groups.iter().filter(|group| !all.contains(group)).copied().collect::<Vec<_>>());
        sys::set_groups(&all)?;
    }
    let kept: Vec<_> = keep.iter().copied().filter(|one| has & one.bit() != 0).collect();
    let set = kept.iter().fold(0, |set, one| set | one.bit());
    if has & SETPCAP != 0 {
        sys::bound_capabilities(set)?;
    }
    sys::no_new_privileges()?;
    sys::set_capabilities(set)?;
    sys::set_ambient(set);
    Ok(kept)
}

#[cfg(test)]
mod tests;
