//! When things happen: acknowledgements, probes, timeouts, and what a link gets out of the sender.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;

use pair::flow::Flow;
use pair::link::bottleneck;
use pair::raw::{Raw, bytes, params};
use pair::{CLIENT, Pair, SERVER};
use tq_quic::handshake::Level;
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::frame::AckFrequency;
use tq_quic::wire::{Frame, Side, TransportParameters};
use tq_quic::{ConnectionError, TransportConfig};

const MS: Duration = Duration::from_millis(1);

fn acks(raw: &mut Raw) -> usize {
    let packets = raw.packets();
    packets.iter().filter(|p| p.frames().iter().any(|f| matches!(f, Frame::Ack(_)))).count()
}

// MUST 9000-13.2.1-1
#[test]
fn a_lone_packet_is_acknowledged_within_five_milliseconds() {
    let mut raw = Raw::server();
    raw.pass(100 * MS);
    raw.datagrams.clear();
    raw.frames(&[Frame::Ping]);
    raw.pass(4 * MS);
    assert_eq!(acks(&mut raw), 0);
    raw.pass(MS);
    assert_eq!(acks(&mut raw), 1);
}

#[test]
fn every_second_packet_and_every_gap_is_acknowledged_at_once() {
    let mut raw = Raw::server();
    raw.pass(100 * MS);
    raw.datagrams.clear();
    for _ in 0..10 {
        raw.frames(&[Frame::Ping]);
    }
    assert_eq!(acks(&mut raw), 5);
    raw.pn[2] += 1;
    raw.frames(&[Frame::Ping]);
    assert_eq!(acks(&mut raw), 1, "a gap");
}

// MUST 9000-13.2.1-2
#[test]
fn handshake_packets_are_acknowledged_at_once() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    assert_eq!(acks(&mut raw), 1);
}

#[test]
fn the_rhythm_a_peer_asks_for_is_kept() {
    let mut raw = Raw::server();
    raw.pass(100 * MS);
    let f = AckFrequency { seq: 0, threshold: 9, max_ack_delay_us: 20_000, reordering: 3 };
    raw.frames(&[Frame::AckFrequency(f)]);
    raw.pass(100 * MS);
    raw.datagrams.clear();
    for _ in 0..100 {
        raw.frames(&[Frame::Ping]);
    }
    assert_eq!(acks(&mut raw), 10);
    raw.frames(&[Frame::Ping]);
    raw.pass(19 * MS);
    assert_eq!(acks(&mut raw), 0);
    raw.pass(2 * MS);
    assert_eq!(acks(&mut raw), 1);
    // an older request changes nothing
    raw.frames(&[Frame::AckFrequency(AckFrequency { threshold: 0, ..f })]);
    raw.pass(100 * MS);
    raw.datagrams.clear();
    raw.frames(&[Frame::Ping]);
    assert_eq!(acks(&mut raw), 0);
    raw.frames(&[Frame::ImmediateAck]);
    assert_eq!(acks(&mut raw), 1);
}

#[test]
fn fewer_acks_are_asked_for_as_the_window_grows() {
    let count = |frequency: bool| {
        let mut config = TransportConfig::default();
        config.ack_frequency = frequency;
        let mut pair = Pair::new(config, TransportConfig::default());
        let (link, _) = bottleneck(12_500_000, 1 << 20, pair.delay, None);
        pair.link = link;
        let mut flow = Flow::connect(&mut pair, Side::Client, 20 << 20);
        flow.run(&mut pair, Duration::from_secs(10));
        let sent = pair.client(flow.client).stats().counters.packets_sent;
        sent / pair.server(flow.server).stats().counters.acks_sent.max(1)
    };
    let (plain, asked) = (count(false), count(true));
    assert!((1..=2).contains(&plain), "{plain} packets per ACK");
    assert!((8..=45).contains(&asked), "{asked} packets per ACK");
}

// MUST 9002-6.2.1-4
#[test]
fn probes_back_off_exponentially() {
    let mut raw = Raw::server();
    raw.pass(500 * MS);
    let pto = {
        let path = raw.victim().stats().paths[0];
        path.srtt + (4 * path.rttvar).max(MS) + 25 * MS
    };
    raw.victim().send_datagram(vec![1; 100].into()).expect("room");
    raw.collect();
    raw.datagrams.clear();
    let mut times = Vec::new();
    let start = raw.now;
    while times.len() < 6 && raw.now < start + Duration::from_secs(25) {
        raw.pass(MS);
        if !raw.datagrams.is_empty() {
            assert!(raw.datagrams.len() <= 2, "{} probes", raw.datagrams.len());
            raw.datagrams.clear();
            times.push(raw.now - start);
        }
    }
    assert!(times.len() >= 4, "{times:?}");
    let mut expected = pto;
    let mut last = Duration::ZERO;
    for at in &times {
        let waited = *at - last;
        assert!(
            waited + MS >= expected && waited <= expected + 2 * MS,
            "{waited:?}, not {expected:?}: {times:?}"
        );
        (last, expected) = (*at, expected * 2);
    }
}

