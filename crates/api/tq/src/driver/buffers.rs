//! Where packets are put, and where they stay if they may not leave yet.
//!
//! One buffer serves all connections. A train that has to wait takes the buffer with it, and a spare one comes
//! in its place; only short trains are copied. Nothing here knows why a train waits.

use tq_quic::{TRANSMIT_BUFFER, Transmit};

/// Trains up to this length are copied when they have to wait.
const COPY: usize = 4096;
/// Buffers kept for later.
const SPARES: usize = 32;

/// Sealed packets that wait.
pub(crate) struct Held {
    pub(super) transmit: Transmit,
    contents: Box<[u8]>,
    /// Bytes that have left.
    sent: usize,
}

/// The buffer in use, and spare ones.
pub(super) struct Buffers {
    current: Box<[u8]>,
    spare: Vec<Box<[u8]>>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { current: fresh(), spare: Vec::new() }
    }

    /// To fill.
    pub(super) fn current(&mut self) -> &mut [u8] {
        &mut self.current
    }

    /// What was filled.
    pub(super) fn contents(&self, transmit: &Transmit) -> &[u8] {
        &self.current[..transmit.len]
    }

    /// Keeps the current train, `sent` bytes of which have left, and makes room for others.
    pub(super) fn hold(&mut self, transmit: Transmit, sent: usize) -> Held {
        let contents = if transmit.len <= COPY {
            self.current[..transmit.len].into()
        } else {
            let empty = self.spare.pop().unwrap_or_else(fresh);
            std::mem::replace(&mut self.current, empty)
        };
        Held { transmit, contents, sent }
    }

    /// Makes what is left of a held train the current one.
    pub(super) fn restore(&mut self, held: Held) -> Transmit {
        let Held { mut transmit, contents, sent } = held;
        let left = sent..transmit.len;
        transmit.len = left.len();
        if contents.len() < TRANSMIT_BUFFER {
            self.current[..left.len()].copy_from_slice(&contents[left]);
            return transmit;
        }
        let spare = std::mem::replace(&mut self.current, contents);
        if self.spare.len() < SPARES {
            self.spare.push(spare);
        }
        if sent > 0 {
            self.current.copy_within(left, 0);
        }
        transmit
    }
}

fn fresh() -> Box<[u8]> {
    vec![0; TRANSMIT_BUFFER].into_boxed_slice()
}

#[cfg(test)]
mod tests;
