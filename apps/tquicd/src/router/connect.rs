//! Sessions, one after the other.
//!
//! A handshake is raced over all links at once and over the server's addresses a little later each; while none answers, another
//! begins every second, so that a server that comes back is met at once. A server that says no is asked less and less often.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tq::tls::RawIdentity;
use tq::{ClientConfig, Connection, ConnectionError, PathId, SocketId, tls};
use tq_identity::DeviceFile;
use tq_tunnel::{ALPN, ControlError, ToRouter, ToServer, read_message, write_message};

use super::{Router, lock};
use crate::transport::{self, code};
use crate::{clock, debug, warn};

/// Between attempts at the server's addresses (RFC 8305 §5), and between rounds.
const STAGGER: Duration = Duration::from_millis(250);
const ROUND: Duration = Duration::from_secs(1);
/// An attempt ends after this.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Attempts at a time.
const ATTEMPTS: usize = 10;
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How often links are looked after without a reason.
const TEND: Duration = Duration::from_millis(500);
/// Waiting after the server said no, doubled each time up to the second; and when this device came from elsewhere.
const REFUSED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const REPLACED: Duration = Duration::from_secs(10);
const SOFTWARE: &str = concat!("tquicd ", env!("CARGO_PKG_VERSION"));

/// How far a router has come.
pub(crate) struct Progress {
    pub(crate) state: &'static str,
    pub(crate) since: Instant,
    pub(crate) sessions: u64,
    pub(crate) error: Option<String>,
    /// Where the server answered.
    pub(crate) server: SocketAddr,
    pub(crate) names: (String, String),
}

impl Progress {
    pub(super) fn new(device: &DeviceFile) -> Self {
        let (tenant, name) = device.names();
        Self {
            state: "connecting",
            since: clock::now(),
            sessions: 0,
            error: None,
            // A token has at least one.
            server: (device.addresses()[0], device.port()).into(),
            names: (tenant.to_string(), name.to_string()),
        }
    }

    fn enter(&mut self, state: &'static str) {
        if self.state != state {
            self.since = clock::now();
        }
        self.state = state;
    }
}

/// Why there is no session.
enum Failed {
    /// Nobody answers, or somebody else does.
    Unreachable(String),
    /// The server does not know this device, or does not want it.
    Refused(String),
}

