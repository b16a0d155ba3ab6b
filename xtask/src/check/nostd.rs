//! Crates below the hosts must build for a machine without an operating system.
//! The proof is the bare-metal target; where it cannot be had, a generated static library with its own panic
//! handler stands in: `std` anywhere below it brings a second handler, and the build fails.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Problems;
use crate::metadata::{Metadata, Package};
use crate::run::{self, say};

const TARGET: &str = "x86_64-unknown-none";
const FOLDERS: [&str; 3] = ["crates/base", "crates/policy", "crates/core"];

pub(super) fn check(metadata: &Metadata) -> Result<Problems> {
    let bare: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|p| p.source.is_none())
        .filter(|p| metadata.folder(p).is_some_and(|f| FOLDERS.iter().any(|folder| f.starts_with(folder))))
        .collect();
    if has_target()? {
        return build(&bare);
    }
    println!("{TARGET} cannot be installed here: linking a stand-in for this machine instead");
    stand_in(&bare)
}

/// Whether the bare-metal target is there, after trying to get it.
fn has_target() -> Result<bool> {
    let sysroot = run::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(true);
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]).current_dir(run::root());
    say(&run::shown(&add));
    Ok(run::quietly(&mut add))
}

/// One by one, so that each is built with its own features only.
fn build(bare: &[&Package]) -> Result<Problems> {
    let mut problems = Problems::new();
    for package in bare {
        let mut command = run::cargo("build");
        command.args(["--quiet", "--target", TARGET, "--package", &package.name]);
        if !run::succeeds(&mut command)? {
            let name = &package.name;
            problems.push(format!("{name} does not build for {TARGET}: find what brings in `std`, above"));
        }
    }
    Ok(problems)
}

fn stand_in(bare: &[&Package]) -> Result<Problems> {
    let folder = run::target_dir().join("nostd");
    fs::create_dir_all(folder.join("src")).with_context(|| format!("cannot create {}", folder.display()))?;
    let (manifest, source) = stand_in_files(bare);
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), source)?;
    fs::copy(run::root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&folder).args(["build", "--quiet"]);
    let fine = run::succeeds(&mut command)?;
    let problem = "a crate below the hosts brings in `std`: see above which";
    Ok(if fine { vec![] } else { vec![problem.to_owned()] })
}

/// Manifest and source of a library that uses every bare crate and brings panic handler and allocator.
fn stand_in_files(bare: &[&Package]) -> (String, String) {
    let mut manifest = "[workspace]\n[package]\nname = \"nostd\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
        [lib]\ncrate-type = [\"staticlib\"]\n[profile.dev]\npanic = \"abort\"\n[dependencies]\n"
        .to_owned();
    let mut source = "#![no_std]\n".to_owned();
    for package in bare {
        let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
        // Writing to a String cannot fail.
        let _ = writeln!(manifest, "{} = {{ path = {:?} }}", package.name, folder);
        let _ = writeln!(source, "extern crate {} as _;", package.name.replace('-', "_"));
    }
    source.push_str(
        "use core::alloc::{GlobalAlloc, Layout};\nstruct None_;\n\
         unsafe impl GlobalAlloc for None_ {\n\
         unsafe fn alloc(&self, _: Layout) -> *mut u8 { core::ptr::null_mut() }\n\
         unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}\n}\n\
         #[global_allocator]\nstatic HEAP: None_ = None_;\n\
         #[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n",
    );
    (manifest, source)
}
