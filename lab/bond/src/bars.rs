//! What a bond promises, bar by bar.

use std::path::PathBuf;

use anyhow::Result;

/// The lab it raises.
pub const LAB: &str = "bars";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only those.
    pub only: Vec<String>,
    /// Small and loose.
    pub quick: bool,
    /// MB.
    pub size: Option<u64>,
    /// JSON.
    pub report: Option<PathBuf>,
    /// Folder.
    pub files: PathBuf,
    /// Programs.
    pub tools: crate::lab::Tools,
    /// Rates.
    pub rates: Option<[f64; 3]>,
}

/// All.
pub fn run(_: &Options) -> Result<u8> {
    Ok(0)
}
