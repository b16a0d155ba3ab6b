use super::*;

#[test]
fn sizes_and_rates_are_in_decimal_units() {
    assert_eq!(size(999), "999 B");
    assert_eq!(size(1_500), "1.5 kB");
    assert_eq!(size(2_000_000), "2.0 MB");
    assert_eq!(size(5_120_000_000), "5.12 GB");
    assert_eq!(rate(125_000_000, Duration::from_secs(1)), "1.00 Gbit/s");
    assert_eq!(rate(125_000, Duration::from_secs(1)), "1.0 Mbit/s");
    assert_eq!(rate(0, Duration::ZERO), "0.0 kbit/s");
}

#[test]
fn an_empty_file_is_all_there() {
    assert!(line(0, 0, 0, Duration::from_secs(1)).contains("100 %"));
    assert!(line(1, 4, 1, Duration::from_secs(1)).contains(" 25 %"));
}
