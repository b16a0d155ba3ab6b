//! What is to be different on the machine while connections of a local network are taken.
//!
//! Decides marks, tables, priorities and the nft table. A connection's first packet, coming in from the local network,
//! gets a mark that leads it into the TUN interface; written back there, TPROXY gives it to the listener with another
//! mark, and so the rest of the connection. Packets that come from elsewhere are never marked. No I/O.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::SetupError;
use super::step::{LAST, MASK, Route, Rule, Step, To};

#[cfg(test)]
mod tests;

/// The kernel's main table.
const MAIN: u32 = 254;
const _: () = assert!(LAST < u32::MAX);

/// What is to be different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Interfaces that connections are taken from.
    pub lan: Vec<String>,
    /// The TUN interface, which exists before the plan is applied.
    pub tun: String,
    /// The port of the listener on 127.0.0.1.
    pub port_v4: u16,
    /// The port of the listener on ::1. None: IPv6 is left alone.
    pub port_v6: Option<u16>,
    /// Destinations that are left alone, beside those that the main table knows a route to that is no default route.
    pub direct: Vec<Prefix>,
    /// Where new connections go while none are taken.
    pub without: Without,
}

/// Where new connections go while nobody takes them: while the daemon says so, and after it was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Without {
    /// As if we were not there.
    #[default]
    Direct,
    /// Nowhere: the sender is told that there is no route.
    Block,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Its first address.
    pub ip: IpAddr,
    /// Bits that all addresses share.
    pub bits: u8,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

/// Marks and tables of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// To the listener.
    pub(super) proxy: (u32, u32),
    /// Into the TUN interface.
    pub(super) tunnel: (u32, u32),
    /// The first rule.
    priority: u32,
}

impl Own {
    fn new(index: u8) -> Self {
        let n = u32::from(index);
        Self { proxy: (1 + 2 * n, 100 + 2 * n), tunnel: (2 + 2 * n, 101 + 2 * n), priority: 10_000 + 100 * n }
    }
}

/// Highest index: its tables stay below the kernel's own.
const MOST: u8 = 63;

/// The name of an instance's nft table.
fn table(index: u8) -> String {
    if index == 0 { "tquic".into() } else { format!("tquic{index}") }
}

impl Plan {
    pub(super) fn own(&self, index: u8) -> Own {
        Own::new(index.min(MOST))
    }

