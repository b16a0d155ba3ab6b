//! What is told, as JSON. Fields are added over time, never changed in meaning or taken away, without a new [`SCHEMA`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of everything in this module.
pub const SCHEMA: u32 = 1;

/// A daemon at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The daemon's name, that of its configuration.
    pub name: String,
    /// `router` or `server`.
    pub role: String,
    /// Of the program.
    pub version: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The router's session with its server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// The server's sessions.
    pub sessions: Vec<Peer>,
    /// The router's links.
    pub links: Vec<Link>,
    /// TCP connections carried.
    pub traffic: Traffic,
}

/// A router's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// `connected`, `connecting` or `refused`.
    pub state: String,
    /// Whose device this is.
    pub tenant: String,
    /// Which one.
    pub device: String,
    /// Where the server is.
    pub server: String,
    /// Seconds in this state.
    pub since_s: u64,
    /// Sessions made so far.
    pub sessions: u64,
    /// Why the last attempt failed, or the last session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A device that is connected to a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Number of the session.
    pub id: u64,
    /// Whose device it is.
    pub tenant: String,
    /// Which one.
    pub device: String,
    /// Where it is, by its first path.
    pub remote: String,
    /// What it runs.
    pub software: String,
    /// Seconds since it came.
    pub since_s: u64,
    /// Its paths now.
    pub paths: u64,
    /// Streams open now.
    pub streams: u64,
}

/// A router's link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The network device it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The local address it begins at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `up`: carries a path; `opening`; `down`: its device or address is not there; `off`: by command.
    pub state: String,
    /// `flat` or `metered`.
    pub cost: String,
    /// Which is filled first, from 0, of those that cost the same.
    #[serde(default)]
    pub priority: u64,
    /// Its share with the weighted scheduler, if one was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// The most it is used for, bytes per second each way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u64>,
    /// Whether it is used only if no other can be.
    pub backup: bool,
    /// Its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<u64>,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A path of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// Number of the session; 0 on a router.
    pub session: u64,
    /// Its id in that session.
    pub id: u64,
    /// The router's link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Our address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// The peer's address.
    pub remote: String,
    /// What both ends have agreed of it.
    pub state: String,
    /// How it does in our sending direction.
    pub health: String,
    /// `available` or `standby`: the stricter of what both ends wish.
    pub status: String,
    /// Those that cost less are filled first: 0 to 9 flat rate, 10 to 19 metered, by priority.
    #[serde(default)]
    pub cost: u64,
    /// Its share with the weighted scheduler, if one was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// The most this end sends on it, bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u64>,
    /// Smoothed round trip, ms.
    pub rtt_ms: f64,
    /// Its variation, ms.
    pub rttvar_ms: f64,
    /// Smallest round trip, ms.
    pub min_rtt_ms: f64,
    /// How far it came with what was known of its link: `ready`, `unvalidated`, `validating`, `confirmed`, `retreating` or
    /// `refuted`; nothing if nothing was made use of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Bytes per second it is measured to carry, for later sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<u64>,
    /// Congestion window, bytes.
    pub cwnd: u64,
    /// Bytes in flight.
    pub in_flight: u64,
    /// Bytes per second the pacer lets go.
    pub pacing_rate: u64,
    /// UDP payload, bytes.
    pub mtu: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Packets lost of those sent.
    pub packets_lost: u64,
}

/// All paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paths {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each.
    pub paths: Vec<Path>,
}

/// All links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Links {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each.
    pub links: Vec<Link>,
}

/// A QUIC connection, as `ss` lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Number of the session; 0 on a router.
    pub session: u64,
    /// `established` or `closing`.
    pub state: String,
    /// Whose device.
    pub tenant: String,
    /// Which one.
    pub device: String,
    /// Stream bytes waiting to be sent.
    pub backlog: u64,
    /// Streams open.
    pub streams: u64,
    /// Name of the scheduler.
    pub scheduler: String,
    /// Its paths.
    pub paths: Vec<Path>,
}

/// All connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each.
    pub connections: Vec<Connection>,
}

/// TCP connections carried through the bond.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Open now.
    pub open: u64,
    /// Opened so far.
    pub opened: u64,
    /// Bytes from programs towards the internet.
    pub bytes_up: u64,
    /// Bytes back.
    pub bytes_down: u64,
}

