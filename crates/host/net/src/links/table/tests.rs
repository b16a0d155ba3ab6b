//! Interfaces that come, change and go, in messages that a kernel sent and in facts made up here.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::links::fact;
use crate::links::kind::Marks;
use crate::netlink::messages;

/// Bytes from hexadecimal digits.
pub(crate) fn unhex(line: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    line.trim().as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn feed(table: &mut Table, datagram: &[u8]) -> bool {
    let mut facts = Vec::new();
    messages(datagram).for_each(|message| fact::read(&message, &mut facts));
    facts.into_iter().fold(false, |doubt, fact| table.apply(fact) | doubt)
}

fn allow(patterns: &[&str]) -> Select {
    Select { allow: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), deny: Vec::new() }
}

fn shown(events: &[LinkEvent]) -> Vec<String> {
    let show = |event: &LinkEvent| {
        let LinkEvent { change, link } = event;
        let (addresses, gateways) = (&link.addresses, &link.gateways);
        format!("{change:?} {} {addresses:?} via {gateways:?}", link.device)
    };
    events.iter().map(show).collect()
}

#[test]
fn a_recorded_dump_has_the_one_link_there_is() {
    let mut table = Table::new(allow(&["wan*"]));
    for line in include_str!("../../../testdata/dump.hex").lines() {
        assert!(!feed(&mut table, &unhex(line)));
    }
    let up = "Up wan0 [10.77.0.1, 2001:db8:1::1] via [10.77.0.2, 2001:db8:1::2]";
    assert_eq!(shown(&table.changes()), [up]);
    assert!(table.changes().is_empty());
    let link = table.links().next().unwrap();
    assert_eq!((link.kind, link.cost, link.metric), (Kind::Virtual, crate::links::Cost::Flat, 100));
    // Not allowed, veth is none of ours.
    table.set_select(Select::default());
    assert_eq!(table.changes()[0].change, Change::Down);
}

/// What each command of the recording leads to. `!` says that routes may have gone without a word.
const STORY: [(&str, &[&str]); 10] = [
    ("ip link set wan1 up", &[]),
    ("ip addr add 10.77.1.1/24 dev wan1", &[]),
    ("ip route add default via 10.77.1.2 dev wan1 table 7", &["Up wan1 [10.77.1.1] via [10.77.1.2]"]),
    ("ip link set far0 down", &["Down wan0 [10.77.0.1, 2001:db8:1::1] via [10.77.0.2, 2001:db8:1::2]"]),
    ("ip link set far0 up", &["Up wan0 [10.77.0.1, 2001:db8:1::1] via [10.77.0.2, 2001:db8:1::2]"]),
    (
        "ip route replace default via 10.77.0.9 metric 100",
        &["Changed wan0 [10.77.0.1, 2001:db8:1::1] via [10.77.0.9, 2001:db8:1::2]"],
    ),
    ("ip addr del 10.77.1.1/24 dev wan1", &["Down wan1 [10.77.1.1] via [10.77.1.2]", "!"]),
    ("ip link set wan0 down", &["Down wan0 [10.77.0.1, 2001:db8:1::1] via [10.77.0.9, 2001:db8:1::2]"]),
    ("ip link set wan0 name wan9", &[]),
    ("ip link del wan1", &[]),
];

#[test]
fn recorded_events_become_the_changes_that_a_user_would_name() {
    let mut table = Table::new(allow(&["wan*"]));
    for line in include_str!("../../../testdata/dump.hex").lines() {
        feed(&mut table, &unhex(line));
    }
    table.changes();
    let (mut told, mut doubt) = (Vec::new(), false);
    let mut story = STORY.iter();
    for line in include_str!("../../../testdata/events.hex").lines() {
        let Some(command) = line.strip_prefix("# ") else {
            doubt |= feed(&mut table, &unhex(line));
            told.extend(shown(&table.changes()));
            continue;
        };
        // Carrier comes and goes in several messages; the first and the last change are what counts.
        told.dedup_by_key(|line| line.split(' ').next().unwrap().to_owned());
        told.extend(std::mem::take(&mut doubt).then(|| "!".to_owned()));
        let (expected, changes) = story.next().unwrap();
        assert_eq!(
            (command, std::mem::take(&mut told)),
            (*expected, changes.iter().map(|c| (*c).into()).collect())
        );
    }
    assert!(story.next().is_none());
}

