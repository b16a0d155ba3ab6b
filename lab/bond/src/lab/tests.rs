//! What is compared of a router, and how its links are written.

use super::{scenario_of, without_port};
use crate::place::usual_links;

#[test]
fn a_listeners_port_is_no_difference() {
    let line = "  meta l4proto tcp tproxy ip to 127.0.0.1:5136 meta mark set 0x29 accept";
    assert_eq!(without_port(line), "  meta l4proto tcp tproxy ip to 127.0.0.1 meta mark set 0x29 accept");
    assert_eq!(without_port("tproxy ip6 to [::1]:51 accept"), "tproxy ip6 to [::1] accept");
    assert_eq!(without_port("32766: from all lookup main"), "32766: from all lookup main");
}

#[test]
fn links_are_a_scenario() {
    let path = std::env::temp_dir().join(format!("tq-bond-links-{}.toml", std::process::id()));
    std::fs::write(&path, scenario_of(&usual_links(None))).unwrap();
    let scenario = tq_scenario::load(&path);
    std::fs::remove_file(&path).unwrap();
    let rates: Vec<_> = scenario.unwrap().links.iter().map(|link| link.down.rate).collect();
    assert_eq!(rates, [Some(12_500_000), Some(5_000_000), Some(2_500_000)]);
}
