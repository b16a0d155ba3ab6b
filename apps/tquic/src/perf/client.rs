//! The measuring end: connects, lets one kind of measurement run, and reports.

use std::time::Duration;

use anyhow::Result;
use tq::{ClientConfig, Connection, Endpoint, tls};

use super::protocol::{ALPN, Order};
use super::report::{Common, Report};
use super::{ClientOptions, Tuning, bulk, handshakes, identity, requests};
use crate::cpu;
use crate::remote::Remote;

/// Everything needed to connect, as often as wanted.
#[derive(Clone)]
pub(super) struct Target {
    remote: Remote,
    endpoint: Endpoint,
    tuning: Tuning,
}

impl Target {
    /// A connection with a configuration of its own, which knows no earlier session to resume.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let trust = tls::ClientConfig::pinned_key(identity().spki()).alpn([ALPN]).key_log(true);
        let mut config = ClientConfig::new(trust)?;
        config.transport(|transport| self.tuning.apply(transport));
        self.remote.connect(&self.endpoint, &config).await
    }
}

pub(super) async fn run(options: ClientOptions) -> Result<()> {
    let remote = Remote::resolve(&options.addr).await?;
    let target = Target { endpoint: remote.endpoint()?, remote, tuning: options.tuning.clone() };
    let connection = target.connect().await?;
    let meter = Meter::start(&connection).await?;
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
    own: Duration,
    peer: Duration,
}

impl<'a> Meter<'a> {
    async fn start(connection: &'a Connection) -> Result<Self> {
        let peer = peer_cpu(connection).await?;
        Ok(Self { connection, own: cpu::time(), peer })
    }

    async fn stop(self) -> Result<Common> {
        let client = cpu::time().saturating_sub(self.own);
        let server = peer_cpu(self.connection).await?.saturating_sub(self.peer);
        Ok(Common::new(client, server, &self.connection.stats()))
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
