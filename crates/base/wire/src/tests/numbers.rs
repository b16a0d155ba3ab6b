//! Varints and packet numbers against RFC 9000 appendix A.

use proptest::prelude::*;

use super::*;
use crate::{Reader, UnexpectedEnd, VARINT_MAX, Writer, packet_number, varint_len};

fn encoded(value: u64) -> Vec<u8> {
    let mut room = [0; 8];
    let mut w = Writer::new(&mut room);
    w.varint(value);
    w.written().to_vec()
}

#[test]
fn varints_are_read_and_written_as_in_rfc_9000() {
    let vectors = vectors("varint.json");
    for row in rows(&vectors, "decode") {
        let (wire, value) = (bytes(row["hex"].as_str().unwrap()), row["value"].as_u64().unwrap());
        let mut r = Reader::new(&wire);
        assert_eq!(r.varint(), Ok(value));
        assert!(r.is_empty());
        if row["minimal"].as_bool().unwrap() {
            assert_eq!(encoded(value), wire);
            assert_eq!(varint_len(value), wire.len());
        } else {
            assert!(encoded(value).len() < wire.len());
        }
    }
    for row in rows(&vectors, "must_fail") {
        let wire = bytes(row["hex"].as_str().unwrap());
        let mut r = Reader::new(&wire);
        assert_eq!(r.varint(), Err(UnexpectedEnd), "{row}");
        assert_eq!(r.position(), 0, "a failed read does not move");
    }
    for row in rows(&vectors, "encode_must_fail") {
        assert!(row.as_u64().unwrap() > VARINT_MAX);
    }
}

#[test]
#[should_panic(expected = "value <= VARINT_MAX")]
#[cfg(debug_assertions)]
fn a_number_too_large_for_a_varint_is_a_bug_of_ours() {
    encoded(VARINT_MAX + 1);
}

// MUST 9000-17.1-2
#[test]
fn packet_numbers_are_those_of_rfc_9000() {
    let vectors = vectors("packet_number.json");
    for row in rows(&vectors, "encode") {
        let (pn, acked) = (row["full_pn"].as_u64().unwrap(), row["largest_acked"].as_u64());
        assert_eq!(packet_number::encoded_len(pn, acked) as u64, row["bytes"].as_u64().unwrap(), "{row}");
    }
    for row in rows(&vectors, "decode") {
        let (largest, truncated) = (row["largest_pn"].as_u64().unwrap(), row["truncated"].as_u64().unwrap());
        let len = row["bits"].as_u64().unwrap() as usize / 8;
        let full = packet_number::decode(truncated as u32, len, largest + 1);
        assert_eq!(full, row["full"].as_u64().unwrap(), "{row}");
    }
}

// MUST 9000-17.1-1
#[test]
fn the_first_packet_numbers_need_one_byte() {
    assert_eq!(packet_number::encoded_len(0, None), 1);
    assert_eq!(packet_number::encoded_len(126, None), 1);
    assert_eq!(packet_number::encoded_len(127, None), 2);
    assert_eq!(packet_number::encoded_len(VARINT_MAX, None), 4);
    assert_eq!(packet_number::encoded_len(5, Some(9)), 1);
    assert_eq!(packet_number::decode(0, 1, 0), 0);
}

proptest! {
    // MUST 9000-12.4-5
    #[test]
    fn varints_round_trip(value in 0..=VARINT_MAX, shift in 0..62u32) {
        let value = value >> shift;
        let wire = encoded(value);
        prop_assert_eq!(wire.len(), varint_len(value));
        prop_assert_eq!(Reader::new(&wire).varint(), Ok(value));
    }

    // MUST 9000-17.1-2
    #[test]
    fn a_truncated_number_is_the_right_one_for_any_receiver_past_the_last_ack(
        acked in 0..VARINT_MAX - (1 << 23), ahead in 1u64..1 << 23, shift in 0..23u32, seen in any::<u64>()
    ) {
        let ahead = (ahead >> shift).max(1);
        let pn = acked + ahead;
        let len = packet_number::encoded_len(pn, Some(acked));
        let truncated = (pn & ((1 << (8 * len)) - 1)) as u32;
        // the receiver has seen something between what it acknowledged and this packet
        let largest = acked + seen % ahead;
        prop_assert_eq!(packet_number::decode(truncated, len, largest + 1), pn);
    }

    #[test]
    fn no_truncated_number_leaves_the_range(truncated in any::<u32>(), len in 1..=4usize, expected in 0..=VARINT_MAX) {
        let truncated = if len == 4 { truncated } else { truncated & ((1 << (8 * len)) - 1) };
        let full = packet_number::decode(truncated, len, expected);
        prop_assert!(full <= VARINT_MAX);
        prop_assert_eq!(full & ((1 << (8 * len)) - 1), u64::from(truncated));
    }
}
