//! Asking the kernel and waiting for its answer.
//!
//! Decides which message is the answer. Never waits longer than a few seconds, and never hears events.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::{Request, messages};
use crate::sys::{self, Got};

/// The kernel answers at once; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest part of a dump (the kernel sends at most 32 KiB at a time).
pub(crate) const ROOM: usize = 64 << 10;

/// A conversation with the kernel.
#[derive(Debug)]
pub(crate) struct Talk {
    fd: OwnedFd,
    seq: u32,
}

impl Talk {
    /// # Errors
    /// No more descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = sys::netlink(0)?;
        sys::receive_timeout(&fd, PATIENCE)?;
        Ok(Self { fd, seq: 0 })
    }

    /// Has something done.
    ///
    /// # Errors
    /// What the kernel says: `EEXIST`, `ESRCH`, `EPERM`, …
    pub(crate) fn ask(&mut self, request: Request) -> io::Result<()> {
        self.exchange(request, |_, _| ())
    }

    /// Has something listed: `f` gets the kind and the body of each message.
    ///
    /// # Errors
    /// As [`Talk::ask`].
    pub(crate) fn list(&mut self, request: Request, f: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.exchange(request, f)
    }

    /// Which network namespace this is: a number that tells it from all others since the machine started.
    pub(crate) fn namespace(&self) -> io::Result<u64> {
        sys::netns_cookie(&self.fd)
    }

    fn exchange(&mut self, request: Request, mut f: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1).max(1);
        sys::send(&self.fd, &request.bytes(self.seq))?;
        let mut buffer = vec![0; ROOM];
        loop {
            let len = match sys::receive(&self.fd, &mut buffer)? {
                Got::Kernel(len) => len,
                Got::Stranger => continue,
                Got::Cut => return Err(io::Error::other("an answer of the kernel is too long")),
            };
            for message in messages(&buffer[..len]).filter(|message| message.seq == self.seq) {
                match message.error() {
                    Some(0) => return Ok(()),
                    Some(error) => return Err(io::Error::from_raw_os_error(error)),
                    None => f(message.kind, message.body),
                }
            }
        }
    }
}
