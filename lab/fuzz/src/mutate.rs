//! Inputs like others, but not quite. The same seed gives the same inputs on every machine.

/// A small generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

/// Values at the edges of lengths and variable-length integers.
const EDGES: [u8; 12] = [0, 1, 2, 3, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];
/// Integers at the edges of what fields may hold.
const NUMBERS: [&[u8]; 8] = [
    &[0x40, 0],
    &[0x7f, 0xff],
    &[0x80, 0, 0, 0],
    &[0xbf, 0xff, 0xff, 0xff],
    &[0xc0, 0, 0, 0, 0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xd0, 0, 0, 0, 0, 0, 0, 0],
    &[0x80, 0x01, 0, 0],
];
/// Longest input.
pub const LONGEST: usize = 8192;

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 if that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    /// A variant of `input`, perhaps with parts of `other`.
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = input.to_vec();
        for _ in 0..=self.below(6) {
            self.step(&mut out, other);
        }
        out.truncate(LONGEST);
        out
    }

    fn step(&mut self, out: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(out.len() + 1);
        let byte = at.min(out.len().saturating_sub(1));
        match self.below(11) {
            0 if !out.is_empty() => out[byte] ^= 1 << self.below(8),
            1 if !out.is_empty() => out[byte] = self.roll() as u8,
            2 if !out.is_empty() => out[byte] = EDGES[self.below(EDGES.len())],
            3 if !out.is_empty() => out[byte] = out[byte].wrapping_add([1, 255][self.below(2)]),
            4 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                out.splice(at..at, number.iter().copied());
            }
            5 => {
                let end = at + self.below(16.min(out.len() - at + 1));
                out.drain(at..end.min(out.len()));
            }
            6 => {
                // a part of itself again
                let end = (at + self.below(64)).min(out.len());
                let part = out[at..end].to_vec();
                let to = self.below(out.len() + 1);
                out.splice(to..to, part);
            }
            7 => {
                let from = self.below(other.len());
                let end = (from + self.below(200)).min(other.len());
                out.splice(at..at, other[from..end].iter().copied());
            }
            8 => {
                let from = self.below(other.len());
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
            9 => out.truncate(at),
            _ => out.extend((0..self.below(40)).map(|_| self.roll() as u8).collect::<Vec<_>>()),
        }
    }
}
