//! What links could have carried, by hand.

use std::time::Duration;

use tq_linkmodel::Instant;
use tq_netlab::control::Wanted;

use super::Log;

fn at(s: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(s)
}

fn log() -> Log {
    let acts = vec![(at(4), 0, Wanted::CutSilently), (at(5), 1, Wanted::Cut), (at(6), 0, Wanted::Heal)];
    let rates = [(6, [9.0, 0.0]), (7, [4.0, 0.0]), (8, [6.0, 0.0])];
    Log { begun: at(0), acts, rates: rates.map(|(s, rates)| (at(s), rates.to_vec())).to_vec() }
}

#[test]
fn a_link_counts_while_it_works() {
    let log = log();
    assert_eq!(log.worked(0, at(0), at(10)), Duration::from_secs(8));
    assert_eq!(log.worked(0, at(5), at(7)), Duration::from_secs(1));
    assert_eq!(log.worked(1, at(0), at(10)), Duration::from_secs(5));
    assert_eq!(log.worked(1, at(6), at(10)), Duration::ZERO);
    assert_eq!(log.worked(2, at(0), at(10)), Duration::from_secs(10));
    let could = log.could(&[10.0, 2.0], at(0), at(10));
    assert!((could - 9.0).abs() < 1e-9, "{could}");
}

#[test]
fn a_healed_link_carries_again_when_half_of_its_rate_is_there() {
    assert_eq!(log().healed(0, 10.0), Some(Duration::from_secs(2)));
    assert_eq!(log().healed(0, 20.0), None);
    assert_eq!(log().healed(1, 10.0), None);
}
