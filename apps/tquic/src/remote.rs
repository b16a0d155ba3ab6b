//! Finding the other side by `HOST:PORT` and connecting to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use tq::{ClientConfig, Connecting, Connection, Endpoint, EndpointConfig, SocketId};

use crate::exit::Unreachable;

/// A server as the user named it, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    host: String,
    pub(crate) addr: SocketAddr,
}

impl Remote {
    /// Resolves `HOST:PORT`.
    pub(crate) async fn resolve(text: &str) -> Result<Self> {
        let cannot = |why: &dyn std::fmt::Display| Unreachable(format!("cannot resolve {text}: {why}"));
        let mut found = tokio::net::lookup_host(text).await.map_err(|error| cannot(&error))?;
        let addr = found.next().ok_or_else(|| cannot(&"it has no address"))?;
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host).trim_matches(['[', ']']);
        Ok(Self { host: host.into(), addr })
    }

    /// An endpoint that can reach it.
    pub(crate) fn endpoint(&self, config: EndpointConfig) -> Result<Endpoint> {
        let any: IpAddr = match self.addr {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Endpoint::builder().config(config).bind((any, 0).into()).context("cannot open a UDP socket")
    }

    /// A connection to it.
    pub(crate) async fn connect(&self, endpoint: &Endpoint, config: &ClientConfig) -> Result<Connection> {
        self.complete(self.start(endpoint, config)?).await
    }

    /// A handshake with it.
    pub(crate) fn start(&self, endpoint: &Endpoint, config: &ClientConfig) -> Result<Connecting> {
        Ok(endpoint.connect_with(config, self.addr, &self.host)?)
    }

    /// A handshake with it, raced over these sockets.
    pub(crate) fn start_over(
        &self,
        endpoint: &Endpoint,
        sockets: &[SocketId],
        config: &ClientConfig,
    ) -> Result<Connecting> {
        Ok(endpoint.connect_over(sockets, config, self.addr, &self.host)?)
    }

    /// The end of a handshake with it.
    pub(crate) async fn complete(&self, connecting: Connecting) -> Result<Connection> {
        connecting.await.with_context(|| format!("cannot connect to {}", self.addr))
    }
}
