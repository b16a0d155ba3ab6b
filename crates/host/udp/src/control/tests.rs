//! What is written is read back; what is malformed ends the walk.

use std::net::IpAddr;

use proptest::prelude::*;

use super::{Received, SEND_LEN, Writer};
use tq_wire::Ecn;

#[test]
fn ecn_and_source_are_read_as_written_in_both_families() {
    for (ip, v4) in [("192.0.2.7", true), ("2001:db8::7", false)] {
        for ecn in [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce] {
            let ip: IpAddr = ip.parse().unwrap();
            let mut writer = Writer::new();
            writer.ecn(ecn, v4);
            writer.source(ip);
            let read = Received::parse(writer.bytes());
            assert_eq!(read, Received { local_ip: Some(ip), ecn, segment: None });
        }
    }
}

#[test]
fn all_messages_together_fit() {
    let mut writer = Writer::new();
    writer.segment(1452);
    writer.ecn(Ecn::Ce, false);
    writer.source("::1".parse().unwrap());
    assert!(writer.bytes().len() <= SEND_LEN);
}

#[test]
fn a_message_longer_than_the_buffer_ends_the_walk() {
    let mut writer = Writer::new();
    writer.ecn(Ecn::Ce, true);
    let mut bytes = writer.bytes().to_vec();
    let before = Received::parse(&bytes);
    for length in [usize::MAX, 0, 15, 1000] {
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&[0xff; 16]);
        assert_eq!(Received::parse(&bytes), before, "length {length}");
        bytes.truncate(writer.bytes().len());
    }
}

#[test]
fn a_mapped_or_multicast_destination_is_no_ipv6_source() {
    let mut writer = Writer::new();
    writer.source("::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(Received::parse(writer.bytes()).local_ip, Some("192.0.2.7".parse().unwrap()));
    let mut writer = Writer::new();
    writer.source("ff02::1".parse().unwrap());
    assert_eq!(Received::parse(writer.bytes()).local_ip, None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_walk_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Received::parse(&bytes);
    }

    #[test]
    fn no_plausible_messages_make_the_walk_panic(
        messages in proptest::collection::vec((0_usize..40, 0_i32..60, 0_i32..110, 0_usize..24), 0..8),
    ) {
        let mut bytes = Vec::new();
        for (total, level, kind, value) in messages {
            bytes.extend_from_slice(&total.to_ne_bytes());
            bytes.extend_from_slice(&level.to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.resize(bytes.len() + value, 0xa5);
        }
        let _ = Received::parse(&bytes);
    }
}
