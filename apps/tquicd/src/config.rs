//! From what was typed to what is meant.
//!
//! [`raw`] is the file as TOML; here it becomes a [`Config`], with every default filled in. Decides what a configuration may
//! say, and names file, line and key of what it may not.

mod error;
mod link;
mod rate;
mod raw;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use link::{Begins, Cost, Link, Match, Terms};
pub use rate::Rate;
use tq::quic::cc::Algorithm;
use tq::quic::sched::Kind;
use tq_identity::{Name, Token};
use tq_tunnel::{Egress, Rule};

#[cfg(test)]
mod tests;

/// What a daemon is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The daemon's name: the file's, without `.toml`.
    pub name: Name,
    /// The file.
    pub file: PathBuf,
    /// Which end of the bond.
    pub role: Role,
    /// Folder of what is kept.
    pub state: PathBuf,
    /// Where tools ask.
    pub control: PathBuf,
    /// Where scrapers ask.
    pub metrics: Option<SocketAddr>,
    /// How this end sends.
    pub transport: Transport,
}

/// How an end of the bond sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Which path data goes on; none: the library's default.
    pub scheduler: Option<Kind>,
    /// How fast; `auto` unless told.
    pub congestion: Algorithm,
}

/// Which end of the bond.
#[derive(Clone, Debug)]
pub enum Role {
    /// Lets devices in and connects for them.
    Server(Server),
    /// Brings programs' connections to a server.
    Router(Router),
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// UDP addresses, at least one.
    pub listen: Vec<SocketAddr>,
    /// Where routers find it: goes into tokens.
    pub addresses: Vec<IpAddr>,
    /// At which port.
    pub port: u16,
    /// What tenants may reach.
    pub egress: Egress,
    /// Sessions at a time.
    pub max_sessions: usize,
}

/// A router.
#[derive(Clone, Debug)]
pub struct Router {
    /// Holds the join token; needed until it has joined.
    pub token_file: Option<PathBuf>,
    /// Its links. None, and nothing that matches: every interface with a default route of its own is one.
    pub links: Vec<Link>,
    /// Interfaces with a default route of their own that are links, too; the first that matches says how.
    pub matches: Vec<Match>,
    /// Virtual interfaces that may be links all the same, and interfaces that may not, as patterns.
    pub select: (Vec<String>, Vec<String>),
    /// SOCKS5 listeners.
    pub socks5: Vec<SocketAddr>,
    /// HTTP CONNECT listeners.
    pub http: Vec<SocketAddr>,
    /// The local network whose connections are taken.
    pub lan: Option<Lan>,
    /// Programs' connections at a time, each listener.
    pub max_connections: usize,
}

/// A local network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    /// Its interfaces, at least one.
    pub interfaces: Vec<String>,
    /// Where new connections go while there is no session.
    pub without: Without,
    /// Which of several daemons on this machine this is.
    pub instance: u8,
}

/// Where new connections of the local network go while there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// As if there were no bond.
    Direct,
    /// Nowhere.
    Block,
}

impl std::str::FromStr for Without {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "direct" => Ok(Self::Direct),
            "block" => Ok(Self::Block),
            _ => Err("expected `direct` or `block`".into()),
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says what cannot be: see [`ConfigError`].
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError::unreadable(file, &error))?;
        Self::parse(file, &text)
    }

    /// As [`Config::load`], of a text that stands for the file.
    ///
    /// # Errors
    /// As there.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: raw::File = toml::from_str(text).map_err(|error| ConfigError::of(file, text, &error))?;
        let whole = |why: String| ConfigError::whole(file, why);
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name: Name =
            stem.parse().map_err(|why| whole(format!("the file's name is the daemon's, but {why}")))?;
        let state = raw.state.clone().unwrap_or_else(|| "/var/lib/tquic".into());
        let transport = raw.transport.clone().unwrap_or_default();
        let transport = Transport {
            scheduler: transport.scheduler.map(|kind| kind.0),
            congestion: transport.congestion.map_or(Algorithm::Auto, |algorithm| algorithm.0),
        };
        let control = raw.control.clone().unwrap_or_default().socket;
        Ok(Self {
            file: file.into(),
            state,
            control: control.unwrap_or_else(|| tq_control::socket_path(name.as_str())),
            metrics: raw.metrics.clone().and_then(|metrics| metrics.listen).map(|listen| listen.0),
            transport,
            role: role(raw).map_err(whole)?,
            name,
        })
    }
}

fn role(raw: raw::File) -> Result<Role, String> {
    match (raw.server, raw.router) {
        (Some(_), Some(_)) => {
            Err("has [server] and [router]: a daemon is one of them, write two files".into())
        }
        (None, None) => Err("has neither [server] nor [router]: add one".into()),
        (Some(server), None) => {
            if raw.link.is_some() || raw.tcp.is_some() || raw.lan.is_some() {
                return Err("[[link]], [tcp] and [lan] are for routers, this has [server]".into());
            }
            self::server(server, raw.egress.unwrap_or_default()).map(Role::Server)
        }
        (None, Some(router)) => {
            if raw.egress.is_some() {
                return Err("[egress] is for servers, this has [router]".into());
            }
            let (links, tcp) = (raw.link.unwrap_or_default(), raw.tcp.unwrap_or_default());
            self::router(router, links, tcp, raw.lan).map(Role::Router)
        }
    }
}

