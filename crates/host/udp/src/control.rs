//! Control messages (`cmsg`): what travels beside a datagram, written and read as bytes.
//!
//! Decides the layout only: `{len: usize, level: i32, type: i32}` and the value, padded to a word, which is
//! the kernel's own ABI for any libc. Unknown messages are skipped, a malformed one ends the walk.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tq_wire::Ecn;

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

/// Room for every message [`Writer`] can be asked for (segment, traffic class, packet info).
pub(crate) const SEND_LEN: usize = 3 * HEADER + 8 + 8 + 24;
/// Room for every message a [`crate::Socket`] asks the kernel for, both families at once, and as much again.
pub(crate) const RECV_LEN: usize = 256;

/// A buffer at the alignment of `cmsghdr`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Control<const N: usize>(pub(crate) [u8; N]);

/// Builds the control bytes of one `sendmsg`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    buffer: Control<SEND_LEN>,
    len: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { buffer: Control([0; SEND_LEN]), len: 0 }
    }

    /// Asks for datagrams of `size` bytes (`UDP_SEGMENT`).
    pub(crate) fn segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }

    /// The ECN codepoint; the DSCP stays zero. `v4` is the family of the packet, not of the socket.
    pub(crate) fn ecn(&mut self, ecn: Ecn, v4: bool) {
        let (level, kind) =
            if v4 { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
        self.push(level, kind, &i32::from(ecn.bits()).to_ne_bytes());
    }

    /// The source address.
    pub(crate) fn source(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(ip) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer.0[..self.len]
    }

    fn push(&mut self, level: i32, kind: i32, value: &[u8]) {
        let (at, total) = (self.len, HEADER + value.len());
        let out = &mut self.buffer.0[at..];
        out[..WORD].copy_from_slice(&total.to_ne_bytes());
        out[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        out[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        out[HEADER..total].copy_from_slice(value);
        self.len = at + total.next_multiple_of(WORD);
    }
}

/// What the kernel said about one received train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) ecn: Ecn,
    /// Size of the datagrams of the train, if they were joined.
    pub(crate) segment: Option<usize>,
}

impl Received {
    /// Reads the control bytes of one received message.
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let mut found = Self { local_ip: None, ecn: Ecn::NotEct, segment: None };
        while let Some((level, kind, value, rest)) = split(bytes) {
            bytes = rest;
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    found.segment = word(value).and_then(|size| usize::try_from(size).ok());
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    found.ecn = value.first().map_or(found.ecn, |&tos| Ecn::from_bits(tos & 3));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    found.ecn = word(value).map_or(found.ecn, |class| Ecn::from_bits((class & 3) as u8));
                }
                // `ipi_spec_dst`: unlike the header's destination it is a local address even for broadcasts.
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    found.local_ip = part::<4>(value, 4).map(|ip| IpAddr::V4(Ipv4Addr::from(ip)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if found.local_ip.is_none() => {
                    let ip = part::<16>(value, 0).map(Ipv6Addr::from).filter(|ip| !ip.is_multicast());
                    found.local_ip = ip.map(|ip| IpAddr::V6(ip).to_canonical());
                }
                _ => {}
            }
        }
        found
    }
}

/// Level, type and value of the first message, and what follows it.
fn split(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let total = usize::from_ne_bytes(part(bytes, 0)?);
    let level = i32::from_ne_bytes(part(bytes, WORD)?);
    let kind = i32::from_ne_bytes(part(bytes, WORD + 4)?);
    let value = bytes.get(HEADER..total)?;
    let rest = bytes.get(total.next_multiple_of(WORD)..).unwrap_or_default();
    Some((level, kind, value, rest))
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn word(value: &[u8]) -> Option<i32> {
    part(value, 0).map(i32::from_ne_bytes)
}

#[cfg(test)]
mod tests;
