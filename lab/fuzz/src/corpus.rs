//! Where inputs live: `testdata/corpora/TARGET/NAME`. Reads and writes them; knows nothing of what they mean.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder of a target.
pub fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/corpora").join(target)
}

/// All inputs of a target, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn load(target: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = folder(target);
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        inputs.push((name, fs::read(&path)?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Adds an input; the name ends in a hash of its bytes.
///
/// # Errors
/// It cannot be written.
pub fn save(target: &str, kind: &str, input: &[u8]) -> Result<PathBuf> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    // FNV-1a: names need not be secret, only the same on every machine
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let path = folder.join(format!("{kind}-{hash:016x}"));
    fs::write(&path, input)?;
    Ok(path)
}
