//! `tq-bond-lab`: shows and judges the bond with real programs.
//!
//! Exit codes: 0 done, or all bars hold; 1 something failed; 2 usage; 3 nothing failed, but some run says nothing;
//! 130 stopped on request.
//! Decides only how commands are written.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tq_bond_lab::lab::Tools;
use tq_bond_lab::{bars, demo, lab, stop};
use tq_netlab::emulator;
use tq_netlab::names::LabName;

/// The bond with real programs, in namespaces or on loopback.
#[derive(Parser)]
#[command(name = "tq-bond-lab", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Each link alone, all together, one cut meanwhile, and a report.
    Demo(Demo),
    /// Judge what a bond promises, bar by bar.
    Bars(Bars),
    /// Remove what a killed run has left.
    Down,
    /// The links; a lab starts it.
    #[command(hide = true)]
    Emulate {
        /// The lab.
        #[arg(long)]
        lab: LabName,
        /// For what is random.
        #[arg(long)]
        seed: Option<u64>,
        /// Its links.
        file: PathBuf,
    },
}

/// Programs that are not ours; without one, ours takes its place or its part is left out.
#[derive(Args)]
struct Programs {
    /// A web server for the internet host; our own if there is none.
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// OpenSSH's server for the internet host.
    #[arg(long, value_name = "FILE")]
    sshd: Option<PathBuf>,
    /// Both daemons' scheduler, instead of their own choice.
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,
}

impl From<Programs> for Tools {
    fn from(Programs { nginx, sshd, scheduler }: Programs) -> Self {
        Self { nginx, sshd, scheduler }
    }
}

#[derive(Args)]
struct Demo {
    #[command(flatten)]
    programs: Programs,
    /// About how long the download through the bond takes.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(6..=100))]
    seconds: u64,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Leave everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// On loopback, even as root.
    #[arg(long)]
    loopback: bool,
    /// A folder of its own for the files that are sent; it is removed at the end.
    #[arg(long, value_name = "DIR", default_value = "target/bond-demo")]
    files: PathBuf,
    /// Other rates than 100, 40 and 20 Mbit/s.
    #[arg(long, value_name = "A,B,C", value_parser = rates)]
    rates: Option<[f64; 3]>,
}

#[derive(Args)]
struct Bars {
    #[command(flatten)]
    programs: Programs,
    /// Only those whose name contains one of these.
    only: Vec<String>,
    /// For a machine with other work: small, slow, and loose bars.
    #[arg(long)]
    quick: bool,
    /// Show what each link carries meanwhile.
    #[arg(long)]
    show: bool,
    /// Bytes of a long transfer, in MB.
    #[arg(long, value_name = "MB")]
    size: Option<u64>,
    /// Write verdicts and figures as JSON, and a page beside it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A folder of its own for the files that are sent; it is removed at the end.
    #[arg(long, value_name = "DIR", default_value = "target/bond-bars")]
    files: PathBuf,
    /// Other rates than 100, 40 and 20 Mbit/s.
    #[arg(long, value_name = "A,B,C", value_parser = rates)]
    rates: Option<[f64; 3]>,
}

fn rates(text: &str) -> Result<[f64; 3], String> {
    let all: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
    let all = all.map_err(|error| error.to_string())?;
    let fit = |rates: &[f64; 3]| rates.iter().all(|rate| (0.5..=1000.0).contains(rate));
    all.try_into().ok().filter(fit).ok_or_else(|| "three rates of 0.5 to 1000 Mbit/s, such as 20,8,4".into())
}

fn main() -> ExitCode {
    match act(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tq-bond-lab: {error:#}");
            // As a shell says of what Ctrl-C has ended.
            if stop::check().is_err() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

fn act(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(Demo { programs, seconds, report, keep, loopback, files, rates }) => {
            let tools = programs.into();
            demo::run(&demo::Options { seconds, report, keep, files, loopback, tools, rates })?;
        }
        Command::Bars(Bars { programs, only, quick, show, size, report, files, rates }) => {
            let tools = programs.into();
            let all = bars::run(&bars::Options { only, quick, show, size, report, files, tools, rates })?;
            return Ok(ExitCode::from(all));
        }
        Command::Down => {
            for name in [demo::LAB, bars::LAB] {
                lab::remove(&name.parse().map_err(anyhow::Error::msg)?)?;
            }
        }
        Command::Emulate { lab, seed, file } => emulator::run(&lab, &file, seed)?,
    }
    Ok(ExitCode::SUCCESS)
}
