//! Messages as kernels write them, and as they never would.

use proptest::prelude::*;

use super::*;
use crate::netlink::{Request, messages};

fn facts(bytes: &[u8]) -> Vec<Fact> {
    let mut facts = Vec::new();
    messages(bytes).for_each(|message| read(&message, &mut facts));
    facts
}

fn route_message(table: u8, kind: u8) -> Request {
    Request::new(libc::RTM_NEWROUTE, 0, &[libc::AF_INET as u8, 0, 0, 0, table, 3, 0, kind, 0, 0, 0, 0])
}

fn address_message(flags: u8, scope: u8) -> Request {
    Request::new(libc::RTM_NEWADDR, 0, &[libc::AF_INET6 as u8, 64, flags, scope, 3, 0, 0, 0])
}

#[test]
fn a_default_route_tells_interface_gateway_metric_and_table() {
    let message = route_message(0, libc::RTN_UNICAST)
        .with_u32(libc::RTA_TABLE, 1000)
        .with_u32(libc::RTA_OIF, 4)
        .with(libc::RTA_GATEWAY, &[192, 0, 2, 1])
        .with_u32(libc::RTA_PRIORITY, 600)
        .with(libc::RTA_PREFSRC, &[192, 0, 2, 9]);
    let route = Route {
        metric: 600,
        v6: false,
        gateway: Some("192.0.2.1".parse().unwrap()),
        table: 1000,
        source: Some("192.0.2.9".parse().unwrap()),
    };
    assert_eq!(facts(&message.bytes(0)), [Fact::Route(4, route)]);
}

#[test]
fn a_route_over_several_interfaces_counts_for_each_that_lives() {
    let hop = |flags: u8, index: u8, gateway: u8| {
        let mut hop = vec![16, 0, flags, 0, index, 0, 0, 0];
        hop.extend([8, 0, libc::RTA_GATEWAY as u8, 0, 192, 0, 2, gateway]);
        hop
    };
    let hops = [hop(0, 4, 1), hop(RTNH_F_DEAD, 5, 2), hop(0, 6, 3)].concat();
    let message = route_message(254, libc::RTN_UNICAST).with(libc::RTA_MULTIPATH, &hops);
    let found: Vec<(u32, Option<IpAddr>)> = facts(&message.bytes(0))
        .into_iter()
        .map(|fact| match fact {
            Fact::Route(index, route) => (index, route.gateway),
            other => panic!("{other:?}"),
        })
        .collect();
    let gateway = |last| Some(IpAddr::from([192, 0, 2, last]));
    assert_eq!(found, [(4, gateway(1)), (6, gateway(3))]);
}

#[test]
fn routes_that_lead_nowhere_or_not_everywhere_say_nothing() {
    let unreachable = route_message(254, libc::RTN_UNREACHABLE).with_u32(libc::RTA_OIF, 1);
    assert_eq!(facts(&unreachable.bytes(0)), []);
    let no_interface = route_message(254, libc::RTN_UNICAST);
    assert_eq!(facts(&no_interface.bytes(0)), []);
    let mut narrow = route_message(254, libc::RTN_UNICAST).with_u32(libc::RTA_OIF, 4).bytes(0);
    narrow[17] = 24;
    assert_eq!(facts(&narrow), []);
}

#[test]
fn a_next_hop_that_is_gone_casts_doubt() {
    assert_eq!(facts(&Request::new(RTM_DELNEXTHOP, 0, &[0; 8]).bytes(0)), [Fact::NextHopGone]);
}

