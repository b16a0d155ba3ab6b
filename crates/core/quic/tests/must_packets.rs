//! Rules of RFC 9000 about packets, acknowledgements and datagrams (§12, §13, §14, §17) that are not tested elsewhere.

mod pair;

use std::cell::RefCell;
use std::rc::Rc;

use pair::flow::Flow;
use pair::raw::{Packet, Raw, Tweak, bytes, crypto, params};
use pair::{Pair, SERVER, plain};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{Header, LongKind, SPIN_BIT};
use tq_quic::wire::{Ecn, EcnCounts, Frame, Side, Writer, frame};
use tq_quic::{EndpointConfig, Event, RecvMeta, TransportConfig};

const MS: Duration = Duration::from_millis(1);

fn dropped(raw: &mut Raw, reason: DropReason) -> u64 {
    raw.victim().stats().counters.dropped(reason)
}

/// Numbers acknowledged in packets of `level`.
fn acked(packets: &[Packet], level: Level) -> Vec<u64> {
    let packets = packets.iter().filter(|packet| packet.level == level);
    let frames = packets.flat_map(Packet::frames);
    let mut numbers: Vec<u64> = frames
        .filter_map(|f| {
            if let Frame::Ack(ack) = f { Some(ack.ranges().flatten().collect::<Vec<_>>()) } else { None }
        })
        .flatten()
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// How many packets hold an ACK and nothing that asks for one, and how many an ACK and more.
fn acks_alone(packets: &[Packet]) -> (usize, usize) {
    let with_ack = |packet: &&Packet| packet.frames().iter().any(|f| matches!(f, Frame::Ack(_)));
    let (more, alone): (Vec<_>, Vec<_>) = packets
        .iter()
        .filter(with_ack)
        .partition(|packet| packet.frames().iter().any(Frame::is_ack_eliciting));
    (alone.len(), more.len())
}

// MUST 9000-12.2-1, 9000-12.2-3, 9000-13.2.6-1, 9000-13.2.6-2, 9000-17.2.3-3
#[test]
fn packets_of_one_datagram_are_processed_and_acknowledged_each_in_its_space() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    raw.pn = [20, 30, 40];
    let mut datagram =
        raw.packet(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")), Tweak::default());
    datagram.extend(raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak::default()));
    let initial = raw.packet(Level::Initial, &bytes(&[Frame::Ping]), Tweak::default());
    let handshake = raw.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default());
    raw.deliver([initial, handshake].concat());
    let early = raw.packets();
    assert_eq!((acked(&early, Level::Initial), acked(&early, Level::Handshake)), (vec![], vec![31]));
    raw.deliver(datagram);
    raw.pass(10 * MS);
    let late = raw.packets();
    assert!(!raw.victim().is_handshaking(), "the first of the two was processed");
    assert_eq!(acked(&late, Level::OneRtt), [40], "and the second");
    let mut client = Raw::half_open_client(TransportConfig::default());
    client.packets();
    let hello = crypto(0, &plain::message(plain::SERVER_HELLO, b""));
    let mut datagram = client.packet(Level::Initial, &hello, Tweak { pn: Some(5), ..Tweak::default() });
    let ping = Tweak { pn: Some(9), ..Tweak::default() };
    datagram.extend(client.packet(Level::Handshake, &bytes(&[Frame::Ping]), ping));
    client.deliver(datagram);
    let answer = client.packets();
    assert_eq!((acked(&answer, Level::Initial), acked(&answer, Level::Handshake)), (vec![5], vec![9]));
}

// MUST 9000-13.2.6-3
#[test]
fn early_packets_are_acknowledged_in_1rtt_packets() {
    let tls = plain::Plain { early: true, ..plain::Plain::default() };
    let mut raw = Raw::idle_server_by(tls, TransportConfig::default(), EndpointConfig::default());
    raw.hello(params());
    raw.packets();
    raw.pn[Level::OneRtt as usize] = 50;
    for _ in 0..2 {
        let packet = raw.early(&bytes(&[Frame::Ping]), None);
        raw.deliver(packet);
    }
    raw.pass(10 * MS);
    let packets = raw.packets();
    assert_eq!(acked(&packets, Level::OneRtt), [50, 51]);
    assert!([Level::Initial, Level::Handshake].iter().all(|level| !acked(&packets, *level).contains(&50)));
}

