//! Two CUBIC flows over one bottleneck, the second five seconds late: what each gets in the long run.
//!
//! `cargo test -p tq-quic --test links_fair -- --nocapture` prints the table.

mod links;
mod pair;

use links::{Bulk, Case};
use tq_quic::TransportConfig;
use tq_quic::time::Duration;

// Long enough for 20 to 60 cycles of CUBIC: what ideal pairs spread over fewer is more than the bound.
const CASES: [Case; 5] = [
    Case::new("20M 10ms q1", 20, 10, 100, 90),
    Case::new("10M 40ms q1", 10, 40, 100, 120),
    Case::new("10M 40ms q0.5", 10, 40, 50, 120),
    Case::new("10M 100ms q2", 10, 100, 200, 145),
    Case::new("20M 20ms q5", 20, 20, 500, 285),
];

/// Bytes both flows got after 25 s, and the use of the link in that time.
fn share(case: &Case) -> (f64, f64) {
    let (mut pair, seen) = links::pair(case, &TransportConfig::default());
    let mut first = Bulk::start(&mut pair, u64::MAX);
    pair.drive_for(Duration::from_secs(5), |pair| {
        first.work(pair);
        false
    });
    let mut second = Bulk::start(&mut pair, u64::MAX);
    let mut both = |pair: &mut pair::Pair, time: u64| {
        pair.drive_for(Duration::from_secs(time), |pair| {
            first.work(pair);
            second.work(pair);
            false
        });
        (first.got, second.got)
    };
    let before = both(&mut pair, 20);
    let from = pair.now;
    let after = both(&mut pair, case.seconds - 25);
    let used = seen.borrow().between(from, pair.now) as f64 / case.rate() as f64;
    let seconds = (pair.now - from).as_secs_f64();
    ((after.0 - before.0) as f64 / (after.1 - before.1) as f64, used / seconds)
}

#[test]
fn two_flows_share_a_bottleneck() {
    println!("{:<20} {:>7} {:>7}", "link", "ratio", "used");
    for case in &CASES {
        let (ratio, used) = share(case);
        println!("{:<20} {ratio:>7.3} {used:>7.3}", case.name);
        assert!((0.8..=1.25).contains(&ratio), "{}: {ratio:.3}", case.name);
        assert!(used > 0.97, "{}: {used:.3} of the link", case.name);
    }
}
