//! What links do reaches the programs: delay, rate, queues, marks, copies, damage.

use tq_linkmodel::{BottleneckConfig, Queue};

use super::support::*;

#[test]
fn a_datagram_arrives_with_its_bytes_after_the_delay() {
    let mut pair = Pair::new(&wire(10));
    let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
    Probe::new(&[A]).sends(Order::new(ms(3), B, 100)).run(&mut pair.world, pair.a);
    pair.finish();
    let log = log.borrow();
    let meta = Meta { socket: 0, local: addr(B), remote: addr(A), ecn: Ecn::Ect0 };
    assert_eq!(log.datagrams, [(ms(13), meta, vec![7; 100])]);
}

#[test]
fn departures_are_honoured_to_the_nanosecond_and_trains_leave_as_segments() {
    let mut pair = Pair::new(&wire(1));
    let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
    let late = Instant::from_nanos(123_456_789);
    let train = Order { segment: 400, ..Order::new(late, B, 1000) };
    // Asked for in the wrong order.
    let early = Order::new(us(1), B, 50);
    Probe::new(&[A]).sends(train).sends(early).run(&mut pair.world, pair.a);
    pair.finish();
    let log = log.borrow();
    let lens: Vec<_> = log.datagrams.iter().map(|(_, _, bytes)| bytes.len()).collect();
    assert_eq!(lens, [50, 400, 400, 200]);
    let expected = [us(1001), late + millis(1), late + millis(1), late + millis(1)];
    assert_eq!(log.moments(), expected);
}

#[test]
fn up_is_from_a_to_b_and_the_directions_differ() {
    let config = LinkConfig {
        up: DirectionConfig { rate: Rate::Fixed(1_028_000), delay: millis(5), ..DirectionConfig::default() },
        down: DirectionConfig { delay: millis(50), ..DirectionConfig::default() },
    };
    let mut pair = Pair::new(&config);
    let b = Probe::new(&[B]).echoes().run(&mut pair.world, pair.b);
    let a = Probe::new(&[A]).sends(Order::new(ms(0), B, 1000)).run(&mut pair.world, pair.a);
    pair.finish();
    // 1028 bytes of IP take a millisecond up.
    assert_eq!(b.borrow().moments(), [ms(6)]);
    assert_eq!(a.borrow().moments(), [ms(56)]);
    assert_eq!(pair.world.counters(pair.link, Direction::Up).offered_bytes, 1028);
}

#[test]
fn two_links_share_a_bottleneck() {
    let mut world = World::new(1);
    let (a, b) = (world.host("a"), world.host("b"));
    let shared = DirectionConfig { bottleneck: Some(3), ..DirectionConfig::default() };
    let config = LinkConfig { up: shared, down: DirectionConfig::default() };
    world.link("one", End::new(a, ip("10.0.0.1")), End::new(b, ip("10.0.0.2")), &config);
    world.link("two", End::new(a, ip("10.0.1.1")), End::new(b, ip("10.0.1.2")), &config);
    let rate = Rate::Fixed(1_028_000);
    world.bottleneck(3, &BottleneckConfig { rate, queue: Queue::Packets(10), ..Default::default() });
    let log = Probe::new(&["0.0.0.0:443"]).run(&mut world, b);
    let mut probe = Probe::new(&["10.0.0.1:1000", "10.0.1.1:1000"]);
    for _ in 0..8 {
        probe = probe.sends(Order::new(ms(0), "10.0.0.2:443", 1000));
        probe = probe.sends(Order { socket: 1, ..Order::new(ms(0), "10.0.1.2:443", 1000) });
    }
    probe.run(&mut world, a);
    finish(&mut world);
    // One packet a millisecond through both links together, and ten places.
    assert_eq!(log.borrow().moments(), (1..=10).map(ms).collect::<Vec<_>>());
    assert_eq!(world.books().dropped(Reason::Link(Drop::Shared)), 6);
    assert_eq!(world.bottleneck_counters(3).unwrap().delivered, 10);
}

#[test]
fn marks_copies_and_damage_reach_the_program() {
    let config = DirectionConfig {
        rate: Rate::Fixed(1_000_000),
        mark_above: Some(millis(1)),
        duplicate_ppm: 1_000_000,
        corrupt_ppm: 1_000_000,
        ..DirectionConfig::default()
    };
    for checked in [false, true] {
        let mut pair = Pair::new(&LinkConfig::symmetric(config.clone()));
        pair.world.udp_checksum(checked);
        let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
        let mut probe = Probe::new(&[A]);
        for _ in 0..20 {
            probe = probe.sends(Order::new(ms(0), B, 1000));
        }
        probe.run(&mut pair.world, pair.a);
        pair.finish();
        let (log, books) = (log.borrow(), pair.world.books());
        assert_eq!((books.born, books.copied), (20, 20));
        let damaged = books.dropped(Reason::Damaged);
        assert_eq!(log.datagrams.len() as u64, 40 - damaged);
        if checked {
            assert_eq!(damaged, 40);
            continue;
        }
        assert!(damaged < 10, "only what hit the headers: {damaged}");
        assert!(log.datagrams.iter().filter(|(_, meta, _)| meta.ecn == Ecn::Ce).count() > 20);
        for pair in log.datagrams.chunks(2) {
            assert_eq!(pair[0].2, pair[1].2, "copies are damaged alike");
            assert_eq!(pair[0].2.iter().filter(|byte| **byte != 7).count(), 1);
        }
    }
}
