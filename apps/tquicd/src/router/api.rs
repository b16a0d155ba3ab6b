//! What a router answers on its control socket.

use std::sync::Arc;
use std::time::Duration;

use tq::{Connection, PathId, PathStatus};
use tq_control::model::{self, SCHEMA};
use tq_control::{Api, Method, Reply, Request, prometheus};
use tq_net::process::cpu_time;
use tq_tunnel::Status;

use super::links::Refused;
use super::{Router, lock};
use crate::api::Common;
use crate::config::{Begins, Link};
use crate::figures;

/// A router's API.
pub(crate) struct RouterApi {
    pub(crate) common: Common,
    pub(crate) router: Arc<Router>,
}

impl Api for RouterApi {
    async fn call(&self, request: Request) -> Reply {
        let parts: Vec<_> = request.parts.iter().map(String::as_str).collect();
        let done = match (request.method, &parts[..]) {
            (Method::Get, ["status"]) => return Reply::json(&self.status()),
            (Method::Get, ["events"]) => return Reply::Events(self.common.hub.listen()),
            (Method::Get, ["stats"]) => return Reply::json(&self.stats()),
            (Method::Get, ["links"]) => {
                return Reply::json(&model::Links { schema: SCHEMA, links: self.links() });
            }
            (Method::Get, ["paths"]) => {
                return Reply::json(&model::Paths { schema: SCHEMA, paths: self.paths() });
            }
            (Method::Post, ["measure"]) => return self.measure(&request).await,
            (Method::Get, ["connections"]) => return Reply::json(&self.connections()),
            (Method::Post, ["links", name]) => self.add_link(name, &request),
            (Method::Patch, ["links", name]) => self.set_link(name, &request),
            (Method::Delete, ["links", name]) => lock(&self.router.links).remove(name).map_err(refused),
            (Method::Patch, ["paths", id]) => self.set_path(id, &request),
            (Method::Delete, ["paths", id]) => self.close_path(id),
            (_, ["tenants", ..]) => Err(Reply::failed(400, "a router has no tenants: ask the server")),
            _ => Err(Reply::unknown(format_args!("{} {}", request.method.as_str(), parts.join("/")))),
        };
        self.router.stir.notify_waiters();
        match done {
            Ok(()) => Reply::done(),
            Err(reply) => reply,
        }
    }
}

fn refused(refused: Refused) -> Reply {
    Reply::failed(refused.0, refused.1)
}

impl RouterApi {
    fn connection(&self) -> Option<Connection> {
        self.router.session.borrow().clone()
    }

    fn links(&self) -> Vec<model::Link> {
        lock(&self.router.links).list(self.connection().as_ref())
    }

    fn paths(&self) -> Vec<model::Path> {
        let of = |path: &tq::Path| lock(&self.router.links).of(path);
        self.connection().map_or_else(Vec::new, |connection| figures::paths(0, &connection, of))
    }

    fn connections(&self) -> model::Connections {
        let of = |path: &tq::Path| lock(&self.router.links).of(path);
        let names = lock(&self.router.progress).names.clone();
        let connections = self.connection().map(|it| figures::connection(0, names, &it, of));
        model::Connections { schema: SCHEMA, connections: connections.into_iter().collect() }
    }

    fn status(&self) -> model::Status {
        let links = self.links();
        let progress = lock(&self.router.progress);
        let session = model::Session {
            state: progress.state.into(),
            tenant: progress.names.0.clone(),
            device: progress.names.1.clone(),
            server: progress.server.to_string(),
            since_s: progress.since.elapsed().as_secs(),
            sessions: progress.sessions,
            error: progress.error.clone(),
        };
        drop(progress);
        let traffic = figures::traffic(&self.router.traffic);
        model::Status { session: Some(session), links, traffic, ..self.common.status("router") }
    }

    fn stats(&self) -> model::Stats {
        let open = self.connection();
        let counters = figures::counters(&self.router.endpoint.stats(), open.iter(), &self.router.traffic);
        model::Stats { schema: SCHEMA, counters }
    }

    /// For scrapers: no names but those of links, no addresses.
    pub(crate) fn metrics(&self) -> String {
        let connected = u64::from(self.connection().is_some());
        let flows = figures::traffic(&self.router.traffic).open;
        let gauges = [
            ("session_up", "Whether there is a session", connected),
            ("flows", "TCP connections now", flows),
        ];
        prometheus(&self.stats(), &gauges, &self.links(), &self.paths())
    }

