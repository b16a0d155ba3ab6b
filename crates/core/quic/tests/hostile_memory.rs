//! What strangers and hostile peers can make an endpoint hold, in bytes, counted by the allocator.

mod heap;
mod pair;

use std::sync::Arc;

use heap::{Counting, growth, held};
use pair::raw::{Raw, Tweak, bytes, crypto, params};
use pair::{End, SERVER};
use tq_quic::handshake::{Level, ServerTls};
use tq_quic::time::{Duration, Instant};
use tq_quic::wire::frame::{NewConnectionId, Stream};
use tq_quic::wire::{Cid, Dir, Ecn, Frame, ResetToken, Side, StreamId, Version};
use tq_quic::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvMeta, Route, ServerConfig, TransportConfig,
};
use tq_tls::AwsLc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An endpoint that takes everybody, however many come from one place.
fn open_house() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.max_half_open_per_prefix = usize::MAX;
    config.retry_above = None;
    config
}

/// First datagrams of `count` clients over `tls`, which carry whole ClientHellos.
fn strangers(tls: &Arc<dyn tq_quic::handshake::ClientTls>, count: usize) -> Vec<Vec<u8>> {
    let mut endpoint =
        Endpoint::new(EndpointConfig::default(), Arc::new(AwsLc), Arc::new(pair::entropy::Seeded::next()));
    let config = ClientConfig::new(Arc::clone(tls), Arc::new(TransportConfig::default()));
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    let now = Instant::from_nanos(1_000_000_000);
    let remote = SERVER.parse().expect("an address");
    let hello = |_| {
        let (_, mut client) = endpoint.connect(now, &config, remote, 0, "localhost").expect("starts");
        let transmit = client.transmit(now, &mut buf, 1).expect("a first datagram");
        buf[..transmit.len].to_vec()
    };
    (0..count).map(hello).collect()
}

/// Bytes held for each of `count` strangers that fall silent, after the server answered; the connections are in a `Vec`
/// with room for them, so that nothing but the server's own memory is counted.
fn per_half_open(tls: Arc<dyn ServerTls>, first: &[Vec<u8>]) -> isize {
    let mut server = End::new(SERVER, open_house());
    let transport = Arc::new(TransportConfig::default());
    server.endpoint.set_server(Some(Arc::new(ServerConfig { tls, transport })));
    let mut connections: Vec<Connection> = Vec::with_capacity(first.len());
    let mut buf = vec![0; tq_quic::TRANSMIT_BUFFER];
    let now = Instant::from_nanos(1_000_000_000);
    let (grown, _) = growth(|| {
        for (n, datagram) in first.iter().enumerate() {
            let remote = format!("198.51.{}.{}:9", n / 250, 1 + n % 250).parse().expect("an address");
            let meta = RecvMeta { remote, local_ip: None, socket: 0, ecn: Ecn::NotEct };
            let mut reply = Vec::new();
            let route = server.endpoint.receive(now, &meta, &mut datagram.clone(), &mut reply);
            let Route::Incoming(incoming) = route else { panic!("{route:?}") };
            let (handle, mut connection) =
                server.endpoint.accept(now, incoming, &mut reply).expect("accepts");
            while connection.transmit(now, &mut buf, 10).is_some() {}
            while let Some(event) = connection.poll_endpoint_event() {
                server.endpoint.handle_event(handle, event);
            }
            while connection.poll_event().is_some() {}
            connections.push(connection);
        }
    });
    assert_eq!(server.endpoint.half_open(), first.len());
    assert!(connections.iter().all(|connection| connection.stats().counters.bytes_sent > 0), "answered");
    grown / first.len() as isize + size_of::<Connection>() as isize
}

/// Sends without keeping the answers.
fn quietly(raw: &mut Raw, level: Level, payload: &[u8]) {
    raw.send(level, payload);
    raw.datagrams.clear();
}

/// What is left behind and the most that was held, apart from the record of what the victim sent.
fn attack(raw: &mut Raw, attack: impl FnOnce(&mut Raw)) -> (isize, isize) {
    raw.datagrams = Vec::new();
    growth(|| {
        attack(raw);
        raw.datagrams = Vec::new();
    })
}

