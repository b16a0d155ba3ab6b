//! What is remembered between commands: a folder per lab below `/run/tqlab`.
//!
//! Decides where it is and who may write there. Knows no network.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::names::LabName;
use crate::process::Known;

/// What is known of a lab that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The scenario's file, absolute.
    pub file: PathBuf,
    /// The seed its links were made from.
    pub seed: u64,
    /// The emulator.
    pub emulator: Option<Known>,
}

/// A lab's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Where the folders of all labs are: `/run/tqlab`, or below `$XDG_RUNTIME_DIR` where `/run` is not ours.
    pub fn parent() -> PathBuf {
        let run = Path::new("/run");
        let own = fs::metadata("/proc/self").map_or(0, |data| data.uid());
        match (fs::metadata(run).is_ok_and(|data| data.uid() == own), std::env::var_os("XDG_RUNTIME_DIR")) {
            (false, Some(folder)) => PathBuf::from(folder).join("tqlab"),
            _ => run.join("tqlab"),
        }
    }

    /// That of a lab, whether it is there or not.
    pub fn of(lab: &LabName) -> Self {
        Self(Self::parent().join(lab.as_str()))
    }

    /// Makes it; the parent must be ours and nobody else's to write.
    pub fn make(&self) -> Result<()> {
        let parent = Self::parent();
        let make = |path: &Path| match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        for path in [parent.as_path(), &self.0] {
            make(path).with_context(|| format!("cannot make {}", path.display()))?;
            let data = fs::symlink_metadata(path)?;
            let own = fs::metadata("/proc/self")?.uid();
            let sound = data.is_dir() && data.uid() == own && data.mode() & 0o022 == 0;
            ensure!(sound, "{} is not a folder that only we can write to: nothing is done", path.display());
        }
        Ok(())
    }

    /// What is remembered, if the lab was brought up.
    pub fn load(&self) -> Result<Option<State>> {
        let path = self.0.join("lab.json");
        match fs::read(&path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).with_context(|| path.display().to_string())?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Remembers.
    pub fn save(&self, state: &State) -> Result<()> {
        let path = self.0.join("lab.json");
        fs::write(&path, serde_json::to_vec(state)?).with_context(|| path.display().to_string())
    }

    /// The emulator's socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join("control")
    }

    /// What the emulator has to say.
    pub fn log(&self) -> PathBuf {
        self.0.join("emulator.log")
    }

    /// Forgets. Whether there was anything.
    pub fn remove(&self) -> Result<bool> {
        let mut found = false;
        for path in [self.0.join("lab.json"), self.socket(), self.log()] {
            found |= removed(fs::remove_file(&path)).with_context(|| path.display().to_string())?;
        }
        found |= removed(fs::remove_dir(&self.0)).with_context(|| self.0.display().to_string())?;
        // Other labs may be up.
        let _ = fs::remove_dir(Self::parent());
        Ok(found)
    }

    /// The labs that have a folder.
    pub fn all() -> Vec<LabName> {
        let Ok(entries) = fs::read_dir(Self::parent()) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        names.collect()
    }
}

fn removed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
