//! The `nft` program: found, given a script, listened to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SetupError;

/// Where it is on systems that do not show it to everybody.
const ALSO: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The program: the one that is named, or the one that is found.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, SetupError> {
    if let Some(path) = named {
        let there = path.is_file();
        return there.then(|| path.to_owned()).ok_or_else(|| SetupError::NoNft(path.display().to_string()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ALSO.map(PathBuf::from));
    let found = folders.map(|folder| folder.join("nft")).find(|path| path.is_file());
    found.ok_or_else(|| SetupError::NoNft("not in PATH nor /usr/sbin".into()))
}

/// Carries out a script, whole or not at all.
pub(super) fn run(named: Option<&Path>, script: &str) -> Result<(), SetupError> {
    let program = find(named)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SetupError::NoNft(program.display().to_string()),
        _ => SetupError::system(format!("run {}", program.display()), error),
    };
    let mut command = Command::new(&program);
    command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // A program that ends before it has read everything says why on its other channel.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(script.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return written.map_err(failed);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim();
    Err(if first.contains("not permitted") {
        SetupError::Privilege("change nftables".into())
    } else {
        SetupError::Nft(first.to_owned())
    })
}

/// Removes a table; one that is not there is as good.
pub(super) fn remove(named: Option<&Path>, table: &str) -> Result<(), SetupError> {
    run(named, &format!("table inet {table}\ndelete table inet {table}\n"))
}

/// Whether a table has its chain.
pub(super) fn is_there(named: Option<&Path>, table: &str) -> bool {
    run(named, &format!("list chain inet {table} prerouting\n")).is_ok()
}
