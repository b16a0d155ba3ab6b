//! Every frame there and back, the examples of the multipath draft's layouts, and every way to be wrong.

use proptest::prelude::*;

use super::*;
use crate::frame::{
    Ack, AckFrequency, Close, Crypto, DecodeError, Frames, NewConnectionId, PacketKind, PathStatus,
    ResetStream, ResetStreamAt, RetireConnectionId, StopSending, Stream, Wrong, ack_max_len, encode_ack,
    encode_stream_header, kind, stream_header_len,
};
use crate::{Cid, Dir, EcnCounts, Frame, PathId, Reader, ResetToken, StreamId, VARINT_MAX, Writer};

/// How many shapes [`frame`] makes.
const SHAPES: u8 = 38;

/// The `shape`-th kind of frame, of these numbers (below 2^62) and bytes (at least 20).
fn frame(shape: u8, n: [u64; 4], data: &[u8]) -> Frame<'_> {
    let (a, b, c, d) = (n[0], n[1], n[2], n[3]);
    let (id, path) = (StreamId(a), PathId(b as u32));
    let new_cid = |path| {
        let cid = Cid::new(&data[..1 + (d % 20) as usize]).expect("1 to 20 bytes");
        let token = ResetToken(*data.first_chunk().expect("20 bytes"));
        Frame::NewConnectionId(NewConnectionId { path, seq: a.max(c), retire_prior_to: a.min(c), cid, token })
    };
    let stream = |offset: u64, fin| {
        Frame::Stream(Stream { id, offset: offset.min(VARINT_MAX - data.len() as u64), fin, data })
    };
    let (offset, few) = (c.min(VARINT_MAX - data.len() as u64), d.min(1 << 60));
    match shape {
        0 => Frame::Padding(1 + (a % 100) as usize),
        1 => Frame::Ping,
        2 => Frame::ResetStream(ResetStream { id, code: b, final_size: c }),
        3 => Frame::StopSending(StopSending { id, code: b }),
        4 => Frame::Crypto(Crypto { offset, data }),
        5 => Frame::NewToken(data),
        6 => stream(0, false),
        7 => stream(0, true),
        8 => stream(c, false),
        9 => stream(c, true),
        10 => Frame::MaxData(a),
        11 => Frame::MaxStreamData(id, b),
        12 => Frame::MaxStreams(Dir::Bi, few),
        13 => Frame::MaxStreams(Dir::Uni, few),
        14 => Frame::DataBlocked(a),
        15 => Frame::StreamDataBlocked(id, b),
        16 => Frame::StreamsBlocked(Dir::Bi, few),
        17 => Frame::StreamsBlocked(Dir::Uni, few),
        18 => new_cid(None),
        19 => new_cid(Some(path)),
        20 => Frame::RetireConnectionId(RetireConnectionId { path: None, seq: a }),
        21 => Frame::RetireConnectionId(RetireConnectionId { path: Some(path), seq: a }),
        22 => Frame::PathChallenge(a.to_be_bytes()),
        23 => Frame::PathResponse(b.to_be_bytes()),
        24 => Frame::Close(Close { code: a, frame_type: Some(b), reason: data }),
        25 => Frame::Close(Close { code: a, frame_type: None, reason: data }),
        26 => Frame::HandshakeDone,
        27 => {
            Frame::ResetStreamAt(ResetStreamAt { id, code: b, final_size: c.max(d), reliable_size: c.min(d) })
        }
        28 => Frame::Datagram(data),
        29 => Frame::ImmediateAck,
        30 => Frame::AckFrequency(AckFrequency { seq: a, threshold: b, max_ack_delay_us: c, reordering: d }),
        31 => Frame::PathAbandon(path, a),
        32 => Frame::PathStatus(PathStatus { path, backup: true, seq: a }),
        33 => Frame::PathStatus(PathStatus { path, backup: false, seq: a }),
        34 => Frame::MaxPathId(path),
        35 => Frame::PathsBlocked(path),
        36 => Frame::PathCidsBlocked(path, a),
        _ => Frame::Datagram(&[]),
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut room = vec![0; frame.encoded_len()];
    let mut w = Writer::new(&mut room);
    frame.encode(&mut w);
    assert_eq!(w.remaining(), 0, "encoded_len is exact: {frame:?}");
    room
}

