//! `cargo xtask lab bond`: what a bond promises, bar by bar, with the real daemon (`tq-bond-lab`, docs/bond.md).
//!
//! It builds, gets what is missing, and hands over; verdicts are the lab's business.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::demo::PACKAGES;
use crate::run::{self, say};
use crate::setup;
use crate::summary::Summary;

/// `lab bond` with its options: whether no bar failed and none was invalid.
pub(super) fn command(words: &[&str]) -> Result<bool> {
    let words = options(words)?;
    setup::demo(false)?;
    if let Some(why) = setup::no_lab() {
        bail!("no lab: {why}");
    }
    let (nginx, sshd) = (setup::nginx(), setup::sshd());
    say("building (release)");
    run::must(run::cargo("build").arg("--release").args(PACKAGES))?;
    let mut lab = Command::new(run::target_dir().join("release/tq-bond-lab"));
    lab.arg("bars").arg("--files").arg(run::target_dir().join("bond-bars")).args(words);
    for (option, program) in [("--nginx", nginx), ("--sshd", sshd)] {
        if let Some(program) = program {
            lab.arg(option).arg(program);
        }
    }
    run::succeeds(&mut lab)
}

/// Refuses early what would be refused after a long build.
fn options(words: &[&str]) -> Result<Vec<String>> {
    let (mut all, mut rest) = (Vec::new(), words.iter());
    while let Some(&word) = rest.next() {
        all.push(word.to_owned());
        match word {
            "--quick" | "--show" => {}
            "--size" | "--report" | "--rates" | "--scheduler" => {
                all.push((*rest.next().with_context(|| format!("{word} needs a value"))?).to_owned());
            }
            _ if word.starts_with('-') => {
                bail!(
                    "`{word}`: lab bond takes names of bars, --size MB, --report FILE, --rates A,B,C, --quick"
                )
            }
            _ => {}
        }
    }
    Ok(all)
}

/// For `cargo xtask test`: the quick bars, small and loose, about twenty seconds. Skipped without root or namespaces.
pub(crate) fn quick() -> Summary {
    /// As many as are quick; told where none can be tried.
    const BARS: u64 = 6;
    let missing = ["nft", "curl"].into_iter().find(|program| !setup::is_there(program));
    if let Some(why) = setup::no_lab().or_else(|| missing.map(|program| format!("there is no `{program}`"))) {
        println!("bond: skipped, {why}");
        return Summary { skipped: BARS, ..Summary::default() };
    }
    let failed = Summary { failed: 1, ..Summary::default() };
    if let Err(error) = run::must(run::cargo("build").args(PACKAGES)) {
        println!("bond: {error:#}");
        return failed;
    }
    say("bond: LAN host, router, three links, server, internet host; the quick bars");
    let mut lab = Command::new(run::target_dir().join("debug/tq-bond-lab"));
    lab.args(["bars", "--quick", "--files"]).arg(run::target_dir().join("bond-quick"));
    match lab.stdin(Stdio::null()).stderr(Stdio::inherit()).output() {
        Ok(output) => counted(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            println!("bond: cannot start {}: {error}", run::shown(&lab));
            failed
        }
    }
}

/// Passes on what the lab says, and counts it.
fn counted(text: &str) -> Summary {
    print!("{text}");
    let last = text.lines().last().unwrap_or_default();
    let count = |what: &str| {
        let part = last.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<u64>().ok());
        part.unwrap_or(0)
    };
    let (passed, failed) = (count("passed"), count("failed"));
    let skipped = count("invalid") + count("skipped");
    // Not a word is a failure as well.
    let failed = if passed + failed + skipped == 0 { 1 } else { failed };
    Summary { passed, failed, skipped }
}

#[cfg(test)]
mod tests;
