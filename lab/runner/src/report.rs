//! What a run has found, as a JSON document and as a table for terminals.
//!
//! Numbers that were not measured are `null` in the document and `-` in the table; nothing is guessed. Decides no
//! verdict: who compares fills it in.

use std::fmt::Write as _;

use serde::Serialize;

use crate::fluid::{self, LossBound};
use crate::stats::{Gain, Summary};

#[cfg(test)]
mod tests;

/// The version of the document. Grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was run, like `grid` or `suite`.
    pub kind: String,
    /// The seed all draws came from.
    pub seed: u64,
    /// One entry for each run.
    pub scenarios: Vec<Scenario>,
}

/// One run. Rates are in 10^6 bit/s of payload, times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scenario {
    /// Which.
    pub id: String,
    /// Over what.
    pub links: Vec<Link>,
    /// Goodput of each link alone, in the order of `links`; of one with outages: without them, times the part of the
    /// window in which it works.
    pub alone_mbps: Vec<Option<f64>>,
    /// Goodput of all links together; `null` if there is one.
    pub together_mbps: Option<f64>,
    /// The sum of `alone_mbps`, if all were measured.
    pub ideal: Option<f64>,
    /// See [`Gain::benefit`].
    pub benefit: Option<f64>,
    /// See [`Gain::efficiency`].
    pub efficiency: Option<f64>,
    /// See [`Gain::ratio_to_best`].
    pub ratio_to_best: Option<f64>,
    /// What each link had of all of them together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathRow>,
    /// Paths given up, over all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abandons: Option<u64>,
    /// Times a path was found out, over all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outs: Option<u64>,
    /// Times a path was found to share a bottleneck, or to share it no more, over all runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<u64>,
    /// What an ideal transport would reach.
    pub ceiling: Option<Ceiling>,
    /// First packet to last byte.
    pub completion_s: Option<f64>,
    /// The time to stay within.
    pub bar_s: Option<f64>,
    /// What another implementation took, in its own words.
    pub theirs: Option<String>,
    /// What comes of it.
    pub verdict: Verdict,
    /// What to know.
    pub note: String,
    /// What the scenario asks to be measured; empty in tables of many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// Its bars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bars: Vec<Bar>,
    /// Bytes that were lost, altered, doubled or invented, in words: none may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<String>,
}

/// A figure of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figure {
    /// Its name in scenario files, with a percentile.
    pub name: String,
    /// What was measured.
    pub value: Option<f64>,
    /// s, Mbit/s, B, or nothing.
    pub unit: String,
}

/// A bar of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bar {
    /// As written.
    pub text: String,
    /// What was measured, with its unit; `null` if nothing was.
    pub measured: Option<String>,
    /// Whether it holds; `null` as before.
    pub holds: Option<bool>,
}

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Link {
    /// Its kind.
    pub name: String,
    /// Link rate, up.
    pub up_mbps: f64,
    /// Link rate, down.
    pub down_mbps: f64,
    /// Round trip without queue, milliseconds.
    pub rtt_ms: f64,
    /// Random loss, percent.
    pub loss_pct: f64,
}

/// One link among several.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathRow {
    /// Its name.
    pub link: String,
    /// Its share of all bytes that links delivered in the direction of the payload.
    pub share: Option<f64>,
    /// Packets it dropped in that direction, over all runs.
    pub dropped: u64,
    /// Smoothed round trip at the server, milliseconds, the median over time and runs.
    pub srtt_ms: Option<f64>,
    /// Waiting time in its queue, likewise.
    pub queue_ms: Option<f64>,
}

/// The ideal, in the units of [`Scenario`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ceiling {
    /// Of each link alone.
    pub alone_mbps: Vec<f64>,
    /// Of all together.
    pub together_mbps: f64,
    /// Its benefit.
    pub benefit: Option<f64>,
    /// Its efficiency.
    pub efficiency: f64,
    /// Its time; `null` for a warm window.
    pub completion_s: Option<f64>,
    /// What random loss leaves to Reno on the first link; `null` without loss.
    pub reno_mbps: Option<f64>,
    /// The same for CUBIC.
    pub cubic_mbps: Option<f64>,
}

/// What comes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within its bar.
    Pass,
    /// Not within its bar.
    Fail,
    /// Measured, without a bar.
    #[default]
    Report,
    /// Not run for another reason, in the note.
    Skipped,
}

impl Verdict {
    /// Of a time against its bar: a run that did not finish has failed one.
    pub fn of(completion_s: Option<f64>, bar_s: Option<f64>) -> Self {
        match (completion_s, bar_s) {
            (_, None) => Self::Report,
            (Some(took), Some(bar)) if took <= bar => Self::Pass,
            _ => Self::Fail,
        }
    }

    /// For tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Report => "report",
            Self::Skipped => "skipped",
        }
    }
}

/// Bytes per second as 10^6 bit/s.
pub fn mbps(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1e6
}

impl Ceiling {
    /// In the units of the document.
    pub fn of(found: &fluid::Ceiling, loss: Option<LossBound>) -> Self {
        Self {
            alone_mbps: found.alone.iter().map(|single| mbps(single.goodput)).collect(),
            together_mbps: mbps(found.together.goodput),
            benefit: found.gain.benefit,
            efficiency: found.gain.efficiency,
            completion_s: found.together.completion_s,
            reno_mbps: loss.map(|bound| mbps(bound.reno)),
            cubic_mbps: loss.map(|bound| mbps(bound.cubic)),
        }
    }
}

