use super::*;

#[test]
fn lateness_keeps_quantiles_to_a_factor_of_two() {
    let mut late = Lateness::default();
    (0..990).for_each(|_| late.add(30_000));
    (0..10).for_each(|_| late.add(3_000_000));
    assert_eq!(late.count(), 1000);
    assert!((0.03..=0.064).contains(&late.quantile_ms(0.5)));
    assert!((3.0..=4.1).contains(&late.quantile_ms(1.0)));
    assert_eq!((late.beyond(2000), late.beyond(5000)), (10, 0));
    assert_eq!(late.most, 3_000_000);
    assert_eq!(Lateness::default().quantile_ms(0.99), 0.0);
}

#[test]
fn the_latest_of_all_has_a_place() {
    let mut late = Lateness::default();
    late.add(u64::MAX);
    late.add(0);
    assert_eq!((late.count(), late.beyond(1)), (2, 1));
}
