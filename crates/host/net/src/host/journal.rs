//! How to undo what was changed, in a file that outlives the process.
//!
//! A line is there, whole, before its change is made; the file is empty when nothing is changed. Whoever has it locked
//! is the instance. Lines that are cut or not ours are left out: their change was never made.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SetupError;
use super::step::Undo;

#[cfg(test)]
mod tests;

/// The first line. Another number means that this program cannot undo what another version did.
const TITLE: &str = "tquic journal 1";

/// Attempts to lock it, and the time between two.
const TRIES: u32 = 10;
const BREATH: Duration = Duration::from_millis(20);

/// The journal, locked.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    detached: bool,
}

impl Journal {
    /// Opens or makes it.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, SetupError> {
        let path = folder.join(name);
        let failed = |error| SetupError::system(format!("write the journal {}", path.display()), error);
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&path).map_err(failed)?;
        match lock(&file) {
            Ok(()) => Ok(Self { file, path, detached: false }),
            Err(TryLockError::WouldBlock) => {
                let index = name.split('-').nth(1).unwrap_or_default().to_owned();
                Err(SetupError::InUse { index, path })
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn failed(&self, error: io::Error) -> SetupError {
        SetupError::system(format!("write the journal {}", self.path.display()), error)
    }

    /// What is to be undone, oldest first.
    pub(super) fn entries(&mut self) -> Result<Vec<Undo>, SetupError> {
        if self.detached {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        let read = self.file.rewind().and_then(|()| self.file.read_to_end(&mut text));
        read.map_err(|error| self.failed(error))?;
        let text = String::from_utf8_lossy(&text);
        // What follows the last end of a line was cut.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut lines = whole.lines();
        match lines.next() {
            None | Some(TITLE) => Ok(lines.filter_map(|line| line.parse().ok()).collect()),
            Some(other) => {
                let message =
                    format!("it begins with {other:?}, not {TITLE:?}: remove it after looking at it");
                Err(self.failed(io::Error::new(io::ErrorKind::InvalidData, message)))
            }
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self, undo: &Undo) -> Result<(), SetupError> {
        let empty = self.file.metadata().map_err(|error| self.failed(error))?.len() == 0;
        let line = if empty { format!("{TITLE}\n{undo}\n") } else { format!("{undo}\n") };
        self.file.write_all(line.as_bytes()).map_err(|error| self.failed(error))
    }

    /// Nothing is to be undone any more.
    pub(super) fn clear(&mut self) -> Result<(), SetupError> {
        if self.detached {
            return Ok(());
        }
        self.file.set_len(0).map_err(|error| self.failed(error))
    }

    /// Lets go of the file as it is.
    #[cfg(test)]
    pub(super) fn detach(&mut self) {
        self.detached = true;
    }
}

/// Locks a file. A program that the last holder was about to start may hold it for a moment longer than that one.
fn lock(file: &File) -> Result<(), TryLockError> {
    let mut tries = 1;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries < TRIES => tries += 1,
            result => return result,
        }
        std::thread::sleep(BREATH);
    }
}
