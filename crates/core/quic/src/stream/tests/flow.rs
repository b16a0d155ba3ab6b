//! The windows we grant: when they move, how they grow, and what a peer can make us hold.

use super::*;

/// The stream window of `id` as it is now.
fn window(of: &Streams, id: StreamId) -> u64 {
    let key = of.table.keys().into_iter().find(|key| of.table.get(*key).unwrap().id == id);
    of.table.get(key.unwrap()).unwrap().recv.as_ref().unwrap().window()
}

/// Sends as much as allowed each `rtt` for `rounds` of them; the reader takes `share` percent of it at once.
fn bulk(config: &StreamConfig, rtt: u64, rounds: u64, share: usize) -> (Streams, StreamId) {
    let (mut c, mut s) = pair(config);
    let id = c.open(Dir::Uni).unwrap();
    let data = Bytes::from(vec![7; 1 << 20]);
    let mut ready = 0;
    for round in 1..=rounds {
        let now = at(round * rtt);
        s.on_rtt(now, Duration::from_millis(rtt), false);
        loop {
            let taken = c.write(id, &mut data.clone());
            if flush(&mut c, &mut s, now).is_empty() && taken.is_err() {
                break;
            }
        }
        ready += 1;
        let mut budget = if share == 100 { usize::MAX } else { ready * share };
        while let Ok(Some(bytes)) = s.read(id, budget.min(1 << 14)) {
            budget -= bytes.len();
            if budget == 0 {
                break;
            }
        }
        flush(&mut s, &mut c, now);
    }
    (s, id)
}

// MUST 9000-4.2-1
#[test]
fn limits_move_when_half_of_a_window_was_read() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    c.write_slice(id, &[1; 1000]).unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(s.read(id, 499).unwrap().unwrap().len(), 499);
    assert!(!s.wants_control());
    assert_eq!(s.read(id, 1).unwrap().unwrap().len(), 1);
    let sent = packet(&mut s, 1200).unwrap();
    assert_eq!(frames(&sent), [Frame::MaxStreamData(id, 1500)]);
    assert_eq!(s.read(id, 499).unwrap().unwrap().len(), 499);
    let other = c.open(Dir::Uni).unwrap();
    c.write_slice(other, &[1; 501]).unwrap();
    flush(&mut c, &mut s, at(0));
    assert_eq!(s.read(other, 501).unwrap().unwrap().len(), 501);
    let sent = packet(&mut s, 1200).unwrap();
    let expected = [Frame::MaxData(4500), Frame::MaxStreamData(other, 1501)];
    assert_eq!(frames(&sent), expected);
}

#[test]
fn of_lost_limits_only_the_newest_goes_again() {
    let (mut c, mut s) = pair(&small());
    let id = c.open(Dir::Uni).unwrap();
    let mut sent = Vec::new();
    for _ in 0..4 {
        c.write_slice(id, &[1; 500]).unwrap();
        flush(&mut c, &mut s, at(0));
        assert_eq!(drain(&mut s, id).0.len(), 500);
        let packet = packet(&mut s, 1200).unwrap();
        deliver(&mut c, at(0), &packet.bytes).unwrap();
        sent.push(packet);
    }
    let newest = sent.pop().unwrap();
    sent.iter().for_each(|packet| lost(&mut s, packet));
    let again = packet(&mut s, 1200);
    assert!(again.is_none_or(|p| frames(&p) == [Frame::MaxData(4500)]), "of the connection's there was one");
    lost(&mut s, &newest);
    let again = packet(&mut s, 1200).unwrap();
    assert_eq!(frames(&again), [Frame::MaxStreamData(id, 3000)]);
    c.finish(id).unwrap();
    flush(&mut c, &mut s, at(0));
    lost(&mut s, &again);
    assert!(packet(&mut s, 1200).is_none(), "a stream whose end is known needs no limit");
}

#[test]
fn a_window_that_holds_the_sender_back_grows_to_its_maximum_and_no_further() {
    let config = StreamConfig {
        stream_window: 16 << 10,
        connection_window: 32 << 10,
        max_stream_window: 256 << 10,
        max_connection_window: 300 << 10,
        ..StreamConfig::default()
    };
    let (s, id) = bulk(&config, 50, 20, 100);
    assert_eq!(window(&s, id), 256 << 10);
    assert_eq!(s.inbound.window.size(), 300 << 10);
}

