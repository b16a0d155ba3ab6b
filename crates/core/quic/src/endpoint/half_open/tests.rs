//! Counting by neighbourhood, and first ids that are used up.

use super::*;

fn half_open() -> HalfOpen {
    HalfOpen::new(Keyed::new(1, 2))
}

fn prefix(text: &str) -> Prefix {
    Prefix::of(text.parse().expect("an address"))
}

#[test]
fn neighbourhoods_are_24_and_56_bits_wide() {
    assert_eq!(prefix("192.0.2.1"), prefix("192.0.2.254"));
    assert_ne!(prefix("192.0.2.1"), prefix("192.0.3.1"));
    assert_eq!(prefix("::ffff:192.0.2.9"), prefix("192.0.2.1"));
    assert_eq!(prefix("2001:db8:0:1200::1"), prefix("2001:db8:0:12ff:ffff::9"));
    assert_ne!(prefix("2001:db8:0:1200::1"), prefix("2001:db8:0:1300::1"));
    assert_ne!(prefix("::c0:0"), prefix("0.192.0.0"));
}

#[test]
fn a_neighbourhood_is_asked_for_proof_at_a_quarter_of_its_share() {
    let config = EndpointConfig { max_half_open_per_prefix: 8, ..EndpointConfig::default() };
    let mut table = half_open();
    let here = prefix("192.0.2.1");
    let mut seen = Vec::new();
    for _ in 0..9 {
        seen.push(table.room(here, &config));
        table.begin(here);
    }
    assert_eq!(seen[..2], [Room::Yes; 2]);
    assert_eq!(seen[2..8], [Room::Proven; 6]);
    assert_eq!(seen[8], Room::No);
    assert_eq!(table.room(prefix("198.51.100.1"), &config), Room::Yes);
    let off = EndpointConfig { retry_above: None, ..config };
    table.end(here);
    table.end(here);
    assert_eq!(table.room(here, &off), Room::Yes);
}

#[test]
fn everybody_is_asked_for_proof_above_the_threshold() {
    let config = EndpointConfig { max_half_open: 20, retry_above: Some(10), ..EndpointConfig::default() };
    let mut table = half_open();
    for n in 0..20u8 {
        let at = Prefix::of([10, 0, n, 1].into());
        let expected = if n < 10 { Room::Yes } else { Room::Proven };
        assert_eq!(table.room(at, &config), expected, "{n}");
        table.begin(at);
    }
    assert_eq!(table.room(prefix("192.0.2.1"), &config), Room::No);
    for n in 0..20u8 {
        table.end(Prefix::of([10, 0, n, 1].into()));
    }
    assert_eq!((table.total(), table.prefixes.len()), (0, 0));
}

#[test]
fn what_is_spent_is_remembered_in_a_table_of_fixed_size() {
    let mut spent = Spent::new(Keyed::new(1, 2));
    assert!(!spent.knows(b"one"));
    for n in 0..100_000u64 {
        assert!(spent.spend(&n.to_be_bytes()), "fresh");
        assert!(spent.knows(&n.to_be_bytes()));
        assert!(!spent.spend(&n.to_be_bytes()), "spent");
    }
    assert_eq!(spent.table.len(), SPENT);
    assert!(!spent.knows(&200_000u64.to_be_bytes()));
}