#[test]
fn an_acknowledgement_ends_the_backoff() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    pair.pass(Duration::from_secs(1));
    pair.link = Box::new(|_| false);
    pair.client(client).send_datagram(vec![1; 100].into()).expect("room");
    pair.pass(Duration::from_secs(2));
    assert!(pair.client(client).stats().paths[0].pto_count >= 3);
    pair.link = Box::new(|_| true);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.client(client).stats().paths[0].pto_count, 0);
}

#[test]
fn a_long_outage_is_persistent_congestion_and_a_short_one_is_not() {
    for (outage, persistent) in [(Duration::from_secs(2), true), (30 * MS, false)] {
        let mut pair = Pair::default();
        let (link, _) = bottleneck(1_250_000, 1 << 17, pair.delay, None);
        pair.link = link;
        let mut flow = Flow::connect(&mut pair, Side::Client, 20 << 20);
        flow.run_for(&mut pair, Duration::from_secs(2));
        let open = std::mem::replace(&mut pair.link, Box::new(|_| false));
        flow.run_for(&mut pair, outage);
        pair.link = open;
        let client = flow.client;
        let least = Rc::new(RefCell::new(u64::MAX));
        let end = pair.now + Duration::from_secs(3);
        pair.drive_for(Duration::from_secs(3), |pair| {
            flow.work(pair);
            let cwnd = pair.client(client).stats().paths[0].cwnd;
            let low = (*least.borrow()).min(cwnd);
            *least.borrow_mut() = low;
            pair.now >= end
        });
        let (least, mtu) = (*least.borrow(), 1452);
        assert_eq!(least <= 2 * mtu, persistent, "window {least} after {outage:?}");
    }
}

fn idle(timeout: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config.idle_timeout = timeout;
    config
}

#[test]
fn the_smaller_idle_timeout_counts_for_both() {
    for (client, server) in [(2, 20), (20, 2), (0, 2), (2, 0)] {
        let mut pair = Pair::new(idle(Duration::from_secs(client)), idle(Duration::from_secs(server)));
        let (client, server) = pair.connected();
        pair.pass(Duration::from_millis(1800));
        assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
        pair.pass(Duration::from_millis(400));
        assert_eq!(pair.client.closed(client), Some(&ConnectionError::IdleTimeout));
        assert_eq!(pair.server.closed(server), Some(&ConnectionError::IdleTimeout));
    }
}

#[test]
fn without_a_timeout_on_either_side_silence_lasts() {
    let mut pair = Pair::new(idle(Duration::ZERO), idle(Duration::ZERO));
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(100_000));
    assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
}

// MUST 9000-10.1-1
#[test]
fn no_idle_timeout_is_shorter_than_three_pto() {
    let mut pair = Pair::new(idle(20 * MS), idle(20 * MS));
    pair.delay = 300 * MS;
    let (client, server) = pair.connected();
    pair.pass(Duration::from_millis(600));
    let path = pair.client(client).stats().paths[0];
    let pto = path.srtt + (4 * path.rttvar).max(MS) + 5 * MS;
    assert!(3 * pto > Duration::from_millis(1800));
    pair.pass(3 * pto - 700 * MS);
    assert!(pair.client.closed(client).is_none());
    pair.pass(Duration::from_secs(10));
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(server), Some(&ConnectionError::IdleTimeout));
}

#[test]
fn what_is_sent_into_the_void_does_not_keep_a_connection_alive() {
    let mut pair = Pair::new(idle(Duration::from_secs(3)), TransportConfig::default());
    let (client, _) = pair.connected();
    pair.link = Box::new(|_| false);
    for _ in 0..40 {
        pair.pass(100 * MS);
        if let Some(connection) = pair.client.connections.get_mut(&client) {
            let _ = connection.send_datagram(vec![1; 10].into());
        }
    }
    assert_eq!(pair.client.closed(client), Some(&ConnectionError::IdleTimeout));
}