// MUST 9000-12.2-4, 9000-13.1-1
#[test]
fn a_packet_that_does_not_open_is_not_acknowledged_and_hides_none_behind_it() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    let mut forged = raw.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default());
    *forged.last_mut().expect("a tag") ^= 1;
    // nobody has keys for 0-RTT
    let mut early = raw.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default());
    early[0] = early[0] & 0xcf | 0x10;
    let good = raw.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default());
    raw.deliver([forged, early, good].concat());
    assert_eq!(acked(&raw.packets(), Level::Handshake), [2]);
}

// MUST 9000-12.2-2
#[test]
fn packets_sent_in_one_datagram_go_to_one_id() {
    let mut pair = Pair::default();
    let several = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&several);
    pair.link = Box::new(move |flying| {
        let (mut rest, mut ids) = (&flying.bytes[..], Vec::new());
        while !rest.is_empty() {
            let (dcid, end) = match Header::parse(rest, 8) {
                Ok(Header::Long { dcid, end, .. }) => (dcid, end),
                Ok(Header::Short { dcid, .. }) => (dcid, rest.len()),
                other => panic!("{other:?}"),
            };
            ids.push(dcid);
            rest = &rest[end..];
        }
        *seen.borrow_mut() += usize::from(ids.len() > 1);
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        true
    });
    pair.connected();
    assert!(*several.borrow() >= 2, "the handshake puts packets together");
}

// MUST 9000-12.3-5, 9000-12.3-4
#[test]
fn a_number_counts_as_used_only_if_the_packet_is_authentic() {
    for level in [Level::Handshake, Level::OneRtt] {
        let mut raw = match level {
            Level::OneRtt => Raw::server(),
            _ => Raw::half_open_server(TransportConfig::default(), params()),
        };
        let packet = raw.packet(level, &bytes(&[Frame::Ping]), Tweak::default());
        raw.deliver(packet.clone());
        let mut forged = packet.clone();
        *forged.last_mut().expect("a tag") ^= 1;
        raw.deliver(forged);
        let counts =
            |raw: &mut Raw| (dropped(raw, DropReason::DecryptionFailed), dropped(raw, DropReason::Duplicate));
        assert_eq!(counts(&mut raw), (1, 0), "told apart before it was opened");
        raw.deliver(packet);
        assert_eq!(counts(&mut raw), (1, 1));
    }
}

// MUST 9000-12.3-1, 9000-12.3-2, 9000-17.2.3-1
#[test]
fn packet_numbers_ascend_in_every_space_under_loss() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.pass(Duration::from_secs(2));
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let id = raw.victim().open(tq_quic::wire::Dir::Uni).expect("allowed");
    raw.victim().write_slice(id, &[1; 50_000]).expect("room");
    raw.pass(Duration::from_secs(5));
    let packets = raw.packets();
    for level in [Level::Initial, Level::Handshake, Level::OneRtt] {
        let numbers: Vec<u64> = packets.iter().filter(|p| p.level == level).map(|p| p.pn).collect();
        assert!(numbers.len() > 1, "{level:?}: {numbers:?}");
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{level:?}: {numbers:?}");
    }
}

// MUST 9000-13.2.1-1, 9000-13.2.1-2
#[test]
fn acknowledgements_keep_to_the_delay_that_was_declared() {
    for declared in [2, 5, 20] {
        let mut config = TransportConfig::default();
        config.max_ack_delay = declared * MS;
        let mut raw = Raw::server_with(config, params());
        raw.pass(100 * MS);
        raw.packets();
        let pn = raw.pn[Level::OneRtt as usize];
        raw.frames(&[Frame::Ping]);
        raw.pass((declared - 1) * MS);
        assert_eq!(acked(&raw.packets(), Level::OneRtt), [], "not earlier than need be");
        raw.pass(MS);
        assert_eq!(acked(&raw.packets(), Level::OneRtt).last(), Some(&pn), "{declared} ms were declared");
    }
}

// MUST 9000-13.2.1-2
#[test]
fn initial_and_handshake_packets_are_acknowledged_at_once() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    assert_eq!(acked(&raw.packets(), Level::Initial), [0], "with the answer");
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(acked(&raw.packets(), Level::Initial), [0, 1]);
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    assert_eq!(acked(&raw.packets(), Level::Handshake), [0]);
}

