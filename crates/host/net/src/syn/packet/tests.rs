//! First packets, the answers to them, and what is neither.

use proptest::prelude::*;

use super::*;

/// A segment in a packet of IP, checksums and all, made by the code that is not under test here: see the two that a
/// kernel made, below.
pub(crate) fn packet(client: &str, destination: &str, flags: u8, data: &[u8]) -> Vec<u8> {
    let (client, destination): (SocketAddr, SocketAddr) =
        (client.parse().unwrap(), destination.parse().unwrap());
    let mut tcp = Vec::new();
    tcp.extend(client.port().to_be_bytes());
    tcp.extend(destination.port().to_be_bytes());
    tcp.extend([0, 0, 3, 232, 0, 0, 0, 0, 6 << 4, flags, 250, 240, 0, 0, 0, 0]);
    tcp.extend([2, 4, 5, 180]);
    tcp.extend(data);
    let sum = checksum(pseudo(client.ip(), destination.ip(), TCP, tcp.len()), &tcp);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let back = Segment { source: destination.ip(), destination: client.ip(), tcp: &tcp };
    addressed(&back, TCP, &tcp)
}

const V4_PAIR: (&str, &str) = ("10.1.0.2:40000", "203.0.113.9:443");
const V6_PAIR: (&str, &str) = ("[fd01::2]:40000", "[2001:db8:9::9]:443");

/// The same pairs, as Linux wrote them to a TUN interface.
const KERNEL: [(&str, &str, &str); 2] =
    [include!("../../../testdata/syn4.in"), include!("../../../testdata/syn6.in")];

fn unhex(text: &str) -> Vec<u8> {
    crate::links::table::tests::unhex(text)
}

#[test]
fn the_first_packets_of_a_kernel_are_questions() {
    for (client, destination, bytes) in KERNEL {
        let bytes = unhex(bytes);
        let syn = Syn { client: client.parse().unwrap(), destination: destination.parse().unwrap() };
        assert_eq!(read(&bytes), Some(syn));
        // Every bit is covered by a checksum, but for what routers change in IPv6.
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let free = syn.client.is_ipv6() && (bit < 32 || (56..64).contains(&bit));
            assert!(free || read(&bent) != Some(syn), "bit {bit}");
        }
    }
}

#[test]
fn only_syn_alone_is_a_first_packet() {
    for (client, destination) in [V4_PAIR, V6_PAIR] {
        for flags in 0..=255 {
            let found = read(&packet(client, destination, flags, &[]));
            assert_eq!(found.is_some(), flags & 0b1_0111 == SYN, "{flags:#b}");
        }
    }
}

#[test]
fn addresses_that_no_connection_can_have_are_no_questions() {
    for (client, destination) in [
        ("10.1.0.2:0", "203.0.113.9:443"),
        ("10.1.0.2:9", "203.0.113.9:0"),
        ("0.0.0.0:9", "203.0.113.9:443"),
        ("127.0.0.1:9", "203.0.113.9:443"),
        ("10.1.0.2:9", "224.0.0.1:443"),
        ("10.1.0.2:9", "255.255.255.255:443"),
        ("[fe80::1]:9", "[2001:db8::1]:443"),
        ("[fd01::2]:9", "[ff02::1]:443"),
    ] {
        assert_eq!(read(&packet(client, destination, SYN, &[])), None, "{client} {destination}");
    }
}

#[test]
fn fragments_and_other_protocols_are_no_questions() {
    let whole = packet(V4_PAIR.0, V4_PAIR.1, SYN, &[]);
    let with = |at: usize, byte: u8| {
        let mut bent = whole.clone();
        bent[at] = byte;
        (bent[10], bent[11]) = (0, 0);
        let sum = checksum(0, &bent[..V4]);
        bent[10..12].copy_from_slice(&sum.to_be_bytes());
        read(&bent)
    };
    assert!(with(8, 3).is_some(), "a router changes this");
    assert_eq!(with(6, 0x20), None);
    assert_eq!(with(7, 1), None);
    assert_eq!(with(9, 17), None);
    for len in 0..whole.len() {
        assert_eq!(read(&whole[..len]), None, "{len}");
    }
}