#[test]
fn a_half_open_handshake_holds_15_kib_without_tls() {
    let client: Arc<dyn tq_quic::handshake::ClientTls> = Arc::new(pair::plain::Plain::default());
    let first = strangers(&client, 1000);
    // a chain of two certificates
    let plain = pair::plain::Plain { chain: 2000, ..Default::default() };
    let each = per_half_open(Arc::new(plain), &first);
    // what the library behind the AEADs keeps: keys of three levels
    let id = Cid::new(b"somebody").expect("short");
    let mut keys = None;
    let (library, _) = growth(|| {
        keys = Some(tq_quic::crypto::schedule::initial_keys(&AwsLc, Version::V1, &id, Side::Server));
    });
    let connection = size_of::<Connection>();
    println!("{each} bytes for each half-open handshake: {connection} Connection, {} keys", 3 * library);
    assert!(each <= 15 << 10, "{each}");
}

#[test]
fn a_half_open_handshake_with_rustls_holds_16_kib() {
    let (client, server) = pair::tls();
    let first = strangers(&client, 1000);
    let before = resident();
    let each = per_half_open(server, &first);
    // freed memory stays with the process, so what was resident at most still is
    let all = (resident() - before) / first.len() as isize;
    println!("{each} bytes for each half-open handshake with rustls, {all} resident with what C code holds");
    assert!(each <= 16 << 10, "{each}");
}

/// Bytes of the process in memory; 0 where nobody tells.
fn resident() -> isize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<isize>().ok()).map_or(0, |pages| pages * 4096)
}

#[test]
fn a_flood_behind_retry_holds_nothing() {
    let mut config = EndpointConfig::default();
    config.retry_above = Some(0);
    let mut raw = Raw::idle_server(TransportConfig::default(), config, 2000);
    let hello = crypto(0, &pair::raw::hello(raw.scid, params()));
    let first = |raw: &mut Raw, n: u64| {
        let id = Cid::new(&n.to_be_bytes()).expect("short");
        (raw.dcid, raw.odcid, raw.pn) = (id, id, [0; 3]);
        quietly(raw, Level::Initial, &hello);
    };
    first(&mut raw, 0);
    let (received, sent) = (raw.received, raw.sent);
    let (left, most) = attack(&mut raw, |raw| (1..3000).for_each(|n| first(raw, n)));
    println!("{left} bytes left, {most} at most");
    assert!(left <= 0 && most < 32 << 10, "{left} {most}");
    let (received, sent) = (raw.received - received, raw.sent - sent);
    println!("{sent} bytes out for {received} in");
    assert!(sent > 0 && sent * 5 < received, "{sent} for {received}");
    assert_eq!((raw.victim.endpoint.half_open(), raw.victim.endpoint.connections()), (0, 0));
}

#[test]
fn garbage_in_front_of_real_packets_leaves_nothing() {
    // 21 long-header packets in a datagram, each for another id (CVE-2025-54939)
    let mut raw = Raw::server();
    let mut datagram = Vec::new();
    for n in 0..21u8 {
        datagram.extend_from_slice(&[0xc0, 0, 0, 0, 1, 8, n, 1, 2, 3, 4, 5, 6, n, 0, 0, 38]);
        datagram.extend_from_slice(&[n; 38]);
    }
    raw.deliver(datagram.clone());
    let (left, most) = attack(&mut raw, |raw| {
        for n in 0..40_000u32 {
            datagram[6..10].copy_from_slice(&n.to_be_bytes());
            raw.deliver(datagram.clone());
        }
    });
    assert!(left <= 0 && most < 8 << 10, "{left} {most}");
}

