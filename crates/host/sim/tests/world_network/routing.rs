//! Ways through the network.

use tq_sim::Prefix;

use super::support::*;

/// a - r1 - r2 - b with 1 ms each, and a detour r1 - r3 - r4 - r2.
fn net() -> (World, [NodeId; 6], [LinkId; 6]) {
    let mut world = World::new(1);
    let a = world.host("a");
    let r = [1, 2, 3, 4].map(|index| world.router(format!("r{index}")));
    let b = world.host("b");
    let mut subnet = 0;
    let mut join = |x: NodeId, y: NodeId| {
        subnet += 1;
        let end = |node, host| End::new(node, [10, 0, subnet, host]);
        world.link(format!("{subnet}"), end(x, 1), end(y, 2), &wire(1))
    };
    let links = [
        join(a, r[0]),
        join(r[0], r[2]),
        join(r[2], r[3]),
        join(r[3], r[1]),
        join(r[0], r[1]),
        join(r[1], b),
    ];
    (world, [a, r[0], r[1], r[2], r[3], b], links)
}

#[test]
fn packets_take_the_shortest_way_there_and_back() {
    let (mut world, [a, .., b], links) = net();
    let there = Probe::new(&["10.0.6.2:443"]).echoes().run(&mut world, b);
    let back = Probe::new(&["0.0.0.0:0"]).sends(Order::new(ms(0), "10.0.6.2:443", 10)).run(&mut world, a);
    finish(&mut world);
    assert_eq!(there.borrow().moments(), [ms(3)]);
    assert_eq!(back.borrow().moments(), [ms(6)]);
    assert_eq!(world.arrived(links[1], Direction::Up), 0, "not by the detour");
    assert_eq!(world.totals(world.node("r1").unwrap()).forwarded, 2);
}

#[test]
fn given_routes_win_and_the_longest_prefix_among_them() {
    let (mut world, [a, r1, .., b], links) = net();
    let log = Probe::new(&["10.0.6.2:443"]).run(&mut world, b);
    let order = |at| Order::new(ms(at), "10.0.6.2:443", 10);
    Probe::new(&["0.0.0.0:1"]).sends(order(0)).sends(order(100)).run(&mut world, a);
    world.route(r1, Prefix::new([10, 0, 0, 0], 8), links[4]);
    world.route(r1, Prefix::new([10, 0, 6, 0], 24), links[1]);
    // Later the other prefix is the longest.
    world.at(ms(50), move |world| world.route(r1, ip("10.0.6.2"), links[4]));
    finish(&mut world);
    assert_eq!(log.borrow().moments(), [ms(5), ms(103)]);
}

#[test]
fn a_routing_loop_ends_by_ttl() {
    let (mut world, [a, r1, r2, ..], links) = net();
    world.route(r2, ip("10.0.6.2"), links[4]);
    world.route(r1, ip("10.0.6.2"), links[4]);
    Probe::new(&["0.0.0.0:1"]).sends(Order::new(ms(0), "10.0.6.2:443", 10)).run(&mut world, a);
    finish(&mut world);
    assert_eq!(world.books().dropped(Reason::Ttl), 1);
    assert_eq!(world.totals(r1).forwarded + world.totals(r2).forwarded, 63);
}

#[test]
fn hosts_pass_nothing_on() {
    let mut world = World::new(1);
    let [a, b, c] = ["a", "b", "c"].map(|name| world.host(name));
    let ab = world.link("ab", End::new(a, [10, 0, 0, 1]), End::new(b, [10, 0, 0, 2]), &wire(1));
    world.link("bc", End::new(b, [10, 0, 1, 1]), End::new(c, [10, 0, 1, 2]), &wire(1));
    let order = Order::new(ms(0), "10.0.1.2:443", 10);
    let log = Probe::new(&["0.0.0.0:1"]).sends(order).run(&mut world, a);
    world.at(ms(10), move |world| {
        world.route(a, Prefix::new([0, 0, 0, 0], 0), ab);
        let order = Order::new(ms(0), "10.0.1.2:443", 10);
        Probe::new(&["0.0.0.0:2"]).sends(order).run(world, a);
    });
    finish(&mut world);
    assert_eq!(log.borrow().notices.len(), 1, "no route is found: {log:?}");
    assert_eq!(world.books().dropped(Reason::NotMine), 1);
}

