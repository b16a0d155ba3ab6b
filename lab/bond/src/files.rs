//! What is sent: files of pseudo-random bytes whose SHA-256 is known.
//!
//! Decides their contents (by seed and length alone). Nothing in them can be compressed or guessed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;

/// The file that says that a folder is ours to remove.
const MARK: &str = ".tq-bond-files";

/// Digests bytes.
pub struct Digest(digest::Context);

impl Default for Digest {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Digest {
    /// Takes more in.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// In hexadecimal.
    pub fn hex(self) -> String {
        self.0.finish().as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its name in the folder that is served.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// A folder of payloads, gone with its owner.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it. What a killed run has left in it goes; one that is not ours is refused.
    pub fn make(path: &Path) -> Result<Self> {
        let shown = path.display();
        if path.join(MARK).is_file() {
            fs::remove_dir_all(path).with_context(|| format!("cannot empty {shown}"))?;
        }
        fs::create_dir_all(path).with_context(|| format!("cannot make {shown}"))?;
        let empty = fs::read_dir(path)?.next().is_none();
        ensure!(
            empty,
            "{shown} has files in it that are not ours: name a folder that may be removed at the end"
        );
        fs::write(path.join(MARK), "removed by tq-bond-lab at its end\n")?;
        Ok(Self { path: path.canonicalize()? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of `size` bytes, rounded up to eight.
    pub fn payload(&self, name: &str, size: u64, seed: u64) -> Result<Payload> {
        let path = self.path.join(name);
        let size = size.div_ceil(8) * 8;
        let write = || -> Result<String> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            let (mut word, mut sum) =
                (0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(2).wrapping_add(1), Digest::default());
            let mut chunk = Vec::with_capacity(64 << 10);
            let mut left = size;
            while left > 0 {
                chunk.clear();
                while chunk.len() < 64 << 10 && (chunk.len() as u64) < left {
                    // xorshift64: any generator without short cycles will do.
                    word ^= word << 13;
                    word ^= word >> 7;
                    word ^= word << 17;
                    chunk.extend_from_slice(&word.to_le_bytes());
                }
                sum.add(&chunk);
                file.write_all(&chunk)?;
                left -= chunk.len() as u64;
            }
            file.flush()?;
            Ok(sum.hex())
        };
        let sha256 = write().with_context(|| {
            format!("cannot write {} MB to {}: is there room?", size / 1_000_000, path.display())
        })?;
        Ok(Payload { name: name.to_owned(), size, sha256 })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests;