impl Scenario {
    /// Fills in what follows from goodputs: ideal, benefit, efficiency, ratio. Leaves `null` what cannot be said.
    pub fn compare(&mut self) {
        let alone: Option<Vec<f64>> = self.alone_mbps.iter().copied().collect();
        let alone = alone.filter(|alone| !alone.is_empty());
        self.ideal = alone.as_ref().map(|alone| alone.iter().sum());
        let gain = alone.zip(self.together_mbps).and_then(|(alone, together)| Gain::of(&alone, together));
        self.benefit = gain.and_then(|gain| gain.benefit);
        self.efficiency = gain.map(|gain| gain.efficiency);
        self.ratio_to_best = gain.map(|gain| gain.ratio_to_best);
    }
}

impl Report {
    /// Without scenarios yet.
    pub fn new(kind: &str, seed: u64) -> Self {
        Self { schema: SCHEMA, kind: kind.to_owned(), seed, scenarios: Vec::new() }
    }

    /// The JSON document, with a line feed at its end. Numbers that are not finite become `null`.
    ///
    /// # Errors
    /// None that this type can cause; those of `serde_json`.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// A table of at most 100 columns, with the summary below it.
    pub fn table(&self) -> String {
        let wide = self.scenarios.iter().map(|scenario| scenario.id.chars().count()).max().unwrap_or(0);
        let wide = wide.clamp(8, 32);
        let mut out = format!(
            "{}, seed {}; Mbit/s and s; best: best link alone; all: all links; ceil: fluid ceiling\n",
            self.kind, self.seed
        );
        let _ = writeln!(
            out,
            "{:wide$} {:>7} {:>7} {:>7} {:>5} {:>5} {:>7} {:>7} {:>6}  verdict",
            "scenario", "best", "all", "ceil", "Ben", "ceil", "time", "ceil", "bar"
        );
        for scenario in &self.scenarios {
            let ceiling = scenario.ceiling.as_ref();
            let best = scenario.alone_mbps.iter().copied().flatten().reduce(f64::max);
            let _ = writeln!(
                out,
                "{:wide$} {:>7} {:>7} {:>7} {:>5} {:>5} {:>7} {:>7} {:>6}  {}",
                shortened(&scenario.id, wide),
                number(best, 7, 2),
                number(scenario.together_mbps, 7, 2),
                number(ceiling.map(|ceiling| ceiling.together_mbps), 7, 2),
                number(scenario.benefit, 5, 2),
                number(ceiling.and_then(|ceiling| ceiling.benefit), 5, 2),
                number(scenario.completion_s, 7, 3),
                number(ceiling.and_then(|ceiling| ceiling.completion_s), 7, 3),
                number(scenario.bar_s, 6, 2),
                scenario.verdict.word(),
            );
        }
        out + &self.summary()
    }

    /// Median, tenth percentile and minimum of what was measured, and a count of verdicts: a line each.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, values: Vec<f64>| {
            if let Some(Summary { count, median, p10, min, .. }) = Summary::of(&values) {
                let _ = writeln!(out, "{name}: median {median:.3}, p10 {p10:.3}, min {min:.3} (of {count})");
            }
        };
        let ceilings = || self.scenarios.iter().filter_map(|scenario| scenario.ceiling.as_ref());
        line("benefit", self.scenarios.iter().filter_map(|scenario| scenario.benefit).collect());
        line("benefit, ideal", ceilings().filter_map(|ceiling| ceiling.benefit).collect());
        line("efficiency", self.scenarios.iter().filter_map(|scenario| scenario.efficiency).collect());
        line("ratio to best", self.scenarios.iter().filter_map(|scenario| scenario.ratio_to_best).collect());
        let shares = self.scenarios.iter().flat_map(|scenario| {
            let ideal = scenario.ceiling.iter().flat_map(|ceiling| &ceiling.alone_mbps);
            scenario
                .alone_mbps
                .iter()
                .zip(ideal)
                .filter_map(|(found, ideal)| found.map(|found| found / ideal))
        });
        line("alone / ideal", shares.collect());
        let words = [Verdict::Pass, Verdict::Fail, Verdict::Report, Verdict::Skipped];
        let count = |verdict| self.scenarios.iter().filter(|scenario| scenario.verdict == verdict).count();
        let counts: Vec<String> =
            words.iter().map(|verdict| format!("{} {}", count(*verdict), verdict.word())).collect();
        let _ = writeln!(out, "verdicts: {}", counts.join(", "));
        out
    }
}

/// A number that fits `wide` characters: fewer decimals, then an exponent.
fn number(value: Option<f64>, wide: usize, decimals: usize) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return "-".to_owned() };
    let fitting = (0..=decimals).rev().map(|places| format!("{value:.places$}"));
    fitting.into_iter().find(|text| text.len() <= wide).unwrap_or_else(|| format!("{value:.0e}"))
}

/// The text, or its end behind `..`: ids differ at their end.
fn shortened(text: &str, wide: usize) -> String {
    let length = text.chars().count();
    if length <= wide {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(length - (wide - 2)).collect();
    format!("..{tail}")
}
