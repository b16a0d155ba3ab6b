//! Starting other programs: where we are, which cargo, how long it took.
//! It decides nothing about results: callers see an exit status.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a child is looked after.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo builds, and where everything generated goes.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// `cargo SUBCOMMAND`, in the root, with `--locked` in CI for those that know it.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).arg(subcommand);
    if std::env::var_os("CI").is_some() && subcommand != "fmt" {
        command.arg("--locked");
    }
    command
}

/// Runs a command with our output; says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("cannot start {}", shown(command)))?.success())
}

/// Runs a command that must succeed.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    if !succeeds(command)? {
        bail!("failed: {}", shown(command));
    }
    Ok(())
}

/// Runs a command without output; says whether it could be started and succeeded.
pub(crate) fn quietly(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What a command prints to stdout; its errors are ours to show.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("failed: {}", shown(command));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", shown(command)))
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// A child that does not outlive us.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Starts it without input.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", shown(command)))?))
    }

    /// How it ended; `None` if it has not when `limit` has passed on `watch`.
    pub(crate) fn wait_until(&mut self, watch: &Watch, limit: Duration) -> Result<Option<ExitStatus>> {
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || watch.elapsed() >= limit {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks it to end by a signal such as `INT`, and waits until it did; after `patience` it is killed.
    pub(crate) fn stop(mut self, signal: &str, patience: Duration) -> Result<()> {
        // Part of every POSIX shell, while the program of this name is not part of every system.
        quietly(Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.0.id())]));
        self.wait_until(&Watch::start(), patience)?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A stopwatch; the one place here that reads a clock.
pub(crate) struct Watch(Instant);

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "a tool that reports how long things take")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Tells what is about to happen.
pub(crate) fn say(what: &str) {
    println!("==> {what}");
}