/// A tenant's device, as the server knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub device: String,
    /// `invited`, `expired`, `joined` or `revoked`.
    pub standing: String,
    /// Whether it has a session now.
    pub online: bool,
    /// When its token was made, in seconds since 1970.
    pub created: u64,
    /// When its token expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// All devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenants {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each, by tenant and name.
    pub devices: Vec<Device>,
}

/// A new device's token: told once, to whoever asked for it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct NewToken {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whose.
    pub tenant: String,
    /// Which.
    pub device: String,
    /// The line.
    pub token: String,
    /// When it expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Devices that were revoked, `TENANT/DEVICE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revoked {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each.
    pub revoked: Vec<String>,
    /// Sessions that were ended by it.
    pub sessions_ended: u64,
}

/// Counters since the start, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each.
    pub counters: BTreeMap<String, u64>,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Milliseconds since the daemon started.
    pub at_ms: u64,
    /// `session`, `path`, `link`, `tenant` or `daemon`.
    pub object: String,
    /// What happened to it, one word.
    pub event: String,
    /// Which one.
    pub name: String,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Something was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// [`SCHEMA`].
    pub schema: u32,
}

/// Nothing was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Why, and what helps.
    pub error: String,
}

/// Asks for a new device, or for a new token of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTenant {
    /// Seconds its token may be used; none: for ever.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
}

/// Asks for a new link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddLink {
    /// The network device it is.
    #[serde(default)]
    pub device: Option<String>,
    /// The local address it begins at.
    #[serde(default)]
    pub address: Option<String>,
    /// `flat` or `metered`; guessed unless told.
    #[serde(default)]
    pub cost: Option<String>,
    /// The most it is used for each way, such as `20 Mbit/s`.
    #[serde(default)]
    pub cap: Option<String>,
    /// 1 to 1000.
    #[serde(default)]
    pub weight: Option<u64>,
    /// 0 (first) to 9.
    #[serde(default)]
    pub priority: Option<u64>,
    /// Whether it is used only if no other can be.
    #[serde(default)]
    pub backup: bool,
}

/// Asks for a change of a link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLink {
    /// In use or not.
    #[serde(default)]
    pub up: Option<bool>,
    /// `flat` or `metered`.
    #[serde(default)]
    pub cost: Option<String>,
    /// The most it is used for each way, such as `20 Mbit/s`, or `none`.
    #[serde(default)]
    pub cap: Option<String>,
    /// 1 to 1000, or 0: by what it is measured to carry.
    #[serde(default)]
    pub weight: Option<u64>,
    /// 0 (first) to 9.
    #[serde(default)]
    pub priority: Option<u64>,
    /// Whether it is used only if no other can be.
    #[serde(default)]
    pub backup: Option<bool>,
}

/// Asks for a measurement of the way to the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// To the server; else from it.
    #[serde(default)]
    pub upload: bool,
    /// Streams at a time, 1 to 100.
    pub streams: u64,
    /// For how long, 0.1 to 60 s.
    pub seconds: f64,
}

/// What was measured: payload between the two daemons, without programs and their TCP connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `upload` or `download`.
    pub direction: String,
    /// Streams at a time.
    pub streams: u64,
    /// For how long.
    pub seconds: f64,
    /// Payload that arrived.
    pub bytes: u64,
    /// Goodput.
    pub gbit_per_s: f64,
    /// CPU seconds of the two processes meanwhile, for whatever they did.
    pub router_cpu_s: f64,
    /// As above.
    pub server_cpu_s: f64,
    /// CPU seconds for 1e9 bits of payload.
    pub router_cpu_s_per_gbit: f64,
    /// As above.
    pub server_cpu_s_per_gbit: f64,
    /// What each path carried.
    pub paths: Vec<MeasuredPath>,
}

/// A path's part in a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredPath {
    /// Its id.
    pub id: u64,
    /// Its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// UDP payload sent by the router meanwhile.
    pub bytes_sent: u64,
    /// And received.
    pub bytes_received: u64,
}

/// Asks for a change of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPath {
    /// `available` or `standby`.
    pub status: String,
}

#[cfg(test)]
mod tests;
