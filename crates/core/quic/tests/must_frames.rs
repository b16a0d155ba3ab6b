//! Rules of RFC 9000 about frames and transport parameters (§4, §12.4, §12.5, §18, §19) that are not tested elsewhere.

mod pair;

use pair::raw::{Raw, bytes, crypto, params};
use pair::{Pair, plain};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{self, NewConnectionId};
use tq_quic::wire::header::Header;
use tq_quic::wire::params::PreferredAddress;
use tq_quic::wire::{Cid, Code, Dir, Frame, ResetToken, Side, StreamId, TransportParameters, Writer};
use tq_quic::{Connection, EndpointConfig, Event, TransportConfig};

fn new_cid(seq: u64, retire_prior_to: u64) -> Frame<'static> {
    let cid = Cid::new(&(0x1000 + seq).to_be_bytes()).expect("eight bytes");
    let token = ResetToken([seq as u8; 16]);
    Frame::NewConnectionId(NewConnectionId { path: None, seq, retire_prior_to, cid, token })
}

/// Numbers the victim retires from now on.
fn retired(raw: &mut Raw) -> Vec<u64> {
    let packets = raw.packets();
    let frames = packets.iter().flat_map(|packet| packet.frames());
    let seqs = frames.filter_map(|f| if let Frame::RetireConnectionId(f) = f { Some(f.seq) } else { None });
    seqs.collect()
}

// MUST 9000-4.6-1, 9000-19.3.1-1, 9000-19.6-1, 9000-19.7-2, 9000-19.8-2, 9000-19.11-1, 9000-19.14-1
// MUST 9000-19.15-1, 9000-19.15-6
#[test]
fn fields_that_cannot_be_are_encoding_errors() {
    let max = [0xff; 8];
    let streams = |kind: u8| [&[kind, 0xd0][..], &[0, 0, 0, 0, 0, 0, 1]].concat();
    let cid = |head: [u8; 4]| [&head[..], &[7; 40]].concat();
    let cases: [(&str, Vec<u8>); 13] = [
        ("first range below zero", vec![0x02, 5, 0, 0, 6]),
        ("a range below zero", vec![0x02, 5, 0, 1, 0, 4, 0]),
        ("a range below zero, with ECN", vec![0x03, 5, 0, 1, 0, 4, 0, 0, 0, 0]),
        ("CRYPTO too long", [&[0x06][..], &max, &[1, 1]].concat()),
        ("an empty token", vec![0x07, 0]),
        ("STREAM too long", [&[0x0c, 0][..], &max, &[1]].concat()),
        ("bidirectional streams", streams(0x12)),
        ("unidirectional streams", streams(0x13)),
        ("blocked at bidirectional streams", streams(0x16)),
        ("blocked at unidirectional streams", streams(0x17)),
        ("an empty connection id", cid([0x18, 1, 0, 0])),
        ("a connection id of 21 bytes", cid([0x18, 1, 0, 21])),
        ("retire prior to above the sequence number", cid([0x18, 1, 2, 8])),
    ];
    for (what, payload) in cases {
        let mut raw = Raw::client();
        raw.send(Level::OneRtt, &payload);
        let error = raw.violation().unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!((error.code, error.frame), (Code::FRAME_ENCODING_ERROR, u64::from(payload[0])), "{what}");
    }
}

// MUST 9000-19.3-1
#[test]
fn acks_with_and_without_ecn_counts_are_taken() {
    for kind in [0x02, 0x03] {
        let mut raw = Raw::server();
        let id = raw.victim().open(Dir::Uni).expect("allowed");
        raw.victim().write_slice(id, b"hello").expect("room");
        raw.victim().finish(id).expect("open");
        raw.collect();
        let last = raw.packets().iter().filter(|packet| packet.level == Level::OneRtt).map(|p| p.pn).max();
        let last = last.expect("a packet") as u8;
        let mut ack = vec![kind, last, 0, 0, last];
        if kind == 0x03 {
            ack.extend([0, 0, 0]);
        }
        raw.send(Level::OneRtt, &ack);
        assert_eq!(raw.violation(), None);
        let finished = Event::Stream(tq_quic::StreamEvent::Finished(id));
        assert!(raw.victim.has(raw.handle, &finished), "ACK of type {kind}");
    }
}

