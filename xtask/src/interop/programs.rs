//! The programs that play: built, and spelled as commands.
//!
//! Only what the chosen cells need is built or installed. Everything is a debug build, so that peers, ours and
//! the tests share what cargo built already.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::matrix::{Case, Cell, Link, Named, Stack};
use crate::run::{self, say};
use crate::setup;

/// The peers' workspace.
pub(crate) const PEERS: &str = "lab/peers";

/// Certificates of the amplification case, as in the public runner.
const CHAIN: u8 = 9;

/// How often a rival fetches the file, so that it is not done before the time limit.
const RIVALS_FILES: usize = 10;

/// Addresses that several programs must know before the first of them listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doors {
    /// The relay's second one.
    pub(super) relay: SocketAddr,
    /// The server's second socket.
    pub(super) server: SocketAddr,
}

impl Doors {
    /// Ports nobody had a moment ago.
    pub(super) fn find() -> Result<Self> {
        let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        let [relay, server] = sockets.each_ref().map(UdpSocket::local_addr);
        Ok(Self { relay: relay?, server: server? })
    }
}

/// Where things are.
pub(super) struct Programs {
    built: PathBuf,
    scripts: PathBuf,
    /// Python, for scripts. Empty if no cell needs it.
    python: PathBuf,
    /// Other numbers, other losses.
    seed: u64,
    /// Whether logs stay where nothing went wrong.
    pub(super) keep: bool,
    /// Holds certificate and files, one folder for each case.
    pub(super) folder: PathBuf,
}

impl Programs {
    /// Builds and installs what `cells` need.
    pub(super) fn prepare(cells: &[Cell], seed: u64, keep: bool) -> Result<Self> {
        let needs = |stack| cells.iter().any(|cell| cell.pair.has(stack));
        let built = run::target_dir().join("debug");
        let mut ours = run::cargo("build");
        must_build(ours.args(["--package", "tq-interop", "--bins"]))?;
        if needs(Stack::Quiche) {
            setup::boringssl_tools()?;
        }
        if needs(Stack::Ngtcp2) {
            setup::ngtcp2()?;
        }
        for package in Stack::ALL.iter().filter(|stack| needs(**stack)).filter_map(|stack| package(*stack)) {
            // One at a time, so that each is built with its own features and no more.
            let mut peer = run::cargo("build");
            let manifest = run::root().join(PEERS).join("Cargo.toml");
            peer.args(["--package", package, "--manifest-path"]).arg(manifest);
            must_build(peer.env("CARGO_TARGET_DIR", run::target_dir()))?;
        }
        let python = if needs(Stack::Aioquic) { setup::python_with_aioquic()? } else { PathBuf::new() };
        let folder = run::target_dir().join("interop");
        let programs = Self { built, scripts: run::root().join(PEERS), python, seed, keep, folder };
        programs.certificate("certificate", 1)?;
        programs.certificate("chain", CHAIN)?;
        for cell in cells {
            programs.files(*cell)?;
        }
        Ok(programs)
    }

    fn certificate(&self, name: &str, chain: u8) -> Result<()> {
        let mut command = Command::new(self.built.join("tq-interop"));
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        run::must(command.args(["certificate", "--chain", &chain.to_string(), "--out"]).arg(folder))
    }