#[test]
fn a_route_that_replaces_says_so_once() {
    let message =
        Request::new(libc::RTM_NEWROUTE, libc::NLM_F_REPLACE, &[2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
    let found = facts(&message.with_u32(libc::RTA_OIF, 4).bytes(0));
    assert!(matches!(
        found[..],
        [Fact::RoutesReplaced { v6: false, table: 254, metric: 0 }, Fact::Route(4, _)]
    ));
}

#[test]
fn the_own_end_of_a_point_to_point_interface_is_its_address() {
    let message = Request::new(libc::RTM_NEWADDR, 0, &[libc::AF_INET as u8, 32, 0, 0, 7, 0, 0, 0])
        .with(libc::IFA_ADDRESS, &[198, 51, 100, 1])
        .with(libc::IFA_LOCAL, &[203, 0, 113, 5]);
    let Fact::Address(7, address) = facts(&message.bytes(0))[0] else { panic!() };
    assert_eq!(address.ip, IpAddr::from([203, 0, 113, 5]));
    assert!(address.usable);
}

#[test]
fn addresses_are_usable_when_they_are_proven_and_reach_far() {
    let usable = |message: Request, ip: &str| {
        let ip: Ipv6Addr = ip.parse().unwrap();
        let facts = facts(&message.with(libc::IFA_ADDRESS, &ip.octets()).bytes(0));
        let [Fact::Address(3, address)] = facts[..] else { panic!("{facts:?}") };
        address.usable
    };
    let flags = |flags: u32| address_message(0, 0).with_u32(libc::IFA_FLAGS, flags);
    assert!(usable(address_message(0, 0), "2001:db8::1"));
    assert!(!usable(address_message(libc::IFA_F_TENTATIVE as u8, 0), "2001:db8::1"));
    assert!(usable(flags(libc::IFA_F_TENTATIVE | libc::IFA_F_OPTIMISTIC), "2001:db8::1"));
    assert!(!usable(flags(libc::IFA_F_DADFAILED), "2001:db8::1"));
    assert!(!usable(address_message(0, libc::RT_SCOPE_LINK), "2001:db8::1"));
    assert!(!usable(address_message(0, 0), "fe80::1"));
    assert!(usable(address_message(0, 0), "fd00::1"));
}

#[test]
fn an_interface_carries_when_the_driver_and_the_state_say_so() {
    let carrier = |flags: i32, state: u8| {
        let mut header = vec![0, 0, 1, 0, 9, 0, 0, 0];
        header.extend((flags as u32).to_ne_bytes());
        header.extend([0; 4]);
        let message = Request::new(libc::RTM_NEWLINK, 0, &header)
            .with(libc::IFLA_IFNAME, b"eth0\0")
            .with(libc::IFLA_OPERSTATE, &[state]);
        let facts = facts(&message.bytes(0));
        let [Fact::Interface(interface)] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!((interface.index, interface.device.as_str()), (9, "eth0"));
        interface.carrier
    };
    let both = libc::IFF_UP | libc::IFF_LOWER_UP;
    assert!(carrier(both, 6) && carrier(both, 0));
    assert!(!carrier(both, 2) && !carrier(both, 5) && !carrier(libc::IFF_UP, 6));
}

#[test]
fn what_bridges_and_radios_say_about_interfaces_is_left_out() {
    let header = |family: i32| {
        let mut header = vec![family as u8, 0, 1, 0, 9, 0, 0, 0];
        header.extend([1, 0, 1, 0, 0, 0, 0, 0]);
        header
    };
    let port = |kind| Request::new(kind, 0, &header(libc::AF_BRIDGE)).with(libc::IFLA_IFNAME, b"eth0\0");
    assert_eq!(facts(&port(libc::RTM_NEWLINK).bytes(0)), []);
    assert_eq!(facts(&port(libc::RTM_DELLINK).bytes(0)), []);
    let radio = Request::new(libc::RTM_NEWLINK, 0, &header(libc::AF_UNSPEC))
        .with(libc::IFLA_IFNAME, b"wlan0\0")
        .with(libc::IFLA_WIRELESS, &[0; 8]);
    assert_eq!(facts(&radio.bytes(0)), []);
    let gone = Request::new(libc::RTM_DELLINK, 0, &header(libc::AF_UNSPEC));
    assert_eq!(facts(&gone.bytes(0)), [Fact::InterfaceGone(9)]);
}

fn recorded() -> Vec<u8> {
    let text =
        concat!(include_str!("../../../testdata/dump.hex"), include_str!("../../../testdata/events.hex"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(crate::links::table::tests::unhex).collect()
}

#[test]
fn real_messages_cut_anywhere_are_read_without_harm() {
    let bytes = recorded();
    assert!(facts(&bytes).len() > 40);
    for end in (0..bytes.len()).step_by(7) {
        facts(&bytes[..end]);
    }
}

proptest! {
    #[test]
    fn bad_messages_never_panic(at in 0_usize..20_000, bytes in proptest::collection::vec(any::<u8>(), 1..12)) {
        let mut all = recorded();
        let at = at % (all.len() - bytes.len());
        all[at..at + bytes.len()].copy_from_slice(&bytes);
        facts(&all);
    }

    #[test]
    fn any_body_is_read_without_harm(
        kind in 16_u16..32,
        body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        facts(&Request::new(kind, 0, &body).bytes(0));
    }
}