// MUST 9000-13.2.1-3
#[test]
fn a_packet_causes_at_most_one_packet_of_ack_alone() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.packets();
    for n in 1..=20 {
        // gaps make ACKs due at once, delays later
        raw.pn[Level::OneRtt as usize] += n % 3;
        raw.frames(&[Frame::Ping]);
        raw.pass(Duration::from_millis(n));
        let (alone, _) = acks_alone(&raw.packets());
        assert!(alone <= 1, "{alone} for packet {n}");
    }
    raw.pass(Duration::from_secs(1));
    assert_eq!(acks_alone(&raw.packets()).0, 0);
}

// MUST 9000-13.2.1-4
#[test]
fn packets_that_ask_for_nothing_cause_nothing() {
    for mut raw in [Raw::server(), Raw::client()] {
        raw.pass(Duration::from_secs(20));
        raw.packets();
        let ack = Raw::ack_one(0);
        for n in 0..30 {
            raw.pn[Level::OneRtt as usize] += n % 4;
            let payload = if n % 2 == 0 { ack.clone() } else { vec![0; 30] };
            raw.send(Level::OneRtt, &payload);
            raw.pass(50 * MS);
        }
        let without_ack =
            raw.packets().iter().all(|p| !p.frames().iter().any(|f| matches!(f, Frame::Ack(_))));
        assert!(without_ack, "an ACK for nothing");
    }
}

// MUST 9000-13.2.1-5
#[test]
fn few_packets_of_ack_alone_ask_for_an_ack_themselves() {
    // a round trip of 200 ms, so that data waits for the pacer and ACKs travel alone
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.pass(200 * MS);
    let last = raw.packets().iter().filter(|p| p.level == Level::Handshake).map(|p| p.pn).max();
    let all = 0..last.expect("a flight") + 1;
    let mut finished = Raw::ack(std::slice::from_ref(&all));
    finished.extend(crypto(0, &plain::message(plain::FINISHED, b"")));
    raw.send(Level::Handshake, &finished);
    let id = raw.victim().open(tq_quic::wire::Dir::Uni).expect("allowed");
    raw.victim().write_slice(id, &[1; 50_000]).expect("room");
    raw.collect();
    raw.packets();
    for _ in 0..200 {
        raw.frames(&[Frame::Ping]);
    }
    let (alone, more) = acks_alone(&raw.packets());
    assert!(alone + more >= 100 && more * 8 <= alone, "{more} of {}", alone + more);
}

// MUST 9000-13.2.5-1
#[test]
fn waiting_for_keys_is_not_part_of_the_ack_delay() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.send(Level::OneRtt, &bytes(&[Frame::Ping]));
    raw.pass(300 * MS);
    raw.packets();
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    raw.pass(10 * MS);
    let packets = raw.packets();
    let frames = packets.iter().filter(|p| p.level == Level::OneRtt).flat_map(Packet::frames);
    let delays: Vec<u64> =
        frames.filter_map(|f| if let Frame::Ack(ack) = f { Some(ack.delay * 8) } else { None }).collect();
    assert!(!delays.is_empty() && delays.iter().all(|micros| *micros <= 10_000), "{delays:?} µs");
}

// MUST 9000-13.4.1-1
#[test]
fn marks_are_reported_by_an_end_that_makes_none() {
    let mut marking = TransportConfig::default();
    marking.ecn = true;
    let mut pair = Pair::new(marking, TransportConfig::default());
    let mut flow = Flow::connect(&mut pair, Side::Client, 1 << 20);
    flow.run(&mut pair, Duration::from_secs(5));
    assert!(pair.client(flow.client).stats().paths[0].ecn, "its counts prove the path");
    assert!(!pair.server(flow.server).stats().paths[0].ecn);
}

