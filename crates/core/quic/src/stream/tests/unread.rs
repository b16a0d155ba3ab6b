//! Streams that nobody reads beside those that are read: whom they hold up, what they may cost, and what a peer can make
//! of it.

use super::*;
use crate::stream::WindowBudget;
use tq_buf::mem::Arc;

/// Client and server after their handshake.
fn met(config: &StreamConfig) -> (Streams, Streams) {
    let (mut c, mut s) = pair(config);
    c.on_complete();
    s.on_complete();
    (c, s)
}

/// Sends `bytes` more of a stream from one end as far as it may; says how many were taken.
fn push(c: &mut Streams, s: &mut Streams, now: Instant, id: StreamId, bytes: usize) -> usize {
    let before = c.traffic().sent;
    let mut data = Bytes::from(vec![7; bytes]);
    while !data.is_empty() {
        let taken = c.write(id, &mut data).unwrap_or(0);
        let sent = flush(c, s, now).len() + flush(s, c, now).len();
        if taken == 0 && sent == 0 {
            break;
        }
    }
    (c.traffic().sent - before) as usize
}

/// What was received and neither read nor given up.
fn held(s: &Streams) -> u64 {
    s.inbound.held()
}

#[test]
fn streams_nobody_reads_do_not_hold_up_one_that_is_read() {
    for lends in [false, true] {
        let (mut c, mut s) = pair(&small());
        if lends {
            s.on_complete();
        }
        for _ in 0..3 {
            let id = c.open(Dir::Uni).unwrap();
            assert_eq!(push(&mut c, &mut s, at(0), id, 5000), 1000, "as far as its own window");
        }
        let id = c.open(Dir::Uni).unwrap();
        let mut got = 0;
        for _ in 0..50 {
            push(&mut c, &mut s, at(0), id, 1000);
            got += drain(&mut s, id).0.len();
            settle(&mut c, &mut s, at(0));
        }
        // three of a thousand bytes are what the connection's window allows
        assert!(if lends { got > 49_000 } else { got == 0 }, "{got} bytes");
        assert!((3000..=4000).contains(&held(&s)));
    }
}

#[test]
fn what_is_out_of_order_is_not_lent_for() {
    let (_, mut s) = met(&small());
    for n in 0..3 {
        let id = StreamId::new(Side::Client, Dir::Uni, n);
        s.on_stream(at(0), &stream(id, 1, &[1; 999], false)).unwrap();
    }
    assert!(packet(&mut s, 1200).is_none(), "no byte in order");
    let id = StreamId::new(Side::Client, Dir::Uni, 3);
    let over = s.on_stream(at(0), &stream(id, 0, &[1; 1], false));
    assert_eq!(code(over), Some(Code::FLOW_CONTROL_ERROR));
    let (_, mut s) = met(&small());
    for n in 0..3 {
        let id = StreamId::new(Side::Client, Dir::Uni, n);
        s.on_stream(at(0), &stream(id, 1, &[1; 999], false)).unwrap();
        s.on_stream(at(0), &stream(id, 0, &[1; 1], false)).unwrap();
    }
    assert_eq!(frames(&packet(&mut s, 1200).unwrap()), [Frame::MaxData(6000)], "all of it in order");
}

#[test]
fn nothing_is_lent_to_a_peer_whose_handshake_is_not_complete() {
    let (_, mut s) = pair(&small());
    for n in 0..3 {
        let id = StreamId::new(Side::Client, Dir::Uni, n);
        s.on_stream(at(0), &stream(id, 0, &[1; 1000], false)).unwrap();
        assert!(packet(&mut s, 1200).is_none());
    }
    let id = StreamId::new(Side::Client, Dir::Uni, 3);
    let over = s.on_stream(at(0), &stream(id, 0, &[1; 1], false));
    assert_eq!(code(over), Some(Code::FLOW_CONTROL_ERROR));
}

