//! Headers have the length they say and checksums that hold.

use tq_wire::Ecn;

use super::*;

fn header(source: &str, destination: &str, kind: Kind) -> Header {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    Header { source, destination, ecn: Ecn::Ce, ttl: 60, kind }
}

fn about(v4: bool) -> Quote {
    let end = |text: &str| text.parse().unwrap();
    let (source, destination) = match v4 {
        true => (end("10.0.0.1:5"), end("10.0.0.2:6")),
        false => (end("[fd00::1]:5"), end("[fd00::2]:6")),
    };
    Quote { source, destination, payload: 1400 }
}

/// The packet, after a look at its lengths and checksums: a sum over octets that include a right one is all ones.
fn written(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![1, 2, 3];
    write(header, payload, &mut out);
    assert_eq!(out.len(), header.ip_len(payload.len()));
    let v4 = header.source.is_ipv4();
    let start = if v4 { 20 } else { 40 };
    let protocol = if v4 { out[9] } else { out[6] };
    if v4 {
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len());
        assert_eq!(checksum(sum(&out[..20])), 0);
    } else {
        assert_eq!(usize::from(u16::from_be_bytes([out[4], out[5]])), out.len() - 40);
    }
    let pseudo = match protocol {
        ICMP => 0,
        _ => pseudo(header.source, header.destination, protocol, out.len() - start),
    };
    assert_eq!(checksum(pseudo + sum(&out[start..])), 0);
    out
}

#[test]
fn datagrams_have_right_headers() {
    for len in [0, 1, 2, 1471] {
        let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
        let four = written(&header("10.0.0.1:5", "10.0.0.2:6", Kind::Udp), &payload);
        assert_eq!((four[0], four[1], four[6], four[8], four[9]), (0x45, 3, 0x40, 60, 17));
        assert_eq!(four[20..24], [0, 5, 0, 6]);
        let six = written(&header("[fd00::1]:5", "[fd00::2]:6", Kind::Udp), &payload);
        assert_eq!((six[0], six[1], six[6], six[7]), (0x60, 0x30, 17, 60));
        assert_eq!(six[48..], payload);
    }
}

#[test]
fn a_checksum_of_zero_is_written_as_ones() {
    let header = header("0.0.0.0:0", "0.0.0.0:0", Kind::Udp);
    // 17 + 10 of the pseudo-header, 10 of the length and this give 0xffff.
    let packet = written(&header, &(0xffff_u16 - 17 - 10 - 10).to_be_bytes());
    assert_eq!(packet[26..28], [0xff, 0xff]);
}

#[test]
fn messages_quote_what_they_are_about() {
    let four = header("10.0.0.9:0", "10.0.0.1:0", Kind::TooBig { mtu: 1280, about: about(true) });
    let four = written(&four, &[]);
    assert_eq!(
        (four.len(), four[20..22].to_vec(), four[24..28].to_vec()),
        (56, vec![3, 4], vec![0, 0, 5, 0])
    );
    assert_eq!(checksum(sum(&four[28..48])), 0);
    assert_eq!((four[40..44].to_vec(), four[48..54].to_vec()), (vec![10, 0, 0, 1], vec![0, 5, 0, 6, 5, 128]));
    let six = header("[fd00::9]:0", "[fd00::1]:0", Kind::TooBig { mtu: 1280, about: about(false) });
    let six = written(&six, &[]);
    assert_eq!((six.len(), six[40..42].to_vec(), six[44..48].to_vec()), (96, vec![2, 0], vec![0, 0, 5, 0]));
    for (v4, port, expected) in
        [(true, true, [3, 3]), (true, false, [3, 0]), (false, true, [1, 4]), (false, false, [1, 0])]
    {
        let ends = if v4 { ("10.0.0.9:0", "10.0.0.1:0") } else { ("[fd00::9]:0", "[fd00::1]:0") };
        let packet = written(&header(ends.0, ends.1, Kind::Unreachable { port, about: about(v4) }), &[]);
        let start = if v4 { 20 } else { 40 };
        assert_eq!(packet[start..start + 2], expected);
    }
}
