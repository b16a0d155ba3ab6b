mod link;

use std::println;
use std::vec::Vec;

use tq_time::Duration;

use self::link::{Link, PACKET};
use crate::Algorithm::{self, Bbr, Cubic};
use crate::testing::MS;

const SECOND: Duration = Duration::from_secs(1);
/// 20 Mbit/s.
const RATE: u64 = 2_500_000;

/// A link of 20 Mbit/s whose queue holds so many hundredths of the path.
fn link(delay: Duration, hundredths: u64) -> Link {
    let mut link = Link::new(RATE, delay, 0);
    link.queue = link.bdp() * hundredths / 100;
    link
}

#[test]
fn explore() {
    for (ms, q, loss) in [
        (40, 200, 0), (40, 1000, 0), (10, 200, 0), (40, 10, 0), (10, 20, 0), (40, 100, 10_000), (40, 100, 20_000), (10, 100, 20_000), (100, 100, 20_000),
        (600, 100, 0), (600, 100, 10_000), (600, 10, 0), (40,100,50_000), (100, 100, 1000),
    ] {
        for seed in [1, 2, 3] {
            let mut link = link(ms * MS, q);
            link.loss = loss;
            link.add(Bbr, seed);
            let early = link.shares(5 * SECOND)[0];
            let share = link.shares(30 * SECOND)[0];
            println!("{ms} ms queue {q} loss {loss} seed {seed}: first 5 s {early:.3} then {share:.3} queues {:.3?} lost {:.4}", link.queues(), link.flows[0].lost as f64 / link.flows[0].delivered as f64);
        }
    }
    for (one, two, name) in [(Bbr, Bbr, "bbr bbr"), (Bbr, Cubic, "bbr cubic")] {
        for (ms, q) in [(40, 50), (40, 100), (40, 200), (40, 400), (10, 100), (100, 100), (100, 400), (40, 20)] {
            for seed in [1, 2, 3] {
                let mut link = link(ms * MS, q);
                link.add(one, seed);
                link.run(100 * MS * (seed as u32 - 1));
                link.add(two, seed + 10);
                link.run(20 * SECOND);
                let shares = link.shares(30 * SECOND);
                println!("{name} {ms} ms queue {q}: {shares:.3?} ratio {:.3} queues {:.3?}", shares[1] / shares[0], link.queues());
            }
        }
    }
}

#[test]
fn explore_two() {
    for (ms, q) in [(100, 100), (40, 50)] {
        for seed in [1, 2, 3, 4, 5] {
            let mut link = link(ms * MS, q);
            link.add(Bbr, seed);
            link.run(100 * MS * (seed as u32 - 1));
            link.add(Bbr, seed + 10);
            for t in 0..8 {
                let shares = link.shares(10 * SECOND);
                println!("{ms} ms queue {q} {t}: {shares:.3?} ratio {:.3} queues {:.3?}", shares[1] / shares[0], link.queues());
            }
            for flow in &link.flows { if let crate::Controller::Bbr(b) = &flow.controller { println!("{:?} {:?} min {} cwnd {} pace {} noise {} ", b.state, b.model, b.min_rtt.min, b.cwnd, b.pacing_rate, b.noise.rate(1500)); } }
        }
    }
}
