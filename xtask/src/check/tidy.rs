//! House rules that a machine can see, over every Rust file of the tree.
//! It decides by folder which rules hold for a file; what counts as code is [`source`]'s business.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Problems;
use super::source::{self, Line};

#[cfg(test)]
mod tests;

const LONGEST: usize = 600;
/// Where code knows no operating system.
const BARE: [&str; 3] = ["crates/base", "crates/policy", "crates/core"];
/// Where `unsafe` may be needed.
const UNSAFE: [&str; 3] = ["crates/host", "crates/base/buf", "lab/peers"];
/// Code lines that may lie between a `SAFETY:` comment and what it speaks of.
const NEAR: usize = 3;

/// A file, its path relative to the root.
pub(super) struct SourceFile {
    path: String,
    text: String,
}

impl SourceFile {
    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

pub(super) fn check(root: &Path) -> Result<Problems> {
    Ok(check_files(&files(root)?))
}

/// Every Rust file of the tree, by path.
pub(super) fn files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Every Rust file below `folder`, build output and hidden folders left out.
fn collect(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            collect(root, &path, files)?;
        } else if path.is_file() && path.extension().is_some_and(|e| e == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

fn check_files(files: &[SourceFile]) -> Problems {
    let lines: Vec<Vec<Line>> = files.iter().map(|file| source::lines(&file.text)).collect();
    let tests: BTreeSet<PathBuf> =
        files.iter().zip(&lines).flat_map(|(file, lines)| test_modules(&file.path, lines)).collect();
    files.iter().zip(&lines).flat_map(|(file, lines)| check_file(file, lines, &tests)).collect()
}

/// Files and folders that hold modules declared `#[cfg(test)] mod x;` in `path`.
fn test_modules(path: &str, lines: &[Line]) -> Vec<PathBuf> {
    let path = Path::new(path);
    let inner = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") => path.parent().unwrap_or(path).to_path_buf(),
        _ => path.with_extension(""),
    };
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let Some((_, name)) = line.code.split_once("mod ").filter(|_| line.has_word("mod")) else { continue };
        let Some(name) = name.trim_end().strip_suffix(';').filter(|_| only_in_tests(lines, i)) else {
            continue;
        };
        found.push(inner.join(name));
        found.push(inner.join(format!("{name}.rs")));
    }
    found
}

/// Whether line `i` or an attribute right above it says `cfg(test)`.
fn only_in_tests(lines: &[Line], i: usize) -> bool {
    let above = lines[..i].iter().rev().map(|line| line.code.trim()).filter(|code| !code.is_empty());
    above
        .take_while(|code| code.starts_with("#["))
        .chain([lines[i].code.trim()])
        .any(|c| c.contains("cfg(test)"))
}

fn in_folder(path: &Path, name: &str) -> bool {
    path.parent().is_some_and(|parent| parent.components().any(|c| c.as_os_str() == name))
}

fn is_test(path: &Path, tests: &BTreeSet<PathBuf>) -> bool {
    in_folder(path, "tests")
        || in_folder(path, "benches")
        || path.ancestors().any(|ancestor| tests.contains(ancestor))
}

fn check_file(file: &SourceFile, lines: &[Line], tests: &BTreeSet<PathBuf>) -> Problems {
    let path = Path::new(&file.path);
    let mut report = Report { path: &file.path, problems: Vec::new() };
    if lines.len() > LONGEST {
        report.at(
            LONGEST,
            "longer than 600 lines",
            "find the second job in it and give that a file of its own",
        );
    }
    let in_tests = is_test(path, tests);
    if path.components().any(|c| c.as_os_str() == "src") && !in_tests && !file.text.starts_with("//!") {
        report.at(0, "does not begin with `//!`", "say in 3-10 lines what it decides and what it never does");
    }
    let bare = BARE.iter().any(|folder| path.starts_with(folder));
    let heap = path.starts_with("crates/base") && path.ends_with("src/mem.rs");
    let bare = bare && !in_tests;
    // Only an integration test can put a counting allocator under a crate, and there is no safe one.
    let may_unsafe = UNSAFE.iter().any(|folder| path.starts_with(folder)) || in_folder(path, "tests");
    let rules = Rules { bare, heap: !bare || heap, may_unsafe };
    for (i, raw) in file.text.lines().enumerate() {
        check_blanks(raw, i, &mut report);
        check_leftovers(&lines[i], i, &mut report);
        rules.check(lines, i, &mut report);
    }
    report.problems
}

