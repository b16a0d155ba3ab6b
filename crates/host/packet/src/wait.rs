//! Waiting for descriptors with a timeout in nanoseconds.
//!
//! Decides nothing: `ppoll` with a type that keeps descriptors open while they are waited for. How exact the timeout
//! is depends on the thread's timer slack, see [`tq_udp::set_timer_slack`].

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use tq_time::Duration;

use crate::sys;

/// A descriptor that is waited for until it can be read.
#[derive(Debug)]
#[repr(transparent)]
pub struct Waiting<'a>(libc::pollfd, PhantomData<BorrowedFd<'a>>);

impl<'a> Waiting<'a> {
    /// Waits for `fd`.
    pub fn new(fd: BorrowedFd<'a>) -> Self {
        Self(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }, PhantomData)
    }

    /// Whether the last [`wait`] found it readable, or in error.
    pub const fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Puts the calling thread before all ordinary ones, so that it runs as soon as what it waits for is there. It must
/// sleep most of the time: by default the kernel leaves the others 5 % of a processor.
///
/// # Errors
/// No CAP_SYS_NICE.
pub fn hurry() -> io::Result<()> {
    sys::hurry()
}

/// Gives the calling thread `time` of every `period` before all others, and what nobody else has reserved of the processor but
/// for a twentieth. Beyond that it waits for the next period, unlike after [`hurry`], where the kernel makes a pause of 50 ms
/// once the thread has left others nothing for a second.
///
/// # Errors
/// No CAP_SYS_NICE; so much cannot be promised beside what is promised already.
pub fn reserve(time: Duration, period: Duration) -> io::Result<()> {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    sys::reserve(nanos(time), nanos(period))
}

/// Keeps the memory of this process where it is, what it takes later too: nobody waits for a page.
///
/// # Errors
/// No CAP_IPC_LOCK, or not enough memory.
pub fn stay() -> io::Result<()> {
    sys::stay()
}

/// Waits until one of the descriptors is ready, the time is up, or a signal came; how many are ready.
///
/// # Errors
/// None are known for less than 64 descriptors.
pub fn wait(fds: &mut [Waiting<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    const MOST: usize = 64;
    let nanos = timeout.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    let mut list = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MOST];
    let count = fds.len();
    let Some(list) = list.get_mut(..count) else { return Err(io::ErrorKind::InvalidInput.into()) };
    for (entry, fd) in list.iter_mut().zip(&*fds) {
        *entry = libc::pollfd { revents: 0, ..fd.0 };
    }
    let ready = match sys::ppoll(list, nanos) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        result => result?,
    };
    for (entry, fd) in list.iter().zip(fds) {
        fd.0.revents = if ready == 0 { 0 } else { entry.revents };
    }
    Ok(ready)
}
