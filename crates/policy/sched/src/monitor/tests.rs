use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn load(oldest: u64) -> Load {
    Load {
        oldest_sent: Some(at(oldest)),
        srtt: ms(40),
        rttvar: ms(1),
        other_rtt: Some(ms(40)),
        demand: true,
        ..Load::default()
    }
}

/// A path in bulk use, acknowledged each 2 ms until `until`.
fn busy(until: u64) -> Monitor {
    let mut monitor = Monitor::new(at(0));
    monitor.on_sent(at(0), false);
    for now in (40..=until).step_by(2) {
        monitor.on_progress(at(now), false);
    }
    monitor
}

#[test]
fn a_silent_path_is_suspect_then_out_and_its_data_moves() {
    let mut path = busy(1000);
    let load = load(962);
    let due = path.deadline(&load).unwrap();
    assert_eq!(due, at(1015), "15 ms, the acknowledgement of the oldest was due at 1004");
    assert_eq!(path.on_deadline(at(1014), &load, Witness::Heard), Orders::default());
    let orders = path.on_deadline(due, &load, Witness::Heard);
    assert_eq!(orders.change.map(|change| change.to), Some(Health::Suspect));
    assert_eq!((orders.resend, orders.probe), (Some(Resend::Suspect), Some(Probe::Ping)));
    let (mut pings, mut all) = (0, Vec::new());
    let out = loop {
        let due = path.deadline(&load).unwrap();
        let orders = path.on_deadline(due, &load, Witness::Heard);
        if orders.change.is_some() {
            assert_eq!(orders.resend, Some(Resend::Out));
            break due;
        }
        all.extend(orders.resend.map(|resend| (due, resend)));
        pings += u32::from(orders.probe.is_some());
    };
    assert_eq!(all, [(at(1125), Resend::All)], "once, 3 SRTT after the last progress");
    assert!((at(1500)..=at(1510)).contains(&out), "500 ms after it, {out:?}");
    assert_eq!((path.state(), pings), (Health::Out, 48), "asked each 10 ms");
}

/// When all that a path holds goes again, and when it is out, in ms after it fell silent at `at`.
fn gives_up(path: &mut Monitor, at: u64) -> (u64, u64) {
    let load = load(at - 38);
    let mut all = 0;
    loop {
        let due = path.deadline(&load).unwrap();
        let orders = path.on_deadline(due, &load, Witness::Heard);
        let after = due.as_nanos() / 1_000_000 - at;
        match orders.resend {
            Some(Resend::All) => all = after,
            Some(Resend::Out) => return (all, after),
            _ => {}
        }
    }
}

#[test]
fn a_path_that_pauses_and_goes_on_is_given_more_time() {
    let paused = |lasts: u64, ago: u64| {
        let mut path = busy(1000);
        path.on_progress(at(1000 + lasts), false);
        for now in (1002 + lasts..=1000 + lasts + ago).step_by(2) {
            path.on_progress(at(now), false);
        }
        gives_up(&mut path, 1000 + lasts + ago)
    };
    let near = |found: (u64, u64), wanted: (u64, u64)| {
        let close = |a: u64, b: u64| (b..=b + 10).contains(&a);
        assert!(close(found.0, wanted.0) && close(found.1, wanted.1), "{found:?}, {wanted:?}");
    };
    near(paused(2, 0), (120, 500));
    near(paused(180, 0), (225, 500));
    near(paused(600, 0), (250, 900));
    near(paused(600, 30_000), (250, 500));
    near(paused(1200, 0), (120, 500));
}

#[test]
fn a_path_that_comes_back_by_itself_was_pausing() {
    let mut path = busy(1000);
    assert!(gives_up(&mut path, 1000).1 < 520);
    path.on_probe_reply(at(1700));
    path.on_probe_reply(at(1740));
    for round in 0..4 {
        path.on_round(at(1750 + round), true);
    }
    assert_eq!(path.state(), Health::Good);
    path.on_sent(at(1800), false);
    for now in (1840..=2000).step_by(2) {
        path.on_progress(at(now), false);
    }
    let (_, out) = gives_up(&mut path, 2000);
    assert!((1050..1120).contains(&out), "half as much again as 740 ms: {out}");
}

#[test]
fn silence_of_all_is_taken_off_once() {
    let due = |path: &Monitor| path.deadline(&load(962));
    let mut path = busy(1000);
    path.on_common(at(1010), at(999));
    assert_eq!(due(&path), Some(at(1015)), "10 ms are a gap like any other");
    path.on_common(at(1060), at(1005));
    assert_eq!(due(&path), Some(at(1070)), "5 ms before the other fell silent as well are its own");
    path.on_common(at(1200), at(1070));
    assert_eq!(due(&path), Some(at(1070)), "once");
}

