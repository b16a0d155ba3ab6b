//! Which addresses a tenant may reach from the server.
//!
//! Asked about the address that is about to be dialled, never about a name. Rules of the operator come first; without one,
//! the server itself, its link and what is not one host are out of bounds, in whatever form they are written.

use std::fmt;
use std::fs::read_to_string;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

/// `ADDRESS[/PREFIX] [port N[-M]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    net: IpAddr,
    prefix: u8,
    ports: (u16, u16),
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no rule: ADDRESS[/PREFIX] [port N[-M]], such as \"10.0.0.0/8 port 80\"");
        let mut words = text.split_whitespace();
        let net = words.next().ok_or_else(wrong)?;
        let (ip, prefix) = match net.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (net, None),
        };
        let net: IpAddr = ip.parse().map_err(|_| wrong())?;
        let most = if net.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        let ports = match (words.next(), words.next(), words.next()) {
            (None, ..) => (0, u16::MAX),
            (Some("port"), Some(range), None) => {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?)
            }
            _ => return Err(wrong()),
        };
        if prefix > most || ports.0 > ports.1 {
            return Err(wrong());
        }
        Ok(Self { net, prefix, ports })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.net, self.prefix)?;
        match self.ports {
            (0, u16::MAX) => Ok(()),
            (from, to) if from == to => write!(f, " port {from}"),
            (from, to) => write!(f, " port {from}-{to}"),
        }
    }
}

impl Rule {
    fn covers(&self, addr: SocketAddr) -> bool {
        let inside = match (self.net, addr.ip()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same(net.to_bits().into(), ip.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same(net.to_bits(), ip.to_bits(), 128, self.prefix),
            _ => false,
        };
        inside && (self.ports.0..=self.ports.1).contains(&addr.port())
    }
}

/// Whether the first `prefix` of `bits` bits are the same.
fn same(a: u128, b: u128, bits: u8, prefix: u8) -> bool {
    (a ^ b).checked_shr((bits - prefix).into()).unwrap_or(0) == 0
}

/// What may be dialled.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Allowed whatever else is said.
    pub allow: Vec<Rule>,
    /// Forbidden unless allowed.
    pub deny: Vec<Rule>,
    /// Addresses of the server that its interfaces may not know, such as the one a NAT in front of it has.
    pub own: Vec<IpAddr>,
}

impl Egress {
    /// Whether a tenant may connect to this address.
    pub fn allows(&self, addr: SocketAddr) -> bool {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let covered = |rules: &[Rule]| rules.iter().any(|rule| rule.covers(addr));
        if covered(&self.allow) {
            return true;
        }
        let denied = |ip: IpAddr| self.own.contains(&ip) || is_special(ip) || is_ours(ip);
        !covered(&self.deny) && !denied(addr.ip()) && !inner_v4(addr.ip()).is_some_and(|ip| denied(ip.into()))
    }
}

/// Not a host out there: this one, this link, a group, nobody, or where clouds keep credentials.
fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || ip == Ipv4Addr::new(100, 100, 100, 200)
                || ip == Ipv4Addr::new(168, 63, 129, 16)
                || (a, b) == (192, 0) && ip.octets()[2] == 0
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unicast_link_local()
                || ip.segments()[0] & 0xffc0 == 0xfec0
                || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

/// Whether an interface of this host has the address: then a socket can be bound to it. Where the host lets sockets be bound to
/// any address (`ip_nonlocal_bind`), its tables are read instead.
fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok() && (!binds_any(ip) || in_tables(ip))
}

fn binds_any(ip: IpAddr) -> bool {
    let file = match ip {
        IpAddr::V4(_) => "/proc/sys/net/ipv4/ip_nonlocal_bind",
        IpAddr::V6(_) => "/proc/sys/net/ipv6/ip_nonlocal_bind",
    };
    read_to_string(file).is_ok_and(|text| text.trim() != "0")
}

/// Says yes if it cannot be found out.
fn in_tables(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => read_to_string("/proc/net/fib_trie").map_or(true, |text| trie_has(&text, ip)),
        IpAddr::V6(ip) => read_to_string("/proc/net/if_inet6").map_or(true, |text| inet6_has(&text, ip)),
    }
}

/// `/proc/net/fib_trie`: a line with the address, then lines that say what it is.
fn trie_has(text: &str, ip: Ipv4Addr) -> bool {
    let leaf = format!("|-- {ip}");
    let mut here = false;
    text.lines().any(|line| {
        let line = line.trim();
        if line.starts_with("|--") || line.starts_with("+--") {
            here = line == leaf;
        }
        here && line == "/32 host LOCAL"
    })
}

/// `/proc/net/if_inet6`: lines that begin with the address, in 32 digits.
fn inet6_has(text: &str, ip: Ipv6Addr) -> bool {
    let digits = format!("{:032x}", ip.to_bits());
    text.lines().any(|line| line.starts_with(&digits))
}

/// The IPv4 address that translators and tunnels would take out of an IPv6 address.
fn inner_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let s = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match s {
        // NAT64 (RFC 6052, RFC 8215), IPv4-compatible (RFC 4291 §2.5.5.1), SIIT (RFC 2765)
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(join(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        // 6to4 (RFC 3056), Teredo (RFC 4380 §4), ISATAP (RFC 5214 §6.1)
        [0x2002, high, low, ..] => Some(join(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(join(!high, !low)),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
