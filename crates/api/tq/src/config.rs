//! Configurations: TLS settings and transport settings side by side.
//!
//! The settings themselves are the core's and the TLS host's; this only puts them together.

use std::sync::Arc;

use tq_quic::handshake::{ClientTls, ServerTls};
use tq_quic::sched::UnknownScheduler;
use tq_tls::ConfigError;
use tq_wire::Version;

pub use tq_quic::TransportConfig;

/// How to connect. Cheap to clone.
#[derive(Clone)]
pub struct ClientConfig(tq_quic::ClientConfig);

impl ClientConfig {
    /// With these TLS settings and the default transport.
    ///
    /// # Errors
    /// The TLS settings do not fit together.
    pub fn new(tls: tq_tls::ClientConfig) -> Result<Self, ConfigError> {
        tls.build().map(Self::with_tls)
    }

    /// With a TLS implementation of your own.
    pub fn with_tls(tls: Arc<dyn ClientTls>) -> Self {
        Self(tq_quic::ClientConfig::new(tls, Arc::default()))
    }

    /// Changes transport settings: `config.transport(|t| t.idle_timeout = Duration::from_secs(5))`.
    pub fn transport(&mut self, edit: impl FnOnce(&mut TransportConfig)) -> &mut Self {
        edit(Arc::make_mut(&mut self.0.transport));
        self
    }

    /// Which path data goes on if there are several, by name: for what this end sends; the server has its own.
    ///
    /// # Errors
    /// There is none of this name; the error lists those there are.
    pub fn scheduler(&mut self, name: &str) -> Result<&mut Self, UnknownScheduler> {
        let kind = name.parse()?;
        Ok(self.transport(|transport| transport.scheduler = kind))
    }

    /// Allows so many paths at a time, 1 to 16. Of use if the other end does too.
    pub fn max_paths(&mut self, paths: u32) -> &mut Self {
        self.transport(|transport| transport.max_paths = Some(paths))
    }

    /// Version of the first packet, v1 unless told. The server may answer in another that the endpoint speaks
    /// ([`EndpointConfig::versions`](crate::EndpointConfig)) and likes better. One of the reserved form `0x?a?a?a?a`
    /// makes the server say what it speaks.
    pub fn version(&mut self, version: Version) -> &mut Self {
        self.0.version = version;
        self
    }

    pub(crate) fn core(&self) -> &tq_quic::ClientConfig {
        &self.0
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig").field("transport", &self.0.transport).finish_non_exhaustive()
    }
}

/// How to serve. Cheap to clone.
#[derive(Clone)]
pub struct ServerConfig(tq_quic::ServerConfig);

impl ServerConfig {
    /// With these TLS settings and the default transport.
    ///
    /// # Errors
    /// The TLS settings do not fit together.
    pub fn new(tls: tq_tls::ServerConfig) -> Result<Self, ConfigError> {
        Ok(Self::with_tls(tls.build()?))
    }

    /// With a TLS implementation of your own, or one that chooses by name ([`tq_tls::choose_by`]).
    pub fn with_tls(tls: Arc<dyn ServerTls>) -> Self {
        Self(tq_quic::ServerConfig { tls, transport: Arc::default() })
    }

    /// Changes transport settings: `config.transport(|t| t.stream.max_bidi = 1000)`.
    pub fn transport(&mut self, edit: impl FnOnce(&mut TransportConfig)) -> &mut Self {
        edit(Arc::make_mut(&mut self.0.transport));
        self
    }

    /// Which path data goes on if there are several, by name: for what this end sends, on every connection accepted.
    ///
    /// # Errors
    /// There is none of this name; the error lists those there are.
    pub fn scheduler(&mut self, name: &str) -> Result<&mut Self, UnknownScheduler> {
        let kind = name.parse()?;
        Ok(self.transport(|transport| transport.scheduler = kind))
    }

    /// Allows clients so many paths at a time, 1 to 16. Of use if the other end does too.
    pub fn max_paths(&mut self, paths: u32) -> &mut Self {
        self.transport(|transport| transport.max_paths = Some(paths))
    }

    pub(crate) fn core(&self) -> Arc<tq_quic::ServerConfig> {
        Arc::new(self.0.clone())
    }
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig").field("transport", &self.0.transport).finish_non_exhaustive()
    }
}
