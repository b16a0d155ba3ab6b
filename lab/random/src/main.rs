//! `tq-random`: random plans by command. `run` goes through seeds and prints every failure made small; `replay` runs one
//! seed or plan; `shrink` makes one small. What a plan is and what is wrong with a run is the simulator's business
//! (`tq_sim::random`).
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Parser, Subcommand};
use tq_sim::random::{Failure, Outcome, Plan, Tamper, WireHook, run, run_with, shrink};
use tq_time::Instant;
use tq_wire::Side;

/// Runs of a plan while it is made small.
const RUNS: u32 = 3000;

#[derive(Parser)]
#[command(about = "Random operations over random networks", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the plans of seeds in a row.
    Run {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        cases: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Threads.
        #[arg(long, default_value_t = 1)]
        jobs: u64,
        /// Stop after so many failures.
        #[arg(long, default_value_t = 10)]
        most: u64,
        /// Print failures as they are, not made small.
        #[arg(long)]
        raw: bool,
    },
    /// Runs the plan of a seed, or a plan given as text.
    Replay {
        /// Print every datagram that arrives: when, where, how long, its first bytes.
        #[arg(long)]
        trace: bool,
        /// Seed, or the words of a plan.
        #[arg(required = true)]
        plan: Vec<String>,
    },
    /// Makes a failing plan small.
    Shrink {
        /// Seed, or the words of a plan.
        #[arg(required = true)]
        plan: Vec<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::Run { cases, seed, jobs, most, raw } => {
            // a panic is told as a failure, with its plan
            std::panic::set_hook(Box::new(|_| ()));
            Ok(many(seed, cases, jobs.max(1), most, raw))
        }
        Command::Replay { trace, plan } => {
            let plan = read(&plan)?;
            println!("{plan}");
            let wire: Option<WireHook> = if trace { Some(Box::new(arrival)) } else { None };
            Ok(tell(run_with(&plan, Tamper { wire, ..Tamper::default() })))
        }
        Command::Shrink { plan } => {
            let plan = read(&plan)?;
            std::panic::set_hook(Box::new(|_| ()));
            match run(&plan) {
                Ok(outcome) => Ok(tell(Ok(outcome))),
                Err(failure) => {
                    println!("{}", small(&plan, failure));
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

/// Prints a datagram and lets it through.
fn arrival(at: Instant, to: Side, bytes: &mut [u8]) -> bool {
    let head: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    println!("{:>12.6} s {to:?} gets {:>5} bytes {head}", at.as_nanos() as f64 / 1e9, bytes.len());
    true
}

fn read(words: &[String]) -> anyhow::Result<Plan> {
    match words {
        [seed] if seed.parse::<u64>().is_ok() => Ok(Plan::random(seed.parse()?)),
        words => Ok(words.join(" ").parse()?),
    }
}

fn tell(result: Result<Outcome, Failure>) -> ExitCode {
    match result {
        Ok(outcome) => {
            println!("ok: {outcome:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("FAILED {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The failure, the small plan, and what to do with it.
fn small(plan: &Plan, failure: Failure) -> String {
    let small = shrink(plan, failure, RUNS, |plan| run(plan).err());
    format!(
        "FAILED {}\n  seed {}, made small in {} runs: {} operations\n  replay: cargo run --release -p tq-random -- replay {}\n  keep: add the plan to crates/host/sim/tests/random/regressions.txt",
        small.failure,
        plan.seed,
        small.runs,
        small.plan.operations(),
        small.plan
    )
}

/// What all cases came to.
#[derive(Default)]
struct Sums {
    complete: AtomicU64,
    died: AtomicU64,
    datagrams: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

fn many(seed: u64, cases: u64, jobs: u64, most: u64, raw: bool) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a command tells how long it took")]
    let start = std::time::Instant::now();
    let (sums, next, print) = (Sums::default(), AtomicU64::new(0), Mutex::new(()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases || sums.failed.load(Ordering::Relaxed) >= most {
                        return;
                    }
                    let plan = Plan::random(seed.wrapping_add(number));
                    if let Some(text) = one(&sums, &plan, raw) {
                        let _turn = print.lock();
                        println!("{text}");
                    }
                    if (number + 1).is_multiple_of(1000) {
                        eprintln!("{} of {cases}", number + 1);
                    }
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
    let ran = read(&sums.complete) + read(&sums.died) + read(&sums.failed);
    println!(
        "{ran} cases in {seconds:.1} s ({:.0}/s): {} complete, {} ended early as planned, {} failed; {} datagrams, {} bytes delivered",
        ran as f64 / seconds,
        read(&sums.complete),
        read(&sums.died),
        read(&sums.failed),
        read(&sums.datagrams),
        read(&sums.bytes)
    );
    if read(&sums.failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a plan; the words for its failure, if it fails.
fn one(sums: &Sums, plan: &Plan, raw: bool) -> Option<String> {
    let add = |sum: &AtomicU64, number| _ = sum.fetch_add(number, Ordering::Relaxed);
    match run(plan) {
        Ok(outcome) => {
            add(if outcome.complete { &sums.complete } else { &sums.died }, 1);
            add(&sums.datagrams, outcome.datagrams.iter().sum());
            add(&sums.bytes, outcome.bytes);
            None
        }
        Err(failure) => {
            add(&sums.failed, 1);
            Some(if raw { format!("FAILED seed {}: {failure}", plan.seed) } else { small(plan, failure) })
        }
    }
}
