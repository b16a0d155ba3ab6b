//! A peer that breaks rules in frames: each is answered with the right code and the frame to blame, and what it may
//! make us keep or send is bounded.

mod pair;

use pair::raw::{Raw, Tweak, bytes, crypto, params};
use tq_quic::handshake::Level;
use tq_quic::time::Duration;
use tq_quic::wire::frame::{AckFrequency, NewConnectionId, RetireConnectionId, kind};
use tq_quic::wire::{Cid, Code, Frame, ResetToken, TransportParameters};
use tq_quic::{Event, TransportConfig};

/// Whether the victim closed with this code, blaming this frame, and told us so.
fn assert_closed(raw: &mut Raw, code: Code, frame: u64) {
    let error = raw.violation().unwrap_or_else(|| panic!("{code:?} for frame {frame:#x} did not happen"));
    assert_eq!((error.code, error.frame), (code, frame), "{error}");
    assert!(!error.reason.is_empty());
    let (sent, blamed, reason) = raw.close_sent().expect("a CONNECTION_CLOSE");
    assert_eq!((sent, blamed), (code.0, Some(frame)));
    assert_eq!(reason, error.reason.as_bytes());
}

fn new_cid(seq: u64, retire_prior_to: u64, name: u64) -> Frame<'static> {
    let cid = Cid::new(&name.to_be_bytes()).expect("eight bytes");
    let mut token = [0; 16];
    token[..8].copy_from_slice(&name.to_be_bytes());
    Frame::NewConnectionId(NewConnectionId {
        path: None,
        seq,
        retire_prior_to,
        cid,
        token: ResetToken(token),
    })
}

#[test]
fn connection_ids_that_retire_each_other_do_not_pile_up() {
    let mut raw = Raw::server();
    let mut taken = 0;
    for seq in 1..60_000 {
        raw.frames(&[new_cid(seq, seq, seq)]);
        if raw.violation().is_some() {
            break;
        }
        taken += 1;
    }
    assert!(taken <= 65, "{taken} retirements were owed at once");
    assert_closed(&mut raw, Code::CONNECTION_ID_LIMIT_ERROR, kind::NEW_CONNECTION_ID);
}

#[test]
fn connection_ids_may_retire_each_other_for_ever_if_the_peer_acknowledges() {
    let mut raw = Raw::server();
    for seq in 1..500 {
        raw.frames(&[new_cid(seq, seq, seq)]);
        raw.pass(Duration::from_millis(10));
        for packet in raw.packets() {
            if packet.frames().iter().any(|frame| !matches!(frame, Frame::Ack(_) | Frame::Padding(_))) {
                let ack = Raw::ack_one(packet.pn);
                raw.send(Level::OneRtt, &ack);
            }
        }
        assert_eq!(raw.violation(), None, "at {seq}");
    }
}

// MUST 9000-5.1.1-4
#[test]
fn more_connection_ids_than_allowed_are_an_error() {
    let mut raw = Raw::server();
    for seq in 1..8 {
        raw.frames(&[new_cid(seq, 0, seq)]);
        assert_eq!(raw.violation(), None);
    }
    raw.frames(&[new_cid(8, 0, 8)]);
    assert_closed(&mut raw, Code::CONNECTION_ID_LIMIT_ERROR, kind::NEW_CONNECTION_ID);
}

// MUST 9000-19.15-4
#[test]
fn connection_ids_must_not_contradict_each_other() {
    let cases: [[Frame<'_>; 2]; 3] =
        [[new_cid(1, 0, 5), new_cid(1, 0, 6)], [new_cid(1, 0, 5), new_cid(2, 0, 5)], {
            let mut other = new_cid(1, 0, 5);
            if let Frame::NewConnectionId(f) = &mut other {
                f.token = ResetToken([9; 16]);
            }
            [new_cid(1, 0, 5), other]
        }];
    for case in cases {
        let mut raw = Raw::server();
        raw.frames(&[case[0].clone(), case[0].clone()]);
        assert_eq!(raw.violation(), None, "a repetition is none");
        raw.frames(&case[1..]);
        assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::NEW_CONNECTION_ID);
    }
}

#[test]
fn retired_ids_are_replaced_but_not_without_end() {
    let mut raw = Raw::server();
    let mut issued = 0;
    for seq in 1..1000 {
        raw.frames(&[Frame::RetireConnectionId(RetireConnectionId { path: None, seq })]);
        if raw.violation().is_some() {
            break;
        }
        for packet in raw.packets() {
            issued += packet.frames().iter().filter(|f| matches!(f, Frame::NewConnectionId(_))).count();
        }
    }
    assert!((60..=90).contains(&issued), "{issued} ids were made for a peer that uses none");
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::RETIRE_CONNECTION_ID);
}

