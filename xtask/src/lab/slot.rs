//! Which name a lab gets: the first that no other run on this machine holds, so that two at once never take down each other's
//! namespaces, and what a killed run left behind is found by the next one that gets its name.

use std::env;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Runs at once on a machine; far more than its processors can carry.
const MOST: usize = 32;

/// A lab's name, held until dropped, by whatever end the process comes to.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    _held: File,
}

impl Slot {
    /// The first free name.
    pub(super) fn take() -> Result<Self> {
        Self::take_in(&env::temp_dir())
    }

    fn take_in(folder: &Path) -> Result<Self> {
        for place in 0..MOST {
            let name = format!("xtask{place}");
            let path = folder.join(format!("tq-lab-{name}.lock"));
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.with_context(|| format!("{}: no lock for a lab", path.display()))?;
            match file.try_lock() {
                Ok(()) => return Ok(Self { name, _held: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
                }
            }
        }
        bail!("{MOST} labs are running on this machine already; wait for one of them")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MOST, Slot};

    #[test]
    fn two_at_once_have_names_of_their_own_and_all_taken_is_said() {
        let folder = env_folder();
        let first = Slot::take_in(&folder).unwrap();
        let second = Slot::take_in(&folder).unwrap();
        assert_eq!((first.name.as_str(), second.name.as_str()), ("xtask0", "xtask1"));
        drop(first);
        assert_eq!(Slot::take_in(&folder).unwrap().name, "xtask0", "what was let go is taken again");
        let all: Vec<_> = (1..MOST).map(|_| Slot::take_in(&folder).unwrap()).collect();
        let error = Slot::take_in(&folder).unwrap_err().to_string();
        assert!(error.contains("32 labs are running"), "{error}");
        drop((all, second));
        fs::remove_dir_all(folder).unwrap();
    }

    fn env_folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("tq-slot-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}
