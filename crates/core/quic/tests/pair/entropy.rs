//! Entropy from a seed: connection ids, skipped packet numbers and challenges are the same in every run.

use std::cell::Cell;
use std::sync::Mutex;

use tq_quic::crypto::Entropy;

pub struct Seeded(Mutex<u64>);

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(1) };
}

impl Seeded {
    /// Another source than the last, the same in every run: a test has a thread of its own.
    pub fn next() -> Self {
        let n = MADE.get();
        MADE.set(n + 1);
        Self(Mutex::new(n << 32))
    }

    /// Sources from here on are the same as in a thread of its own.
    pub fn reset() {
        MADE.set(1);
    }
}

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.lock().expect("no test panics in here");
        for chunk in out.chunks_mut(8) {
            // splitmix64
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
