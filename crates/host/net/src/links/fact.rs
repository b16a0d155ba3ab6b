//! What a message of the kernel says about interfaces, addresses and default routes.
//!
//! Decides which messages matter; others, and those that make no sense, say nothing. Shapes: `ifinfomsg`, `ifaddrmsg`,
//! `rtmsg`, `rtnexthop` of `linux/rtnetlink.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::kind::Marks;
use crate::netlink::{Message, attributes, attributes_after, i32_at, text, u16_at, u32_at};

#[cfg(test)]
mod tests;

/// One thing the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An interface is there, like this.
    Interface(Interface),
    /// The interface of this number is gone.
    InterfaceGone(u32),
    /// An interface has an address.
    Address(u32, Address),
    /// An interface lost an address.
    AddressGone(u32, IpAddr),
    /// There is a default route through an interface.
    Route(u32, Route),
    /// There is none like this any more.
    RouteGone(u32, Route),
    /// A next hop is gone, with all routes over it.
    NextHopGone,
    /// The default routes of this protocol, table and metric made room for the one that is told next.
    RoutesReplaced {
        /// For IPv6.
        v6: bool,
        /// The routing table.
        table: u32,
        /// The metric.
        metric: u32,
    },
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub device: String,
    /// The administrator wants it up.
    pub up: bool,
    /// What is at its other end answers.
    pub carrier: bool,
    /// What tells its kind, without what `/sys` knows.
    pub marks: Marks,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// It can be sent from and is not for one link only.
    pub usable: bool,
    /// Others are to be preferred.
    pub deprecated: bool,
}

/// A default route. Two that differ in any field can stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Lower is preferred.
    pub metric: u32,
    /// For IPv6.
    pub v6: bool,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The routing table.
    pub table: u32,
    /// The address that the route sends from; it goes when that goes.
    pub source: Option<IpAddr>,
}

const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
const RTNEXTHOP: usize = 8;
/// From `linux/rtnetlink.h`.
const RTM_DELNEXTHOP: u16 = 105;
/// The interface of a next hop is down.
const RTNH_F_DEAD: u8 = 1;
/// `IF_OPER_UNKNOWN` and `IF_OPER_UP` (RFC 2863 §3.1.14): interfaces that do not tell, and those that can carry.
const CARRYING: [u8; 2] = [0, 6];

/// Adds what `message` says to `facts`.
pub(crate) fn read(message: &Message<'_>, facts: &mut Vec<Fact>) {
    let body = message.body;
    match message.kind {
        libc::RTM_NEWLINK => facts.extend(interface(body).map(Fact::Interface)),
        libc::RTM_DELLINK => facts.extend(gone(body).map(Fact::InterfaceGone)),
        libc::RTM_NEWADDR => {
            facts.extend(address(body).map(|(index, address)| Fact::Address(index, address)))
        }
        libc::RTM_DELADDR => {
            facts.extend(address(body).map(|(index, address)| Fact::AddressGone(index, address.ip)));
        }
        libc::RTM_NEWROUTE => {
            let mut replaces = i32::from(message.flags) & libc::NLM_F_REPLACE != 0;
            routes(body, |index, route| {
                // Nobody says that the old ones are gone.
                if std::mem::take(&mut replaces) {
                    let Route { v6, table, metric, .. } = route;
                    facts.push(Fact::RoutesReplaced { v6, table, metric });
                }
                facts.push(Fact::Route(index, route));
            });
        }
        RTM_DELNEXTHOP => facts.push(Fact::NextHopGone),
        libc::RTM_DELROUTE => routes(body, |index, route| facts.push(Fact::RouteGone(index, route))),
        _ => {}
    }
}

fn number(body: &[u8]) -> Option<u32> {
    i32_at(body, 4).and_then(|index| u32::try_from(index).ok()).filter(|index| *index > 0)
}

/// The interface that is gone. Bridges send such messages about ports that only leave them.
fn gone(body: &[u8]) -> Option<u32> {
    number(body).filter(|_| body[0] == libc::AF_UNSPEC as u8)
}

fn interface(body: &[u8]) -> Option<Interface> {
    let index = number(body).filter(|_| body[0] == libc::AF_UNSPEC as u8)?;
    let flags = u32_at(body, 8)?;
    let has = |flag: i32| flags & flag as u32 != 0;
    let mut device = None;
    let mut carrying = true;
    let mut marks =
        Marks { hardware: u16_at(body, 2)?, loopback: has(libc::IFF_LOOPBACK), ..Marks::default() };
    for (kind, value) in attributes_after(body, IFINFOMSG) {
        match kind {
            libc::IFLA_IFNAME => device = text(value),
            libc::IFLA_OPERSTATE => carrying = value.first().is_some_and(|state| CARRYING.contains(state)),
            // News of a radio, without the state of its interface.
            libc::IFLA_WIRELESS => return None,
            libc::IFLA_LINKINFO => {
                let made = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                marks.made_by = made.and_then(|(_, value)| text(value));
            }
            _ => {}
        }
    }
    let carrier = has(libc::IFF_LOWER_UP) && carrying;
    Some(Interface { index, device: device?, up: has(libc::IFF_UP), carrier, marks })
}

