//! Verdicts for people and for programs.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Bench, Judged};
use crate::place::Place;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    schema: u32,
    quick: bool,
    web_server: &'a str,
    links: Vec<Link>,
    file_mb: f64,
    bars: &'a [Judged],
}

#[derive(Debug, Serialize)]
struct Link {
    name: &'static str,
    rate_mbps: f64,
    rtt_ms: u64,
    queue_ms: u64,
    alone_mbps: f64,
}

impl<'a> Whole<'a> {
    pub(super) fn new(bench: &Bench, web_server: &'a str, bars: &'a [Judged]) -> Self {
        let facts = bench.lab.as_ref().map(|lab| lab.links().to_vec()).unwrap_or_default();
        let links = facts.iter().zip(&bench.alone).map(|(link, alone)| Link {
            name: link.name,
            rate_mbps: link.rate_mbps,
            rtt_ms: link.rtt_ms,
            queue_ms: link.queue_ms,
            alone_mbps: (alone * 10.0).round() / 10.0,
        });
        let file_mb = bench.file.size as f64 / 1e6;
        Self { schema: 1, quick: bench.options.quick, web_server, links: links.collect(), file_mb, bars }
    }
}

fn figures(judged: &Judged) -> String {
    let each = judged.found.figures.iter().map(|(name, value)| format!("{name} {value}"));
    each.collect::<Vec<_>>().join(", ")
}

fn reasons(judged: &Judged) -> impl Iterator<Item = &String> {
    let found = &judged.found;
    found.skipped.iter().chain(&found.broken).chain(&found.missed).chain(&judged.troubles).chain(&found.notes)
}

/// A bar, as it is judged.
pub(super) fn tell(judged: &Judged) {
    println!(
        "{:8} {}: {} ({:.0} s, processors {:.0} %)",
        judged.verdict,
        judged.name,
        figures(judged),
        judged.seconds,
        judged.cpu * 100.0
    );
    reasons(judged).for_each(|why| println!("    {why}"));
}

/// To a file, and a page beside it.
pub(super) fn write(path: &Path, whole: &Whole<'_>) -> Result<()> {
    let text = serde_json::to_string_pretty(whole)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let page = path.with_extension("md");
    fs::write(&page, page_of(whole)).with_context(|| format!("cannot write {}", page.display()))
}

fn page_of(whole: &Whole<'_>) -> String {
    let mut text = format!(
        "# The bond, bar by bar\n\nA long transfer is {:.0} MB; files are served by {}.{}\n\n\
        | link | Mbit/s | round trip, ms | queue, ms | alone, Mbit/s |\n|---|---|---|---|---|\n",
        whole.file_mb,
        whole.web_server,
        if whole.quick { " Quick: bars are loose." } else { "" }
    );
    // Writing to a string cannot fail.
    for Link { name, rate_mbps, rtt_ms, queue_ms, alone_mbps } in &whole.links {
        let _ = writeln!(text, "| {name} | {rate_mbps} | {rtt_ms} | {queue_ms} | {alone_mbps} |");
    }
    text += "\n| bar | verdict | figures | why |\n|---|---|---|---|\n";
    for judged in whole.bars {
        let why: Vec<_> = reasons(judged).map(String::as_str).collect();
        let why = why.join("; ").replace('|', "/");
        let _ = writeln!(
            text,
            "| {}: {} | {} | {} | {why} |",
            judged.name,
            judged.what,
            judged.verdict,
            figures(judged)
        );
    }
    text
}