// MUST 9000-19.16-1
#[test]
fn an_id_that_was_not_issued_or_carries_the_frame_cannot_be_retired() {
    for seq in [0, 50, 1 << 40] {
        let mut raw = Raw::server();
        raw.frames(&[Frame::RetireConnectionId(RetireConnectionId { path: None, seq })]);
        assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::RETIRE_CONNECTION_ID);
    }
}

#[test]
fn a_flood_of_challenges_costs_no_memory_and_no_more_than_it_brings() {
    let mut raw = Raw::server();
    raw.pass(Duration::from_millis(500));
    raw.datagrams.clear();
    let (received, sent) = (raw.received, raw.sent);
    raw.frames(&[Frame::PathChallenge([1; 8]), Frame::Padding(1170)]);
    for n in 0..20_000u64 {
        raw.frames(&[Frame::PathChallenge(n.to_be_bytes())]);
    }
    assert_eq!(raw.violation(), None);
    assert!(
        raw.sent - sent <= raw.received - received,
        "{} for {}",
        raw.sent - sent,
        raw.received - received
    );
    assert!(raw.packets().iter().any(|packet| packet.datagram >= 1200), "honest ones are expanded");
}

#[test]
fn many_challenges_in_a_batch_are_answered_up_to_sixteen() {
    let mut raw = Raw::server();
    raw.datagrams.clear();
    let frames: Vec<Frame<'_>> = (0..100u64).map(|n| Frame::PathChallenge(n.to_be_bytes())).collect();
    raw.frames(&frames);
    let mut answers = Vec::new();
    for packet in raw.packets() {
        for frame in packet.frames() {
            if let Frame::PathResponse(data) = frame {
                answers.push(u64::from_be_bytes(data));
            }
        }
    }
    assert_eq!(answers, (84..100).collect::<Vec<_>>(), "the newest");
}

#[test]
fn an_ack_of_what_was_not_sent_is_an_error() {
    for largest in [1 << 20, (1 << 62) - 2] {
        let mut raw = Raw::server();
        raw.send(Level::OneRtt, &Raw::ack_one(largest));
        assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::ACK);
    }
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.send(Level::Handshake, &Raw::ack_one(70));
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::ACK);
}

#[test]
fn an_ack_of_a_skipped_number_is_an_error() {
    let mut raw = Raw::server();
    let mut seen = Vec::new();
    let mut skipped = None;
    for n in 0..100_000u64 {
        raw.frames(&[Frame::Ping]);
        raw.pass(Duration::from_millis(6));
        for packet in raw.packets() {
            if packet.level == Level::OneRtt {
                seen.push(packet.pn);
            }
        }
        skipped = seen.windows(2).find(|pair| pair[1] > pair[0] + 1).map(|pair| pair[0] + 1);
        // honest acknowledgements meanwhile
        let last = *seen.last().expect("answers");
        raw.send(Level::OneRtt, &Raw::ack_one(last));
        assert_eq!(raw.violation(), None, "after {n}");
        if skipped.is_some() {
            break;
        }
    }
    let pn = skipped.expect("numbers are skipped now and then");
    raw.send(Level::OneRtt, &Raw::ack_one(pn));
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::ACK);
}

#[test]
fn an_ack_of_very_many_ranges_is_walked_once_and_holds_nothing() {
    let mut raw = Raw::server();
    // every second number from far above what was sent: refused by its first
    let ranges: Vec<_> = (0..3000).map(|n| 2 * n + 1..2 * n + 2).collect();
    raw.send(Level::OneRtt, &Raw::ack(&ranges));
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::ACK);
}

