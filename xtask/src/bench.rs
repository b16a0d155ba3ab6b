//! `cargo xtask bench`: how fast, beside another stack in the same run.
//!
//! One connection, one stream, download over loopback, 1452-byte datagrams, AES-128-GCM, each end on its own core,
//! rounds in alternating order. Machines are shared and noisy, so what counts is the median of the ratios of a round.
//! It decides nothing: a figure without its neighbour's is worth little, so it prints both.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::run::{self, say};

#[cfg(test)]
mod tests;

/// What one stack did in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    gbit_s: f64,
    /// CPU seconds per 1e9 bytes of the end that sends.
    sender: f64,
    /// The same of the end that receives.
    receiver: f64,
}

/// A benchmark's result.
#[derive(Debug, Serialize)]
struct Report {
    rounds: usize,
    seconds: u64,
    ours: Sample,
    quinn: Sample,
    /// Medians over rounds of ours to quinn's.
    ratio: Sample,
}

/// Runs `rounds` rounds of `seconds` each per stack.
pub(crate) fn run(rounds: usize, seconds: u64, json: bool) -> Result<()> {
    let (tool, quinn) = build()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut order = [true, false];
        if round % 2 == 1 {
            order.reverse();
        }
        for is_ours in order {
            let sample =
                if is_ours { measure_ours(&tool, seconds)? } else { measure_quinn(&quinn, seconds)? };
            if is_ours { &mut ours } else { &mut theirs }.push(sample);
        }
        say(&format!(
            "round {} of {rounds}: ours {}, quinn {}",
            round + 1,
            line(&ours[round]),
            line(&theirs[round])
        ));
    }
    let report = report(&ours, &theirs, seconds);
    if json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "bulk": report }))?);
    } else {
        println!("{}", table(&report));
    }
    Ok(())
}

/// The tool and quinn's program, both optimised.
fn build() -> Result<(PathBuf, PathBuf)> {
    say("building tquic and quinn-perf (release)");
    run::must(run::cargo("build").args(["--release", "--package", "tquic"]))?;
    let target = run::target_dir().join("peers");
    run::must(
        run::cargo("build")
            .args(["--release", "--package", "quinn-perf"])
            .current_dir(run::root().join("lab/peers"))
            .env("CARGO_TARGET_DIR", &target),
    )?;
    Ok((run::target_dir().join("release/tquic"), target.join("release/quinn-perf")))
}

/// A server that ends with us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program on a core of its own, where `taskset` can do that.
fn on_core(core: &str, program: &Path) -> Command {
    if run::quietly(Command::new("taskset").args(["-c", core, "true"])) {
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program);
        return command;
    }
    Command::new(program)
}

/// Starts a server and reads from its first line where it listens.
fn start(command: &mut Command) -> Result<(Server, String, BufReader<std::process::ChildStdout>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", run::shown(command)))?;
    let stdout = child.stdout.take().context("no output of the server")?;
    let server = Server(child);
    let mut reader = BufReader::new(stdout);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let address = first
        .split([' ', ',', '\n'])
        .find(|word| word.parse::<std::net::SocketAddr>().is_ok())
        .with_context(|| format!("{} did not say where it listens but: {first}", run::shown(command)))?;
    Ok((server, address.to_string(), reader))
}

fn measure_ours(tool: &Path, seconds: u64) -> Result<Sample> {
    let mut serve = on_core("0", tool);
    let (_server, address, _output) = start(serve.args(["perf", "server", "--listen", "127.0.0.1:0"]))?;
    let mut client = on_core("1", tool);
    client.args(["perf", "client", &address, "--json", "--duration", &seconds.to_string()]);
    let report = parse(&run::output(&mut client)?)?;
    Ok(Sample {
        gbit_s: number(&report, "gbit_per_s")?,
        sender: number(&report, "server_cpu_s_per_gb")?,
        receiver: number(&report, "client_cpu_s_per_gb")?,
    })
}

fn measure_quinn(quinn: &Path, seconds: u64) -> Result<Sample> {
    let mut serve = on_core("0", quinn);
    let (_server, address, mut output) = start(serve.args(["server", "--listen", "127.0.0.1:0", "--json"]))?;
    let mut client = on_core("1", quinn);
    client.args(["client", &address, "--json", "--duration", &seconds.to_string()]);
    let report = parse(&run::output(&mut client)?)?;
    thread::sleep(Duration::from_millis(100));
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(Sample {
        gbit_s: number(&report, "gbit_s")?,
        sender: number(&parse(&line)?, "cpu_s_per_gb")?,
        receiver: number(&report, "cpu_s_per_gb")?,
    })
}

/// The last line that is JSON.
fn parse(output: &str) -> Result<Value> {
    let line = output.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("no JSON in: {output}"))?;
    serde_json::from_str(line).with_context(|| format!("bad JSON: {line}"))
}

fn number(report: &Value, field: &str) -> Result<f64> {
    match report[field].as_f64() {
        Some(number) if number.is_finite() => Ok(number),
        _ => bail!("no number {field} in {report}"),
    }
}

fn report(ours: &[Sample], quinn: &[Sample], seconds: u64) -> Report {
    let ratios: Vec<Sample> = ours.iter().zip(quinn).map(|(ours, quinn)| ratio(ours, quinn)).collect();
    Report {
        rounds: ours.len(),
        seconds,
        ours: medians(ours),
        quinn: medians(quinn),
        ratio: medians(&ratios),
    }
}

fn ratio(ours: &Sample, other: &Sample) -> Sample {
    Sample {
        gbit_s: ours.gbit_s / other.gbit_s,
        sender: ours.sender / other.sender,
        receiver: ours.receiver / other.receiver,
    }
}

fn medians(samples: &[Sample]) -> Sample {
    let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field).collect());
    Sample { gbit_s: of(|s| s.gbit_s), sender: of(|s| s.sender), receiver: of(|s| s.receiver) }
}

/// The middle of the numbers, the upper one of two; 0 without any.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

fn line(sample: &Sample) -> String {
    format!("{:.1} Gbit/s {:.2}/{:.2} s/GB", sample.gbit_s, sample.sender, sample.receiver)
}

fn table(report: &Report) -> String {
    let mut out = format!("median of {} rounds of {} s\n\n", report.rounds, report.seconds);
    out.push_str("| stack | Gbit/s | sender, CPU s/GB | receiver, CPU s/GB |\n|---|---|---|---|\n");
    for (name, sample) in [("tquic", &report.ours), ("quinn", &report.quinn), ("ratio", &report.ratio)] {
        let Sample { gbit_s, sender, receiver } = sample;
        let _ = writeln!(out, "| {name} | {gbit_s:.2} | {sender:.3} | {receiver:.3} |");
    }
    out
}
