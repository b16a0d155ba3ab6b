use std::time::Duration;

use super::*;
use crate::interop::matrix::Choice;

fn all(verdict: impl Fn(Cell) -> Verdict) -> Vec<Played> {
    let cells = Choice::default().cells().into_iter();
    let played = |cell| Played {
        cell,
        verdict: verdict(cell),
        took: Duration::from_secs(1),
        kbit_s: None,
        logs: Vec::new(),
    };
    cells.map(played).collect()
}

fn versions() -> Vec<(Stack, String)> {
    Stack::ALL.iter().map(|&stack| (stack, "1.2.3".to_owned())).collect()
}

#[test]
fn every_case_and_link_has_a_row_in_both_roles() {
    let text = document(&all(|_| Verdict::Pass), &versions());
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains(" pass |")).count();
    let fast = Case::ALL.iter().filter(|case| case.is_fast()).count();
    let runners = Case::ALL.iter().filter(|case| case.is_runners()).count();
    assert_eq!(rows, 2 * (fast * 3 - 2 + runners));
    assert!(!text.contains("not played") && !text.contains("n/a"));
    assert!(text.contains("| quinn | 1.2.3 |"));
}

#[test]
fn goodput_is_told_rounded() {
    let mut played = all(|_| Verdict::Pass);
    assert!(!document(&played, &versions()).contains("`goodput`, Mbit/s"));
    played
        .iter_mut()
        .filter(|played| played.cell.case == Case::Goodput)
        .for_each(|one| one.kbit_s = Some(9_149));
    assert!(document(&played, &versions()).contains("- ours -> ours 9.1, ours -> quinn 9.1,"));
}

#[test]
fn the_order_of_playing_and_the_time_taken_do_not_show() {
    let mut played = all(|_| Verdict::Pass);
    let text = document(&played, &versions());
    played.reverse();
    played.iter_mut().for_each(|played| played.took = Duration::from_secs(7));
    assert_eq!(document(&played, &versions()), text);
}

#[test]
fn what_is_not_well_shows() {
    let odd = |cell: Cell| match (cell.case, cell.link) {
        (Case::Transfer, Link::Loss) => Verdict::Fail("late".to_owned()),
        (Case::Retry, Link::Clean) => Verdict::Flaky("once".to_owned()),
        (Case::Retry, Link::Corruption) => Verdict::PeersFault("they sulk"),
        (Case::V2, _) => Verdict::NotYet,
        (Case::Ecn, _) if cell.pair.has(Stack::Aioquic) => Verdict::Unsupported,
        _ => Verdict::Pass,
    };
    let text = document(&all(odd), &versions());
    assert!(text.contains("| transfer | 2 % loss | FAIL | FAIL | FAIL | FAIL | FAIL | FAIL | FAIL |"));
    assert!(text.contains("| retry | clean | flaky | flaky |"));
    assert!(text.contains("| retry | 2 % corruption | peer's bug |"));
    assert!(text.contains("\nFlaky: retry, ours -> ours, clean. The first attempt:\nonce.\n"));
    assert!(text.contains("| ecn | clean | pass | pass | lacks it | pass | pass | pass | pass |"));
    assert!(text.contains("| v2 | not yet | not yet | not yet |"));
}

#[test]
fn lines_are_not_wider_than_the_tree_allows() {
    for line in document(&all(|_| Verdict::Unsupported), &versions()).lines() {
        assert!(line.len() <= 120, "{line}");
    }
}
