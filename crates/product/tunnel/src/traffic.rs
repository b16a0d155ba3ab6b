//! What flows through, counted once, for whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Status;

/// Totals of one daemon. Cheap to share.
#[derive(Debug, Default)]
pub struct Traffic {
    opened: AtomicU64,
    closed: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    outcomes: [AtomicU64; Status::ALL.len()],
}

/// The numbers at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSnapshot {
    /// Flows that were connected.
    pub opened: u64,
    /// Of these, how many are over.
    pub closed: u64,
    /// Bytes from programs towards the internet.
    pub bytes_up: u64,
    /// Bytes back.
    pub bytes_down: u64,
    /// How attempts ended, by status.
    pub outcomes: [u64; Status::ALL.len()],
}

impl Traffic {
    /// Counts how an attempt ended.
    pub fn outcome(&self, status: Status) {
        self.outcomes[status as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A flow begins; it ends when what is returned is dropped.
    pub fn flow(self: &Arc<Self>) -> Flow {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Flow(Arc::clone(self))
    }

    /// The numbers now.
    pub fn snapshot(&self) -> TrafficSnapshot {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        // The one that cannot be larger first.
        let closed = read(&self.closed);
        TrafficSnapshot {
            closed,
            opened: read(&self.opened),
            bytes_up: read(&self.bytes_up),
            bytes_down: read(&self.bytes_down),
            outcomes: std::array::from_fn(|i| read(&self.outcomes[i])),
        }
    }
}

/// A flow that is counted.
#[derive(Debug)]
pub struct Flow(Arc<Traffic>);

impl Flow {
    pub(crate) fn up(&self, bytes: usize) {
        self.0.bytes_up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, bytes: usize) {
        self.0.bytes_down.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}