impl Router {
    /// Makes sessions for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut refusals = 0u32;
        loop {
            let connection = match self.connect().await {
                Ok(connection) => connection,
                Err(failed) => {
                    let (state, why, wait) = match failed {
                        Failed::Unreachable(why) => ("connecting", why, Duration::ZERO),
                        Failed::Refused(why) => {
                            let wait = REFUSED.0.saturating_mul(1 << refusals.min(8)).min(REFUSED.1);
                            refusals = refusals.saturating_add(1);
                            ("refused", why, wait)
                        }
                    };
                    self.note(state, why);
                    sleep(wait).await;
                    continue;
                }
            };
            refusals = 0;
            let why = self.attend(connection).await;
            let replaced = matches!(why, ConnectionError::PeerApplication { code: code::REPLACED, .. });
            let why = match replaced {
                true => "this device came from elsewhere: is its state or token in use twice?".to_owned(),
                false => why.to_string(),
            };
            self.hub.tell("session", "down", &lock(&self.progress).names.1, &why);
            self.note("connecting", why);
            sleep(if replaced { REPLACED } else { Duration::ZERO }).await;
        }
    }

    fn note(&self, state: &'static str, why: String) {
        let mut progress = lock(&self.progress);
        if progress.error.as_ref() != Some(&why) {
            debug!("session {state}: {why}");
        }
        progress.enter(state);
        progress.error = Some(why);
    }

    /// A session that is introduced.
    async fn connect(&self) -> Result<Connection, Failed> {
        let connection = self.race().await?;
        let introduced = timeout(INTRODUCTION, self.introduce(&connection)).await;
        introduced.unwrap_or(Err(ControlError::Lost)).map_err(|error| {
            let ended = connection.close_reason();
            connection.close(code::PROTOCOL, b"not understood");
            match ended {
                Some(error) if is_refusal(&error) => Failed::Refused(error.to_string()),
                Some(error) => Failed::Unreachable(error.to_string()),
                // What makes no sense now makes none in a moment.
                None => Failed::Refused(error.to_string()),
            }
        })?;
        Ok(connection)
    }

    /// The first handshake to be complete at both ends, of all that are tried.
    async fn race(&self) -> Result<Connection, Failed> {
        let (addrs, keys) = self.candidates();
        let mut attempts = JoinSet::new();
        let mut last = Failed::Unreachable("no link has come up".into());
        let mut said_no = vec![false; keys.len()];
        for round in 0.. {
            let (addr, key) = (addrs[round % addrs.len()], round / addrs.len() % keys.len());
            let sockets = lock(&self.links).sockets();
            if !sockets.is_empty() && attempts.len() < ATTEMPTS {
                match self.attempt(addr, &keys[key], &sockets) {
                    Ok(attempt) => {
                        drop(attempts.spawn(async move { attempt.await.map_err(|error| (key, error)) }))
                    }
                    Err(why) => last = Failed::Unreachable(why),
                }
            }
            let pause = if (round + 1) % addrs.len() == 0 { ROUND } else { STAGGER };
            let until = sleep(pause);
            tokio::pin!(until);
            loop {
                tokio::select! {
                    Some(ended) = attempts.join_next() => match ended {
                        Ok(Ok(connection)) => return Ok(connection),
                        Ok(Err((key, error))) => {
                            last = Failed::Unreachable(error.to_string());
                            if is_refusal(&error) {
                                // Another key may be the right one: no is no when all have heard it.
                                said_no[key] = true;
                                if said_no.iter().all(|no| *no) {
                                    return Err(Failed::Refused(refusal(&error)));
                                }
                                break;
                            }
                        }
                        Err(_) => {}
                    },
                    () = &mut until => break,
                    () = self.stir.notified() => break,
                }
            }
            let (Failed::Unreachable(why) | Failed::Refused(why)) = &last;
            self.note("connecting", why.clone());
        }
        Err(last)
    }

    /// Where the server may be, and keys that may open: both, while it is not known which.
    fn candidates(&self) -> (Vec<SocketAddr>, Vec<RawIdentity>) {
        let device = lock(&self.device);
        let addrs = device.addresses().iter().map(|ip| (*ip, device.port()).into()).collect();
        let keys = device.join_key().cloned().into_iter().chain([device.own_key()]).collect();
        (addrs, keys)
    }

    /// A handshake over these links, up to the server's word that it is complete there, too.
    fn attempt(
        &self,
        addr: SocketAddr,
        key: &RawIdentity,
        sockets: &[SocketId],
    ) -> Result<impl Future<Output = Result<Connection, ConnectionError>> + Send + use<>, String> {
        let (pin, name) = {
            let device = lock(&self.device);
            (tls::ed25519_spki(device.server_key()), device.server_name().to_owned())
        };
        let trust = tls::ClientConfig::pinned_key(&pin).raw_key(key.clone()).alpn([ALPN]).resumption(false);
        let mut config = ClientConfig::new(trust).map_err(|error| error.to_string())?;
        config.transport(|transport| transport::router(transport, self.transport));
        // Links of one family cannot take part in what is for the other.
        let reach = |socket: &&SocketId| {
            let local = self.endpoint.socket_addr(**socket);
            local.is_some_and(|local| {
                local.is_ipv6() && local.ip().is_unspecified() || local.is_ipv4() == addr.is_ipv4()
            })
        };
        let sockets: Vec<_> = sockets.iter().filter(reach).copied().collect();
        self.recall(addr.ip(), &sockets);
        let connecting = self.endpoint.connect_over(&sockets, &config, addr, &name);
        let connecting = connecting.map_err(|error| format!("no link reaches {addr}: {error}"))?;
        Ok(async move {
            let complete = async {
                let connection = connecting.await?;
                connection.confirmed().await?;
                Ok(connection)
            };
            timeout(ATTEMPT, complete).await.unwrap_or(Err(ConnectionError::HandshakeTimeout))
        })
    }

    /// Tells the endpoint what is known of these links.
    fn recall(&self, server: IpAddr, sockets: &[SocketId]) {
        let links = lock(&self.links);
        let memory = lock(&self.memory);
        for socket in sockets {
            let known = links.key(*socket, server).and_then(|key| memory.find(&key));
            if let Some((profile, age)) = known {
                self.endpoint.remember(*socket, server, profile, age);
            }
        }
    }

    /// Keeps what the session's paths measured.
    fn learn(&self, connection: &Connection, urgent: bool) {
        let links = lock(&self.links);
        let mut memory = lock(&self.memory);
        for path in connection.paths() {
            let key =
                path.socket().zip(path.remote_address()).and_then(|(socket, at)| links.key(socket, at.ip()));
            if let Some((key, profile)) = key.zip(path.stats().and_then(|stats| stats.learnt)) {
                memory.learn(key, profile);
            }
        }
        memory.keep(self.endpoint.tokens(), urgent);
    }

    async fn introduce(&self, connection: &Connection) -> Result<(), ControlError> {
        let (mut send, mut recv) = connection.open_bi().await.map_err(|_| ControlError::Lost)?;
        write_message(&mut send, &ToServer::Hello { version: 1, software: SOFTWARE.to_owned() }).await?;
        let enrol = loop {
            if let ToRouter::Welcome { enrol, .. } = read_message(&mut recv).await? {
                break enrol;
            }
        };
        if enrol {
            let key = lock(&self.device).own_key().spki().to_vec();
            write_message(&mut send, &ToServer::Enrol { key }).await?;
            while !matches!(read_message(&mut recv).await?, ToRouter::Enrolled) {}
        }
        if let Err(error) = lock(&self.device).set_joined() {
            // It will be found out again at the next start, by trying both keys.
            warn!("{error}");
        }
        // Kept open as long as the session.
        tokio::spawn(async move { while read_message::<ToRouter>(&mut recv).await.is_ok() {} });
        let mut terms = self.terms.subscribe();
        tokio::spawn(async move {
            // Those of an earlier session are nobody's.
            terms.mark_unchanged();
            let mut message = ToServer::Alive;
            while write_message(&mut send, &message).await.is_ok() {
                message = match timeout(transport::ALIVE, terms.changed()).await {
                    Ok(Ok(())) => ToServer::Policy { paths: terms.borrow_and_update().clone() },
                    Ok(Err(_)) => return,
                    Err(_) => ToServer::Alive,
                };
            }
        });
        Ok(())
    }

    /// Looks after a session until it ends; says why it did.
    async fn attend(self: &Arc<Self>, connection: Connection) -> ConnectionError {
        {
            let mut progress = lock(&self.progress);
            progress.enter("connected");
            progress.sessions += 1;
            progress.error = None;
            progress.server = connection.remote_address();
            let link = lock(&self.links).of(&connection.path(PathId(0))).unwrap_or_default();
            let text = format!("with {} over {link}", progress.server);
            self.hub.tell("session", "up", &progress.names.1, text);
        }
        self.session.send_replace(Some(connection.clone()));
        let watching = tokio::spawn(Arc::clone(self).watch(connection.clone()));
        let ended = tokio::select! {
            why = connection.closed() => why,
            () = self.tend(&connection) => ConnectionError::LocallyClosed,
        };
        watching.abort();
        self.learn(&connection, true);
        self.session.send_replace(None);
        self.terms.send_replace(Vec::new());
        lock(&self.links).forget();
        ended
    }

    /// Opens paths where there are none, for ever.
    async fn tend(self: &Arc<Self>, connection: &Connection) {
        loop {
            let wanted = {
                let mut links = lock(&self.links);
                links.sockets();
                let now = links.settle(connection);
                self.terms.send_if_modified(|terms| {
                    *terms != now && {
                        *terms = now;
                        true
                    }
                });
                links.wanted(connection)
            };
            self.learn(connection, false);
            for socket in wanted {
                let (router, connection) = (Arc::clone(self), connection.clone());
                tokio::spawn(async move {
                    let opened = connection.open_path(socket).await;
                    let result = opened.map(drop).map_err(|error| error.to_string());
                    lock(&router.links).opened(socket, result);
                    router.stir.notify_waiters();
                });
            }
            let _ = timeout(TEND, self.stir.notified()).await;
        }
    }

    /// Tells what happens to paths.
    async fn watch(self: Arc<Self>, connection: Connection) {
        let mut events = connection.path_events();
        while let Ok(event) = events.next().await {
            let (id, what, text) = match event {
                tq::PathEvent::Validated(id) => (id, "up", String::new()),
                tq::PathEvent::Health { path, health, cause } => {
                    (path, crate::figures::health(health), format!("{cause:?}").to_lowercase())
                }
                tq::PathEvent::Failed(id) => (id, "failed", "no answer".to_owned()),
                tq::PathEvent::Abandoned { path, code, .. } => (path, "abandoned", format!("code {code:#x}")),
                tq::PathEvent::Closed(id) => (id, "closed", String::new()),
                _ => continue,
            };
            let link = lock(&self.links).of(&connection.path(id)).unwrap_or_else(|| "-".to_owned());
            self.hub.tell("path", what, format_args!("{} {link}", id.0), text);
            self.stir.notify_waiters();
        }
    }
}

/// Whether the server is there and says no: TLS alerts of a handshake it does not want, or a session it ends.
fn is_refusal(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::PeerTransport { code, .. } => (0x100..0x200).contains(&code.0),
        ConnectionError::PeerApplication { code, .. } => {
            [code::ENDED, code::FULL, code::PROTOCOL].contains(code)
        }
        ConnectionError::Violation(_) | ConnectionError::VersionMismatch => true,
        _ => false,
    }
}

fn refusal(error: &ConnectionError) -> String {
    match error {
        ConnectionError::PeerTransport { .. } => {
            "the server does not let this device in: its token is used, expired, revoked or not of this server".into()
        }
        ConnectionError::Violation(_) => format!("this is not the server of the token: {error}"),
        _ => error.to_string(),
    }
}
