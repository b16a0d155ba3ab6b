//! Files with secrets: written whole or not at all, readable by their owner only, refused otherwise.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tq_tls::RawIdentity;

use crate::FileError;

/// Largest file read.
const LIMIT: u64 = 64 * 1024;

pub(crate) fn failed(file: &Path) -> impl Fn(io::Error) -> FileError + '_ {
    move |cause| FileError::Io { file: file.into(), cause }
}

/// Makes a folder for secrets, and those above it, if it is not there. One that is stays as it is.
///
/// # Errors
/// It cannot be made.
pub fn private_dir(dir: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(failed(dir))
}

/// Reads a file of at most 64 KiB that only its owner may read.
///
/// # Errors
/// It cannot be read, is too long, or others may read it.
pub fn read_secret(file: &Path) -> Result<String, FileError> {
    let open = private(file)?;
    let mut text = String::new();
    open.take(LIMIT + 1).read_to_string(&mut text).map_err(failed(file))?;
    if text.len() as u64 > LIMIT {
        return Err(FileError::Contents {
            file: file.into(),
            why: "too long for what it should hold".into(),
        });
    }
    Ok(text)
}

/// Opens a file that only its owner may read.
fn private(file: &Path) -> Result<fs::File, FileError> {
    let open = fs::File::open(file).map_err(failed(file))?;
    // Asked of the open file, so that it cannot be another one.
    let mode = open.metadata().map_err(failed(file))?.mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(open),
        _ => Err(FileError::TooOpen { file: file.into(), mode }),
    }
}

/// Refuses a file that others may read.
pub(crate) fn check_private(file: &Path) -> Result<(), FileError> {
    private(file).map(drop)
}

/// Writes a file with mode 0600, in place of one that is there: after a crash there is the old one or the new one.
///
/// # Errors
/// It cannot be written.
pub fn write_secret(file: &Path, text: &str) -> Result<(), FileError> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside: PathBuf = file.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&beside)(error)),
        _ => {}
    }
    let mut open =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed(&beside))?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(failed(&beside))?;
    fs::rename(&beside, file).map_err(failed(file))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

/// The Ed25519 key in a PEM file, which is made with a new one if it is not there.
///
/// # Errors
/// It can neither be read nor written, others may read it, or it holds something else.
pub fn key_file(file: &Path) -> Result<RawIdentity, FileError> {
    match read_secret(file) {
        Ok(_) => RawIdentity::load(file)
            .map_err(|error| FileError::Contents { file: file.into(), why: error.to_string() }),
        Err(FileError::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            let key = RawIdentity::generate();
            write_secret(file, &key.to_pem())?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod tests;