// MUST 9000-13.3-3
#[test]
fn frames_that_later_ones_have_overtaken_are_accepted() {
    let mut raw = Raw::server();
    let id = raw.victim().open(Dir::Bi).expect("allowed");
    raw.collect();
    for small in [9000, 10, 0] {
        raw.frames(&[
            Frame::MaxData(small),
            Frame::MaxStreamData(id, small),
            Frame::MaxStreams(Dir::Bi, small / 1000),
            Frame::MaxStreams(Dir::Uni, small / 1000),
            Frame::DataBlocked(small),
            Frame::StreamsBlocked(Dir::Bi, small),
        ]);
    }
    assert_eq!(raw.violation(), None);
    assert_eq!(raw.victim().write_slice(id, &[1; 20_000]), Ok(20_000), "the larger limits hold");
}

/// Which frames are sent in Initial and Handshake packets, by what must not be among them.
fn assert_early_frames(raw: &mut Raw) -> Vec<frame::Close<'static>> {
    let mut closes = Vec::new();
    for packet in raw.packets() {
        assert!(!packet.frames().is_empty(), "a packet without frames");
        for frame in packet.frames().iter().filter(|_| packet.level != Level::OneRtt) {
            match frame {
                Frame::Padding(_) | Frame::Ping | Frame::Crypto(_) => {}
                Frame::Ack(ack) if ack.path.is_none() => {}
                Frame::Close(close) if close.frame_type.is_some() => {
                    assert_eq!((close.code, close.reason), (Code::APPLICATION_ERROR.0, &b""[..]));
                    closes.push(frame::Close { reason: b"", ..*close });
                }
                other => panic!("{other:?} in {:?}", packet.level),
            }
        }
    }
    closes
}

// MUST 9000-10.2.3-2, 9000-10.2.3-3, 9000-12.4-1, 9000-12.5-1, 9000-12.5-2
#[test]
fn handshake_packets_carry_frames_of_the_handshake_only() {
    let server = |raw: &mut Raw| {
        // it knows our limits and has 1-RTT keys, so there is a lot it could say
        for dir in [Dir::Bi, Dir::Uni] {
            let id = raw.victim().open(dir).expect("allowed");
            raw.victim().write_slice(id, &[1; 5000]).expect("room");
        }
        let _ = raw.victim().send_datagram(vec![1; 100].into());
    };
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    server(&mut raw);
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(3));
    let now = raw.now;
    raw.victim().close(now, 77, b"not for everybody");
    raw.collect();
    assert!(!assert_early_frames(&mut raw).is_empty(), "the close is told in Handshake packets, veiled");
    let mut raw = Raw::half_open_client(TransportConfig::default());
    raw.pass(Duration::from_secs(1));
    raw.send(Level::Initial, &crypto(0, &plain::message(plain::SERVER_HELLO, b"")));
    let now = raw.now;
    raw.victim().close(now, 77, b"not for everybody");
    raw.collect();
    assert!(!assert_early_frames(&mut raw).is_empty());
}

// MUST 9000-19.20-1, 9000-13.3-2
#[test]
fn handshake_done_waits_for_the_end_of_the_handshake_and_goes_until_it_is_acknowledged() {
    let count = |raw: &mut Raw| {
        let packets = raw.packets();
        packets.iter().filter(|packet| packet.frames().contains(&Frame::HandshakeDone)).count()
    };
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.send(Level::Handshake, &bytes(&[Frame::Ping]));
    raw.pass(Duration::from_secs(2));
    assert_eq!(count(&mut raw), 0, "the client's Finished has not come");
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    assert_eq!(count(&mut raw), 1);
    // probes come ever later
    for seconds in [2, 4, 8] {
        raw.pass(Duration::from_secs(seconds));
        assert!(count(&mut raw) >= 1, "it goes again while it is not acknowledged");
    }
}