fn address(body: &[u8]) -> Option<(u32, Address)> {
    let v6 = family(body)?;
    let index = u32_at(body, 4).filter(|index| *index > 0)?;
    let mut flags = u32::from(body[2]);
    let (mut local, mut peer) = (None, None);
    for (kind, value) in attributes_after(body, IFADDRMSG) {
        match kind {
            libc::IFA_LOCAL => local = ip(v6, value),
            libc::IFA_ADDRESS => peer = ip(v6, value),
            libc::IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // On point to point interfaces IFA_ADDRESS is the other end.
    let ip = local.or(peer)?;
    let tentative = flags & libc::IFA_F_TENTATIVE != 0 && flags & libc::IFA_F_OPTIMISTIC == 0;
    let failed = flags & libc::IFA_F_DADFAILED != 0;
    let usable = !tentative && !failed && far_reaching(ip) && body[3] < libc::RT_SCOPE_LINK;
    Some((index, Address { ip, usable, deprecated: flags & libc::IFA_F_DEPRECATED != 0 }))
}

/// Whether packets from this address find back from beyond the next router.
fn far_reaching(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast())
        }
    }
}

/// Whether a message is about IPv6; nothing if it is about neither protocol.
fn family(body: &[u8]) -> Option<bool> {
    match i32::from(*body.first()?) {
        libc::AF_INET => Some(false),
        libc::AF_INET6 => Some(true),
        _ => None,
    }
}

pub(crate) fn ip(v6: bool, bytes: &[u8]) -> Option<IpAddr> {
    if v6 {
        <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into())
    } else {
        <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into())
    }
}

/// The default routes a message speaks of: one for each interface they go through.
fn routes(body: &[u8], mut each: impl FnMut(u32, Route)) {
    let Some(v6) = family(body) else { return };
    let &[_, length, _, _, table, _, _, kind, ..] = body else { return };
    let Some(flags) = u32_at(body, 8) else { return };
    let dead = flags & (libc::RTM_F_CLONED | u32::from(RTNH_F_DEAD)) != 0;
    if length != 0 || kind != libc::RTN_UNICAST || dead {
        return;
    }
    let mut route = Route { metric: 0, v6, gateway: None, table: table.into(), source: None };
    let (mut index, mut hops) = (None, None);
    for (kind, value) in attributes_after(body, RTMSG) {
        match kind {
            libc::RTA_OIF => index = u32_at(value, 0),
            libc::RTA_GATEWAY => route.gateway = ip(v6, value),
            libc::RTA_VIA => route.gateway = via(value),
            libc::RTA_PRIORITY => route.metric = u32_at(value, 0).unwrap_or(0),
            libc::RTA_TABLE => route.table = u32_at(value, 0).unwrap_or(route.table),
            libc::RTA_PREFSRC => route.source = ip(v6, value),
            libc::RTA_MULTIPATH => hops = Some(value),
            _ => {}
        }
    }
    if let Some(index) = index.filter(|index| *index > 0) {
        each(index, route);
    }
    next_hops(hops.unwrap_or_default(), |index, hop| {
        let gateway = attributes_after(hop, RTNEXTHOP).find_map(|(kind, value)| match kind {
            libc::RTA_GATEWAY => ip(v6, value),
            libc::RTA_VIA => via(value),
            _ => None,
        });
        each(index, Route { gateway, ..route });
    });
}

/// The next hops of a route over several interfaces.
fn next_hops(mut bytes: &[u8], mut each: impl FnMut(u32, &[u8])) {
    while let Some(len) = u16_at(bytes, 0).map(usize::from) {
        let Some(hop) = bytes.get(..len).filter(|hop| hop.len() >= RTNEXTHOP) else { return };
        let dead = hop[2] & RTNH_F_DEAD != 0;
        if let Some(index) = number(hop).filter(|_| !dead) {
            each(index, hop);
        }
        bytes = bytes.get(crate::netlink::aligned(len)..).unwrap_or_default();
    }
}

/// A next hop of the other protocol: `rtvia` is a family, then the address.
fn via(value: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16_at(value, 0)?);
    ip(family == libc::AF_INET6, value.get(2..)?)
}
