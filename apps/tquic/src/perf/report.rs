//! What was measured, for people and as JSON.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tq::ConnectionStats;
use tq::quic::cc::Algorithm;

use super::latency::Latencies;
use crate::link::Used;

/// Version of the JSON.
const SCHEMA: u32 = 1;

/// What every report has.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Common {
    /// CPU seconds of the processes over the measurement.
    client_cpu_s: f64,
    server_cpu_s: f64,
    /// Of the first path, as the client sees it.
    rtt_ms: f64,
    mtu: u16,
    /// Packets the client lost.
    packets_lost: u64,
    /// One for each link, if links were named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<PathReport>,
}

/// A link and the path over it, as the client sees it, from the connection's start on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PathReport {
    link: String,
    /// `active`, `standby`, …; `unused` if there was none, `closed` if nothing is left of it.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<SocketAddr>,
    /// Of UDP payload.
    bytes_sent: u64,
    bytes_received: u64,
    rtt_ms: f64,
    mtu: u16,
    /// Packets the client lost there.
    packets_lost: u64,
}

impl PathReport {
    pub(super) fn new(used: &Used) -> Self {
        let path = used.path.as_ref().ok();
        let stats = path.and_then(|path| path.stats());
        Self {
            link: used.link.clone(),
            state: match (path, &stats) {
                (None, _) => "unused".into(),
                (Some(_), None) => "closed".into(),
                (Some(_), Some(stats)) => format!("{:?}", stats.state).to_lowercase(),
            },
            path: path.map(|path| path.id().0),
            local: path.and_then(|path| path.local_address()),
            remote: stats.map(|stats| stats.remote),
            bytes_sent: stats.map_or(0, |stats| stats.bytes_sent),
            bytes_received: stats.map_or(0, |stats| stats.bytes_received),
            rtt_ms: stats.map_or(0.0, |stats| stats.srtt.as_secs_f64() * 1e3),
            mtu: stats.map_or(0, |stats| stats.mtu),
            packets_lost: stats.map_or(0, |stats| stats.packets_lost),
        }
    }

    fn text(&self) -> String {
        let Self { link, state, bytes_sent, bytes_received, rtt_ms, mtu, packets_lost, .. } = self;
        match self.path {
            None => format!("link {link}: {state}"),
            Some(path) => format!(
                "link {link}: path {path} {state}, {:.1} MB in, {:.1} MB out, RTT {rtt_ms:.3} ms, UDP payload {mtu}, \
                 {packets_lost} packets lost here",
                *bytes_received as f64 / 1e6,
                *bytes_sent as f64 / 1e6
            ),
        }
    }
}

impl Common {
    pub(super) fn new(
        client: Duration,
        server: Duration,
        stats: &ConnectionStats,
        paths: Vec<PathReport>,
    ) -> Self {
        let path = stats.paths.first();
        Self {
            client_cpu_s: client.as_secs_f64(),
            server_cpu_s: server.as_secs_f64(),
            rtt_ms: path.map_or(0.0, |path| path.srtt.as_secs_f64() * 1e3),
            mtu: path.map_or(0, |path| path.mtu),
            packets_lost: stats.counters.packets_lost,
            paths,
        }
    }
}

/// A throughput.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BulkReport {
    direction: &'static str,
    streams: u32,
    cc: String,
    bytes: u64,
    seconds: f64,
    gbit_per_s: f64,
    /// CPU seconds per 1e9 payload bytes.
    client_cpu_s_per_gb: f64,
    server_cpu_s_per_gb: f64,
    #[serde(flatten)]
    common: Common,
}

impl BulkReport {
    pub(super) fn new(
        upload: bool,
        streams: u32,
        cc: Algorithm,
        bytes: u64,
        time: Duration,
        common: Common,
    ) -> Self {
        let gigabytes = bytes as f64 / 1e9;
        let seconds = time.as_secs_f64();
        Self {
            direction: if upload { "upload" } else { "download" },
            streams,
            cc: format!("{cc:?}").to_lowercase(),
            bytes,
            seconds,
            gbit_per_s: per(gigabytes * 8.0, seconds),
            client_cpu_s_per_gb: per(common.client_cpu_s, gigabytes),
            server_cpu_s_per_gb: per(common.server_cpu_s, gigabytes),
            common,
        }
    }
}

/// Handshakes or requests per second.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RateReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    outstanding: u32,
    count: u64,
    seconds: f64,
    per_s: f64,
    /// CPU milliseconds of one.
    client_cpu_ms: f64,
    server_cpu_ms: f64,
    /// How long one took: half of them, and all but one in a hundred, no longer than this.
    p50_us: f64,
    p99_us: f64,
    #[serde(flatten)]
    common: Common,
}

impl RateReport {
    pub(super) fn new(
        size: Option<u32>,
        outstanding: u32,
        latencies: &Latencies,
        time: Duration,
        common: Common,
    ) -> Self {
        let count = latencies.count();
        let seconds = time.as_secs_f64();
        Self {
            size,
            outstanding,
            count,
            seconds,
            per_s: per(count as f64, seconds),
            client_cpu_ms: per(common.client_cpu_s * 1e3, count as f64),
            server_cpu_ms: per(common.server_cpu_s * 1e3, count as f64),
            p50_us: latencies.quantile_us(0.5),
            p99_us: latencies.quantile_us(0.99),
            common,
        }
    }
}

/// `amount` per `unit`, 0 of nothing.
fn per(amount: f64, unit: f64) -> f64 {
    if unit > 0.0 { amount / unit } else { 0.0 }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "measured", rename_all = "lowercase")]
pub(super) enum Report {
    Bulk(BulkReport),
    Handshakes(RateReport),
    Requests(RateReport),
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema: u32,
    #[serde(flatten)]
    report: &'a Report,
}

impl Report {
    /// To stdout.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        let text = if json { self.json()? } else { self.text() };
        crate::exit::say(&text)
    }

    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(&Versioned { schema: SCHEMA, report: self })?)
    }

    fn text(&self) -> String {
        match self {
            Self::Bulk(r) => format!(
                "{} of {:.3} GB in {:.2} s over {} stream(s), {}: {:.3} Gbit/s\n\
                 CPU per GB: client {:.3} s, server {:.3} s\n{}",
                r.direction,
                r.bytes as f64 / 1e9,
                r.seconds,
                r.streams,
                r.cc,
                r.gbit_per_s,
                r.client_cpu_s_per_gb,
                r.server_cpu_s_per_gb,
                path(&r.common)
            ),
            Self::Handshakes(r) => rate("handshakes", r),
            Self::Requests(r) => rate(&format!("requests of {} bytes", r.size.unwrap_or(0)), r),
        }
    }
}

fn rate(what: &str, r: &RateReport) -> String {
    format!(
        "{} {what} in {:.2} s, {} at a time: {:.0} per second\n\
         each took {:.0} us (median), {:.0} us (99 %)\n\
         CPU of each: client {:.4} ms, server {:.4} ms\n{}",
        r.count,
        r.seconds,
        r.outstanding,
        r.per_s,
        r.p50_us,
        r.p99_us,
        r.client_cpu_ms,
        r.server_cpu_ms,
        path(&r.common)
    )
}

fn path(common: &Common) -> String {
    if common.paths.is_empty() {
        return format!(
            "RTT {:.3} ms, UDP payload {}, {} packets lost here",
            common.rtt_ms, common.mtu, common.packets_lost
        );
    }
    common.paths.iter().map(PathReport::text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