// MUST 9000-19.7-1, 9000-19.7-3
#[test]
fn servers_give_tokens_that_are_not_empty_and_clients_none() {
    let tokens = |raw: &mut Raw| -> Vec<usize> {
        raw.pass(Duration::from_secs(1));
        let packets = raw.packets();
        let frames = packets.iter().flat_map(|packet| packet.frames());
        frames.filter_map(|f| if let Frame::NewToken(token) = f { Some(token.len()) } else { None }).collect()
    };
    let given = tokens(&mut Raw::server());
    assert!(!given.is_empty() && given.iter().all(|len| *len > 0), "{given:?}");
    assert_eq!(tokens(&mut Raw::client()), []);
}

// MUST 9000-19.15-7
#[test]
fn a_retire_prior_to_that_raises_nothing_is_ignored() {
    let mut raw = Raw::server();
    raw.frames(&[new_cid(1, 0), new_cid(2, 2)]);
    let mut first = retired(&mut raw);
    first.sort_unstable();
    assert_eq!(first, [0, 1]);
    for late in [0, 1, 2] {
        raw.frames(&[new_cid(3 + late, late)]);
    }
    assert_eq!(retired(&mut raw), []);
    assert_eq!(raw.violation(), None);
}

// MUST 9000-19.15-8
#[test]
fn an_id_below_retire_prior_to_is_given_back_as_it_comes() {
    let mut raw = Raw::server();
    raw.frames(&[new_cid(5, 5)]);
    assert_eq!(retired(&mut raw), [0]);
    for seq in [3, 1] {
        raw.frames(&[new_cid(seq, 0)]);
        assert_eq!(retired(&mut raw), [seq]);
    }
    assert_eq!(raw.violation(), None);
}

// MUST 9000-19.15-3
#[test]
fn a_peer_with_empty_ids_cannot_issue_any() {
    let mut raw = Raw::idle_server(TransportConfig::default(), EndpointConfig::default(), 0);
    raw.scid = Cid::EMPTY;
    raw.hello(params());
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    assert!(!raw.victim().is_handshaking(), "{:?}", raw.victim().error());
    raw.frames(&[new_cid(1, 0)]);
    let error = raw.violation().expect("a violation");
    assert_eq!((error.code, error.frame), (Code::PROTOCOL_VIOLATION, frame::kind::NEW_CONNECTION_ID));
}

// MUST 9000-19.15-2, 9000-19.15-5
#[test]
fn ids_are_never_empty_whatever_is_configured() {
    let mut config = EndpointConfig::default();
    config.cid_len = 0;
    let mut raw = Raw::idle_server(TransportConfig::default(), config, 0);
    raw.hello(params());
    let Ok(Header::Long { scid, .. }) = Header::parse(&raw.datagrams[0], 0) else { panic!() };
    assert!(!scid.is_empty());
    raw.send(Level::Handshake, &crypto(0, &plain::message(plain::FINISHED, b"")));
    let packets = raw.packets();
    let frames = packets.iter().flat_map(|packet| packet.frames());
    let issued: Vec<NewConnectionId> =
        frames.filter_map(|f| if let Frame::NewConnectionId(f) = f { Some(f) } else { None }).collect();
    assert!(issued.len() >= 2);
    assert!(issued.iter().all(|f| !f.cid.is_empty() && f.retire_prior_to <= f.seq), "{issued:?}");
}

// MUST 9000-19.16-2
#[test]
fn the_id_a_packet_goes_to_is_not_retired_in_it() {
    let mut raw = Raw::server();
    for seq in 1..40 {
        raw.frames(&[new_cid(seq, seq)]);
        raw.pass(Duration::from_millis(30));
        let Frame::NewConnectionId(new) = new_cid(seq, seq) else { unreachable!() };
        let newest = raw.datagrams.last().expect("an answer").clone();
        let Ok(Header::Short { dcid, .. }) = Header::parse(&newest, 8) else { panic!() };
        assert_eq!(dcid, new.cid, "sent to the id that is left");
        let packets = raw.packets();
        let last = packets.last().expect("a packet").pn;
        for f in packets.iter().flat_map(|packet| packet.frames()) {
            assert!(!matches!(f, Frame::RetireConnectionId(f) if f.seq >= seq), "{f:?} after {seq}");
        }
        let acks = Raw::ack(&[0..1, last..last + 1][usize::from(last == 0)..]);
        raw.send(Level::OneRtt, &acks);
    }
}

