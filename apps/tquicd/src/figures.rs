//! From the transport's figures to those that are told: one place for status, listings, statistics and metrics.

use std::collections::BTreeMap;

use tq::{Connection, EndpointStats, PathHealth, PathState, PathStatus};
use tq_control::model;
use tq_tunnel::{Status, Traffic};

/// The paths of a session.
pub(crate) fn paths(
    session: u64,
    connection: &Connection,
    link: impl Fn(&tq::Path) -> Option<String>,
) -> Vec<model::Path> {
    let figures = |path: tq::Path| {
        let (stats, info) = (path.stats()?, path.info()?);
        let backup = [info.local_status, info.peer_status].contains(&PathStatus::Backup);
        let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1000.0;
        Some(model::Path {
            session,
            id: path.id().0.into(),
            link: link(&path),
            local: path.local_address().map(|addr| addr.to_string()),
            remote: info.remote.to_string(),
            state: state(info.state).into(),
            health: health(info.health).into(),
            status: if backup { "standby" } else { "available" }.into(),
            cost: info.policy.cost.into(),
            weight: info.policy.weight.map(Into::into),
            max_rate: info.policy.max_rate,
            rtt_ms: ms(stats.srtt),
            rttvar_ms: ms(stats.rttvar),
            min_rtt_ms: ms(stats.min_rtt),
            known: stats.resumption.map(|how| how.as_str().into()),
            learnt: stats.learnt.map(|profile| profile.rate),
            cwnd: stats.cwnd,
            in_flight: stats.in_flight,
            pacing_rate: stats.pacing_rate,
            mtu: stats.mtu.into(),
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            packets_lost: stats.packets_lost,
        })
    };
    connection.paths().into_iter().filter_map(figures).collect()
}

fn state(state: PathState) -> &'static str {
    match state {
        PathState::Created => "created",
        PathState::Validating => "validating",
        PathState::Validated => "validated",
        PathState::Active => "active",
        PathState::Standby => "standby",
        PathState::Closing => "closing",
        PathState::Failed => "failed",
    }
}

pub(crate) fn health(health: PathHealth) -> &'static str {
    match health {
        PathHealth::Good => "good",
        PathHealth::Suspect => "suspect",
        PathHealth::Out => "out",
        PathHealth::Probation => "probation",
        PathHealth::Held => "held",
    }
}

/// A connection as `ss` lists it.
pub(crate) fn connection(
    session: u64,
    names: (String, String),
    connection: &Connection,
    link: impl Fn(&tq::Path) -> Option<String>,
) -> model::Connection {
    let stats = connection.stats();
    model::Connection {
        session,
        state: if connection.close_reason().is_some() { "closing" } else { "established" }.into(),
        tenant: names.0,
        device: names.1,
        backlog: stats.backlog,
        streams: stats.streams as u64,
        scheduler: connection.scheduler().into(),
        paths: paths(session, connection, link),
    }
}

/// TCP connections carried.
pub(crate) fn traffic(traffic: &Traffic) -> model::Traffic {
    let now = traffic.snapshot();
    model::Traffic {
        open: now.opened.saturating_sub(now.closed),
        opened: now.opened,
        bytes_up: now.bytes_up,
        bytes_down: now.bytes_down,
    }
}

/// All counters by name: the endpoint's, those of its connections, and the bond's.
pub(crate) fn counters<'a>(
    endpoint: &EndpointStats,
    connections: impl Iterator<Item = &'a Connection>,
    traffic: &Traffic,
) -> BTreeMap<String, u64> {
    let mut totals = endpoint.counters;
    for connection in connections {
        totals.add(&connection.stats().counters);
    }
    let mut named = BTreeMap::new();
    totals.each(|name, reason, value| {
        let name = reason.map_or_else(|| name.to_owned(), |reason| format!("dropped_{}", reason.name()));
        named.insert(name, value);
    });
    let now = traffic.snapshot();
    let more = [
        ("connections_accepted", endpoint.accepted),
        ("connections_refused", endpoint.refused),
        ("connections_ignored", endpoint.ignored),
        ("socket_drops", endpoint.socket_drops),
        ("send_errors", endpoint.send_errors),
        ("flows_opened", now.opened),
        ("flows_closed", now.closed),
        ("flow_bytes_up", now.bytes_up),
        ("flow_bytes_down", now.bytes_down),
    ];
    named.extend(more.map(|(name, value)| (name.to_owned(), value)));
    for status in Status::ALL {
        named.insert(format!("flow_{}", status.name()), now.outcomes[status as usize]);
    }
    named
}
