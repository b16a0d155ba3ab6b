use std::vec::Vec;

use tq_time::{Duration, Instant};

use super::{Bond, BondState, Member};
use crate::Health;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn member(proven: bool, health: Health, since: u64) -> Member {
    Member { proven, health, since: at(since) }
}

fn run(bond: &mut Bond, now: u64, members: &[Member]) -> Option<(BondState, BondState)> {
    bond.update(at(now), members.iter().copied()).map(|change| (change.from, change.to))
}

#[test]
fn a_second_path_makes_it_pending_and_its_proof_bonds() {
    let mut bond = Bond::default();
    let good = member(true, Health::Good, 0);
    assert_eq!(run(&mut bond, 1, &[good]), None);
    let opening = member(false, Health::Good, 5);
    assert_eq!(run(&mut bond, 5, &[good, opening]), Some((BondState::SinglePath, BondState::Pending)));
    assert_eq!(run(&mut bond, 9, &[good, good]), Some((BondState::Pending, BondState::Bonded)));
    assert_eq!(run(&mut bond, 10, &[good, good, opening]), None, "two of three carry data");
    assert_eq!(run(&mut bond, 11, &[good]), Some((BondState::Bonded, BondState::SinglePath)));
}

#[test]
fn a_suspicion_degrades_it_after_a_second_and_not_before() {
    let mut bond = Bond::default();
    let good = member(true, Health::Good, 0);
    run(&mut bond, 0, &[good, good]);
    let suspect = member(true, Health::Suspect, 100);
    assert_eq!(run(&mut bond, 1_100, &[good, suspect]), None);
    assert_eq!(run(&mut bond, 1_101, &[good, suspect]), Some((BondState::Bonded, BondState::Degraded)));
    let change = bond.update(at(2_000), [good, good].into_iter()).expect("it is whole again");
    assert_eq!((change.to, change.lasted), (BondState::Bonded, Duration::from_millis(899)));
    assert_eq!(bond.since(), at(2_000));
}

#[test]
fn what_is_out_held_or_on_trial_degrades_it_at_once() {
    for health in [Health::Out, Health::Held, Health::Probation] {
        let mut bond = Bond::default();
        let members: Vec<Member> = [Health::Good, health].map(|health| member(true, health, 7)).into();
        assert_eq!(run(&mut bond, 7, &members), Some((BondState::SinglePath, BondState::Degraded)));
    }
}