/// The one frame in `wire`.
fn decoded(wire: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let mut frames = Frames::new(wire);
    let first = frames.next().expect("a frame");
    if first.is_ok() {
        assert_eq!(frames.position(), wire.len(), "all is read");
    }
    assert!(frames.next().is_none(), "nothing after it");
    first
}

fn number() -> impl Strategy<Value = u64> {
    (0..=VARINT_MAX, 0..62u32).prop_map(|(value, shift)| value >> shift)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_frame_round_trips_and_no_prefix_of_it_decodes(
        shape in 0..SHAPES, n in [number(), number(), number(), number()],
        data in prop::collection::vec(any::<u8>(), 20..90),
    ) {
        let frame = frame(shape, n, &data);
        let wire = encoded(&frame);
        prop_assert_eq!(decoded(&wire), Ok(frame.clone()));
        if matches!(frame, Frame::Padding(_)) {
            return Ok(());
        }
        for cut in 1..wire.len() {
            let error = decoded(&wire[..cut]).expect_err("cut off");
            prop_assert_eq!(error.wrong, Wrong::Truncated);
        }
    }

    #[test]
    fn frames_follow_each_other(
        shapes in prop::collection::vec((0..SHAPES, [number(), number(), number(), number()]), 1..8),
        data in prop::collection::vec(1..=255u8, 20..40),
    ) {
        let frames: Vec<_> = shapes.iter().map(|(shape, n)| frame(*shape, *n, &data)).collect();
        let wire = frames.iter().map(encoded).collect::<Vec<_>>().concat();
        let mut sent = Vec::new();
        for frame in frames {
            // padding next to padding is one run
            match (sent.last_mut(), &frame) {
                (Some(Frame::Padding(run)), Frame::Padding(more)) => *run += more,
                _ => sent.push(frame),
            }
        }
        let read: Result<Vec<_>, _> = Frames::new(&wire).collect();
        prop_assert_eq!(read, Ok(sent));
    }

    // MUST 9000-19.3-1
    #[test]
    fn acks_round_trip(
        gaps in prop::collection::vec((0u64..300, 0u64..300), 1..40), base in 0..1u64 << 61, delay in number(),
        path in any::<Option<u32>>(), ecn in any::<Option<(u32, u32, u32)>>(), short in 0..200usize,
    ) {
        let mut ranges = Vec::new();
        let mut next = base;
        for (gap, len) in gaps {
            ranges.push(next + gap..next + gap + len + 1);
            // one number at least is missing between two ranges
            next += gap + len + 2;
        }
        let path = path.map(PathId);
        let ecn = ecn.map(|(ect0, ect1, ce)| EcnCounts { ect0: ect0.into(), ect1: ect1.into(), ce: ce.into() });
        let room = ack_max_len(ranges.len()).saturating_sub(short);
        let mut room = vec![0; room];
        let mut w = Writer::new(&mut room);
        let count = encode_ack(&mut w, path, ranges.iter().cloned(), delay, ecn);
        let wire = w.written().to_vec();
        if short == 0 {
            prop_assert_eq!(count, ranges.len());
        }
        if count == 0 {
            prop_assert!(wire.is_empty());
            return Ok(());
        }
        let Ok(Frame::Ack(ack)) = decoded(&wire) else { panic!("no ACK") };
        prop_assert_eq!((ack.path, ack.delay, ack.ecn), (path, delay, ecn));
        let read: Vec<_> = ack.ranges().map(|range| *range.start()..range.end() + 1).collect();
        let highest: Vec<_> = ranges.iter().rev().take(count).cloned().collect();
        prop_assert_eq!(read, highest);
        prop_assert_eq!(encoded(&Frame::Ack(ack)), wire);
    }
}

