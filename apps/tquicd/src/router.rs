//! The router of a bond: one session over all links, kept and made anew.
//!
//! Decides when to connect and over what; [`links`] keeps a socket and a path for each link, [`connect`] makes sessions, and
//! programs find the session of the moment through a channel.

mod api;
mod connect;
mod interfaces;
mod lan;
pub mod links;
mod memory;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tq::{Connection, Endpoint};
use tq_identity::{DeviceFile, Token, private_dir, read_secret};
use tq_tunnel::{Front, PathTerms, Traffic, Way, listen, serve};

pub(crate) use api::RouterApi;
use connect::Progress;
use links::Links;
use memory::Memory;

use crate::config::{self, Config};
use crate::events::Hub;
use crate::transport::code;
use crate::{Fatal, warn};

const GOODBYE: Duration = Duration::from_secs(1);

/// A router that runs.
pub struct Router {
    config: config::Router,
    transport: config::Transport,
    endpoint: Endpoint,
    links: Mutex<Links>,
    /// Something about links changed, or a session.
    stir: Notify,
    device: Mutex<DeviceFile>,
    /// What is known of links from earlier.
    memory: Mutex<Memory>,
    session: watch::Sender<Option<Connection>>,
    /// What the server is told of the session's paths.
    terms: watch::Sender<Vec<PathTerms>>,
    progress: Mutex<Progress>,
    /// Held by who measures.
    measuring: tokio::sync::Mutex<()>,
    traffic: Arc<Traffic>,
    hub: Hub,
}

/// Locks, also after a panic elsewhere: nothing is left half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Router {
    /// Reads token and state, opens an endpoint.
    ///
    /// # Errors
    /// See [`Fatal`].
    pub(crate) fn start(config: &Config, role: &config::Router, hub: Hub) -> Result<Arc<Self>, Fatal> {
        private_dir(&config.state)?;
        let device = join(config.state.join(format!("{}.device", config.name)), role)?;
        // A socket the endpoint begins with and nothing is ever sent from: links come and go beside it.
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into());
        let endpoint = endpoint.map_err(|error| Fatal::failed("cannot open a UDP socket", error))?;
        let memory = Memory::load(config.state.join(format!("{}.known", config.name)));
        memory.tokens().iter().for_each(|token| endpoint.add_token(token));
        Ok(Arc::new(Self {
            config: role.clone(),
            transport: config.transport,
            links: Mutex::new(Links::new(endpoint.clone(), role)),
            endpoint,
            stir: Notify::new(),
            progress: Mutex::new(Progress::new(&device)),
            device: Mutex::new(device),
            memory: Mutex::new(memory),
            session: watch::channel(None).0,
            terms: watch::channel(Vec::new()).0,
            measuring: tokio::sync::Mutex::default(),
            traffic: Arc::default(),
            hub,
        }))
    }

    /// Opens the listeners for programs.
    ///
    /// # Errors
    /// See [`Fatal`].
    pub(crate) fn fronts(&self, tasks: &mut JoinSet<()>) -> Result<(), Fatal> {
        let way = Way::new(self.session.subscribe());
        let all = [
            (Front::Socks5, "SOCKS5", &self.config.socks5),
            (Front::Http, "HTTP CONNECT", &self.config.http),
        ];
        for (front, what, addrs) in all {
            for addr in addrs {
                let listener = listen(*addr).map_err(|error| Fatal::listening(what, addr, error))?;
                let room = Arc::new(Semaphore::new(self.config.max_connections));
                tasks.spawn(serve(listener, front, way.clone(), room, Arc::clone(&self.traffic)));
            }
        }
        if let Some(lan) = &self.config.lan {
            let room = Arc::new(Semaphore::new(self.config.max_connections));
            lan::take(lan, way, self.session.subscribe(), room, Arc::clone(&self.traffic), tasks)?;
        }
        Ok(())
    }

    /// Takes over what can change while the session goes on.
    pub(crate) fn reload(&self, role: &config::Router) {
        lock(&self.links).configure(role);
        self.stir.notify_waiters();
        let now = &self.config;
        if (&now.socks5, &now.http, &now.lan, now.max_connections, &now.token_file, &now.select)
            != (&role.socks5, &role.http, &role.lan, role.max_connections, &role.token_file, &role.select)
        {
            warn!("[router], [tcp], [lan]: what changed there takes effect when tquicd starts again");
        }
    }

    /// A link came, went or changed.
    pub fn on_link(&self, event: &links::LinkEvent) {
        lock(&self.links).on_event(event);
        self.stir.notify_waiters();
    }

    /// The session of the moment.
    pub fn session(&self) -> watch::Receiver<Option<Connection>> {
        self.session.subscribe()
    }

    /// Says goodbye.
    pub(crate) async fn stop(&self) {
        lock(&self.memory).keep(self.endpoint.tokens(), true);
        self.endpoint.close(code::STOP, b"the router stops");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

/// The device this router is: from its state, and the token if there is one.
fn join(state: PathBuf, role: &config::Router) -> Result<DeviceFile, Fatal> {
    let wrong =
        |file: &PathBuf, why: &dyn std::fmt::Display| Fatal::Config(format!("{}: {why}", file.display()));
    let token = match &role.token_file {
        Some(file) => match read_secret(file) {
            Ok(text) => Some(text.parse::<Token>().map_err(|error| wrong(file, &error))?),
            // It may be gone once it was used.
            Err(tq_identity::FileError::Io { cause, .. })
                if cause.kind() == std::io::ErrorKind::NotFound && state.exists() =>
            {
                None
            }
            Err(tq_identity::FileError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
                let help = "not there: write the line into it that `tquic tenant add` printed at the server, mode 0600";
                return Err(wrong(file, &help));
            }
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    DeviceFile::open(&state, token.as_ref()).map_err(|error| match error {
        tq_identity::FileError::Io { cause, .. }
            if token.is_none() && cause.kind() == std::io::ErrorKind::NotFound =>
        {
            Fatal::Config(
                "this router has not joined: [router] token_file must name a file with its token".into(),
            )
        }
        other => other.into(),
    })
}

/// What this daemon would change of the machine's network, as commands.
///
/// # Errors
/// It cannot be found out.
pub fn preview(config: &Config) -> Result<String, Fatal> {
    match &config.role {
        config::Role::Router(config::Router { lan: Some(lan), .. }) => lan::preview(lan),
        _ => Ok("nothing is changed\n".into()),
    }
}
