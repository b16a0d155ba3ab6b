//! The file as it is typed. An unknown key is an error everywhere, and values are checked where they stand, so that the
//! reader can say in which line.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use tq_identity::Name;
use tq_tunnel::Rule;

use super::{Cost, Rate, Without};

/// What may stand where a value of a type is wanted, if its own errors do not say that.
pub(super) trait Shape {
    const SHAPE: &'static str = "";
}

impl Shape for SocketAddr {
    const SHAPE: &'static str = ", expected an address and a port such as \"127.0.0.1:1080\" or \"[::]:443\"";
}

impl Shape for IpAddr {
    const SHAPE: &'static str = ", expected an address such as \"203.0.113.7\" or \"2001:db8::7\", no name";
}

impl Shape for Rule {}
impl Shape for Name {}
impl Shape for Cost {}
impl Shape for Rate {}
impl Shape for Without {}
impl Shape for tq::quic::sched::Kind {}
impl Shape for tq::quic::cc::Algorithm {}

/// A value written as text.
#[derive(Clone, Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display> + Shape> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |error| serde::de::Error::custom(format_args!("{text:?}: {error}{}", T::SHAPE));
        text.parse().map(Self).map_err(wrong)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) state: Option<PathBuf>,
    pub(super) server: Option<Server>,
    pub(super) egress: Option<Egress>,
    pub(super) router: Option<Router>,
    pub(super) link: Option<Vec<Link>>,
    pub(super) tcp: Option<Tcp>,
    pub(super) lan: Option<Lan>,
    pub(super) control: Option<Control>,
    pub(super) metrics: Option<Metrics>,
    pub(super) transport: Option<Transport>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Option<Vec<Text<SocketAddr>>>,
    #[serde(default)]
    pub(super) addresses: Vec<Text<IpAddr>>,
    pub(super) port: Option<u16>,
    pub(super) max_sessions: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Egress {
    #[serde(default)]
    pub(super) allow: Vec<Text<Rule>>,
    #[serde(default)]
    pub(super) deny: Vec<Text<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Router {
    pub(super) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) allow: Vec<String>,
    #[serde(default)]
    pub(super) deny: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lan {
    pub(super) interfaces: Vec<String>,
    pub(super) without: Option<Text<Without>>,
    #[serde(default)]
    pub(super) instance: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) name: Option<Text<Name>>,
    pub(super) device: Option<String>,
    pub(super) address: Option<Text<IpAddr>>,
    #[serde(rename = "match")]
    pub(super) matches: Option<String>,
    pub(super) cost: Option<Text<Cost>>,
    pub(super) cap: Option<Text<Rate>>,
    pub(super) priority: Option<u64>,
    pub(super) weight: Option<u64>,
    #[serde(default)]
    pub(super) backup: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tcp {
    #[serde(default)]
    pub(super) socks5: Vec<Text<SocketAddr>>,
    #[serde(default)]
    pub(super) http: Vec<Text<SocketAddr>>,
    pub(super) max_connections: Option<usize>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Control {
    pub(super) socket: Option<PathBuf>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) listen: Option<Text<SocketAddr>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transport {
    pub(super) scheduler: Option<Text<tq::quic::sched::Kind>>,
    pub(super) congestion: Option<Text<tq::quic::cc::Algorithm>>,
}
