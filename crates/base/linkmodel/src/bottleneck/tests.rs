//! Two links on one queue: whoever comes first, and nothing gets lost in the books.

use super::*;
use crate::testing::{at, books, link, millis, ms, packet};
use crate::{Direction, DirectionConfig, Link, Outcome};

const CELL: u32 = 7;

/// 10 MB/s, 100 ms of queue.
fn cell() -> Bottlenecks {
    let mut shared = Bottlenecks::new();
    let rate = Rate::Fixed(10_000_000);
    shared
        .add(CELL, &BottleneckConfig { rate, queue: Queue::Bytes(1_000_000), ..BottleneckConfig::default() });
    shared
}

fn member(delay: u64) -> Link {
    link(DirectionConfig { bottleneck: Some(CELL), delay: millis(delay), ..DirectionConfig::default() })
}

fn offer(link: &mut Link, shared: &mut Bottlenecks, now: Instant) -> Outcome {
    link.offer_via(shared, now, Direction::Down, packet(1000))
}

#[test]
fn shares_follow_arrivals_and_the_books_balance() {
    let (mut shared, mut a, mut b) = (cell(), member(20), member(25));
    // Together 1.6 times what fits, three packets of one to one of the other, for ten seconds; at random, as a
    // rhythm may meet the moments at which there is room.
    let mut rng = crate::rng::Rng::new(1, 1);
    for n in 0..160_000u64 {
        let link = if rng.up_to(3) == 0 { &mut b } else { &mut a };
        offer(link, &mut shared, at(n * 62_500));
    }
    let (a, b, cell) = (books(&a), books(&b), shared.queue(CELL).unwrap().counters());
    assert!(cell.balance());
    assert_eq!((cell.offered, cell.delivered), (160_000, a.delivered + b.delivered));
    assert_eq!(cell.dropped(Drop::Queue), a.dropped(Drop::Shared) + b.dropped(Drop::Shared));
    assert_eq!(cell.longest.bytes, 1_000_000);
    // 9.9999 s at 10 MB/s and a full queue: exactly.
    assert_eq!(cell.delivered_bytes, 100_999_000);
    let share = b.delivered as f64 / (a.delivered + b.delivered) as f64;
    assert!((0.24..0.26).contains(&share), "{share}");
}

#[test]
fn equal_arrivals_at_random_get_equal_shares() {
    let (mut shared, mut links) = (cell(), [member(20), member(25)]);
    let mut rng = crate::rng::Rng::new(1, 1);
    for n in 0..160_000u64 {
        offer(&mut links[rng.up_to(1) as usize], &mut shared, at(n * 62_500));
    }
    let [a, b] = links.map(|link| books(&link).delivered as f64);
    assert!((0.98..1.02).contains(&(a / b)), "{}", a / b);
}

#[test]
fn a_packet_waits_for_those_of_other_links_and_then_goes_its_own_way() {
    let (mut shared, mut a, mut b) = (cell(), member(20), member(25));
    let arrival = |outcome: Outcome| outcome.delivery().unwrap().at;
    assert_eq!(arrival(offer(&mut a, &mut shared, ms(0))), at(20_100_000));
    assert_eq!(arrival(offer(&mut b, &mut shared, ms(0))), at(25_200_000));
    assert_eq!(shared.queue_mut(CELL).unwrap().depth(ms(0)).packets, 2);
}

#[test]
fn both_directions_may_share_the_air() {
    let (mut shared, mut a) = (cell(), member(0));
    a.offer_via(&mut shared, ms(0), Direction::Up, packet(1000));
    assert_eq!(offer(&mut a, &mut shared, ms(0)).delivery().unwrap().at, at(200_000));
}

#[test]
fn its_rate_may_change() {
    let (mut shared, mut a) = (cell(), member(0));
    shared.queue_mut(CELL).unwrap().set_rate(ms(1), Rate::Fixed(1_000_000));
    assert_eq!(offer(&mut a, &mut shared, ms(0)).delivery().unwrap().at, at(100_000));
    assert_eq!(offer(&mut a, &mut shared, ms(2)).delivery().unwrap().at, ms(3));
}

#[test]
fn a_bottleneck_that_was_not_handed_in_lets_nothing_through() {
    let mut a = member(0);
    assert_eq!(a.offer(ms(0), Direction::Down, packet(1)), Outcome::Dropped(Drop::NoBottleneck));
    assert_eq!(offer(&mut a, &mut Bottlenecks::new(), ms(0)), Outcome::Dropped(Drop::NoBottleneck));
    books(&a);
}

#[test]
fn its_marks_and_its_codel_reach_the_packet() {
    let mut shared = Bottlenecks::new();
    let codel = Some(CoDel { target: Duration::ZERO, interval: Duration::ZERO, ecn: true });
    let config = BottleneckConfig { rate: Rate::Fixed(1_000_000), codel, ..BottleneckConfig::default() };
    shared.add(CELL, &config);
    let mut a = member(0);
    let marked = a.offer_via(&mut shared, ms(0), Direction::Down, crate::testing::ect(1000));
    assert_eq!(marked.delivery().unwrap().ecn, Ecn::Ce);
    let mut refused = 0;
    for n in 0..10 {
        refused += u32::from(offer(&mut a, &mut shared, ms(n)) == Outcome::Dropped(Drop::Shared));
    }
    let (cell, link) = (shared.queue(CELL).unwrap().counters(), books(&a));
    assert!(refused > 0);
    assert_eq!((cell.dropped(Drop::Aqm), cell.marked, link.marked), (refused.into(), 1, 1));
}
