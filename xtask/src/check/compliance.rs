//! Every MUST of the RFCs and of the multipath draft has an owner in the code and a test, or a written exception.
//! `testdata/requirements/rfcNNNN.txt` and `mp21.txt` list them, one a line: section and ordinal among the section's
//! MUSTs, then what is required in our words. A comment `MUST 9000-10.1-1` or `MUST mp21-3.4-2` above or in a function
//! says that it owns the rule; the same in a test says that it proves it. This file joins the two; it does not judge
//! whether they are right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Problems;
use super::source;
use super::tidy::{self, SourceFile};

#[cfg(test)]
mod tests;

const MARK: &str = "MUST ";
/// Whether a page is about a document.
type About = fn(&str) -> bool;

/// The pages that are generated.
const PAGES: [(&str, About); 2] =
    [("docs/compliance.md", number), ("docs/multipath-compliance.md", is_multipath)];
/// How draft-ietf-quic-multipath-21 is called in citations.
const MULTIPATH: &str = "mp21";
const FOLDER: &str = "testdata/requirements";
/// How a line says that nobody owns its rule, and why.
const EXCEPT: &str = "except:";

/// A MUST of an RFC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    /// What is required, in our words.
    text: String,
    /// Why there is no owner or no test, if so.
    except: Option<String>,
    owners: Vec<String>,
    tests: Vec<String>,
}

/// By document, then in the document's order.
type Rules = Vec<(String, Rule)>;

/// Counts for a document.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    proved: usize,
    excepted: usize,
    open: usize,
}

pub(super) fn check(root: &Path) -> Result<Problems> {
    let (rules, mut problems) = gather(root)?;
    for (id, rule) in &rules {
        problems.extend(fault(id, rule));
    }
    for (path, about) in PAGES {
        if fs::read_to_string(root.join(path)).unwrap_or_default() != page(&rules, about) {
            problems
                .push(format!("{path}: is not what the sources say: run `cargo xtask compliance --write`"));
        }
    }
    Ok(problems)
}

/// `cargo xtask compliance`: the counts, and each open rule; writes the page if asked.
pub(crate) fn report(root: &Path, write: bool) -> Result<()> {
    let (rules, problems) = gather(root)?;
    for (id, rule) in &rules {
        if let Some(fault) = fault(id, rule) {
            println!("{fault}");
        }
    }
    problems.iter().for_each(|problem| println!("{problem}"));
    for (document, count) in counts(&rules) {
        println!(
            "{}: {} MUSTs, {} with owner and test, {} excepted, {} open",
            title(document),
            count.all,
            count.proved,
            count.excepted,
            count.open
        );
    }
    for (path, about) in PAGES.iter().filter(|_| write) {
        fs::write(root.join(path), page(&rules, *about)).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

fn fault(id: &str, rule: &Rule) -> Option<String> {
    let lacks = match (rule.owners.is_empty(), rule.tests.is_empty()) {
        _ if rule.except.is_some() => return None,
        (false, false) => return None,
        (true, true) => "neither owner nor test",
        (true, false) => "no owner",
        (false, true) => "no test",
    };
    Some(format!("{id}: {lacks}: {}", rule.text))
}

fn gather(root: &Path) -> Result<(Rules, Problems)> {
    let mut lists = Vec::new();
    let folder = root.join(FOLDER);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".txt") else { continue };
        if let Some(document) =
            Some(name.strip_prefix("rfc").unwrap_or(name)).filter(|name| is_document(name))
        {
            lists.push((document.to_owned(), fs::read_to_string(&path)?));
        }
    }
    lists.sort();
    let mut files = tidy::files(root)?;
    files.retain(|file| !file.path().starts_with("xtask"));
    Ok(join(&lists, &files))
}

/// Reads the lists and finds what the sources say of each rule.
fn join(lists: &[(String, String)], files: &[SourceFile]) -> (Rules, Problems) {
    let (mut rules, mut problems) = (Rules::new(), Problems::new());
    let mut places = BTreeMap::new();
    for (document, text) in lists {
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (id, text) = line.split_once(' ').unwrap_or((line, ""));
            let id = format!("{document}-{id}");
            let (text, except) = match text.split_once(EXCEPT) {
                Some((text, why)) => (text, Some(why.trim().to_owned())),
                None => (text, None),
            };
            let rule = Rule { text: text.trim().to_owned(), except, ..Rule::default() };
            if places.insert(id.clone(), rules.len()).is_some() {
                problems.push(format!("{FOLDER}: {id} stands there twice"));
            }
            rules.push((id, rule));
        }
    }
    for file in files {
        for (number, id, function) in citations(file.text()) {
            let Some(rule) = places.get(&id).map(|at| &mut rules[*at].1) else {
                problems.push(format!("{}:{number}: no rule is called {id}", file.path()));
                continue;
            };
            let place = format!("{} `{function}`", file.path());
            let list = if is_test(file.path()) { &mut rule.tests } else { &mut rule.owners };
            if !list.contains(&place) {
                list.push(place);
            }
        }
    }
    (rules, problems)
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// Line, rule and function of each citation in a file.
fn citations(text: &str) -> Vec<(usize, String, String)> {
    let lines = source::lines(text);
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let Some((_, list)) = line.comment.split_once(MARK) else { continue };
        for id in list.split([',', ' ']).map(|id| id.trim_end_matches('.')).filter(|id| is_id(id)) {
            found.push((i + 1, id.to_owned(), owner(&lines, i)));
        }
    }
    found
}