#[test]
fn a_peer_that_fills_every_stream_it_may_open_is_held_to_both_bounds() {
    const MIB: u64 = 1 << 20;
    let config = StreamConfig { max_bidi: 0, max_uni: 4096, ..StreamConfig::default() };
    let params = params(&config);
    assert_eq!(params.initial_max_data, 2 * MIB);
    let budget = Arc::new(WindowBudget::new(1 << 30));
    let mut s = Streams::new(Side::Server, &config);
    s.harden(Arc::clone(&budget), 1);
    s.on_params(&params);
    s.on_complete();
    s.on_rtt(at(0), Duration::from_millis(600), true);
    let (mut limit, mut sent) = (params.initial_max_data, 0);
    let chunk = vec![1; 16 << 10];
    // one who minds no limit but those that would end the connection
    'fill: for n in 0..4096 {
        let id = StreamId::new(Side::Client, Dir::Uni, n);
        for at_chunk in 0..config.stream_window / (16 << 10) {
            if sent + chunk.len() as u64 > limit {
                break 'fill;
            }
            let offset = at_chunk * (16 << 10);
            s.on_stream(at(1), &stream(id, offset, &chunk, false)).expect("within the limits");
            sent += chunk.len() as u64;
            while let Some(packet) = packet(&mut s, 1200) {
                for frame in frames(&packet) {
                    let Frame::MaxData(more) = frame else { panic!("{frame:?} for what nobody reads") };
                    limit = more;
                }
            }
        }
    }
    // the window did not grow: nobody read; what is unread may be 64 MiB
    assert_eq!(s.inbound.window.size(), 2 * MIB);
    assert_eq!((limit, held(&s)), (66 * MIB, sent));
    assert!(sent > 66 * MIB - (16 << 10), "{sent}");
    assert!((64 * MIB..=65 * MIB).contains(&(budget.used() as u64)), "{}", budget.used());
    let over = s.on_stream(at(1), &stream(StreamId::new(Side::Client, Dir::Uni, 4095), 0, &chunk, false));
    assert_eq!(code(over), Some(Code::FLOW_CONTROL_ERROR));
    // what is dropped comes back
    for n in 0..s.len() as u64 {
        s.stop(StreamId::new(Side::Client, Dir::Uni, n), 0).unwrap();
    }
    let grew = s.inbound.window.size() - 2 * MIB;
    assert_eq!((held(&s), budget.used() as u64), (0, grew));
}

#[test]
fn when_all_streams_that_grew_stop_being_read_half_of_the_window_is_left() {
    const KIB: u64 = 1 << 10;
    let config = StreamConfig {
        stream_window: 4 * KIB,
        connection_window: 1024 * KIB,
        max_stream_window: 512 * KIB,
        max_connection_window: 1024 * KIB,
        max_unread: 1024 * KIB,
        ..StreamConfig::default()
    };
    let (mut c, mut s) = met(&config);
    let ids: Vec<_> = (0..16).map(|_| c.open(Dir::Uni).unwrap()).collect();
    // all of them are read quickly, so that all would grow as far as they may
    for ms in 0..400 {
        s.on_rtt(at(ms), Duration::from_millis(50), false);
        for id in &ids {
            push(&mut c, &mut s, at(ms), *id, 64 << 10);
            let _ = drain(&mut s, *id);
        }
        settle(&mut c, &mut s, at(ms));
    }
    let grown = s.inbound.grown();
    assert!(grown > 1200 * KIB && grown <= 1536 * KIB, "{grown}");
    // then nobody reads them
    for id in &ids {
        push(&mut c, &mut s, at(500), *id, 1 << 20);
    }
    let stuck = held(&s);
    assert!(stuck > 1024 * KIB && stuck <= 1536 * KIB + 16 * 4 * KIB, "{stuck}");
    // and another one goes on, for longer than any window
    let id = c.open(Dir::Uni).unwrap();
    let mut got = 0;
    for ms in 0..1000 {
        push(&mut c, &mut s, at(600 + ms), id, 4 << 10);
        got += drain(&mut s, id).0.len();
        settle(&mut c, &mut s, at(600 + ms));
    }
    assert!(got > 3900 << 10, "{got}");
}

/// What a router grants, with as many streams as its server allows it.
fn router() -> StreamConfig {
    const MIB: u64 = 1 << 20;
    StreamConfig {
        stream_window: 4 << 10,
        first_window: MIB,
        connection_window: 64 * MIB,
        max_stream_window: 16 * MIB,
        max_bidi: 4096,
        ..StreamConfig::default()
    }
}

/// Streams the client opens and asks for something on; the server has much to send on each.
fn asked(c: &mut Streams, s: &mut Streams, count: u64) -> Vec<StreamId> {
    let ids: Vec<_> = (0..count).map(|_| c.open(Dir::Bi).unwrap()).collect();
    ids.iter().for_each(|id| assert_eq!(c.write_slice(*id, b"?"), Ok(1)));
    settle(c, s, at(0));
    ids
}

