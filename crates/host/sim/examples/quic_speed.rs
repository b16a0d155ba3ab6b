//! How many QUIC packets a second of wall time carries between two simulated hosts, AEAD and the check of every byte
//! included: `cargo run --release -p tq-sim --example quic_speed [megabytes]`. One core.

#[path = "../tests/quic_loop/mod.rs"]
mod quic_loop;

use quic_loop::{Parts, seconds};
use tq_quic::TransportConfig;
use tq_sim::app::{Bulk, BulkSpec, Direction};

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn clock() -> std::time::Instant {
        std::time::Instant::now()
    }
    let megabytes: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1000);
    for (name, direction, segments) in [
        ("down, trains of 10", Direction::Down, 10),
        ("up, trains of 10", Direction::Up, 10),
        ("down, single datagrams", Direction::Down, 1),
    ] {
        let bytes = Some(megabytes * 1_000_000);
        let mut transport = TransportConfig::default();
        transport.stream.max_stream_window = 8 << 20;
        transport.stream.max_connection_window = 8 << 20;
        let parts = Parts {
            transport,
            client: Box::new(move |host| host.segments = segments),
            server: Box::new(move |host| host.segments = segments),
            ..Parts::default()
        };
        let spec = BulkSpec { direction, bytes, ..BulkSpec::default() };
        let (mut world, report) = parts.with(|ledger| Bulk::new(spec, ledger));
        let start = clock();
        world.wire.run(seconds(3600.0));
        let wall = (clock() - start).as_secs_f64();
        assert_eq!(report.borrow().complete, 1, "not all came within an hour of virtual time");
        assert_eq!(world.ledger.first(), None, "bytes are wrong");
        let mut counters = world.client.borrow().report().counters();
        counters.add(&world.server.borrow().report().counters());
        let virtual_time = report.borrow().down.borrow().ended.or(report.borrow().up.borrow().ended);
        println!(
            "{name}: {} packets, {} datagrams in {wall:.2} s: {:.0} packets/s, {:.2} Gbit/s; virtual end {:?}",
            counters.packets_sent,
            world.wire.datagrams,
            counters.packets_sent as f64 / wall,
            8.0 * megabytes as f64 / 1000.0 / wall,
            virtual_time.map(|at| at.as_nanos() as f64 / 1e9)
        );
    }
}