#[test]
fn the_checksum_is_that_of_rfc_1071() {
    assert_eq!(checksum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    assert_eq!(checksum(0, &[0xff, 0xff, 0x12]), !0x1200);
    assert_eq!(checksum(0, &[]), 0xffff);
}

/// The parts of an answer, its checksums proven.
fn parts(answer: &[u8]) -> (IpAddr, IpAddr, u8, Vec<u8>) {
    if answer[0] >> 4 == 4 {
        assert_eq!(checksum(0, &answer[..V4]), 0);
        assert_eq!(usize::from(u16::from_be_bytes([answer[2], answer[3]])), answer.len());
        let ip = |at: usize| ip4(&answer[at..at + 4]);
        return (ip(12), ip(16), answer[9], answer[V4..].to_vec());
    }
    assert_eq!(usize::from(u16::from_be_bytes([answer[4], answer[5]])), answer.len() - V6);
    let ip = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&answer[at..at + 16]).unwrap());
    (ip(8), ip(24), answer[6], answer[V6..].to_vec())
}

fn ip4(bytes: &[u8]) -> IpAddr {
    IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap())
}

#[test]
fn a_reset_acknowledges_the_first_packet_and_its_data() {
    for (client, destination) in [V4_PAIR, V6_PAIR] {
        for data in [&b""[..], b"early"] {
            let question = packet(client, destination, SYN, data);
            let syn = read(&question).unwrap();
            let (from, to, protocol, tcp) = parts(&answer(&question, Refusal::Refused).unwrap());
            assert_eq!((from, to, protocol), (syn.destination.ip(), syn.client.ip(), TCP));
            assert_eq!(checksum(pseudo(from, to, TCP, tcp.len()), &tcp), 0);
            assert_eq!((port(&tcp, 0), port(&tcp, 2)), (syn.destination.port(), syn.client.port()));
            assert_eq!(tcp[13], RST | ACK);
            let ack = u32::from_be_bytes(tcp[8..12].try_into().unwrap());
            assert_eq!(ack, 1001 + data.len() as u32);
        }
    }
}

#[test]
fn errors_quote_the_packet_and_stay_small() {
    for ((client, destination), protocol, kinds, most) in
        [(V4_PAIR, ICMP, [(3, 0), (3, 1), (3, 13)], 576), (V6_PAIR, ICMP_V6, [(1, 0), (1, 3), (1, 1)], 1280)]
    {
        for data in [0, 2000] {
            let question = packet(client, destination, SYN, &vec![7; data]);
            let refusals = [Refusal::NetUnreachable, Refusal::HostUnreachable, Refusal::Denied];
            for (refusal, kind) in refusals.into_iter().zip(kinds) {
                let bytes = answer(&question, refusal).unwrap();
                assert!(bytes.len() <= most);
                let (from, to, found, message) = parts(&bytes);
                assert_eq!((found, (message[0], message[1])), (protocol, kind));
                let start = if protocol == ICMP { 0 } else { pseudo(from, to, ICMP_V6, message.len()) };
                assert_eq!(checksum(start, &message), 0);
                assert!(question.starts_with(&message[8..]) && message.len() > 8 + V4 + 8);
            }
        }
    }
    assert_eq!(answer(&packet(V4_PAIR.0, V4_PAIR.1, SYN, &[]), Refusal::Silence), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_answered_without_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
        first in prop_oneof![Just(0x45_u8), Just(0x4f), Just(0x60), any::<u8>()],
        tcp in any::<bool>(),
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        for at in [6, 9] {
            if let Some(byte) = bytes.get_mut(at).filter(|_| tcp) {
                *byte = TCP;
            }
        }
        let _ = read(&bytes);
        for refusal in [Refusal::Refused, Refusal::Denied, Refusal::Silence] {
            let _ = answer(&bytes, refusal);
        }
    }
}
