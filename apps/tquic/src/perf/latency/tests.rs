use super::*;

#[test]
fn every_time_is_told_to_one_part_in_32() {
    for nanos in (0..33).flat_map(|power| [1_u64 << power, (1 << power) + 1, (1 << power) * 3 / 2]) {
        let nanos = nanos.min(u64::from(u32::MAX));
        let mut one = Latencies::new();
        one.add(Duration::from_nanos(nanos));
        let told = one.quantile_us(0.5) * 1e3;
        let off = (told - nanos as f64).abs() / nanos as f64;
        assert!(off <= 1.0 / 32.0, "{nanos} ns became {told}");
    }
}

#[test]
fn quantiles_count_from_the_shortest_and_what_is_too_long_is_the_longest() {
    let mut some = Latencies::new();
    let mut more = Latencies::new();
    (1..=98).for_each(|_| some.add(Duration::from_micros(10)));
    more.add(Duration::from_micros(500));
    more.add(Duration::from_secs(60));
    some.merge(&more);
    assert_eq!(some.count(), 100);
    assert!((some.quantile_us(0.5) - 10.0).abs() < 0.4);
    assert!((some.quantile_us(0.99) - 500.0).abs() < 16.0);
    assert!(some.quantile_us(1.0) > 4e6);
    assert_eq!(Latencies::new().quantile_us(0.5), 0.0);
}
