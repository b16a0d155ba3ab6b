//! Figures as Prometheus reads them (text format 0.0.4). Names of tenants and addresses are not among them.

use std::fmt::Write;

use crate::model::{Link, Path, Stats};

/// Counters, and the figures of each path; paths of a router by link, those of a server by session and id.
pub fn prometheus(stats: &Stats, gauges: &[(&str, &str, u64)], links: &[Link], paths: &[Path]) -> String {
    let mut text = String::new();
    for (name, value) in &stats.counters {
        let _ = writeln!(text, "# TYPE tquic_{name}_total counter\ntquic_{name}_total {value}");
    }
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP tquic_{name} {help}\n# TYPE tquic_{name} gauge\ntquic_{name} {value}");
    }
    if !links.is_empty() {
        let _ = writeln!(
            text,
            "# HELP tquic_link_up Whether the link carries a path\n# TYPE tquic_link_up gauge"
        );
        for link in links {
            let _ = writeln!(
                text,
                "tquic_link_up{{link=\"{}\"}} {}",
                escaped(&link.name),
                u8::from(link.state == "up")
            );
        }
    }
    type Figure = (&'static str, &'static str, fn(&Path) -> f64);
    let figures: [Figure; 9] = [
        ("path_rtt_seconds", "gauge", |path| path.rtt_ms / 1000.0),
        ("path_min_rtt_seconds", "gauge", |path| path.min_rtt_ms / 1000.0),
        ("path_cwnd_bytes", "gauge", |path| path.cwnd as f64),
        ("path_in_flight_bytes", "gauge", |path| path.in_flight as f64),
        ("path_pacing_rate_bytes", "gauge", |path| path.pacing_rate as f64),
        ("path_mtu_bytes", "gauge", |path| path.mtu as f64),
        ("path_sent_bytes_total", "counter", |path| path.bytes_sent as f64),
        ("path_received_bytes_total", "counter", |path| path.bytes_received as f64),
        ("path_packets_lost_total", "counter", |path| path.packets_lost as f64),
    ];
    for (name, kind, value) in figures.into_iter().filter(|_| !paths.is_empty()) {
        let _ = writeln!(text, "# TYPE tquic_{name} {kind}");
        for path in paths {
            let link = path.link.as_deref().map_or(String::new(), escaped);
            let labels = format!("session=\"{}\",path=\"{}\",link=\"{link}\"", path.session, path.id);
            let _ = writeln!(text, "tquic_{name}{{{labels}}} {}", value(path));
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
