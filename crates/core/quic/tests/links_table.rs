//! Twenty links, one sender each: how much of the link is used after slow start.
//!
//! `cargo test -p tq-quic --test links_table -- --nocapture` prints the table.

mod links;
mod pair;

use links::{Case, Radio};
use tq_quic::TransportConfig;

const CASES: [Case; 20] = [
    Case::new("10M 5ms q1", 10, 5, 100, 20),
    Case::new("10M 40ms q0.5", 10, 40, 50, 20),
    Case::new("20M 100ms q1", 20, 100, 100, 20),
    Case::new("50M 20ms q0.2", 50, 20, 20, 8),
    Case::new("50M 20ms q0.5", 50, 20, 50, 8),
    Case::new("50M 20ms q1", 50, 20, 100, 8),
    Case::new("50M 20ms q5", 50, 20, 500, 8),
    Case::new("100M 200ms q0.5", 100, 200, 50, 16),
    Case::new("100M 200ms q1", 100, 200, 100, 12),
    Case::new("100M 50ms q1", 100, 50, 100, 6),
    Case::new("300M 10ms q1", 300, 10, 100, 3),
    Case::new("1G 5ms q1", 1000, 5, 100, 2),
    Case::new("1G 20ms q0.5", 1000, 20, 50, 2),
    Case { up_mbps: 5, ..Case::new("100/5 30ms q1", 100, 30, 100, 6) },
    Case { up_mbps: 3, ..Case::new("250/3 600ms q1", 250, 600, 100, 14) },
    Case { jitter_ms: 8, loss_ppm: 10, ..Case::new("WiFi 100M 20ms j8 q5", 100, 20, 500, 5) },
    Case { jitter_ms: 10, radio: Radio::Lte, ..Case::new("LTE 40M 40ms j10", 40, 40, 500, 20) },
    Case { jitter_ms: 4, reorder: true, ..Case::new("50M 30ms reorder 4ms", 50, 30, 100, 8) },
    Case { loss_ppm: 100, ..Case::new("50M 40ms loss 0.01%", 50, 40, 100, 12) },
    Case { jitter_ms: 5, up_mbps: 20, radio: Radio::Leo, ..Case::new("LEO 100/20 30ms", 100, 30, 300, 40) },
];

#[test]
fn every_empty_link_is_used_after_slow_start() {
    let mut out = links::heading();
    for case in &CASES {
        let outcome = links::run(case, &TransportConfig::default(), None);
        out += &format!("\n{}", links::line(case, &outcome));
    }
    println!("{out}");
}

#[test]
fn one_traced() {
    let Some(ix) = std::env::var("LINKS_CASE").ok().and_then(|s| s.parse::<usize>().ok()) else { return };
    println!("{:?}", links::run(&CASES[ix], &TransportConfig::default(), None));
}