#[test]
fn any_progress_clears_a_suspect_and_teaches_the_gap() {
    let mut path = busy(1000);
    path.on_deadline(at(1015), &load(962), Witness::Idle);
    assert_eq!(path.state(), Health::Suspect);
    let orders = path.on_progress(at(1020), false);
    assert_eq!(orders.resend, Some(Resend::Cancel));
    assert_eq!((path.state(), path.false_suspects()), (Health::Good, 1));
    assert_eq!(path.deadline(&load(990)), Some(at(1060)), "twice the gap of 20 ms seen");
}

#[test]
fn silence_of_all_loaded_paths_suspects_none_but_asks_all() {
    let mut path = busy(1000);
    let mut probes = Vec::new();
    let mut now = at(1000);
    while now < at(2000) {
        now = path.deadline(&load(962)).unwrap();
        let orders = path.on_deadline(now, &load(962), Witness::Silent);
        assert_eq!(orders.change, None);
        probes.extend(orders.probe.map(|_| now));
    }
    assert_eq!(path.state(), Health::Good);
    assert_eq!(probes, [1125, 1375, 1625, 1875, 2125].map(at), "each 250 ms once 3 SRTT are over");
    let heard = path.on_deadline(now, &load(962), Witness::Heard);
    assert_eq!(heard.change.map(|change| change.to), Some(Health::Suspect), "as soon as another is heard");
}

#[test]
fn a_lone_path_is_left_to_its_pto() {
    let mut path = busy(1000);
    let mut now = at(1000);
    while now < at(5000) {
        now = path.deadline(&load(962)).unwrap();
        assert_eq!(path.on_deadline(now, &load(962), Witness::Alone), Orders::default());
    }
}

#[test]
fn witnesses_are_told_apart() {
    let seen = |now, own: &Monitor, others: &[Monitor]| witness(at(now), (own, &load(960)), others.iter());
    let (early, mut late, idle) = (busy(1000), busy(1008), Monitor::new(at(0)));
    assert_eq!(seen(1030, &early, &[]), Witness::Alone);
    assert_eq!(seen(1030, &early, &[late]), Witness::Silent, "8 ms apart is together");
    late.on_progress(at(1012), false);
    assert_eq!(seen(1030, &early, &[late]), Witness::Heard);
    assert_eq!(seen(1030, &late, &[early]), Witness::Silent);
    assert_eq!(seen(1030, &early, &[idle]), Witness::Idle);
    assert_eq!(seen(1030, &early, &[idle, busy(1000)]), Witness::Silent, "a loaded path is silent as well");
    assert_eq!(seen(1063, &early, &[late]), Witness::Faded, "it is silent itself by now");
    late.on_progress(at(1013), true);
    assert_eq!(seen(1063, &early, &[late]), Witness::Heard, "nothing is asked of it");
    let mut dead = late;
    dead.on_link(at(1013), false);
    assert_eq!(seen(1030, &early, &[dead]), Witness::Silent, "the dead do not testify");
}

#[test]
fn a_longer_path_that_falls_silent_with_the_others_is_no_witness() {
    let mut path = Monitor::new(at(0));
    path.on_sent(at(0), false);
    for now in (40..=1000).step_by(30) {
        path.on_progress(at(now), false);
    }
    let since = path.silence().since().unwrap();
    assert_eq!(path.silence().tolerance(since, &load(960)), ms(50));
    let heard = |after| {
        let mut other = busy(900);
        other.on_progress(since + ms(after), false);
        witness(since + ms(50), (&path, &load(960)), [other].iter())
    };
    assert_eq!(heard(12), Witness::Silent, "its acknowledgements were under way for longer");
    assert_eq!(heard(26), Witness::Heard);
}

#[test]
fn an_interface_event_takes_a_path_out_at_once_and_two_replies_bring_it_back() {
    let mut path = busy(1000);
    let orders = path.on_link(at(1001), false);
    assert_eq!(orders.change.map(|change| change.cause), Some(Cause::LinkDown));
    assert!(orders.tell_peer && orders.resend == Some(Resend::Out) && orders.probe.is_none());
    assert_eq!(path.on_link(at(1002), false), Orders::default(), "said once");
    let idle = Load { demand: true, ..Load::default() };
    assert_eq!(path.deadline(&idle), Some(at(121_001)), "no probes on a link that is gone");

    let mut probes = std::vec![(5000, path.on_link(at(5000), true).probe)];
    for _ in 0..4 {
        let due = path.deadline(&idle).unwrap();
        probes.push((due.as_nanos() / 1_000_000, path.on_deadline(due, &idle, Witness::Heard).probe));
    }
    let (ping, challenge) = (Some(Probe::Ping), Some(Probe::Challenge));
    assert_eq!(probes, [(5000, ping), (5050, ping), (5150, ping), (5400, challenge), (5650, ping)]);

    assert_eq!(path.on_probe_reply(at(5700)).probe, ping, "the second at once");
    let back = path.on_probe_reply(at(5740)).change.unwrap();
    assert_eq!((back.to, back.lasted), (Health::Probation, ms(4739)));
    for round in 0..3 {
        assert_eq!(path.on_round(at(5800 + round), true).change, None);
    }
    assert_eq!(path.on_round(at(5900), false).change, None, "a bad round starts the count again");
    for round in 0..3 {
        assert_eq!(path.on_round(at(6000 + round), true).change, None);
    }
    assert_eq!(path.on_round(at(6100), true).change.map(|change| change.to), Some(Health::Good));
}

