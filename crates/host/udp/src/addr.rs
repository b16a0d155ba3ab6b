//! Socket addresses in the kernel's layout, written and read as bytes.
//!
//! Decides that an IPv4 peer is always an IPv4 `SocketAddr`, whatever the family of the socket: mapped
//! addresses (`::ffff:a.b.c.d`) exist only between here and the kernel. Never resolves or validates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of the largest address kept, `sockaddr_in6`.
pub(crate) const NAME_LEN: usize = 28;
const V4_LEN: usize = 16;

/// The family of a socket, which fixes the layout of the addresses it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Name(pub(crate) [u8; NAME_LEN]);

impl Name {
    pub(crate) const EMPTY: Self = Self([0; NAME_LEN]);

    /// The bytes for `remote` on a socket of `family`, and how many of them count. `None` if an IPv6 address
    /// is asked of an IPv4 socket.
    pub(crate) fn encode(remote: SocketAddr, family: Family) -> Option<(Self, usize)> {
        let mut name = Self::EMPTY;
        match (remote, family) {
            (SocketAddr::V4(to), Family::V4) => {
                name.put(0, &(libc::AF_INET as u16).to_ne_bytes());
                name.put(2, &to.port().to_be_bytes());
                name.put(4, &to.ip().octets());
                Some((name, V4_LEN))
            }
            (SocketAddr::V4(to), Family::V6) => {
                name.put_v6(SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0));
                Some((name, NAME_LEN))
            }
            (SocketAddr::V6(to), Family::V6) => {
                name.put_v6(to);
                Some((name, NAME_LEN))
            }
            (SocketAddr::V6(to), Family::V4) => {
                let v4 = to.ip().to_ipv4_mapped()?;
                Self::encode(SocketAddr::V4(SocketAddrV4::new(v4, to.port())), family)
            }
        }
    }

    /// The address the kernel wrote, mapped addresses as IPv4. `None` for any other family.
    pub(crate) fn decode(&self, len: usize) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.at(2));
        match i32::from(u16::from_ne_bytes(self.at(0))) {
            libc::AF_INET if len >= V4_LEN => {
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(self.at::<4>(4))), port))
            }
            libc::AF_INET6 if len >= NAME_LEN => {
                let ip = Ipv6Addr::from(self.at::<16>(8));
                if let Some(v4) = ip.to_ipv4_mapped() {
                    return Some(SocketAddr::new(IpAddr::V4(v4), port));
                }
                let flow = u32::from_ne_bytes(self.at(4));
                let scope = u32::from_ne_bytes(self.at(24));
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => None,
        }
    }

    fn put_v6(&mut self, to: SocketAddrV6) {
        self.put(0, &(libc::AF_INET6 as u16).to_ne_bytes());
        self.put(2, &to.port().to_be_bytes());
        self.put(4, &to.flowinfo().to_ne_bytes());
        self.put(8, &to.ip().octets());
        self.put(24, &to.scope_id().to_ne_bytes());
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }
}

/// The same address, IPv4 if it was a mapped one; scope and flow label of others stay.
pub(crate) fn normal(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        v4 @ IpAddr::V4(_) => SocketAddr::new(v4, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

#[cfg(test)]
mod tests;
