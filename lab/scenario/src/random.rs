//! Numbers that look random and are the same every time: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
//!
//! Decides nothing; who draws says from which stream.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 even bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low) as u128 + 1;
        low.saturating_add(((self.next() as u128 * width) >> 64) as u64)
    }

    /// A time until the next of events that come by chance, `mean` nanoseconds apart on average (exponential).
    ///
    /// Von Neumann's comparison method (1951): integers only, so every machine draws the same.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        let mut whole = 0u64;
        loop {
            let first = self.next();
            let (mut last, mut odd) = (first, true);
            loop {
                let next = self.next();
                if next >= last {
                    break;
                }
                (last, odd) = (next, !odd);
            }
            if odd {
                let part = ((u128::from(first) * u128::from(mean)) >> 64) as u64;
                return mean.saturating_mul(whole).saturating_add(part);
            }
            whole += 1;
        }
    }
}

/// A seed of its own for `stream` of the thing with this name (FNV-1a of the name).
pub(crate) fn seed(seed: u64, name: &str, stream: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rng = Rng::new(seed ^ hash.rotate_left(17) ^ stream.wrapping_mul(GOLDEN));
    rng.next()
}
