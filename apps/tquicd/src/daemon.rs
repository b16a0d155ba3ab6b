//! A daemon from its start to its end: one role, its control socket, its metrics, and the signals that steer it.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tq_control::{Api, ControlSocket, serve_metrics};

use crate::api::Common;
use crate::config::{Config, Role};
use crate::events::Hub;
use crate::notify::notify;
use crate::router::{Router, RouterApi};
use crate::server::{Server, ServerApi};
use crate::{Fatal, info, warn};

/// A daemon that runs, until it is stopped or dropped.
pub struct Daemon {
    config: Config,
    part: Part,
    tasks: JoinSet<()>,
}

#[derive(Clone)]
enum Part {
    Server(Arc<Server>),
    Router(Arc<Router>),
}

impl Daemon {
    /// Starts everything.
    ///
    /// # Errors
    /// See [`Fatal`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Self, Fatal> {
        let hub = Hub::new();
        let mut tasks = JoinSet::new();
        let common = Common { name: config.name.to_string(), hub: hub.clone() };
        let part = match &config.role {
            Role::Server(role) => {
                let server = Server::start(&config, role, hub)?;
                let api = Arc::new(ServerApi { common, server: Arc::clone(&server) });
                let figures = Arc::clone(&api);
                open(&config, &mut tasks, api, move || figures.metrics()).await?;
                tasks.spawn(Arc::clone(&server).run());
                Part::Server(server)
            }
            Role::Router(role) => {
                let router = Router::start(&config, role, hub)?;
                let api = Arc::new(RouterApi { common, router: Arc::clone(&router) });
                let figures = Arc::clone(&api);
                open(&config, &mut tasks, api, move || figures.metrics()).await?;
                router.fronts(&mut tasks)?;
                tasks.spawn(Arc::clone(&router).watch_interfaces());
                tasks.spawn(Arc::clone(&router).run());
                Part::Router(router)
            }
        };
        Ok(Self { config, part, tasks })
    }

    /// The server, if this is one.
    pub fn server(&self) -> Option<&Arc<Server>> {
        match &self.part {
            Part::Server(server) => Some(server),
            Part::Router(_) => None,
        }
    }

    /// The router, if this is one.
    pub fn router(&self) -> Option<&Arc<Router>> {
        match &self.part {
            Part::Router(router) => Some(router),
            Part::Server(_) => None,
        }
    }

    /// Reads the configuration again and takes over what can change while sessions go on; a wrong one changes nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reload(&mut self) -> Result<(), Fatal> {
        let new = Config::load(&self.config.file)?;
        match (&self.part, &new.role) {
            (Part::Server(server), Role::Server(role)) => server.reload(role),
            (Part::Router(router), Role::Router(role)) => router.reload(role),
            _ => return Err(Fatal::Config("a daemon's role cannot change while it runs".into())),
        }
        let now = &self.config;
        if (&now.state, &now.control, now.metrics, &now.transport)
            != (&new.state, &new.control, new.metrics, &new.transport)
        {
            warn!(
                "state, [control], [metrics], [transport]: what changed there takes effect when tquicd starts again"
            );
        }
        Ok(())
    }

    /// Says goodbye and ends.
    pub async fn stop(mut self) {
        match &self.part {
            Part::Server(server) => server.stop().await,
            Part::Router(router) => router.stop().await,
        }
        self.tasks.shutdown().await;
    }
}

async fn open(
    config: &Config,
    tasks: &mut JoinSet<()>,
    api: Arc<impl Api>,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), Fatal> {
    let control = ControlSocket::bind(&config.control).await;
    let control = control.map_err(|error| Fatal::listening("control", config.control.display(), error))?;
    tasks.spawn(control.serve(api));
    if let Some(addr) = config.metrics {
        let listener = tq_tunnel::listen(addr).map_err(|error| Fatal::listening("metrics", addr, error))?;
        tasks.spawn(serve_metrics(listener, Arc::new(metrics)));
    }
    Ok(())
}

/// Runs a daemon until SIGTERM or SIGINT.
///
/// # Errors
/// See [`Fatal`].
pub async fn run(config: Config) -> Result<(), Fatal> {
    let listen = |kind| signal(kind).map_err(|error| Fatal::failed("cannot listen to signals", error));
    let (mut hangup, mut end) = (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?);
    let mut interrupt = listen(SignalKind::interrupt())?;
    if std::env::var_os("SSLKEYLOGFILE").is_some() {
        warn!("SSLKEYLOGFILE is not obeyed by tquicd");
    }
    let mut daemon = Daemon::start(config).await?;
    info!("{} runs", daemon.config.name);
    notify("READY=1");
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                notify("RELOADING=1");
                match daemon.reload() {
                    Ok(()) => info!("{} was read again", daemon.config.file.display()),
                    Err(error) => warn!("nothing was changed: {error}"),
                }
                notify("READY=1");
            }
            _ = end.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    notify("STOPPING=1");
    // A second one does not wait for goodbyes.
    tokio::select! {
        () = daemon.stop() => {}
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("ended");
    Ok(())
}
