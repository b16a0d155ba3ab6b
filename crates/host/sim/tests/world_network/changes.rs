//! A network that changes under the programs.

use super::support::*;

fn carrier(local: &str, up: bool) -> Notice {
    Notice::Carrier { local: ip(local), up }
}

#[test]
fn both_ends_hear_of_the_carrier_and_nobody_of_a_silence() {
    let mut pair = Pair::new(&wire(10));
    let Pair { world, a, b, link } = &mut pair;
    let (at_a, at_b) = (Probe::new(&[A]).run(world, *a), Probe::new(&[B]).run(world, *b));
    let states =
        [(10, State::Down), (20, State::Up), (30, State::Silent), (40, State::Up), (50, State::Down)];
    for (at, state) in states {
        world.set(*link, ms(at), Change::State(state));
    }
    // Only what leaves b fails at 60.
    world.set_direction(*link, Direction::Up, ms(60), Change::State(State::Up));
    pair.finish();
    let expected = |local, moments: &[(u64, bool)]| {
        moments.iter().map(|(at, up)| (ms(*at), carrier(local, *up))).collect()
    };
    let expect_a: Vec<_> = expected("10.0.0.1", &[(10, false), (20, true), (50, false), (60, true)]);
    let expect_b: Vec<_> = expected("10.0.0.2", &[(10, false), (20, true), (50, false)]);
    assert_eq!(at_a.borrow().notices, expect_a);
    assert_eq!(at_b.borrow().notices, expect_b);
}

/// One packet of a thousand bytes a millisecond, ten at once, 20 ms on the wire, and a change.
fn flood(change: impl FnOnce(&mut World, LinkId)) -> (usize, World) {
    let config = DirectionConfig {
        rate: Rate::Fixed(1_028_000),
        delay: millis(20),
        duplicate_ppm: 1_000_000,
        ..DirectionConfig::default()
    };
    let mut pair = Pair::new(&LinkConfig::symmetric(config));
    let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
    let order = Order { segment: 1000, ..Order::new(ms(0), B, 10_000) };
    Probe::new(&[A]).sends(order).run(&mut pair.world, pair.a);
    change(&mut pair.world, pair.link);
    pair.finish();
    let count = log.borrow().datagrams.len();
    (count, pair.world)
}

#[test]
fn a_surprise_cut_takes_what_has_not_left_as_an_announced_one_does() {
    for (state, reason) in [(State::Silent, Drop::Silent), (State::Down, Drop::Carrier)] {
        for announced in [true, false] {
            let (arrived, world) = flood(|world, link| {
                let cut = move |world: &mut World| {
                    world.set(link, us(5500), Change::State(state));
                    world.set(link, ms(1000), Change::State(State::Up));
                };
                if announced { cut(world) } else { world.at(us(5500), cut) }
            });
            // Five have left at 5 ms and arrive, twice each.
            assert_eq!(arrived, 10, "{state:?} {announced}");
            assert_eq!(world.books().dropped(Reason::Link(reason)), 5, "{state:?} {announced}");
        }
    }
}

#[test]
fn rate_and_delay_change_in_mid_flight() {
    let mut pair = Pair::new(&wire(10));
    let Pair { world, a, b, link } = &mut pair;
    let log = Probe::new(&[B]).run(world, *b);
    let mut probe = Probe::new(&[A]);
    for at in [0, 100, 200] {
        probe = probe.sends(Order::new(ms(at), B, 972));
    }
    probe.run(world, *a);
    world.set(*link, ms(50), Change::Delay(millis(30)));
    world.set(*link, ms(150), Change::Rate(Rate::Fixed(100_000)));
    pair.finish();
    assert_eq!(log.borrow().moments(), [ms(10), ms(130), ms(240)]);
}

#[test]
fn a_moved_address_is_announced_and_used() {
    let mut pair = Pair::new(&wire(10));
    let Pair { world, a, b, link } = &mut pair;
    let (a, link) = (*a, *link);
    let there = Probe::new(&[B]).echoes().run(world, *b);
    let probe = Probe::new(&["0.0.0.0:1000", "10.0.0.1:5"]);
    // The second answer comes for an address that has gone meanwhile; the third packet has the new one; the
    // fourth comes from a socket on the old.
    let probe = probe.sends(Order::new(ms(0), B, 10)).sends(Order::new(ms(95), B, 10));
    let late = Order { socket: 1, ..Order::new(ms(300), B, 10) };
    let log = probe.sends(late).run(world, a);
    world.at(ms(100), move |world| world.move_address(link, a, ip("10.0.0.77")));
    world.at(ms(200), move |world| {
        Probe::new(&["0.0.0.0:2000"]).sends(Order::new(ms(0), B, 10)).run(world, a);
    });
    pair.finish();
    let log = log.borrow();
    assert_eq!(log.moments(), [ms(20)]);
    let told = [(ms(100), carrier("10.0.0.1", false)), (ms(100), carrier("10.0.0.77", true))];
    assert_eq!(log.notices, told);
    assert_eq!(there.borrow().last_remote(), addr("10.0.0.77:2000"));
    let books = pair.world.books();
    assert_eq!(books.dropped(Reason::NotMine), 1, "the answer to the old address");
    assert_eq!(books.dropped(Reason::NoAddress), 1, "the old socket");
}

#[test]
fn planned_actions_happen_in_their_order_and_may_plan_more() {
    let mut world = World::new(1);
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    for index in [1, 2, 3] {
        let seen = std::rc::Rc::clone(&seen);
        world.at(ms(10 - index), move |world| {
            seen.borrow_mut().push((world.now(), index));
            let again = std::rc::Rc::clone(&seen);
            world.at(ms(0), move |world| again.borrow_mut().push((world.now(), index * 10)));
        });
    }
    assert!(!world.run_while(ms(8), |_| true).unwrap());
    assert_eq!(world.now(), ms(8));
    world.run_until(ms(20)).unwrap();
    let expected = [(ms(7), 3), (ms(7), 30), (ms(8), 2), (ms(8), 20), (ms(9), 1), (ms(9), 10)];
    assert_eq!(*seen.borrow(), expected);
}
