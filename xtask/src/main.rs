//! `cargo xtask COMMAND`: what the project does with itself.
//!
//! Each command decides what is run and how a failure is told; none of them holds product code. Commands
//! print what they do before they do it, and a machine is only changed after it was said.

use std::process::ExitCode;

mod bench;
mod check;
mod demo;
mod interop;
mod lab;
mod metadata;
mod run;
mod setup;
mod summary;
mod test;

const HELP: &str = "\
cargo xtask COMMAND

  check [PART...]    fmt, clippy, layers, licences, tidy, compliance, nostd; all of them when none is named
  test [--fast]      every test of the workspace, then peers and the lab; --fast leaves these and doc tests out
  interop [--subset] [--case NAME] [--peer NAME] [--link NAME] [--seed N] [--keep] [--write]
                     other QUIC stacks only: every cell of the matrix, or those named; another seed, other losses;
                     --keep leaves all logs, --write renews docs/interop.md
  lab [FILTER] [--ours] [--window 15s] [--report FILE] [--rounds N]
                     scenarios whose path has FILTER in it, in network namespaces beside kernel TCP and MPTCP: medians of
                     5 interleaved runs, verdicts pass, fail and invalid; --ours: ours alone; FILE gets JSON and a page (docs/lab.md)
  lab --beside [FILTER] [--scheduler NAME] [--window 8s] [--report FILE] [--rounds N]
                     the table of bonding over the kernel's MPTCP with the same controllers: who carries more
  lab bond [BAR...] [--size MB] [--report FILE] [--rates A,B,C] [--quick] [--show]
                     the bond with the real daemon and real programs: transfers while links are cut, restarts, kills
                     (docs/bond.md); FILE gets JSON, and a page beside it
  compliance [--write]
                     MUSTs of RFC 9000, 9001, 9002 and the multipath draft without owner or test, and counts; --write
                     renews docs/compliance.md and docs/multipath-compliance.md
  demo [--seconds N] [--report FILE] [--keep] [--loopback]
                     the bond: a LAN host's downloads over three links alone and together, one link cut meanwhile; as root
                     in namespaces, else on loopback; --keep leaves it running until Ctrl-C
  bench [--json] [--bulk] [--rounds N] [--seconds N] [--peer NAME]
                     downloads, handshakes and requests beside other QUIC stacks, seven rounds of four seconds in
                     alternating order; --bulk leaves out all but downloads
  help               this text

With CI set in the environment Cargo.lock is never changed (--locked).";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    // A command answers whether all is well; one that counts tests has said why not in its last line.
    let result = match words.as_slice() {
        ["check", parts @ ..] => check::run(parts).map(|()| true),
        ["test"] => test::run(false),
        ["test", "--fast"] => test::run(true),
        ["interop", words @ ..] => interop::command(words),
        ["lab", words @ ..] => lab::command(words),
        ["compliance"] => check::compliance::report(&run::root(), false).map(|()| true),
        ["compliance", "--write"] => check::compliance::report(&run::root(), true).map(|()| true),
        ["bench", words @ ..] => bench::run(words).map(|()| true),
        ["demo", words @ ..] => demo::command(words),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("cargo xtask {}: no such command\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
