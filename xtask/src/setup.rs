//! What a machine needs before tests run: looked for first, told before it is installed.
//! Debian packages come from apt-get, and only for root; Python packages go to a folder under `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};

/// The peer's version that tests were written against.
const AIOQUIC: &str = "1.7.2";

/// A C compiler, for the cryptographic library.
pub(crate) fn compiler() -> Result<()> {
    if !run::quietly(Command::new("cc").arg("--version")) {
        debian(&["gcc", "libc6-dev"], "a C compiler")?;
    }
    Ok(())
}

/// A Python that has aioquic, in a virtual environment under `target`; made if it is not there.
pub(crate) fn python_with_aioquic() -> Result<PathBuf> {
    let folder = run::target_dir().join("python");
    let python = folder.join("bin/python");
    if has_aioquic(&python) {
        return Ok(python);
    }
    if !run::quietly(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        debian(&["python3", "python3-venv"], "Python with venv")?;
    }
    say(&format!("installing aioquic {AIOQUIC} by pip into {}", folder.display()));
    run::must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let package = format!("aioquic=={AIOQUIC}");
    run::must(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    if !has_aioquic(&python) {
        bail!("aioquic {AIOQUIC} was installed into {} but cannot be imported", folder.display());
    }
    Ok(python)
}

fn has_aioquic(python: &Path) -> bool {
    let script = format!("import aioquic; assert aioquic.__version__ == '{AIOQUIC}'");
    run::quietly(Command::new(python).args(["-c", &script]))
}

/// Installs packages, or says who has to.
fn debian(packages: &[&str], what: &str) -> Result<()> {
    let names = packages.join(" ");
    let root = run::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0");
    if !root || !run::quietly(Command::new("apt-get").arg("--version")) {
        bail!("{what} is missing: install {names} (Debian's names) and run this again");
    }
    say(&format!("{what} is missing: installing {names} by apt-get"));
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