#[test]
fn every_other_number_leaves_few_ranges_in_our_acks() {
    let mut raw = Raw::server();
    for n in 0..32_000u64 {
        let packet = raw.packet(Level::OneRtt, &[1], Tweak { pn: Some(100 + 2 * n), ..Tweak::default() });
        raw.deliver(packet);
    }
    assert_eq!(raw.violation(), None);
    let packets = raw.packets();
    let frames = packets.last().expect("ACKs").frames();
    let Frame::Ack(ack) = &frames[0] else { panic!("{frames:?}") };
    assert!(ack.ranges().count() <= 64, "{} ranges", ack.ranges().count());
}

// MUST 9000-7.5-2
#[test]
fn crypto_beyond_64_kib_is_refused_at_every_level() {
    for level in [Level::Initial, Level::Handshake, Level::OneRtt] {
        let mut raw = match level {
            Level::OneRtt => Raw::server(),
            _ => Raw::half_open_server(TransportConfig::default(), params()),
        };
        raw.send(level, &crypto((1 << 16) + 4096, b"x"));
        assert_closed(&mut raw, Code::CRYPTO_BUFFER_EXCEEDED, kind::CRYPTO);
    }
}

#[test]
fn crypto_in_very_many_pieces_is_refused() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    let mut pieces = 0;
    for n in 0..5000u64 {
        raw.send(Level::Handshake, &crypto(10 + 2 * n, b"x"));
        if raw.violation().is_some() {
            break;
        }
        pieces += 1;
    }
    assert!((1000..=1024).contains(&pieces), "{pieces}");
    assert_closed(&mut raw, Code::CRYPTO_BUFFER_EXCEEDED, kind::CRYPTO);
}

// MUST 9001-6-2
#[test]
fn handshake_messages_where_none_belong_are_a_crypto_error() {
    let mut raw = Raw::server();
    // KeyUpdate of TLS, which QUIC does not have
    raw.send(Level::OneRtt, &crypto(0, &[24, 0, 0, 1, 0]));
    assert_closed(&mut raw, Code::crypto(10), kind::CRYPTO);
}

// MUST 9000-12.4-4, 9000-12.4-5
#[test]
fn unknown_frames_cut_frames_and_long_types_are_encoding_errors() {
    let cases: [(&[u8], Code, u64); 9] = [
        (&[0x21], Code::FRAME_ENCODING_ERROR, 0x21),
        (&[0x7f, 0xff], Code::FRAME_ENCODING_ERROR, 0x3fff),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Code::FRAME_ENCODING_ERROR, (1 << 62) - 1),
        (&[0x40, 0x01], Code::PROTOCOL_VIOLATION, 0x01),
        (&[0x80, 0x00, 0x00, 0x01], Code::PROTOCOL_VIOLATION, 0x01),
        (&[0x04, 0x00], Code::FRAME_ENCODING_ERROR, 0x04),
        (&[0x06, 0x00, 0x40], Code::FRAME_ENCODING_ERROR, 0x06),
        (&[0x1a, 1, 2, 3], Code::FRAME_ENCODING_ERROR, 0x1a),
        (&[0x18, 1, 2, 8, 0, 0, 0, 0, 0, 0, 0, 0], Code::FRAME_ENCODING_ERROR, 0x18),
    ];
    for (payload, code, frame) in cases {
        let mut raw = Raw::server();
        raw.send(Level::OneRtt, payload);
        assert_closed(&mut raw, code, frame);
    }
    let mut raw = Raw::server();
    raw.send(Level::OneRtt, &[0x7f]);
    assert_eq!(raw.violation().map(|error| error.code), Some(Code::FRAME_ENCODING_ERROR));
}

#[test]
fn datagrams_are_refused_by_who_does_not_take_them() {
    let mut config = TransportConfig::default();
    config.datagram_receive_buffer = 0;
    let mut raw = Raw::server_with(config, params());
    raw.frames(&[Frame::Datagram(b"hello")]);
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::DATAGRAM);
}