/// Bytes of a download of 100 Mbit/s over a path of 20 ms, as far as the stream may; it is read, and the credit comes, every 20 ms.
fn downloaded(c: &mut Streams, s: &mut Streams, id: StreamId, from: u64, millis: u64) -> usize {
    const PER_MS: usize = 12_500;
    let mut got = 0;
    for ms in from..from + millis {
        c.on_rtt(at(ms), Duration::from_millis(20), false);
        push(s, c, at(ms), id, PER_MS);
        if ms % 20 == 0 {
            got += drain(c, id).0.len();
            settle(c, s, at(ms));
        }
    }
    got
}

#[test]
fn two_hundred_streams_nobody_reads_leave_a_reader_its_rate() {
    let config = router();
    let (mut c, mut s) = met(&config);
    for id in asked(&mut c, &mut s, 200) {
        push(&mut s, &mut c, at(0), id, 2 << 20);
    }
    assert!(held(&c) > 60 << 20, "{}", held(&c));
    let id = asked(&mut c, &mut s, 1)[0];
    // what it takes to grow comes first
    downloaded(&mut c, &mut s, id, 1000, 500);
    let got = downloaded(&mut c, &mut s, id, 2000, 4000);
    assert!(got > 49_000_000, "{got} of 50 MB");
}

#[test]
fn however_many_streams_nobody_reads_credit_of_the_connection_is_left() {
    let config = router();
    let (mut c, mut s) = met(&config);
    let mut ids = asked(&mut c, &mut s, 40);
    // these are read, quickly, so that their windows grow as far as they may, then nobody reads them
    for ms in 0..300 {
        c.on_rtt(at(ms), Duration::from_millis(100), true);
        for id in &ids {
            push(&mut s, &mut c, at(ms), *id, 256 << 10);
            let _ = drain(&mut c, *id);
        }
        settle(&mut c, &mut s, at(ms));
    }
    assert!(c.inbound.grown() > 56 << 20, "{}", c.inbound.grown());
    ids.extend(asked(&mut c, &mut s, config.max_bidi - 41));
    for id in &ids {
        push(&mut s, &mut c, at(400), *id, 20 << 20);
    }
    let stuck = held(&c);
    assert!(stuck > 60 << 20 && stuck <= 96 << 20, "{stuck}");
    // the last stream there may be goes on for longer than any window
    let id = asked(&mut c, &mut s, 1)[0];
    let mut got = 0;
    for ms in 0..5000 {
        push(&mut s, &mut c, at(1000 + ms), id, 64 << 10);
        got += drain(&mut c, id).0.len();
        settle(&mut c, &mut s, at(1000 + ms));
    }
    assert!(got > 16 << 20, "{got}");
}

/// What a server grants each of its routers: little to begin with.
fn server() -> StreamConfig {
    StreamConfig { first_window: 512 << 10, connection_window: 4 << 20, ..router() }
}

/// Bytes of an upload of 100 Mbit/s over a path of 20 ms.
fn uploaded(c: &mut Streams, s: &mut Streams, id: StreamId, from: u64, millis: u64) -> usize {
    downloaded(s, c, id, from, millis)
}

#[test]
fn uploads_begin_with_a_first_window_once_the_peer_is_known() {
    for (known, first) in [(false, 4 << 10), (true, 512 << 10)] {
        let (mut c, mut s) = pair(&server());
        if known {
            s.on_complete();
        }
        let id = c.open(Dir::Bi).unwrap();
        assert_eq!(push(&mut c, &mut s, at(0), id, 2 << 20), first);
        assert_eq!(s.inbound.grown(), first as u64 - (4 << 10));
    }
}

#[test]
fn however_many_uploads_a_server_cannot_pass_on_another_one_keeps_its_rate() {
    // as many as there may be of a device: some that were quick first, the rest from their beginning
    for (quick, slow) in [(0, 100), (0, 4000), (24, 4000)] {
        let (mut c, mut s) = met(&server());
        let budget = Arc::new(WindowBudget::new(1 << 30));
        s.harden(Arc::clone(&budget), 1);
        let mut ids: Vec<_> = (0..quick).map(|_| c.open(Dir::Bi).unwrap()).collect();
        for ms in 0..300 {
            s.on_rtt(at(ms), Duration::from_millis(100), true);
            for id in &ids {
                push(&mut c, &mut s, at(ms), *id, 256 << 10);
                let _ = drain(&mut s, *id);
            }
            settle(&mut c, &mut s, at(ms));
        }
        ids.extend((0..slow).map(|_| c.open(Dir::Bi).unwrap()));
        for id in &ids {
            push(&mut c, &mut s, at(400), *id, 20 << 20);
        }
        assert!(held(&s) > 36 << 20, "{}", held(&s));
        let id = c.open(Dir::Bi).unwrap();
        uploaded(&mut c, &mut s, id, 1000, 1000);
        let got = uploaded(&mut c, &mut s, id, 2000, 4000);
        assert!(got > if slow > 100 { 800_000 } else { 49_000_000 }, "{quick}, {slow}: {got} of 50 MB");
    }
}

