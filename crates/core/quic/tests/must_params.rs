//! Rules of RFC 9000 about transport parameters and CRYPTO during the handshake (§7.3 to §7.5) that are not tested
//! elsewhere.

mod pair;

use pair::raw::{Packet, Raw, Tweak, bytes, crypto, encode, hello, params};
use pair::{Policy, plain};
use tq_quic::crypto::schedule;
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::header::{self, Header};
use tq_quic::wire::params::PreferredAddress;
use tq_quic::wire::{Cid, Code, Dir, Frame, ResetToken, Side, TransportParameters, Writer};
use tq_quic::{ConnectionError, EarlyData, EndpointConfig, TransportConfig};

fn cid(name: &[u8]) -> Option<Cid> {
    Cid::new(name)
}

/// CRYPTO of one level, put together.
fn crypto_of(packets: &[Packet], level: Level) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets.iter().filter(|packet| packet.level == level) {
        for f in packet.frames() {
            if let Frame::Crypto(f) = f {
                let at = f.offset as usize;
                out.resize(out.len().max(at + f.data.len()), 0);
                out[at..at + f.data.len()].copy_from_slice(f.data);
            }
        }
    }
    out
}

/// The first message of a flight.
fn body(flight: &[u8]) -> &[u8] {
    let len = u32::from_be_bytes([0, flight[1], flight[2], flight[3]]) as usize;
    &flight[4..4 + len]
}

fn server_params(raw: &mut Raw) -> TransportParameters {
    let flight = crypto_of(&raw.packets(), Level::Handshake);
    TransportParameters::decode(body(&flight), Side::Server).expect("parameters")
}

// MUST 9000-7.3-1
#[test]
fn both_ends_name_the_ids_of_their_packets() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let (scid, odcid) = (raw.dcid, raw.odcid);
    let said = server_params(&mut raw);
    assert_eq!((said.initial_scid, said.original_dcid, said.retry_scid), (Some(scid), Some(odcid), None));
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let scid = raw.dcid;
    let flight = crypto_of(&raw.packets(), Level::Initial);
    let said = TransportParameters::decode(body(&flight), Side::Client).expect("parameters");
    assert_eq!((said.initial_scid, said.original_dcid, said.retry_scid), (Some(scid), None, None));
}

// MUST 9000-7.3-1
#[test]
fn after_a_retry_a_server_names_three_ids() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.victim.policy = |incoming| if incoming.may_retry() { Policy::Retry } else { Policy::Accept };
    let odcid = raw.odcid;
    let first = raw.packet(Level::Initial, &crypto(0, &hello(raw.scid, params())), Tweak::default());
    raw.deliver(first);
    let retry = raw.datagrams.pop().expect("a Retry");
    let Ok(Header::Retry { token, scid: from_retry, .. }) = Header::parse(&retry, 8) else { panic!() };
    raw.token = retry[token].to_vec();
    (raw.dcid, raw.odcid) = (from_retry, from_retry);
    raw.hello(params());
    let scid = raw.dcid;
    let said = server_params(&mut raw);
    assert_eq!(
        (said.initial_scid, said.original_dcid, said.retry_scid),
        (Some(scid), Some(odcid), Some(from_retry))
    );
}

/// What a client holds against a server that says this; `retried`: after a Retry.
fn clients_answer(retried: bool, change: impl FnOnce(&mut TransportParameters)) -> Option<Code> {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let mut said =
        TransportParameters { initial_scid: Some(raw.scid), original_dcid: Some(raw.odcid), ..params() };
    if retried {
        let mut out = vec![0; 200];
        let mut w = Writer::new(&mut out);
        let elsewhere = cid(b"elsewhere").expect("short");
        header::encode_retry(&mut w, raw.version, &raw.dcid, &elsewhere, b"a token");
        let len = w.len();
        out.truncate(len);
        let tag = schedule::retry_tag(&tq_tls::AwsLc, raw.version, &raw.odcid, &out);
        out.extend_from_slice(&tag);
        raw.deliver(out);
        raw.odcid = elsewhere;
        said.retry_scid = Some(elsewhere);
    }
    change(&mut said);
    raw.send(Level::Initial, &crypto(0, &plain::message(plain::SERVER_HELLO, b"")));
    let flight = [plain::message(plain::PARAMS, &encode(&said)), plain::message(plain::FINISHED, b"")];
    raw.send(Level::Handshake, &crypto(0, &flight.concat()));
    let code = raw.violation().map(|error| error.code);
    assert!(code.is_some() || !raw.victim().is_handshaking());
    code
}

