//! Who is refused, by counts and times alone.

use super::*;

/// A connection has a path to it.
const PEER: u16 = 4433;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn source(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

/// What is refused now, if that has changed.
fn turn(strangers: &mut Strangers, millis: u64) -> Option<Vec<u16>> {
    let mut told = None;
    strangers.turn(
        at(millis),
        |source| source.port() == PEER,
        |socket, list| {
            assert_eq!(socket, 3);
            told = Some(list.iter().map(|one| one.source.port()).collect());
        },
    );
    told
}

/// So many datagrams of `port`.
fn send(strangers: &mut Strangers, port: u16, count: u32) {
    (0..count).for_each(|_| strangers.on_unknown(3, source(port), 0x40));
}

/// Epochs of 10 ms in which `port` is loud, from `from` on; what was told, and when.
fn loud(strangers: &mut Strangers, port: u16, from: u64, epochs: u64) -> Vec<(u64, Vec<u16>)> {
    let mut told = Vec::new();
    for at in (from..).step_by(10).take(epochs as usize) {
        send(strangers, port, if strangers.any(3) { 2 } else { 500 });
        told.extend(turn(strangers, at).map(|list| (at, list)));
    }
    told
}

#[test]
fn who_goes_on_and_on_is_refused_until_it_stops() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, 7, 0, 400), [(90, vec![7])]);
    // It is heard again when the time at hand ends, and forgotten then.
    let told: Vec<_> =
        (4000..20_000).step_by(10).filter_map(|at| Some((at, turn(&mut strangers, at)?))).collect();
    assert_eq!(told, [(90 + 9 * 500, vec![])]);
    assert!(strangers.list.is_empty());
}

#[test]
fn who_comes_back_soon_is_refused_at_once() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, 7, 0, 10).len(), 1);
    (100..1000).step_by(10).for_each(|at| drop(turn(&mut strangers, at)));
    assert!(!strangers.any(3));
    assert_eq!(loud(&mut strangers, 7, 1000, 1), [(1000, vec![7])]);
}

#[test]
fn what_was_queued_before_a_refusal_does_not_prolong_it() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, 7, 0, 10).len(), 1);
    send(&mut strangers, 7, 4000);
    let told: Vec<_> =
        (100..1000).step_by(10).filter_map(|at| Some((at, turn(&mut strangers, at)?))).collect();
    assert_eq!(told, [(590, vec![])]);
}

#[test]
fn a_refusal_ends_with_its_time_if_a_connection_has_come_from_there() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, 7, 0, 10).len(), 1);
    let mut told = Vec::new();
    for at in (100..2000).step_by(10) {
        send(&mut strangers, 7, 2);
        strangers.turn(self::at(at), |_| true, |_, list| told.push((at, list.len())));
    }
    assert_eq!(told, [(590, 0)]);
}

#[test]
fn a_burst_and_a_trickle_are_borne() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, 7, 0, 9), []);
    for at in (90..2000).step_by(10) {
        send(&mut strangers, 7, LOUD - 1);
        assert_eq!(turn(&mut strangers, at), None);
    }
}

#[test]
fn nobody_is_refused_whose_address_others_can_write_on_their_packets() {
    let mut strangers = Strangers::default();
    assert_eq!(loud(&mut strangers, PEER, 0, 100), []);
    assert_eq!(loud(&mut strangers, 7, 1000, 10).len(), 1);
}

#[test]
fn the_loudest_is_found_among_any_number() {
    let mut strangers = Strangers::default();
    let mut port = 1000;
    for epoch in 0..10 {
        for _ in 0..500 {
            port += 1;
            send(&mut strangers, port, 1);
            send(&mut strangers, 7, 2);
        }
        assert!(strangers.list.len() <= WATCHED);
        assert_eq!(turn(&mut strangers, epoch * 10), (epoch == 9).then(|| vec![7]));
    }
}

#[test]
fn long_headers_are_judged_apart() {
    let mut strangers = Strangers::default();
    for epoch in 0..10 {
        send(&mut strangers, 7, 500);
        (0..50).for_each(|_| strangers.on_unknown(3, source(7), 0xc0));
        let _ = turn(&mut strangers, epoch * 10);
    }
    assert_eq!(strangers.list.len(), 1);
    assert!(!strangers.list[0].what.long && strangers.any(3) && !strangers.any(4));
}