    fn add_link(&self, name: &str, request: &Request) -> Result<(), Reply> {
        let asked: model::AddLink = request.json()?;
        let bad = |why: String| Reply::failed(400, why);
        let terms = super::links::asked(&asked).map_err(bad)?;
        let begins = match (asked.device, asked.address) {
            (Some(device), None) => Begins::Device(device),
            (None, Some(address)) => {
                let ip = address.parse().map_err(|_| bad(format!("{address:?} is not an IP address")))?;
                Begins::Address(ip)
            }
            _ => return Err(bad("say either device or address".into())),
        };
        let link = Link { name: name.parse().map_err(bad)?, begins, terms };
        lock(&self.router.links).add(link).map_err(refused)?;
        self.common.hub.tell("link", "added", name, "");
        Ok(())
    }

    fn set_link(&self, name: &str, request: &Request) -> Result<(), Reply> {
        let change: model::SetLink = request.json()?;
        lock(&self.router.links).set(name, &change).map_err(refused)?;
        let what = match change.up {
            Some(true) => "on",
            Some(false) => "off",
            None => "changed",
        };
        self.common.hub.tell("link", what, name, "");
        Ok(())
    }

    fn path(&self, id: &str) -> Result<tq::Path, Reply> {
        let unknown = || Reply::unknown(format_args!("path {id}"));
        let number = PathId(id.parse().map_err(|_| unknown())?);
        let paths = self.connection().map(|connection| connection.paths()).unwrap_or_default();
        paths.into_iter().find(|path| path.id() == number).ok_or_else(unknown)
    }

    /// A path is what its link is, so that the next one is it, too.
    fn set_path(&self, id: &str, request: &Request) -> Result<(), Reply> {
        let change: model::SetPath = request.json()?;
        let status = match change.status.as_str() {
            "available" => PathStatus::Available,
            "standby" => PathStatus::Backup,
            other => {
                return Err(Reply::failed(
                    400,
                    format!("{other:?} is no status, expected available or standby"),
                ));
            }
        };
        let path = self.path(id)?;
        let link = lock(&self.router.links).of(&path);
        if let Some(link) = link {
            let change = model::SetLink { backup: Some(status == PathStatus::Backup), ..Default::default() };
            lock(&self.router.links).set(&link, &change).map_err(refused)?;
        }
        path.set_status(status).map_err(|error| Reply::failed(409, error))
    }

    fn close_path(&self, id: &str) -> Result<(), Reply> {
        let path = self.path(id)?;
        path.close(0).map_err(|error| Reply::failed(409, error))
    }
    /// One at a time: two would measure each other.
    async fn measure(&self, request: &Request) -> Reply {
        let asked: model::Measure = match request.json() {
            Ok(asked) => asked,
            Err(reply) => return reply,
        };
        let (streams, time) = (asked.streams as usize, Duration::try_from_secs_f64(asked.seconds));
        let Some(time) = time.ok().filter(|_| (0.1..=60.0).contains(&asked.seconds)) else {
            return Reply::failed(400, "seconds: expected 0.1 to 60");
        };
        if !(1..=100).contains(&asked.streams) {
            return Reply::failed(400, "streams: expected 1 to 100");
        }
        let Ok(_alone) = self.router.measuring.try_lock() else {
            return Reply::failed(409, "a measurement is under way: one at a time");
        };
        let Some(connection) = self.connection() else {
            return Reply::failed(409, "there is no session with the server: see tquic status");
        };
        let (paths, cpu) = (self.paths(), cpu_time());
        let measured = match tq_tunnel::measure(&connection, asked.upload, streams, time).await {
            Ok(measured) => measured,
            Err(Status::BadRequest) => return Reply::failed(409, "the server is too old to take part"),
            Err(status) => {
                return Reply::failed(409, format!("the measurement broke off: {}", status.name()));
            }
        };
        let (near, far) = (cpu_time().saturating_sub(cpu).as_secs_f64(), measured.far_cpu.as_secs_f64());
        let (gbit, seconds) = (measured.bytes as f64 * 8e-9, measured.time.as_secs_f64());
        let per_gbit = |cpu: f64| if gbit > 0.0 { cpu / gbit } else { 0.0 };
        let part = |now: model::Path| {
            let before = paths.iter().find(|before| before.id == now.id);
            let (sent, received) = before.map_or((0, 0), |path| (path.bytes_sent, path.bytes_received));
            model::MeasuredPath {
                id: now.id,
                link: now.link,
                bytes_sent: now.bytes_sent.saturating_sub(sent),
                bytes_received: now.bytes_received.saturating_sub(received),
            }
        };
        Reply::json(&model::Measured {
            schema: SCHEMA,
            direction: if asked.upload { "upload" } else { "download" }.into(),
            streams: asked.streams,
            seconds,
            bytes: measured.bytes,
            gbit_per_s: gbit / seconds,
            router_cpu_s: near,
            server_cpu_s: far,
            router_cpu_s_per_gbit: per_gbit(near),
            server_cpu_s_per_gbit: per_gbit(far),
            paths: self.paths().into_iter().map(part).collect(),
        })
    }
}