#[test]
fn multipath_frames_look_like_the_draft() {
    let ack = |path, first: u64, end: u64, ecn| {
        let mut room = [0; 64];
        let mut w = Writer::new(&mut room);
        assert_eq!(encode_ack(&mut w, Some(PathId(path)), core::iter::once(first..end), 0, ecn), 1);
        w.written().to_vec()
    };
    assert_eq!(ack(1, 3, 6, None), bytes("3e 01 05 00 00 02"));
    assert_eq!(
        ack(0, 0, 1, Some(EcnCounts { ect0: 1, ect1: 0, ce: 0 })),
        bytes("3f 00 00 00 00 00 01 00 00")
    );
    let (cid, token) = (Cid::new(&[0xc1; 8]).unwrap(), ResetToken([0x70; 16]));
    let new_cid = NewConnectionId { path: Some(PathId(2)), seq: 0, retire_prior_to: 0, cid, token };
    let new_cid_wire = format!("7e78 02 00 00 08 {} {}", "c1".repeat(8), "70".repeat(16));
    for (frame, wire) in [
        (Frame::PathAbandon(PathId(1), 0x3e), "7e75 01 3e"),
        (Frame::PathAbandon(PathId(3), 0x3e76), "7e75 03 7e76"),
        (Frame::PathStatus(PathStatus { path: PathId(1), backup: true, seq: 0 }), "7e76 01 00"),
        (Frame::PathStatus(PathStatus { path: PathId(1), backup: false, seq: 1 }), "7e77 01 01"),
        (Frame::NewConnectionId(new_cid), &new_cid_wire),
        (Frame::RetireConnectionId(RetireConnectionId { path: Some(PathId(2)), seq: 0 }), "7e79 02 00"),
        (Frame::MaxPathId(PathId(7)), "7e7a 07"),
        (Frame::PathsBlocked(PathId(2)), "7e7b 02"),
        (Frame::PathCidsBlocked(PathId(3), 0), "7e7c 03 00"),
    ] {
        assert_eq!(encoded(&frame), bytes(wire));
        assert_eq!(decoded(&bytes(wire)), Ok(frame));
    }
}

// MUST 9000-4.6-1, 9000-19.3.1-1, 9000-19.6-1, 9000-19.7-2, 9000-19.8-2, 9000-19.11-1, 9000-19.14-1
// MUST 9000-19.15-1, 9000-19.15-6
#[test]
fn every_field_that_cannot_be_is_named() {
    let max = "ffffffffffffffff";
    let above = "d000000000000001";
    for (wire, why) in [
        (format!("0c 00 {max} 61"), "stream longer than 2^62-1"),
        (format!("06 {max} 01 61"), "crypto stream longer than 2^62-1"),
        ("07 00".into(), "empty token"),
        (format!("12 {above}"), "more than 2^60 streams"),
        (format!("13 {above}"), "more than 2^60 streams"),
        (format!("16 {above}"), "more than 2^60 streams"),
        (format!("17 {above}"), "more than 2^60 streams"),
        ("24 00 00 05 06".into(), "reliable size above final size"),
        ("18 00 01 08".into(), "retire prior to above sequence number"),
        ("18 00 00 00".into(), "connection id not of 1 to 20 bytes"),
        ("18 00 00 15".into(), "connection id not of 1 to 20 bytes"),
        ("7e78 00 00 00 ff".into(), "connection id not of 1 to 20 bytes"),
        ("02 05 00 00 06".into(), "first range below zero"),
        ("02 05 00 01 00 04 00".into(), "range below zero"),
        ("02 05 00 01 00 03 01".into(), "range below zero"),
    ] {
        let wire = bytes(&wire);
        let error = decoded(&wire).expect_err("refused");
        assert_eq!(error.wrong, Wrong::Field(why), "{wire:02x?}");
        assert_eq!(error.wrong.reason(), why);
        assert_eq!(Reader::new(&wire).varint(), Ok(error.frame_type));
    }
}

