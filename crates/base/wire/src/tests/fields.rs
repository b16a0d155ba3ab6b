//! The small types: ids, versions, codes, ECN, cursors.

use super::*;
use crate::{
    Cid, Code, Dir, Ecn, EcnCounts, Reader, ResetToken, Side, StreamId, UnexpectedEnd, Version, Writer,
};

// MUST 9000-17.2-2, 9000-17.2-4
#[test]
fn connection_ids_are_at_most_20_bytes_and_equal_by_content() {
    assert_eq!(Cid::new(&[1; 20]).map(|cid| cid.len()), Some(20));
    assert_eq!(Cid::new(&[1; 21]), None);
    assert_eq!(Cid::new(&[]), Some(Cid::EMPTY));
    assert!(Cid::EMPTY.is_empty() && Cid::EMPTY.as_slice().is_empty());
    assert_ne!(Cid::new(&[0]), Cid::new(&[0, 0]));
    assert_eq!(format!("{:?}", Cid::new(&[0xab, 1]).unwrap()), "ab01");
}

#[test]
fn reset_tokens_compare_whole_and_do_not_show_themselves() {
    let mut other = [7; 16];
    assert_eq!(ResetToken([7; 16]), ResetToken(other));
    other[15] = 8;
    assert_ne!(ResetToken([7; 16]), ResetToken(other));
    assert_eq!(format!("{:?}", ResetToken([7; 16])), "ResetToken(..)");
}

#[test]
fn stream_ids_tell_initiator_direction_and_index() {
    for (bits, side, dir) in [
        (0, Side::Client, Dir::Bi),
        (1, Side::Server, Dir::Bi),
        (2, Side::Client, Dir::Uni),
        (3, Side::Server, Dir::Uni),
    ] {
        let id = StreamId::new(side, dir, 5);
        assert_eq!(id, StreamId(20 | bits));
        assert_eq!((id.initiator(), id.dir(), id.index()), (side, dir, 5));
    }
    assert_eq!(!Side::Client, Side::Server);
}

#[test]
fn versions_know_themselves() {
    assert!(Version(0x1a2a_3a4a).is_reserved() && !Version::V1.is_reserved());
    assert!(Version::V1.is_known() && Version::V2.is_known() && !Version(2).is_known());
    assert!(!Version::NEGOTIATION.is_known());
}

#[test]
fn codes_have_names_and_alerts() {
    assert_eq!(Code::PROTOCOL_VIOLATION.name(), Some("PROTOCOL_VIOLATION"));
    assert_eq!(Code::crypto(120), Code(0x178));
    assert_eq!(Code(0x1ff).alert(), Some(255));
    assert_eq!((Code(0xff).alert(), Code(0x200).alert()), (None, None));
    assert_eq!(Code::PATH_UNSTABLE_OR_POOR, Code(0x3e76));
    assert_eq!(
        format!("{} {} {}", Code(7), Code(0x128), Code(0x99)),
        "FRAME_ENCODING_ERROR CRYPTO_ERROR(alert 40) 0x99"
    );
}

#[test]
fn ecn_bits_are_those_of_the_ip_header() {
    let mut counts = EcnCounts::default();
    assert!(counts.is_zero());
    for bits in 0..=255u8 {
        let ecn = Ecn::from_bits(bits);
        assert_eq!(ecn.bits(), bits & 3);
        counts.count(ecn);
    }
    assert_eq!(counts, EcnCounts { ect0: 64, ect1: 64, ce: 64 });
    assert_eq!((Ecn::Ect1.bits(), Ecn::Ect0.bits(), Ecn::Ce.bits()), (1, 2, 3));
}

#[test]
fn a_reader_stops_at_the_end_and_a_failed_read_does_not_move_it() {
    let mut r = Reader::new(&[0x41, 2, 3]);
    assert_eq!(r.u32(), Err(UnexpectedEnd));
    assert_eq!(r.slice(4), Err(UnexpectedEnd));
    assert_eq!((r.position(), r.remaining(), r.peek()), (0, 3, Some(0x41)));
    assert_eq!(r.u16(), Ok(0x4102));
    assert_eq!(r.rest(), [3]);
    assert_eq!(r.prefixed(), Err(UnexpectedEnd));
    let mut r = Reader::new(&[2, 8, 9]);
    assert_eq!(r.prefixed(), Ok(&[8, 9][..]));
    assert_eq!((r.u8(), r.varint(), r.is_empty()), (Err(UnexpectedEnd), Err(UnexpectedEnd), true));
    // a length that no address space holds
    assert_eq!(Reader::new(&[0xff; 9]).prefixed(), Err(UnexpectedEnd));
}

#[test]
fn a_writer_counts_what_it_wrote() {
    let mut room = [0; 16];
    let mut w = Writer::new(&mut room);
    assert!(w.is_empty());
    w.u8(1);
    w.u16(0x0203);
    w.u32(0x0405_0607);
    w.varint2(5);
    w.prefixed(b"ab");
    assert_eq!((w.len(), w.remaining()), (12, 4));
    assert_eq!(w.written(), bytes("01 0203 04050607 4005 02 6162"));
    assert_eq!(w.into_inner().len(), 16);
}
