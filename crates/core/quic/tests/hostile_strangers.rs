//! Strangers in numbers: floods of first datagrams, neighbourhoods that take more than their share, late and replayed
//! first datagrams, resets between endpoints. Nobody here has proven anything.

mod pair;

use std::net::SocketAddr;

use pair::raw::{Raw, Tweak, bytes, crypto, params};
use pair::{End, Flying, Pair, Policy};
use tq_quic::event::DropReason;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{Header, LongKind};
use tq_quic::wire::{Cid, Frame};
use tq_quic::{EndpointConfig, Event, TransportConfig};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn server(config: EndpointConfig) -> Raw {
    Raw::idle_server(TransportConfig::default(), config, 0)
}

/// A whole ClientHello of client `n`, from wherever `raw` says it is.
fn knock(raw: &mut Raw, n: u64) {
    let id = Cid::new(&n.to_be_bytes()).expect("short");
    (raw.dcid, raw.odcid, raw.pn) = (id, id, [0; 3]);
    let hello = crypto(0, &pair::raw::hello(raw.scid, params()));
    raw.send(Level::Initial, &hello);
}

/// Goes through with the Retry that came last, and through the handshake.
fn obey(raw: &mut Raw) -> bool {
    let last = raw.datagrams.last().cloned().unwrap_or_default();
    let Ok(Header::Retry { scid, token, .. }) = Header::parse(&last, 8) else { return false };
    raw.token = last[token].to_vec();
    (raw.dcid, raw.odcid, raw.pn) = (scid, scid, [1, 0, 0]);
    raw.datagrams.clear();
    let before = raw.victim.accepted.len();
    let hello = crypto(0, &pair::raw::hello(raw.scid, params()));
    raw.send(Level::Initial, &hello);
    raw.token.clear();
    raw.victim.accepted.len() > before
}

fn dropped(raw: &Raw, reason: DropReason) -> u64 {
    raw.victim.endpoint.counters().dropped(reason)
}

#[test]
fn above_the_threshold_strangers_are_asked_for_proof_and_below_it_they_are_not() {
    let mut config = EndpointConfig::default();
    config.retry_above = Some(20);
    let mut raw = server(config);
    for n in 0..200u64 {
        raw.me = SocketAddr::new([10, (n / 100) as u8, n as u8, 1].into(), 4000);
        raw.datagrams.clear();
        knock(&mut raw, n);
        let retried = matches!(Header::parse(&raw.datagrams[0], 8), Ok(Header::Retry { .. }));
        assert_eq!(retried, n >= 20, "{n}");
    }
    assert_eq!(raw.victim.endpoint.half_open(), 20);
    // an honest client goes on
    assert!(obey(&mut raw), "a proven address is served");
    assert_eq!(raw.victim.endpoint.half_open(), 21);
    // when the flood is over nobody is asked any more
    raw.pass(Duration::from_secs(40));
    assert_eq!(raw.victim.endpoint.half_open(), 0);
    raw.datagrams.clear();
    knock(&mut raw, 1000);
    assert_eq!(raw.victim.endpoint.half_open(), 1);
}

#[test]
fn one_neighbourhood_cannot_take_the_whole_table() {
    for base in ["198.51.100", "2001:db8:7:5"] {
        let mut config = EndpointConfig::default();
        config.max_half_open_per_prefix = 40;
        let mut raw = server(config);
        let from = |n: u64| match base.contains(':') {
            true => address(&format!("[{base}{:02x}::{n:x}]:9", n % 256)),
            false => address(&format!("{base}.{}:{}", n % 256, 1000 + n)),
        };
        for n in 0..5000 {
            raw.me = from(n);
            raw.datagrams.clear();
            knock(&mut raw, n);
        }
        // forged addresses get no further than a quarter
        assert_eq!(raw.victim.endpoint.half_open(), 10, "{base}");
        // those who answer get the rest and no more
        for n in 5000..5200 {
            raw.me = from(n);
            knock(&mut raw, n);
            obey(&mut raw);
        }
        assert_eq!(raw.victim.endpoint.half_open(), 40, "{base}");
        assert!(dropped(&raw, DropReason::Refused) >= 100, "{base}");
        // everybody else is served as ever
        raw.me = address("203.0.113.5:1");
        knock(&mut raw, 9999);
        assert_eq!(raw.victim.endpoint.half_open(), 41, "{base}");
    }
}

