//! Headers of both versions, written and parsed, and what cannot be parsed.

use proptest::prelude::*;

use super::*;
use crate::header::{
    FIXED_BIT, Header, HeaderError, KEY_PHASE_BIT, LONG_RESERVED, Long, LongKind, SHORT_RESERVED, SPIN_BIT,
    encode_negotiation, encode_pn, encode_retry, encode_short, set_length,
};
use crate::{Cid, Version, Writer};

const KINDS: [LongKind; 3] = [LongKind::Initial, LongKind::ZeroRtt, LongKind::Handshake];
const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

fn cid() -> impl Strategy<Value = Cid> {
    prop::collection::vec(any::<u8>(), 0..=20).prop_map(|bytes| Cid::new(&bytes).expect("short enough"))
}

fn long(header: &Long<'_>, pn: u64, pn_len: usize, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; header.encoded_len() + pn_len + payload.len()];
    let mut w = Writer::new(&mut packet);
    let at = header.encode(&mut w, pn_len);
    assert_eq!(w.len(), header.encoded_len());
    encode_pn(&mut w, pn, pn_len);
    w.slice(payload);
    set_length(&mut packet, at, pn_len + payload.len());
    packet
}

proptest! {
    // MUST 9000-17.2-6
    #[test]
    fn long_headers_round_trip(
        kind in 0..3usize, version in 0..2usize, dcid in cid(), scid in cid(),
        token in prop::collection::vec(any::<u8>(), 0..100), pn in any::<u32>(), pn_len in 1..=4usize,
        payload in prop::collection::vec(any::<u8>(), 0..50), local in 0..=20usize,
    ) {
        let (kind, version) = (KINDS[kind], VERSIONS[version]);
        let header = Long { kind, version, dcid: &dcid, scid: &scid, token: &token };
        let packet = long(&header, u64::from(pn), pn_len, &payload);
        let end = packet.len();
        // another packet may follow in the datagram
        let datagram = [&packet[..], b"more"].concat();
        match Header::parse(&datagram, local) {
            Ok(Header::Long { kind: k, version: v, dcid: d, scid: s, token: t, pn_offset, end: e }) => {
                prop_assert_eq!((k, v, d, s, e), (kind, version, dcid, scid, end));
                let sent = if kind == LongKind::Initial { &token[..] } else { &[] };
                prop_assert_eq!(&datagram[t], sent);
                prop_assert_eq!(pn_offset, end - pn_len - payload.len());
                prop_assert_eq!(usize::from(datagram[0] & 3) + 1, pn_len);
                prop_assert_eq!(datagram[0] & LONG_RESERVED, 0);
                prop_assert_eq!(&datagram[pn_offset..pn_offset + pn_len], &pn.to_be_bytes()[4 - pn_len..]);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        for cut in 0..end {
            prop_assert_eq!(Header::parse(&packet[..cut], local), Err(HeaderError::Truncated));
        }
    }

    // MUST 9000-17.3.1-2
    #[test]
    fn short_headers_round_trip(dcid in cid(), pn_len in 1..=4usize, phase in any::<bool>(), spin in any::<bool>()) {
        let mut packet = [0; 32];
        let mut w = Writer::new(&mut packet);
        encode_short(&mut w, &dcid, pn_len, phase, spin);
        let len = w.len();
        prop_assert_eq!(Header::parse(&packet[..len], dcid.len()), Ok(Header::Short { dcid, pn_offset: len }));
        prop_assert_eq!(packet[0] & KEY_PHASE_BIT != 0, phase);
        prop_assert_eq!(packet[0] & SPIN_BIT != 0, spin);
        prop_assert_eq!(packet[0] & FIXED_BIT, FIXED_BIT);
        prop_assert_eq!(packet[0] & SHORT_RESERVED, 0);
        prop_assert_eq!(usize::from(packet[0] & 3) + 1, pn_len);
        prop_assert_eq!(Header::parse(&packet[..len - 1], dcid.len()), Err(HeaderError::Truncated));
    }

    #[test]
    fn retry_round_trips(version in 0..2usize, dcid in cid(), scid in cid(), token in prop::collection::vec(any::<u8>(), 0..60)) {
        let version = VERSIONS[version];
        let mut packet = [0; 160];
        let mut w = Writer::new(&mut packet);
        encode_retry(&mut w, version, &dcid, &scid, &token);
        w.slice(&[9; 16]);
        let len = w.len();
        match Header::parse(&packet[..len], 0) {
            Ok(Header::Retry { version: v, dcid: d, scid: s, token: t }) => {
                prop_assert_eq!((v, d, s), (version, dcid, scid));
                prop_assert_eq!(&packet[t], &token[..]);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let without_tag = len - token.len() - 16;
        for cut in without_tag..without_tag + 16 {
            prop_assert_eq!(Header::parse(&packet[..cut], 0), Err(HeaderError::Truncated));
        }
    }

    // MUST 9000-17.2.1-1, 9000-17.2.1-2
    #[test]
    fn the_invariants_hold_for_any_version_and_long_ids(
        version in any::<u32>(), dcid in prop::collection::vec(any::<u8>(), 0..=255),
        scid in prop::collection::vec(any::<u8>(), 0..=255), first in any::<u8>(),
    ) {
        let mut packet = vec![0; 600];
        let mut w = Writer::new(&mut packet);
        encode_negotiation(&mut w, first, &dcid, &scid, &[Version::V1, Version(0x1a2a_3a4a)]);
        let len = w.len();
        let packet = &mut packet[..len];
        match Header::parse(packet, 8) {
            Ok(Header::VersionNegotiation { dcid: d, scid: s, versions }) => {
                prop_assert_eq!((&packet[d], &packet[s]), (&dcid[..], &scid[..]));
                prop_assert_eq!(&packet[versions], &[0, 0, 0, 1, 0x1a, 0x2a, 0x3a, 0x4a]);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let version = Version(version);
        if version.is_known() || version == Version::NEGOTIATION {
            return Ok(());
        }
        packet[1..5].copy_from_slice(&version.0.to_be_bytes());
        match Header::parse(packet, 8) {
            Ok(Header::Unknown { version: v, dcid: d, scid: s }) => {
                prop_assert_eq!((v, &packet[d], &packet[s]), (version, &dcid[..], &scid[..]));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn the_type_bits_rotate_between_versions() {
    let first = |version, kind| {
        let header = Long { kind, version, dcid: &Cid::EMPTY, scid: &Cid::EMPTY, token: &[] };
        long(&header, 0, 1, &[])[0] & 0xf0
    };
    assert_eq!(KINDS.map(|kind| first(Version::V1, kind)), [0xc0, 0xd0, 0xe0]);
    assert_eq!(KINDS.map(|kind| first(Version::V2, kind)), [0xd0, 0xe0, 0xf0]);
}

// MUST 9000-17.2-6
#[test]
fn the_headers_of_the_rfcs_are_written_as_printed() {
    for (file, version) in
        [("rfc9001_appendix_a_v1.json", Version::V1), ("rfc9369_appendix_a_v2.json", Version::V2)]
    {
        let vectors = vectors(file);
        let id = Cid::new(&bytes(vectors["dcid"].as_str().unwrap())).unwrap();
        let server_id = Cid::new(&bytes("f067a5502a4262b5")).unwrap();
        for (name, dcid, scid, length) in
            [("client_initial", &id, &Cid::EMPTY, 0x49e), ("server_initial", &Cid::EMPTY, &server_id, 0x75)]
        {
            let row = &vectors[name];
            let pn_len = row["pn_len"].as_u64().unwrap() as usize;
            let header = Long { kind: LongKind::Initial, version, dcid, scid, token: &[] };
            let mut packet = vec![0; header.encoded_len() + pn_len];
            let mut w = Writer::new(&mut packet);
            let at = header.encode(&mut w, pn_len);
            encode_pn(&mut w, row["packet_number"].as_u64().unwrap(), pn_len);
            set_length(&mut packet, at, length);
            assert_eq!(hex::encode(packet), row["unprotected_header"].as_str().unwrap());
        }
        let retry = bytes(vectors["retry"]["packet"].as_str().unwrap());
        let mut packet = vec![0; retry.len() - 16];
        encode_retry(&mut Writer::new(&mut packet), version, &Cid::EMPTY, &server_id, b"token");
        assert_eq!(packet, retry[..retry.len() - 16]);
    }
}

// MUST 9000-17.2-3, 9000-17.2-5
#[test]
fn known_versions_have_ids_of_at_most_20_bytes() {
    for version in VERSIONS {
        for (dcid, scid) in [(21, 0), (0, 21)] {
            let mut packet = vec![0; 100];
            let mut w = Writer::new(&mut packet);
            w.u8(0xc0);
            w.u32(version.0);
            w.u8(dcid);
            w.slice(&[1; 21][..usize::from(dcid)]);
            w.u8(scid);
            w.slice(&[1; 21][..usize::from(scid)]);
            assert_eq!(Header::parse(&packet, 8), Err(HeaderError::CidTooLong));
        }
    }
    assert_eq!(Header::parse(&[0x40; 40], 21), Err(HeaderError::CidTooLong));
}

#[test]
fn no_bytes_make_header_parsing_panic_or_point_outside() {
    let mut random = Random(8999);
    for _ in 0..100_000 {
        let len = random.below(80);
        let mut packet = random.bytes(len);
        if let Some(first) = packet.first_mut().filter(|_| random.below(4) > 0) {
            *first |= 0x80;
        }
        if packet.len() > 5 && random.below(4) > 0 {
            let version = [Version::V1, Version::V2, Version::NEGOTIATION][random.below(3)];
            packet[1..5].copy_from_slice(&version.0.to_be_bytes());
        }
        match Header::parse(&packet, random.below(21)) {
            Ok(Header::Long { token, pn_offset, end, .. }) => {
                assert!(token.end <= pn_offset && pn_offset <= end && end <= packet.len());
            }
            Ok(Header::Short { pn_offset, .. }) => assert!(pn_offset <= packet.len()),
            Ok(Header::Retry { token, .. }) => assert!(token.end + 16 == packet.len()),
            Ok(Header::VersionNegotiation { dcid, scid, versions }) => {
                assert!(dcid.end < scid.start && scid.end == versions.start && versions.end == packet.len());
            }
            Ok(Header::Unknown { dcid, scid, .. }) => {
                assert!(dcid.end < scid.start && scid.end <= packet.len())
            }
            Err(HeaderError::Truncated | HeaderError::CidTooLong) => {}
        }
    }
}
