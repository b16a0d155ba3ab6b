//! QUIC packets per second of wall time through all of the simulator: two hosts that speak QUIC with real AEADs, the
//! link model between them, every byte checked. One core.
//!
//! `cargo run --release -p tq-sim --example speed [megabytes]`

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use tq_linkmodel::{DirectionConfig, LinkConfig, Queue, Rate};
use tq_quic::TransportConfig;
use tq_sim::app::{App, AppContext, Bulk, BulkSpec, Serve};
use tq_sim::ledger::Ledger;
use tq_sim::quic::{Connect, HostConfig, QuicHost, ServerSetup};
use tq_sim::session::{SeededTls, TlsConfig};
use tq_sim::{End, World};
use tq_time::{Duration, Instant};

/// What must be reached at least.
const BAR: f64 = 100_000.0;

struct Nothing;

impl App for Nothing {
    fn on_event(&mut self, _: &mut AppContext<'_>, _: &tq_quic::Event) {}
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let megabytes: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(500);
    let bytes = megabytes * 1_000_000;
    let (client_ip, server_ip) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(198, 51, 100, 1));
    let mut world = World::new(1);
    let (client, server) = (world.host("client"), world.host("server"));
    let config = LinkConfig::symmetric(DirectionConfig {
        rate: Rate::mbps(300),
        queue: Queue::Time(Duration::from_millis(30)),
        delay: Duration::from_millis(5),
        ..DirectionConfig::default()
    });
    world.link("fibre", End::new(client, client_ip), End::new(server, server_ip), &config);
    let ledger = Ledger::new(2);
    let (transport, books) = (Arc::new(TransportConfig::default()), ledger.clone());
    let tls = |seed| Arc::new(SeededTls::new(seed, TlsConfig::default()));
    let setup = ServerSetup::new(tls(3), Arc::clone(&transport), move |_| Box::new(Serve::new(&books)));
    let remote = SocketAddr::new(server_ip.into(), 443);
    let serving = Rc::new(RefCell::new(QuicHost::new(HostConfig::server(4, remote, setup))));
    let (app, report) = Bulk::new(BulkSpec { bytes: Some(bytes), ..BulkSpec::default() }, &ledger);
    let mut asking = QuicHost::new(HostConfig::client(5, SocketAddr::new(client_ip.into(), 4000)));
    let mut connect = Connect::new(Instant::ZERO, remote, tls(6), transport, Nothing);
    connect.app = Box::new(app);
    asking.connect(connect);
    let asking = Rc::new(RefCell::new(asking));
    world.spawn(client, Box::new(Rc::clone(&asking)));
    world.spawn(server, Box::new(Rc::clone(&serving)));

    let start = std::time::Instant::now();
    let watch = Rc::clone(&report);
    world.run_while(Instant::ZERO + Duration::from_secs(3600), |_| watch.borrow().life.done.is_none())?;
    let wall = start.elapsed().as_secs_f64();

    if report.borrow().complete != 1 || ledger.first().is_some() {
        return Err(format!("not all bytes arrived as they were: {:?}", ledger.first()).into());
    }
    world.check()?;
    let mut counters = asking.borrow().report().counters();
    counters.add(&serving.borrow().report().counters());
    let sent = counters.packets_sent as f64;
    let received = counters.packets_received as f64;
    let virtual_time = world.now().as_nanos() as f64 / 1e9;
    println!(
        "{megabytes} MB over 300 Mbit/s and 10 ms: {sent:.0} packets sent, {received:.0} delivered and opened in {wall:.2} s \
         of wall time and {virtual_time:.2} s of virtual: {:.0} packets/s",
        received / wall
    );
    if received / wall < BAR {
        return Err(format!("that is less than {BAR:.0} packets/s").into());
    }
    Ok(())
}
