//! What a server answers on its control socket.

use std::sync::Arc;

use tq::Connection;
use tq_control::model::{self, SCHEMA};
use tq_control::{Api, Method, Reply, Request, prometheus};
use tq_identity::{DeviceId, Name, Standing, StoreError};

use super::Server;
use crate::api::Common;
use crate::{clock, figures};

/// A server's API.
pub(crate) struct ServerApi {
    pub(crate) common: Common,
    pub(crate) server: Arc<Server>,
}

impl Api for ServerApi {
    async fn call(&self, request: Request) -> Reply {
        let parts: Vec<_> = request.parts.iter().map(String::as_str).collect();
        match (request.method, &parts[..]) {
            (Method::Get, ["status"]) => Reply::json(&self.status()),
            (Method::Get, ["events"]) => Reply::Events(self.common.hub.listen()),
            (Method::Get, ["stats"]) => Reply::json(&self.stats()),
            (Method::Get, ["links"]) => Reply::json(&model::Links { schema: SCHEMA, links: Vec::new() }),
            (Method::Get, ["paths"]) => Reply::json(&model::Paths { schema: SCHEMA, paths: self.paths() }),
            (Method::Get, ["connections"]) => Reply::json(&self.connections()),
            (Method::Get, ["tenants"]) => Reply::json(&self.tenants()),
            (Method::Post, ["tenants", tenant, device]) => self.invite(tenant, device, &request, false).await,
            (Method::Post, ["tenants", tenant, device, "rotate"]) => {
                self.invite(tenant, device, &request, true).await
            }
            (Method::Delete, ["tenants", tenant]) => self.revoke(tenant, None).await,
            (Method::Delete, ["tenants", tenant, device]) => self.revoke(tenant, Some(device)).await,
            (_, ["links", ..] | ["paths", ..]) => Reply::failed(400, "a server has no links: ask the router"),
            (_, ["measure"]) => Reply::failed(400, "the way is measured from the router: ask it"),
            _ => Reply::unknown(format_args!("{} {}", request.method.as_str(), parts.join("/"))),
        }
    }
}

fn names(tenant: &str, device: &str) -> Result<DeviceId, Reply> {
    let name = |text: &str| text.parse::<Name>().map_err(|error| Reply::failed(400, error));
    Ok(DeviceId { tenant: name(tenant)?, device: name(device)? })
}

fn refused(error: &StoreError) -> Reply {
    let code = match error {
        StoreError::Exists(_) | StoreError::Full(_) => 409,
        StoreError::Unknown(_) => 404,
        _ => 500,
    };
    Reply::failed(code, error)
}

impl ServerApi {
    fn status(&self) -> model::Status {
        let peer = |(id, entry): (u64, super::sessions::Entry)| model::Peer {
            id,
            tenant: entry.id.tenant.to_string(),
            device: entry.id.device.to_string(),
            remote: entry.connection.remote_address().to_string(),
            software: entry.software,
            since_s: entry.since.elapsed().as_secs(),
            paths: entry.connection.paths().len() as u64,
            streams: entry.connection.stats().streams as u64,
        };
        model::Status {
            sessions: self.server.sessions.all().into_iter().map(peer).collect(),
            traffic: figures::traffic(&self.server.traffic),
            ..self.common.status("server")
        }
    }

    fn paths(&self) -> Vec<model::Path> {
        let of = |(id, entry): (u64, super::sessions::Entry)| figures::paths(id, &entry.connection, |_| None);
        self.server.sessions.all().into_iter().flat_map(of).collect()
    }

    fn connections(&self) -> model::Connections {
        let of = |(id, entry): (u64, super::sessions::Entry)| {
            let names = (entry.id.tenant.to_string(), entry.id.device.to_string());
            figures::connection(id, names, &entry.connection, |_| None)
        };
        model::Connections {
            schema: SCHEMA,
            connections: self.server.sessions.all().into_iter().map(of).collect(),
        }
    }

    pub(crate) fn stats(&self) -> model::Stats {
        let open: Vec<Connection> =
            self.server.sessions.all().into_iter().map(|(_, e)| e.connection).collect();
        let counters = figures::counters(&self.server.endpoint.stats(), open.iter(), &self.server.traffic);
        model::Stats { schema: SCHEMA, counters }
    }

    /// For scrapers: no names, no addresses.
    pub(crate) fn metrics(&self) -> String {
        let sessions = self.server.sessions.all().len() as u64;
        let flows = figures::traffic(&self.server.traffic).open;
        let gauges =
            [("sessions", "Devices connected now", sessions), ("flows", "TCP connections now", flows)];
        prometheus(&self.stats(), &gauges, &[], &self.paths())
    }

    fn tenants(&self) -> model::Tenants {
        let online: Vec<_> = self.server.sessions.all().into_iter().map(|(_, entry)| entry.id).collect();
        let device = |device: tq_identity::Device| model::Device {
            online: online.contains(&device.id),
            tenant: device.id.tenant.to_string(),
            device: device.id.device.to_string(),
            standing: match device.standing {
                Standing::Invited => "invited",
                Standing::Expired => "expired",
                Standing::Joined => "joined",
                Standing::Revoked => "revoked",
            }
            .into(),
            created: device.created,
            expires: device.expires,
        };
        let devices = self.server.store.devices(clock::unix_now()).into_iter().map(device).collect();
        model::Tenants { schema: SCHEMA, devices }
    }

    async fn invite(&self, tenant: &str, device: &str, request: &Request, again: bool) -> Reply {
        let (id, asked) = match (names(tenant, device), request.json::<model::AddTenant>()) {
            (Ok(id), Ok(asked)) => (id, asked),
            (Err(reply), _) | (_, Err(reply)) => return reply,
        };
        let server = Arc::clone(&self.server);
        let made = tokio::task::spawn_blocking(move || server.invite(&id, asked.expires_in_s, again)).await;
        match made {
            Ok(Ok(token)) => Reply::json(&model::NewToken {
                schema: SCHEMA,
                tenant: token.tenant.to_string(),
                device: token.device.to_string(),
                token: token.to_string(),
                expires: token.expires,
            }),
            Ok(Err(error)) => refused(&error),
            Err(_) => Reply::failed(500, "the store failed"),
        }
    }

    async fn revoke(&self, tenant: &str, device: Option<&str>) -> Reply {
        let id = match names(tenant, device.unwrap_or("all")) {
            Ok(id) => id,
            Err(reply) => return reply,
        };
        let (server, whole) = (Arc::clone(&self.server), device.is_none());
        let revoked = tokio::task::spawn_blocking(move || {
            server.revoke(&id.tenant, Some(&id.device).filter(|_| !whole))
        });
        match revoked.await {
            Ok(Ok((revoked, ended))) => Reply::json(&model::Revoked {
                schema: SCHEMA,
                revoked: revoked.iter().map(ToString::to_string).collect(),
                sessions_ended: ended as u64,
            }),
            Ok(Err(error)) => refused(&error),
            Err(_) => Reply::failed(500, "the store failed"),
        }
    }
}
