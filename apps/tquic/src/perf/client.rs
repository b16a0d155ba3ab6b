//! The measuring end: connects, lets one kind of measurement run, and reports.

use std::time::Duration;

use anyhow::Result;
use tq::{ClientConfig, Connecting, Connection, Endpoint, SocketId, Version, tls};

use super::protocol::{ALPN, Order};
use super::report::{Common, PathReport, Report};
use super::{ClientOptions, PATHS, bulk, handshakes, identity, requests};
use crate::cpu;
use crate::link::{self, Link, Used};
use crate::remote::Remote;

/// Everything needed to connect, as often as wanted.
#[derive(Clone)]
pub(super) struct Target {
    remote: Remote,
    endpoint: Endpoint,
    links: Vec<Link>,
    /// One for each link.
    sockets: Vec<SocketId>,
    config: ClientConfig,
    resumes: bool,
}

impl Target {
    fn new(remote: Remote, options: &ClientOptions) -> Result<Self> {
        let settings = options.tuning.endpoint();
        let links = options.links.clone();
        let (endpoint, sockets) = match links[..] {
            [] => (remote.endpoint(settings)?, Vec::new()),
            _ => link::endpoint(settings, &links, remote.addr)?,
        };
        let resumes = options.resume || options.early;
        Ok(Self { remote, endpoint, links, sockets, config: config(options, resumes)?, resumes })
    }

    /// Whether sessions are resumed.
    pub(super) fn resumes(&self) -> bool {
        self.resumes
    }

    /// A handshake under way.
    pub(super) fn start(&self) -> Result<Connecting> {
        match self.sockets[..] {
            [] => self.remote.start(&self.endpoint, &self.config),
            _ => self.remote.start_over(&self.endpoint, &self.sockets, &self.config),
        }
    }

    /// The end of a handshake.
    pub(super) async fn complete(&self, connecting: Connecting) -> Result<Connection> {
        self.remote.complete(connecting).await
    }

    /// A connection.
    pub(super) async fn connect(&self) -> Result<Connection> {
        self.complete(self.start()?).await
    }
}

/// One configuration for all connections.
fn config(options: &ClientOptions, resumes: bool) -> Result<ClientConfig> {
    let trust = match options.insecure {
        true => tls::ClientConfig::insecure(),
        false => tls::ClientConfig::pinned_key(identity().spki()),
    };
    let trust = trust.alpn([ALPN]).key_log(true).early_data(options.early).resumption(resumes);
    let mut config = ClientConfig::new(trust)?;
    config.transport(|transport| options.tuning.apply(transport));
    if options.links.len() > 1 {
        config.max_paths(PATHS);
    }
    if resumes && options.tuning.v2 {
        // tickets are of the version that is spoken in the end
        config.version(Version::V2);
    }
    Ok(config)
}

pub(super) async fn run(options: ClientOptions) -> Result<()> {
    let remote = Remote::resolve(&options.addr).await?;
    let target = Target::new(remote, &options)?;
    let connection = target.connect().await?;
    let used = link::open(&connection, &target.links, &target.sockets).await?;
    let meter = Meter::start(&connection, used).await?;
    let report = if options.handshakes {
        let done = handshakes::run(&target, options.duration, options.outstanding).await?;
        Report::Handshakes(done.report(meter.stop().await?))
    } else if let Some(size) = options.requests {
        let done = requests::run(&connection, size, options.duration, options.outstanding).await?;
        Report::Requests(done.report(meter.stop().await?))
    } else {
        let plan = bulk::Plan {
            upload: options.upload,
            bytes: options.bytes,
            duration: options.duration,
            streams: options.streams,
        };
        let done = bulk::run(&connection, plan).await?;
        Report::Bulk(done.report(plan, &options.tuning, meter.stop().await?))
    };
    connection.close(0, b"measured");
    target.endpoint.wait_idle().await;
    report.print(options.json)
}

/// CPU time of both processes over a measurement.
struct Meter<'a> {
    connection: &'a Connection,
    links: Vec<Used>,
    own: Duration,
    peer: Duration,
}

impl<'a> Meter<'a> {
    async fn start(connection: &'a Connection, links: Vec<Used>) -> Result<Self> {
        let peer = peer_cpu(connection).await?;
        Ok(Self { connection, links, own: cpu::time(), peer })
    }

    async fn stop(self) -> Result<Common> {
        let client = cpu::time().saturating_sub(self.own);
        // The paths first: some may go while the question is on its way.
        let paths = self.links.iter().map(PathReport::new).collect();
        let server = peer_cpu(self.connection).await?.saturating_sub(self.peer);
        Ok(Common::new(client, server, &self.connection.stats(), paths))
    }
}

/// What the server's process has used.
async fn peer_cpu(connection: &Connection) -> Result<Duration> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&Order::Cpu.encode()).await?;
    send.finish()?;
    let mut nanos = [0; 8];
    recv.read_exact(&mut nanos).await?;
    Ok(Duration::from_nanos(u64::from_be_bytes(nanos)))
}
