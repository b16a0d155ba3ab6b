//! What `serve` and `get` say to each other, and which file a name means.
//!
//! A stream carries the name and its end; back come a status octet, then 8 bytes of size and the file, or the
//! reason why not. A name is relative, and never leads out of the directory, be it by `..` or by a link.

use std::path::{Component, Path, PathBuf};

/// Application protocol.
pub(crate) const ALPN: &str = "tq-files";
/// Longest name, bytes.
pub(crate) const NAME: usize = 4096;
/// Longest reason, bytes.
pub(crate) const REASON: usize = 1024;
/// Status octets.
pub(crate) const OK: u8 = 0;
pub(crate) const NO: u8 = 1;

/// The file `name` means below `root`; the reason is for the client, and the same for what is not there and for
/// what must not be had.
pub(crate) fn resolve(root: &Path, name: &[u8]) -> Result<PathBuf, String> {
    let text = std::str::from_utf8(name).map_err(|_| "the name is not UTF-8".to_owned())?;
    let none = || format!("no file {text:?} here");
    let relative = Path::new(text);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if text.is_empty() || text.contains('\0') || !plain {
        return Err(none());
    }
    let root = root.canonicalize().map_err(|_| none())?;
    let path = root.join(relative).canonicalize().map_err(|_| none())?;
    if path.starts_with(&root) && path.is_file() { Ok(path) } else { Err(none()) }
}

#[cfg(test)]
mod tests;
