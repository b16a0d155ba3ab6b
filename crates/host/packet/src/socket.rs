//! Packet sockets: one to take frames from an interface, one to put frames on it.
//!
//! Decides the options: receivers see what comes in and nothing that goes out, with kernel timestamps and a large
//! buffer; senders bypass the queueing discipline, so that what is sent leaves. Keeps no frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tq_time::Duration;

use crate::frame::{Batch, Frame};
use crate::sys;

/// Takes what arrives on an interface. Not blocking.
#[derive(Debug)]
pub struct Receiver {
    fd: OwnedFd,
    dropped: AtomicU64,
    cut: AtomicU64,
    /// Wall clock minus monotonic clock at the last call, ns.
    offset: AtomicI64,
    steps: AtomicU64,
}

impl Receiver {
    /// The wall clock may move this much against the monotonic one between two calls; more is a step.
    const STEP: u64 = 1_000_000;

    /// Opens a socket on the interface `device` of the calling thread's namespace. `buffer`: bytes the kernel holds
    /// for us (its overhead counts: about half is frames).
    ///
    /// # Errors
    /// No such interface; no CAP_NET_RAW; a kernel before 4.20.
    pub fn open(device: &str, buffer: usize) -> io::Result<Self> {
        let fd = sys::receiver(sys::index(device)?, i32::try_from(buffer).unwrap_or(i32::MAX / 2))?;
        let now = sys::clocks();
        Ok(Self {
            fd,
            dropped: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            offset: AtomicI64::new(now.offset()),
            steps: AtomicU64::new(0),
        })
    }

    /// Takes what has arrived, up to [`Batch::FRAMES`] frames, and returns how many.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived, `NetworkDown` once when the interface goes down.
    pub fn recv(&self, batch: &mut Batch) -> io::Result<usize> {
        let mut marks = [sys::Mark::default(); Batch::FRAMES];
        let buffers = batch.buffers();
        let count = sys::recv(self.fd.as_fd(), buffers, &mut marks)?;
        let now = sys::clocks();
        let before = self.offset.swap(now.offset(), Ordering::Relaxed);
        if before.abs_diff(now.offset()) > Self::STEP {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
        for (frame, mark) in buffers.iter_mut().zip(&marks[..count]) {
            if mark.len > Frame::ROOM {
                self.cut.fetch_add(1, Ordering::Relaxed);
            }
            frame.fill(mark.len.min(Frame::ROOM), now.of_wall(mark.wall));
        }
        batch.filled(count);
        Ok(count)
    }

    /// Frames that the kernel threw away because nobody took them in time, since the socket was opened.
    ///
    /// # Errors
    /// None are known.
    pub fn dropped(&self) -> io::Result<u64> {
        // Reading the kernel's count resets it.
        let fresh = u64::from(sys::statistics(self.fd.as_fd())?);
        Ok(self.dropped.fetch_add(fresh, Ordering::Relaxed) + fresh)
    }

    /// Frames longer than [`Frame::ROOM`], which were cut.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// How often the wall clock stepped, which makes the timestamps of frames then under way wrong.
    pub fn clock_steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Puts frames on an interface.
#[derive(Debug)]
pub struct Sender {
    fd: OwnedFd,
}

impl Sender {
    /// Opens a socket on the interface `device` of the calling thread's namespace.
    ///
    /// # Errors
    /// As [`Receiver::open`].
    pub fn open(device: &str) -> io::Result<Self> {
        Ok(Self { fd: sys::sender(sys::index(device)?)? })
    }

    /// Sends frames in order and returns how many were taken, at most [`Batch::FRAMES`].
    ///
    /// # Errors
    /// If the first is not taken: `NetworkDown`, `WouldBlock` or no buffers (`ENOBUFS`).
    pub fn send(&self, frames: &[Frame]) -> io::Result<usize> {
        sys::send(self.fd.as_fd(), frames)
    }
}

/// Two clocks read at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) monotonic: u64,
    pub(crate) wall: u64,
}

impl Clocks {
    fn offset(self) -> i64 {
        i64::try_from(i128::from(self.wall) - i128::from(self.monotonic)).unwrap_or(i64::MAX)
    }

    /// The monotonic moment of a wall-clock time not after now; now if it has none, lies ahead or is older than the
    /// kernel would hold a frame.
    fn of_wall(self, wall: Option<u64>) -> tq_time::Instant {
        const OLDEST: u64 = 10_000_000_000;
        let age = wall.and_then(|wall| self.wall.checked_sub(wall)).filter(|age| *age < OLDEST);
        tq_time::Instant::from_nanos(self.monotonic) - Duration::from_nanos(age.unwrap_or(0))
    }
}
