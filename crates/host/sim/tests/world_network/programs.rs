//! Programs: their sockets, timers, moments and ends.

use super::support::*;

#[test]
fn programs_settle_once_after_all_calls_of_a_moment() {
    let mut pair = Pair::new(&wire(10));
    let log = Probe::new(&[B]).timers(&[Some(ms(10))]).run(&mut pair.world, pair.b);
    let train = Order { segment: 100, ..Order::new(ms(0), B, 1000) };
    Probe::new(&[A]).sends(train).run(&mut pair.world, pair.a);
    pair.finish();
    let log = log.borrow();
    assert_eq!((log.datagrams.len(), log.timers.len()), (10, 1));
    assert_eq!(log.settles, [ms(0), ms(10)], "at the start, and once for ten datagrams and a timer");
}

#[test]
fn a_timer_fires_once_at_its_last_setting() {
    let none: &[Instant] = &[];
    let cases: [(&[Option<Instant>], &[Instant]); 5] = [
        (&[Some(ms(10)), Some(ms(20))], &[ms(20)]),
        (&[Some(ms(20)), Some(ms(10))], &[ms(10)]),
        (&[Some(ms(20)), None], none),
        (&[Some(ms(30)), Some(ms(10)), Some(ms(20))], &[ms(20)]),
        (&[Some(ms(1))], &[ms(5)]),
    ];
    for (settings, expected) in cases {
        let mut world = World::new(1);
        let host = world.host("h");
        world.run_until(ms(5)).unwrap();
        let log = Probe::new(&[]).timers(settings).run(&mut world, host);
        finish(&mut world);
        assert_eq!(log.borrow().timers, expected);
    }
}

#[test]
fn datagrams_find_the_socket_on_their_address_before_the_wildcard() {
    let mut pair = Pair::new(&wire(1));
    let Pair { world, a, b, link } = &mut pair;
    world.add_address(*link, *b, ip("10.0.0.3"));
    let exact = Probe::new(&["10.0.0.2:443", "10.0.0.2:444"]).run(world, *b);
    let any = Probe::new(&["0.0.0.0:443"]).run(world, *b);
    let mut probe = Probe::new(&[A]);
    for to in ["10.0.0.2:443", "10.0.0.3:443", "10.0.0.2:444"] {
        probe = probe.sends(Order::new(ms(0), to, 10));
    }
    probe.run(world, *a);
    pair.finish();
    let sockets: Vec<_> = exact.borrow().datagrams.iter().map(|(_, meta, _)| meta.socket).collect();
    assert_eq!(sockets, [0, 1]);
    assert_eq!(any.borrow().datagrams[0].1.local, addr("10.0.0.3:443"));
}

#[test]
fn programs_on_one_host_reach_each_other_at_once() {
    let mut world = World::new(1);
    let (a, b) = (world.host("a"), world.host("b"));
    world.link("l", End::new(a, [10, 0, 0, 1]), End::new(b, [10, 0, 0, 2]), &wire(10));
    let log = Probe::new(&["10.0.0.1:443"]).echoes().run(&mut world, a);
    let order = Order::new(ms(5), "10.0.0.1:443", 10);
    let other = Probe::new(&["0.0.0.0:0"]).sends(order).run(&mut world, a);
    finish(&mut world);
    assert_eq!(log.borrow().moments(), [ms(5)]);
    assert_eq!(other.borrow().moments(), [ms(5)]);
    assert_eq!(log.borrow().last_remote(), addr("10.0.0.1:49152"));
}

#[test]
fn a_crash_silences_a_program_and_frees_its_address() {
    let mut pair = Pair::new(&wire(10));
    let Pair { world, a, b, .. } = &mut pair;
    let b = *b;
    let probe = Probe::new(&[B]).timers(&[Some(ms(500))]).echoes();
    // It wanted to send later, too.
    let (id, first) = probe.sends(Order::new(ms(900), A, 10)).spawn(world, b);
    let mut probe = Probe::new(&[A]);
    for at in [0, 100, 200] {
        probe = probe.sends(Order::new(ms(at), B, 10));
    }
    let log = probe.run(world, *a);
    world.at(ms(50), move |world| assert!(world.remove(id).is_some()));
    world.at(ms(150), move |world| {
        assert!(world.remove(id).is_none());
        Probe::new(&[B]).echoes().run(world, b);
    });
    pair.finish();
    assert_eq!(log.borrow().moments(), [ms(20), ms(220)]);
    assert_eq!(log.borrow().notices, [(ms(120), Notice::Unreachable { socket: 0, remote: addr(B) })]);
    assert_eq!((first.borrow().datagrams.len(), first.borrow().timers.len()), (1, 0));
    assert_eq!(pair.world.books().dropped(Reason::Crashed), 1);
}