// MUST mp21-4-3, mp21-4.6-3, mp21-4.7-1
#[test]
fn a_path_id_that_no_path_can_have_is_named_in_every_frame() {
    let path = "c000000100000000";
    for (kind, rest) in [
        ("3e", "05 00 00 02"),
        ("3f", "05 00 00 02 00 00 00"),
        ("7e75", "00"),
        ("7e76", "00"),
        ("7e77", "00"),
        ("7e78", "00 00 08"),
        ("7e79", "00"),
        ("7e7a", ""),
        ("7e7b", ""),
        ("7e7c", "00"),
    ] {
        let error = decoded(&bytes(&format!("{kind} {path} {rest}"))).expect_err("refused");
        assert_eq!(error.wrong, Wrong::PathId, "{kind}");
        assert_eq!(error.wrong.reason(), "path id above 2^32-1");
    }
}

#[test]
fn the_largest_values_that_can_be_are_accepted() {
    let max = "ffffffffffffffff";
    for wire in [
        format!("0c 00 {max}"),
        format!("0e 00 {max} 00"),
        "12 d000000000000000".into(),
        "24 00 00 05 05".into(),
        "02 05 00 01 00 03 00".into(),
        "7e7a c0000000ffffffff".into(),
    ] {
        decoded(&bytes(&wire)).expect("just possible");
    }
}

// MUST 9000-12.4-4, 9000-12.4-5
#[test]
fn types_are_known_and_in_their_shortest_form() {
    for unknown in ["20", "23", "2f", "32", "3d", "4040", "40ae", "7e74", "7e7d", "8000ffff"] {
        assert_eq!(decoded(&bytes(unknown)).expect_err("unknown").wrong, Wrong::UnknownType, "{unknown}");
    }
    for long in ["4001", "80000001", "c000000000000001", "4000", "80003e75"] {
        assert_eq!(decoded(&bytes(long)).expect_err("long").wrong, Wrong::LongType, "{long}");
    }
    assert_eq!(decoded(&[0x40]).expect_err("cut"), DecodeError { frame_type: 0, wrong: Wrong::Truncated });
    for wrong in [Wrong::Truncated, Wrong::UnknownType, Wrong::LongType] {
        assert!(!wrong.reason().is_empty());
    }
}

#[test]
fn stream_and_datagram_frames_may_run_to_the_end() {
    let data = b"to the end";
    let mut room = [0; 64];
    let mut w = Writer::new(&mut room);
    encode_stream_header(&mut w, StreamId(4), 70, None, true);
    assert_eq!(w.len(), stream_header_len(StreamId(4), 70, None));
    w.slice(data);
    let stream = Stream { id: StreamId(4), offset: 70, fin: true, data };
    assert_eq!(decoded(w.written()), Ok(Frame::Stream(stream)));
    assert_eq!(decoded(&[&[0x30], &data[..]].concat()), Ok(Frame::Datagram(data)));
}

#[test]
fn an_ack_without_room_writes_nothing() {
    for room in 0..8 {
        let mut room = vec![0; room];
        let mut w = Writer::new(&mut room);
        let count = encode_ack(&mut w, None, core::iter::once(1000..2000), 5, None);
        assert_eq!((count, w.len()), (0, 0));
    }
    let mut w = Writer::new(&mut []);
    assert_eq!(encode_ack(&mut w, None, core::iter::empty(), 0, None), 0);
}

