//! What a machine needs before tests run: looked for first, told before it is installed.
//! Debian packages come from apt-get, and only for root; Python packages go to a folder under `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};

/// Where the peer's version stands that tests were written against.
const REQUIREMENTS: &str = "lab/peers/aioquic/requirements.txt";

/// A C compiler, for the cryptographic library.
pub(crate) fn compiler() -> Result<()> {
    if !run::quietly(Command::new("cc").arg("--version")) {
        debian(&["gcc", "libc6-dev"], "a C compiler")?;
    }
    Ok(())
}

/// What BoringSSL and the bindings to it are built with.
pub(crate) fn boringssl_tools() -> Result<()> {
    let there = |program: &str| run::quietly(Command::new(program).arg("--version"));
    let clang = Path::new("/usr/lib/llvm-14/lib/libclang.so.1").exists() || there("clang");
    if !there("cmake") || !there("c++") || !clang {
        debian(&["cmake", "g++", "libclang-dev"], "what BoringSSL is built with")?;
    }
    Ok(())
}

/// ngtcp2's examples, as Debian packs them, and a Python that spells their command lines.
pub(crate) fn ngtcp2() -> Result<()> {
    let there = |program: &str, option: &str| run::quietly(Command::new(program).arg(option));
    if !["gtlsclient", "gtlsserver"].iter().all(|program| there(program, "--help")) {
        debian(&["ngtcp2-client", "ngtcp2-server"], "ngtcp2's client and server")?;
    }
    if !there("python3", "--version") {
        debian(&["python3"], "Python")?;
    }
    Ok(())
}

/// The version of Debian's package; nothing where it is not installed.
pub(crate) fn ngtcp2_version() -> String {
    let version = run::output(Command::new("dpkg-query").args(["-W", "-f=${Version}", "ngtcp2-client"]));
    version.unwrap_or_default().split('+').next().unwrap_or_default().to_owned()
}

/// A Python that has aioquic, in a virtual environment under `target`; made if it is not there.
pub(crate) fn python_with_aioquic() -> Result<PathBuf> {
    let version = aioquic_version()?;
    let folder = run::target_dir().join("python");
    let python = folder.join("bin/python");
    if has_aioquic(&python, &version) {
        return Ok(python);
    }
    if !run::quietly(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        debian(&["python3", "python3-venv"], "Python with venv")?;
    }
    say(&format!("installing aioquic {version} by pip into {}", folder.display()));
    run::must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    run::must(pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(run::root().join(REQUIREMENTS)))?;
    if !has_aioquic(&python, &version) {
        bail!("aioquic {version} was installed into {} but cannot be imported", folder.display());
    }
    Ok(python)
}

/// Why no namespace lab can be made here, if none can. Changes nothing.
pub(crate) fn no_lab() -> Option<String> {
    if !is_root() {
        return Some("it needs root".into());
    }
    // A namespace without a name, gone with the command.
    if !run::quietly(Command::new("unshare").args(["--net", "ip", "link", "add", "probe", "type", "veth"])) {
        return Some("there are no network namespaces here, or no `ip` (Debian's iproute2)".into());
    }
    None
}

/// What the lab needs beside root: `ip`, and `ping` and `iperf3` for its calibration.
pub(crate) fn lab() -> Result<()> {
    if !is_root() {
        bail!("a lab needs root, for namespaces and packet sockets: run this as root");
    }
    for (program, package) in [("ip", "iproute2"), ("ping", "iputils-ping"), ("iperf3", "iperf3")] {
        if !is_there(program) {
            debian(&[package], program)?;
        }
    }
    no_lab().map_or(Ok(()), |why| bail!("no lab: {why}"))
}

/// What the tests of a host's network need beside root, without which they say that they are skipped. Nothing is installed
/// where `CI` is set.
pub(crate) fn network() {
    if !is_root() || std::env::var_os("CI").is_some() {
        return;
    }
    for (program, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        if !is_there(program)
            && let Err(error) = debian(&[package], program)
        {
            say(&format!("tests that need {program} skip: {error:#}"));
        }
    }
}

/// What the demo needs beside a compiler: `curl`; as root also `ip` and `nft`, and nginx, whose place is told.
pub(crate) fn demo(loopback: bool) -> Result<Option<PathBuf>> {
    let lab: &[_] = if is_root() && !loopback { &[("ip", "iproute2"), ("nft", "nftables")] } else { &[] };
    let missing = [("curl", "curl")].iter().chain(lab).filter(|(program, _)| !is_there(program));
    let (programs, packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    if !packages.is_empty() {
        debian(&packages, &programs.join(", "))?;
    }
    Ok(if lab.is_empty() { None } else { nginx() })
}

/// A web server that is not ours.
pub(crate) fn nginx() -> Option<PathBuf> {
    unpacked("nginx", &["nginx", "nginx-core"])
}

/// OpenSSH's server.
pub(crate) fn sshd() -> Option<PathBuf> {
    unpacked("sshd", &["openssh-server", "libwrap0"])
}

/// A daemon of Debian's, of this machine or unpacked below `target/tools`: were it installed, it would be started, too. None
/// if there is no such package, which is told.
fn unpacked(program: &str, packages: &[&str]) -> Option<PathBuf> {
    let own = Path::new("/usr/sbin").join(program);
    let folder = run::target_dir().join("tools").join(program);
    let unpacked = folder.join("usr/sbin").join(program);
    if let Some(there) = [own, unpacked.clone()].into_iter().find(|path| path.is_file()) {
        return Some(there);
    }
    if !run::quietly(Command::new("apt-get").arg("--version")) || std::fs::create_dir_all(&folder).is_err() {
        say(&format!("{program} is missing and there is no apt-get: going on without"));
        return None;
    }
    say(&format!("{program} is missing: unpacking {} into {}", packages.join(", "), folder.display()));
    for package in packages {
        run::quietly(Command::new("apt-get").args(["download", package]).current_dir(&folder));
    }
    for entry in std::fs::read_dir(&folder).ok()?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            run::quietly(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&folder));
        }
    }
    if !unpacked.is_file() {
        say(&format!("{program} could not be had (apt-get update may help): going on without"));
        // So that the next run tries again.
        let _ = std::fs::remove_dir_all(&folder);
        return None;
    }
    Some(unpacked)
}

pub(crate) fn is_there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

/// The version of aioquic that peers are written against.
pub(crate) fn aioquic_version() -> Result<String> {
    let text = std::fs::read_to_string(run::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix("aioquic=="));
    Ok(version.with_context(|| format!("{REQUIREMENTS} names no aioquic"))?.to_owned())
}

fn has_aioquic(python: &Path, version: &str) -> bool {
    let script = format!("import aioquic; assert aioquic.__version__ == '{version}'");
    run::quietly(Command::new(python).args(["-c", &script]))
}

/// Installs packages, or says who has to.
fn debian(packages: &[&str], what: &str) -> Result<()> {
    let names = packages.join(" ");
    if !is_root() || !run::quietly(Command::new("apt-get").arg("--version")) {
        let why = if is_root() { "there is no apt-get here" } else { "as root, apt-get is asked for them" };
        bail!("missing: {what}. Install {names} (Debian's names; {why}) and run this again");
    }
    say(&format!("missing: {what}. Installing {names} by apt-get"));
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        command
    };
    if !run::succeeds(&mut install())? {
        run::must(Command::new("apt-get").arg("update"))?;
        run::must(&mut install()).with_context(|| format!("apt-get cannot install {names}"))?;
    }
    Ok(())
}
