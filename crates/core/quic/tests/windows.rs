//! Flow control windows that tune themselves, and who goes first when there is less room than work.

mod pair;

use pair::Pair;
use pair::flow::{Flow, drain, pattern, pump};
use pair::link::bottleneck;
use tq_quic::TransportConfig;
use tq_quic::time::Duration;
use tq_quic::wire::{Dir, Side, StreamId};

#[test]
fn windows_grow_to_what_a_long_fast_link_needs() {
    // 100 Mbit/s with a round trip of 200 ms: 2.5 MB in flight, twice that in windows
    let delay = Duration::from_millis(100);
    let (link, _) = bottleneck(12_500_000, 2_500_000, delay, None);
    let mut pair = Pair { delay, link, ..Pair::default() };
    let mut flow = Flow::connect(&mut pair, Side::Client, 400 << 20);
    // slow start and the first window updates
    flow.run_for(&mut pair, Duration::from_secs(5));
    let before = flow.got.len();
    flow.run_for(&mut pair, Duration::from_secs(10));
    let share = (flow.got.len() - before) as f64 / 10.0 / 12.5e6;
    assert!(share > 0.85, "{share:.3} of the rate");
}

#[test]
fn a_reader_that_stops_holds_the_sender_within_the_window() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client(client).open(Dir::Uni).expect("allowed");
    let data = pattern(200 << 20);
    let mut at = 0;
    pair.drive_for(Duration::from_secs(5), |pair| {
        pump(pair.client(client), id, &data, &mut at);
        false
    });
    let received = pair.server(server).stats().counters.bytes_received;
    assert!(received < 4 << 20, "{received} bytes for a reader that never read");
    // and goes on when it does
    let mut got = Vec::new();
    let mut done = false;
    pair.server(server).accept(Dir::Uni).expect("the stream");
    pair.drive_for(Duration::from_secs(60), |pair| {
        pump(pair.client(client), id, &data, &mut at);
        done |= drain(pair.server(server), id, &mut got);
        done
    });
    assert!(done && got == data);
}

/// Opens streams with priorities and notes in which order they end.
fn order(priorities: &[i32], len: usize) -> Vec<usize> {
    let mut pair = Pair::default();
    let (link, _) = bottleneck(1_250_000, 50_000, pair.delay, None);
    pair.link = link;
    let (client, server) = pair.connected();
    let data = pattern(len);
    let ids: Vec<StreamId> =
        priorities.iter().map(|_| pair.client(client).open(Dir::Uni).expect("allowed")).collect();
    for (id, priority) in ids.iter().zip(priorities) {
        pair.client(client).set_priority(*id, *priority).expect("open");
    }
    let mut at = vec![0; ids.len()];
    let mut got = vec![Vec::new(); ids.len()];
    let mut ended = Vec::new();
    pair.drive_for(Duration::from_secs(60), |pair| {
        for (id, at) in ids.iter().zip(&mut at) {
            if *at <= data.len() {
                pump(pair.client(client), *id, &data, at);
            }
        }
        while pair.server(server).accept(Dir::Uni).is_some() {}
        for (i, id) in ids.iter().enumerate() {
            if !ended.contains(&i) && drain(pair.server(server), *id, &mut got[i]) {
                ended.push(i);
            }
        }
        ended.len() == ids.len()
    });
    assert!(got.iter().all(|got| *got == data));
    ended
}

#[test]
fn higher_priorities_end_first() {
    assert_eq!(order(&[-1, 0, 5, 3], 500_000), [2, 3, 1, 0]);
}

#[test]
fn equals_share() {
    let mut pair = Pair::default();
    let (link, _) = bottleneck(1_250_000, 50_000, pair.delay, None);
    pair.link = link;
    let (client, server) = pair.connected();
    // all of it fits the send buffer at once
    let mut flows: Vec<Flow> =
        (0..4).map(|_| Flow::over(&mut pair, (client, server), Side::Client, 250_000)).collect();
    pair.drive_for(Duration::from_millis(500), |pair| {
        for flow in &mut flows {
            flow.work(pair);
        }
        false
    });
    let got: Vec<usize> = flows.iter().map(|flow| flow.got.len()).collect();
    assert!(got.iter().sum::<usize>() < 800_000, "not over yet: {got:?}");
    let (least, most) = (got.iter().min().expect("four"), got.iter().max().expect("four"));
    assert!(least * 10 >= most * 8, "{got:?}");
}

