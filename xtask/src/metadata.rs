//! The part of `cargo metadata` that checks look at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run;

/// Every package of the resolved graph.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
}

/// One package, of this workspace or not.
#[derive(Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// `None` for a folder on this machine.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A declared dependency.
#[derive(Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` is a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set when it is a folder.
    pub(crate) path: Option<PathBuf>,
}

impl Metadata {
    pub(crate) fn load() -> Result<Self> {
        let json = run::output(run::cargo("metadata").args(["--format-version", "1"]))?;
        serde_json::from_str(&json).context("cargo metadata is not what it used to be")
    }

    /// The folder of a workspace package, relative to the root.
    pub(crate) fn folder<'a>(&self, package: &'a Package) -> Option<&'a Path> {
        package.manifest_path.parent()?.strip_prefix(&self.workspace_root).ok()
    }
}