// MUST 9000-13.4.2.1-1
#[test]
fn an_ack_that_comes_late_cannot_fail_ecn() {
    let ack = |low: u64, largest: u64, ecn: Option<EcnCounts>| {
        let mut room = vec![0; 100];
        let mut w = Writer::new(&mut room);
        frame::encode_ack(&mut w, None, std::iter::once(low..largest + 1), 0, ecn);
        w.written().to_vec()
    };
    for late in [true, false] {
        let mut config = TransportConfig::default();
        config.ecn = true;
        let mut raw = Raw::client_with(config, params());
        raw.packets();
        let mut sent = Vec::new();
        while sent.len() < 4 {
            let id = raw.victim().open(tq_quic::wire::Dir::Uni).expect("allowed");
            raw.victim().write_slice(id, b"x").expect("room");
            raw.collect();
            sent.extend(raw.packets().iter().map(|packet| packet.pn));
        }
        let counts = EcnCounts { ect0: 2, ect1: 0, ce: 0 };
        let (older, newer) = (ack(sent[0], sent[1], None), ack(sent[3], sent[3], Some(counts)));
        for payload in if late { [newer, older] } else { [older, newer] } {
            raw.send(Level::OneRtt, &payload);
        }
        assert_eq!(raw.violation(), None);
        assert_eq!(raw.victim().stats().paths[0].ecn, late, "without counts it fails, unless it is old news");
    }
}

// MUST 9000-14-1, 9000-14.1-1
#[test]
fn a_path_that_does_not_carry_1200_bytes_is_not_used() {
    let mut pair = Pair { link: Box::new(|flying| flying.bytes.len() < 1200), ..Pair::default() };
    let client = pair.connect();
    pair.pass(Duration::from_secs(31));
    assert!(!pair.client.has(client, &Event::Connected) && pair.server.endpoint.connections() == 0);
}

// MUST 9000-8.1-3, 9000-14.1-1, 9000-14.1-2
#[test]
fn datagrams_with_initials_that_ask_for_an_ack_are_expanded() {
    for seed in 0..10u32 {
        let mut pair = Pair::default();
        let initials = Rc::new(RefCell::new([0; 2]));
        let (seen, mut n) = (Rc::clone(&initials), seed.wrapping_mul(2_654_435_761));
        pair.link = Box::new(move |flying| {
            if matches!(Header::parse(&flying.bytes, 8), Ok(Header::Long { kind: LongKind::Initial, .. })) {
                let to_server = flying.to == SERVER.parse().expect("an address");
                seen.borrow_mut()[usize::from(to_server)] += 1;
                assert!(!to_server || flying.bytes.len() >= 1200, "{} bytes", flying.bytes.len());
            }
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            n >> 16 >= 65_536 / 4
        });
        pair.connect();
        pair.pass(Duration::from_secs(10));
        assert!(initials.borrow().iter().all(|count| *count > 0));
    }
    // the server's: with its first flight, and when it probes
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.pass(Duration::from_secs(1));
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(5));
    let packets = raw.packets();
    let asking = |p: &&Packet| p.level == Level::Initial && p.frames().iter().any(Frame::is_ack_eliciting);
    assert!(packets.iter().filter(asking).count() >= 2);
    assert!(packets.iter().filter(asking).all(|packet| packet.datagram >= 1200));
}

// MUST 9000-14-4, 9000-14.1-3
#[test]
fn an_initial_in_a_small_datagram_is_dropped_by_a_connection_too() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.packets();
    let now = raw.now;
    let meta = RecvMeta { remote: raw.me, local_ip: None, socket: 0, ecn: Ecn::NotEct };
    // sealed as it should be, only small
    let small = small_initial(&mut raw);
    assert!(small.len() < 1200);
    raw.victim().receive(now, &meta, &mut small.clone());
    raw.collect();
    assert_eq!(dropped(&mut raw, DropReason::InitialTooSmall), 1);
    assert_eq!(acked(&raw.packets(), Level::Initial), []);
    assert_eq!(raw.violation(), None);
    // the same packet in a datagram of full size is fine
    let pn = raw.pn[Level::Initial as usize] - 1;
    raw.deliver([small, vec![0x40; 1200]].concat());
    assert_eq!(acked(&raw.packets(), Level::Initial).last(), Some(&pn));
}

