//! The one place where descriptors meet tokio's reactor.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::unix::AsyncFd;
use tq_udp::{Socket, Timer};

/// Types that keep one descriptor open, and the same, for as long as they live: what the reactor relies on.
pub(crate) trait Descriptor: AsRawFd {}

impl Descriptor for Socket {}
impl Descriptor for Timer {}

/// Registers with the reactor of the current runtime.
#[allow(
    deprecated,
    reason = "`AsyncFd::register` is the same behind `unsafe`; `Descriptor` states its condition"
)]
pub(crate) fn register<T: Descriptor>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(descriptor)
}
