//! `docs/threats.md` names tests. They exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of functions under `#[test]`, also those proptest and the corpus make.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let mut marked = false;
            for line in text.lines().map(str::trim) {
                if let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next())
                    && marked
                {
                    found.insert(name.to_owned());
                }
                // replay! { name: "target", }
                if let Some((name, "\"")) = line.split_once(": ").map(|(name, rest)| (name, &rest[..1])) {
                    found.insert(name.to_owned());
                }
                marked = line == "#[test]" || marked && line.starts_with("#[");
            }
        }
    }
}

/// Test names in the last column of every table that has one called so.
fn named(text: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut tests = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            tests = false;
        } else if cells.last() == Some(&"test") {
            tests = true;
        } else if tests && !cells[0].starts_with("---") {
            let last = cells[cells.len() - 1];
            let of_row: Vec<_> = last.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            assert!(!of_row.is_empty(), "no test: {line}");
            names.extend(of_row.into_iter().map(|name| (cells[0].to_owned(), name)));
        }
    }
    names
}

#[test]
fn every_test_the_table_of_threats_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut found = BTreeSet::new();
    for folder in ["crates/core/quic/tests", "crates/core/quic/src", "lab/fuzz/tests"] {
        tests_in(&root.join(folder), &mut found);
    }
    let text = fs::read_to_string(root.join("docs/threats.md")).expect("the table");
    let named = named(&text);
    let missing: Vec<_> = named.iter().filter(|(_, name)| !found.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // rows of the list that concern an endpoint
    for row in (1..=13).chain(16..=22).chain([23, 24, 32]) {
        assert!(named.iter().any(|(first, _)| *first == row.to_string()), "row {row}");
    }
}