/// An Initial with a PING that is not expanded.
fn small_initial(raw: &mut Raw) -> Vec<u8> {
    use tq_quic::crypto::{TAG_LEN, protect, schedule};
    use tq_quic::wire::{PathId, header};
    let keys = schedule::initial_keys(&tq_tls::AwsLc, raw.version, &raw.odcid, raw.side).local;
    let pn = raw.pn[Level::Initial as usize];
    raw.pn[Level::Initial as usize] += 1;
    let mut out = vec![0; 200];
    let mut w = Writer::new(&mut out);
    let long = header::Long {
        kind: LongKind::Initial,
        version: raw.version,
        dcid: &raw.dcid,
        scid: &raw.scid,
        token: &[],
    };
    let length_at = long.encode(&mut w, 4);
    header::encode_pn(&mut w, pn, 4);
    let header_len = w.len();
    w.slice(&[1; 20]);
    let end = w.len() + TAG_LEN;
    out.truncate(end);
    header::set_length(&mut out, length_at, end - header_len + 4);
    keys.packet.seal(PathId::ZERO, pn, header_len, &mut out);
    protect(&*keys.header, &mut out, header_len - 4, 4);
    out
}

// MUST 9000-17.2-1
#[test]
fn long_headers_without_the_fixed_bit_are_dropped_without_consent() {
    let mut config = TransportConfig::default();
    config.grease = false;
    let mut raw = Raw::half_open_server(config.clone(), params());
    raw.packets();
    let cleared = Tweak { clear: 0x40, ..Tweak::default() };
    for level in [Level::Initial, Level::Handshake] {
        let packet = raw.packet(level, &bytes(&[Frame::Ping]), cleared);
        raw.deliver(packet);
    }
    assert_eq!(dropped(&mut raw, DropReason::FixedBit), 2);
    let answers = raw.packets();
    assert!(acked(&answers, Level::Initial).is_empty() && acked(&answers, Level::Handshake).is_empty());
    // nor does a stranger get anywhere
    let mut raw = Raw::idle_server(config, EndpointConfig::default(), 0);
    let packet = raw.packet(Level::Initial, &crypto(0, b"\x01"), cleared);
    raw.deliver(packet);
    assert_eq!(raw.victim.endpoint.connections(), 0);
    assert_eq!(raw.victim.endpoint.counters().dropped(DropReason::FixedBit), 1);
}

// MUST 9000-17.2.2-1, 9000-17.2.2-2
#[test]
fn a_servers_initial_has_no_token_and_one_that_has_is_dropped() {
    let raw = Raw::half_open_server(TransportConfig::default(), params());
    let Ok(Header::Long { kind: LongKind::Initial, token, .. }) = Header::parse(&raw.datagrams[0], 8) else {
        panic!()
    };
    assert!(token.is_empty());
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.packets();
    raw.token = b"a token".to_vec();
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(dropped(&mut raw, DropReason::BadHeader), 1);
    assert_eq!(acked(&raw.packets(), Level::Initial), []);
    raw.token.clear();
    raw.send(Level::Initial, &bytes(&[Frame::Ping]));
    assert_eq!(acked(&raw.packets(), Level::Initial), [1]);
}

// MUST 9000-17.4-1, 9000-17.4-2, 9000-17.4-3
#[test]
fn the_spin_bit_never_spins() {
    let mut pair = Pair::default();
    let short = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&short);
    pair.link = Box::new(move |flying| {
        if flying.bytes[0] & 0x80 == 0 {
            *seen.borrow_mut() += 1;
            // header protection leaves this bit in the clear
            assert_eq!(flying.bytes[0] & SPIN_BIT, 0);
        }
        true
    });
    Flow::connect(&mut pair, Side::Client, 1 << 20).run(&mut pair, Duration::from_secs(5));
    assert!(*short.borrow() > 100);
}

// MUST 9000-17.4-4
#[test]
fn a_spinning_peer_is_no_trouble() {
    let mut raw = Raw::server();
    raw.packets();
    let from = raw.pn[Level::OneRtt as usize];
    for first in [SPIN_BIT, 0, SPIN_BIT, SPIN_BIT] {
        let packet = raw.packet(Level::OneRtt, &bytes(&[Frame::Ping]), Tweak { first, ..Tweak::default() });
        raw.deliver(packet);
    }
    raw.pass(10 * MS);
    assert_eq!(acked(&raw.packets(), Level::OneRtt), (from..from + 4).collect::<Vec<_>>());
}
