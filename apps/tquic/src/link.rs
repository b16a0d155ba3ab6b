//! `--link DEV[=ADDR]`: the links a client uses, each with a socket of its own.
//!
//! Decides what the words mean and what is said when a link does not work. Which link carries what is the scheduler's
//! decision.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, Error, Result};
use tokio::task::JoinSet;
use tq::udp::Options;
use tq::{Connection, Endpoint, EndpointConfig, OpenPathError, Path, PathId, SocketId};

#[cfg(test)]
mod tests;

/// A link as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    device: Option<String>,
    addr: Option<IpAddr>,
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (device, addr) = match text.split_once('=') {
            Some((device, addr)) => (device, Some(addr)),
            None => (text, None),
        };
        let addr = addr.map(|addr| addr.parse().map_err(|_| format!("{addr:?} is not an IP address")));
        let link =
            Self { device: Some(device.to_owned()).filter(|name| !name.is_empty()), addr: addr.transpose()? };
        if link.device.is_none() && link.addr.is_none() {
            return Err("DEV, DEV=ADDR or =ADDR, such as eth0, wwan0=10.0.0.7 or =10.0.0.7".into());
        }
        Ok(link)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.device.as_deref().unwrap_or_default())?;
        match self.addr {
            Some(addr) => write!(f, "={addr}"),
            None => Ok(()),
        }
    }
}

impl Link {
    /// Where its socket is bound, to reach `remote`.
    fn bound(&self, remote: SocketAddr) -> SocketAddr {
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(self.addr.unwrap_or(any), 0)
    }

    fn cannot(&self, error: std::io::Error) -> Error {
        let taken = error.kind() == std::io::ErrorKind::AddrNotAvailable;
        let hint = match self.addr {
            Some(addr) if taken => format!(": {addr} is not an address of this host"),
            _ => String::new(),
        };
        Error::new(error).context(format!("cannot open a socket on link {self}{hint}"))
    }
}

/// An endpoint with a socket for each link, in their order; connections begin on the first.
pub(crate) fn endpoint(
    config: EndpointConfig,
    links: &[Link],
    remote: SocketAddr,
) -> Result<(Endpoint, Vec<SocketId>)> {
    let first = links.first().context("at least one link")?;
    let options = Options { device: first.device.clone(), ..Options::default() };
    let endpoint = Endpoint::builder().config(config).socket(options).bind(first.bound(remote));
    let endpoint = endpoint.map_err(|error| first.cannot(error))?;
    let mut sockets = vec![endpoint.sockets()[0].id];
    for link in &links[1..] {
        let socket = endpoint.add_socket(link.device.as_deref(), link.bound(remote));
        sockets.push(socket.map_err(|error| link.cannot(error))?);
    }
    Ok((endpoint, sockets))
}

/// A link and the path over it, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    pub(crate) link: String,
    pub(crate) path: Result<Path, String>,
}

/// Opens a path over every link but the one that has won the handshake; all at once. A link that does not work is told on
/// stderr and left out.
pub(crate) async fn open(connection: &Connection, links: &[Link], sockets: &[SocketId]) -> Result<Vec<Used>> {
    let mut used = Vec::new();
    let first = connection.path(PathId(0));
    let mut opening = JoinSet::new();
    for (place, (link, socket)) in links.iter().zip(sockets).enumerate() {
        if first.socket() == Some(*socket) {
            used.push(Used { link: link.to_string(), path: Ok(first.clone()) });
            continue;
        }
        used.push(Used { link: link.to_string(), path: Err(String::new()) });
        let (connection, socket) = (connection.clone(), *socket);
        opening.spawn(async move { (place, connection.open_path(socket).await) });
    }
    while let Some(opened) = opening.join_next().await {
        let (place, path) = opened?;
        if let Err(OpenPathError::ConnectionLost(error)) = path {
            return Err(error.into());
        }
        used[place].path = path.map_err(|error| error.to_string());
    }
    for Used { link, path } in &used {
        if let Err(why) = path {
            eprintln!("link {link} is not used: {why}");
        }
    }
    Ok(used)
}
