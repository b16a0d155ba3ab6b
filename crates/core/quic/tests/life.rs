//! Life and death of paths: what a silent link costs, when one comes back, what an interface event saves, and that nothing
//! of it tears a path down (decision 10).
//!
//! `TQ_SEEDS=200 cargo test -p tq-quic --test life gaps -- --nocapture` prints the whole table of gaps.

mod cuts;
mod pair;

use cuts::{ALIVE, BOTH, DOWN, Dead, Line, MS, Net, Stream, UP};
use pair::multi;
use tq_quic::sched::{Health, Kind};
use tq_quic::time::Duration;
use tq_quic::wire::{PathId, Side};
use tq_quic::{Event, PathEvent, Status};

const LINES: [Line; 2] = [Line::new(50, 20), Line::new(50, 40)];
const FOREVER: u64 = u64::MAX;

/// Seeds of each case.
fn seeds(usual: u64) -> u64 {
    std::env::var("TQ_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Spread + 50 ms + one-way delay of the survivor + 25 ms.
fn bar(lines: &[Line; 2], cut: usize) -> Duration {
    let spread = lines[0].rtt_ms.abs_diff(lines[1].rtt_ms) / 2;
    Duration::from_millis(spread + 50 + lines[1 - cut].rtt_ms / 2 + 25)
}

/// Longest gap from 0.2 s before a cut to 0.6 s after it.
fn gap_of_a_cut(lines: &[Line; 2], from: Side, cut: usize, dead: Dead, seed: u64) -> Duration {
    let mut net = Net::new(lines, seed, |_| {});
    let mut stream = Stream::start(&mut net, from, FOREVER);
    // another phase of windows and queues for each seed
    stream.run(&mut net, Duration::from_millis(500 + seed * 7 % 200));
    let before = stream.gap_in(&mut net, 200 * MS);
    net.cut(cut, dead);
    before.max(stream.gap_in(&mut net, 600 * MS))
}

fn percentile_95(gaps: &mut [Duration]) -> Duration {
    gaps.sort_unstable();
    gaps[(gaps.len() * 95).div_ceil(100) - 1]
}

fn gaps_of_cuts(lines: &[Line; 2], from: Side) {
    let (data, acks) = if from.is_client() { (UP, DOWN) } else { (DOWN, UP) };
    println!("{:<8} {:<6} {:>4} {:>8} {:>8} {:>8}", "sender", "cut", "link", "p95 ms", "max ms", "bar ms");
    for (name, dead) in [("both", BOTH), ("data", data), ("acks", acks)] {
        for cut in [0, 1] {
            let mut gaps: Vec<Duration> =
                (1..=seeds(3)).map(|seed| gap_of_a_cut(lines, from, cut, dead, seed)).collect();
            let (p95, bar) = (percentile_95(&mut gaps), bar(lines, cut));
            let most = gaps.last().copied().unwrap_or_default();
            println!(
                "{from:<8?} {name:<6} {cut:>4} {:>8.1} {:>8.1} {:>8}",
                p95.as_secs_f64() * 1e3,
                most.as_secs_f64() * 1e3,
                bar.as_millis()
            );
            assert!(p95 <= bar, "{from:?} {name} of link {cut}: {p95:?} of {bar:?}");
        }
    }
}

#[test]
fn gaps_of_silent_cuts_in_an_upload_keep_within_the_bar() {
    gaps_of_cuts(&LINES, Side::Client);
}

#[test]
fn gaps_of_silent_cuts_in_a_download_keep_within_the_bar() {
    gaps_of_cuts(&LINES, Side::Server);
}

#[test]
fn gaps_are_no_longer_when_the_link_dies_that_carries_the_acks_of_the_other() {
    gaps_of_cuts(&[Line::new(50, 10), Line::new(50, 60)], Side::Server);
}

#[test]
fn short_blips_abandon_nothing_and_the_path_serves_again() {
    for blip in [50, 100, 300, 1000] {
        for from in [Side::Client, Side::Server] {
            let mut net = Net::new(&LINES, blip, |_| {});
            let mut stream = Stream::start(&mut net, from, FOREVER);
            stream.run(&mut net, 500 * MS);
            for n in [0, 1, 0] {
                net.cut(n, BOTH);
                stream.run(&mut net, blip as u32 * MS);
                net.cut(n, ALIVE);
                stream.run(&mut net, 1500 * MS);
                assert_eq!(stream.health(&mut net.pair, n as u32), Health::Good, "{blip} ms, {from:?}");
            }
            assert!(!stream.abandoned(&net.pair), "{:?}", net.pair.client.events);
            // all that was given up is there: nothing is owed but what is under way
            let carried = |net: &mut Net| {
                stream.sender(&mut net.pair).stats().paths.iter().map(|p| p.bytes_sent).collect::<Vec<_>>()
            };
            let before = carried(&mut net);
            stream.run(&mut net, 500 * MS);
            let after: Vec<u64> =
                stream.sender(&mut net.pair).stats().paths.iter().map(|p| p.bytes_sent).collect();
            assert!(after.iter().zip(before).all(|(now, then)| now - then > 1_000_000), "{after:?}");
        }
    }
}

#[test]
fn a_healed_link_carries_data_within_half_a_second_and_one_and_a_half_round_trips() {
    for outage in [150, 1000, 10_500] {
        let mut net = Net::new(&LINES, outage, |_| {});
        let mut stream = Stream::start(&mut net, Side::Server, FOREVER);
        stream.run(&mut net, 500 * MS);
        net.cut(1, BOTH);
        stream.run(&mut net, outage as u32 * MS);
        let silent = if outage < 500 { Health::Suspect } else { Health::Out };
        assert_eq!(stream.health(&mut net.pair, 1), silent);
        let before = stream.sender(&mut net.pair).path_stats(PathId(1)).expect("a path").bytes_sent;
        net.cut(1, ALIVE);
        stream.run(&mut net, 560 * MS);
        let stats = stream.sender(&mut net.pair).path_stats(PathId(1)).expect("a path");
        assert!(stats.bytes_sent > before + 5000, "{outage}: {} after {before}", stats.bytes_sent);
        stream.run(&mut net, Duration::from_secs(1));
        assert_eq!(stream.health(&mut net.pair, 1), Health::Good, "{outage}");
    }
}

#[test]
fn silence_of_all_links_takes_none_out_and_the_first_to_return_is_found_at_once() {
    let mut net = Net::new(&LINES, 3, |_| {});
    let mut stream = Stream::start(&mut net, Side::Server, FOREVER);
    stream.run(&mut net, 500 * MS);
    (0..2).for_each(|n| net.cut(n, BOTH));
    let told = net.pair.server.events.len();
    stream.run(&mut net, Duration::from_secs(3));
    // the acknowledgements of the longer path come a little longer, so the other may be suspected
    let out = |(_, event): &(tq_quic::Handle, Event)| {
        matches!(event, Event::Path(PathEvent::Health { health: Health::Out, .. }))
    };
    assert!(!net.pair.server.events[told..].iter().any(out), "{:?}", &net.pair.server.events[told..]);
    net.cut(1, ALIVE);
    let got = stream.got;
    stream.run(&mut net, 700 * MS);
    assert!(stream.got > got + 500_000, "{}", stream.got - got);
    assert!(!stream.abandoned(&net.pair));
}

#[test]
fn an_interface_event_makes_the_gap_one_round_trip_of_the_survivor() {
    for from in [Side::Client, Side::Server] {
        for cut in [0, 1] {
            let mut net = Net::new(&LINES, 5, |_| {});
            let mut stream = Stream::start(&mut net, from, FOREVER);
            stream.run(&mut net, 600 * MS);
            net.cut(cut, BOTH);
            let now = net.pair.now;
            net.pair.client(stream.client).on_link_down(now, cut as u32, None);
            let gap = stream.gap_in(&mut net, 600 * MS);
            // a round trip, and a full queue each way
            let most = LINES[1 - cut].rtt_ms + 2 * LINES[1 - cut].queue_ms;
            assert!(gap <= Duration::from_millis(most), "{from:?} {cut}: {gap:?}");
            let health =
                net.pair.client(stream.client).path_stats(PathId(cut as u32)).expect("a path").health;
            assert_eq!(health, Health::Out);
            // and back
            net.cut(cut, ALIVE);
            let now = net.pair.now;
            net.pair.client(stream.client).on_link_up(now, cut as u32, None);
            stream.run(&mut net, Duration::from_secs(1));
            assert_eq!(stream.health(&mut net.pair, cut as u32), Health::Good);
            assert!(!stream.abandoned(&net.pair));
        }
    }
}

#[test]
fn a_path_that_stays_out_is_abandoned_by_the_client_after_two_minutes() {
    let mut net = Net::new(&LINES, 1, |config| config.keep_alive = Some(Duration::from_secs(10)));
    let mut stream = Stream::start(&mut net, Side::Client, 20 << 20);
    stream.run(&mut net, 500 * MS);
    net.cut(1, BOTH);
    stream.run(&mut net, Duration::from_secs(30));
    assert!(stream.done);
    net.pair.pass(Duration::from_secs(112));
    assert_eq!(stream.health(&mut net.pair, 1), Health::Out);
    assert!(!stream.abandoned(&net.pair));
    net.pair.pass(Duration::from_secs(10));
    assert!(stream.abandoned(&net.pair));
    assert!(net.pair.client.closed(stream.client).is_none());
}

#[test]
fn on_links_that_work_no_more_than_a_twentieth_goes_twice() {
    for (lines, from) in [(LINES, Side::Server), ([Line::new(50, 20), Line::new(20, 300)], Side::Client)] {
        let mut net = Net::new(&lines, 9, |_| {});
        let mut stream = Stream::start(&mut net, from, 20 << 20);
        stream.run(&mut net, Duration::from_secs(30));
        assert!(stream.done);
        let stats = stream.sender(&mut net.pair).stats();
        let twice: u64 = stats.paths.iter().map(|path| path.bytes_resent).sum();
        assert!(twice <= (20 << 20) / 20, "{twice} bytes");
    }
}

#[test]
fn acknowledgements_of_a_long_path_come_by_the_short_one_and_now_and_then_by_itself() {
    let mut net = Net::new(&[Line::new(50, 20), Line::new(20, 600)], 2, |_| {});
    let mut stream = Stream::start(&mut net, Side::Client, FOREVER);
    stream.run(&mut net, Duration::from_secs(4));
    let before = net.offered.borrow()[1];
    stream.run(&mut net, Duration::from_secs(2));
    let after = net.offered.borrow()[1];
    let long = stream.sender(&mut net.pair).path_stats(PathId(1)).expect("a path");
    assert!(long.srtt < 450 * MS && long.min_rtt >= 600 * MS, "{:?} {:?}", long.srtt, long.min_rtt);
    assert_eq!(long.pto_count, 0);
    let (data, acks) = (after[0] - before[0], after[1] - before[1]);
    assert!(data > 500, "{data} datagrams");
    assert!((8..=60).contains(&acks), "{acks} acknowledgements of {data} datagrams");
}

#[test]
fn a_path_nothing_comes_on_is_not_loaded_with_acknowledgements() {
    let mut net = Net::new(&[Line::new(50, 60), Line::new(50, 10)], 2, |_| {});
    let mut stream = Stream::start(&mut net, Side::Client, FOREVER);
    let now = net.pair.now;
    net.pair.client(stream.client).set_path_status(now, PathId(1), Status::Backup).expect("a path");
    stream.run(&mut net, Duration::from_secs(1));
    let before = net.offered.borrow()[1];
    stream.run(&mut net, Duration::from_secs(3));
    let after = net.offered.borrow()[1];
    assert!(after[1] - before[1] < 30, "{before:?} {after:?}");
}

#[test]
fn a_long_path_has_a_second_window_before_its_address_is_proven() {
    let mut net = Net::new(&[Line::new(50, 20), Line::new(50, 400)], 1, |_| {});
    let (client, server) = net.pair.connected();
    let mut stream = Stream::over(&mut net, (client, server), Side::Server, FOREVER);
    stream.run(&mut net, 200 * MS);
    let id = multi::open(&mut net.pair, client, 1);
    let proven = Event::Path(PathEvent::Validated(id));
    let began = net.pair.now;
    while !net.pair.server.has(server, &proven) {
        assert!(net.pair.now - began < Duration::from_secs(2), "the address is proven");
        stream.run(&mut net, MS);
    }
    let [up, down] = net.offered.borrow()[1];
    assert!(down <= 3 * up, "{down} datagrams for {up}, most of them of the same size");
    assert!((8..=20).contains(&up), "{up} datagrams open it");
    assert!(down >= 20, "{down} datagrams: a first window is ten");
}

#[test]
fn what_a_slow_path_still_holds_at_the_end_goes_again_on_a_fast_one() {
    let lines = [Line::new(50, 20), Line::new(10, 600)];
    let took = |scheduler| {
        let mut net = Net::new(&lines, 4, |config| config.scheduler = scheduler);
        let mut stream = Stream::start(&mut net, Side::Client, 2 << 20);
        let begin = net.pair.now;
        stream.run(&mut net, Duration::from_secs(20));
        assert!(stream.done);
        let again: u64 =
            stream.sender(&mut net.pair).stats().paths.iter().map(|path| path.bytes_resent).sum();
        (net.pair.now - begin, again)
    };
    let (weighed, again) = took(Kind::MinRtt);
    let (turns, none) = took(Kind::RoundRobin);
    assert!(again > 0 && again < 300 << 10, "{again} bytes");
    assert!(none < again, "{none} bytes in turns, {again} otherwise");
    assert!(weighed + 100 * MS < turns, "{weighed:?}, in turns {turns:?}");
}

#[test]
fn a_refused_size_shrinks_the_path_it_was_refused_on_and_no_other() {
    let mut net = Net::new(&LINES, 1, |_| {});
    let mut stream = Stream::start(&mut net, Side::Client, FOREVER);
    stream.run(&mut net, Duration::from_secs(1));
    let mtus = |net: &mut Net| {
        net.pair.client(stream.client).stats().paths.iter().map(|path| path.mtu).collect::<Vec<_>>()
    };
    assert_eq!(mtus(&mut net), [1452, 1452]);
    let (now, remote) = (net.pair.now, net.pair.server.address);
    net.pair.client(stream.client).on_too_big(now, 1, remote, 1400);
    let after = mtus(&mut net);
    assert!(after[0] == 1452 && after[1] < 1400, "{after:?}");
}

#[test]
fn a_peer_that_changes_its_mind_all_the_time_gets_no_more_than_the_budget_twice() {
    let mut net = Net::new(&LINES, 1, |_| {});
    let mut stream = Stream::start(&mut net, Side::Server, FOREVER);
    stream.run(&mut net, 500 * MS);
    for n in 0..400 {
        let now = net.pair.now;
        let status = if n % 2 == 0 { Status::Backup } else { Status::Available };
        net.pair.client(stream.client).set_path_status(now, PathId(1), status).expect("a path");
        stream.run(&mut net, 5 * MS);
    }
    let twice: u64 = stream.sender(&mut net.pair).stats().paths.iter().map(|path| path.bytes_resent).sum();
    // a full bucket, 4 % of what was acknowledged, and four packets whenever it began anew
    let most = (256 << 10) + stream.got / 20 + 200 * 4 * 1500;
    assert!(twice > 0 && twice < most, "{twice} of {most}, {} in order", stream.got);
    assert!(stream.got > 10 << 20);
}
