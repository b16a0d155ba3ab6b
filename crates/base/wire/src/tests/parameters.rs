//! Transport parameters there and back, by every id and every length.

use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use proptest::prelude::*;
use smallvec::SmallVec;

use super::*;
use crate::params::{ParameterError, PreferredAddress, VersionInformation, id};
use crate::{Cid, PathId, Reader, ResetToken, Side, TransportParameters, VARINT_MAX, Version, Writer};

const NUMBERS: [u64; 14] = [
    id::MAX_IDLE_TIMEOUT,
    id::MAX_UDP_PAYLOAD_SIZE,
    id::INITIAL_MAX_DATA,
    id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL,
    id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE,
    id::INITIAL_MAX_STREAM_DATA_UNI,
    id::INITIAL_MAX_STREAMS_BIDI,
    id::INITIAL_MAX_STREAMS_UNI,
    id::ACK_DELAY_EXPONENT,
    id::MAX_ACK_DELAY,
    id::ACTIVE_CID_LIMIT,
    id::MAX_DATAGRAM_FRAME_SIZE,
    id::INITIAL_MAX_PATH_ID,
    id::MIN_ACK_DELAY,
];
const FLAGS: [u64; 3] = [id::DISABLE_ACTIVE_MIGRATION, id::RESET_STREAM_AT, id::GREASE_QUIC_BIT];
const SERVER_ONLY: [u64; 4] =
    [id::ORIGINAL_DCID, id::STATELESS_RESET_TOKEN, id::PREFERRED_ADDRESS, id::RETRY_SCID];
const REST: [u64; 2] = [id::INITIAL_SCID, id::VERSION_INFORMATION];

fn all_ids() -> impl Iterator<Item = u64> {
    NUMBERS.into_iter().chain(FLAGS).chain(SERVER_ONLY).chain(REST)
}

fn parameter(id: u64, value: &[u8]) -> Vec<u8> {
    let mut wire = vec![0; 18 + value.len()];
    let mut w = Writer::new(&mut wire);
    w.varint(id);
    w.prefixed(value);
    w.written().to_vec()
}

fn decode(wire: &[u8]) -> Result<TransportParameters, ParameterError> {
    TransportParameters::decode(wire, Side::Server)
}

fn encoded(params: &TransportParameters, grease: Option<u64>) -> Vec<u8> {
    let mut room = [0; 1024];
    let mut w = Writer::new(&mut room);
    params.encode(&mut w, grease);
    w.written().to_vec()
}

fn number(id: u64, value: u64) -> Vec<u8> {
    let mut room = [0; 8];
    let mut w = Writer::new(&mut room);
    w.varint(value);
    parameter(id, w.written())
}

fn varint() -> impl Strategy<Value = u64> {
    (0..=VARINT_MAX, 0..62u32).prop_map(|(value, shift)| value >> shift)
}

prop_compose! {
    fn cid()(bytes in prop::collection::vec(any::<u8>(), 0..=20)) -> Cid {
        Cid::new(&bytes).expect("short enough")
    }
}

prop_compose! {
    fn address()(
        v4 in any::<Option<([u8; 4], u16)>>(), v6 in any::<Option<([u8; 16], u16)>>(),
        cid in prop::collection::vec(any::<u8>(), 1..=20), token in any::<[u8; 16]>(),
    ) -> PreferredAddress {
        PreferredAddress {
            // an address of zeros with port 0 means none
            v4: v4.map(|(ip, port)| SocketAddrV4::new(ip.into(), port.max(1))),
            v6: v6.map(|(ip, port)| SocketAddrV6::new(ip.into(), port.max(1), 0, 0)),
            cid: Cid::new(&cid).expect("short enough"),
            token: ResetToken(token),
        }
    }
}

prop_compose! {
    fn limits()(
        n in [varint(), varint(), varint(), varint(), varint(), varint(), varint(), varint(), varint()],
        exponent in 0..=20u8, ack_delay in 0..1u64 << 14, min_ack_delay in prop::option::of(varint()),
        path in any::<Option<u32>>(), flags in any::<[bool; 3]>(),
    ) -> TransportParameters {
        TransportParameters {
            max_idle_timeout: Duration::from_millis(n[0]),
            max_udp_payload_size: n[1].max(1200),
            initial_max_data: n[2],
            initial_max_stream_data_bidi_local: n[3],
            initial_max_stream_data_bidi_remote: n[4],
            initial_max_stream_data_uni: n[5],
            initial_max_streams_bidi: n[6].min(1 << 60),
            initial_max_streams_uni: (n[6] >> 3).min(1 << 60),
            ack_delay_exponent: exponent,
            max_ack_delay: Duration::from_millis(ack_delay),
            active_cid_limit: n[7].max(2),
            max_datagram_frame_size: n[8],
            min_ack_delay: min_ack_delay.map(Duration::from_micros),
            initial_max_path_id: path.map(PathId),
            disable_active_migration: flags[0],
            reset_stream_at: flags[1],
            grease_quic_bit: flags[2],
            ..TransportParameters::default()
        }
    }
}

