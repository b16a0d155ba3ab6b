use std::collections::BTreeSet;

use super::*;

#[test]
fn every_number_has_a_file_with_a_bar_or_is_for_later() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/hard");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let scenario = tq_scenario::load(entry.expect("an entry").path()).expect("a scenario");
        let number = number(&scenario.name).expect("a number");
        assert!(!scenario.bars.is_empty(), "{} has no bar", scenario.name);
        found.insert(number);
    }
    let wanted: BTreeSet<u8> = (1..=LAST).filter(|number| later(*number).is_none()).collect();
    assert!(found.is_superset(&wanted), "{:?}", wanted.difference(&found));
}

#[test]
fn a_number_is_what_follows_the_n() {
    assert_eq!([number("n7-x"), number("n7r-x"), number("n32-x")], [Some(7), Some(7), Some(32)]);
    assert_eq!([number("n33-x"), number("n0-x"), number("x7"), number("n-x")], [None; 4]);
}