    /// Whether it can be carried out at all.
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let wrong = |text: String| Err(SetupError::Plan(text));
        if self.lan.is_empty() {
            return wrong(
                "there is no interface to take connections from: name one in [lan] interfaces".into(),
            );
        }
        if let Some(name) = self.lan.iter().chain([&self.tun]).find(|name| !is_name(name)) {
            return wrong(format!("{name:?} is no name of an interface: 1 to 15 of A-Z a-z 0-9 . _ - @ +"));
        }
        if self.lan.contains(&self.tun) {
            return wrong(format!("{} is the TUN interface: connections cannot be taken from it", self.tun));
        }
        let bad = |prefix: &&Prefix| prefix.bits > if prefix.ip.is_ipv4() { 32 } else { 128 };
        if let Some(prefix) = self.direct.iter().find(bad) {
            return wrong(format!("{prefix} is no range of addresses"));
        }
        Ok(())
    }

    fn families(&self) -> impl Iterator<Item = bool> + use<> {
        [false, true].into_iter().take(1 + usize::from(self.port_v6.is_some()))
    }

    /// All changes, in their order: what traffic is taken comes last. `sysctl` tells a value, or that there is none.
    pub(super) fn steps(&self, index: u8, sysctl: &dyn Fn(&str) -> Option<String>) -> Vec<Step> {
        let own = self.own(index);
        let mut steps = self.sysctls(sysctl);
        for v6 in self.families() {
            let rule = |offset, (mark, _): (u32, u32), table, no_default| {
                Step::Rule(Rule { v6, priority: own.priority + offset, mark, table, no_default })
            };
            steps.push(Step::Route(Route { v6, table: own.proxy.1, to: To::Local }));
            if self.without == Without::Block {
                steps.push(Step::Route(Route { v6, table: own.tunnel.1, to: To::Nowhere }));
            }
            steps.push(rule(0, own.tunnel, MAIN, true));
            steps.push(rule(10, own.proxy, own.proxy.1, false));
            steps.push(rule(20, own.tunnel, own.tunnel.1, false));
        }
        steps.extend(self.tunnel_routes(index).map(Step::Route));
        steps.push(Step::Nft { table: table(index), script: self.script(index) });
        steps
    }

    /// The routes that lead into the TUN interface.
    pub(super) fn tunnel_routes(&self, index: u8) -> impl Iterator<Item = Route> + use<> {
        let (table, tun) = (self.own(index).tunnel.1, self.tun.clone());
        self.families().map(move |v6| Route { v6, table, to: To::Device(tun.clone()) })
    }

    /// The local network's interfaces have to forward.
    fn sysctls(&self, sysctl: &dyn Fn(&str) -> Option<String>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut want = |key: String, now: &str| {
            if let Some(was) = sysctl(&key).filter(|was| was != now) {
                steps.push(Step::Sysctl { key, was, now: now.into() });
            }
        };
        let all = "net/ipv6/conf/all/forwarding";
        let forwards = self.port_v6.is_none() || sysctl(all).is_none_or(|value| value != "0");
        let singly = sysctl("net/ipv6/conf/default/force_forwarding").is_some();
        for device in &self.lan {
            want(format!("net/ipv4/conf/{device}/forwarding"), "1");
            if singly && !forwards {
                want(format!("net/ipv6/conf/{device}/force_forwarding"), "1");
            }
        }
        let everywhere = !singly && !forwards;
        if everywhere {
            steps.extend(forward_everywhere(sysctl));
        }
        steps
    }

    /// Our table of nft, in place of an older one.
    fn script(&self, index: u8) -> String {
        let name = table(index);
        let lan: Vec<String> = self.lan.iter().map(|device| format!("\"{device}\"")).collect();
        let (lan, tun, direct4, direct6) = (lan.join(", "), &self.tun, self.set(false), self.set(true));
        let own = self.own(index);
        let mark = |(mark, _): (u32, u32)| format!("meta mark set meta mark & {:#x} | {mark:#x}", !MASK);
        let (proxy, tunnel) = (mark(own.proxy), mark(own.tunnel));
        let mut listeners = format!(
            "meta nfproto ipv4 meta l4proto tcp tproxy ip to 127.0.0.1:{} {proxy} accept",
            self.port_v4
        );
        // Without a listener, IPv6 is not ours to look at.
        let mut family = "meta nfproto ipv4 ";
        if let Some(port) = self.port_v6 {
            family = "";
            // Writing to a string does not fail.
            let _ = write!(
                listeners,
                "\n    meta nfproto ipv6 meta l4proto tcp tproxy ip6 to [::1]:{port} {proxy} accept"
            );
        }
        format!(
            "table inet {name}
delete table inet {name}
table inet {name} {{
  set direct4 {{
    type ipv4_addr
    flags interval
    auto-merge{direct4}
  }}
  set direct6 {{
    type ipv6_addr
    flags interval
    auto-merge{direct6}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle
    policy accept
    iifname \"{tun}\" meta l4proto tcp jump back
    iifname {{ {lan} }} {family}meta l4proto tcp jump lan
  }}
  chain back {{
    tcp flags & (fin | syn | rst | ack) != syn return
    {listeners}
  }}
  chain lan {{
    tcp flags & (fin | syn | rst | ack) != syn socket transparent 1 {proxy} accept
    tcp flags & (fin | syn | rst | ack) != syn return
    fib daddr type {{ local, broadcast, anycast, multicast }} return
    ip daddr @direct4 return
    ip6 daddr @direct6 return
    {tunnel}
  }}
}}
"
        )
    }

    /// The elements of a set of direct destinations.
    fn set(&self, v6: bool) -> String {
        let ranges = self.direct.iter().filter(|prefix| prefix.ip.is_ipv6() == v6);
        let ranges: Vec<String> = ranges.map(Prefix::to_string).collect();
        if ranges.is_empty() {
            String::new()
        } else {
            format!("\n    elements = {{ {} }}", ranges.join(", "))
        }
    }
}

/// Kernels before 6.17 forward IPv6 on all interfaces or on none. An interface that forwards takes no advertisements of
/// routers, so those that did are told to go on with it; and when it is undone, those that forwarded by themselves do.
fn forward_everywhere(sysctl: &dyn Fn(&str) -> Option<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    let devices = sysctl("net/ipv6/conf").unwrap_or_default();
    // The default is for interfaces that come later.
    for device in devices.split(' ').filter(|device| is_name(device)).chain(["default"]) {
        let accept = format!("net/ipv6/conf/{device}/accept_ra");
        if sysctl(&accept).as_deref() == Some("1") {
            steps.push(Step::Sysctl { key: accept, was: "1".into(), now: "2".into() });
        }
        let key = format!("net/ipv6/conf/{device}/forwarding");
        if sysctl(&key).as_deref() == Some("1") {
            steps.push(Step::Keep { key, was: "1".into(), then: "0".into() });
        }
    }
    steps.push(Step::Sysctl { key: "net/ipv6/conf/all/forwarding".into(), was: "0".into(), now: "1".into() });
    steps
}

/// Names of interfaces that can stand in paths, scripts and journals as they are.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    (1..crate::sys::NAME).contains(&name.len())
        && name.bytes().all(allowed)
        && !["all", "default", ".", ".."].contains(&name)
}
