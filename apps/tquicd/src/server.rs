//! The server of a bond: lets devices in, and connects for them.
//!
//! Who is let in, the store decides inside the handshake, so that a stranger meets the same alert whatever is wrong. Keeps one
//! session for each device; the newer one replaces the older.

mod api;
mod keys;
mod session;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tq::tls::{self, ClientAuth, RawIdentity};
use tq::{Endpoint, EndpointConfig, ServerConfig};
use tq_identity::{DeviceId, Name, Store, Token, key_file, private_dir};
use tq_net::process::cpu_time;
use tq_tunnel::{ALPN, Exit, Limits, Traffic};

pub(crate) use api::ServerApi;
use sessions::Sessions;

use crate::config::Config;
use crate::events::Hub;
use crate::transport::{self, code};
use crate::{Fatal, clock, config, warn};

/// Attempts to connect to targets and names being looked up, of all devices together.
const DIALS: usize = 1024;
const LOOKUPS: usize = 256;
/// Descriptors kept for everything else: sockets, control, store, attempts.
const SPARE: usize = 2048;
/// How long peers are given to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(1);

/// A server that runs.
pub struct Server {
    config: config::Server,
    endpoint: Endpoint,
    identity: RawIdentity,
    store: Arc<Store>,
    sessions: Sessions,
    exit: Exit,
    traffic: Arc<Traffic>,
    hub: Hub,
}

impl Server {
    /// Opens store, keys and sockets.
    ///
    /// # Errors
    /// See [`Fatal`].
    pub(crate) fn start(config: &Config, role: &config::Server, hub: Hub) -> Result<Arc<Self>, Fatal> {
        let file = |what: &str| config.state.join(format!("{}.{what}", config.name));
        private_dir(&config.state)?;
        let identity = key_file(&file("key"))?;
        let store = Arc::new(Store::open(&file("redb"))?);
        let mut endpoint = EndpointConfig::default();
        // Kept, so that routers learn of a restart from the first packet they send.
        endpoint.reset_key = Some(keys::random_file(&file("reset"))?);
        endpoint.token_key = Some(keys::random_file(&file("retry"))?);
        let endpoint = listen(role, endpoint, serve(config, &identity, &store))?;
        let traffic = Arc::new(Traffic::default());
        Ok(Arc::new(Self {
            exit: Exit::new(role.egress.clone(), limits(), Arc::clone(&traffic), cpu_time),
            config: role.clone(),
            endpoint,
            identity,
            store,
            sessions: Sessions::new(role.max_sessions),
            traffic,
            hub,
        }))
    }

    /// Lets devices in until the endpoint is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let server = Arc::clone(&self);
            tokio::spawn(async move { server.serve(incoming).await });
        }
    }

    /// Takes over what can change while sessions go on.
    pub(crate) fn reload(&self, role: &config::Server) {
        self.exit.set_egress(role.egress.clone());
        let now = &self.config;
        if (&now.listen, &now.addresses, now.port, now.max_sessions)
            != (&role.listen, &role.addresses, role.port, role.max_sessions)
        {
            warn!("[server]: what changed there takes effect when tquicd starts again");
        }
    }

    /// Says goodbye.
    pub(crate) async fn stop(&self) {
        self.endpoint.close(code::STOP, b"the server stops");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }

    /// The address the first socket has.
    pub fn local_addr(&self) -> std::net::SocketAddr {
        self.endpoint.local_addr()
    }

    /// Invites a device, or invites it again; the token is its only copy.
    ///
    /// # Errors
    /// It exists (or does not, if `again`), or the store cannot be written.
    pub fn invite(
        &self,
        id: &DeviceId,
        expires_in: Option<u64>,
        again: bool,
    ) -> Result<Token, tq_identity::StoreError> {
        let now = clock::unix_now();
        let expires = expires_in.map(|seconds| now.saturating_add(seconds));
        let secret = match again {
            true => self.store.rotate(id, now, expires)?,
            false => self.store.add(id, now, expires)?,
        };
        self.hub.tell("tenant", if again { "rotated" } else { "added" }, id, "");
        self.sessions.end(id);
        Ok(Token {
            addresses: self.config.addresses.clone(),
            port: if self.config.port == 0 { self.local_addr().port() } else { self.config.port },
            server_key: self.identity.public_key(),
            tenant: id.tenant.clone(),
            device: id.device.clone(),
            secret,
            expires,
        })
    }

    /// Lets a device in no more, or all of a tenant's, and ends their sessions.
    ///
    /// # Errors
    /// There is no such tenant or device, or the store cannot be written.
    pub fn revoke(
        &self,
        tenant: &Name,
        device: Option<&Name>,
    ) -> Result<(Vec<DeviceId>, usize), tq_identity::StoreError> {
        let revoked = self.store.revoke(tenant, device)?;
        let mut ended = 0;
        for id in &revoked {
            ended += self.sessions.end(id);
            self.hub.tell("tenant", "revoked", id, "");
        }
        Ok((revoked, ended))
    }
}

/// What devices may have under way, as far as the process's descriptors go.
fn limits() -> Limits {
    let descriptors = usize::try_from(tq_net::process::descriptors()).unwrap_or(usize::MAX);
    Limits { dials: DIALS, lookups: LOOKUPS, flows: descriptors.saturating_sub(SPARE).max(descriptors / 2) }
}

/// How clients are met: every name they ask for by the same steps, and whether their key may come in under it by the store.
fn serve(config: &Config, identity: &RawIdentity, store: &Arc<Store>) -> ServerConfig {
    let (identity, store) = (identity.clone(), Arc::clone(store));
    let tls = tls::choose_by(move |hello| {
        let name = hello.server_name().unwrap_or_default().to_owned();
        let store = Arc::clone(&store);
        let known = move |spki: &[u8]| store.admits(&name, spki, clock::unix_now());
        let show = tls::ServerConfig::new().raw_key(identity.clone()).alpn([ALPN]);
        show.clients(ClientAuth::raw_keys(known)).build().ok()
    });
    let mut server = ServerConfig::with_tls(tls);
    server.transport(|transport| transport::server(transport, config.transport));
    server
}

fn listen(role: &config::Server, endpoint: EndpointConfig, server: ServerConfig) -> Result<Endpoint, Fatal> {
    let failed = |addr: std::net::SocketAddr| move |error| Fatal::listening("UDP", addr, error);
    let (first, more) =
        role.listen.split_first().ok_or_else(|| Fatal::Config("no address to listen on".into()))?;
    let bound = Endpoint::builder().config(endpoint).server(server).bind(*first).map_err(failed(*first))?;
    for addr in more {
        bound.bind_also(*addr).map_err(failed(*addr))?;
    }
    Ok(bound)
}
