//! `tq-relay`: a UDP relay that loses, corrupts and delays datagrams by a seed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tq_interop::relay::{Impairment, Relay};

/// Relays UDP between clients and a server, losing, corrupting and delaying datagrams in both directions.
/// When interrupted it tells as JSON what it saw and did.
#[derive(Parser)]
#[command(name = "tq-relay", version)]
struct Cli {
    /// Where clients send to.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The server.
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// Share of datagrams lost, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    loss: f64,
    /// Share of datagrams with one byte among the first 50 changed, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    corrupt: f64,
    /// Most datagrams lost, or corrupted, in a row.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// One-way delay, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay: u64,
    /// Same seed, same losses.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// File for the closing JSON object; without it, standard output.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tq-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let Cli { listen, to, loss, corrupt, burst, delay, seed, summary } = cli;
    let impairment = Impairment { loss, corrupt, burst, delay: Duration::from_millis(delay), seed };
    let relay = Relay::bind(listen, to, impairment).await;
    let relay = relay.with_context(|| format!("cannot listen on {listen}"))?;
    let counts = relay.counts();
    println!("listening on {}", relay.local_addr()?);
    tokio::select! {
        result = relay.run() => result?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    match summary {
        Some(file) => {
            std::fs::write(&file, counts.json()).with_context(|| format!("cannot write {}", file.display()))
        }
        None => {
            println!("{}", counts.json());
            Ok(())
        }
    }
}
