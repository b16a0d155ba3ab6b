//! Prefixes contain what begins like them.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_prefix_contains_its_own_family_only() {
    let ten = Prefix::new(ip("10.1.2.3"), 8);
    assert!(ten.contains(ip("10.255.0.1")));
    assert!(!ten.contains(ip("11.1.2.3")));
    assert!(!ten.contains(ip("a01::")));
    let six = Prefix::new(ip("2001:db8::"), 33);
    assert!(six.contains(ip("2001:db8:7fff::1")));
    assert!(!six.contains(ip("2001:db8:8000::1")));
}

#[test]
fn lengths_reach_from_everything_to_one_address() {
    assert!(Prefix::new(ip("10.0.0.0"), 0).contains(ip("203.0.113.1")));
    assert!(!Prefix::new(ip("10.0.0.0"), 0).contains(ip("::1")));
    let one = Prefix::from(ip("10.0.0.1"));
    assert_eq!((one.length(), Prefix::from(ip("::1")).length()), (32, 128));
    assert!(one.contains(ip("10.0.0.1")) && !one.contains(ip("10.0.0.0")));
}