#[test]
fn many_that_wait_for_a_decision_cannot_exceed_the_limits_together() {
    use tq_quic::wire::Ecn;
    use tq_quic::{RecvMeta, Route};
    let mut config = EndpointConfig::default();
    config.max_half_open = 5;
    let mut raw = server(config);
    let mut waiting = Vec::new();
    for n in 0..20u64 {
        let id = Cid::new(&n.to_be_bytes()).expect("short");
        (raw.dcid, raw.odcid, raw.pn) = (id, id, [0; 3]);
        let hello = crypto(0, &pair::raw::hello(raw.scid, params()));
        let mut datagram = raw.packet(Level::Initial, &hello, Tweak::default());
        let meta = RecvMeta { remote: raw.me, local_ip: None, socket: 0, ecn: Ecn::NotEct };
        match raw.victim.endpoint.receive(raw.now, &meta, &mut datagram, &mut Vec::new()) {
            Route::Incoming(incoming) => waiting.push(incoming),
            other => panic!("{other:?}"),
        }
    }
    let mut taken = Vec::new();
    let mut refused = 0;
    for incoming in waiting {
        let mut reply = Vec::new();
        match raw.victim.endpoint.accept(raw.now, incoming, &mut reply) {
            Ok(connection) => taken.push(connection),
            Err((_, transmit)) => {
                refused += 1;
                assert!(transmit.is_some() && reply.len() < 200, "it is told");
            }
        }
    }
    assert_eq!((taken.len(), refused, raw.victim.endpoint.half_open()), (5, 15, 5));
}

#[test]
fn a_first_datagram_that_comes_again_after_the_handshake_opens_nothing() {
    let mut raw = server(EndpointConfig::default());
    let hello = crypto(0, &pair::raw::hello(raw.scid, params()));
    let first = raw.packet(Level::Initial, &hello, Tweak::default());
    raw.deliver(first.clone());
    raw.handle = *raw.victim.accepted.back().expect("accepted");
    if let Ok(Header::Long { scid, .. }) = Header::parse(&raw.datagrams[0], 8) {
        raw.dcid = scid;
    }
    raw.send(Level::Handshake, &crypto(0, &pair::plain::message(pair::plain::FINISHED, b"")));
    assert!(!raw.victim().is_handshaking());
    for from in ["192.0.2.1:4000", "203.0.113.9:53"] {
        for _ in 0..100 {
            raw.datagrams.clear();
            raw.deliver_from(address(from), first.clone());
            assert!(raw.datagrams.is_empty(), "it earns no answer");
        }
    }
    assert_eq!((raw.victim.accepted.len(), raw.victim.endpoint.half_open()), (1, 0));
    assert_eq!(dropped(&raw, DropReason::Duplicate), 200);
    // also when the connection is long over
    let now = raw.now;
    raw.victim().close(now, 0, b"");
    raw.pass(Duration::from_secs(60));
    assert_eq!(raw.victim.endpoint.connections(), 0);
    raw.deliver(first);
    assert_eq!(raw.victim.endpoint.half_open(), 0);
}

#[test]
fn nor_does_one_from_before_a_retry() {
    let mut pair = Pair::default();
    pair.server.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Accept };
    let kept: std::rc::Rc<std::cell::RefCell<Vec<Flying>>> = Default::default();
    let log = std::rc::Rc::clone(&kept);
    pair.link = Box::new(move |flying| {
        if flying.to.port() == 443 && log.borrow().len() < 3 {
            log.borrow_mut().push(flying.clone());
        }
        true
    });
    pair.connected();
    // everything is taken now
    pair.server.policy = |_| Policy::Accept;
    for flying in kept.borrow().iter() {
        pair.inject(Flying { at: pair.now, ..flying.clone() });
    }
    pair.pass(Duration::from_millis(100));
    assert_eq!((pair.server.endpoint.half_open(), pair.server.endpoint.connections()), (0, 1));
}

#[test]
fn honest_handshakes_go_on_during_a_flood_of_forged_ones() {
    let mut pair = Pair::default();
    let mut forged = 0u64;
    // 50 first datagrams from all over before each honest datagram
    let mut template = server(EndpointConfig::default());
    for round in 0..5 {
        for _ in 0..600 {
            forged += 1;
            let id = Cid::new(&(forged | 1 << 40).to_be_bytes()).expect("short");
            (template.dcid, template.odcid, template.pn) = (id, id, [0; 3]);
            let bytes = template.packet(Level::Initial, &crypto(0, &[1, 0, 0x40]), Tweak::default());
            let from = SocketAddr::new([100, (forged % 90) as u8, (forged / 90) as u8, 7].into(), 1);
            let to = pair.server.address;
            pair.inject(Flying { at: pair.now, from, to, ecn: tq_quic::wire::Ecn::NotEct, bytes });
        }
        let start = pair.now;
        let client = pair.connect();
        pair.drive_for(Duration::from_secs(5), |pair| pair.client.has(client, &Event::Confirmed));
        assert!(pair.client.has(client, &Event::Confirmed), "round {round}");
        // with a Retry it is one round trip more
        assert!(pair.now - start <= Duration::from_millis(100), "{:?}", pair.now - start);
        assert!(pair.server.endpoint.half_open() <= 1025, "{}", pair.server.endpoint.half_open());
    }
    pair.pass(Duration::from_secs(60));
    assert_eq!(pair.server.endpoint.half_open(), 0);
}

