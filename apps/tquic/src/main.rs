//! `tquic`: look at and steer a bond; measure, serve and fetch over TQUIC.
//!
//! Exit codes: 0 done; 1 the other side said no, or nothing matched; 2 usage; 3 the other side was not reached
//! or was lost.
#![forbid(unsafe_code)]

mod bond;
mod cpu;
mod exit;
mod files;
mod get;
mod host;
mod link;
mod perf;
mod pin;
mod progress;
mod remote;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

/// Look at and steer a bond; measure, serve and fetch over TQUIC.
#[derive(Parser)]
#[command(name = "tquic", version, infer_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure throughput, handshakes and requests between two hosts.
    #[command(subcommand)]
    Perf(perf::Command),
    /// Serve the files of a directory.
    Serve(serve::Options),
    /// Fetch a file from `tquic serve`.
    Get(get::Options),
    #[command(flatten)]
    Bond(bond::Command),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // On one core a runtime of one thread: waking a task there takes no thought of other workers.
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut runtime = if alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    match runtime.enable_all().build() {
        // A task of its own runs on the workers, beside the endpoint's driver: waking one from the other then costs
        // no switch of threads.
        Ok(runtime) => runtime.block_on(async {
            let work = tokio::spawn(run(command));
            exit::code(work.await.unwrap_or_else(|panic| Err(panic.into())))
        }),
        Err(error) => exit::code(Err(error.into())),
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Perf(command) => perf::run(command).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Get(options) => get::run(options).await,
        Command::Bond(command) => bond::run(command).await,
    }
}
