//! Ours beside kernel MPTCP, in one run: who carries more over the same links. It decides which transports are played and what
//! their medians say; bars of files play no part.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Outcome, Scenario, Variant, report};

/// Ours with its own choice of controller and with each of the kernel's; the kernel's with both.
pub(super) const VARIANTS: [Variant; 5] = [
    Variant::new("tq", "auto", false),
    Variant::new("tq", "cubic", false),
    Variant::new("mptcp", "cubic", true),
    Variant::new("tq", "bbr", false),
    Variant::new("mptcp", "bbr", true),
];

/// No less than this part of MPTCP's median anywhere.
const LEAST: f64 = 0.98;
/// Ahead is more than this.
const AHEAD: f64 = 1.02;
/// Ahead in this part of the comparisons.
const MOST: f64 = 0.70;

/// Whether all links of a scenario file are the same but for their names.
pub(super) fn alike(text: &str) -> bool {
    let body = |part: &str| -> Vec<String> {
        let lines = part.lines().skip(1).take_while(|line| !line.trim_start().starts_with("[["));
        let lines = lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("name"));
        lines.map(str::to_owned).collect()
    };
    let links: Vec<_> = text.split("[[link]]").skip(1).map(body).collect();
    links.windows(2).all(|pair| pair[0] == pair[1])
}

/// Ours over MPTCP's with the same controller; our own choice over the better of MPTCP's two.
fn ratios(scenario: &Scenario) -> Vec<(&'static str, f64)> {
    let of = |peer: &str, cc: &str| {
        let same = |result: &&Outcome| (result.peer, result.cc) == (peer, cc);
        scenario.variants.iter().find(same)?.goodput_mbps.filter(|rate| *rate > 0.0)
    };
    let mut found = Vec::new();
    for cc in ["cubic", "bbr"] {
        found.extend(of("tq", cc).zip(of("mptcp", cc)).map(|(ours, theirs)| (cc, ours / theirs)));
    }
    let better = of("mptcp", "cubic").into_iter().chain(of("mptcp", "bbr")).reduce(f64::max);
    found.extend(of("tq", "auto").zip(better).map(|(ours, theirs)| ("auto", ours / theirs)));
    found
}

/// Prints the table, writes it and the figures where asked; whether we are where we want to be.
pub(super) fn tell(scenarios: &[Scenario], rounds: usize, path: Option<&Path>) -> Result<bool> {
    let (page, holds) = page(scenarios, rounds);
    print!("{page}");
    if let Some(path) = path {
        report::write(path, scenarios, rounds)?;
        let beside = path.with_extension("beside.md");
        fs::write(&beside, &page).with_context(|| format!("cannot write {}", beside.display()))?;
    }
    Ok(holds)
}

/// The table and what it says.
fn page(scenarios: &[Scenario], rounds: usize) -> (String, bool) {
    let mut out = format!(
        "Mbit/s of payload, medians of {rounds} interleaved rounds; /: over MPTCP with the same controller, auto over the better of \
         both. Valid runs in brackets where some were not.\n\n\
         | scenario | tq auto | tq cubic | mptcp cubic | / | tq bbr | mptcp bbr | / | auto / better |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    let mut all: Vec<(bool, f64)> = Vec::new();
    for scenario in scenarios {
        let name = Path::new(&scenario.file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(why) = &scenario.skipped {
            let _ = writeln!(out, "| {name} | not played: {why} | | | | | | | |");
            continue;
        }
        let rate = |peer: &str, cc: &str| {
            let found = scenario.variants.iter().find(|result| (result.peer, result.cc) == (peer, cc));
            let Some(found) = found else { return "-".to_owned() };
            let count = if found.valid < rounds { format!(" ({})", found.valid) } else { String::new() };
            found.goodput_mbps.map_or("-".into(), |rate| format!("{rate:.2}")) + &count
        };
        let found = ratios(scenario);
        let ratio = |cc: &str| {
            let of = found.iter().find(|(known, _)| *known == cc);
            of.map_or("-".to_owned(), |(_, ratio)| format!("{ratio:.3}"))
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            rate("tq", "auto"),
            rate("tq", "cubic"),
            rate("mptcp", "cubic"),
            ratio("cubic"),
            rate("tq", "bbr"),
            rate("mptcp", "bbr"),
            ratio("bbr"),
            ratio("auto"),
        );
        let same = found.iter().filter(|(cc, _)| *cc != "auto");
        all.extend(same.map(|(_, ratio)| (scenario.alike, *ratio)));
    }
    let count = |what: &dyn Fn(&(bool, f64)) -> bool| all.iter().filter(|one| what(one)).count();
    let behind = count(&|(_, ratio)| *ratio < LEAST);
    let ahead = count(&|(_, ratio)| *ratio > AHEAD);
    let (unlike, won) = (count(&|(alike, _)| !alike), count(&|(alike, ratio)| !alike && *ratio > AHEAD));
    let _ = writeln!(
        out,
        "\nWith the same controller: behind ({LEAST}) in {behind} of {}, ahead ({AHEAD}) in {ahead}; over unlike links ahead in {won} \
         of {unlike}.",
        all.len()
    );
    let enough = ahead as f64 >= MOST * all.len() as f64;
    (out, !all.is_empty() && behind == 0 && enough && won == unlike)
}
