//! `cargo xtask demo`: the product's main job in front of one's eyes.
//!
//! It says what will happen, gets what is missing, builds, and hands over to `tq-bond-lab demo`, which is the demo. It decides
//! nothing about it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};
use crate::setup;

#[cfg(test)]
mod tests;

/// What the demo is made of.
pub(crate) const PACKAGES: [&str; 6] =
    ["--package", "tquicd", "--package", "tquic", "--package", "tq-bond-lab"];

const PLAN: [&str; 7] = [
    "as root: makes a lab of network namespaces: LAN host - router = three unlike links = server - internet host;",
    "    fetches `ip`, `nft` and `curl` by apt-get where they are missing (installed), and nginx (unpacked into target/tools",
    "    alone); nothing else of this machine is changed, and the lab is removed at the end",
    "without root: the same two daemons on loopback, over emulated links, with a SOCKS5 proxy in front",
    "builds tquicd, tquic and tq-bond-lab (release): some minutes the first time, under target; about 700 MB of files to send",
    "    are made there and removed at the end",
    "then: curl over each link alone, curl through the bond while a link is cut and healed, a report: about a minute",
];

/// `demo` with its options. Does not come back where it can start the demo: Ctrl-C then is the demo's own.
pub(crate) fn command(words: &[&str]) -> Result<bool> {
    let words = options(words)?;
    say("cargo xtask demo");
    PLAN.iter().for_each(|line| println!("    {line}"));
    setup::compiler()?;
    let nginx = setup::demo(words.contains(&"--loopback".to_owned()))?;
    say("building (release)");
    run::must(run::cargo("build").arg("--release").args(PACKAGES))?;
    let mut demo = Command::new(run::target_dir().join("release/tq-bond-lab"));
    demo.arg("demo").arg("--files").arg(run::target_dir().join("bond-demo")).args(words);
    if let Some(nginx) = nginx {
        demo.arg("--nginx").arg(nginx);
    }
    Err(demo.exec()).with_context(|| format!("cannot start {}", run::shown(&demo)))
}

/// Refuses early what would be refused after a long build.
fn options(words: &[&str]) -> Result<Vec<String>> {
    let (mut all, mut rest) = (Vec::new(), words.iter());
    while let Some(&word) = rest.next() {
        all.push(word.to_owned());
        match word {
            "--keep" | "--loopback" => {}
            "--seconds" => {
                let seconds = rest.next().filter(|n| n.parse().is_ok_and(|n: u64| (6..=100).contains(&n)));
                all.push((*seconds.context("--seconds N: a whole number from 6 to 100")?).to_owned());
            }
            "--report" | "--rates" => {
                all.push((*rest.next().with_context(|| format!("{word} needs a value"))?).to_owned());
            }
            _ => bail!("`{word}`: demo takes --seconds N, --report FILE, --keep, --loopback, --rates A,B,C"),
        }
    }
    Ok(all)
}
