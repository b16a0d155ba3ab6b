//! What the emulator reads and writes in a frame: length, ECN bits, flow, and ICMP answers.
//!
//! Decides which frames a link carries (IP, but not the kernel's search for neighbours) and what a router's complaint
//! looks like. Decides no packet's fate.

use tq_linkmodel::{Ecn, Packet};

#[cfg(test)]
mod tests;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Why a router complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The packet is longer than this many bytes of IP (RFC 792 and RFC 1191 §4, RFC 4443 §3.2).
    TooBig(u32),
    /// There is no way there (RFC 792, RFC 4443 §3.1).
    Unreachable,
}

/// The packet in a frame, as a link sees it; `None` if the link does not: what is not IP, broken, multicast, or the
/// search for neighbours.
pub fn packet(frame: &[u8]) -> Option<Packet> {
    let kind: [u8; 2] = frame.get(12..14)?.try_into().ok()?;
    let ip = frame.get(ETHERNET..)?;
    match kind {
        IPV4 => {
            let header = ip.get(..20)?;
            let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let head = usize::from(header[0] & 15) * 4;
            (len >= head && head >= 20 && len <= ip.len()).then_some(())?;
            let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
            let ports = if fragment == 0 { ports(header[9], ip.get(head..len)?) } else { 0 };
            Some(Packet {
                len: len as u32,
                ecn: Ecn::from_bits(header[1] & 3),
                flow: hash(&[&header[9..10], &header[12..20], &u32::to_be_bytes(ports)]),
            })
        }
        IPV6 => {
            let header = ip.get(..40)?;
            let len = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
            (len <= ip.len()).then_some(())?;
            let body = ip.get(40..len)?;
            let neighbours = header[6] == ICMPV6 && matches!(body.first(), Some(133..=137));
            (!neighbours && header[24] != 0xff).then_some(())?;
            Some(Packet {
                len: len as u32,
                ecn: Ecn::from_bits((header[1] >> 4) & 3),
                flow: hash(&[&header[6..7], &header[8..40], &u32::to_be_bytes(ports(header[6], body))]),
            })
        }
        _ => None,
    }
}

/// Source and destination port of TCP and UDP; 0 of others.
fn ports(protocol: u8, body: &[u8]) -> u32 {
    match (protocol, body) {
        (6 | 17, [a, b, c, d, ..]) => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

/// FNV-1a: tells flows apart; nobody here attacks it.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes the ECN bits of the packet in a frame that [`packet`] knew.
pub fn mark(frame: &mut [u8], ecn: Ecn) {
    let (v4, ip) = (frame[12..14] == IPV4, &mut frame[ETHERNET..]);
    if !v4 {
        ip[1] = ip[1] & !0x30 | ecn.bits() << 4;
        return;
    }
    ip[1] = ip[1] & !3 | ecn.bits();
    let head = usize::from(ip[0] & 15) * 4;
    ip[10..12].fill(0);
    let sum = checksum(&[&ip[..head]]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The Internet checksum (RFC 1071) of parts of even length, but for the last.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

/// What a router on the link answers to the frame's sender; `None` to what must not be answered (RFC 1122 §3.2.2,
/// RFC 4443 §2.4) and, for [`Complaint::TooBig`], to IPv4 packets that allow fragments: those just vanish.
pub fn complain(frame: &[u8], complaint: Complaint) -> Option<Vec<u8>> {
    packet(frame)?;
    let ip = &frame[ETHERNET..];
    let mut answer = Vec::with_capacity(600);
    answer.extend_from_slice(&frame[6..12]);
    answer.extend_from_slice(&frame[..6]);
    answer.extend_from_slice(&frame[12..14]);
    if frame[12..14] == IPV4 {
        complain_v4(ip, complaint, &mut answer)?
    } else {
        complain_v6(ip, complaint, &mut answer)?
    }
    Some(answer)
}

fn complain_v4(ip: &[u8], complaint: Complaint, answer: &mut Vec<u8>) -> Option<()> {
    let head = usize::from(ip[0] & 15) * 4;
    let len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let later_fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff != 0;
    let error = ip[9] == ICMP && !matches!(ip.get(head), Some(0 | 8));
    let may_fragment = ip[6] & 0x40 == 0;
    let (code, rest) = match complaint {
        Complaint::TooBig(mtu) => (4, mtu.min(0xffff)),
        Complaint::Unreachable => (1, 0),
    };
    if later_fragment || error || (code == 4 && may_fragment) {
        return None;
    }
    let quote = &ip[..len.min(head + 548)];
    let mut icmp = vec![3, code, 0, 0];
    icmp.extend_from_slice(&rest.to_be_bytes());
    icmp.extend_from_slice(quote);
    let sum = checksum(&[&icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut header = [0; 20];
    header[0] = 0x45;
    header[1] = 0xc0;
    header[2..4].copy_from_slice(&((20 + icmp.len()) as u16).to_be_bytes());
    header[8] = 64;
    header[9] = ICMP;
    // The router stands in the destination's network, under an address that nobody has there.
    header[12..16].copy_from_slice(&[ip[16], ip[17], ip[18], 254]);
    header[16..20].copy_from_slice(&ip[12..16]);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    answer.extend_from_slice(&header);
    answer.extend_from_slice(&icmp);
    Some(())
}

fn complain_v6(ip: &[u8], complaint: Complaint, answer: &mut Vec<u8>) -> Option<()> {
    let len = 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]));
    if ip[6] == ICMPV6 && ip.get(40).is_some_and(|kind| *kind < 128) {
        return None;
    }
    let (kind, rest) = match complaint {
        Complaint::TooBig(mtu) => (2, mtu),
        Complaint::Unreachable => (1, 0),
    };
    let quote = &ip[..len.min(1280 - 48)];
    let mut icmp = vec![kind, 0, 0, 0];
    icmp.extend_from_slice(&rest.to_be_bytes());
    icmp.extend_from_slice(quote);
    let mut source = [0; 16];
    source.copy_from_slice(&ip[24..40]);
    source[14..].copy_from_slice(&[0, 254]);
    let length = icmp.len() as u32;
    let pseudo = [length.to_be_bytes(), [0, 0, 0, ICMPV6]].concat();
    let sum = checksum(&[&source, &ip[8..24], &pseudo, &icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    answer.extend_from_slice(&[0x60, 0, 0, 0]);
    answer.extend_from_slice(&(length as u16).to_be_bytes());
    answer.extend_from_slice(&[ICMPV6, 64]);
    answer.extend_from_slice(&source);
    answer.extend_from_slice(&ip[8..24]);
    answer.extend_from_slice(&icmp);
    Some(())
}
