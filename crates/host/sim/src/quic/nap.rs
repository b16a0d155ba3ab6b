//! A process that does not run for a while: what comes for it waits in its socket, what it wanted to do is late.
//!
//! Decides what waits and what there is no room for; what is done after waking is the host's business.

use std::collections::VecDeque;

use tq_time::Instant;

use crate::process::Meta;

/// Datagrams that sockets hold for a process that does not run: beyond it they are lost.
const KEPT: usize = 4096;

/// Whether it runs, and what waits for it.
#[derive(Default)]
pub(super) struct Nap {
    until: Option<Instant>,
    kept: VecDeque<(Meta, Vec<u8>)>,
    /// Datagrams that found no room.
    pub(super) lost: u64,
}

impl Nap {
    /// From now on, until then; the later end counts.
    pub(super) fn begin(&mut self, until: Instant) {
        self.until = self.until.max(Some(until));
    }

    /// When it runs again, if it does not now.
    pub(super) fn ends(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// A datagram came while it does not run.
    pub(super) fn keep(&mut self, meta: &Meta, bytes: &[u8]) {
        if self.kept.len() < KEPT {
            self.kept.push_back((*meta, bytes.to_vec()));
        } else {
            self.lost += 1;
        }
    }

    /// The next of what waits.
    pub(super) fn next(&mut self) -> Option<(Meta, Vec<u8>)> {
        self.kept.pop_front()
    }
}
