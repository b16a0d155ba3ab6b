//! Translators: mappings live, die and move, and messages find their way back.

use tq_linkmodel::NatConfig;
use tq_sim::NatId;

use super::support::*;

const SERVER: &str = "198.51.100.1:443";
const CLIENT: &str = "192.168.0.2:1000";

/// A client behind a router with an outside address of 203.0.113.1 and a timeout of 30 s; 5 ms each link.
fn home() -> (World, [NodeId; 3], [LinkId; 2], NatId) {
    let mut world = World::new(9);
    let (client, router, server) = (world.host("client"), world.router("router"), world.host("server"));
    let inside = world.link(
        "inside",
        End::new(client, ip("192.168.0.2")),
        End::new(router, ip("192.168.0.1")),
        &wire(5),
    );
    let outside = world.link(
        "outside",
        End::new(router, ip("203.0.113.1")),
        End::new(server, ip("198.51.100.1")),
        &wire(5),
    );
    let config = NatConfig { timeout: Duration::from_secs(30), ..NatConfig::new(ip("203.0.113.1")) };
    let nat = world.nat(outside, router, config).unwrap();
    (world, [client, router, server], [inside, outside], nat)
}

#[test]
fn the_server_sees_the_outside_and_its_answer_gets_in() {
    let (mut world, [client, _, server], ..) = home();
    let there = Probe::new(&[SERVER]).echoes().run(&mut world, server);
    let back = Probe::new(&[CLIENT]).sends(Order::new(ms(0), SERVER, 10)).run(&mut world, client);
    finish(&mut world);
    assert_eq!(there.borrow().last_remote().ip(), ip("203.0.113.1"));
    let back = back.borrow();
    assert_eq!((back.datagrams[0].0, back.datagrams[0].1.local), (ms(20), addr(CLIENT)));
    assert_eq!(back.last_remote(), addr(SERVER));
}

#[test]
fn a_silent_mapping_dies_and_the_next_packet_has_another_port() {
    let (mut world, [client, _, server], ..) = home();
    let there = Probe::new(&[SERVER]).echoes().run(&mut world, server);
    let probe = Probe::new(&[CLIENT]).sends(Order::new(ms(0), SERVER, 10));
    let probe = probe.sends(Order::new(ms(20_000), SERVER, 10)).sends(Order::new(ms(60_000), SERVER, 10));
    let back = probe.run(&mut world, client);
    world.run_until(ms(55_000)).unwrap();
    // The server speaks up after the mapping's death.
    let last = there.borrow().last_remote().to_string();
    let late = Order::new(ms(55_000), &last, 10);
    Probe::new(&["198.51.100.1:444"]).sends(late).run(&mut world, server);
    finish(&mut world);
    let remotes: Vec<_> = there.borrow().datagrams.iter().map(|(_, meta, _)| meta.remote).collect();
    assert_eq!(remotes[0], remotes[1]);
    assert_ne!(remotes[1], remotes[2]);
    assert_eq!(back.borrow().datagrams.len(), 3);
    assert_eq!(world.books().dropped(Reason::Nat), 1);
}

#[test]
fn rebinding_moves_a_flow_to_another_port_and_address() {
    let (mut world, [client, _, server], _, nat) = home();
    let there = Probe::new(&[SERVER]).echoes().run(&mut world, server);
    let mut probe = Probe::new(&[CLIENT]);
    for at in [0, 1000, 2000] {
        probe = probe.sends(Order::new(ms(at), SERVER, 10));
    }
    let back = probe.run(&mut world, client);
    world.at(ms(500), move |world| world.rebind(nat));
    world.at(ms(1500), move |world| world.rebind_to(nat, ip("203.0.113.99")));
    finish(&mut world);
    let remotes: Vec<_> = there.borrow().datagrams.iter().map(|(_, meta, _)| meta.remote).collect();
    assert_eq!(
        remotes.iter().map(|end| end.ip()).collect::<Vec<_>>(),
        [ip("203.0.113.1"), ip("203.0.113.1"), ip("203.0.113.99")]
    );
    assert_ne!(remotes[0], remotes[1]);
    assert_eq!(back.borrow().datagrams.len(), 3, "the new outside address is routed too");
}

#[test]
fn nobody_finds_the_inside_from_outside() {
    let (mut world, [_, router, server], [_, outside], _) = home();
    let probe = Probe::new(&["0.0.0.0:443"]).sends(Order::new(ms(0), CLIENT, 10));
    // Neither by a route of his own, nor by the outside address without a mapping.
    let probe = probe.sends(Order::new(ms(10), "203.0.113.1:5000", 10)).sends(Order::new(ms(20), CLIENT, 10));
    let log = probe.run(&mut world, server);
    world.at(ms(15), move |world| world.route(server, ip("192.168.0.2"), outside));
    finish(&mut world);
    assert_eq!(log.borrow().notices.len(), 1, "no route to the first");
    assert_eq!(world.books().dropped(Reason::Nat), 2);
    assert_eq!(world.totals(router).forwarded, 0);
}

#[test]
fn messages_about_translated_datagrams_reach_the_inside() {
    let (mut world, [client, _, server], [_, outside], _) = home();
    let mtu = Mtu { bytes: 1000, icmp: true };
    world.set_direction(outside, Direction::Up, ms(0), Change::Mtu(Some(mtu)));
    // The first finds no socket at the server, the second does not fit behind the translator.
    let probe = Probe::new(&[CLIENT]).sends(Order::new(ms(0), SERVER, 10));
    let log = probe.sends(Order::new(ms(100), SERVER, 1200)).run(&mut world, client);
    finish(&mut world);
    let remote = addr(SERVER);
    let expected = [
        (ms(20), Notice::Unreachable { socket: 0, remote }),
        (ms(110), Notice::TooBig { socket: 0, remote, mtu: 1000 }),
    ];
    assert_eq!(log.borrow().notices, expected);
    let _ = server;
}

#[test]
fn messages_from_inside_name_the_outside() {
    let (mut world, [client, _, server], ..) = home();
    // The client speaks from a socket that closes before the answer comes.
    let (id, _) = Probe::new(&[CLIENT]).sends(Order::new(ms(0), SERVER, 10)).spawn(&mut world, client);
    let there = Probe::new(&[SERVER]).echoes().run(&mut world, server);
    world.at(ms(1), move |world| assert!(world.remove(id).is_some()));
    finish(&mut world);
    let there = there.borrow();
    let remote = there.last_remote();
    assert_eq!(there.notices, [(ms(30), Notice::Unreachable { socket: 0, remote })]);
}

#[test]
fn a_host_may_be_behind_a_translator_of_its_own() {
    let mut pair = Pair::new(&wire(5));
    let Pair { world, a, b, link } = &mut pair;
    world.nat(*link, *a, NatConfig::new(ip("203.0.113.5"))).unwrap();
    let there = Probe::new(&[B]).echoes().run(world, *b);
    let back = Probe::new(&[A]).sends(Order::new(ms(0), B, 10)).run(world, *a);
    pair.finish();
    assert_eq!(there.borrow().last_remote().ip(), ip("203.0.113.5"));
    assert_eq!(back.borrow().moments(), [ms(10)]);
}
