//! Files in a folder of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{key_file, private_dir, read_secret, write_secret};
use crate::FileError;

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tq-identity-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        private_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().mode() & 0o777
}

#[test]
fn a_secret_is_for_its_owner_only() {
    let folder = Folder::new();
    let file = folder.file("secret");
    write_secret(&file, "one").unwrap();
    write_secret(&file, "two").unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.0), 0o700);
    assert_eq!(read_secret(&file).unwrap(), "two");
    for open in [0o640, 0o604, 0o666, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(open)).unwrap();
        let error = read_secret(&file).unwrap_err();
        assert!(matches!(error, FileError::TooOpen { mode, .. } if mode == open), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_key_is_made_once_and_stays() {
    let folder = Folder::new();
    let file = folder.file("server.key");
    let key = key_file(&file).unwrap();
    assert_eq!(key_file(&file).unwrap().spki(), key.spki());
    write_secret(&file, "no key").unwrap();
    assert!(matches!(key_file(&file), Err(FileError::Contents { .. })));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(key_file(&file), Err(FileError::TooOpen { .. })));
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = Folder::new();
    let file = folder.file("huge");
    write_secret(&file, &"x".repeat(70_000)).unwrap();
    assert!(matches!(read_secret(&file), Err(FileError::Contents { .. })));
}
