use proptest::prelude::*;

use super::*;

#[test]
fn quantiles_interpolate_between_neighbours() {
    let values = [4.0, 1.0, 3.0, 2.0];
    assert_eq!(median(&values), Some(2.5));
    assert_eq!(quantile(&values, 0.0), Some(1.0));
    assert_eq!(quantile(&values, 1.0), Some(4.0));
    assert!((quantile(&values, 0.1).unwrap() - 1.3).abs() < 1e-12);
    assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn values_that_are_not_finite_are_left_out_and_counted() {
    let summary = Summary::of(&[f64::NAN, 2.0, f64::INFINITY, 1.0]).unwrap();
    assert_eq!((summary.count, summary.left_out), (2, 2));
    assert_eq!((summary.min, summary.median, summary.max), (1.0, 1.5, 2.0));
    assert_eq!(Summary::of(&[f64::NAN]), None);
}

#[test]
fn equal_shares_are_fair_and_one_taker_is_not() {
    assert_eq!(jain(&[5.0, 5.0, 5.0]), Some(1.0));
    assert_eq!(jain(&[0.0, 8.0, 0.0, 0.0]), Some(0.25));
    assert_eq!(jain(&[0.0, 0.0]), None);
    assert_eq!(jain(&[1.0, -1.0]), None);
    assert_eq!(jain(&[]), None);
    assert!((jain(&[1e200, 1e200]).unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn benefit_is_zero_at_the_best_link_one_at_the_sum_and_minus_one_at_nothing() {
    let of = |together| Gain::of(&[30.0, 10.0], together).unwrap();
    assert_eq!(of(30.0).benefit, Some(0.0));
    assert_eq!(of(40.0).benefit, Some(1.0));
    assert_eq!(of(0.0).benefit, Some(-1.0));
    assert_eq!(of(15.0).benefit, Some(-0.5));
    assert_eq!((of(35.0).efficiency, of(45.0).ratio_to_best), (0.875, 1.5));
}

#[test]
fn benefit_of_a_single_link_is_no_number() {
    let gain = Gain::of(&[10.0], 9.0).unwrap();
    assert_eq!((gain.benefit, gain.efficiency), (None, 0.9));
    assert_eq!(Gain::of(&[], 9.0), None);
    assert_eq!(Gain::of(&[0.0, 0.0], 9.0), None);
    assert_eq!(Gain::of(&[f64::NAN, 1.0], 9.0), None);
}

#[test]
fn benefit_beside_a_tiny_link_says_little() {
    assert!(Gain::is_telling(&[100.0, 5.0]));
    assert!(!Gain::is_telling(&[100.0, 4.9]));
    assert!(!Gain::is_telling(&[100.0]));
}

proptest! {
    #[test]
    fn a_quantile_lies_between_the_extremes_and_rises(values in prop::collection::vec(-1e9f64..1e9, 1..50), q in 0.0f64..1.0) {
        let summary = Summary::of(&values).unwrap();
        let at = quantile(&values, q).unwrap();
        prop_assert!(summary.min <= at && at <= summary.max);
        prop_assert!(quantile(&values, (q + 0.1).min(1.0)).unwrap() >= at - 1e-6);
    }

    #[test]
    fn fairness_stays_in_its_range(shares in prop::collection::vec(0.001f64..1e6, 1..20)) {
        let fairness = jain(&shares).unwrap();
        prop_assert!(fairness <= 1.0 + 1e-12 && fairness >= 1.0 / shares.len() as f64 - 1e-12);
    }
}
