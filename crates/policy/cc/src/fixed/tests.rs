use proptest::prelude::*;

use super::{Bytes, cube_root};

#[test]
fn cubes_and_their_neighbours_have_the_right_roots() {
    for root in [1u64, 2, 3, 10, 999, 1 << 20, (1 << 42) + 12_345, 6_981_463_658_331] {
        let cube = u128::from(root).pow(3);
        assert_eq!(cube_root(cube), root);
        assert_eq!(cube_root(cube - 1), root - 1);
        assert_eq!(cube_root(cube + 1), root);
    }
    assert_eq!(cube_root(0), 0);
    assert_eq!(cube_root(u128::MAX), 6_981_463_658_331);
}

#[test]
fn a_fraction_survives_where_whole_bytes_would_not() {
    // 1500 x 1500 / 10 MB is a fifth of a byte per packet.
    let step = Bytes::new(1500).scaled(1500, 10_000_000);
    assert_eq!(step.floor(), 0);
    let sum = (0..6667).fold(Bytes::ZERO, |sum, _| sum.plus(step));
    assert!((1499..=1501).contains(&sum.floor()), "{sum:?}");
}

proptest! {
    #[test]
    fn the_cube_root_is_the_floor_of_the_real_one(high: u64, low: u64, shift in 0u32..128) {
        let n = (u128::from(high) << 64 | u128::from(low)) >> shift;
        let root = u128::from(cube_root(n));
        prop_assert!(root.pow(3) <= n);
        prop_assert!((root + 1).checked_pow(3).is_none_or(|cube| cube > n));
    }

    #[test]
    fn scaling_is_exact_to_one_unit_and_saturates(bytes in 0u64..1 << 41, numerator: u64, denominator: u64) {
        let bytes = Bytes::new(bytes);
        let exact = u128::from(bytes.units()) * u128::from(numerator) / u128::from(denominator.max(1));
        let expected = exact.min(u128::from(Bytes::MAX.units()));
        prop_assert_eq!(u128::from(bytes.scaled(numerator, denominator).units()), expected);
    }

    #[test]
    fn sums_and_differences_stay_in_range(a: u64, b: u64) {
        let (a, b) = (Bytes::new(a), Bytes::new(b));
        prop_assert!(a.plus(b) <= Bytes::MAX && a.plus(b) >= a);
        prop_assert!(a.minus(b) <= a);
        prop_assert!(a.plus(b) == Bytes::MAX || a.plus(b).minus(b) == a);
    }
}