/// The transport parameters a client of ours sends.
fn clients_parameters(raw: &mut Raw) -> Vec<u8> {
    let packets = raw.packets();
    let frames = packets.iter().flat_map(|packet| packet.frames());
    let hello = frames.filter_map(|f| if let Frame::Crypto(f) = f { Some(f.data.to_vec()) } else { None });
    let hello = hello.collect::<Vec<_>>().concat();
    hello[4..].to_vec()
}

// MUST 9000-18.2-1, 9000-18.2-6, 9000-18.2-8
#[test]
fn a_client_says_nothing_that_only_servers_may() {
    let mut raw = Raw::half_open_client(TransportConfig::default());
    let params = clients_parameters(&mut raw);
    let params = TransportParameters::decode(&params, Side::Client).expect("as a server would read them");
    assert!(params.active_cid_limit >= 2);
    assert!(params.stateless_reset_token.is_none() && params.original_dcid.is_none());
    assert!(params.retry_scid.is_none() && params.preferred_address.is_none());
}

// MUST 9000-4.6-1, 9000-7.4-1, 9000-18.2-7, 9000-18.2-9
#[test]
fn parameters_against_the_rules_are_parameter_errors() {
    let token = Some(ResetToken([1; 16]));
    let cid = Cid::new(b"whatever");
    let v4 = Some("192.0.2.9:9".parse().expect("an address"));
    let address = PreferredAddress {
        v4,
        v6: None,
        cid: Cid::new(b"preferred").expect("short"),
        token: ResetToken([2; 16]),
    };
    let bad = [
        TransportParameters { stateless_reset_token: token, ..params() },
        TransportParameters { original_dcid: cid, ..params() },
        TransportParameters { retry_scid: cid, ..params() },
        TransportParameters { preferred_address: Some(address), ..params() },
        TransportParameters { active_cid_limit: 0, ..params() },
        TransportParameters { active_cid_limit: 1, ..params() },
        TransportParameters { initial_max_streams_bidi: (1 << 60) + 1, ..params() },
        TransportParameters { initial_max_streams_uni: (1 << 60) + 1, ..params() },
    ];
    for params in bad {
        let raw = Raw::half_open_server(TransportConfig::default(), params.clone());
        let error = raw.violation().unwrap_or_else(|| panic!("{params:?} were taken"));
        assert_eq!(error.code, Code::TRANSPORT_PARAMETER_ERROR, "{params:?}");
    }
}

// MUST 9000-18.2-5
#[test]
fn a_preferred_address_goes_with_ids_that_are_not_empty() {
    let address = |cid| PreferredAddress {
        v4: Some("192.0.2.9:9".parse().expect("an address")),
        v6: None,
        cid,
        token: ResetToken([2; 16]),
    };
    let real = Cid::new(b"preferred").expect("short");
    let server = Cid::new(b"attacker").expect("short");
    for (ours, theirs, fine) in [(server, real, true), (Cid::EMPTY, real, false), (server, Cid::EMPTY, false)]
    {
        let mut raw = Raw::half_open_client(TransportConfig::default());
        raw.scid = ours;
        raw.send(Level::Initial, &crypto(0, &plain::message(plain::SERVER_HELLO, b"")));
        let params = TransportParameters {
            initial_scid: Some(ours),
            original_dcid: Some(raw.odcid),
            preferred_address: Some(address(theirs)),
            ..params()
        };
        let mut room = vec![0; 1024];
        let mut w = Writer::new(&mut room);
        params.encode(&mut w, None);
        let mut flight = plain::message(plain::PARAMS, w.written());
        flight.extend(plain::message(plain::FINISHED, b""));
        raw.send(Level::Handshake, &crypto(0, &flight));
        let code = raw.violation().map(|error| error.code);
        assert_eq!(code, (!fine).then_some(Code::TRANSPORT_PARAMETER_ERROR), "{ours:?} {theirs:?}");
    }
}

