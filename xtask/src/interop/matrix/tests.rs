use std::collections::BTreeSet;

use super::*;

#[test]
fn the_matrix_is_every_case_pair_and_link_except_marks_through_a_relay() {
    let cells = Choice::default().cells();
    let impaired_ecn = 2 * PAIRS.len();
    assert_eq!(cells.len(), Case::ALL.len() * Link::ALL.len() * PAIRS.len() - impaired_ecn);
    let names: BTreeSet<String> = cells.iter().map(Cell::to_string).collect();
    assert_eq!(names.len(), cells.len(), "a folder of its own for each");
    let seeds: BTreeSet<u64> = cells.iter().map(|cell| cell.seed(0)).collect();
    assert_eq!(seeds.len(), cells.len(), "and a seed");
}

#[test]
fn ours_is_part_of_every_pair_and_meets_every_peer_in_both_roles() {
    assert!(PAIRS.iter().all(|pair| pair.has(Stack::Ours)));
    for peer in [Stack::Quinn, Stack::Aioquic] {
        assert!(PAIRS.contains(&Pair { client: Stack::Ours, server: peer }));
        assert!(PAIRS.contains(&Pair { client: peer, server: Stack::Ours }));
    }
}

#[test]
fn the_subset_has_all_clean_cells_and_the_impaired_handshakes_and_transfers() {
    let cells = Choice { subset: true, ..Choice::default() }.cells();
    let clean = cells.iter().filter(|cell| cell.link == Link::Clean).count();
    assert_eq!(clean, Case::ALL.len() * PAIRS.len());
    assert_eq!(cells.len() - clean, 2 * 2 * PAIRS.len());
}

#[test]
fn a_choice_narrows_the_matrix() {
    let choice =
        Choice { case: Case::named("retry").ok(), peer: Stack::named("quinn").ok(), ..Choice::default() };
    let cells = choice.cells();
    assert_eq!(cells.len(), 2 * Link::ALL.len());
    assert!(cells.iter().all(|cell| cell.case == Case::Retry && cell.pair.peer() == Stack::Quinn));
    assert!(Case::named("zerortt").is_err() && Stack::named("").is_err());
}

#[test]
fn the_cases_are_as_large_as_they_claim() {
    let size = |case: Case| case.files().iter().map(|(_, size)| size).sum::<usize>();
    assert!(size(Case::Transfer) >= 10_000_000);
    assert!(Case::Multiplexing.files().len() > 100);
}

#[test]
fn seeds_do_not_change_between_runs() {
    let pair = Pair { client: Stack::Ours, server: Stack::Quinn };
    let cell = Cell { case: Case::Transfer, pair, link: Link::Loss };
    assert_eq!(cell.to_string(), "transfer-ours-quinn-loss");
    assert_eq!(cell.seed(0), 0xc6ed_6df5_c6d4_1fb2);
}