fn interface(index: u32, device: &str, up: bool, carrier: bool) -> Fact {
    let marks = Marks { hardware: 1, ..Marks::default() };
    Fact::Interface(Interface { index, device: device.into(), up, carrier, marks })
}

fn address(index: u32, ip: &str, usable: bool, deprecated: bool) -> Fact {
    Fact::Address(index, Address { ip: ip.parse().unwrap(), usable, deprecated })
}

fn route(gateway: &str, metric: u32) -> Route {
    let gateway: IpAddr = gateway.parse().unwrap();
    Route { metric, v6: gateway.is_ipv6(), gateway: Some(gateway), table: 254, source: None }
}

/// A table with one link, told.
fn one() -> Table {
    let mut table = Table::default();
    table.apply(interface(2, "eth0", true, true));
    table.apply(address(2, "192.0.2.5", true, false));
    table.apply(Fact::Route(2, route("192.0.2.1", 100)));
    assert_eq!(table.changes()[0].change, Change::Up);
    table
}

fn told(table: &mut Table, fact: Fact) -> Vec<String> {
    table.apply(fact);
    shown(&table.changes())
}

#[test]
fn the_order_in_which_things_are_said_does_not_matter() {
    let facts = [
        interface(2, "eth0", true, true),
        address(2, "192.0.2.5", true, false),
        Fact::Route(2, route("192.0.2.1", 100)),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut table = Table::default();
        for (said, at) in order.into_iter().enumerate() {
            table.apply(facts[at].clone());
            assert_eq!(table.changes().len(), usize::from(said == 2));
        }
        assert_eq!(table.links().count(), 1);
    }
}

#[test]
fn each_thing_a_link_needs_takes_it_down_when_it_goes() {
    for fact in [
        interface(2, "eth0", true, false),
        interface(2, "eth0", false, true),
        Fact::InterfaceGone(2),
        Fact::AddressGone(2, "192.0.2.5".parse().unwrap()),
        address(2, "192.0.2.5", false, false),
        Fact::RouteGone(2, route("192.0.2.1", 100)),
        Fact::RoutesReplaced { v6: false, table: 254, metric: 100 },
    ] {
        let mut table = one();
        let name = format!("{fact:?}");
        assert_eq!(told(&mut table, fact), ["Down eth0 [192.0.2.5] via [192.0.2.1]"], "{name}");
        assert_eq!(table.links().count(), 0);
    }
}

#[test]
fn carrier_that_comes_back_finds_address_and_route_where_they_were() {
    let mut table = one();
    told(&mut table, interface(2, "eth0", true, false));
    assert_eq!(told(&mut table, interface(2, "eth0", true, true)), ["Up eth0 [192.0.2.5] via [192.0.2.1]"]);
    // An administrator who takes it down takes routes of IPv4 along, and nobody says so.
    told(&mut table, interface(2, "eth0", false, false));
    assert!(told(&mut table, interface(2, "eth0", true, true)).is_empty());
}

#[test]
fn a_protocol_without_a_default_route_has_no_addresses_to_offer() {
    let mut table = one();
    assert!(told(&mut table, address(2, "2001:db8::5", true, false)).is_empty());
    let more = told(&mut table, Fact::Route(2, route("2001:db8::1", 1024)));
    assert_eq!(more, ["Changed eth0 [192.0.2.5, 2001:db8::5] via [192.0.2.1, 2001:db8::1]"]);
    let less = told(&mut table, Fact::RouteGone(2, route("192.0.2.1", 100)));
    assert_eq!(less, ["Changed eth0 [2001:db8::5] via [2001:db8::1]"]);
}