#[test]
fn who_writes_first_does_not_keep_the_others_out() {
    let mut pair = Pair::default();
    let (link, _) = bottleneck(1_250_000, 50_000, pair.delay, None);
    pair.link = link;
    let (client, server) = pair.connected();
    let mut flows: Vec<Flow> =
        (0..4).map(|_| Flow::over(&mut pair, (client, server), Side::Client, 8 << 20)).collect();
    pair.drive_for(Duration::from_secs(4), |pair| {
        for flow in &mut flows {
            flow.work(pair);
        }
        false
    });
    let got: Vec<usize> = flows.iter().map(|flow| flow.got.len()).collect();
    let (least, most) = (got.iter().min().expect("four"), got.iter().max().expect("four"));
    assert!(least * 10 >= most * 8, "{got:?}");
}

#[test]
fn a_blocked_urgent_stream_does_not_hold_up_the_others() {
    let mut config = TransportConfig::default();
    config.stream.stream_window = 10_000;
    config.stream.max_stream_window = 10_000;
    let mut pair = Pair::new(TransportConfig::default(), config);
    let (client, server) = pair.connected();
    let urgent = pair.client(client).open(Dir::Uni).expect("allowed");
    pair.client(client).set_priority(urgent, 10).expect("open");
    let mut at = 0;
    // nobody reads the urgent one
    pump(pair.client(client), urgent, &pattern(1 << 20), &mut at);
    let id = pair.client(client).open(Dir::Uni).expect("allowed");
    let data = pattern(1 << 20);
    let (mut at, mut got, mut done) = (0, Vec::new(), false);
    pair.drive_for(Duration::from_secs(30), |pair| {
        if at <= data.len() {
            pump(pair.client(client), id, &data, &mut at);
        }
        while pair.server(server).accept(Dir::Uni).is_some() {}
        done |= drain(pair.server(server), id, &mut got);
        done
    });
    assert!(done && got == data, "{} bytes", got.len());
}

#[test]
fn streams_that_stop_being_read_leave_the_others_what_they_had() {
    // 50 Mbit/s, 40 ms there and back: eight streams that were read quickly, and then are not any more
    const RATE: u64 = 6_250_000;
    let share = |max_unread: u64, stops: bool| {
        let delay = Duration::from_millis(20);
        let mut config = TransportConfig::default();
        config.stream.max_unread = max_unread;
        let (link, _) = bottleneck(RATE, RATE / 25, delay, None);
        let mut pair = Pair { delay, link, ..Pair::new(TransportConfig::default(), config) };
        let ends = pair.connected();
        let mut flows: Vec<Flow> =
            (0..12).map(|_| Flow::over(&mut pair, ends, Side::Client, 32 << 20)).collect();
        let (resting, readers) = flows.split_at_mut(8);
        let mut run = |millis: u64, all: bool| {
            pair.drive_for(Duration::from_millis(millis), |pair| {
                for flow in readers.iter_mut() {
                    flow.work(pair);
                }
                for flow in resting.iter_mut() {
                    if all { flow.done |= flow.work(pair) } else { flow.feed(pair) }
                }
                false
            });
            let bytes = |flows: &[Flow]| flows.iter().map(|flow| flow.got.len()).sum::<usize>();
            bytes(readers) + if all { bytes(resting) } else { 0 }
        };
        run(2000, true);
        // what is under way for those who stop fills their windows first
        let before = run(4000, !stops);
        (run(4000, !stops) - before) as f64 / 4.0 / RATE as f64
    };
    let (before, after) = (share(64 << 20, false), share(64 << 20, true));
    assert!(after > 0.98 * before, "{after:.3} of {before:.3}");
    let held_up = share(0, true);
    assert!(held_up < 0.1, "{held_up:.3} if unread bytes count");
}