// MUST 9000-7.3-2, 9000-7.3-3, 9000-7.3-4
#[test]
fn a_client_compares_the_ids_of_parameters_and_packets() {
    let wrong = Some(Code::TRANSPORT_PARAMETER_ERROR);
    let other = || cid(b"another");
    for retried in [false, true] {
        assert_eq!(clients_answer(retried, |_| {}), None, "after a Retry: {retried}");
        let changes: [fn(&mut TransportParameters); 6] = [
            |p| p.initial_scid = None,
            |p| p.initial_scid = Cid::new(b"another"),
            |p| p.original_dcid = None,
            |p| p.original_dcid = Cid::new(b"another"),
            // there after none, or not there after one
            |p| p.retry_scid = p.retry_scid.map_or(Cid::new(b"another"), |_| None),
            |p| p.original_dcid = p.retry_scid.or(p.initial_scid),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert_eq!(clients_answer(retried, change), wrong, "{n}, after a Retry: {retried}");
        }
    }
    assert_eq!(clients_answer(true, |p| p.retry_scid = other()), wrong);
}

// MUST 9000-7.3-2, 9000-7.3-3, 9000-7.3-4
#[test]
fn a_server_compares_the_id_of_parameters_and_packets() {
    let named = Cid::new(b"attacker");
    for (said, fine) in [(named, true), (None, false), (cid(b"another"), false), (cid(b""), false)] {
        let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
        let hello = plain::message(
            plain::CLIENT_HELLO,
            &encode(&TransportParameters { initial_scid: said, ..params() }),
        );
        raw.send(Level::Initial, &crypto(0, &hello));
        raw.handle = raw.victim.accepted[0];
        let code = raw.violation().map(|error| error.code);
        assert_eq!(code, (!fine).then_some(Code::TRANSPORT_PARAMETER_ERROR), "{said:?}");
    }
}

// MUST 9000-7.4-2
#[test]
fn no_parameter_is_sent_twice() {
    for n in 0..20 {
        let mut raw = Raw::half_open_server(TransportConfig::default(), params());
        let flight = crypto_of(&raw.packets(), Level::Handshake);
        let mut client = Raw::half_open_client(TransportConfig::default());
        let hello = crypto_of(&client.packets(), Level::Initial);
        for said in [body(&flight), body(&hello)] {
            let mut r = tq_quic::wire::Reader::new(said);
            let mut seen = std::collections::BTreeSet::new();
            while !r.is_empty() {
                let id = r.varint().expect("an id");
                r.prefixed().expect("a value");
                assert!(seen.insert(id), "{id:#x} in attempt {n}");
            }
            assert!(seen.len() > 8);
        }
    }
}

// MUST 9000-7.4-1
#[test]
fn a_max_ack_delay_of_any_length_is_declared_as_one_that_can_be() {
    for (set, declared) in [(0, 0), (999, 0), (5000, 5), (20_000_000, 16_383), (u64::MAX / 2, 16_383)] {
        let mut config = TransportConfig::default();
        config.max_ack_delay = Duration::from_micros(set);
        let mut raw = Raw::half_open_server(config, params());
        let said = server_params(&mut raw);
        assert_eq!(said.max_ack_delay, Duration::from_millis(declared), "{set} µs");
        assert_eq!(said.check(), Ok(()));
    }
}

const OLD_TOKEN: ResetToken = ResetToken([9; 16]);

fn remembered() -> Vec<u8> {
    let address = PreferredAddress {
        v4: Some("192.0.2.77:77".parse().expect("an address")),
        v6: None,
        cid: cid(b"preferred").expect("short"),
        token: ResetToken([8; 16]),
    };
    encode(&TransportParameters {
        ack_delay_exponent: 20,
        max_ack_delay: Duration::from_millis(16_000),
        stateless_reset_token: Some(OLD_TOKEN),
        initial_scid: cid(b"old name"),
        original_dcid: cid(b"old goal"),
        retry_scid: cid(b"old stop"),
        preferred_address: Some(address),
        max_udp_payload_size: 1250,
        ..params()
    })
}

fn resumed(config: TransportConfig) -> Raw {
    let tls = plain::Plain { early: true, remembers: Some(remembered), ..plain::Plain::default() };
    let mut raw = Raw::half_open_client_by(tls, config, EndpointConfig::default());
    assert_eq!(raw.victim().early_data(), EarlyData::Pending);
    let id = raw.victim().open(Dir::Uni).expect("remembered");
    raw.victim().write_slice(id, &[5; 5000]).expect("remembered");
    raw.collect();
    raw
}

