//! `cargo xtask test`: everything that decides whether the tree is correct, and one closing line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::run::{self, Watch, say};
use crate::summary::Summary;
use crate::{interop, lab, setup};

/// Whether nothing failed.
pub(crate) fn run(fast: bool) -> Result<bool> {
    let watch = Watch::start();
    setup::compiler()?;
    setup::network();
    let mut sum = cargo_test(fast)?;
    sum += if fast {
        say("peers: left out (--fast)");
        Summary { skipped: 1, ..Summary::default() }
    } else {
        let mut sum = pairs()?;
        sum += interop::subset();
        sum
    };
    sum += if fast {
        say("lab: left out (--fast)");
        Summary { skipped: 2, ..Summary::default() }
    } else {
        let mut sum = lab::smoke();
        sum += lab::bond_quick();
        sum
    };
    say(&format!("took {:.0} s", watch.elapsed().as_secs_f64()));
    println!("{sum}");
    Ok(sum.failed == 0)
}

fn cargo_test(fast: bool) -> Result<Summary> {
    let mut command = run::cargo("test");
    command.args(["--workspace", "--no-fail-fast"]);
    if fast {
        command.args(["--lib", "--bins", "--tests"]);
        command.env("PROPTEST_CASES", "32");
    }
    counted(&mut command)
}

/// Our core and others' in one process, on virtual time: what of them is multipath.
fn pairs() -> Result<Summary> {
    let manifest = run::root().join(interop::PEERS).join("Cargo.toml");
    let mut command = run::cargo("test");
    command.args(["--package", "noq-pair", "--no-fail-fast", "--manifest-path"]).arg(manifest);
    counted(command.env("CARGO_TARGET_DIR", run::target_dir()))
}

/// Runs tests and counts them.
fn counted(command: &mut Command) -> Result<Summary> {
    say(&run::shown(command));
    let (mut sum, succeeded) = tee(command)?;
    if !succeeded && sum.failed == 0 {
        // It did not build, or a test binary died before it could say so.
        sum.failed = 1;
    }
    Ok(sum)
}

/// Passes output on and adds its result lines up.
fn tee(command: &mut Command) -> Result<(Summary, bool)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", run::shown(command)))?;
    let mut sum = Summary::default();
    let mut out = std::io::stdout().lock();
    let mut lines = BufReader::new(child.stdout.take().context("cargo has no stdout")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        sum += Summary::from_line(&String::from_utf8_lossy(&line)).unwrap_or_default();
        line.clear();
    }
    Ok((sum, child.wait()?.success()))
}
