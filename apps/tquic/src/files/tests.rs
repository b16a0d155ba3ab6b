use std::fs;

use super::*;

/// A directory with a file, a folder, and a link that leads out.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let base = std::env::temp_dir().join(format!("tquic-files-{name}-{}", std::process::id()));
        let root = base.join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(base.join("secret"), "x").unwrap();
        fs::write(root.join("file"), "x").unwrap();
        fs::write(root.join("folder/inner"), "x").unwrap();
        std::os::unix::fs::symlink(base.join("secret"), root.join("out")).unwrap();
        std::os::unix::fs::symlink("file", root.join("within")).unwrap();
        Self(base)
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn names_lead_to_files_below_the_root() {
    let tree = Tree::new("below");
    for name in ["file", "folder/inner", "within"] {
        assert!(resolve(&tree.root(), name.as_bytes()).is_ok(), "{name}");
    }
}

#[test]
fn no_name_leads_out_of_the_root() {
    let tree = Tree::new("out");
    let secret = tree.0.join("secret");
    let names = [
        "../secret",
        "folder/../../secret",
        "out",
        "/etc/passwd",
        secret.to_str().unwrap(),
        "",
        ".",
        "folder",
    ];
    for name in names {
        let reason = resolve(&tree.root(), name.as_bytes()).unwrap_err();
        assert_eq!(reason, format!("no file {name:?} here"), "no reason tells what exists");
    }
    assert!(resolve(&tree.root(), b"\xff").is_err());
    assert!(resolve(&tree.root(), b"file\0").is_err());
}
