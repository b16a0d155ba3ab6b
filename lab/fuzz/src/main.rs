//! `tq-fuzz TARGET --seconds N`: mutates the corpus of a target until time is up or something breaks, and keeps what
//! broke it. `tq-fuzz --seeds` makes the corpus anew. `tq-fuzz TARGET --file F` runs one input.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tq_fuzz::mutate::Dice;
use tq_fuzz::targets::{self, Target};
use tq_fuzz::{corpus, generate};

/// Mutations of a corpus, run against functions that must not panic.
#[derive(Parser)]
#[command(name = "tq-fuzz")]
struct Arguments {
    /// One of the targets; without it they are listed.
    target: Option<String>,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where mutations begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run this input only.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Write the seeds of all targets to testdata/corpora.
    #[arg(long)]
    seeds: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.seeds {
        for (target, input) in generate() {
            println!("{}", corpus::save(target, "seed", &input)?.display());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(name) = &arguments.target else {
        targets::ALL.iter().for_each(|target| println!("{}", target.name));
        return Ok(ExitCode::SUCCESS);
    };
    let Some(target) = targets::find(name) else { bail!("no target is called {name}") };
    if let Some(file) = &arguments.file {
        (target.run)(&std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
        return Ok(ExitCode::SUCCESS);
    }
    run(target, arguments.seed, Duration::from_secs(arguments.seconds))
}

#[expect(clippy::disallowed_methods, reason = "a tool for people, who wait by the clock")]
fn now() -> Instant {
    Instant::now()
}

fn run(target: Target, seed: u64, time: Duration) -> Result<ExitCode> {
    let inputs = corpus::load(target.name)?;
    if inputs.is_empty() {
        bail!("the corpus of {} is empty; --seeds makes one", target.name);
    }
    let mut dice = Dice(seed);
    let (start, mut runs) = (now(), 0u64);
    while now().saturating_duration_since(start) < time {
        let input = &inputs[dice.below(inputs.len())].1;
        let other = &inputs[dice.below(inputs.len())].1;
        let mutant = dice.mutate(input, other);
        runs += 1;
        if catch_unwind(|| (target.run)(&mutant)).is_err() {
            let path = corpus::save(target.name, "crash", &mutant)?;
            println!("run {runs} breaks {}: {}", target.name, path.display());
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("{}: {runs} runs in {} s, nothing broke", target.name, time.as_secs());
    Ok(ExitCode::SUCCESS)
}
