//! A configuration that cannot be: which file, which line, which key, and what it may say.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; none if it is about the whole.
    pub line: Option<usize>,
    /// The key that stands there.
    pub key: Option<String>,
    /// What is wrong, and what may stand there.
    pub why: String,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::whole(file, format!("cannot be read: {error}"))
    }

    pub(super) fn whole(file: &Path, why: String) -> Self {
        Self { file: file.into(), line: None, key: None, why }
    }

    pub(super) fn of(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map(|span| span.start.min(text.len()));
        let line = start.map(|start| text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count());
        Self {
            file: file.into(),
            line: line.map(|line| line + 1),
            key: line.and_then(|line| key(text, line)),
            why: error.message().trim_end().replace("unknown field", "unknown key").replace('\n', "; "),
        }
    }
}

/// The key or the section's name in line `line`, counted from 0, or in the nearest line above that has one.
fn key(text: &str, line: usize) -> Option<String> {
    let lines: Vec<_> = text.lines().collect();
    let named = |line: &&str| {
        let line = line.trim();
        let before = line.split_once('=').map(|(key, _)| key.trim());
        let word = |key: &&str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"".contains(c));
        let section = line.starts_with('[') && line.ends_with(']') && !line.contains(['"', ',']);
        before.filter(word).map(str::to_owned).or_else(|| section.then(|| line.to_owned()))
    };
    lines.iter().take(line + 1).rev().find_map(named)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for ConfigError {}
