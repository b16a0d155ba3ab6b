//! The host's clock and a timer that keeps its nanoseconds.
//!
//! Decides the epoch of every [`Instant`] in a process: `CLOCK_MONOTONIC`, that is the boot of the machine.
//! A [`Timer`] is a descriptor that turns readable at a moment of that clock. Reactors round their own sleeps
//! to a millisecond; a pacer cannot live with that.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use tq_time::Instant;

use crate::sys;

/// `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Nanoseconds since boot, without a system call where the vDSO has the clock.
    #[inline]
    pub fn now() -> Instant {
        Instant::from_nanos(sys::monotonic_ns())
    }
}

/// A `timerfd`: readable from the moment it was set to until [`Timer::take`].
///
/// One task owns a timer; sharing it between threads is safe but their deadlines replace each other.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
    /// The deadline the kernel holds, 0 = none.
    armed: AtomicU64,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// Those of `timerfd_create(2)`: no descriptors or no memory left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: sys::timerfd()?, armed: AtomicU64::new(0) })
    }

    /// Sets the moment, replacing the one before; `None` turns the timer off. A moment in the past fires at
    /// once. Setting the same moment again costs no system call.
    ///
    /// # Errors
    /// None are known for valid descriptors; whatever `timerfd_settime(2)` says is passed on.
    pub fn set(&self, deadline: Option<Instant>) -> io::Result<()> {
        // Zero would turn the timer off; it is in the past anyway.
        let nanos = deadline.map_or(0, |at| at.as_nanos().max(1));
        if self.armed.load(Ordering::Relaxed) != nanos {
            sys::timerfd_set(self.fd.as_fd(), nanos)?;
            self.armed.store(nanos, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes note that the timer fired: it is then off and no longer readable.
    ///
    /// # Errors
    /// `WouldBlock` if it has not fired, as a reactor's readiness guard expects.
    pub fn take(&self) -> io::Result<()> {
        sys::timerfd_take(self.fd.as_fd())?;
        self.armed.store(0, Ordering::Relaxed);
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// How far the kernel may round sleeps and poll timeouts of the calling thread and of threads it starts
/// later, in ns (the default of Linux is 50 000; 1 is the least). A [`Timer`] is exact either way.
///
/// # Errors
/// What `prctl(2)` says: none are known.
pub fn set_timer_slack(nanos: u32) -> io::Result<()> {
    sys::timer_slack(nanos)
}

#[cfg(test)]
mod tests;
