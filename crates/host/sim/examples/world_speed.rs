//! How many packets per second the simulated network forwards: one sender, one link, one receiver that counts.
//!
//! `cargo run --release -p tq-sim --example world_speed [packets]`

use std::net::{Ipv4Addr, SocketAddr};

use tq_linkmodel::{DirectionConfig, Ecn, LinkConfig, Queue, Rate};
use tq_sim::{Context, End, Meta, Notice, Process, World};
use tq_time::{Duration, Instant};

const SENDER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Packets sent each millisecond.
const BURST: usize = 100;
const SIZE: usize = 1200;

/// Sends a burst each millisecond, or only receives.
struct Node {
    address: Ipv4Addr,
    left: usize,
    bytes: Vec<u8>,
}

impl Process for Node {
    fn start(&mut self, cx: &mut Context<'_>) {
        cx.bind(0, SocketAddr::new(self.address.into(), 9));
        self.on_timer(cx);
    }

    fn on_datagram(&mut self, _: &mut Context<'_>, _: &Meta, _: &mut [u8]) {}

    fn on_timer(&mut self, cx: &mut Context<'_>) {
        let count = self.left.min(BURST);
        if count > 0 {
            self.left -= count;
            let remote = SocketAddr::new(RECEIVER.into(), 9);
            cx.send(cx.now(), 0, None, remote, Ecn::Ect0, SIZE, &self.bytes[..count * SIZE]);
            cx.set_timer(Some(cx.now() + Duration::from_millis(1)));
        }
    }

    fn on_notice(&mut self, _: &mut Context<'_>, _: &Notice) {}

    fn settle(&mut self, _: &mut Context<'_>) {}
}

#[expect(clippy::disallowed_methods, reason = "this example measures wall time")]
fn main() -> Result<(), tq_sim::Fault> {
    let packets = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(3_000_000);
    for hops in [1, 3] {
        let mut world = World::new(1);
        let (a, b) = (world.host("sender"), world.host("receiver"));
        let config = LinkConfig::symmetric(DirectionConfig {
            rate: Rate::mbps(2000),
            queue: Queue::Time(Duration::from_millis(50)),
            delay: Duration::from_millis(10),
            ..DirectionConfig::default()
        });
        let mut near = End::new(a, SENDER);
        for hop in 1..hops {
            let router = world.router("router");
            world.link("hop", near, End::new(router, [192, 168, hop, 1]), &config);
            near = End::new(router, [192, 168, hop, 2]);
        }
        world.link("last", near, End::new(b, RECEIVER), &config);
        for (node, address, left) in [(a, SENDER, packets), (b, RECEIVER, 0)] {
            world.spawn(node, Box::new(Node { address, left, bytes: vec![0; BURST * SIZE] }));
        }
        let start = std::time::Instant::now();
        world.run_until(Instant::ZERO + Duration::from_secs(packets as u64 / BURST as u64 / 1000 + 2))?;
        let seconds = start.elapsed().as_secs_f64();
        let received = world.totals(b).received;
        let rate = received as f64 * f64::from(hops) / seconds / 1e6;
        println!(
            "{hops} links: {received} packets in {seconds:.2} s, {rate:.2} million link crossings a second"
        );
    }
    Ok(())
}
