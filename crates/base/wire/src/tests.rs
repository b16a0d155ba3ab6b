//! Vectors of the RFCs, round trips, and bytes nobody should send.

extern crate std;

mod fields;
mod frames;
mod headers;
mod numbers;
mod parameters;

use std::vec::Vec;
use std::{format, vec};

use serde_json::Value;

/// A file of `testdata/vectors`.
fn vectors(name: &str) -> Value {
    let file = format!("{}/../../../testdata/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).expect("vectors")).expect("JSON")
}

fn rows<'a>(vectors: &'a Value, key: &str) -> &'a [Value] {
    let rows = vectors[key].as_array().expect("a list");
    assert!(!rows.is_empty(), "{key}");
    rows
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).expect("hex")
}

/// A fixed sequence of numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Bytes that are small as often as not, so that lengths inside them fit.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        for byte in &mut out {
            let drawn = self.next();
            *byte = if drawn & 0x100 == 0 { drawn as u8 } else { drawn as u8 & 0x0f };
        }
        out
    }
}
