//! What the network says about datagrams that did not make it.

use super::support::*;

/// a - r - b with 5 ms each, and an MTU on the second link.
fn narrow(icmp: bool) -> (World, [NodeId; 3]) {
    let mut world = World::new(1);
    let (a, r, b) = (world.host("a"), world.router("r"), world.host("b"));
    world.link("ar", End::new(a, [10, 0, 1, 1]), End::new(r, [10, 0, 1, 2]), &wire(5));
    let mtu = Some(Mtu { bytes: 1280, icmp });
    let config = DirectionConfig { delay: millis(5), mtu, ..DirectionConfig::default() };
    world.link("rb", End::new(r, [10, 0, 2, 1]), End::new(b, [10, 0, 2, 2]), &LinkConfig::symmetric(config));
    (world, [a, r, b])
}

#[test]
fn too_big_is_told_after_the_way_back_and_the_limit_is_exact() {
    for icmp in [true, false] {
        let (mut world, [a, _, b]) = narrow(icmp);
        let there = Probe::new(&["10.0.2.2:443"]).run(&mut world, b);
        let probe = Probe::new(&["10.0.1.1:1"]).sends(Order::new(ms(0), "10.0.2.2:443", 1253));
        let log = probe.sends(Order::new(ms(0), "10.0.2.2:443", 1252)).run(&mut world, a);
        finish(&mut world);
        assert_eq!(there.borrow().datagrams.len(), 1);
        let notice = Notice::TooBig { socket: 0, remote: addr("10.0.2.2:443"), mtu: 1280 };
        let expected = if icmp { vec![(ms(10), notice)] } else { Vec::new() };
        assert_eq!(log.borrow().notices, expected);
        assert_eq!(world.books().dropped(Reason::Link(Drop::TooBig)), 1);
    }
}

#[test]
fn too_big_for_the_first_link_or_for_ip_is_told_at_once() {
    let (mut world, [_, _, b]) = narrow(true);
    let probe = Probe::new(&["10.0.2.2:1"]).sends(Order::new(ms(3), "10.0.1.1:443", 1253));
    let long = Order { segment: usize::MAX, ..Order::new(ms(4), "10.0.1.1:443", 65_508) };
    let log = probe.sends(long).run(&mut world, b);
    finish(&mut world);
    let remote = addr("10.0.1.1:443");
    let notice = |mtu| Notice::TooBig { socket: 0, remote, mtu };
    assert_eq!(log.borrow().notices, [(ms(3), notice(1280)), (ms(4), notice(65_535))]);
}

#[test]
fn a_port_nobody_listens_on_is_told_after_a_round_trip() {
    let (mut world, [a, _, b]) = narrow(true);
    Probe::new(&["10.0.2.2:443"]).run(&mut world, b);
    let log = Probe::new(&["0.0.0.0:1"]).sends(Order::new(ms(0), "10.0.2.2:444", 10)).run(&mut world, a);
    finish(&mut world);
    let notice = Notice::Unreachable { socket: 0, remote: addr("10.0.2.2:444") };
    assert_eq!(log.borrow().notices, [(ms(20), notice)]);
    assert_eq!(world.books().dropped(Reason::NoSocket), 1);
}

#[test]
fn a_destination_without_route_is_told_by_who_knows_none() {
    let (mut world, [a, ..]) = narrow(true);
    // A wildcard socket finds no route itself, a bound one sends on.
    let probe = Probe::new(&["0.0.0.0:1", "10.0.1.1:2"]).sends(Order::new(ms(0), "10.9.9.9:1", 10));
    let log = probe.sends(Order { socket: 1, ..Order::new(ms(1), "10.9.9.9:2", 10) }).run(&mut world, a);
    finish(&mut world);
    let expected = [
        (ms(0), Notice::Unreachable { socket: 0, remote: addr("10.9.9.9:1") }),
        (ms(11), Notice::Unreachable { socket: 1, remote: addr("10.9.9.9:2") }),
    ];
    assert_eq!(log.borrow().notices, expected);
    assert_eq!(world.books().dropped(Reason::NoRoute), 2);
}

#[test]
fn messages_take_links_and_may_be_lost_there() {
    let (mut world, [a, r, _]) = narrow(true);
    let link = world.link_named("ar").unwrap();
    world.set_direction(link, Direction::Down, ms(0), Change::Loss(1_000_000));
    let log = Probe::new(&["10.0.1.1:1"]).sends(Order::new(ms(0), "10.0.2.2:443", 1400)).run(&mut world, a);
    finish(&mut world);
    assert!(log.borrow().notices.is_empty());
    assert_eq!(world.totals(r).icmp, 1);
    assert_eq!(world.counters(link, Direction::Down).offered_bytes, 56);
    assert_eq!(world.books().dropped(Reason::Link(Drop::Loss)), 1);
}
