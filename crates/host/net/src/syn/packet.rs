//! First packets of TCP taken apart, and the answers to them: RFC 9293 §3.10.7.1, RFC 792, RFC 4443 §3.1.
//!
//! Decides what is a first packet: SYN alone, whole, not a fragment, with checksums that hold. Never trusts a length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Refusal, Syn};

#[cfg(test)]
pub(crate) mod tests;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const V4: usize = 20;
const V6: usize = 40;
const TCP_HEADER: usize = 20;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// What ICMP quotes of a packet: so much that the whole stays below what every host takes.
const QUOTE_V4: usize = 576 - V4 - 8;
const QUOTE_V6: usize = 1280 - V6 - 8;
const TTL: u8 = 64;

/// A packet of TCP: its addresses and its segment.
struct Segment<'a> {
    source: IpAddr,
    destination: IpAddr,
    tcp: &'a [u8],
}

/// Who wants to speak to whom, if this is a first packet.
pub fn read(packet: &[u8]) -> Option<Syn> {
    let Segment { source, destination, tcp } = segment(packet)?;
    let header = usize::from(tcp[12] >> 4) * 4;
    let first = tcp[13] & (FIN | SYN | RST | ACK) == SYN;
    let sane = (TCP_HEADER..=tcp.len()).contains(&header) && is_host(source) && is_host(destination);
    if !first || !sane || checksum(pseudo(source, destination, TCP, tcp.len()), tcp) != 0 {
        return None;
    }
    let (client, port) = (port(tcp, 0), port(tcp, 2));
    (client != 0 && port != 0).then(|| Syn {
        client: SocketAddr::new(source, client),
        destination: SocketAddr::new(destination, port),
    })
}

fn port(tcp: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([tcp[at], tcp[at + 1]])
}

/// Whether connections can be had with this address through a router.
fn is_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local())
        }
    }
}

/// A whole packet of TCP, at least as long as its header. Extension headers of IPv6 are not looked behind.
fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (source, destination, tcp): (IpAddr, IpAddr, _) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 15) * 4;
            let fixed = packet.get(..V4)?;
            let len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
            let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0;
            if header < V4 || fragment || fixed[9] != TCP || checksum(0, packet.get(..header)?) != 0 {
                return None;
            }
            let address = |at: usize| <[u8; 4]>::try_from(&fixed[at..at + 4]).map(Ipv4Addr::from).ok();
            (address(12)?.into(), address(16)?.into(), packet.get(header..len)?)
        }
        6 => {
            let fixed = packet.get(..V6)?;
            let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
            if fixed[6] != TCP {
                return None;
            }
            let address = |at: usize| <[u8; 16]>::try_from(&fixed[at..at + 16]).map(Ipv6Addr::from).ok();
            (address(8)?.into(), address(24)?.into(), packet.get(V6..V6 + len)?)
        }
        _ => return None,
    };
    (tcp.len() >= TCP_HEADER).then_some(Segment { source, destination, tcp })
}

/// What the destination of a first packet, or a router before it, would answer.
pub fn answer(packet: &[u8], refusal: Refusal) -> Option<Vec<u8>> {
    let segment = segment(packet)?;
    let v4 = segment.source.is_ipv4();
    let code = match refusal {
        Refusal::Silence => return None,
        Refusal::Refused => return Some(reset(&segment)),
        Refusal::NetUnreachable => 0,
        Refusal::HostUnreachable => [3, 1][usize::from(v4)],
        Refusal::Denied => [1, 13][usize::from(v4)],
    };
    let (kind, protocol, most) = if v4 { (3, ICMP, QUOTE_V4) } else { (1, ICMP_V6, QUOTE_V6) };
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(&packet[..packet.len().min(most)]);
    let sum = match v4 {
        true => 0,
        false => pseudo(segment.destination, segment.source, protocol, message.len()),
    };
    let sum = checksum(sum, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(addressed(&segment, protocol, &message))
}

/// A reset that the sender of a first packet believes.
fn reset(to: &Segment<'_>) -> Vec<u8> {
    let tcp = to.tcp;
    let header = (usize::from(tcp[12] >> 4) * 4).clamp(TCP_HEADER, tcp.len());
    // SYN counts for one, and may have brought data.
    let got = u32::try_from(tcp.len() - header).unwrap_or(0) + 1;
    let ack = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(got);
    let mut segment = [0; TCP_HEADER];
    segment[..2].copy_from_slice(&tcp[2..4]);
    segment[2..4].copy_from_slice(&tcp[..2]);
    segment[8..12].copy_from_slice(&ack.to_be_bytes());
    (segment[12], segment[13]) = (5 << 4, RST | ACK);
    let sum = checksum(pseudo(to.destination, to.source, TCP, TCP_HEADER), &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    addressed(to, TCP, &segment)
}

/// A packet back to where a segment came from.
fn addressed(to: &Segment<'_>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    // At most 1280 bytes, see the quotes.
    let len = |header: usize| ((header + payload.len()) as u16).to_be_bytes();
    let mut packet = Vec::with_capacity(V6 + payload.len());
    match (to.destination, to.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend(len(V4));
            // Never to be fragmented, so that it needs no number.
            packet.extend([0, 0, 0x40, 0, TTL, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(0, &packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(len(0));
            packet.extend([protocol, TTL]);
            for ip in [from, to] {
                packet.extend(octets(ip));
            }
        }
    }
    packet.extend(payload);
    packet
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The sum over what TCP and ICMPv6 include of the header of IP.
fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> u32 {
    let len = u32::try_from(len).unwrap_or(0);
    sum(&octets(source)) + sum(&octets(destination)) + u32::from(protocol) + (len >> 16) + (len & 0xffff)
}

/// Big-endian words, the last filled with a zero. At most 64 KiB, so that it cannot overflow.
fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

/// The Internet checksum (RFC 1071) of a partial sum and what follows it: 0 if the checksum is among it and holds.
fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut total = u64::from(start) + u64::from(sum(bytes));
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}
