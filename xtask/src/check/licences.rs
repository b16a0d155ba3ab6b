//! Every package of the graph may be shipped under our terms, and comes from where it should.
//! The graph is that of all platforms; what is only built for another one is held to the same rule.

use super::{Problems, spdx};
use crate::metadata::{Metadata, Package};

#[cfg(test)]
mod tests;

/// Licences that ask for nothing but notice.
const ALLOWED: [&str; 11] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "MIT-0",
    "Unlicense",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
];

/// Exceptions that only add rights.
const EXCEPTIONS: [&str; 1] = ["LLVM-exception"];

/// The one registry, as Cargo.lock spells it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(metadata: &Metadata) -> Problems {
    metadata
        .packages
        .iter()
        .flat_map(|package| [licence(package), source(metadata, package)])
        .flatten()
        .map(|problem| format!("Cargo.lock: {problem}"))
        .collect()
}

fn accept(licence: &str, exception: Option<&str>) -> bool {
    ALLOWED.contains(&licence) && exception.is_none_or(|exception| EXCEPTIONS.contains(&exception))
}

fn licence(package: &Package) -> Option<String> {
    let Package { name, version, license, .. } = package;
    let Some(expression) = license else {
        return Some(format!("{name} {version} names no licence: do without it"));
    };
    match spdx::satisfied(expression, &accept) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "{name} {version} is under `{expression}`: do without it, or have the list in xtask extended"
        )),
        Err(error) => {
            Some(format!("{name} {version}: `{expression}` cannot be read, {error}: do without it"))
        }
    }
}

fn source(metadata: &Metadata, package: &Package) -> Option<String> {
    let Package { name, version, source, .. } = package;
    match source.as_deref() {
        Some(REGISTRY) => None,
        Some(other) => Some(format!("{name} {version} comes from {other}: take a release from the registry")),
        None if metadata.folder(package).is_some() => None,
        None => Some(format!(
            "{name} {version} is a folder outside the workspace ({}): take a release from the registry",
            package.manifest_path.display()
        )),
    }
}
