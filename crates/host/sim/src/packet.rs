//! Packets in the network: what is written on them, and the pool their bytes live in.
//!
//! A slot of the pool holds one packet from its birth to its end and keeps its memory for the next one. Decides
//! nothing about where packets go.

use std::net::SocketAddr;

use tq_linkmodel::{Delivery, Direction};
use tq_wire::Ecn;

mod wire;

pub(crate) use wire::write;

/// Hops a packet may take.
pub(crate) const TTL: u8 = 64;

/// What is written on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it says it comes from. Port 0 on ICMP messages.
    pub source: SocketAddr,
    /// Where it goes. Port 0 on ICMP messages.
    pub destination: SocketAddr,
    /// ECN field.
    pub ecn: Ecn,
    /// Routers it may still pass.
    pub ttl: u8,
    /// What it carries.
    pub kind: Kind,
}

impl Header {
    /// Bytes of the IP packet around a payload of `payload` bytes: IPv4 or IPv6 without options, UDP or ICMP with
    /// the headers of the packet it is about.
    pub const fn ip_len(&self, payload: usize) -> usize {
        let ip = if self.source.is_ipv4() { 20 } else { 40 };
        match self.kind {
            Kind::Udp => ip + 8 + payload,
            Kind::TooBig { .. } | Kind::Unreachable { .. } => ip + 8 + ip + 8,
        }
    }
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UDP datagram.
    Udp,
    /// ICMP: a datagram did not fit (RFC 792 type 3 code 4, RFC 4443 type 2).
    TooBig {
        /// The largest IP packet that would have.
        mtu: u32,
        /// The datagram it is about.
        about: Quote,
    },
    /// ICMP: a datagram could not be handed over (RFC 792 type 3, RFC 4443 type 1).
    Unreachable {
        /// Whether the host was reached but nothing listens there; else no route leads to it.
        port: bool,
        /// The datagram it is about.
        about: Quote,
    },
}

impl Kind {
    /// The datagram an ICMP message is about.
    pub(crate) fn about_mut(&mut self) -> Option<&mut Quote> {
        match self {
            Self::Udp => None,
            Self::TooBig { about, .. } | Self::Unreachable { about, .. } => Some(about),
        }
    }
}

/// The part of a datagram that an ICMP message repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Where the datagram said it came from.
    pub source: SocketAddr,
    /// Where it was going.
    pub destination: SocketAddr,
    /// Bytes of its payload.
    pub payload: u16,
}

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) header: Header,
    /// UDP payload.
    pub(crate) bytes: Vec<u8>,
    /// Hash of the flow.
    pub(crate) flow: u64,
    pub(crate) place: Place,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Nowhere: the slot is free.
    Free,
    /// On a node, which is about to send it (as program `process`, if it is one's) or to hand it over.
    Node { node: u32, process: u32 },
    /// On a link. Second copies are not asked about again.
    Link { link: u32, direction: Direction, delivery: Delivery, second: bool },
}

/// Packets by number.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Pool {
    /// A new packet with these bytes.
    #[inline]
    pub(crate) fn put(&mut self, header: Header, bytes: &[u8], place: Place) -> u32 {
        let flow = flow(&header);
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.bytes.clear();
            slot.bytes.extend_from_slice(bytes);
            (slot.header, slot.flow, slot.place) = (header, flow, place);
            return index;
        }
        self.slots.push(Slot { header, bytes: bytes.to_vec(), flow, place });
        (self.slots.len() - 1) as u32
    }

    /// Another packet like packet `index`.
    pub(crate) fn copy(&mut self, index: u32, place: Place) -> u32 {
        let slot = &mut self.slots[index as usize];
        let (header, bytes) = (slot.header, std::mem::take(&mut slot.bytes));
        let copy = self.put(header, &bytes, place);
        self.slots[index as usize].bytes = bytes;
        copy
    }

    /// The packet has come to its end.
    #[inline]
    pub(crate) fn free(&mut self, index: u32) {
        self.slots[index as usize].place = Place::Free;
        self.free.push(index);
    }

    /// Packets that have not.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !matches!(slot.place, Place::Free))
    }
}

/// A number for the flow a packet belongs to: a hash of both addresses and ports.
#[inline]
pub(crate) fn flow(header: &Header) -> u64 {
    let half = |end: SocketAddr| {
        let ip = match end.ip() {
            std::net::IpAddr::V4(ip) => u128::from(ip.to_bits()),
            std::net::IpAddr::V6(ip) => ip.to_bits(),
        };
        mix(ip as u64 ^ mix((ip >> 64) as u64 ^ u64::from(end.port())))
    };
    mix(half(header.source).rotate_left(1) ^ half(header.destination))
}

/// Spreads a number over 64 bits (the finaliser of SplitMix64).
#[inline]
pub(crate) const fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
