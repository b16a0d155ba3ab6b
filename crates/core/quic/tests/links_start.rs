//! How fast long paths are filled: 100 MB over satellites, from the first packet of the handshake to the last byte read.
//!
//! `cargo test -p tq-quic --test links_start -- --nocapture` prints the table.

mod links;
mod pair;

use links::Case;
use tq_quic::TransportConfig;

const CASES: [Case; 6] = [
    Case { up_mbps: 3, ..Case::new("250/3 600ms", 250, 600, 0, 60) },
    Case { up_mbps: 3, ..Case::new("250/3 600ms q1", 250, 600, 100, 60) },
    Case { up_mbps: 3, jitter_ms: 3, ..Case::new("250/3 600ms jitter 3", 250, 600, 0, 60) },
    Case { up_mbps: 10, ..Case::new("50/10 600ms", 50, 600, 0, 60) },
    Case { up_mbps: 2, ..Case::new("10/2 600ms", 10, 600, 0, 120) },
    Case { up_mbps: 3, loss_ppm: 16_000, ..Case::new("250/3 600ms loss 1.6%", 250, 600, 0, 3000) },
];

#[test]
fn a_satellite_is_filled_soon() {
    let mut out = format!("{}    took s", links::heading());
    for case in &CASES {
        let len = if case.loss_ppm > 0 { 20_000_000 } else { 100_000_000 };
        let outcome = links::run(case, &TransportConfig::default(), Some(len));
        let took = outcome.took.expect("the run ends").as_secs_f64();
        out += &format!("\n{}  {took:>8.2}", links::line(case, &outcome));
    }
    println!("{out}");
}

#[test]
fn one_traced() {
    let Some(ix) = std::env::var("LINKS_CASE").ok().and_then(|s| s.parse::<usize>().ok()) else { return };
    println!("{:?}", links::run(&CASES[ix], &TransportConfig::default(), Some(100_000_000)));
}
