//! `tquicd`: reads a configuration, checks it, runs it.
//!
//! Exit codes: 0 ended as asked; 1 failed while running; 2 usage; 77 a privilege is missing; 78 the configuration is wrong.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tquicd::{Config, Fatal};

/// The TQUIC daemon: one end of a bond.
#[derive(Parser)]
#[command(name = "tquicd", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run in the foreground until SIGTERM or SIGINT; SIGHUP reads the configuration again.
    Run {
        /// Configuration; its name without `.toml` is the daemon's.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print what would be changed of this machine's network, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say whether a configuration is right, and what it means.
    Check {
        /// Configuration.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run { file, dry_run: false } => run(file),
        Command::Run { file, dry_run: true } => Config::load(&file)
            .map_err(Fatal::from)
            .and_then(|config| tquicd::preview(&config))
            .map(|text| print!("{text}")),
        Command::Check { file } => Config::load(&file).map(|config| print!("{config}")).map_err(Fatal::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("tquicd: {fatal}");
            fatal.code().into()
        }
    }
}

fn run(file: PathBuf) -> Result<(), Fatal> {
    let config = Config::load(&file)?;
    tquicd::confine(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Fatal::failed("cannot start threads", error))?.block_on(tquicd::run(config))
}
