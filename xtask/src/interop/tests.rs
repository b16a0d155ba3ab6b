use std::time::Duration;

use super::matrix::{Case, Link, PAIRS, Stack};
use super::*;

fn played(verdict: Verdict) -> Played {
    let cell = Cell { case: Case::Retry, pair: PAIRS[0], link: Link::Clean };
    Played { cell, verdict, took: Duration::ZERO, kbit_s: None, logs: Vec::new() }
}

#[test]
fn options_are_understood_or_refused_with_what_there_is() {
    let options =
        Options::parse(&["--subset", "--case", "chacha20", "--peer", "quinn", "--seed", "7"]).unwrap();
    assert!(options.choice.subset && !options.write && options.seed == 7);
    assert_eq!((options.choice.case, options.choice.peer), (Some(Case::ChaCha20), Some(Stack::Quinn)));
    for (wrong, told) in [
        (&["--case", "zero"][..], "keyupdate"),
        (&["--link", "slow"], "runner"),
        (&["--case"], "keyupdate"),
        (&["--peer", "nginx"], "aioquic"),
        (&["--all"], "--subset"),
        (&["--seed", "x"], "whole number"),
    ] {
        let message = format!("{:#}", Options::parse(wrong).unwrap_err());
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn the_document_is_only_written_from_the_whole_matrix() {
    assert!(Options::parse(&["--write"]).unwrap().write);
    assert!(Options::parse(&["--write", "--peer", "ours"]).is_err());
    assert!(Options::parse(&["--subset", "--write"]).is_err());
}

#[test]
fn flaky_cells_pass_and_those_a_peer_cannot_play_are_skipped() {
    let why = || "reason".to_owned();
    let skipped = [Verdict::Unsupported, Verdict::NotYet, Verdict::PeersFault("known")];
    let verdicts =
        [vec![Verdict::Pass, Verdict::Flaky(why()), Verdict::Fail(why())], skipped.to_vec()].concat();
    let expected = Summary { passed: 2, failed: 1, skipped: 3 };
    let played: Vec<Played> = verdicts.into_iter().map(played).collect();
    assert_eq!(sum(&played), expected);
}
