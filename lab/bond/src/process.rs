//! Programs that we start: none outlives its owner, and what it said is there when it fails.
//!
//! Decides that each has a process group of its own, so that Ctrl-C reaches us and not them: we end them in order.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tq_netlab::process::signal;

use crate::stop;

/// A program that runs.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it without input; what it says goes to a file.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log).context("cannot open a log")?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        Ok(Self(command.spawn().with_context(|| format!("cannot start {}", shown(&command)))?))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Sends a signal and waits until it has ended; after `patience` it is killed. Whether it ended by itself.
    pub fn end(&mut self, name: &str, patience: Duration) -> bool {
        signal(self.0.id(), name);
        for _ in 0..patience.as_millis() / 10 {
            if self.ended().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    fn kill(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end, but not for longer than `limit`, and gives what it printed.
pub fn output(mut command: Command, limit: Duration) -> Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let shown = shown(&command);
    let child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    let id = child.id();
    let waiting = std::thread::spawn(move || child.wait_with_output());
    if stop::poll(limit, || waiting.is_finished().then_some(()))?.is_none() {
        signal(id, "KILL");
        bail!("{shown}: not done within {limit:?}");
    }
    let Ok(output) = waiting.join() else { bail!("{shown}: nobody waited") };
    let output = output?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{shown}: {} ({})", errors.trim(), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
