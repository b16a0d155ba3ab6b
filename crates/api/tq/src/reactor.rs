//! The one place where descriptors meet tokio's reactor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tq_udp::{Socket, Timer};

/// Types that keep one descriptor open, and the same, for as long as they live: what the reactor relies on.
pub(crate) trait Descriptor: AsRawFd {}

impl Descriptor for Socket {}
impl Descriptor for Timer {}

/// A socket, for nothing but to hear that it can be written.
pub(crate) struct Writable(OwnedFd);

impl AsRawFd for Writable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptor for Writable {}

/// Registers a full socket's second descriptor. Writability is not asked for otherwise: every datagram that leaves would
/// wake the reactor. A new registration tells how things stand, so no change is missed.
pub(crate) fn writable(socket: &Socket) -> io::Result<AsyncFd<Writable>> {
    with_interest(Writable(socket.as_fd().try_clone_to_owned()?), Interest::WRITABLE)
}

/// Registers for reading with the reactor of the current runtime.
pub(crate) fn register<T: Descriptor>(descriptor: T) -> io::Result<AsyncFd<T>> {
    with_interest(descriptor, Interest::READABLE)
}

#[allow(
    deprecated,
    reason = "`AsyncFd::register` is the same behind `unsafe`; `Descriptor` states its condition"
)]
fn with_interest<T: Descriptor>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}
