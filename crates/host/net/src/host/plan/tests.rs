//! What follows from a plan.

use std::collections::HashMap;

use super::*;

fn plan() -> Plan {
    Plan {
        lan: vec!["lan0".into(), "br-home".into()],
        tun: "tq0".into(),
        port_v4: 4001,
        port_v6: Some(4002),
        direct: Vec::new(),
        without: Without::Direct,
    }
}

fn shown(plan: &Plan, index: u8, sysctls: &[(&str, &str)]) -> Vec<String> {
    let values: HashMap<&str, &str> = sysctls.iter().copied().collect();
    let steps = plan.steps(index, &|key| values.get(key).map(|value| (*value).to_owned()));
    steps.iter().map(|step| step.to_string().lines().next().unwrap().to_owned()).collect()
}

#[test]
fn the_first_instance_has_the_numbers_that_the_documentation_names() {
    let own = plan().own(0);
    assert_eq!((own.proxy, own.tunnel, own.priority), ((1, 100), (2, 101), 10_000));
    assert_eq!(
        shown(&plan(), 0, &[])[..4],
        [
            "ip -4 route add local default dev lo table 100",
            "ip -4 rule add priority 10000 fwmark 0x2/0xff lookup 254 suppress_prefixlength 0",
            "ip -4 rule add priority 10010 fwmark 0x1/0xff lookup 100",
            "ip -4 rule add priority 10020 fwmark 0x2/0xff lookup 101",
        ]
    );
    assert_eq!(shown(&plan(), 0, &[]).last().unwrap(), "nft -f - <<'end'");
}

#[test]
fn instances_share_no_mark_table_rule_or_name() {
    let mut numbers = Vec::new();
    for index in 0..=MOST {
        let own = plan().own(index);
        numbers.extend([own.proxy, own.tunnel]);
        assert!(own.tunnel.0 <= MASK && own.tunnel.1 < 253);
    }
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), all);
    assert_eq!((table(0).as_str(), table(3).as_str()), ("tquic", "tquic3"));
}

#[test]
fn without_ipv6_nothing_of_it_is_touched() {
    let plan = Plan { port_v6: None, without: Without::Block, ..plan() };
    let steps = shown(&plan, 0, &[("net/ipv6/conf/all/forwarding", "0")]);
    assert!(steps.iter().all(|step| !step.contains("-6") && !step.contains("ipv6")), "{steps:?}");
    assert!(steps.contains(&"ip -4 route add unreachable default metric 32767 table 101".to_owned()));
    assert!(!plan.script(0).contains("tproxy ip6"));
}

#[test]
fn only_sysctls_that_are_not_yet_so_are_written() {
    let there = [
        ("net/ipv4/conf/lan0/forwarding", "1"),
        ("net/ipv4/conf/br-home/forwarding", "0"),
        ("net/ipv6/conf/all/forwarding", "0"),
        ("net/ipv6/conf/default/force_forwarding", "0"),
        ("net/ipv6/conf/lan0/force_forwarding", "1"),
        ("net/ipv6/conf/br-home/force_forwarding", "0"),
    ];
    let steps = shown(&plan(), 0, &there);
    assert_eq!(
        steps[..2],
        [
            "sysctl -w net/ipv4/conf/br-home/forwarding=1    # was 0",
            "sysctl -w net/ipv6/conf/br-home/force_forwarding=1    # was 0",
        ]
    );
    assert!(steps[2].starts_with("ip "));
}

#[test]
fn older_kernels_forward_everywhere_and_go_on_hearing_routers() {
    let there = [
        ("net/ipv6/conf", "all default wan0 eth5"),
        ("net/ipv6/conf/all/forwarding", "0"),
        ("net/ipv6/conf/wan0/accept_ra", "1"),
        ("net/ipv6/conf/wan0/forwarding", "0"),
        ("net/ipv6/conf/default/accept_ra", "1"),
        ("net/ipv6/conf/eth5/accept_ra", "0"),
        ("net/ipv6/conf/eth5/forwarding", "1"),
    ];
    let steps = shown(&plan(), 0, &there);
    assert_eq!(
        steps[..4],
        [
            "sysctl -w net/ipv6/conf/wan0/accept_ra=2    # was 1",
            "# net/ipv6/conf/eth5/forwarding stays 1",
            "sysctl -w net/ipv6/conf/default/accept_ra=2    # was 1",
            "sysctl -w net/ipv6/conf/all/forwarding=1    # was 0",
        ]
    );
}

#[test]
fn ranges_stand_in_the_set_of_their_family() {
    let prefix = |ip: &str, bits| Prefix { ip: ip.parse().unwrap(), bits };
    let plan = Plan { direct: vec![prefix("192.0.2.0", 24), prefix("2001:db8::", 32)], ..plan() };
    assert!(plan.check().is_ok());
    let script = plan.script(0);
    assert!(
        script.contains("elements = { 192.0.2.0/24 }") && script.contains("elements = { 2001:db8::/32 }")
    );
    assert!(script.contains("iifname { \"lan0\", \"br-home\" } meta l4proto tcp jump lan"));
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let says = |plan: Plan, word: &str| {
        let text = plan.check().unwrap_err().to_string();
        assert!(text.contains(word), "{text}");
    };
    says(Plan { lan: Vec::new(), ..plan() }, "[lan]");
    for name in ["", "a name", "lan0\"", "sixteen-letters-", "lan0;", "../x", "..", "all"] {
        says(Plan { lan: vec![name.into()], ..plan() }, "no name of an interface");
        says(Plan { tun: name.into(), ..plan() }, "no name of an interface");
    }
    says(Plan { tun: "lan0".into(), ..plan() }, "TUN");
    let prefix = Prefix { ip: "192.0.2.0".parse().unwrap(), bits: 33 };
    says(Plan { direct: vec![prefix], ..plan() }, "192.0.2.0/33");
}
