//! Taps and captures, and that the same seed gives the same bytes.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use tq_linkmodel::{GilbertElliott, Jitter, NatConfig};
use tq_sim::{Pcap, Point, Seen, Where};

use super::support::*;

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client behind a translator talks over a bad link; everything is captured.
fn capture(seed: u64) -> Vec<u8> {
    let mut world = World::new(seed);
    let (client, router, server) = (world.host("client"), world.router("router"), world.host("server"));
    let bad = DirectionConfig {
        rate: Rate::mbps(10),
        delay: millis(5),
        jitter: Jitter::Uniform(millis(3)),
        reorder: true,
        loss_ppm: 50_000,
        burst: Some(GilbertElliott {
            to_bad_ppm: 50_000,
            to_good_ppm: 300_000,
            loss_good_ppm: 0,
            loss_bad_ppm: 500_000,
        }),
        corrupt_ppm: 50_000,
        duplicate_ppm: 50_000,
        ..DirectionConfig::default()
    };
    let inside = End::new(client, [192, 168, 0, 2]);
    world.link("bad", inside, End::new(router, [192, 168, 0, 1]), &LinkConfig::symmetric(bad));
    let good =
        world.link("good", End::new(router, [203, 0, 113, 1]), End::new(server, [198, 51, 100, 1]), &wire(5));
    world.nat(good, router, NatConfig::new(ip("203.0.113.1"))).unwrap();
    let out = Shared::default();
    world.tap(Where::World, Pcap::new(out.clone()).unwrap());
    Probe::new(&["198.51.100.1:443"]).echoes().run(&mut world, server);
    let mut probe = Probe::new(&["0.0.0.0:1000"]);
    for at in 0..100 {
        probe = probe.sends(Order { segment: 600, ..Order::new(ms(at), "198.51.100.1:443", 1500) });
    }
    probe.run(&mut world, client);
    finish(&mut world);
    out.0.take()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (first, again, other) = (capture(1), capture(1), capture(2));
    assert!(first.len() > 100_000);
    assert!(first == again);
    assert!(first != other);
}

/// Records of a capture: moment in nanoseconds, and the packet.
fn records(mut pcap: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((word(pcap, 0), word(pcap, 4), word(pcap, 20)), (0xa1b2_3c4d, 0x0004_0002, 101));
    pcap = &pcap[24..];
    let mut records = Vec::new();
    while !pcap.is_empty() {
        let len = word(pcap, 8) as usize;
        assert_eq!(word(pcap, 12) as usize, len);
        let at = u64::from(word(pcap, 0)) * 1_000_000_000 + u64::from(word(pcap, 4));
        records.push((at, pcap[16..16 + len].to_vec()));
        pcap = &pcap[16 + len..];
    }
    records
}

#[test]
fn a_capture_of_a_link_has_each_packet_once_and_one_of_a_node_what_passes_there() {
    let mut pair = Pair::new(&wire(10));
    let Pair { world, a, b, link } = &mut pair;
    let (on_link, on_node) = (Shared::default(), Shared::default());
    world.capture_link(*link, on_link.clone()).unwrap();
    world.capture_node(*b, on_node.clone()).unwrap();
    Probe::new(&[B]).echoes().run(world, *b);
    let probe = Probe::new(&[A]).sends(Order::new(us(1_500_001), B, 101));
    probe.sends(Order::new(ms(2000), "10.0.0.2:444", 5)).run(world, *a);
    pair.finish();
    let (on_link, on_node) = (records(&on_link.0.borrow()), records(&on_node.0.borrow()));
    let times = |records: &[(u64, Vec<u8>)]| records.iter().map(|(at, _)| at / 1000).collect::<Vec<_>>();
    assert_eq!(times(&on_link), [1_500_001, 1_510_001, 2_000_000, 2_010_000]);
    assert_eq!(times(&on_node), [1_510_001, 1_510_001, 2_010_000, 2_010_000]);
    let packet = &on_link[0].1;
    assert_eq!((packet.len(), packet[0], packet[1], packet[9]), (129, 0x45, 2, 17));
    assert_eq!((packet[12..16].to_vec(), packet[20..24].to_vec()), (vec![10, 0, 0, 1], vec![3, 232, 1, 187]));
    assert_eq!(packet[28..], [7; 101]);
    // The last is ICMP: port unreachable.
    assert_eq!((on_link[3].1[9], on_link[3].1[20], on_link[3].1[21], on_link[3].1.len()), (1, 3, 3, 56));
}

#[test]
fn a_failing_capture_stops_and_the_world_goes_on() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut pair = Pair::new(&wire(1));
    assert!(pair.world.capture_link(pair.link, Full(10)).is_err());
    pair.world.capture_link(pair.link, Full(100)).unwrap();
    let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
    let train = Order { segment: 100, ..Order::new(ms(0), B, 1000) };
    Probe::new(&[A]).sends(train).run(&mut pair.world, pair.a);
    pair.finish();
    assert_eq!(log.borrow().datagrams.len(), 10);
}

#[test]
fn taps_see_the_points_of_the_place_they_are_put_on() {
    let mut world = World::new(1);
    let (a, r, b) = (world.host("a"), world.router("r"), world.host("b"));
    let ar = world.link("ar", End::new(a, [10, 0, 1, 1]), End::new(r, [10, 0, 1, 2]), &wire(1));
    let rb = world.link("rb", End::new(r, [10, 0, 2, 1]), End::new(b, [10, 0, 2, 2]), &wire(1));
    world.set_direction(rb, Direction::Up, ms(10), Change::Loss(1_000_000));
    let seen = Rc::new(RefCell::new(Vec::new()));
    for (index, place) in
        [Where::World, Where::Node(r), Where::Link(rb), Where::End(ar, r)].into_iter().enumerate()
    {
        let seen = Rc::clone(&seen);
        world.tap(place, move |packet: &Seen<'_>| {
            seen.borrow_mut().push((index, packet.at, packet.node, packet.point));
        });
    }
    Probe::new(&["10.0.2.2:443"]).run(&mut world, b);
    let probe = Probe::new(&["10.0.1.1:1"]).sends(Order::new(ms(0), "10.0.2.2:443", 10));
    probe.sends(Order::new(ms(20), "10.0.2.2:443", 10)).run(&mut world, a);
    finish(&mut world);
    let of = |wanted: usize| -> Vec<_> {
        let seen = seen.borrow();
        seen.iter()
            .filter(|(index, ..)| *index == wanted)
            .map(|(_, at, node, point)| (*at, *node, *point))
            .collect()
    };
    let lost = Point::Dropped(Reason::Link(Drop::Loss));
    let all = [
        (ms(0), a, Point::Sent),
        (ms(1), r, Point::Arrived),
        (ms(1), r, Point::Sent),
        (ms(2), b, Point::Arrived),
        (ms(2), b, Point::Delivered),
        (ms(20), a, Point::Sent),
        (ms(21), r, Point::Arrived),
        (ms(21), r, Point::Sent),
        (ms(21), r, lost),
    ];
    let some = |indices: &[usize]| indices.iter().map(|index| all[*index]).collect::<Vec<_>>();
    assert_eq!(of(0), all);
    assert_eq!(of(1), some(&[1, 2, 6, 7, 8]));
    assert_eq!(of(2), some(&[2, 3, 7, 8]));
    assert_eq!(of(3), some(&[1, 6]));
}