#[test]
fn a_bound_socket_leaves_by_its_interface_and_a_wildcard_by_routes_or_the_given_address() {
    let mut world = World::new(1);
    let (a, r, b) = (world.host("a"), world.router("r"), world.host("b"));
    let one = world.link("one", End::new(a, [10, 0, 1, 1]), End::new(r, [10, 0, 1, 2]), &wire(10));
    let two = world.link("two", End::new(a, [10, 0, 2, 1]), End::new(r, [10, 0, 2, 2]), &wire(20));
    world.link("rb", End::new(r, [10, 0, 3, 1]), End::new(b, [10, 0, 3, 2]), &wire(1));
    let log = Probe::new(&["0.0.0.0:443"]).run(&mut world, b);
    let order = |at, socket, local: Option<&str>| Order {
        socket,
        local: local.map(ip),
        ..Order::new(ms(at), "10.0.3.2:443", 10)
    };
    Probe::new(&["10.0.2.1:5", "0.0.0.0:6", "10.9.9.9:7"])
        .sends(order(0, 0, None))
        .sends(order(100, 1, None))
        .sends(order(200, 1, Some("10.0.2.1")))
        // An address the host does not have, and a socket the program does not have.
        .sends(order(300, 2, None))
        .sends(order(400, 9, None))
        .run(&mut world, a);
    finish(&mut world);
    let seen: Vec<_> = log.borrow().datagrams.iter().map(|(at, meta, _)| (*at, meta.remote)).collect();
    let expected =
        [(ms(21), addr("10.0.2.1:5")), (ms(111), addr("10.0.1.1:6")), (ms(221), addr("10.0.2.1:6"))];
    assert_eq!(seen, expected);
    assert_eq!([one, two].map(|link| world.arrived(link, Direction::Up)), [1, 2]);
    assert_eq!(world.books().dropped(Reason::NoAddress), 1);
    assert_eq!(world.books().dropped(Reason::NoSocket), 1);
}

#[test]
fn both_families_share_a_link_and_a_wildcard_socket() {
    let mut pair = Pair::new(&wire(1));
    let Pair { world, a, b, link } = &mut pair;
    world.add_address(*link, *a, ip("fd00::1"));
    world.add_address(*link, *b, ip("fd00::2"));
    let log = Probe::new(&["[::]:443"]).echoes().run(world, *b);
    let four = Probe::new(&["0.0.0.0:1"]).sends(Order::new(ms(0), B, 10));
    let four = four.sends(Order::new(ms(5), "[fd00::2]:443", 10)).run(world, *a);
    let both = Probe::new(&["[::]:2"]).sends(Order::new(ms(10), B, 10));
    let both = both.sends(Order::new(ms(15), "[fd00::2]:443", 10)).run(world, *a);
    pair.finish();
    let remotes: Vec<_> = log.borrow().datagrams.iter().map(|(_, meta, _)| meta.remote).collect();
    assert_eq!(remotes, ["10.0.0.1:1", "10.0.0.1:2", "[fd00::1]:2"].map(addr));
    assert_eq!((four.borrow().datagrams.len(), both.borrow().datagrams.len()), (1, 2));
    assert_eq!(pair.world.books().dropped(Reason::NoAddress), 1, "a socket for IPv4 cannot send IPv6");
    let bytes = pair.world.counters(pair.link, Direction::Up).offered_bytes;
    assert_eq!(bytes, 2 * (20 + 8 + 10) + (40 + 8 + 10));
}
