//! `list`: what there is to run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only files whose path contains this.
    filter: Option<String>,
    /// Where scenarios are; lab/scenarios if left out.
    #[arg(long)]
    scenarios: Option<PathBuf>,
}

/// All scenario files below a folder, in order.
pub(super) fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    Ok(())
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let folder = super::folder(args.scenarios.as_deref());
    let mut found = Vec::new();
    files(&folder, &mut found)?;
    let mut sound = true;
    for path in found {
        let name = path.display().to_string();
        if args.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        match tq_scenario::load(&path) {
            Ok(scenario) => println!("{name:50}  {} link(s)  {}", scenario.links.len(), scenario.about),
            Err(errors) => {
                eprintln!("{errors}");
                sound = false;
            }
        }
    }
    Ok(sound)
}
