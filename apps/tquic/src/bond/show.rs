//! Answers as people read them: columns, and figures with units.

use std::fmt::Write;

use tq_control::model::{Connections, Device, Event, Links, Path, Paths, Stats, Status, Tenants};

#[cfg(test)]
mod tests;

/// Rows under a head, each column as wide as it has to be.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut widths: Vec<_> = head.iter().map(|cell| cell.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once::<Vec<String>>(head).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// 1.2 MB.
fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 9.95 => format!("{value:.1} {}", units[unit]),
        _ => format!("{value:.0} {}", units[unit]),
    }
}

/// 90 s, 5 min, 3 h, 2 d.
fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(super) fn status(status: &Status) -> String {
    let mut text = String::new();
    let Status { name, role, version, .. } = status;
    let _ = writeln!(text, "{role} {name}, tquicd {version}, up {}", time(status.uptime_s));
    if let Some(session) = &status.session {
        let since = time(session.since_s);
        let _ = writeln!(
            text,
            "session: {} for {since}, {}/{} with {}",
            session.state, session.tenant, session.device, session.server
        );
        if let Some(error) = &session.error {
            let _ = writeln!(text, "  last: {error}");
        }
    }
    let traffic = &status.traffic;
    let (up, down) = (bytes(traffic.bytes_up), bytes(traffic.bytes_down));
    let _ =
        writeln!(text, "connections: {} open, {} so far; {up} up, {down} down", traffic.open, traffic.opened);
    if role == "router" {
        text += &link_table(&status.links);
    } else {
        let rows = status.sessions.iter().map(|peer| {
            vec![
                peer.id.to_string(),
                format!("{}/{}", peer.tenant, peer.device),
                peer.remote.clone(),
                peer.paths.to_string(),
                peer.streams.to_string(),
                time(peer.since_s),
                peer.software.clone(),
            ]
        });
        text += &table(&["id", "device", "from", "paths", "streams", "since", "software"], rows.collect());
    }
    text
}

/// What was said of a link beside its cost.
fn terms(link: &tq_control::model::Link) -> String {
    let mut all = Vec::new();
    if link.priority > 0 {
        all.push(format!("priority {}", link.priority));
    }
    all.extend(link.weight.map(|weight| format!("weight {weight}")));
    all.extend(link.max_rate.map(|rate| format!("cap {} Mbit/s", rate as f64 * 8.0 / 1e6)));
    if link.backup {
        all.push("backup".into());
    }
    all.join(", ")
}

fn link_table(links: &[tq_control::model::Link]) -> String {
    let rows = links.iter().map(|link| {
        let begins = link.device.clone().or(link.address.clone()).unwrap_or_default();
        let terms = terms(link);
        let path = link.path.map_or("-".to_owned(), |path| path.to_string());
        let error = link.error.clone().unwrap_or_default();
        vec![link.name.clone(), begins, link.state.clone(), path, link.cost.clone(), terms, error]
    });
    table(&["link", "begins", "state", "path", "cost", "", ""], rows.collect())
}

pub(super) fn links(links: &Links) -> String {
    link_table(&links.links)
}

pub(super) fn paths(paths: &Paths) -> String {
    let row = |path: &Path| {
        vec![
            path.session.to_string(),
            path.id.to_string(),
            path.link.clone().unwrap_or_else(|| "-".into()),
            path.local.clone().unwrap_or_else(|| "-".into()),
            path.remote.clone(),
            path.status.clone(),
            path.health.clone(),
            format!("{:.1}", path.rtt_ms),
            bytes(path.bytes_sent),
            bytes(path.bytes_received),
            path.packets_lost.to_string(),
            path.mtu.to_string(),
        ]
    };
    let head =
        ["session", "id", "dev", "local", "remote", "status", "health", "rtt", "tx", "rx", "lost", "mtu"];
    table(&head, paths.paths.iter().map(row).collect())
}

pub(super) fn tenants(tenants: &Tenants) -> String {
    let row = |device: &Device| {
        let online = if device.online { "online" } else { "-" };
        vec![device.tenant.clone(), device.device.clone(), device.standing.clone(), online.into()]
    };
    table(&["tenant", "device", "standing", "session"], tenants.devices.iter().map(row).collect())
}

pub(super) fn connections(all: &Connections, info: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "State        Send-Q  Streams  Paths  Peer");
    for connection in &all.connections {
        let state = if connection.state == "established" { "ESTAB" } else { "CLOSING" };
        let remote = connection.paths.first().map_or("-", |path| &path.remote);
        let _ = writeln!(
            text,
            "{state:<12} {:<7} {:<8} {:<6} {remote} {}/{}",
            connection.backlog,
            connection.streams,
            connection.paths.len(),
            connection.tenant,
            connection.device
        );
        for path in connection.paths.iter().filter(|_| info) {
            let _ = writeln!(
                text,
                "\t path:{} dev:{} {} {}{} rtt:{:.1}/{:.1} minrtt:{:.1} cwnd:{} inflight:{} mss:{} pacing:{}/s sent:{} \
                 rcvd:{} lost:{} known:{} sched:{}",
                path.id,
                path.link.as_deref().unwrap_or("-"),
                path.status,
                path.health,
                policy(path),
                path.rtt_ms,
                path.rttvar_ms,
                path.min_rtt_ms,
                path.cwnd,
                path.in_flight,
                path.mtu,
                bytes(path.pacing_rate).replace(' ', ""),
                path.bytes_sent,
                path.bytes_received,
                path.packets_lost,
                path.known.as_deref().unwrap_or("-"),
                connection.scheduler
            );
        }
    }
    text
}

/// What is said of a path, if anything is.
fn policy(path: &Path) -> String {
    let mut text = String::new();
    if path.cost > 0 {
        let _ = write!(text, " cost:{}", path.cost);
    }
    if let Some(weight) = path.weight {
        let _ = write!(text, " weight:{weight}");
    }
    if let Some(rate) = path.max_rate {
        let _ = write!(text, " max:{}/s", bytes(rate).replace(' ', ""));
    }
    text
}

/// As `/proc/net/netstat` has it: a line of names, a line of numbers.
pub(super) fn stats(stats: &Stats) -> String {
    let names: Vec<_> = stats.counters.keys().map(|name| camel(name)).collect();
    let values: Vec<_> = stats.counters.values().map(u64::to_string).collect();
    format!("TquicExt: {}\nTquicExt: {}\n", names.join(" "), values.join(" "))
}

/// `packets_sent` as `PacketsSent`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    name.split('_').map(word).collect()
}

pub(super) fn event(event: &Event) -> String {
    let colon = if event.text.is_empty() { "" } else { ": " };
    let (seconds, ms) = (event.at_ms / 1000, event.at_ms % 1000);
    format!("{seconds:>6}.{ms:03} {} {} {}{colon}{}", event.object, event.name, event.event, event.text)
}
