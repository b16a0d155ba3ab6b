//! `cargo xtask check`: what a reviewer should not have to look for.
//! Every part is run even after one failed; a part answers with the problems it found, each of which says
//! where it is, what it is and what to do.

use anyhow::{Result, bail};

use crate::metadata::Metadata;
use crate::run::{self, Watch};

pub(crate) mod compliance;
mod layers;
mod licences;
mod nostd;
mod source;
mod spdx;
mod tidy;

/// What a check found wrong; empty is good.
type Problems = Vec<String>;

type Part = fn() -> Result<Problems>;

const PARTS: [(&str, Part); 7] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("layers", || Ok(layers::check(&Metadata::load()?))),
    ("licences", || Ok(licences::check(&Metadata::load()?))),
    ("tidy", || tidy::check(&run::root())),
    ("compliance", || compliance::check(&run::root())),
    ("nostd", || nostd::check(&Metadata::load()?)),
];

/// Runs the named parts, or all.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    if let Some(unknown) = parts.iter().find(|part| PARTS.iter().all(|(name, _)| name != *part)) {
        bail!("no check is called `{unknown}`; there are {}", PARTS.map(|(name, _)| name).join(", "));
    }
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        if !parts.is_empty() && !parts.contains(&name) {
            continue;
        }
        let watch = Watch::start();
        let problems = part().unwrap_or_else(|error| vec![format!("{error:#}")]);
        for problem in &problems {
            println!("{problem}");
        }
        let verdict = match problems.len() {
            0 => "ok".to_owned(),
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        println!("check {name}: {verdict} ({:.1} s)", watch.elapsed().as_secs_f64());
        if !problems.is_empty() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn fmt() -> Result<Problems> {
    let fine = run::succeeds(run::cargo("fmt").args(["--all", "--check"]))?;
    Ok(if fine { vec![] } else { vec!["some files are not formatted: run `cargo fmt`".to_owned()] })
}

fn clippy() -> Result<Problems> {
    let mut command = run::cargo("clippy");
    let fine = run::succeeds(command.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(if fine { vec![] } else { vec!["clippy has something to say, above: follow it".to_owned()] })
}
