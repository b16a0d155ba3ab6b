//! Packets as octets: IPv4, IPv6, UDP and ICMP headers with their checksums.
//!
//! For captures only; inside the network headers stay values. No options, no fragments: IPv4 packets have DF set
//! and an identification of zero (RFC 6864 §4.1).

use std::net::{IpAddr, SocketAddr};

use super::{Header, Kind, Quote, TTL};

#[cfg(test)]
mod tests;

const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Writes the whole IP packet, [`Header::ip_len`] octets, in place of what is in `out`.
pub(crate) fn write(header: &Header, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let (source, destination) = (header.source, header.destination);
    let v4 = source.is_ipv4();
    let protocol = match (header.kind, v4) {
        (Kind::Udp, _) => UDP,
        (_, true) => ICMP,
        (_, false) => ICMPV6,
    };
    let len = header.ip_len(payload.len());
    ip(out, source.ip(), destination.ip(), (protocol, header.ecn.bits(), header.ttl), len);
    let start = out.len();
    match header.kind {
        Kind::Udp => udp(out, source, destination, payload),
        Kind::TooBig { mtu, about } => {
            let (kind, code) = if v4 { (3, 4) } else { (2, 0) };
            icmp(out, kind, code, if v4 { mtu & 0xffff } else { mtu }, &about);
        }
        Kind::Unreachable { port, about } => {
            let (kind, code) = match (v4, port) {
                (true, true) => (3, 3),
                (true, false) => (3, 0),
                (false, true) => (1, 4),
                (false, false) => (1, 0),
            };
            icmp(out, kind, code, 0, &about);
        }
    }
    // ICMP for IPv4 alone has no pseudo-header.
    let pseudo = if protocol == ICMP { 0 } else { pseudo(source, destination, protocol, out.len() - start) };
    let sum = checksum(pseudo + sum(&out[start..]));
    let (at, sum) = match protocol {
        // Zero would mean that there is none (RFC 768).
        UDP => (start + 6, if sum == 0 { 0xffff } else { sum }),
        _ => (start + 2, sum),
    };
    out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// An IP header; `(protocol, ecn, ttl)`.
fn ip(out: &mut Vec<u8>, source: IpAddr, destination: IpAddr, octets: (u8, u8, u8), len: usize) {
    let (protocol, ecn, ttl) = octets;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let start = out.len();
            out.extend_from_slice(&[0x45, ecn]);
            out.extend_from_slice(&(len as u16).to_be_bytes());
            out.extend_from_slice(&[0, 0, 0x40, 0, ttl, protocol, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
            let sum = checksum(sum(&out[start..]));
            out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
        }
        (source, destination) => {
            out.extend_from_slice(&[0x60, ecn << 4, 0, 0]);
            out.extend_from_slice(&((len - 40) as u16).to_be_bytes());
            out.extend_from_slice(&[protocol, ttl]);
            for ip in [source, destination] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                out.extend_from_slice(&ip.octets());
            }
        }
    }
}

fn udp(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
    udp_header(out, source, destination, payload.len());
    out.extend_from_slice(payload);
}

fn udp_header(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, payload: usize) {
    for field in [source.port(), destination.port(), (payload + 8) as u16, 0] {
        out.extend_from_slice(&field.to_be_bytes());
    }
}

/// An ICMP message with the IP and UDP headers of what it is about.
fn icmp(out: &mut Vec<u8>, kind: u8, code: u8, word: u32, about: &Quote) {
    out.extend_from_slice(&[kind, code, 0, 0]);
    out.extend_from_slice(&word.to_be_bytes());
    let (source, destination, payload) = (about.source, about.destination, usize::from(about.payload));
    let headers = if source.is_ipv4() { 28 } else { 48 };
    ip(out, source.ip(), destination.ip(), (UDP, 0, TTL), headers + payload);
    udp_header(out, source, destination, payload);
}

/// The sum over the pseudo-header of UDP and ICMPv6 (RFC 768, RFC 8200 §8.1).
fn pseudo(source: SocketAddr, destination: SocketAddr, protocol: u8, len: usize) -> u64 {
    let ip = |end: SocketAddr| match end.ip() {
        IpAddr::V4(ip) => sum(&ip.octets()),
        IpAddr::V6(ip) => sum(&ip.octets()),
    };
    ip(source) + ip(destination) + u64::from(protocol) + len as u64
}

/// The sum of 16-bit words (RFC 1071), not folded.
fn sum(octets: &[u8]) -> u64 {
    let mut words = octets.chunks_exact(2);
    let whole: u64 = words.by_ref().map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    whole + words.remainder().first().map_or(0, |last| u64::from(*last) << 8)
}

fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
