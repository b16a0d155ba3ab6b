//! The layer rule on small made-up workspaces.

use std::path::{Path, PathBuf};

use super::{check, layer};
use crate::metadata::{Dependency, Metadata, Package};

/// A workspace of (folder, [(kind, folder it needs)]); the package's name is its folder's last part.
fn workspace(packages: &[(&str, &[(&str, &str)])]) -> Metadata {
    let root = PathBuf::from("/repo");
    let name = |folder: &str| folder.rsplit('/').next().unwrap().to_owned();
    let package = |(folder, needs): &(&str, &[(&str, &str)])| Package {
        name: name(folder),
        version: "0.1.0".to_owned(),
        license: None,
        source: None,
        manifest_path: root.join(folder).join("Cargo.toml"),
        dependencies: needs
            .iter()
            .map(|(kind, folder)| Dependency {
                name: name(folder),
                kind: (*kind != "normal").then(|| (*kind).to_owned()),
                path: Some(root.join(folder)),
            })
            .collect(),
    };
    Metadata { packages: packages.iter().map(package).collect(), workspace_root: root }
}

#[test]
fn a_folder_decides_the_layer() {
    assert!(layer(Path::new("crates/base/time")) < layer(Path::new("crates/core/quic")));
    assert!(layer(Path::new("crates/product/web")) < layer(Path::new("apps/tquic")));
    assert!(layer(Path::new("apps/tquic")) < layer(Path::new("lab/bench")));
    assert_eq!(layer(Path::new("xtask")), Some(8));
    assert_eq!(layer(Path::new("crates/bases/time")), None);
}

#[test]
fn down_and_beside_are_fine() {
    let workspace = workspace(&[
        ("crates/base/time", &[]),
        ("crates/base/wire", &[("normal", "crates/base/time")]),
        ("crates/core/quic", &[("normal", "crates/base/wire"), ("build", "crates/base/time")]),
        ("xtask", &[("normal", "crates/core/quic")]),
    ]);
    assert_eq!(check(&workspace), Vec::<String>::new());
}

#[test]
fn an_arrow_up_is_named_with_both_ends() {
    for kind in ["normal", "build"] {
        let workspace =
            workspace(&[("crates/base/time", &[(kind, "crates/host/udp")]), ("crates/host/udp", &[])]);
        let problems = check(&workspace);
        assert_eq!(problems.len(), 1);
        let start = "crates/base/time/Cargo.toml: time (crates/base) uses udp (crates/host)";
        assert!(problems[0].starts_with(start), "{}", problems[0]);
    }
}

#[test]
fn tests_may_look_up() {
    let workspace = workspace(&[
        ("crates/base/time", &[("dev", "crates/host/udp")]),
        ("crates/host/udp", &[("normal", "crates/base/time")]),
    ]);
    assert_eq!(check(&workspace), Vec::<String>::new());
}

#[test]
fn nobody_ships_the_lab() {
    let workspace = workspace(&[("apps/tquic", &[("normal", "lab/netlab")]), ("lab/netlab", &[])]);
    assert_eq!(check(&workspace).len(), 1);
}

#[test]
fn a_cycle_within_a_layer_is_told_once() {
    let workspace = workspace(&[
        ("crates/base/a", &[("normal", "crates/base/b")]),
        ("crates/base/b", &[("normal", "crates/base/c")]),
        ("crates/base/c", &[("normal", "crates/base/a")]),
    ]);
    let problems = check(&workspace);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("a -> b -> c -> a"), "{}", problems[0]);
}

#[test]
fn a_package_outside_every_layer_is_told() {
    let problems = check(&workspace(&[("crates/misc", &[])]));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("crates/misc/Cargo.toml: misc lies in no layer"), "{}", problems[0]);
}