// MUST 9000-19.21-1
#[test]
fn frames_of_extensions_wait_for_the_peers_consent() {
    let extended = |raw: &mut Raw| {
        for _ in 0..50 {
            let _ = raw.victim().send_datagram(vec![1; 100].into());
            let id = raw.victim().open(Dir::Uni);
            id.map(|id| raw.victim().write_slice(id, &[1; 1000])).transpose().expect("room");
            raw.frames(&[Frame::Ping]);
            raw.pass(Duration::from_millis(20));
        }
        let packets = raw.packets();
        packets.iter().flat_map(|p| p.frames()).filter(|f| f.kind() > frame::kind::HANDSHAKE_DONE).count()
    };
    let none = TransportParameters { max_datagram_frame_size: 0, min_ack_delay: None, ..params() };
    assert_eq!(extended(&mut Raw::server_with(TransportConfig::default(), none)), 0);
    assert!(extended(&mut Raw::server()) > 0, "with consent there are some");
}

// MUST 9000-19.21-2, 9000-19.21-3
#[test]
fn frames_of_extensions_keep_to_the_window_and_are_acknowledged() {
    let mut raw = Raw::server();
    let window = raw.victim().stats().paths[0].cwnd;
    for _ in 0..100 {
        raw.victim().send_datagram(vec![1; 1000].into()).expect("room");
    }
    let before = raw.sent;
    for _ in 0..100 {
        raw.collect();
        raw.pass(Duration::from_micros(500));
    }
    assert!(raw.sent - before <= window + 1200, "{} bytes in a window of {window}", raw.sent - before);
    assert!(raw.sent - before > window / 2, "it is the window that stops them");
    let rhythm = frame::AckFrequency { seq: 0, threshold: 1, max_ack_delay_us: 5000, reordering: 1 };
    let at = frame::ResetStreamAt { id: StreamId(2), code: 0, final_size: 0, reliable_size: 0 };
    for f in
        [Frame::Datagram(b"x"), Frame::AckFrequency(rhythm), Frame::ImmediateAck, Frame::ResetStreamAt(at)]
    {
        let mut raw = Raw::server();
        raw.pass(Duration::from_millis(100));
        raw.packets();
        let pn = raw.pn[Level::OneRtt as usize];
        raw.frames(std::slice::from_ref(&f));
        raw.pass(Duration::from_millis(6));
        let packets = raw.packets();
        let acked = packets.iter().flat_map(|p| p.frames()).any(|frame| match frame {
            Frame::Ack(ack) => ack.ranges().any(|range| range.contains(&pn)),
            _ => false,
        });
        assert!(acked, "{f:?}");
    }
}

// MUST 9000-13.3-4
#[test]
fn losses_shrink_the_window() {
    let mut pair = Pair::default();
    let mut flow = pair::flow::Flow::connect(&mut pair, Side::Client, 20 << 20);
    flow.run_for(&mut pair, Duration::from_millis(150));
    let client = flow.client;
    let window = |connection: &mut Connection| connection.stats().paths[0].cwnd;
    let before = window(pair.client(client));
    let mut left = 3;
    pair.link = Box::new(move |flying| {
        let lost = flying.to == pair::SERVER.parse().expect("an address") && left > 0;
        left -= i32::from(lost);
        !lost
    });
    let mut least = before;
    pair.drive_for(Duration::from_millis(60), |pair| {
        flow.work(pair);
        least = least.min(window(pair.client(client)));
        false
    });
    assert!(least < before, "{before} to {least}");
    assert!(pair.client(client).stats().counters.packets_lost >= 1);
}
