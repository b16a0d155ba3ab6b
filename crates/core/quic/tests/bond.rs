//! What an application is told about its paths together, and what is counted of them.

mod pair;

use pair::flow::Flow;
use pair::multi::{connected, open, pair as paths_pair};
use tq_quic::sched::{BondState, Health};
use tq_quic::time::Duration;
use tq_quic::wire::{PathId, Side};
use tq_quic::{Event, PathEvent};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// The states of the client's bond so far, as it was told.
fn told(pair: &pair::Pair, client: tq_quic::Handle) -> Vec<BondState> {
    let states = pair.client.events.iter().filter_map(|(of, event)| match event {
        Event::Path(PathEvent::Bond(state)) if *of == client => Some(*state),
        _ => None,
    });
    states.collect()
}

#[test]
fn a_bond_is_told_when_its_paths_carry_data_and_when_one_is_gone() {
    let mut pair = paths_pair(2);
    let (client, server) = connected(&mut pair);
    let mut flow = Flow::over(&mut pair, (client, server), Side::Client, 1 << 20);
    flow.run(&mut pair, SECOND);
    assert_eq!(pair.client(client).bond_state(), BondState::Bonded);
    assert_eq!(told(&pair, client).last(), Some(&BondState::Bonded));
    let now = pair.now;
    pair.client(client).on_link_down(now, 1, None);
    pair.pass(10 * MS);
    assert_eq!(told(&pair, client).last(), Some(&BondState::Degraded));
    assert_eq!(pair.client(client).stats().bond, BondState::Degraded);
    let now = pair.now;
    pair.client(client).close_path(now, PathId(1), 0).expect("it is not the last");
    pair.pass(SECOND);
    assert_eq!(pair.client(client).bond_state(), BondState::SinglePath);
}

#[test]
fn a_path_that_is_not_proven_yet_leaves_the_bond_pending() {
    let mut pair = paths_pair(2);
    let (client, _) = pair.connected();
    pair.pass(200 * MS);
    assert_eq!(pair.client(client).bond_state(), BondState::SinglePath);
    let id = open(&mut pair, client, 1);
    pair.pass(MS);
    assert_eq!(pair.client(client).bond_state(), BondState::Pending);
    pair.pass(SECOND);
    let stats = pair.client(client).path_stats(id).expect("a path");
    assert_eq!((stats.health, stats.holds), (Health::Good, 0));
    assert_eq!(pair.client(client).bond_state(), BondState::Bonded);
}