struct Report<'a> {
    path: &'a str,
    problems: Problems,
}

impl Report<'_> {
    /// `line` counts from 0.
    fn at(&mut self, line: usize, what: &str, remedy: &str) {
        self.problems.push(format!("{}:{}: {what}: {remedy}", self.path, line + 1));
    }
}

fn check_blanks(raw: &str, i: usize, report: &mut Report<'_>) {
    if raw.contains('\t') {
        report.at(i, "a tab", "indent with spaces, write \\t in text");
    }
    if raw.ends_with([' ', '\t']) {
        report.at(i, "trailing blanks", "remove them");
    }
}

fn check_leftovers(line: &Line, i: usize, report: &mut Report<'_>) {
    for name in ["todo", "unimplemented"] {
        if line.has_word(name) && line.code.contains(&format!("{name}!")) {
            report.at(i, &format!("`{name}!`"), "finish it, or take the way to it out");
        }
    }
    if line.has_word("dbg") && line.code.contains("dbg!") {
        report.at(i, "`dbg!`", "remove it");
    }
    if line.code.replace(' ', "").contains("#[ignore") {
        report.at(i, "an ignored test", "make it pass, or delete it");
    }
    if ["FIX", "XX"].iter().zip(["ME", "X"]).any(|(a, b)| line.comment.contains(&format!("{a}{b}"))) {
        report.at(i, "a note to oneself", "do it, or write down in docs what is weak");
    }
}

/// What holds for one file.
struct Rules {
    /// No `std`.
    bare: bool,
    /// May name `alloc`.
    heap: bool,
    may_unsafe: bool,
}

impl Rules {
    fn check(&self, lines: &[Line], i: usize, report: &mut Report<'_>) {
        let line = &lines[i];
        let external = |name: &str| line.code.contains("extern crate") && line.has_word(name);
        if !self.heap && (line.has_root("alloc") || external("alloc")) && !only_in_tests(lines, i) {
            report.at(i, "`alloc` named outside base's mem.rs", "take heap types from `tq_buf::mem`");
        }
        if self.bare && (line.has_root("std") || external("std")) && !only_in_tests(lines, i) {
            report.at(i, "`std` in a crate without an operating system", "use `core`, or have it handed in");
        }
        if !line.has_word("unsafe") {
            return;
        }
        if !self.may_unsafe {
            report.at(i, "`unsafe` outside hosts and base/buf", "do it safely, or move it to a host crate");
        } else if needs_reason(&line.code) && !has_reason(lines, i) {
            report.at(
                i,
                "`unsafe` without a reason",
                "say in a `SAFETY:` comment right above why it is sound",
            );
        }
    }
}

/// Whether `unsafe` opens a block or an impl here; a declaration says in its docs what it asks for.
fn needs_reason(code: &str) -> bool {
    code.match_indices("unsafe").any(|(at, word)| {
        let after = code[at + word.len()..].trim_start();
        after.is_empty() || after.starts_with('{') || after.starts_with("impl")
    })
}

/// Whether a comment on the line, or above it with at most a few lines of code between, says `SAFETY:`.
fn has_reason(lines: &[Line], i: usize) -> bool {
    let mut between = 0;
    for line in lines[..=i].iter().rev() {
        if line.comment.contains("SAFETY:") {
            return true;
        }
        if !line.code.trim().is_empty() {
            between += 1;
        }
        if between > NEAR + 1 {
            return false;
        }
    }
    false
}
