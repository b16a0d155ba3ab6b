//! `cargo xtask interop`: our endpoint against stacks that others wrote.
//! It decides which cases run; a case itself lives with the program that plays it (`lab/interop`).

use anyhow::Result;

use crate::run::say;
use crate::setup::python_with_aioquic;
use crate::summary::Summary;

/// Whether there are cases to run.
const READY: bool = false;

/// The command of its own: whether nothing failed.
pub(crate) fn command(subset: bool) -> Result<bool> {
    let sum = run(subset)?;
    println!("{sum}");
    Ok(sum.failed == 0)
}

/// For `cargo xtask test`: the subset, or one skipped test that says why.
pub(crate) fn subset_or_skip() -> Result<Summary> {
    if READY {
        return run(true);
    }
    say("peers: skipped, there are no cases yet");
    Ok(Summary { skipped: 1, ..Summary::default() })
}

/// Runs cases against every peer: the quick ones, or all.
pub(crate) fn run(subset: bool) -> Result<Summary> {
    let python = python_with_aioquic()?;
    let which = if subset { "the subset" } else { "every case" };
    say(&format!("peers: {which}, aioquic from {}; there are no cases yet", python.display()));
    Ok(Summary { skipped: 1, ..Summary::default() })
}
