use std::collections::BTreeSet;

use super::*;

#[test]
fn the_matrix_is_every_case_and_pair_on_the_links_it_is_for() {
    let cells = Choice::default().cells();
    let fast = Case::ALL.iter().filter(|case| case.is_fast()).count();
    let runners = Case::ALL.iter().filter(|case| case.is_runners()).count();
    assert_eq!(
        (fast, runners),
        (9, 23),
        "of the runner's cases ecn and http3 are not; goodput and crosstraffic are measurements; migration is ours"
    );
    assert_eq!(cells.len(), (fast * 3 - 2 + runners) * PAIRS.len());
    let names: BTreeSet<String> = cells.iter().map(Cell::to_string).collect();
    assert_eq!(names.len(), cells.len(), "a folder of its own for each");
    let seeds: BTreeSet<u64> = cells.iter().map(|cell| cell.seed(0)).collect();
    assert_eq!(seeds.len(), cells.len(), "and a seed");
}

#[test]
fn ours_is_part_of_every_pair_and_meets_every_peer_in_both_roles() {
    assert!(PAIRS.iter().all(|pair| pair.has(Stack::Ours)));
    for &peer in &Stack::ALL[1..] {
        assert!(PAIRS.contains(&Pair { client: Stack::Ours, server: peer }));
        assert!(PAIRS.contains(&Pair { client: peer, server: Stack::Ours }));
    }
}

#[test]
fn the_subset_has_what_is_quick_against_peers_that_build_quickly() {
    let cells = Choice { subset: true, ..Choice::default() }.cells();
    let count = |link| cells.iter().filter(|cell| cell.link == link).count();
    let light = PAIRS.iter().filter(|pair| pair.peer().is_light()).count();
    assert_eq!(light, 7);
    assert_eq!(count(Link::Clean), 9 * light);
    assert_eq!((count(Link::Loss), count(Link::Corruption)), (2 * light, 2 * light));
    assert_eq!(count(Link::Runner), 5 * light);
}

#[test]
fn harsh_links_are_those_of_the_handshake_cases() {
    let cell = |case, link| Cell { case, pair: PAIRS[0], link };
    assert_eq!(cell(Case::HandshakeLoss, Link::Runner).impairment(), (0.3, 0.0));
    assert_eq!(cell(Case::HandshakeCorruption, Link::Runner).impairment(), (0.0, 0.3));
    assert_eq!(cell(Case::TransferLoss, Link::Runner).impairment(), (0.02, 0.0));
    assert_eq!(cell(Case::Transfer, Link::Runner).impairment(), (0.0, 0.0));
    assert_eq!(cell(Case::Transfer, Link::Corruption).impairment(), (0.0, 0.02));
    assert!(cell(Case::Transfer, Link::Clean).network().is_empty());
    let words = cell(Case::LongRtt, Link::Runner).network().join(" ");
    assert_eq!(words, "--rate 10 --queue 25 --delay 750");
}

#[test]
fn a_choice_narrows_the_matrix() {
    let choice =
        Choice { case: Case::named("retry").ok(), peer: Stack::named("quinn").ok(), ..Choice::default() };
    let cells = choice.cells();
    assert_eq!(cells.len(), 2 * Link::ALL.len());
    assert!(cells.iter().all(|cell| cell.case == Case::Retry && cell.pair.peer() == Stack::Quinn));
    let link = Choice { link: Some(Link::Runner), ..choice };
    assert_eq!(link.cells().len(), 2);
    assert!(Case::named("zero").is_err() && Stack::named("").is_err());
}

#[test]
fn the_cases_are_as_large_as_they_claim() {
    let files = |case, link| Cell { case, pair: PAIRS[0], link }.files();
    let size = |case, link| files(case, link).iter().map(|(_, size)| size).sum::<usize>();
    for link in [Link::Clean, Link::Runner] {
        assert_eq!(size(Case::Transfer, link), 10 << 20);
    }
    assert!(files(Case::Multiplexing, Link::Clean).len() > 100);
    assert_eq!(files(Case::Multiplexing, Link::Runner).len(), 1999);
    assert!(files(Case::ZeroRtt, Link::Runner).iter().all(|(name, _)| name.len() == 250));
}

#[test]
fn seeds_do_not_change_between_runs() {
    let pair = Pair { client: Stack::Ours, server: Stack::Quinn };
    let cell = Cell { case: Case::Transfer, pair, link: Link::Loss };
    assert_eq!(cell.to_string(), "transfer-ours-quinn-loss");
    assert_eq!(cell.seed(0), 0xc6ed_6df5_c6d4_1fb2);
}
