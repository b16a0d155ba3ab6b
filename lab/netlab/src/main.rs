//! `tq-netlab`: links between network namespaces, from a scenario's file.
//!
//! Exit codes: 0 done, or the run passed; 1 it failed; 2 usage; 3 the run is invalid: it says nothing about the links.
//! Decides only how commands are written and results are told.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tq_netlab::control::{self, Request, Wanted, Ways};
use tq_netlab::emulator;
use tq_netlab::lab::{self, Lab};
use tq_netlab::names::{Host, LabName};
use tq_netlab::set;
use tq_netlab::state::Folder;

/// Emulated links between network namespaces: real kernels, real programs.
#[derive(Parser)]
#[command(name = "tq-netlab", version)]
struct Cli {
    /// The lab's name; several can be up.
    #[arg(long, global = true, default_value = "main", value_name = "NAME")]
    lab: LabName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a lab: LAN host, router, the links of the file, server, internet host.
    Up(Up),
    /// Run a command in a host: lan, router, server or internet.
    Exec {
        /// Which host.
        host: Host,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Cut a link: the router loses its carrier.
    Cut {
        /// By name.
        link: String,
        /// Packets vanish, nobody sees it.
        #[arg(long)]
        silent: bool,
        /// In one direction only.
        #[arg(long, value_parser = ways, default_value = "both", value_name = "up|down|both")]
        direction: Ways,
    },
    /// Undo a cut.
    Heal {
        /// By name.
        link: String,
    },
    /// Change a link: rate=10Mbit/s delay=20ms (one way) loss=1%.
    Set {
        /// By name.
        link: String,
        /// What.
        #[arg(required = true, value_parser = set::parse, value_name = "NAME=VALUE")]
        changes: Vec<Wanted>,
        /// In one direction only.
        #[arg(long, value_parser = ways, default_value = "both", value_name = "up|down|both")]
        direction: Ways,
    },
    /// What links and emulator did since the start, as JSON.
    Status,
    /// Remove the lab, whatever is left of it.
    Down {
        /// All labs that are remembered.
        #[arg(long)]
        all: bool,
    },
    /// The emulator; `up` starts it.
    #[command(hide = true)]
    Emulate(Up),
}

#[derive(Args)]
struct Up {
    /// A scenario.
    file: PathBuf,
    /// Another seed than the file's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn ways(text: &str) -> Result<Ways, String> {
    match text {
        "up" => Ok(Ways::Up),
        "down" => Ok(Ways::Down),
        "both" => Ok(Ways::Both),
        _ => Err("up, down or both".into()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(&cli.lab, cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tq-netlab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(lab: &LabName, command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(Up { file, seed }) => {
            let lab = Lab::up(lab, &file, seed)?;
            let links = lab.scenario.links.iter().map(|link| link.summary()).collect::<Vec<_>>().join("; ");
            println!("lab {} is up: {links}", lab.name);
        }
        Command::Exec { host, command } => Lab::exec(lab, host, &command)?,
        Command::Cut { link, silent, direction } => {
            let change = if silent { Wanted::CutSilently } else { Wanted::Cut };
            tell(lab, Request::Change { link, direction, change })?;
        }
        Command::Heal { link } => {
            tell(lab, Request::Change { link, direction: Ways::Both, change: Wanted::Heal })?;
        }
        Command::Set { link, changes, direction } => {
            for change in changes {
                tell(lab, Request::Change { link: link.clone(), direction, change })?;
            }
        }
        Command::Status => {
            let lab = Lab::open(lab)?;
            println!("{}", serde_json::to_string_pretty(&control::books(&lab.folder)?)?);
        }
        Command::Down { all: false } => {
            let found = lab::down(lab)?;
            println!("lab {lab} is down{}", if found { "" } else { "; there was nothing to remove" });
        }
        Command::Down { all: true } => {
            for lab in Folder::all() {
                lab::down(&lab)?;
                println!("lab {lab} is down");
            }
        }
        Command::Emulate(Up { file, seed }) => emulator::run(lab, &file, seed)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(lab: &LabName, request: Request) -> Result<()> {
    control::ask(&Lab::open(lab)?.folder, &request).map(drop)
}
