//! The lab's results as JSON and as a page. It decides how they are told, not what they say.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Scenario;
use crate::run::say;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    rounds: usize,
    machine: String,
    scenarios: &'a [Scenario],
}

/// Writes both: the JSON to `path` and the page beside it, `.md` in place of its ending.
pub(super) fn write(path: &Path, scenarios: &[Scenario], rounds: usize) -> Result<()> {
    let document = Document { schema: 1, rounds, machine: machine(), scenarios };
    let page = path.with_extension("md");
    let json = if page == path { path.with_extension("json") } else { path.to_owned() };
    let text = serde_json::to_string_pretty(&document)?;
    fs::write(&json, text + "\n").with_context(|| format!("cannot write {}", json.display()))?;
    fs::write(&page, markdown(&document)).with_context(|| format!("cannot write {}", page.display()))?;
    say(&format!("wrote {} and {}", json.display(), page.display()));
    Ok(())
}

/// Kernel and processors.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {}, {cores} processors", read("/proc/sys/kernel/osrelease").trim())
}

fn markdown(document: &Document<'_>) -> String {
    let mut text = format!(
        "# Lab\n\nMedians of {} interleaved runs on {}. An invalid run (emulator or sockets lost packets, processors \
         over 90 %, clock trouble) was repeated twice, then left out.\n\n\
         | scenario | transport | verdict | goodput | longest gap | done after | runs | bars |\n\
         |---|---|---|---|---|---|---|---|\n",
        document.rounds, document.machine
    );
    let number =
        |value: Option<f64>, unit: &str| value.map_or("-".into(), |value| format!("{value:.2} {unit}"));
    for scenario in document.scenarios {
        for result in &scenario.variants {
            let alone: Vec<_> = result.alone_mbps.iter().map(|rate| format!("{rate:.2}")).collect();
            let alone =
                if alone.is_empty() { String::new() } else { format!(", alone {}", alone.join(" + ")) };
            let bars = result.bars.iter().map(|bar| {
                let word = bar.holds.map_or("", |holds| if holds { " ok" } else { " **missed**" });
                format!("`{}`: {}{word}", bar.bar, bar.median.as_deref().unwrap_or("not measured"))
            });
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {} | {} {} | {} | {} | {} | {} | {} + {} invalid | {} |",
                scenario.file,
                result.peer,
                result.cc,
                result.verdict,
                number(result.goodput_mbps, "Mbit/s") + &alone,
                number(result.gap_ms, "ms"),
                number(result.completion_s, "s"),
                result.valid,
                result.invalid,
                bars.collect::<Vec<_>>().join("<br>")
            );
        }
    }
    let skipped: Vec<_> =
        document.scenarios.iter().filter_map(|s| Some((&s.file, s.skipped.as_ref()?))).collect();
    if !skipped.is_empty() {
        text.push_str("\nNot played:\n\n");
    }
    for (file, why) in skipped {
        let _ = writeln!(text, "- {file}: {why}");
    }
    text
}