#[test]
fn slow_handshakes_end_after_thirty_seconds_whatever_they_send() {
    let mut raw = server(EndpointConfig::default());
    let hello = pair::raw::hello(raw.scid, params());
    for (at, byte) in hello.iter().enumerate().take(29) {
        // a byte a second
        raw.send(Level::Initial, &crypto(at as u64, std::slice::from_ref(byte)));
        raw.pass(Duration::from_secs(1));
    }
    assert_eq!(raw.victim.endpoint.half_open(), 1);
    raw.pass(Duration::from_secs(2));
    assert_eq!((raw.victim.endpoint.half_open(), raw.victim.endpoint.connections()), (0, 0));
    assert!(raw.sent <= 3 * raw.received);
}

#[test]
fn a_retry_costs_the_server_less_than_a_fifth_of_what_it_costs_the_stranger() {
    let mut raw = server(EndpointConfig::default());
    raw.victim.policy = |_| Policy::Retry;
    for n in 0..1000 {
        knock(&mut raw, n);
    }
    assert!(raw.sent * 5 < raw.received, "{} for {}", raw.sent, raw.received);
    assert_eq!(raw.victim.endpoint.connections(), 0);
}

#[test]
fn ten_thousand_bad_tokens_are_answered_shortly_and_kept_nowhere() {
    let mut raw = server(EndpointConfig::default());
    raw.victim.policy = |_| Policy::Retry;
    knock(&mut raw, 0);
    let last = raw.datagrams.pop().expect("a Retry");
    let Ok(Header::Retry { token, .. }) = Header::parse(&last, 8) else { panic!("a Retry") };
    let good = last[token].to_vec();
    for n in 0..10_000u64 {
        raw.token = good.clone();
        let at = (n as usize * 7) % (good.len() - 1) + 1;
        raw.token[at] ^= 1 << (n % 8);
        knock(&mut raw, 1 + n);
        raw.datagrams.clear();
    }
    assert_eq!((raw.victim.endpoint.connections(), raw.victim.endpoint.half_open()), (0, 0));
    assert!(raw.sent * 5 < raw.received, "{} for {}", raw.sent, raw.received);
}

// MUST 9000-8.1.4-5
#[test]
fn a_token_that_was_seen_on_the_way_proves_the_address_once() {
    // a server's token, taken from where it was sent in the clear of an Initial
    let mut pair = Pair::default();
    pair.connected();
    pair.pass(Duration::from_millis(100));
    let seen: std::rc::Rc<std::cell::RefCell<Vec<u8>>> = Default::default();
    let log = std::rc::Rc::clone(&seen);
    pair.link = Box::new(move |flying| {
        if let Ok(Header::Long { kind: LongKind::Initial, token, .. }) = Header::parse(&flying.bytes, 8) {
            log.borrow_mut().extend_from_slice(&flying.bytes[token]);
        }
        false
    });
    pair.connect();
    pair.flush();
    let token = seen.borrow().clone();
    assert!(!token.is_empty());
    let meta = tq_quic::RecvMeta {
        remote: pair.client.address,
        local_ip: None,
        socket: 0,
        ecn: tq_quic::wire::Ecn::NotEct,
    };
    let mut forger = server(EndpointConfig::default());
    let mut validated = Vec::new();
    for n in 0..10u64 {
        let id = Cid::new(&n.to_be_bytes()).expect("short");
        (forger.dcid, forger.odcid, forger.pn) = (id, id, [0; 3]);
        forger.token = token.clone();
        let mut datagram = forger.packet(Level::Initial, &[1], Tweak::default());
        match pair.server.endpoint.receive(pair.now, &meta, &mut datagram, &mut Vec::new()) {
            tq_quic::Route::Incoming(incoming) => validated.push(incoming.is_validated()),
            other => panic!("{other:?}"),
        }
    }
    assert!(validated[0] && validated[1..].iter().all(|validated| !validated), "{validated:?}");
}

