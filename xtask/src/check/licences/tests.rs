//! Licences and sources of made-up packages.

use std::path::PathBuf;

use super::{REGISTRY, check};
use crate::metadata::{Metadata, Package};

fn problems(license: Option<&str>, source: Option<&str>, manifest: &str) -> Vec<String> {
    let package = Package {
        name: "thing".to_owned(),
        version: "1.2.3".to_owned(),
        license: license.map(str::to_owned),
        source: source.map(str::to_owned),
        manifest_path: PathBuf::from(manifest),
        dependencies: Vec::new(),
    };
    check(&Metadata { packages: vec![package], workspace_root: PathBuf::from("/repo") })
}

#[test]
fn an_accepted_licence_from_the_registry_is_fine() {
    for licence in
        ["MIT OR Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
    {
        assert_eq!(problems(Some(licence), Some(REGISTRY), "/elsewhere/Cargo.toml"), Vec::<String>::new());
    }
}

#[test]
fn other_licences_and_none_are_named() {
    let odd = problems(Some("MPL-2.0"), Some(REGISTRY), "/elsewhere/Cargo.toml");
    assert!(odd[0].starts_with("Cargo.lock: thing 1.2.3 is under `MPL-2.0`"), "{}", odd[0]);
    let none = problems(None, Some(REGISTRY), "/elsewhere/Cargo.toml");
    assert!(none[0].starts_with("Cargo.lock: thing 1.2.3 names no licence"), "{}", none[0]);
    let broken = problems(Some("MIT OR"), Some(REGISTRY), "/elsewhere/Cargo.toml");
    assert!(broken[0].contains("cannot be read, it ends too early"), "{}", broken[0]);
}

#[test]
fn git_and_folders_outside_are_refused() {
    let git = problems(Some("MIT"), Some("git+https://example.org/thing#0123"), "/elsewhere/Cargo.toml");
    assert!(git[0].contains("comes from git+"), "{}", git[0]);
    let folder = problems(Some("MIT"), None, "/elsewhere/Cargo.toml");
    assert!(folder[0].contains("outside the workspace"), "{}", folder[0]);
    assert_eq!(problems(Some("MIT"), None, "/repo/crates/thing/Cargo.toml"), Vec::<String>::new());
}