#[test]
fn keep_alive_keeps_alive_and_costs_little() {
    let mut config = idle(Duration::from_secs(3));
    config.keep_alive = Some(Duration::from_secs(1));
    let mut pair = Pair::new(config, idle(Duration::from_secs(3)));
    let (client, server) = pair.connected();
    pair.pass(Duration::from_secs(5));
    let before = pair.datagrams;
    pair.pass(Duration::from_secs(60));
    assert!(pair.client.closed(client).is_none() && pair.server.closed(server).is_none());
    let (up, down) = (pair.datagrams[0] - before[0], pair.datagrams[1] - before[1]);
    assert!((50..=70).contains(&up) && (50..=70).contains(&down), "{up} and {down} in a minute");
}

/// Mbit/s of goodput over a drop-tail link.
fn goodput(rate: u64, queue: u64, delay: Duration, len: usize, from: Side) -> (f64, f64) {
    let (link, seen) = bottleneck(rate, queue, delay, None);
    let mut pair = Pair { delay, link, ..Pair::default() };
    let mut flow = Flow::connect(&mut pair, from, len);
    let took = flow.run(&mut pair, Duration::from_secs(120));
    let dropped = seen.borrow().dropped as f64;
    let sent = pair.client(flow.client).stats().counters.packets_sent as f64;
    (len as f64 / took / rate as f64, dropped / sent)
}

#[test]
fn a_drop_tail_link_of_50_mbits_is_filled() {
    // 50 Mbit/s, 20 ms round trip, a queue of one and of half a bandwidth-delay product
    for queue in [125_000, 62_500] {
        let (share, loss) = goodput(6_250_000, queue, 10 * MS, 60 << 20, Side::Client);
        assert!(share >= 0.9, "{share:.3} of the rate with a queue of {queue}, {loss:.4} lost");
        assert!(loss < 0.02, "{loss:.4} lost");
    }
}

#[test]
fn a_long_link_is_filled() {
    let (share, loss) = goodput(12_500_000, 2_500_000, 100 * MS, 200 << 20, Side::Client);
    assert!(share >= 0.8, "{share:.3} of the rate, {loss:.4} lost");
}

// MUST 9002-7.7-1
#[test]
fn bursts_stay_below_a_millisecond_of_the_rate() {
    let mut pair = Pair::default();
    let (link, _) = bottleneck(6_250_000, 125_000, pair.delay, None);
    let mut link = link;
    // bytes by moment of departure
    let sent: Rc<RefCell<Vec<(Instant, usize)>>> = Rc::default();
    let seen = Rc::clone(&sent);
    let server = SERVER.parse().expect("an address");
    let delay = pair.delay;
    pair.link = Box::new(move |flying| {
        if flying.to == server {
            let at = Instant::from_nanos(flying.at.as_nanos() - delay.as_nanos() as u64);
            let mut sent = seen.borrow_mut();
            match sent.last_mut() {
                Some((last, bytes)) if *last == at => *bytes += flying.bytes.len(),
                _ => sent.push((at, flying.bytes.len())),
            }
        }
        link(flying)
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, 40 << 20);
    let client = flow.client;
    let first_window = sent.borrow().len();
    let mut worst = (0, 0);
    pair.drive_for(Duration::from_secs(20), |pair| {
        let done = flow.work(pair);
        let path = pair.client(client).stats().paths[0];
        let allowed = (path.pacing_rate / 1000).clamp(2 * 1452, 65_536) as usize;
        if let Some((_, bytes)) = sent.borrow().get(first_window..).and_then(<[_]>::last)
            && bytes * worst.1.max(1) > worst.0 * allowed
        {
            worst = (*bytes, allowed);
        }
        done
    });
    assert!(flow.done);
    // one burst, and the ten packets that idleness may have saved up
    assert!(worst.0 <= worst.1 + 12_000, "{} bytes at once where {} are a burst", worst.0, worst.1);
    let large = sent.borrow()[first_window..].iter().filter(|(_, bytes)| *bytes > 12_000 + 8000).count();
    assert!(large < sent.borrow().len() / 50, "{large} of {} bursts are large", sent.borrow().len());
    assert_eq!(CLIENT, pair.client.address.to_string());
}

// MUST 9000-19.21-1
#[test]
fn peers_that_cannot_do_ack_frequency_are_not_asked() {
    let mut raw =
        Raw::server_with(TransportConfig::default(), TransportParameters { min_ack_delay: None, ..params() });
    for _ in 0..200 {
        let _ = raw.victim().send_datagram(vec![1; 1000].into());
        raw.pass(10 * MS);
        for packet in raw.packets() {
            assert!(!packet.frames().iter().any(|frame| matches!(frame, Frame::AckFrequency(_))));
            let ack = Raw::ack_one(packet.pn);
            raw.send(Level::OneRtt, &ack);
        }
    }
    assert_eq!(raw.violation(), None);
}