#[test]
fn a_reader_that_does_not_keep_up_does_not_widen_the_window() {
    let config =
        StreamConfig { stream_window: 64 << 10, connection_window: 128 << 10, ..StreamConfig::default() };
    let (s, id) = bulk(&config, 50, 40, 50);
    assert_eq!(window(&s, id), 64 << 10);
    assert_eq!(s.inbound.window.size(), 128 << 10);
}

#[test]
fn without_a_round_trip_time_windows_stay() {
    let (mut c, mut s) = pair(&StreamConfig { max_stream_window: 1 << 20, ..small() });
    let id = c.open(Dir::Uni).unwrap();
    for _ in 0..50 {
        c.write_slice(id, &[1; 1000]).unwrap();
        settle(&mut c, &mut s, at(1));
        assert!(drain(&mut s, id).0.len() >= 500);
        settle(&mut c, &mut s, at(1));
    }
    assert_eq!(window(&s, id), 1000);
}

// MUST 9000-4.1-1, 9000-19.9-1
#[test]
fn a_peer_that_is_not_read_is_held_to_the_connections_window() {
    let config = StreamConfig { max_uni: 64, ..small() };
    let (mut c, mut s) = pair(&config);
    while let Some(id) = c.open(Dir::Uni) {
        c.write_slice(id, &[1; 1000]).unwrap();
    }
    for ms in 0..1000 {
        s.on_rtt(at(ms), Duration::from_millis(100), false);
        settle(&mut c, &mut s, at(ms));
    }
    assert_eq!(c.outbound.sent, 3000);
    assert_eq!(s.inbound.window.limit(), 3000);
}

#[test]
fn on_a_long_path_the_first_read_stretches_a_window_to_what_the_round_trip_needs() {
    for (rtt, max, expected) in [
        (99, 48 << 20, 1000),
        (100, 48 << 20, 2_500_000),
        (600, 48 << 20, 15_000_000),
        (5000, 48 << 20, 15_000_000),
        (600, 2_000_000, 2_000_000),
        (600, 1000, 1000),
    ] {
        let config = StreamConfig { max_stream_window: max, max_connection_window: 64 << 20, ..small() };
        let (mut c, mut s) = pair(&config);
        let id = c.open(Dir::Uni).unwrap();
        s.on_rtt(at(0), Duration::from_millis(rtt), false);
        c.write_slice(id, &[1; 10]).unwrap();
        flush(&mut c, &mut s, at(1));
        assert_eq!(window(&s, id), 1000, "nothing was read yet");
        s.read(id, 1).unwrap();
        assert_eq!(window(&s, id), expected, "{rtt} ms");
    }
}

#[test]
fn over_several_paths_the_first_read_leaves_room_for_what_overtakes_a_hole() {
    let config = StreamConfig { max_stream_window: 48 << 20, max_connection_window: 64 << 20, ..small() };
    let (mut c, mut s) = pair(&config);
    let id = c.open(Dir::Uni).unwrap();
    let mut read = |ms: u64, rtt: u64, several: bool| {
        c.write_slice(id, &[1; 10]).unwrap();
        flush(&mut c, &mut s, at(ms));
        s.on_rtt(at(ms), Duration::from_millis(rtt), several);
        s.read(id, 10).unwrap();
        flush(&mut s, &mut c, at(ms));
        window(&s, id)
    };
    assert_eq!(read(1, 10, false), 1000);
    assert_eq!(read(2, 10, true), 5_500_000, "twice 10 ms and the time in which a hole is noticed");
    assert_eq!(read(3, 40, true), 5_500_000, "not much longer");
    assert_eq!(read(4, 150, true), 12_500_000, "a path that is much longer");
    assert_eq!(read(5, 20, true), 12_500_000);
}

#[test]
fn over_several_paths_a_window_covers_twice_the_slowest_round_trip_and_a_recovery() {
    // bytes per millisecond, all paths together; milliseconds
    for (rate, rtt) in [(2_000, 20), (5_000, 40), (2_000, 120), (3_000, 600)] {
        let (mut c, mut s) = pair(&StreamConfig::default());
        let id = c.open(Dir::Uni).unwrap();
        let data = vec![1; rate * 10];
        for step in 1..=600 {
            let now = at(step * 10);
            s.on_rtt(now, Duration::from_millis(rtt), true);
            c.write_slice(id, &data).expect("there is credit");
            flush(&mut c, &mut s, now);
            while let Ok(Some(_)) = s.read(id, 1 << 20) {}
            flush(&mut s, &mut c, now);
        }
        let least = 2 * rate as u64 * (rtt + 100);
        assert!(window(&s, id) >= least, "{rate} {rtt}: {} of {least}", window(&s, id));
        assert!(s.inbound.window.size() >= least);
    }
}
