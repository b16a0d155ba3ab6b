//! Losses in bursts, as a full receive buffer makes them: whatever the pattern, a transfer goes on soon after.

mod pair;

use pair::Pair;
use pair::flow::Flow;
use tq_quic::time::Duration;
use tq_quic::wire::Side;

/// A transfer of `len` bytes while runs of datagrams are lost both ways; virtual seconds.
fn transfer(seed: u64, len: usize, delay: Duration, back: bool) -> f64 {
    let mut config = tq_quic::TransportConfig::default();
    config.initial_mtu = 1452;
    let mut pair = Pair::new(config.clone(), config);
    pair.delay = delay;
    let mut n = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut dead_until = tq_quic::time::Instant::ZERO;
    let server = pair.server.address;
    let mut seen = 0u64;
    pair.link = Box::new(move |flying| {
        seen += 1;
        if seen < 40 || (flying.to != server && !back) {
            return true;
        }
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        if flying.at < dead_until {
            return false;
        }
        if n.is_multiple_of(500) {
            dead_until = flying.at + Duration::from_micros(n >> 32 & 2047);
        }
        true
    });
    let mut flow = Flow::connect(&mut pair, Side::Client, len);
    let start = pair.now;
    pair.drive_for(Duration::from_secs(600), |pair| flow.work(pair));
    assert!(
        flow.done,
        "seed {seed}: stuck at {} of {len} after {:?}: {:?} {:?} {:?}",
        flow.got.len(),
        pair.now - start,
        pair.client.closed(flow.client),
        pair.client.connections.get(&flow.client).map(|c| (c.stats(), c.deadline())),
        pair.server.connections.get(&flow.server).map(|c| (c.stats(), c.deadline())),
    );
    (pair.now - start).as_secs_f64()
}

#[test]
fn bursts_of_loss_never_stall_a_transfer() {
    for back in [false, true] {
        for seed in 0..60 {
            let seconds = transfer(seed, 5 << 20, Duration::from_micros(100), back);
            assert!(seconds < 6.0, "seed {seed} back {back}: {seconds} s");
        }
    }
}
