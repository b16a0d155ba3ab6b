//! Packet sockets in batches, network namespaces, and waiting to the nanosecond: what a link emulator needs of Linux.
//!
//! [`Receiver`] and [`Sender`] move whole Ethernet frames between an interface and [`Frame`]s, 64 in a system call,
//! each with the moment at which the kernel took it. [`Namespace`] runs code in another network namespace, on a
//! thread of its own, so that the caller never changes its own. [`wait`] sleeps on descriptors with a timeout in
//! nanoseconds, [`hurry`] and [`reserve`] come before others. Decides how frames cross the kernel; never looks into one, and
//! knows nothing of links.
//!
//! All `unsafe` of the crate is in `sys`. Linux only; most of it needs CAP_NET_RAW and CAP_NET_ADMIN.
#![cfg(target_os = "linux")]
#![warn(missing_docs, unreachable_pub)]

mod device;
mod frame;
mod namespace;
mod socket;
mod sys;
mod wait;

pub use device::Device;
pub use frame::{Batch, Frame};
pub use namespace::Namespace;
pub use socket::{Receiver, Sender};
pub use wait::{Waiting, hurry, reserve, stay, wait};
