//! `tquic`: measure, serve and fetch over TQUIC.
//!
//! Exit codes: 0 done; 1 the other side said no, or nothing matched; 2 usage; 3 the other side was not reached
//! or was lost.
#![forbid(unsafe_code)]

mod cpu;
mod exit;
mod files;
mod get;
mod host;
mod perf;
mod pin;
mod progress;
mod remote;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measure, serve and fetch over TQUIC.
#[derive(Parser)]
#[command(name = "tquic", version)]
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
}

#[tokio::main]
async fn main() -> ExitCode {
    // A task of its own runs on the workers, beside the endpoint's driver: waking one from the other then costs no
    // switch of threads.
    let work = tokio::spawn(run(Cli::parse().command));
    exit::code(work.await.unwrap_or_else(|panic| Err(panic.into())))
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Perf(command) => perf::run(command).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Get(options) => get::run(options).await,
    }
}