prop_compose! {
    fn params()(
        limits in limits(), address in prop::option::of(address()), token in any::<Option<[u8; 16]>>(),
        ids in [prop::option::of(cid()), prop::option::of(cid()), prop::option::of(cid())],
        versions in prop::option::of((1..=u32::MAX, prop::collection::vec(1..=u32::MAX, 0..64))),
    ) -> TransportParameters {
        TransportParameters {
            original_dcid: ids[0],
            initial_scid: ids[1],
            retry_scid: ids[2],
            stateless_reset_token: token.map(ResetToken),
            preferred_address: address,
            version_information: versions.map(|(chosen, available)| VersionInformation {
                chosen: Version(chosen),
                available: available.into_iter().map(Version).collect(),
            }),
            ..limits
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn transport_parameters_round_trip(params in params(), grease in any::<Option<u64>>()) {
        let wire = encoded(&params, grease);
        prop_assert!(wire.len() <= 1024);
        prop_assert_eq!(decode(&wire), Ok(params));
        for cut in 1..wire.len() {
            // a prefix is read or refused, never more
            let _ = decode(&wire[..cut]);
        }
    }
}

#[test]
fn absence_means_the_defaults_of_the_rfc() {
    let params = decode(&[]).expect("nothing is fine");
    assert_eq!(params, TransportParameters::default());
    assert!(encoded(&params, None).is_empty());
    assert_eq!((params.ack_delay_exponent, params.max_ack_delay), (3, Duration::from_millis(25)));
    assert_eq!((params.max_udp_payload_size, params.active_cid_limit), (65_527, 2));
}

#[test]
fn initial_max_path_id_looks_like_the_draft() {
    for (path, wire) in [(2, "3e 01 02"), (0, "3e 01 00"), (300, "3e 02 41 2c")] {
        let path = Some(PathId(path));
        let params = TransportParameters { initial_max_path_id: path, ..Default::default() };
        assert_eq!(encoded(&params, None), bytes(wire));
        assert_eq!(decode(&bytes(wire)).map(|params| params.initial_max_path_id), Ok(path));
    }
}

#[test]
fn the_client_hello_of_rfc_9001_carries_these() {
    let vectors = vectors("rfc9001_appendix_a_v1.json");
    let crypto = bytes(vectors["client_initial"]["crypto_frame"].as_str().unwrap());
    let at = crypto.windows(4).position(|window| window == [0, 0x39, 0, 0x32]).expect("the extension");
    let params = TransportParameters::decode(&crypto[at + 4..at + 4 + 0x32], Side::Client).expect("valid");
    assert_eq!(params.initial_scid, Cid::new(&bytes("8394c8f03e515708")));
    assert_eq!(params.max_idle_timeout, Duration::from_millis(30_000));
    assert_eq!(params.initial_max_data, VARINT_MAX);
    assert_eq!((params.initial_max_streams_bidi, params.initial_max_streams_uni), (16, 16));
}

// MUST 9000-7.4.2-1
#[test]
fn every_parameter_sent_twice_is_refused_wherever_it_stands() {
    for id in all_ids().chain([27, 31 * 7 + 27]) {
        let value = valid(id);
        let once = parameter(id, &value);
        decode(&once).unwrap_or_else(|error| panic!("{error:?}"));
        let twice = [&once[..], &number(id::INITIAL_MAX_DATA + 0x1000, 1), &once].concat();
        let error = decode(&twice).expect_err("twice");
        assert_eq!(error, ParameterError { id: Some(id), why: "transport parameter sent twice" });
    }
    // behind more unknown ones than are remembered
    let crowd: Vec<u8> = (0..200).flat_map(|n| number(0x1000 + n, n)).collect();
    for id in all_ids() {
        let once = parameter(id, &valid(id));
        let error = decode(&[&crowd[..], &once, &once].concat()).expect_err("twice");
        assert_eq!(error.id, Some(id));
    }
    decode(&crowd).expect("unknown ones are ignored");
}

/// Some value the id accepts.
fn valid(id: u64) -> Vec<u8> {
    match id {
        id::ACTIVE_CID_LIMIT => vec![2],
        id::MAX_UDP_PAYLOAD_SIZE => vec![0x44, 0xb0],
        id::STATELESS_RESET_TOKEN => vec![7; 16],
        id::PREFERRED_ADDRESS => [&[1; 24][..], &[1, 9], &[7; 16]].concat(),
        id::VERSION_INFORMATION => vec![0, 0, 0, 1],
        id if NUMBERS.contains(&id) => vec![1],
        _ => vec![],
    }
}

// MUST 9000-18.2-9
#[test]
fn a_client_must_not_send_what_only_servers_know() {
    for id in all_ids() {
        let wire = parameter(id, &valid(id));
        let expected = match SERVER_ONLY.contains(&id) {
            true => Err(ParameterError { id: Some(id), why: "a client must not send this" }),
            false => Ok(()),
        };
        assert_eq!(TransportParameters::decode(&wire, Side::Client).map(drop), expected);
        assert_eq!(TransportParameters::decode(&wire, Side::Server).map(drop), Ok(()));
    }
}

// MUST 9000-4.6-1, 9000-7.4-1, 9000-18.2-7
#[test]
fn values_out_of_range_are_refused_and_the_bounds_are_not() {
    for (id, good, bad, why) in [
        (id::MAX_UDP_PAYLOAD_SIZE, vec![1200, VARINT_MAX], vec![0, 1199], "max_udp_payload_size below 1200"),
        (id::INITIAL_MAX_STREAMS_BIDI, vec![0, 1 << 60], vec![(1 << 60) + 1], "more than 2^60 streams"),
        (id::INITIAL_MAX_STREAMS_UNI, vec![0, 1 << 60], vec![VARINT_MAX], "more than 2^60 streams"),
        (id::ACK_DELAY_EXPONENT, vec![0, 20], vec![21, VARINT_MAX], "ack_delay_exponent above 20"),
        (id::MAX_ACK_DELAY, vec![0, 16_383], vec![16_384], "max_ack_delay of 2^14 ms or more"),
        (id::ACTIVE_CID_LIMIT, vec![2, VARINT_MAX], vec![0, 1], "active_connection_id_limit below 2"),
        (id::INITIAL_MAX_PATH_ID, vec![0, (1 << 32) - 1], vec![1 << 32, VARINT_MAX], "path id above 2^32-1"),
    ] {
        good.iter().for_each(|value| drop(decode(&number(id, *value)).expect("in range")));
        for value in bad {
            assert_eq!(decode(&number(id, value)), Err(ParameterError { id: Some(id), why }));
        }
    }
}

/// Whether a value of these bytes stands, by the layouts of RFC 9000 §18.2 and RFC 9368 §3.
fn stands(id: u64, value: &[u8]) -> bool {
    let cid_fits = value.len() <= 20;
    match id {
        id::ORIGINAL_DCID | id::INITIAL_SCID | id::RETRY_SCID => cid_fits,
        id::STATELESS_RESET_TOKEN => value.len() == 16,
        id::PREFERRED_ADDRESS => {
            let cid = value.get(24).map_or(0, |len| usize::from(*len));
            (1..=20).contains(&cid) && value.len() == 25 + cid + 16
        }
        id::VERSION_INFORMATION => {
            let (versions, rest) = value.as_chunks::<4>();
            !versions.is_empty() && rest.is_empty() && versions.iter().all(|version| *version != [0; 4])
        }
        id if FLAGS.contains(&id) => value.is_empty(),
        id if NUMBERS.contains(&id) => {
            let mut r = Reader::new(value);
            let Ok(number) = r.varint() else { return false };
            let range = match id {
                id::MAX_UDP_PAYLOAD_SIZE => 1200..=u64::MAX,
                id::INITIAL_MAX_STREAMS_BIDI | id::INITIAL_MAX_STREAMS_UNI => 0..=1 << 60,
                id::ACK_DELAY_EXPONENT => 0..=20,
                id::MAX_ACK_DELAY => 0..=(1 << 14) - 1,
                id::ACTIVE_CID_LIMIT => 2..=u64::MAX,
                id::INITIAL_MAX_PATH_ID => 0..=(1 << 32) - 1,
                _ => 0..=u64::MAX,
            };
            r.is_empty() && range.contains(&number)
        }
        _ => true,
    }
}

// MUST 9000-18.2-5
#[test]
fn every_length_of_every_parameter_is_read_or_refused_by_its_layout() {
    let mut random = Random(9368);
    for id in all_ids().chain([27, 0x1000, VARINT_MAX]) {
        for len in 0..=64 {
            for try_ in 0..40 {
                let mut value = random.bytes(len);
                match try_ {
                    0 => value.fill(0),
                    1 => value.fill(0xff),
                    2..20 => {
                        // a varint that says it is as long as the value
                        let prefix = [1, 2, 4, 8].iter().position(|n| *n == len);
                        if let (Some(prefix), Some(first)) = (prefix, value.first_mut()) {
                            *first = *first & 0x3f | (prefix as u8) << 6;
                        }
                        if let Some(cid) = value.get_mut(24) {
                            *cid = (len.saturating_sub(41)) as u8;
                        }
                    }
                    _ => {}
                }
                let result = decode(&parameter(id, &value));
                assert_eq!(result.is_ok(), stands(id, &value), "{id:#x} {value:02x?} {result:?}");
            }
        }
    }
}

#[test]
fn a_list_that_is_cut_off_names_no_parameter_or_the_one_cut() {
    let cut = ParameterError { id: None, why: "transport parameters are cut off" };
    for wire in ["40", "01", "01 02 05", "01 40", "ff"] {
        assert_eq!(decode(&bytes(wire)), Err(cut), "{wire}");
    }
    let inside = ParameterError { id: Some(1), why: "value is cut off" };
    assert_eq!(decode(&bytes("01 01 40")), Err(inside));
    let longer = ParameterError { id: Some(1), why: "value is longer than it can be" };
    assert_eq!(decode(&bytes("01 02 01 01")), Err(longer));
}

#[test]
fn structures_say_what_is_wrong_with_them() {
    let why = |id, value: &[u8]| decode(&parameter(id, value)).expect_err("refused").why;
    let address = |cid: u8, len: usize| {
        let mut value = vec![1; len];
        value[24] = cid;
        value
    };
    assert_eq!(why(id::INITIAL_SCID, &[0; 21]), "connection id longer than 20 bytes");
    assert_eq!(why(id::PREFERRED_ADDRESS, &address(0, 41)), "preferred_address with an empty connection id");
    assert_eq!(why(id::PREFERRED_ADDRESS, &address(21, 62)), "connection id longer than 20 bytes");
    assert_eq!(why(id::VERSION_INFORMATION, &[]), "version_information not a list of versions");
    assert_eq!(why(id::VERSION_INFORMATION, &[0, 0, 0, 1, 2]), "version_information not a list of versions");
    assert_eq!(why(id::VERSION_INFORMATION, &[0, 0, 0, 1, 0, 0, 0, 0]), "version_information with version 0");
    assert_eq!(why(id::VERSION_INFORMATION, &[0; 4]), "version_information with version 0");
}

#[test]
fn long_lists_of_versions_are_kept_in_part() {
    let value: Vec<u8> = (1..=100u32).flat_map(u32::to_be_bytes).collect();
    let params = decode(&parameter(id::VERSION_INFORMATION, &value)).expect("a list");
    let expected: SmallVec<[Version; 4]> = (2..=65).map(Version).collect();
    let expected = VersionInformation { chosen: Version(1), available: expected };
    assert_eq!(params.version_information, Some(expected));
}

#[test]
fn min_ack_delay_must_not_exceed_max_ack_delay() {
    let params = |min| TransportParameters { min_ack_delay: min, ..Default::default() };
    assert_eq!(params(None).check(), Ok(()));
    assert_eq!(params(Some(Duration::from_millis(25))).check(), Ok(()));
    let error = params(Some(Duration::from_micros(25_001))).check().expect_err("too large");
    assert_eq!(error.id, Some(id::MIN_ACK_DELAY));
}

#[test]
fn no_bytes_make_decoding_panic() {
    let ids: Vec<u64> = all_ids().collect();
    let mut random = Random(18);
    for _ in 0..100_000 {
        let mut wire = Vec::new();
        for _ in 0..random.below(4) {
            let len = random.below(24);
            wire.extend(parameter(ids[random.below(ids.len())], &random.bytes(len)));
        }
        let len = random.below(24);
        wire.extend(random.bytes(len));
        let side = [Side::Client, Side::Server][random.below(2)];
        if let Ok(params) = TransportParameters::decode(&wire, side) {
            assert_eq!(decode(&encoded(&params, None)), Ok(params));
        }
    }
}