// MUST 9000-19.20-2
#[test]
fn a_client_must_not_confirm_the_handshake() {
    let mut raw = Raw::server();
    raw.frames(&[Frame::HandshakeDone]);
    assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::HANDSHAKE_DONE);
}

#[test]
fn multipath_frames_need_multipath() {
    use tq_quic::wire::PathId;
    let frames = [
        Frame::PathAbandon(PathId(1), 0),
        Frame::MaxPathId(PathId(4)),
        Frame::PathsBlocked(PathId(4)),
        Frame::PathCidsBlocked(PathId(0), 1),
        Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(0)), seq: 1 }),
    ];
    for frame in frames {
        let mut raw = Raw::server();
        raw.frames(std::slice::from_ref(&frame));
        assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, frame.kind());
    }
}

#[test]
fn an_ack_rhythm_faster_or_slower_than_possible_is_an_error() {
    for max_ack_delay_us in [999, (1 << 14) * 1000] {
        let mut raw = Raw::server();
        let f = AckFrequency { seq: 0, threshold: 10, max_ack_delay_us, reordering: 1 };
        raw.frames(&[Frame::AckFrequency(f)]);
        assert_closed(&mut raw, Code::PROTOCOL_VIOLATION, kind::ACK_FREQUENCY);
    }
}

#[test]
fn two_key_updates_in_a_row_are_an_error() {
    let mut raw = Raw::server();
    let update = |raw: &mut Raw, generation| {
        let packet = raw.packet(Level::OneRtt, &[1], Tweak { generation, ..Tweak::default() });
        raw.deliver(packet);
    };
    // answered at once with the new keys, but that answer carries our ACK: the next update is in order
    update(&mut raw, 1);
    raw.pass(Duration::from_millis(10));
    update(&mut raw, 2);
    assert_eq!(raw.violation(), None);
    // no ACK in between: the victim has not answered with the keys of the second update
    update(&mut raw, 3);
    raw.victim_generation = 3;
    let error = raw.violation().expect("too early");
    assert_eq!(error.code, Code::KEY_UPDATE_ERROR);
}

#[test]
fn a_peer_that_only_receives_acks_may_update_keys_again_and_again() {
    let mut raw = Raw::server();
    for generation in 1..20 {
        for _ in 0..3 {
            let packet = raw.packet(Level::OneRtt, &[1], Tweak { generation, ..Tweak::default() });
            raw.deliver(packet);
            raw.pass(Duration::from_millis(10));
        }
        assert_eq!(raw.violation(), None, "update {generation}");
    }
}

// MUST 9000-7.4-1, 9000-18.2-7
#[test]
fn transport_parameters_that_cannot_be_close_the_handshake() {
    let bad: [TransportParameters; 3] = [
        TransportParameters { active_cid_limit: 1, ..params() },
        TransportParameters { max_udp_payload_size: 1199, ..params() },
        TransportParameters { ack_delay_exponent: 21, ..params() },
    ];
    for params in bad {
        let raw = Raw::half_open_server(TransportConfig::default(), params);
        let error = raw.violation().expect("refused");
        assert_eq!(error.code, Code::TRANSPORT_PARAMETER_ERROR, "{error}");
    }
}

// MUST 9000-10.2.2-1, 9000-10.2.2-2
#[test]
fn a_close_in_the_first_packets_ends_the_attempt_quietly() {
    let mut raw = Raw::half_open_server(TransportConfig::default(), params());
    raw.datagrams.clear();
    let close = tq_quic::wire::frame::Close { code: 1, frame_type: Some(0), reason: b"" };
    raw.send(Level::Handshake, &bytes(&[Frame::Close(close)]));
    assert!(raw.victim.events.iter().any(|(_, event)| matches!(event, Event::Closed(_))));
    raw.pass(Duration::from_secs(10));
    assert!(raw.datagrams.is_empty(), "drained without a word");
    assert_eq!(raw.victim.endpoint.connections(), 0);
    assert_eq!(raw.victim.endpoint.half_open(), 0);
}