/// Such as `9000-10.1-1` or `mp21-3.4-2`.
fn is_id(word: &str) -> bool {
    let mut parts = word.split('-');
    let document = parts.next().is_some_and(is_document);
    let section = parts.next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let ordinal = parts.next().is_some_and(number);
    document && section && ordinal && parts.next().is_none()
}

/// Such as `9000` or `mp21`.
fn is_document(text: &str) -> bool {
    is_multipath(text) || text.len() == 4 && number(text)
}

fn is_multipath(document: &str) -> bool {
    document == MULTIPATH
}

/// What a document is called among people.
fn title(document: &str) -> String {
    if is_multipath(document) { "draft-ietf-quic-multipath-21".to_owned() } else { format!("RFC {document}") }
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The function that line `i` stands in or directly above; else the item it stands above.
fn owner(lines: &[source::Line], i: usize) -> String {
    let below = lines[i..].iter().map(|line| line.code.trim());
    let below = below.filter(|code| !code.is_empty()).find(|code| !code.starts_with("#["));
    if let Some(name) = below.and_then(name_of) {
        return name;
    }
    let above = lines[..i].iter().rev().find_map(|line| function(line.code.trim()));
    above.unwrap_or_else(|| "file".to_owned())
}

fn function(code: &str) -> Option<String> {
    word_after(code, "fn ")
}

fn name_of(code: &str) -> Option<String> {
    ["fn ", "struct ", "enum ", "const ", "trait ", "static "].iter().find_map(|item| word_after(code, item))
}

/// The name behind a keyword that opens an item, which only visibility and qualifiers may precede.
fn word_after(code: &str, keyword: &str) -> Option<String> {
    let at = code.find(keyword)?;
    let before = code[..at].trim_end();
    let opens = before.split_whitespace().all(|word| {
        matches!(word, "pub" | "const" | "async" | "unsafe" | "extern") || word.starts_with("pub(")
    });
    let name: String =
        code[at + keyword.len()..].chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
    (opens && !name.is_empty()).then_some(name)
}

fn counts(rules: &Rules) -> BTreeMap<&str, Count> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (id, rule) in rules {
        let count = counts.entry(id.split('-').next().unwrap_or_default()).or_default();
        count.all += 1;
        if rule.except.is_some() {
            count.excepted += 1;
        } else if fault(id, rule).is_none() {
            count.proved += 1;
        } else {
            count.open += 1;
        }
    }
    counts
}

/// A generated page.
fn page(rules: &Rules, about: About) -> String {
    let document = |id: &str| id.split('-').next().unwrap_or_default().to_owned();
    let rules: Rules = rules.iter().filter(|(id, _)| about(&document(id))).cloned().collect();
    let mut out = String::from(
        "# Compliance\n\nGenerated by `cargo xtask compliance --write` from `testdata/requirements` and from the \
         `MUST` comments in the sources; `cargo xtask check compliance` fails if a rule has lost its owner or its \
         test. A rule is named by document, section and its place among the MUSTs of that section; the text is ours, \
         the document's counts.\n\n| document | MUSTs | owner and test | excepted | open |\n|---|---|---|---|---|\n",
    );
    for (document, count) in counts(&rules) {
        let Count { all, proved, excepted, open } = count;
        let _ = writeln!(out, "| {} | {all} | {proved} | {excepted} | {open} |", title(document));
    }
    let mut last = String::new();
    for (id, rule) in &rules {
        let of = document(id);
        if of != last {
            let _ = write!(out, "\n## {}\n\n| rule | what | owner | test |\n|---|---|---|---|\n", title(&of));
            last = of;
        }
        let text = rule.text.replace('|', "\\|");
        match &rule.except {
            Some(why) => {
                let _ = writeln!(out, "| {id} | {text} | excepted: {} | |", why.replace('|', "\\|"));
            }
            None => {
                let _ =
                    writeln!(out, "| {id} | {text} | {} | {} |", places(&rule.owners), places(&rule.tests));
            }
        }
    }
    out
}

/// At most three places; more would only hide the first.
fn places(of: &[String]) -> String {
    let mut out = of.iter().take(3).cloned().collect::<Vec<_>>().join("<br>");
    if of.len() > 3 {
        let _ = write!(out, "<br>and {} more", of.len() - 3);
    }
    out
}
