//! Names and addresses: which namespaces are a lab's own, and who is where in them.
//!
//! Decides that everything of a lab begins with `tqlab-`, so that nothing else is ever touched. Does nothing.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// What every namespace of every lab begins with.
pub const PREFIX: &str = "tqlab-";

/// A lab's name: 1 to 12 of a-z, 0-9 and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabName(String);

impl LabName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The namespace of one of its hosts.
    pub fn namespace(&self, host: Host) -> String {
        format!("{PREFIX}{}-{}", self.0, host.short())
    }
}

impl FromStr for LabName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        match (1..=12).contains(&text.len()) && text.chars().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err("a lab's name is 1 to 12 of a-z, 0-9 and _".into()),
        }
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host of a lab: a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A computer behind the router.
    Lan,
    /// The user's router: all WAN links begin here.
    Router,
    /// The links themselves; only the emulator lives here.
    Links,
    /// The network's end of all links.
    Server,
    /// A host that the server routes to.
    Internet,
}

impl Host {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Lan, Self::Router, Self::Links, Self::Server, Self::Internet];
    /// Where programs may be run.
    pub const OPEN: [Self; 4] = [Self::Lan, Self::Router, Self::Server, Self::Internet];

    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Router => "router",
            Self::Links => "links",
            Self::Server => "server",
            Self::Internet => "internet",
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Router => "rtr",
            Self::Links => "emu",
            Self::Server => "srv",
            Self::Internet => "net",
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::OPEN.into_iter().find(|host| host.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::OPEN.iter().map(|host| host.name()).collect();
            format!("a lab has no host {text:?}; its hosts are {}", names.join(", "))
        })
    }
}

/// A lab has at most so many links.
pub const MOST_LINKS: usize = 16;

/// The router's address on link `i`.
pub const fn user(i: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, i as u8, 1)
}

/// The server's address on link `i`.
pub const fn network(i: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, i as u8, 2)
}

/// The router's and the server's interface of link `i`.
pub fn wan(i: usize) -> String {
    format!("wan{i}")
}

/// The emulator's interfaces of link `i`: towards the router, towards the server.
pub fn ends(i: usize) -> [String; 2] {
    [format!("user{i}"), format!("net{i}")]
}

/// The host behind the router, and the router's address there.
pub const LAN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 77, 2), Ipv4Addr::new(192, 168, 77, 1)];
/// Their network, of 24 bits.
pub const LAN_NET: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 0);
/// The host behind the server, and the server's address there.
pub const INTERNET: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 2), Ipv4Addr::new(198, 51, 100, 1)];
