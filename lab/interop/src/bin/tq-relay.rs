//! `tq-relay`: a UDP relay that is a network: rate, queue, delay, outages, losses, corruption and a NAT, by a seed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::time::sleep;
use tq_interop::relay::{Counts, Impairment, Network, Rebind, Relay};

/// How old the summary in a file may be.
const RENEW: Duration = Duration::from_millis(20);

/// Relays UDP between clients and a server over a link that is alike in both directions.
/// Tells as JSON what it saw and did when it is interrupted.
#[derive(Parser)]
#[command(name = "tq-relay", version)]
struct Cli {
    /// Where clients send to.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The server.
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// A second door for clients, over the same link.
    #[arg(long, value_name = "ADDR", requires = "also_to")]
    also: Option<SocketAddr>,
    /// Where the second door leads.
    #[arg(long, value_name = "ADDR", requires = "also")]
    also_to: Option<SocketAddr>,
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
    /// Rate each way, Mbit/s of IP; without it there is no limit.
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    /// Packets that wait for the rate at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    queue: Option<u32>,
    /// Nothing arrives for OFF milliseconds after every ON, from the first datagram on.
    #[arg(long, value_name = "ON,OFF", value_parser = pair)]
    outage: Option<(u64, u64)>,
    /// Clients get another port after FIRST milliseconds, and again after EVERY.
    #[arg(long, value_name = "FIRST,EVERY", value_parser = pair)]
    rebind_port: Option<(u64, u64)>,
    /// The same, but another address.
    #[arg(long, value_name = "FIRST,EVERY", value_parser = pair, conflicts_with = "rebind_port")]
    rebind_addr: Option<(u64, u64)>,
    /// Datagrams of each client that never arrive, from the first number to the last, counted from 1.
    #[arg(long, value_name = "FIRST,LAST", value_parser = pair)]
    swallow: Option<(u64, u64)>,
    /// Same seed, same losses.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// File for the JSON object, kept up to date all the time; without it, standard output at the end.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

fn pair(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.filter(|(_, second)| *second > 0).ok_or_else(|| "must be two whole numbers, as in 1,5".into())
}

impl Cli {
    fn network(&self) -> Network {
        let millis = |(first, second)| (Duration::from_millis(first), Duration::from_millis(second));
        let rebind = |addr| move |(first, every)| Rebind { addr, first, every };
        let impairment =
            Impairment { loss: self.loss, corrupt: self.corrupt, burst: self.burst, seed: self.seed };
        Network {
            impairment,
            rate: self.rate.map(|mbit| mbit * 1_000_000),
            queue: self.queue,
            delay: Duration::from_millis(self.delay),
            outage: self.outage.map(millis),
            rebind: (self.rebind_port.map(millis).map(rebind(false)))
                .or(self.rebind_addr.map(millis).map(rebind(true))),
            swallow: self.swallow.map(|(first, last)| first..=last),
        }
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
    let relay = Relay::bind(cli.listen, cli.to, cli.network()).await;
    let Cli { listen, also, also_to, summary, .. } = cli;
    let mut relay = relay.with_context(|| format!("cannot listen on {listen}"))?;
    if let (Some(also), Some(to)) = (also, also_to) {
        relay = relay.also(also, to).await.with_context(|| format!("cannot listen on {also}"))?;
    }
    let counts = relay.counts();
    println!("listening on {}", relay.local_addr()?);
    let told = async {
        match &summary {
            Some(file) => keep(file, &counts).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = relay.run() => result?,
        result = told => result?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    match summary {
        Some(file) => write(&file, &counts.json()),
        None => {
            println!("{}", counts.json());
            Ok(())
        }
    }
}

/// Writes the summary whenever it has changed.
async fn keep(file: &Path, counts: &Counts) -> Result<()> {
    let mut written = String::new();
    loop {
        let json = counts.json();
        if json != written {
            write(file, &json)?;
            written = json;
        }
        sleep(RENEW).await;
    }
}

/// Readers see the old contents or the new, never half of them.
fn write(file: &Path, json: &str) -> Result<()> {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, json)
        .and_then(|()| std::fs::rename(&fresh, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
