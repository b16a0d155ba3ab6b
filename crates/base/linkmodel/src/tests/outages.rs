//! Carrier loss, silence and changes while the link runs.

use super::*;

/// 1 MB/s with 20 ms on the wire: a packet takes a millisecond.
fn slow() -> Link {
    link(DirectionConfig { rate: Rate::Fixed(1_000_000), delay: millis(20), ..DirectionConfig::default() })
}

fn state(link: &mut Link, at: u64, state: State) {
    link.set(ms(at), Change::State(state));
}

/// What becomes of packets offered each millisecond from 0 on: lost to carrier, lost in silence, delivered.
fn fates(outcomes: &[Outcome]) -> std::string::String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Delivered(_) => '.',
        Outcome::Dropped(Drop::Carrier) => 'c',
        Outcome::Dropped(Drop::Silent) => 's',
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(letter).collect()
}

#[test]
fn without_carrier_offers_fail_at_once() {
    let mut link = slow();
    state(&mut link, 3, State::Down);
    state(&mut link, 6, State::Up);
    // The one offered at 2 has left at 3, when it begins: it is gone with the queue.
    assert_eq!(fates(&flood(&mut link, 9, 1_000_000)), "..cccc...");
    assert_eq!(books(&link).dropped(Drop::Carrier), 4);
}

#[test]
fn in_silence_packets_vanish_as_they_leave() {
    let mut link = slow();
    state(&mut link, 3, State::Silent);
    state(&mut link, 6, State::Up);
    assert_eq!(fates(&flood(&mut link, 9, 1_000_000)), "..sss....");
    assert_eq!(link.state(ms(4), DOWN), State::Silent);
}

#[test]
fn what_is_queued_dies_with_the_carrier_but_outlives_a_silence() {
    for (kind, expected) in [(State::Down, "..cccccc"), (State::Silent, "..sss...")] {
        let mut link = slow();
        state(&mut link, 3, kind);
        state(&mut link, 6, State::Up);
        // All at once: they leave at 1, 2, 3...
        assert_eq!(fates(&flood(&mut link, 8, 0)), expected);
        let after = link.offer(ms(7), DOWN, packet(1000)).delivery().unwrap();
        // The queue is empty after a carrier loss, else one of eight is still there.
        assert_eq!(after.left, if kind == State::Down { ms(8) } else { ms(9) });
    }
}

#[test]
fn what_is_on_the_wire_arrives() {
    let mut link = slow();
    state(&mut link, 2, State::Down);
    let delivery = link.offer(ms(0), DOWN, packet(1000)).delivery().unwrap();
    assert_eq!((delivery.left, delivery.at), (ms(1), ms(21)));
    assert!(link.arrives(DOWN, packet(1000), &delivery));
}

#[test]
fn a_sudden_outage_takes_back_what_has_not_left() {
    for (kind, reason) in [(State::Down, Drop::Carrier), (State::Silent, Drop::Silent)] {
        let config = DirectionConfig {
            rate: Rate::Fixed(1_000_000),
            duplicate_ppm: 1_000_000,
            corrupt_ppm: 1_000_000,
            ..DirectionConfig::default()
        };
        let mut link = link(config);
        let all = delivered(&flood(&mut link, 10, 0));
        state(&mut link, 5, kind);
        state(&mut link, 8, State::Up);
        let arrived =
            all.iter().map(|d| link.arrives(DOWN, packet(1000), d)).filter(|arrives| *arrives).count();
        // Those that leave at 1 to 4; after a silence also those at 8 to 10.
        assert_eq!(arrived, if kind == State::Down { 4 } else { 7 });
        let counters = books(&link);
        assert_eq!((counters.delivered, counters.dropped(reason)), (arrived as u64, 10 - arrived as u64));
        assert_eq!((counters.duplicated, counters.corrupted), (arrived as u64, arrived as u64));
        assert_eq!(counters.delivered_bytes, arrived as u64 * 1000);
    }
}

#[test]
fn a_sudden_carrier_loss_frees_the_queue() {
    let mut link = slow();
    flood(&mut link, 10, 0);
    state(&mut link, 0, State::Down);
    assert_eq!(link.depth(ms(0), DOWN), Depth::default());
    state(&mut link, 2, State::Up);
    assert_eq!(link.offer(ms(2), DOWN, packet(1000)).delivery().unwrap().left, ms(3));
}

#[test]
fn one_direction_may_fail_alone() {
    let mut link = slow();
    link.set_direction(ms(0), Direction::Up, Change::State(State::Silent));
    assert_eq!(link.offer(ms(0), Direction::Up, packet(1)), Outcome::Dropped(Drop::Silent));
    assert!(link.offer(ms(0), DOWN, packet(1)).delivery().is_some());
}

#[test]
fn hosts_can_see_the_next_change_of_state() {
    let mut link = slow();
    assert_eq!(link.next_event(ms(0)), None);
    link.set_direction(ms(9), Direction::Up, Change::State(State::Down));
    link.set_direction(ms(5), DOWN, Change::State(State::Silent));
    link.set(ms(3), Change::Loss(5));
    assert_eq!([0, 4, 5, 8].map(|now| link.next_event(ms(now))), [5, 5, 9, 9].map(|at| Some(ms(at))));
    assert_eq!(link.next_event(ms(9)), None);
}

#[test]
fn announced_changes_are_felt_by_packets_that_leave_after_them() {
    let mut link = slow();
    link.set(ms(5), Change::Delay(millis(50)));
    link.set(ms(10), Change::Delay(millis(10)));
    link.set(ms(20), Change::Loss(1_000_000));
    link.set(ms(30), Change::Loss(0));
    link.set(ms(40), Change::Rate(Rate::Fixed(500_000)));
    let outcomes = flood(&mut link, 50, 0);
    let arrival = |n: usize| outcomes[n - 1].delivery().map(|d| d.at);
    // The nth leaves at n ms.
    assert_eq!((arrival(4), arrival(5)), (Some(ms(24)), Some(ms(55))));
    assert_eq!(arrival(10), Some(ms(59)), "it may not overtake the one at 9 ms");
    assert_eq!((arrival(19), arrival(20), arrival(29)), (Some(ms(59)), None, None));
    assert_eq!((arrival(30), arrival(40), arrival(41)), (Some(ms(59)), Some(ms(59)), Some(ms(59))));
    assert_eq!(outcomes[40].delivery().unwrap().left, ms(42));
    assert_eq!(books(&link).dropped(Drop::Loss), 10);
}

#[test]
fn changes_over_a_day_do_not_pile_up() {
    let mut link = slow();
    for second in 0..86_400 {
        let kind = if second % 2 == 0 { State::Silent } else { State::Up };
        state(&mut link, second * 1000, kind);
        let gone = link.offer(ms(second * 1000 + 500), DOWN, packet(1)).delivery().is_none();
        assert_eq!(gone, second % 2 == 0);
    }
    books(&link);
}