fn server(server: raw::Server, egress: raw::Egress) -> Result<Server, String> {
    let listen: Vec<SocketAddr> = match server.listen {
        Some(listen) => listen.into_iter().map(|addr| addr.0).collect(),
        None => vec![(Ipv6Addr::UNSPECIFIED, 443).into()],
    };
    let first = *listen.first().ok_or("[server] listen is empty: name an address")?;
    let addresses: Vec<IpAddr> = server.addresses.into_iter().map(|addr| addr.0).collect();
    if addresses.is_empty() || addresses.len() > Token::MAX_ADDRESSES {
        return Err(format!(
            "[server] addresses: expected 1 to {} at which routers find this server, such as [\"203.0.113.7\"]",
            Token::MAX_ADDRESSES
        ));
    }
    if let Some(addr) = addresses.iter().find(|addr| addr.is_unspecified() || addr.is_multicast()) {
        return Err(format!("[server] addresses: routers cannot find {addr}"));
    }
    let max_sessions = server.max_sessions.unwrap_or(1024);
    if max_sessions == 0 {
        return Err("[server] max_sessions: 0 lets nobody in, expected 1 or more".into());
    }
    let rules = |rules: Vec<raw::Text<Rule>>| rules.into_iter().map(|rule| rule.0).collect();
    Ok(Server {
        port: server.port.unwrap_or(first.port()),
        egress: Egress { allow: rules(egress.allow), deny: rules(egress.deny), own: addresses.clone() },
        max_sessions,
        listen,
        addresses,
    })
}

fn router(
    router: raw::Router,
    links: Vec<raw::Link>,
    tcp: raw::Tcp,
    lan: Option<raw::Lan>,
) -> Result<Router, String> {
    let (links, matches) = link::links(links)?;
    let lan = lan.map(|lan| Lan {
        interfaces: lan.interfaces,
        without: lan.without.map_or(Without::Direct, |without| without.0),
        instance: lan.instance,
    });
    if lan.as_ref().is_some_and(|lan| lan.interfaces.is_empty()) {
        return Err("[lan] interfaces is empty: name at least one, or leave [lan] out".into());
    }
    let addrs = |addrs: Vec<raw::Text<SocketAddr>>| addrs.into_iter().map(|addr| addr.0).collect();
    Ok(Router {
        token_file: router.token_file,
        links,
        matches,
        socks5: addrs(tcp.socks5),
        http: addrs(tcp.http),
        lan,
        select: (router.allow, router.deny),
        max_connections: tcp.max_connections.unwrap_or(1024),
    })
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: right", self.file.display())?;
        writeln!(
            f,
            "  name {}, state in {}, control at {}",
            self.name,
            self.state.display(),
            self.control.display()
        )?;
        if let Some(metrics) = self.metrics {
            writeln!(f, "  metrics at http://{metrics}/metrics")?;
        }
        match &self.role {
            Role::Server(server) => {
                let list =
                    |addrs: &[IpAddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let listen: Vec<_> = server.listen.iter().map(ToString::to_string).collect();
                writeln!(f, "  server on UDP {}", listen.join(", "))?;
                writeln!(f, "  tokens say {} port {}", list(&server.addresses), server.port)?;
                let rules = [("allow", &server.egress.allow), ("deny", &server.egress.deny)];
                for (word, rules) in rules {
                    rules.iter().try_for_each(|rule| writeln!(f, "  {word} {rule}"))?;
                }
                Ok(())
            }
            Role::Router(router) => {
                match &router.token_file {
                    Some(file) if file.exists() => writeln!(f, "  joins by the token in {}", file.display())?,
                    Some(file) => {
                        let file = file.display();
                        writeln!(
                            f,
                            "  token_file {file} is not there: only a router that has joined can do without"
                        )?;
                    }
                    None => writeln!(f, "  no token_file: only a router that has joined can do without")?,
                }
                for link in &router.links {
                    writeln!(f, "  link {}: {}, {}", link.name, link.begins, link.terms)?;
                }
                for Match { pattern, terms } in &router.matches {
                    writeln!(f, "  links {pattern}: {terms}")?;
                }
                if router.links.is_empty() && router.matches.is_empty() {
                    writeln!(f, "  links: every interface with a default route of its own")?;
                }
                if let Some(lan) = &router.lan {
                    writeln!(f, "  takes the TCP connections of {}", lan.interfaces.join(", "))?;
                }
                for (word, addrs) in [("socks5", &router.socks5), ("http", &router.http)] {
                    addrs.iter().try_for_each(|addr| writeln!(f, "  {word} on {addr}"))?;
                }
                Ok(())
            }
        }
    }
}