#[test]
fn two_servers_that_lost_everything_fall_silent_at_once() {
    // each takes the other's resets for packets of a connection it does not know
    let mut ends = [("192.0.2.2:443", 0), ("192.0.2.3:443", 1)].map(|(at, _)| {
        let mut raw = server(EndpointConfig::default());
        raw.victim.address = address(at);
        raw
    });
    for len in [43, 60, 1200, 1452] {
        let mut datagram: Vec<u8> = (0..len).map(|n| n as u8).collect();
        datagram[0] = 0x41;
        let mut exchanged = 0;
        for turn in 0.. {
            let from = address(["192.0.2.3:443", "192.0.2.2:443"][turn % 2]);
            let raw = &mut ends[turn % 2];
            raw.datagrams.clear();
            raw.deliver_from(from, datagram.clone());
            let Some(reply) = raw.datagrams.pop() else { break };
            assert!(reply.len() < datagram.len(), "each is shorter than the last");
            datagram = reply;
            exchanged += 1;
        }
        assert!(exchanged <= 1, "{exchanged} resets for {len} bytes");
    }
}

#[test]
fn an_id_in_use_is_never_answered_with_a_reset_wherever_the_packet_comes_from() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    for n in 0..500u64 {
        raw.datagrams.clear();
        let mut packet = raw.packet(Level::OneRtt, &[1; 60], Tweak::default());
        *packet.last_mut().expect("a tag") ^= 1;
        raw.deliver_from(SocketAddr::new([203, 0, 113, n as u8].into(), 1 + n as u16), packet);
        assert!(raw.datagrams.is_empty(), "nobody answers what does not authenticate");
    }
    assert_eq!(raw.victim.closed(raw.handle), None);
}

#[test]
fn empty_datagrams_in_numbers_are_counted_and_cause_nothing() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_secs(1));
    raw.datagrams.clear();
    for _ in 0..200_000 {
        raw.deliver(Vec::new());
    }
    assert_eq!(dropped(&raw, DropReason::Empty), 200_000);
    assert!(raw.datagrams.is_empty());
}

#[test]
fn nobody_off_the_path_ends_a_clients_attempt() {
    // Initials, Retries, negotiations and resets from somebody who knows the addresses but has seen no packet
    let mut pair = Pair::default();
    let client = pair.connect();
    let (server, to) = (pair.server.address, pair.client.address);
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let guesses = [
        raw.packet(Level::Initial, &bytes(&[Frame::Ping]), Tweak::default()),
        raw.packet(Level::Handshake, &bytes(&[Frame::Ping]), Tweak::default()),
        {
            let mut out = vec![0; 100];
            let scid = Cid::new(b"offpath!").expect("short");
            let mut w = tq_quic::wire::Writer::new(&mut out);
            tq_quic::wire::header::encode_retry(&mut w, raw.version, &raw.dcid, &scid, b"a token");
            out
        },
        {
            let mut out = vec![0; 40];
            let mut w = tq_quic::wire::Writer::new(&mut out);
            let versions = [tq_quic::wire::Version(0xff00_001d)];
            tq_quic::wire::header::encode_negotiation(&mut w, 0, &raw.dcid, &raw.odcid, &versions);
            out
        },
        vec![0x41; 60],
    ];
    for round in 0..50u64 {
        for bytes in &guesses {
            let at = pair.now + Duration::from_millis(round);
            pair.inject(Flying {
                at,
                from: server,
                to,
                ecn: tq_quic::wire::Ecn::NotEct,
                bytes: bytes.clone(),
            });
        }
    }
    pair.drive_for(Duration::from_secs(3), |pair| pair.client.has(client, &Event::Confirmed));
    assert!(pair.client.has(client, &Event::Confirmed), "{:?}", pair.client.events);
}

#[test]
fn a_server_is_not_moved_by_initials_that_copy_what_passed() {
    // somebody who sees the client's Initials (and so has their keys) adds Initials of his own
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let hello_again = crypto(0, &[0; 50]);
    for n in 0..50u64 {
        let packet = raw.packet(Level::Initial, &hello_again, Tweak { pn: Some(5 + n), ..Tweak::default() });
        raw.deliver_from(address("203.0.113.66:443"), packet);
    }
    assert_eq!(raw.violation(), None, "what was read already is not read again");
    raw.send(Level::Handshake, &crypto(0, &pair::plain::message(pair::plain::FINISHED, b"")));
    assert!(!raw.victim().is_handshaking());
    assert_eq!(raw.victim().remote(), raw.me);
}

#[test]
fn handshakes_of_the_wrong_kind_of_packet_open_nothing() {
    let mut raw = server(EndpointConfig::default());
    for kind in [LongKind::Handshake, LongKind::ZeroRtt] {
        let mut out = vec![0; 1200];
        let mut w = tq_quic::wire::Writer::new(&mut out);
        let long = tq_quic::wire::header::Long {
            kind,
            version: raw.version,
            dcid: &raw.dcid,
            scid: &raw.scid,
            token: &[],
        };
        long.encode(&mut w, 4);
        raw.deliver(out);
    }
    let end: &End = &raw.victim;
    assert_eq!((end.endpoint.connections(), raw.sent), (0, 0));
}
