//! The programs that are measured: built with optimisation, spelled as commands, each end on a core of its own.
//!
//! Reads what they print; compares nothing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::run::{self, say};

/// Bytes of a request and of its answer.
const REQUEST: &str = "32";

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
    Ours,
    Quinn,
    Noq,
    S2n,
}

impl Stack {
    pub(super) const PEERS: [Self; 3] = [Self::Quinn, Self::Noq, Self::S2n];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "tquic",
            Self::Quinn => "quinn",
            Self::Noq => "noq",
            Self::S2n => "s2n-quic",
        }
    }

    /// The peer of this name.
    pub(super) fn named(name: &str) -> Result<Self> {
        let found = Self::PEERS.into_iter().find(|peer| peer.name() == name);
        found.with_context(|| format!("`{name}`: there are quinn, noq and s2n-quic"))
    }

    fn package(self) -> &'static str {
        match self {
            Self::Ours => "tquic",
            Self::Quinn => "quinn-perf",
            Self::Noq => "noq-perf",
            Self::S2n => "s2n-perf",
        }
    }
}

/// What one stack did in one download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(super) gbit_s: f64,
    /// CPU seconds per 1e9 bytes of the end that sends.
    pub(super) sender: f64,
    /// The same of the end that receives.
    pub(super) receiver: f64,
}

/// How often one stack did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rate {
    pub(super) per_s: f64,
    /// CPU milliseconds of the client for one.
    pub(super) client_cpu_ms: f64,
    /// The same of the server, as the kernel counts it: to 10 ms for all of them together.
    pub(super) server_cpu_ms: f64,
    /// Microseconds that half of them took at most, and all but one in a hundred.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Many {
    Handshakes,
    Requests,
}

/// Where the programs are.
pub(super) struct Programs {
    ours: PathBuf,
    peers: PathBuf,
    /// With a certificate as the peers make it: P-256, signed by itself.
    certificate: PathBuf,
}

impl Programs {
    /// Builds the tool and these peers' programs.
    pub(super) fn build(peers: &[Stack]) -> Result<Self> {
        say("building tquic and its peers (release)");
        run::must(run::cargo("build").args(["--release", "--package", "tquic"]))?;
        let certificate = run::target_dir().join("bench");
        std::fs::create_dir_all(&certificate)?;
        let mut make = run::cargo("run");
        make.args(["--quiet", "--package", "tq-interop", "--bin", "tq-interop", "--"]);
        make.args(["certificate", "--out"]);
        run::must(make.arg(&certificate))?;
        let target = run::target_dir().join("peers");
        for peer in peers {
            // One at a time, so that each is built with its own features and no more.
            let mut build = run::cargo("build");
            build.args(["--release", "--package", peer.package()]);
            build.current_dir(run::root().join("lab/peers")).env("CARGO_TARGET_DIR", &target);
            run::must(&mut build)?;
        }
        Ok(Self { ours: run::target_dir().join("release"), peers: target.join("release"), certificate })
    }

    /// A program of a stack on a core of its own.
    fn command(&self, stack: Stack, core: &str) -> Command {
        let folder = if stack == Stack::Ours { &self.ours } else { &self.peers };
        let mut command = on_core(core, &folder.join(stack.package()));
        if stack == Stack::Ours {
            command.arg("perf");
        }
        command
    }

    fn server(&self, stack: Stack) -> Result<(Server, String, BufReader<ChildStdout>)> {
        let mut command = self.command(stack, "0");
        command.args(["server", "--listen", "127.0.0.1:0"]);
        if stack == Stack::Ours {
            command.arg("--cert").arg(self.certificate.join("cert.pem"));
            command.arg("--key").arg(self.certificate.join("key.pem"));
            // As the peers' programs have it: nobody resumes, the size of datagrams is given.
            command.args(["--no-tickets", "--fixed-mtu"]);
        } else {
            command.arg("--json");
        }
        start(&mut command)
    }

    fn client(&self, stack: Stack, address: &str, seconds: u64) -> Command {
        let mut command = self.command(stack, "1");
        command.args(["client", address, "--json", "--duration", &seconds.to_string()]);
        if stack == Stack::Ours {
            command.args(["--insecure", "--fixed-mtu"]);
        }
        command
    }

    /// One download.
    pub(super) fn bulk(&self, stack: Stack, seconds: u64) -> Result<Sample> {
        let (_server, address, mut output) = self.server(stack)?;
        let report = parse(&run::output(&mut self.client(stack, &address, seconds))?)?;
        if stack == Stack::Ours {
            return Ok(Sample {
                gbit_s: number(&report, "gbit_per_s")?,
                sender: number(&report, "server_cpu_s_per_gb")?,
                receiver: number(&report, "client_cpu_s_per_gb")?,
            });
        }
        // It tells when it has seen the connection end.
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(Sample {
            gbit_s: number(&report, "gbit_s")?,
            sender: number(&parse(&line)?, "cpu_s_per_gb")?,
            receiver: number(&report, "cpu_s_per_gb")?,
        })
    }

    /// Handshakes or requests, so many at a time.
    pub(super) fn many(&self, stack: Stack, many: Many, outstanding: u32, seconds: u64) -> Result<Rate> {
        let (server, address, _output) = self.server(stack)?;
        let mut client = self.client(stack, &address, seconds);
        match many {
            Many::Handshakes => client.arg("--handshakes"),
            Many::Requests => client.args(["--requests", REQUEST]),
        };
        client.args(["--outstanding", &outstanding.to_string()]);
        let before = server.cpu();
        let report = parse(&run::output(&mut client)?)?;
        let spent = server.cpu().saturating_sub(before).as_secs_f64();
        let of = |field| number(&report, field);
        Ok(Rate {
            per_s: of("per_s")?,
            client_cpu_ms: of("client_cpu_ms")?,
            server_cpu_ms: spent * 1e3 / of("count")?.max(1.0),
            p50_us: of("p50_us")?,
            p99_us: of("p99_us")?,
        })
    }
}

/// A server that ends with us.
struct Server(Child);

impl Server {
    /// User and system time of its threads so far, or zero where the kernel does not tell.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()));
        stat.ok()
            .and_then(|stat| ticks(&stat))
            .map_or(Duration::ZERO, |ticks| Duration::from_millis(10) * ticks)
    }
}

/// User and system time in proc_pid_stat(5), in hundredths of a second. The second field may hold spaces.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

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
fn start(command: &mut Command) -> Result<(Server, String, BufReader<ChildStdout>)> {
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

/// The last line that is JSON.
pub(super) fn parse(output: &str) -> Result<Value> {
    let line = output.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("no JSON in: {output}"))?;
    serde_json::from_str(line).with_context(|| format!("bad JSON: {line}"))
}

pub(super) fn number(report: &Value, field: &str) -> Result<f64> {
    match report[field].as_f64() {
        Some(number) if number.is_finite() => Ok(number),
        _ => bail!("no number {field} in {report}"),
    }
}
