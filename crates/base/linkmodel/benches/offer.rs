//! How many packets per second one core pushes through a link. `cargo bench -p tq-linkmodel`.

use std::hint::black_box;
use std::time::Instant as Clock;

use tq_linkmodel::{
    Direction, DirectionConfig, Duration, GilbertElliott, Instant, Jitter, Link, LinkConfig, Packet, Policer,
    Preset, Queue, Rate,
};

/// A test run that builds benches too only looks whether it works.
const FEW: u64 = 10_000;
const MANY: u64 = 20_000_000;

fn main() {
    let packets = if std::env::args().any(|arg| arg == "--bench") { MANY } else { FEW };
    let plain = DirectionConfig {
        rate: Rate::Fixed(125_000_000),
        queue: Queue::Bytes(1 << 20),
        delay: Duration::from_millis(10),
        ..DirectionConfig::default()
    };
    let all = DirectionConfig {
        jitter: Jitter::Bell(Duration::from_millis(3)),
        loss_ppm: 1000,
        burst: Some(GilbertElliott {
            to_bad_ppm: 100,
            to_good_ppm: 100_000,
            loss_good_ppm: 0,
            loss_bad_ppm: 500_000,
        }),
        corrupt_ppm: 100,
        duplicate_ppm: 100,
        codel: Some(Default::default()),
        mark_above: Some(Duration::from_millis(2)),
        policer: Some(Policer { rate: 25_000_000, burst: 1 << 20 }),
        ..plain.clone()
    };
    for (name, config, gap) in [
        ("rate, queue, delay", LinkConfig::symmetric(plain), 10_000),
        ("everything", LinkConfig::symmetric(all), 10_000),
        ("lte", Preset::Lte.config(1), 125_000),
        ("leo", Preset::Leo.config(1), 50_000),
    ] {
        let rate = run(&config, gap, packets);
        println!("{name:20} {rate:6.1} million packets per second");
    }
}

/// Offers packets of 1250 bytes each `gap` nanoseconds, which is about what the link carries, in eight flows.
#[expect(clippy::disallowed_methods, reason = "a benchmark asks the real clock")]
fn run(config: &LinkConfig, gap: u64, packets: u64) -> f64 {
    let mut link = Link::new(config, 1);
    let start = Clock::now();
    for index in 0..packets {
        let packet = Packet { len: 1250, flow: index % 8, ..Packet::default() };
        black_box(link.offer(Instant::from_nanos(index * gap), Direction::Down, packet));
    }
    packets as f64 / start.elapsed().as_secs_f64() / 1e6
}