/// Everything a peer may send without ever acknowledging: what is remembered of the answers is bounded.
#[test]
fn a_peer_that_never_acknowledges_is_remembered_in_half_a_mebibyte() {
    type Flood = (&'static str, fn(u64) -> Vec<u8>);
    let floods: [Flood; 4] = [
        ("pings", |_| vec![1]),
        ("challenges", |n| bytes(&[Frame::PathChallenge(n.to_be_bytes())])),
        ("challenges in full datagrams", |n| {
            bytes(&[Frame::PathChallenge(n.to_be_bytes()), Frame::Padding(1100)])
        }),
        ("many challenges in a datagram", |n| {
            bytes(&(0..100).map(|m| Frame::PathChallenge((100 * n + m).to_be_bytes())).collect::<Vec<_>>())
        }),
    ];
    for (what, payload) in floods {
        let mut raw = Raw::server();
        let (left, most) = attack(&mut raw, |raw| {
            for n in 0..40_000u64 {
                quietly(raw, Level::OneRtt, &payload(n));
                if n.is_multiple_of(50) {
                    raw.pass(Duration::from_millis(1));
                }
            }
        });
        println!("{left} bytes after {what}, {most} at most");
        assert_eq!(raw.violation(), None, "{what}");
        assert!(left <= 512 << 10 && most <= 768 << 10, "{left}, {most} at most after {what}");
    }
}

#[test]
fn a_peer_that_takes_data_and_never_acknowledges_is_remembered_by_the_window() {
    let mut raw = Raw::server();
    let id = raw.victim().open(Dir::Uni).expect("allowed");
    let data = bytes::Bytes::from(vec![1; 8 << 20]);
    let (_, most) = attack(&mut raw, |raw| {
        for n in 0..20_000u64 {
            let _ = raw.victim().write(id, &mut data.clone());
            quietly(raw, Level::OneRtt, &[1]);
            if n.is_multiple_of(50) {
                raw.pass(Duration::from_millis(1));
            }
        }
    });
    println!("{most} bytes at most for a peer that takes data");
    assert!(most <= 1 << 20, "{most}");
}

#[test]
fn fragments_in_a_hundred_streams_hold_no_more_than_twice_what_was_granted() {
    let granted = TransportConfig::default().stream.connection_window as isize;
    // one byte each at the end of a block, over as many streams as credit allows
    for (streams, step) in [(1u64, 1000u64), (100, 20_000), (100, 32_769), (250, 8000)] {
        let mut raw = Raw::server();
        let (_, most) = attack(&mut raw, |raw| {
            'flood: for round in 1..=120_000 / streams {
                for n in 0..streams {
                    let id = StreamId::new(Side::Client, Dir::Uni, n);
                    let frame = Stream { id, offset: step * round - 1, fin: false, data: b"x" };
                    quietly(raw, Level::OneRtt, &bytes(&[Frame::Stream(frame)]));
                    if raw.victim.closed(raw.handle).is_some() {
                        break 'flood;
                    }
                }
            }
        });
        println!("{most} bytes for {streams} streams with a byte every {step}");
        assert!(raw.violation().is_some(), "credit and gaps end");
        assert!(most <= 2 * granted + (1 << 20), "{most} bytes for {streams} streams every {step}");
    }
}

#[test]
fn huge_datagrams_before_the_keys_are_there_hold_little() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let (left, _) = attack(&mut raw, |raw| {
        for _ in 0..50 {
            let packet = raw.packet(Level::OneRtt, &[1; 15_000], Tweak::default());
            raw.deliver(packet);
            let packet = raw.packet(Level::OneRtt, &[1; 3000], Tweak::default());
            raw.deliver(packet);
        }
    });
    println!("{left} bytes wait for keys");
    assert!(left <= 20 << 10, "{left}");
}

