//! How fast long paths are filled: 100 MB over satellites, from the first packet of the handshake to the last byte read.
//!
//! `cargo test -p tq-quic --test links_start -- --nocapture` prints the table.

mod links;
mod pair;

use links::Case;
use tq_quic::TransportConfig;

/// Links and the seconds that 100 MB may take: what picoquic asks of itself with CUBIC (250 Mbit/s), and of the second
/// and third the bars of its satellite tests. Of the third, 84.5 s are the floor here: 100 MB in packets of 1480 bytes
/// with 1416 of payload take 83.6 s, to which the handshake and half a round trip come.
const CASES: [(Case, f64); 5] = [
    (Case { up_mbps: 3, ..Case::new("250/3 600ms", 250, 600, 0, 60) }, 6.5),
    (Case { up_mbps: 3, ..Case::new("250/3 600ms q1", 250, 600, 100, 60) }, 6.5),
    (Case { up_mbps: 3, jitter_ms: 3, ..Case::new("250/3 600ms jitter 3", 250, 600, 0, 60) }, 6.7),
    (Case { up_mbps: 10, ..Case::new("50/10 600ms", 50, 600, 0, 60) }, 20.0),
    (Case { up_mbps: 2, ..Case::new("10/2 600ms", 10, 600, 0, 120) }, 86.0),
];
const BYTES: u64 = 100_000_000;

#[test]
fn a_satellite_is_filled_soon() {
    let mut out = format!("{}    took s", links::heading());
    for (case, bar) in &CASES {
        let outcome = links::run(case, &TransportConfig::default(), Some(BYTES));
        let took = outcome.took.expect("the run ends").as_secs_f64();
        out += &format!("\n{}  {took:>8.2}", links::line(case, &outcome));
        assert!(took <= *bar, "{} takes {took:.2} s\n{out}", case.name);
        assert!(outcome.up < case.up_mbps as f64 / 4.0, "{}: {:.2} Mbit/s of ACKs", case.name, outcome.up);
    }
    println!("{out}");
}

#[test]
fn the_start_of_long_paths_can_be_switched_off() {
    let mut plain = TransportConfig::default();
    plain.long_path_start = false;
    let case = Case { up_mbps: 3, ..Case::new("250/3 600ms", 250, 600, 0, 60) };
    let seconds =
        |config| links::run(&case, config, Some(20_000_000)).took.expect("the run ends").as_secs_f64();
    let (on, off) = (seconds(&TransportConfig::default()), seconds(&plain));
    println!("20 MB at 250/3 Mbit/s: {on:.2} s, switched off {off:.2} s");
    assert!(on + 1.5 < off, "{on:.2} s, switched off {off:.2} s");
}

#[test]
fn a_shallow_queue_on_a_long_path_is_not_flooded() {
    // A tenth of the bandwidth-delay product: the jump must not throw away more than slow start would.
    let case = Case { up_mbps: 10, ..Case::new("50/10 300ms q0.1", 50, 300, 10, 6) };
    let mut plain = TransportConfig::default();
    plain.long_path_start = false;
    let [on, off] = [&TransportConfig::default(), &plain].map(|config| links::run(&case, config, None));
    println!("{}\n{}\n{}", links::heading(), links::line(&case, &on), links::line(&case, &off));
    assert!(on.lost < 0.05 && on.ptos == 0 && on.whole > off.whole, "{on:?}, switched off {off:?}");
}

#[test]
fn random_loss_is_survived() {
    // 1.6 % is far beyond what CUBIC fills such a link with: this only shows what is left, and that nothing stalls.
    let case = Case { up_mbps: 3, loss_ppm: 16_000, ..Case::new("250/3 600ms loss 1.6%", 250, 600, 0, 100) };
    let outcome = links::run(&case, &TransportConfig::default(), None);
    println!("{}\n{}", links::heading(), links::line(&case, &outcome));
    assert!(outcome.ptos <= 1 && outcome.whole * 250.0 > 0.3, "{outcome:?}");
}