// MUST 9000-7.4.1-2, 9000-7.4.1-3, 9000-9.6.2-4
#[test]
fn parameters_of_one_connection_are_not_remembered() {
    let reset = |token: ResetToken| [&[0x55; 30][..], &token.0].concat();
    let mut raw = resumed(TransportConfig::default());
    raw.deliver(reset(OLD_TOKEN));
    assert_eq!(raw.victim.closed(raw.handle), None, "while the handshake goes on");
    raw.answer(TransportParameters { stateless_reset_token: Some(ResetToken([4; 16])), ..params() });
    raw.send(Level::OneRtt, &bytes(&[Frame::HandshakeDone]));
    assert_eq!(raw.violation(), None, "old ids bind nobody");
    raw.deliver(reset(OLD_TOKEN));
    raw.deliver(reset(ResetToken([8; 16])));
    assert_eq!(raw.victim.closed(raw.handle), None, "nor do old tokens");
    assert!(raw.victim.sent_to.iter().all(|(to, _)| *to == raw.me), "nor is the old address of any use");
    // probes come after default delays, not after 16 s
    raw.packets();
    raw.pass(Duration::from_secs(3));
    assert!(raw.packets().len() >= 2);
    raw.deliver(reset(ResetToken([4; 16])));
    assert_eq!(raw.victim.closed(raw.handle), Some(&ConnectionError::Reset), "the new one counts");
}

// MUST 9000-7.4.1-3
#[test]
fn ack_delays_are_scaled_as_this_connection_says() {
    // with the remembered exponent this delay would be far longer than the round trip, and left out
    let mut raw = resumed(TransportConfig::default());
    raw.answer(TransportParameters { max_ack_delay: Duration::from_millis(100), ..params() });
    raw.send(Level::OneRtt, &bytes(&[Frame::HandshakeDone]));
    // the first sample is one of 20 ms, all others of 100 ms with a delay of 80 ms, in units of 8 µs
    let mut last = 0;
    for n in 0..30 {
        let _ = raw.victim().send_datagram(vec![1; 100].into());
        raw.collect();
        raw.pass(Duration::from_millis(20));
        let sent = raw.packets();
        last = sent.iter().filter(|p| p.level == Level::OneRtt).map(|p| p.pn).max().unwrap_or(last);
        if n > 0 {
            raw.pass(Duration::from_millis(80));
        }
        let mut out = vec![0; 100];
        let mut w = Writer::new(&mut out);
        let delay = if n > 0 { 10_000 } else { 0 };
        tq_quic::wire::frame::encode_ack(&mut w, None, std::iter::once(last..last + 1), delay, None);
        let ack = w.written().to_vec();
        raw.send(Level::OneRtt, &ack);
    }
    assert_eq!(raw.violation(), None);
    let srtt = raw.victim().stats().paths[0].srtt;
    assert!((15..60).contains(&srtt.as_millis()), "{srtt:?}: 20 ms without the delay");
}

// MUST 9000-7.4.1-4
#[test]
fn early_datagrams_keep_to_the_size_that_is_remembered() {
    let mut config = TransportConfig::default();
    config.initial_mtu = 1400;
    let raw = resumed(config);
    assert!(raw.datagrams.len() >= 4);
    assert!(raw.datagrams[1..].iter().all(|datagram| datagram.len() <= 1250));
}

// MUST 9000-7.5-1
#[test]
fn crypto_of_4096_bytes_may_come_in_any_order() {
    for level in [Level::Initial, Level::Handshake] {
        let message = match level {
            Level::Initial => {
                // a hello with much in it that nobody knows
                let mut body = encode(&TransportParameters { initial_scid: cid(b"attacker"), ..params() });
                body.push(27);
                body.extend_from_slice(&(0x4000 | 3900u16).to_be_bytes());
                body.resize(body.len() + 3900, 0);
                plain::message(plain::CLIENT_HELLO, &body)
            }
            _ => plain::message(plain::FINISHED, &[0; 4093]),
        };
        let mut raw = match level {
            Level::Initial => Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0),
            _ => Raw::half_open_server(TransportConfig::default(), params()),
        };
        let mut pieces: Vec<(usize, &[u8])> = message.chunks(1000).enumerate().collect();
        pieces.reverse();
        for (n, piece) in &pieces {
            raw.send(level, &crypto(1000 * *n as u64, piece));
            raw.handle = raw.victim.accepted[0];
            assert_eq!(raw.violation(), None);
        }
        let packets = raw.packets();
        match level {
            Level::Initial => assert!(packets.iter().any(|packet| packet.level == Level::Handshake)),
            _ => assert!(!raw.victim().is_handshaking()),
        }
    }
    let mut raw = Raw::server();
    raw.send(Level::OneRtt, &crypto(1, &[0; 4096]));
    assert_eq!(raw.violation(), None);
}