    /// Writes the files of a cell that are not there yet: bytes that differ from file to file.
    fn files(&self, cell: Cell) -> Result<()> {
        let folder = self.www(cell);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for (name, size) in cell.files() {
            let file = folder.join(&name);
            if fs::metadata(&file).is_ok_and(|file| file.len() == size as u64) {
                continue;
            }
            let mut word = name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let mut bytes = Vec::with_capacity(size + 8);
            while bytes.len() < size {
                // xorshift64.
                word ^= word << 13;
                word ^= word >> 7;
                word ^= word << 17;
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            fs::write(&file, &bytes[..size]).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    /// The folder of a cell's files.
    pub(super) fn www(&self, cell: Cell) -> PathBuf {
        let folder = if cell.link == Link::Runner { "www-runner" } else { "www" };
        self.folder.join(folder).join(cell.case.name())
    }

    pub(super) fn server(&self, cell: Cell, doors: Doors) -> Command {
        let mut command = self.stack(cell.pair.server, "server");
        let chain = cell.case == Case::AmplificationLimit;
        self.serving(&mut command, cell, if chain { "chain" } else { "certificate" });
        if cell.case == Case::ConnectionMigration {
            let preferred = if cell.two_doors() { doors.relay } else { doors.server };
            command.args(["--preferred", &preferred.to_string()]);
            if cell.pair.server == Stack::Ours {
                command.args(["--also", &doors.server.to_string()]);
            }
        }
        if cell.pair.client.is_http3() {
            command.arg("--http3");
        }
        command
    }

    fn serving(&self, command: &mut Command, cell: Cell, certificate: &str) {
        let certificate = self.folder.join(certificate);
        command.args(["--listen", any(cell), "--testcase", cell.case.name()]);
        command.arg("--cert").arg(certificate.join("cert.pem")).arg("--key").arg(certificate.join("key.pem"));
        command.arg("--www").arg(self.www(cell));
    }

    pub(super) fn client(&self, cell: Cell, authority: &str, downloads: &Path) -> Command {
        let mut command = self.stack(cell.pair.client, "client");
        command.args(["--testcase", cell.case.name()]).arg("--downloads").arg(downloads);
        // Chains this long are refused by verifiers in general.
        if cell.pair.client == Stack::Ours && cell.case != Case::AmplificationLimit {
            command.arg("--ca").arg(self.folder.join("certificate/ca.pem"));
        }
        if cell.pair.server.is_http3() {
            command.arg("--http3");
        }
        command.args(cell.files().iter().map(|(name, _)| format!("https://{authority}/{name}")));
        command
    }

    /// The server of a flow beside the one that is measured: ours, with CUBIC.
    pub(super) fn rivals_server(&self, cell: Cell) -> Command {
        let mut command = self.stack(Stack::Ours, "server");
        self.serving(&mut command, cell, "certificate");
        command
    }

    /// Its client, which has enough to fetch until the cell ends.
    pub(super) fn rival(&self, cell: Cell, door: SocketAddr, downloads: &Path) -> Command {
        let mut command = self.stack(Stack::Ours, "client");
        command.args(["--testcase", cell.case.name()]).arg("--downloads").arg(downloads);
        for (name, _) in cell.files() {
            command.args(std::iter::repeat_n(format!("https://{door}/{name}"), RIVALS_FILES));
        }
        command
    }

    /// The relay; its second door, if it has one, leads to `also`.
    pub(super) fn relay(
        &self,
        cell: Cell,
        to: &str,
        also: Option<(SocketAddr, &str)>,
        summary: &Path,
    ) -> Command {
        let mut command = Command::new(self.built.join("tq-relay"));
        command.args(["--listen", any(cell), "--to", to, "--seed", &cell.seed(self.seed).to_string()]);
        if let Some((door, also)) = also {
            command.args(["--also", &door.to_string(), "--also-to", also]);
        }
        let (loss, corrupt) = cell.impairment();
        command.args(["--loss", &loss.to_string(), "--corrupt", &corrupt.to_string()]).args(cell.network());
        command.arg("--summary").arg(summary);
        command
    }

    fn stack(&self, stack: Stack, role: &str) -> Command {
        let ours = |name: &str| {
            let mut command = Command::new(self.built.join(name));
            command.arg(role);
            command
        };
        match stack {
            Stack::Ours => ours("tq-interop"),
            Stack::Quinn | Stack::Noq | Stack::S2n | Stack::Quiche => {
                ours(package(stack).unwrap_or_default())
            }
            Stack::Aioquic | Stack::Ngtcp2 => {
                let own = if stack == Stack::Aioquic { self.python.as_path() } else { Path::new("python3") };
                let mut command = Command::new(own);
                let script = self.scripts.join(stack.name()).join(role).with_extension("py");
                command.arg("-B").arg(script);
                command
            }
        }
    }
}

/// The package of a peer that cargo builds, which is also its program.
fn package(stack: Stack) -> Option<&'static str> {
    match stack {
        Stack::Quinn => Some("quinn-peer"),
        Stack::Noq => Some("noq-peer"),
        Stack::S2n => Some("s2n-peer"),
        Stack::Quiche => Some("quiche-peer"),
        Stack::Ours | Stack::Aioquic | Stack::Ngtcp2 => None,
    }
}

/// A loopback address with a port that the system chooses.
fn any(cell: Cell) -> &'static str {
    if cell.case == Case::Ipv6 { "[::1]:0" } else { "127.0.0.1:0" }
}

fn must_build(command: &mut Command) -> Result<()> {
    say(&run::shown(command));
    run::must(command)
}

/// Names and versions of the stacks, for people.
pub(super) fn versions() -> Result<Vec<(Stack, String)>> {
    let file = run::root().join(PEERS).join("Cargo.lock");
    let lock = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let of = |name: &str| locked(&lock, name).with_context(|| format!("{PEERS}/Cargo.lock has no {name}"));
    let quinn = format!("quinn {} (quinn-proto {})", of("quinn")?, of("quinn-proto")?);
    let aioquic = format!("aioquic {} on CPython", setup::aioquic_version()?);
    let noq = format!("noq {} (noq-proto {}), a fork of quinn with multipath", of("noq")?, of("noq-proto")?);
    let s2n = format!("s2n-quic {} with rustls", of("s2n-quic")?);
    let quiche = format!("quiche {} with BoringSSL (boring {})", of("quiche")?, of("boring")?);
    let ours = "`tq-interop` of this tree".to_owned();
    let ngtcp2 =
        format!("ngtcp2 {} of Debian (`gtlsclient`, `gtlsserver`), over HTTP/3", setup::ngtcp2_version());
    Ok(vec![
        (Stack::Ours, ours),
        (Stack::Quinn, quinn),
        (Stack::Aioquic, aioquic),
        (Stack::Noq, noq),
        (Stack::S2n, s2n),
        (Stack::Quiche, quiche),
        (Stack::Ngtcp2, ngtcp2),
    ])
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests;
