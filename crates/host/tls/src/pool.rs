//! Randomness in larger draws: a handshake asks a dozen times for a few bytes (connection ids, seeds, nonces), and every
//! draw from the library's generator costs about as much as drawing hundreds of bytes.
//!
//! A pool belongs to one endpoint. It does not notice a fork; neither do the endpoint's sockets, which two processes
//! cannot share. TLS draws its own secrets and never from here.

use std::sync::{Mutex, PoisonError};

use tq_crypto::Entropy;

use crate::AwsLc;

/// Bytes drawn at a time.
const DRAW: usize = 512;
/// What asks for more than this gets a draw of its own.
const LARGEST: usize = 64;

/// Unpredictable bytes for one endpoint, drawn ahead. Bytes that were given out are erased here.
pub struct RandomPool(Mutex<Drawn>);

struct Drawn {
    bytes: [u8; DRAW],
    /// So many are unused; they come first.
    left: usize,
}

impl RandomPool {
    /// An empty pool: the first request draws.
    pub const fn new() -> Self {
        Self(Mutex::new(Drawn { bytes: [0; DRAW], left: 0 }))
    }
}

impl Default for RandomPool {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RandomPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RandomPool")
    }
}

impl Entropy for RandomPool {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > LARGEST {
            return AwsLc.fill(out);
        }
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.left < out.len() {
            AwsLc.fill(&mut drawn.bytes);
            drawn.left = DRAW;
        }
        let from = drawn.left - out.len();
        let until = std::mem::replace(&mut drawn.left, from);
        let taken = &mut drawn.bytes[from..until];
        out.copy_from_slice(taken);
        taken.fill(0);
    }
}

#[cfg(test)]
mod tests;