// MUST 9000-12.4-3
#[test]
fn frames_are_allowed_where_rfc_9000_table_3_says() {
    use PacketKind::{Handshake, Initial, OneRtt, ZeroRtt};
    let data = [1; 20];
    let everywhere = [true; 4];
    let (no_early, app, late) =
        ([true, true, false, true], [false, false, true, true], [false, false, false, true]);
    for shape in 0..SHAPES {
        let frame = frame(shape, [1; 4], &data);
        let expected = match frame.kind() {
            kind::PADDING | kind::PING | kind::CLOSE_TRANSPORT => everywhere,
            kind::CRYPTO => no_early,
            kind::NEW_TOKEN
            | kind::PATH_RESPONSE
            | kind::RETIRE_CONNECTION_ID
            | kind::HANDSHAKE_DONE
            | kind::IMMEDIATE_ACK
            | kind::ACK_FREQUENCY => late,
            multipath if multipath >= kind::PATH_ABANDON => late,
            _ => app,
        };
        let got = [Initial, Handshake, ZeroRtt, OneRtt].map(|packet| frame.allowed_in(packet));
        assert_eq!(got, expected, "{frame:?}");
    }
    for (wire, expected) in [("02 05 00 00 02", no_early), ("3e 01 05 00 00 02", late)] {
        let wire = bytes(wire);
        let ack = decoded(&wire).expect("an ACK");
        assert_eq!([Initial, Handshake, ZeroRtt, OneRtt].map(|packet| ack.allowed_in(packet)), expected);
    }
}

// MUST 9000-19.21-3
#[test]
fn few_frames_are_probing_and_few_ask_for_no_ack() {
    let data = [1; 20];
    for shape in 0..SHAPES {
        let frame = frame(shape, [1; 4], &data);
        let probing = [kind::PADDING, kind::PATH_CHALLENGE, kind::PATH_RESPONSE, kind::NEW_CONNECTION_ID];
        assert_eq!(frame.is_probing(), probing.contains(&frame.kind()), "{frame:?}");
        let silent = [kind::PADDING, kind::CLOSE_TRANSPORT, kind::CLOSE_APPLICATION];
        assert_eq!(frame.is_ack_eliciting(), !silent.contains(&frame.kind()), "{frame:?}");
    }
    let wire = bytes("02 05 00 00 02");
    let ack = decoded(&wire).expect("an ACK");
    assert!(!ack.is_ack_eliciting() && !ack.is_probing());
}

/// What an ACK says is consistent, whatever its bytes.
fn check_ack(ack: &Ack<'_>) {
    let mut below = ack.largest + 1;
    for range in ack.ranges() {
        assert!(*range.end() < below && range.start() <= range.end());
        // at least one number is missing before the next range
        below = range.start().saturating_sub(1);
    }
}

#[test]
fn no_bytes_make_decoding_panic_and_what_decodes_encodes_the_same() {
    const TYPES: [u64; 19] = [
        0x02, 0x03, 0x06, 0x0e, 0x18, 0x1c, 0x24, 0x31, 0x3e, 0x3f, 0xaf, 0x3e75, 0x3e76, 0x3e77, 0x3e78,
        0x3e79, 0x3e7a, 0x3e7b, 0x3e7c,
    ];
    let mut random = Random(9000);
    let mut frames_seen = 0;
    for _ in 0..100_000 {
        let mut wire = vec![0; 8];
        let mut w = Writer::new(&mut wire);
        if random.below(2) == 0 {
            w.varint(TYPES[random.below(TYPES.len())]);
        }
        let typed = w.len();
        wire.truncate(typed);
        let len = random.below(70);
        wire.extend(random.bytes(len));
        let mut frames = Frames::new(&wire);
        while let Some(frame) = frames.next() {
            assert!(frames.position() <= wire.len());
            let Ok(frame) = frame else { break };
            frames_seen += 1;
            if let Frame::Ack(ack) = &frame {
                check_ack(ack);
            }
            assert_eq!(decoded(&encoded(&frame)), Ok(frame));
        }
        assert!(frames.count() == 0, "nothing follows an error");
    }
    assert!(frames_seen > 50_000, "{frames_seen}");
}
