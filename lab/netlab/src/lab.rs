//! A lab's life: up, changed, down.
//!
//! Decides in which order things are made and undone, and when nothing may be done at all: without root, without the
//! tools, or where something that is not ours would be touched.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tq_scenario::Scenario;
use tq_udp::Clock;

use crate::control::{self, Request};
use crate::names::{self, Host, LabName};
use crate::process::Known;
use crate::state::{Folder, State};
use crate::topology;

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    /// Its name.
    pub name: LabName,
    /// What it was made from.
    pub scenario: Scenario,
    /// The seed its links were made from.
    pub seed: u64,
    /// Where it is remembered.
    pub folder: Folder,
}

/// Refuses what cannot work, saying what is missing.
pub fn may() -> Result<()> {
    let root = fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0);
    ensure!(
        root,
        "a lab needs root, for namespaces and packet sockets: run this as root (`sudo tq-netlab …`)"
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lacks = lacking(&status);
    ensure!(
        lacks.is_empty(),
        "root has no {} here, as in most containers: no lab of namespaces can be made",
        lacks.join(", ")
    );
    let missing = !finds("ip");
    ensure!(!missing, "`ip` is missing: apt-get install --yes --no-install-recommends iproute2");
    Ok(())
}

/// What a lab needs of capabilities and a process with this `status` of `/proc` has not.
fn lacking(status: &str) -> Vec<&'static str> {
    const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (21, "CAP_SYS_ADMIN")];
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    // Where the kernel does not tell, what fails says so.
    let Some(has) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Vec::new();
    };
    NEEDED.iter().filter(|(bit, _)| has & (1 << bit) == 0).map(|(_, name)| *name).collect()
}

/// Whether a program is in the path.
pub fn finds(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

impl Lab {
    /// Makes a lab from a scenario's file.
    pub fn up(name: &LabName, file: &Path, seed: Option<u64>) -> Result<Self> {
        may()?;
        let scenario = tq_scenario::load(file)?;
        let links = scenario.links.len();
        ensure!(
            links <= names::MOST_LINKS,
            "{} has {links} links; a lab at most {}",
            file.display(),
            names::MOST_LINKS
        );
        let file = file.canonicalize().with_context(|| file.display().to_string())?;
        let folder = Folder::of(name);
        ensure!(
            folder.load()?.is_none() && topology::existing(name).is_empty(),
            "lab {name:?} is up, or was left by a crash: `tq-netlab down --lab {name}` first, or choose another name",
            name = name.as_str()
        );
        folder.make()?;
        let seed = seed.unwrap_or(scenario.seed);
        let mut state = State { file: file.clone(), seed, emulator: None };
        folder.save(&state)?;
        let lab = Self { name: name.clone(), scenario, seed, folder };
        let made = topology::make(name, links).and_then(|()| {
            state.emulator = Some(lab.start_emulator(&file)?);
            lab.folder.save(&state)?;
            lab.await_emulator(state.emulator)
        });
        if let Err(error) = made {
            // What could not be undone is told by the next `down`.
            let _ = down(name);
            return Err(error);
        }
        Ok(lab)
    }

    /// The lab of that name, which is up.
    pub fn open(name: &LabName) -> Result<Self> {
        may()?;
        let folder = Folder::of(name);
        let Some(state) = folder.load()? else {
            bail!("lab {:?} is not up: `tq-netlab up FILE`", name.as_str())
        };
        let scenario = tq_scenario::load(&state.file)?;
        Ok(Self { name: name.clone(), scenario, seed: state.seed, folder })
    }

    fn start_emulator(&self, file: &Path) -> Result<Known> {
        let log = File::create(self.folder.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["emulate", "--lab", self.name.as_str(), "--seed", &self.seed.to_string()]).arg(file);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().context("cannot start the emulator")?;
        Known::of(child.id()).context("the emulator ended at once")
    }

    fn await_emulator(&self, emulator: Option<Known>) -> Result<()> {
        for _ in 0..250 {
            if control::books(&self.folder).is_ok() {
                return Ok(());
            }
            if !emulator.is_some_and(Known::lives) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!(
            "the emulator did not start: {}",
            fs::read_to_string(self.folder.log()).unwrap_or_default().trim()
        );
    }

    /// Begins anew in a moment: that is the moment zero (on [`Clock`]) of all links and, if wanted, events.
    pub fn start(&self, seed: u64, events: bool) -> Result<tq_linkmodel::Instant> {
        let at = Clock::now() + Duration::from_millis(50);
        control::ask(&self.folder, &Request::Start { at: at.as_nanos(), seed: Some(seed), events })?;
        Ok(at)
    }

    /// Replaces this process by a command in one of the hosts.
    pub fn exec(name: &LabName, host: Host, words: &[String]) -> Result<()> {
        Self::open(name)?;
        topology::namespace(name, host)?;
        let error = Command::new("ip").args(["netns", "exec", &name.namespace(host)]).args(words).exec();
        Err(error).context("cannot start ip")
    }
}

/// Removes a lab, whatever is left of it. Whether there was anything.
pub fn down(name: &LabName) -> Result<bool> {
    may()?;
    let folder = Folder::of(name);
    // What is unreadable is forgotten like the rest.
    let state = folder.load().unwrap_or_default();
    if let Some(emulator) = state.and_then(|state| state.emulator) {
        if emulator.lives() {
            // If it does not listen it is ended below.
            let _ = control::ask(&folder, &Request::Stop);
        }
        for _ in 0..25 {
            if !emulator.lives() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        emulator.end();
    }
    let found = topology::remove(name)?;
    Ok(folder.remove()? || found)
}

#[cfg(test)]
mod tests;
