use super::*;

#[test]
fn a_loss_as_expected_is_likely_and_another_is_not() {
    assert!(p_value(10_000, 100, 10_000, None) > 0.9);
    assert!(p_value(10_000, 120, 10_000, None) > 0.03);
    assert!(p_value(10_000, 160, 10_000, None) < 1e-6);
    assert!(p_value(10_000, 40, 10_000, None) < 1e-6);
    assert_eq!((p_value(1000, 0, 0, None), p_value(1000, 1, 0, None)), (1.0, 0.0));
}

#[test]
fn bursts_allow_more_scatter() {
    // A hundredth of the time bad, ten packets long.
    let burst = Some((1010, 100_000, 1_000_000, 0));
    assert!(p_value(10_000, 160, 0, burst) > 0.1);
    assert!(p_value(10_000, 500, 0, burst) < 0.01);
}

#[test]
fn the_middle_of_nothing_is_not_a_number() {
    assert!(median(&[]).is_nan());
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
}
