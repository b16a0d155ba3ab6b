//! Bytes with a fraction, and an integer cube root.
//!
//! A window that grows by less than a byte per acknowledgement must not lose those parts, so windows are kept in
//! units of 2^-16 byte. Products go through 128 bits and quotients round down, so an error is below one unit per
//! operation. Values saturate at [`Bytes::MAX`], 2^40 bytes, far above any window a path can use.

#[cfg(test)]
mod tests;

const FRACTION: u32 = 16;

/// A count of bytes in units of 2^-16 byte, 0 to 2^40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(u64);

impl Bytes {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);
    /// Largest window: 1 TiB.
    pub(crate) const MAX: Self = Self(1 << (40 + FRACTION));

    /// Whole bytes.
    pub(crate) const fn new(bytes: u64) -> Self {
        if bytes >= Self::MAX.floor() { Self::MAX } else { Self(bytes << FRACTION) }
    }

    /// `units` of 2^-16 byte.
    pub(crate) fn from_units(units: u128) -> Self {
        u64::try_from(units).map_or(Self::MAX, |units| Self(units).min(Self::MAX))
    }

    /// In units of 2^-16 byte.
    pub(crate) const fn units(self) -> u64 {
        self.0
    }

    /// Whole bytes, the fraction dropped.
    pub(crate) const fn floor(self) -> u64 {
        self.0 >> FRACTION
    }

    /// The sum, at most [`Bytes::MAX`].
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0)).min(Self::MAX)
    }

    /// The difference, at least zero.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self * numerator / denominator`, rounded down; a denominator of zero counts as one.
    pub(crate) fn scaled(self, numerator: u64, denominator: u64) -> Self {
        // Most products fit 64 bits, where a division is several times cheaper.
        match self.0.checked_mul(numerator) {
            Some(product) => Self(product / denominator.max(1)).min(Self::MAX),
            None => {
                Self::from_units(u128::from(self.0) * u128::from(numerator) / u128::from(denominator.max(1)))
            }
        }
    }
}

/// The largest `r` with `r³ <= n`, exact for every `n`.
///
/// Digit by digit in base 2, one step per three bits of `n`: at most 43 steps without a division.
pub(crate) fn cube_root(n: u128) -> u64 {
    let mut rest = n;
    let mut root: u128 = 0;
    // Bit k of the root is worth testing if (2^k)³ <= n.
    let top = n.checked_ilog2().unwrap_or(0) / 3;
    for bit in (0..=top).rev() {
        // With root = 2r in units of this bit: (root + 1)³ - root³ = 3 root (root + 1) + 1.
        root <<= 1;
        let step = 3 * root * (root + 1) + 1;
        if rest >> (3 * bit) >= step {
            rest -= step << (3 * bit);
            root += 1;
        }
    }
    root as u64
}