#[test]
fn an_address_in_use_ends_the_run_and_names_both() {
    let mut world = World::new(1);
    let host = world.host("server");
    Probe::new(&[B]).run(&mut world, host);
    Probe::new(&[B]).run(&mut world, host);
    let fault = world.run_until(ms(1)).unwrap_err();
    let Fault::AddressInUse { program, address, holder, .. } = fault.clone() else { panic!("{fault}") };
    assert_eq!((program.as_str(), holder.as_str()), ("program 1 on server", "program 0 on server"));
    assert_eq!(address, addr(B));
    assert!(fault.to_string().contains("10.0.0.2:443"));
}

#[test]
fn binding_a_number_again_moves_the_socket() {
    struct Mover;
    impl Process for Mover {
        fn start(&mut self, cx: &mut Context<'_>) {
            cx.bind(0, addr(B));
            cx.bind(0, addr("10.0.0.2:444"));
            cx.bind(1, addr(B));
        }
        fn on_datagram(&mut self, cx: &mut Context<'_>, meta: &Meta, bytes: &mut [u8]) {
            bytes[0] = meta.socket as u8;
            cx.send(cx.now(), 0, None, meta.remote, Ecn::NotEct, 100, bytes);
        }
        fn on_timer(&mut self, _: &mut Context<'_>) {}
        fn on_notice(&mut self, _: &mut Context<'_>, _: &Notice) {}
        fn settle(&mut self, _: &mut Context<'_>) {}
    }
    let mut pair = Pair::new(&wire(1));
    pair.world.spawn(pair.b, Box::new(Mover));
    let probe = Probe::new(&[A]).sends(Order::new(ms(0), B, 2));
    let log = probe.sends(Order::new(ms(1), "10.0.0.2:444", 2)).run(&mut pair.world, pair.a);
    pair.finish();
    let seen: Vec<_> = log.borrow().datagrams.iter().map(|(_, meta, b)| (meta.remote.port(), b[0])).collect();
    assert_eq!(seen, [(444, 1), (444, 0)]);
}

#[test]
fn two_programs_that_answer_each_other_in_no_time_are_stopped_and_named() {
    let mut pair = Pair::new(&wire(0));
    pair.world.livelock_limit(1000);
    Probe::new(&[B]).echoes().run(&mut pair.world, pair.b);
    Probe::new(&[A]).echoes().sends(Order::new(ms(7), B, 10)).run(&mut pair.world, pair.a);
    let fault = pair.world.run_until(ms(10)).unwrap_err();
    let Fault::Livelock { at, events, program } = fault.clone() else { panic!("{fault}") };
    assert_eq!((at, events), (ms(7), 1001));
    assert!(program.is_some_and(|program| program.ends_with(" on a") || program.ends_with(" on b")));
    pair.world.check().unwrap();
}

#[test]
fn a_program_that_keeps_waking_itself_is_stopped_and_named() {
    struct Restless;
    impl Process for Restless {
        fn start(&mut self, cx: &mut Context<'_>) {
            cx.set_timer(Some(ms(3)));
        }
        fn on_datagram(&mut self, _: &mut Context<'_>, _: &Meta, _: &mut [u8]) {}
        fn on_timer(&mut self, _: &mut Context<'_>) {}
        fn on_notice(&mut self, _: &mut Context<'_>, _: &Notice) {}
        fn settle(&mut self, cx: &mut Context<'_>) {
            if cx.now() > ms(0) {
                cx.set_timer(Some(ms(1)));
            }
        }
    }
    let mut world = World::new(1);
    let (quiet, host) = (world.host("quiet"), world.host("loud"));
    Probe::new(&[]).timers(&[Some(ms(3))]).run(&mut world, quiet);
    world.spawn(host, Box::new(Restless));
    world.livelock_limit(1000);
    let fault = world.run_until(ms(10)).unwrap_err();
    let Fault::Livelock { at, program, .. } = fault else { panic!("{fault}") };
    assert_eq!((at, program.as_deref()), (ms(3), Some("program 1 on loud")));
}

#[test]
fn steps_are_moments_and_a_run_ends_when_its_condition_does() {
    let mut pair = Pair::new(&wire(10));
    let log = Probe::new(&[B]).run(&mut pair.world, pair.b);
    let train = Order { segment: 100, ..Order::new(ms(5), B, 1000) };
    Probe::new(&[A]).sends(train).run(&mut pair.world, pair.a);
    let mut moments = Vec::new();
    let mut stepped = Pair::new(&wire(10));
    Probe::new(&[B]).run(&mut stepped.world, stepped.b);
    let train = Order { segment: 100, ..Order::new(ms(5), B, 1000) };
    Probe::new(&[A]).sends(train).run(&mut stepped.world, stepped.a);
    while stepped.world.step().unwrap() {
        moments.push(stepped.world.now());
    }
    assert_eq!(moments, [ms(0), ms(5), ms(15)]);
    let watched = std::rc::Rc::clone(&log);
    assert!(pair.world.run_while(ms(100), |_| watched.borrow().datagrams.is_empty()).unwrap());
    assert_eq!(pair.world.now(), ms(15));
    assert_eq!(pair.world.next_event(), None);
    assert!(!pair.world.run_while(ms(100), |_| true).unwrap());
    assert_eq!(pair.world.now(), ms(100));
}