#[test]
fn deprecated_addresses_serve_only_where_there_is_no_other() {
    let mut table = one();
    let changed = told(&mut table, address(2, "192.0.2.6", true, true));
    assert!(changed.is_empty(), "{changed:?}");
    let last = told(&mut table, Fact::AddressGone(2, "192.0.2.5".parse().unwrap()));
    assert_eq!(last, ["Changed eth0 [192.0.2.6] via [192.0.2.1]"]);
}

#[test]
fn the_best_of_several_default_routes_counts() {
    let mut table = one();
    assert!(told(&mut table, Fact::Route(2, route("192.0.2.9", 600))).is_empty());
    let better = told(&mut table, Fact::Route(2, route("192.0.2.7", 50)));
    assert_eq!(better, ["Changed eth0 [192.0.2.5] via [192.0.2.7]"]);
    assert_eq!(table.links().next().unwrap().metric, 50);
}

#[test]
fn a_new_name_and_a_new_interface_of_the_same_name_are_other_links() {
    let mut table = one();
    assert_eq!(
        told(&mut table, interface(2, "wan0", true, true)),
        ["Down eth0 [192.0.2.5] via [192.0.2.1]", "Up wan0 [192.0.2.5] via [192.0.2.1]"]
    );
    table.apply(Fact::InterfaceGone(2));
    table.apply(interface(3, "wan0", true, true));
    table.apply(address(3, "192.0.2.5", true, false));
    let again = told(&mut table, Fact::Route(3, route("192.0.2.1", 100)));
    assert_eq!(again, ["Down wan0 [192.0.2.5] via [192.0.2.1]", "Up wan0 [192.0.2.5] via [192.0.2.1]"]);
}

#[test]
fn who_is_still_there_after_an_overrun_has_not_changed() {
    let mut table = one();
    table.forget();
    table.apply(interface(2, "eth0", true, true));
    table.apply(address(2, "192.0.2.5", true, false));
    table.apply(Fact::Route(2, route("192.0.2.1", 100)));
    assert!(table.changes().is_empty());
    table.forget();
    assert_eq!(table.changes()[0].change, Change::Down);
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let index = 1_u32..4;
    let ip = |last: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    prop_oneof![
        (index.clone(), any::<bool>(), any::<bool>()).prop_map(|(index, up, carrier)| interface(
            index,
            &format!("eth{index}"),
            up,
            carrier
        )),
        index.clone().prop_map(Fact::InterfaceGone),
        (index.clone(), 1_u8..4, any::<bool>(), any::<bool>()).prop_map(
            move |(index, last, usable, deprecated)| {
                Fact::Address(index, Address { ip: ip(last), usable, deprecated })
            }
        ),
        (index.clone(), 1_u8..4).prop_map(move |(index, last)| Fact::AddressGone(index, ip(last))),
        (index.clone(), 1_u8..4, 0_u32..3)
            .prop_map(|(index, last, metric)| Fact::Route(index, route(&format!("192.0.2.{last}"), metric))),
        (index, 1_u8..4, 0_u32..3).prop_map(|(index, last, metric)| Fact::RouteGone(
            index,
            route(&format!("192.0.2.{last}"), metric)
        )),
    ]
}

proptest! {
    #[test]
    fn who_follows_the_events_knows_the_links(facts in proptest::collection::vec(any_fact(), 0..60)) {
        let mut table = Table::default();
        let mut follower: BTreeMap<String, Link> = BTreeMap::new();
        for fact in facts {
            table.apply(fact);
            for LinkEvent { change, link } in table.changes() {
                let known = follower.get(&link.device);
                match change {
                    Change::Up => prop_assert!(known.is_none()),
                    Change::Changed => prop_assert!(known.is_some_and(|known| *known != link)),
                    Change::Down => prop_assert!(known.is_some_and(|known| *known == link)),
                }
                if change == Change::Down {
                    follower.remove(&link.device);
                } else {
                    follower.insert(link.device.clone(), link);
                }
            }
            prop_assert!(table.links().eq(follower.values()));
        }
    }
}