#[test]
fn huge_first_datagrams_hold_no_more_than_a_mebibyte_before_somebody_decides() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    let meta = RecvMeta { remote: raw.me, local_ip: None, socket: 0, ecn: Ecn::NotEct };
    let mut waiting = 0;
    let (left, _) = attack(&mut raw, |raw| {
        for n in 0..256u64 {
            let id = Cid::new(&n.to_be_bytes()).expect("short");
            (raw.dcid, raw.odcid, raw.pn) = (id, id, [0; 3]);
            for _ in 0..4 {
                let datagram = raw.packet(Level::Initial, &[1; 15_000], Tweak::default());
                let endpoint = &mut raw.victim.endpoint;
                match endpoint.receive(raw.now, &meta, &mut datagram.clone(), &mut Vec::new()) {
                    Route::Incoming(_) => waiting += 1,
                    Route::Kept | Route::Drop(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        // more than any hello
        let mut datagram = raw.packet(Level::Initial, &[1; 15_000], Tweak::default());
        datagram.resize(17_000, 0);
        let route = raw.victim.endpoint.receive(raw.now, &meta, &mut datagram, &mut Vec::new());
        assert!(matches!(route, Route::Drop(_)), "{route:?}");
    });
    println!("{left} bytes for {waiting} strangers with huge datagrams");
    assert!(left <= 1200 << 10, "{left}");
}

#[test]
fn crypto_in_pieces_holds_no_more_than_its_window() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let (_, most) = attack(&mut raw, |raw| {
        for n in (0..1000u64).rev() {
            quietly(raw, Level::Handshake, &crypto(10 + 64 * n, b"x"));
        }
    });
    println!("{most} bytes for pieces of CRYPTO");
    assert_eq!(raw.violation(), None);
    assert!(most <= 384 << 10, "{most}");
}

#[test]
fn streams_that_never_end_cost_their_state_and_no_more() {
    let mut raw = Raw::server();
    let (left, _) = attack(&mut raw, |raw| {
        for dir in Dir::ALL {
            for n in 0..256 {
                let id = StreamId::new(Side::Client, dir, n);
                let frame = Stream { id, offset: 0, fin: false, data: b"x" };
                quietly(raw, Level::OneRtt, &bytes(&[Frame::Stream(frame)]));
            }
        }
        // hours of one PING every ten seconds
        for _ in 0..1000 {
            raw.pass(Duration::from_secs(10));
            quietly(raw, Level::OneRtt, &[1]);
        }
    });
    println!("{left} bytes for 512 streams of a byte each");
    assert_eq!(raw.violation(), None);
    assert!(left <= 2 << 20, "{left}");
}

#[test]
fn connection_ids_come_and_go_without_a_trace() {
    let mut raw = Raw::server();
    let cid = |n: u64| Cid::new(&n.to_be_bytes()).expect("short");
    let token = |n: u64| ResetToken([n.to_be_bytes(), n.to_be_bytes()].concat().try_into().expect("sixteen"));
    let round = |raw: &mut Raw, seq: u64| {
        let new = NewConnectionId { path: None, seq, retire_prior_to: seq, cid: cid(seq), token: token(seq) };
        raw.frames(&[Frame::NewConnectionId(new)]);
        raw.pass(Duration::from_millis(10));
        for packet in raw.packets() {
            if packet.frames().iter().any(Frame::is_ack_eliciting) {
                quietly(raw, Level::OneRtt, &Raw::ack_one(packet.pn));
            }
        }
    };
    (1..100).for_each(|seq| round(&mut raw, seq));
    let (left, _) = attack(&mut raw, |raw| (100..3000).for_each(|seq| round(raw, seq)));
    assert_eq!(raw.violation(), None);
    assert!(left <= 64 << 10, "{left} bytes after 2900 ids");
}

#[test]
fn a_client_keeps_eight_tokens_of_a_server_that_sends_ten_thousand() {
    let mut raw = Raw::client();
    let (left, most) = attack(&mut raw, |raw| {
        for n in 0..200u64 {
            let tokens: Vec<[u8; 8]> = (0..50).map(|m| (50 * n + m).to_be_bytes()).collect();
            let frames: Vec<_> = tokens.iter().map(|token| Frame::NewToken(token)).collect();
            quietly(raw, Level::OneRtt, &bytes(&frames));
        }
    });
    println!("{left} bytes for tokens, {most} at most");
    assert_eq!(raw.violation(), None);
    assert!(most <= 64 << 10, "{most}");
}

#[test]
fn key_updates_without_end_hold_nothing() {
    let mut raw = Raw::server();
    let update = |raw: &mut Raw, generation| {
        let packet = raw.packet(Level::OneRtt, &[1], Tweak { generation, ..Tweak::default() });
        raw.deliver(packet);
        raw.pass(Duration::from_millis(10));
        raw.datagrams.clear();
    };
    (1..20).for_each(|generation| update(&mut raw, generation));
    let before = held();
    // deriving the peer's keys is quadratic here, so few
    (20..300).for_each(|generation| update(&mut raw, generation));
    assert_eq!(raw.violation(), None);
    let grown = held() - before;
    assert!(grown <= 128 << 10, "{grown}");
}