#[test]
fn uploads_of_many_devices_that_nobody_takes_leave_each_device_some_credit() {
    let budget = Arc::new(WindowBudget::new(256 << 20));
    let mut devices = Vec::new();
    for n in 0..40 {
        let (mut c, mut s) = met(&server());
        s.harden(Arc::clone(&budget), n);
        for _ in 0..100 {
            let id = c.open(Dir::Bi).unwrap();
            push(&mut c, &mut s, at(0), id, 1 << 20);
        }
        devices.push((c, s));
    }
    for (mut c, mut s) in devices {
        let id = c.open(Dir::Bi).unwrap();
        let got = uploaded(&mut c, &mut s, id, 1000, 4000);
        assert!(got > 800_000, "{got} beside {} KiB held", held(&s) >> 10);
    }
}

#[test]
fn windows_of_slow_readers_give_way_when_there_is_little_left() {
    const KIB: u64 = 1 << 10;
    let config = StreamConfig {
        stream_window: 4 * KIB,
        connection_window: 256 * KIB,
        max_stream_window: 256 * KIB,
        max_connection_window: 256 * KIB,
        max_unread: 128 * KIB,
        ..StreamConfig::default()
    };
    let (mut c, mut s) = met(&config);
    let ids: Vec<_> = (0..8).map(|_| c.open(Dir::Uni).unwrap()).collect();
    for ms in 0..100 {
        s.on_rtt(at(ms), Duration::from_millis(50), false);
        for id in &ids {
            push(&mut c, &mut s, at(ms), *id, 64 << 10);
            let _ = drain(&mut s, *id);
        }
        settle(&mut c, &mut s, at(ms));
    }
    let before = s.inbound.grown();
    assert!(before > 128 * KIB, "{before}");
    // one read in two seconds
    for n in 0..20 {
        for id in &ids {
            push(&mut c, &mut s, at(1000 + n * 2000), *id, 64 << 10);
            let _ = drain(&mut s, *id);
        }
    }
    let after = s.inbound.grown();
    assert!(after <= 128 * KIB, "{after} of {before}");
    // streams that end leave nothing
    for id in ids {
        c.finish(id).unwrap();
        settle(&mut c, &mut s, at(90_000));
        while drain(&mut s, id).1 != Ok(None) {
            settle(&mut c, &mut s, at(90_000));
        }
    }
    assert_eq!(s.inbound.grown(), 0);
}

#[test]
fn what_is_lent_comes_out_of_the_budget_and_always_leaves_some() {
    const MIB: usize = 1 << 20;
    let budget = Arc::new(WindowBudget::new(64 * MIB));
    let config =
        StreamConfig { stream_window: 64 << 20, connection_window: 1 << 20, ..StreamConfig::default() };
    let mut ends = Vec::new();
    for n in 0..40 {
        let (mut c, mut s) = pair(&config);
        s.harden(Arc::clone(&budget), n);
        s.on_complete();
        let id = c.open(Dir::Uni).unwrap();
        let sent = push(&mut c, &mut s, at(0), id, 80 << 20);
        // a window in any case, and an eighth of what was left
        assert!(sent >= MIB && held(&s) == sent as u64, "{sent}");
        if n == 0 {
            assert!((7 * MIB..=9 * MIB).contains(&sent), "{sent}");
        }
        ends.push((c, s, id));
    }
    let used = budget.used();
    assert!(used > 32 * MIB && used < 64 * MIB, "{used}");
    // who reads gives it back
    for (mut c, mut s, id) in ends {
        c.finish(id).unwrap();
        while drain(&mut s, id).1 != Ok(None) {
            settle(&mut c, &mut s, at(0));
        }
        assert_eq!(held(&s), 0);
    }
    assert_eq!(budget.used(), 0);
}
