//! Arrows only point down: a package's folder is its layer, and what it needs lies below or beside it.
//! Dev-dependencies may point anywhere, since nothing that is shipped follows them.

use std::path::Path;

use super::Problems;
use crate::metadata::{Metadata, Package};

#[cfg(test)]
mod tests;

/// From the bottom up. Who may use everything stands last, and nobody may use them.
const LAYERS: [&str; 9] = [
    "crates/base",
    "crates/policy",
    "crates/core",
    "crates/host",
    "crates/api",
    "crates/product",
    "apps",
    "lab",
    "xtask",
];

/// The layer of a folder relative to the workspace's root.
pub(super) fn layer(folder: &Path) -> Option<usize> {
    LAYERS.iter().position(|layer| folder.starts_with(layer))
}

pub(super) fn check(metadata: &Metadata) -> Problems {
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let Some(folder) = metadata.folder(package).filter(|_| package.source.is_none()) else { continue };
        let Some(own) = layer(folder) else {
            problems.push(format!(
                "{}/Cargo.toml: {} lies in no layer: move it below one of {}",
                folder.display(),
                package.name,
                LAYERS.join(", ")
            ));
            continue;
        };
        for used in needs(metadata, package) {
            let Some(below) = metadata.folder(used).and_then(layer) else { continue };
            if below > own {
                problems.push(format!(
                    "{}/Cargo.toml: {} ({}) uses {} ({}), which is above it: turn the arrow round, or hand the thing in",
                    folder.display(),
                    package.name,
                    LAYERS[own],
                    used.name,
                    LAYERS[below]
                ));
            }
        }
        if let Some(cycle) = cycle(metadata, package) {
            problems.push(format!(
                "{}/Cargo.toml: {cycle} is a cycle: move what both need below them",
                folder.display()
            ));
        }
    }
    problems
}

/// The workspace packages that `package` needs in order to be built, dev-dependencies left out.
fn needs<'a>(metadata: &'a Metadata, package: &'a Package) -> impl Iterator<Item = &'a Package> {
    let folders = package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev"));
    let folders = folders.filter_map(|d| d.path.as_deref().map(|path| (d.name.as_str(), path)));
    folders.filter_map(|(name, path)| {
        metadata.packages.iter().find(|p| p.name == name && p.manifest_path.parent() == Some(path))
    })
}

/// A way from `start` back to itself, if `start` is the first name on it (so that each cycle is told once).
fn cycle(metadata: &Metadata, start: &Package) -> Option<String> {
    fn walk<'a>(metadata: &'a Metadata, start: &str, at: &'a Package, way: &mut Vec<&'a str>) -> bool {
        way.push(&at.name);
        for next in needs(metadata, at) {
            if next.name == start {
                return true;
            }
            let fresh = !way.contains(&next.name.as_str()) && next.name.as_str() > start;
            if fresh && walk(metadata, start, next, way) {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut way = Vec::new();
    walk(metadata, &start.name, start, &mut way).then(|| format!("{} -> {}", way.join(" -> "), start.name))
}