#[test]
fn probes_slow_down_after_two_minutes_when_the_path_may_be_given_up() {
    let mut path = busy(1000);
    path.on_peer_down(at(1000));
    let count = |path: &mut Monitor, until: u64, demand: bool| {
        let load = Load { demand, ..Load::default() };
        let (mut probes, mut abandoned) = (0, 0);
        while let Some(due) = path.deadline(&load).filter(|due| *due < at(until)) {
            let orders = path.on_deadline(due, &load, Witness::Heard);
            probes += u32::from(orders.probe.is_some());
            abandoned += u32::from(orders.abandon);
        }
        (probes, abandoned)
    };
    assert_eq!(count(&mut path, 121_000, true), (479, 0), "each 250 ms, the first when it went out");
    assert_eq!(count(&mut path, 131_000, true), (20, 1), "each 500 ms");
    let (probes, abandoned) = count(&mut path, 151_000, false);
    assert!((9..=11).contains(&probes) && abandoned == 0, "each 2 s: {probes}, {abandoned}");
}

#[test]
fn a_stalled_event_loop_is_not_the_path_s_silence() {
    let mut path = busy(1000);
    path.on_stall(ms(50));
    assert_eq!(path.deadline(&load(962)), Some(at(1065)));
}

#[test]
fn an_idle_path_is_asked_for_a_sign_of_life() {
    let mut path = Monitor::new(at(0));
    let load = Load { keep_alive: ms(5000), ..Load::default() };
    assert_eq!(path.deadline(&load), Some(at(5000)));
    assert_eq!(path.on_deadline(at(5000), &load, Witness::Idle).probe, Some(Probe::Ping));
    assert_eq!(path.deadline(&load), Some(at(10_000)));
    assert_eq!(path.deadline(&Load::default()), None);
}

#[test]
fn the_guard_holds_and_readmits() {
    let mut path = Monitor::new(at(0));
    assert!(path.readmit(at(1)).is_err());
    path.hold(at(1)).unwrap();
    assert!(path.hold(at(2)).is_err());
    assert_eq!(path.readmit(at(3)).unwrap().to, Health::Probation);
}

proptest! {
    #[test]
    fn whatever_happens_every_change_is_an_arrow_and_deadlines_lie_ahead(
        facts in prop::collection::vec((0..10u8, 0..300u64, 0..4u8), 1..200),
    ) {
        let mut path = Monitor::new(at(0));
        let mut now = 0;
        for (fact, wait, extra) in facts {
            now += wait;
            let load = Load { keep_alive: ms(u64::from(extra) * 1000), ..load(now.saturating_sub(wait)) };
            let words = [Witness::Heard, Witness::Idle, Witness::Silent, Witness::Alone];
            let before = path.state();
            let orders = match fact {
                0 => { path.on_sent(at(now), false); Orders::default() }
                1 => path.on_progress(at(now), extra == 0),
                2 => path.on_received(at(now)),
                3 => path.on_probe_reply(at(now)),
                4 => path.on_link(at(now), extra != 0),
                5 => path.on_peer_down(at(now)),
                6 => path.on_round(at(now), extra != 0),
                7 => Orders { change: path.hold(at(now)).ok(), ..Orders::default() },
                8 => Orders { change: path.readmit(at(now)).ok(), ..Orders::default() },
                _ => path.on_deadline(at(now), &load, words[usize::from(extra)]),
            };
            match orders.change {
                Some(change) => {
                    prop_assert_eq!((change.from, change.to), (before, path.state()));
                    prop_assert!(change.from.may_become(change.to, change.cause));
                }
                None => prop_assert_eq!(before, path.state()),
            }
            // Serving deadlines moves on: a host that follows them does not spin.
            for _ in 0..8 {
                let Some(due) = path.deadline(&load).filter(|due| *due <= at(now)) else { break };
                path.on_deadline(at(now).max(due), &load, Witness::Silent);
            }
            prop_assert!(path.deadline(&load).is_none_or(|due| due > at(now)), "{:?} {:?}", path, load);
        }
    }
}

#[test]
fn a_witness_that_fell_silent_a_little_later_makes_a_suspect_and_takes_none_out() {
    let mut path = busy(1000);
    let load = load(962);
    let due = path.deadline(&load).unwrap();
    let orders = path.on_deadline(due, &load, Witness::Faded);
    assert_eq!(orders.change.map(|change| change.to), Some(Health::Suspect));
    let mut probes = 0;
    for now in (1030..3000).step_by(10) {
        let orders = path.on_deadline(at(now), &load, Witness::Faded);
        assert_eq!(orders.change, None);
        probes += u32::from(orders.probe.is_some());
    }
    assert!((7..=30).contains(&probes), "{probes}");
    assert_eq!(path.on_progress(at(3000), false).change.map(|change| change.to), Some(Health::Good));
}
