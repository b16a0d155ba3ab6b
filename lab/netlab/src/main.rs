//! `tq-netlab`: links between network namespaces, from a scenario's file.
//!
//! Exit codes: 0 done, or the run passed; 1 it failed; 2 usage; 3 the run is invalid: it says nothing about the links;
//! 4 the lab cannot play the scenario.
//! Decides only how commands are written and results are told.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use tq_netlab::calibrate::{self, Calibration};
use tq_netlab::control::{self, Request, Wanted, Ways};
use tq_netlab::emulator;
use tq_netlab::lab::{self, Lab};
use tq_netlab::names::{Host, LabName};
use tq_netlab::peer::Peer;
use tq_netlab::run::{self, Report, Verdict};
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
    /// Run a scenario in a lab of its own and say pass, fail or invalid.
    Run(Run),
    /// Compare the links of a lab that is up with its file, by ping, iperf3 and probes.
    Calibrate {
        /// Print JSON.
        #[arg(long)]
        json: bool,
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

#[derive(Args)]
struct Run {
    #[command(flatten)]
    up: Up,
    /// The transport: tq (our QUIC over all links), tq-one (over one), tcp or mptcp (the kernel's).
    #[arg(long, default_value = "tq", value_name = "NAME")]
    peer: Peer,
    /// Congestion control, instead of the file's: cubic or bbr for the kernel's.
    #[arg(long, value_name = "NAME")]
    cc: Option<String>,
    /// Our QUIC's scheduler, instead of the file's.
    #[arg(long, value_name = "NAME")]
    scheduler: Option<tq::quic::sched::Kind>,
    /// Use this link alone.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// Instead of the file's traffic and bars: one download for so long, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    download: Option<std::time::Duration>,
    /// A warm window is at most so long, such as 8s.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "download")]
    window: Option<std::time::Duration>,
    /// Without the file's bars.
    #[arg(long)]
    without_bars: bool,
    /// Also with more links or rate than the lab can be trusted with.
    #[arg(long)]
    any_rate: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<tq_scenario::Time>().map(|time| time.0).map_err(|error| error.to_string())
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
            if error.is::<run::CannotPlay>() { ExitCode::from(4) } else { ExitCode::FAILURE }
        }
    }
}

fn act(lab: &LabName, command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(Up { file, seed }) => {
            let lab = Lab::up(lab, &file, seed)?;
            let links = lab.scenario.links.iter().map(|link| link.summary()).collect::<Vec<_>>().join("; ");
            say(&format!("lab {} is up: {links}", lab.name))?;
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
        Command::Run(Run {
            up,
            peer,
            cc,
            scheduler,
            link,
            download,
            window,
            without_bars,
            any_rate,
            json,
        }) => {
            let seed = up.seed;
            let options =
                run::Options { peer, cc, scheduler, seed, link, download, window, without_bars, any_rate };
            let report = run::run(lab, &up.file, &options)?;
            say(&if json { serde_json::to_string(&report)? } else { tell_run(&report) })?;
            return Ok(match report.verdict {
                Verdict::Pass => ExitCode::SUCCESS,
                Verdict::Fail => ExitCode::FAILURE,
                Verdict::Invalid => ExitCode::from(3),
            });
        }
        Command::Calibrate { json } => {
            let found = calibrate::calibrate(&Lab::open(lab)?)?;
            say(&if json { serde_json::to_string(&found)? } else { tell_calibration(&found) })?;
            return Ok(match (found.good, found.health.troubles.is_empty()) {
                (true, _) => ExitCode::SUCCESS,
                (false, true) => ExitCode::FAILURE,
                (false, false) => ExitCode::from(3),
            });
        }
        Command::Status => {
            let lab = Lab::open(lab)?;
            say(&serde_json::to_string_pretty(&control::books(&lab.folder)?)?)?;
        }
        Command::Down { all: false } => {
            let found = lab::down(lab)?;
            say(&format!("lab {lab} is down{}", if found { "" } else { "; there was nothing to remove" }))?;
        }
        Command::Down { all: true } => {
            for lab in Folder::all() {
                lab::down(&lab)?;
                say(&format!("lab {lab} is down"))?;
            }
        }
        Command::Emulate(Up { file, seed }) => emulator::run(lab, &file, seed)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// To stdout, which may be closed.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn tell(lab: &LabName, request: Request) -> Result<()> {
    control::ask(&Lab::open(lab)?.folder, &request).map(drop)
}

/// A run for people.
fn tell_run(report: &Report) -> String {
    use std::fmt::Write;

    let Report { name, peer, cc, links, verdict, figures, health, .. } = report;
    let mut text = format!(
        "{verdict:?}: {name}, {peer} {cc} over {}: {:.2} Mbit/s, longest gap {:.0} ms",
        links.join("+"),
        figures.goodput_bps / 1e6,
        figures.gap_s * 1e3
    );
    for bar in &report.bars {
        let measured = bar.measured.as_deref().unwrap_or("not measured here");
        let _ = write!(text, "\n  bar {}: {measured}", bar.bar);
    }
    for reason in &report.reasons {
        let _ = write!(text, "\n  {reason}");
    }
    let [median, p99, most] = health.late_ms;
    let _ = write!(
        text,
        "\n  processors {:.0} % used, load {:.1}; packets late by {median:.2} ms (median), {p99:.2} (p99), {most:.2} (most)",
        health.cpu * 100.0,
        health.load
    );
    text
}

/// A calibration for people.
fn tell_calibration(found: &Calibration) -> String {
    use std::fmt::Write;

    let mut text = String::new();
    for link in &found.links {
        let rate = link.rate_error.map_or("-".into(), |error| format!("{:+.2} %", error * 100.0));
        let [_, p99, most] = link.loaded.late_ms;
        let _ = writeln!(
            text,
            "{} {}: rate {rate}, round trip {:+.3} ms, loss p = {:.3}; under TCP {:.2} Mbit/s, late by {p99:.2} ms (p99), \
             {most:.2} (most), {:.0} packets/s",
            if link.good { "good" } else { "BAD " },
            link.name,
            link.delay_error_ms,
            link.loss_p_value,
            link.loaded.tcp_bps / 1e6,
            link.loaded.packets_per_s
        );
    }
    let _ = write!(text, "processors {:.0} % used, load {:.1}", found.health.cpu * 100.0, found.health.load);
    for why in &found.health.troubles {
        let _ = write!(text, "\n  {why}");
    }
    text
}
