//! The scenarios that break a naive design, by number: which of them can be played, which are for later and why.
//!
//! Files are `lab/scenarios/hard/nNUMBER-….toml`, some numbers have several. Decides only which file is for which number;
//! bars are in the files.

use std::fmt::Write as _;

use crate::report::{Report, Verdict};

#[cfg(test)]
mod tests;

/// The highest number.
pub const LAST: u8 = 32;

/// Why a number is not played here; `None` if it is.
pub const fn later(number: u8) -> Option<&'static str> {
    Some(match number {
        24 => "costs of links decide nothing yet",
        27 => "processors cost nothing in the simulator: cargo xtask bench",
        30 => "flows inside a tunnel: with the tunnel",
        _ => return None,
    })
}

/// The number of a scenario's name, like `n7r-one-way-cut`.
pub fn number(name: &str) -> Option<u8> {
    let rest = name.strip_prefix('n')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok().filter(|number| (1..=LAST).contains(number))
}

/// One row for each bar, and what could not be done as the file asks.
pub fn markdown(report: &Report) -> String {
    let mut out = String::from(
        "| scenario | alone, Mbit/s | together | / sum | bar | measured | |\n|---|---|---|---|---|---|---|\n",
    );
    let three = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    for entry in &report.scenarios {
        let rate = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        let alone: Vec<String> = entry.alone_mbps.iter().map(rate).collect();
        let head = format!(
            "| {} | {} | {} | {} |",
            entry.id,
            alone.join(" "),
            rate(&entry.together_mbps),
            three(entry.efficiency)
        );
        for (at, bar) in entry.bars.iter().enumerate() {
            let word = match bar.holds {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "not measured",
            };
            let head = if at == 0 { head.as_str() } else { "| | | | |" };
            let _ =
                writeln!(out, "{head} {} | {} | {word} |", bar.text, bar.measured.as_deref().unwrap_or("-"));
        }
        if entry.bars.is_empty() {
            let _ = writeln!(out, "{head} | | |");
        }
        if !entry.violations.is_empty() {
            let _ = writeln!(out, "| | | | | | WRONG BYTES: {} | |", entry.violations.join("; "));
        }
        if !entry.note.is_empty() {
            let _ = writeln!(out, "| | | | | | {} | |", entry.note);
        }
    }
    for number in 1..=LAST {
        if let Some(why) = later(number) {
            let _ = writeln!(out, "| n{number} | | | | | {why} | later |");
        }
    }
    let count = |verdict| report.scenarios.iter().filter(|entry| entry.verdict == verdict).count();
    let _ = writeln!(
        out,
        "\n{} files: {} with all bars met, {} with one missed, {} of which a bar was not measured",
        report.scenarios.len(),
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::Skipped) + count(Verdict::Report)
    );
    out
}
