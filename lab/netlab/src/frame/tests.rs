use super::*;

/// An Ethernet frame with a UDP packet of `len` payload bytes.
fn udp4(len: usize, tos: u8) -> Vec<u8> {
    let mut frame = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0];
    let total = (28 + len) as u16;
    let mut ip = vec![0x45, tos, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = checksum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0x10, 0, 0x20, 0]);
    frame.extend(((8 + len) as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(vec![7; len]);
    frame
}

fn udp6(len: usize, class: u8) -> Vec<u8> {
    let mut frame = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x86, 0xdd];
    frame.extend([0x60 | class >> 4, class << 4, 0, 0]);
    frame.extend(((8 + len) as u16).to_be_bytes());
    frame.extend([17, 64]);
    frame.extend([0xfd; 16]);
    frame.extend([0xfc; 16]);
    frame.extend([0x10, 0, 0x20, 0, 0, 0, 0, 0]);
    frame.extend(vec![7; len]);
    frame
}

#[test]
fn a_packet_is_its_bytes_of_ip_and_its_ecn_bits() {
    // Padding of short frames does not count.
    let mut short = udp4(3, 2);
    short.resize(60, 0);
    let found = packet(&short).unwrap();
    assert_eq!((found.len, found.ecn), (31, Ecn::Ect0));
    let found = packet(&udp6(100, 1)).unwrap();
    assert_eq!((found.len, found.ecn), (148, Ecn::Ect1));
}

#[test]
fn flows_are_told_apart_by_addresses_and_ports() {
    let (one, mut other) = (udp4(10, 0), udp4(500, 0));
    assert_eq!(packet(&one).unwrap().flow, packet(&other).unwrap().flow);
    other[ETHERNET + 20] ^= 1;
    assert_ne!(packet(&one).unwrap().flow, packet(&other).unwrap().flow);
}

#[test]
fn what_is_not_a_links_business_is_none() {
    let mut arp = udp4(20, 0);
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(packet(&arp), None);
    let mut solicitation = udp6(32, 0);
    solicitation[ETHERNET + 6] = ICMPV6;
    solicitation[ETHERNET + 40] = 135;
    assert_eq!(packet(&solicitation), None);
    let mut long = udp4(20, 0);
    long.truncate(40);
    assert_eq!(packet(&long), None, "a header that promises more than there is");
    assert!((0..60).all(|len| packet(&udp4(100, 0)[..len]).is_none()));
}

#[test]
fn a_mark_changes_two_bits_and_keeps_the_checksum_right() {
    let mut frame = udp4(50, 0xb8 | 2);
    mark(&mut frame, Ecn::Ce);
    assert_eq!(frame[ETHERNET + 1], 0xb8 | 3);
    assert_eq!(checksum(&[&frame[ETHERNET..ETHERNET + 20]]), 0);
    assert_eq!(packet(&frame).unwrap().ecn, Ecn::Ce);
    let mut frame = udp6(50, 0xb8 | 1);
    mark(&mut frame, Ecn::Ce);
    assert_eq!(packet(&frame).unwrap().ecn, Ecn::Ce);
    assert_eq!((frame[ETHERNET] << 4 | frame[ETHERNET + 1] >> 4) & 0xfc, 0xb8);
}

#[test]
fn a_complaint_goes_back_to_who_sent_the_packet_and_quotes_it() {
    let frame = udp4(1400, 0);
    let answer = complain(&frame, Complaint::TooBig(1280)).unwrap();
    assert_eq!((&answer[..6], &answer[6..12]), (&frame[6..12], &frame[..6]));
    let ip = &answer[ETHERNET..];
    assert_eq!(checksum(&[&ip[..20]]), 0);
    assert_eq!(checksum(&[&ip[20..]]), 0);
    assert_eq!((&ip[12..16], &ip[16..20]), (&[10, 77, 0, 254][..], &[10, 77, 0, 1][..]));
    assert_eq!((ip[20], ip[21], &ip[26..28]), (3, 4, &1280_u16.to_be_bytes()[..]));
    assert_eq!(ip[28..28 + 100], frame[ETHERNET..ETHERNET + 100]);
    assert!(ip.len() <= 576 + 20);
    assert!(packet(&answer).is_some());

    let answer = complain(&udp6(1400, 0), Complaint::TooBig(1280)).unwrap();
    let ip = &answer[ETHERNET..];
    let pseudo = [((ip.len() - 40) as u32).to_be_bytes(), [0, 0, 0, ICMPV6]].concat();
    assert_eq!(checksum(&[&ip[8..40], &pseudo, &ip[40..]]), 0);
    assert_eq!((ip[40], &ip[44..48]), (2, &1280_u32.to_be_bytes()[..]));
    assert!(ip.len() <= 1280);
}

#[test]
fn errors_fragments_and_packets_that_may_be_cut_are_not_complained_about() {
    let mut may = udp4(1400, 0);
    may[ETHERNET + 6] = 0;
    assert_eq!(complain(&may, Complaint::TooBig(1280)), None);
    assert!(complain(&may, Complaint::Unreachable).is_some());
    let complaint = complain(&udp4(1400, 0), Complaint::Unreachable).unwrap();
    assert_eq!(complain(&complaint, Complaint::Unreachable), None);
    let mut later = udp4(1400, 0);
    later[ETHERNET + 7] = 9;
    assert_eq!(complain(&later, Complaint::Unreachable), None);
}
