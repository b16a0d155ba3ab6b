//! Every packet is accounted for, whatever the network and whatever happens to it.

use proptest::prelude::*;
use tq_linkmodel::{BottleneckConfig, Jitter, NatConfig, Queue};

use super::support::*;

/// A link of a random network: ends, delay in ms, trouble (0 none to 3), whether it has a translator at its first end.
type Edge = (usize, usize, u64, u8, bool);
/// A datagram: moment in ms, node, destination node, length.
type Shot = (u64, usize, usize, usize);
/// A change: moment in ms, link, kind, whether it is announced.
type Turn = (u64, usize, u8, bool);

fn config(trouble: u8, delay: u64) -> LinkConfig {
    let plain = DirectionConfig { delay: millis(delay), ..DirectionConfig::default() };
    let bad = DirectionConfig {
        rate: Rate::mbps(1),
        queue: Queue::Packets(8),
        jitter: Jitter::Uniform(millis(4)),
        reorder: true,
        loss_ppm: 100_000,
        corrupt_ppm: 100_000,
        duplicate_ppm: 200_000,
        ..plain.clone()
    };
    match trouble {
        0 => LinkConfig::symmetric(plain),
        1 => LinkConfig { up: bad, down: plain },
        2 => LinkConfig::symmetric(DirectionConfig { mtu: Some(Mtu { bytes: 700, icmp: true }), ..bad }),
        _ => LinkConfig {
            up: DirectionConfig { bottleneck: Some(u32::from(trouble) - 3), ..plain },
            down: bad,
        },
    }
}

fn change(kind: u8) -> Change {
    match kind {
        0 => Change::State(State::Up),
        1 => Change::State(State::Down),
        2 => Change::State(State::Silent),
        3 => Change::Rate(Rate::Fixed(20_000)),
        4 => Change::Delay(millis(1)),
        _ => Change::Mtu(Some(Mtu { bytes: 300, icmp: true })),
    }
}

/// Runs a random network and checks the books again and again.
fn run(nodes: &[bool], edges: &[Edge], shots: &[Shot], turns: &[Turn]) -> Result<World, TestCaseError> {
    let mut world = World::new(5);
    let ids: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(index, router)| {
            let name = format!("{index}");
            if *router { world.router(name) } else { world.host(name) }
        })
        .collect();
    world.bottleneck(
        0,
        &BottleneckConfig { rate: Rate::mbps(1), queue: Queue::Packets(4), ..Default::default() },
    );
    let (mut links, mut first) = (Vec::new(), vec![None; ids.len()]);
    for (index, (a, b, delay, trouble, nat)) in edges.iter().enumerate() {
        let (a, b) = (a % ids.len(), b % ids.len());
        let address = |host| ip(&format!("10.{index}.0.{host}"));
        first[a].get_or_insert(address(1));
        first[b].get_or_insert(address(2));
        let ends = [End::new(ids[a], address(1)), End::new(ids[b], address(2))];
        let link = world.link(format!("{index}"), ends[0], ends[1], &config(*trouble, *delay));
        links.push(link);
        if *nat {
            world.nat(link, ids[a], NatConfig::new(address(1))).unwrap();
        }
    }
    let mut orders = vec![Vec::new(); ids.len()];
    for (at, from, to, len) in shots {
        let to = first[to % ids.len()].unwrap_or(ip("10.99.0.1"));
        orders[from % ids.len()]
            .push(Order { segment: 500, ..Order::new(ms(*at), &format!("{to}:443"), *len) });
    }
    let mut programs = Vec::new();
    for (index, orders) in orders.into_iter().enumerate() {
        let echo = Probe::new(&["0.0.0.0:443"]).echoes();
        let probe = orders.into_iter().fold(Probe::new(&["0.0.0.0:1"]), Probe::sends);
        programs.push(echo.spawn(&mut world, ids[index]).0);
        programs.push(probe.spawn(&mut world, ids[index]).0);
    }
    for (at, which, kind, announced) in turns {
        let (at, kind) = (ms(*at), *kind);
        let (link, program) = (links[which % links.len()], programs[which % programs.len()]);
        if kind == 6 {
            world.at(at, move |world| drop(world.remove(program)));
        } else if *announced {
            world.set(link, at, change(kind));
        } else {
            world.at(at, move |world| world.set(link, at, change(kind)));
        }
    }
    let mut at = 0;
    while world.next_event().is_some() && at < 100_000 {
        at += 7;
        world.run_until(ms(at)).unwrap();
        prop_assert_eq!(world.check(), Ok(()));
    }
    prop_assert_eq!(world.books().in_flight, 0);
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_is_delivered_dropped_or_in_flight(
        nodes in prop::collection::vec(any::<bool>(), 2..8),
        edges in prop::collection::vec((0..8usize, 0..8usize, 0..30u64, 0..5u8, prop::bool::weighted(0.2)), 1..12),
        shots in prop::collection::vec((0..200u64, 0..8usize, 0..8usize, 1..2500usize), 1..40),
        turns in prop::collection::vec((0..200u64, 0..16usize, 0..7u8, any::<bool>()), 0..8),
    ) {
        let world = run(&nodes, &edges, &shots, &turns)?;
        let again = run(&nodes, &edges, &shots, &turns)?;
        prop_assert_eq!(world.books(), again.books());
    }
}

#[test]
fn what_is_under_way_is_in_flight() {
    let mut pair = Pair::new(&wire(100));
    Probe::new(&[B]).run(&mut pair.world, pair.b);
    let probe = Probe::new(&[A]).sends(Order { segment: 100, ..Order::new(ms(0), B, 500) });
    probe.sends(Order::new(ms(70), B, 100)).run(&mut pair.world, pair.a);
    pair.world.run_until(ms(50)).unwrap();
    pair.world.check().unwrap();
    assert_eq!(pair.world.books().in_flight, 6);
    pair.finish();
    assert_eq!(pair.world.books().delivered, 6);
    let (a, b) = (pair.world.totals(pair.a), pair.world.totals(pair.b));
    assert_eq!((a.sent, a.sent_bytes, b.received, b.received_bytes), (6, 600, 6, 600));
}
