//! `cargo xtask lab`: the timed bars, in network namespaces with real kernels (`tq-netlab`, docs/lab.md).
//! It decides which scenarios are played with which transports, how often and in what order, and what many runs say
//! together; a run itself, and whether it is valid, is the lab's business.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::run::{self, Watch, say};
use crate::setup;
use crate::summary::Summary;

mod beside;
mod bond;
mod report;
mod slot;

use slot::Slot;

pub(crate) use bond::quick as bond_quick;

#[cfg(test)]
mod tests;

/// A run that says nothing is tried so often again.
const AGAIN: usize = 2;
/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
const SMOKE: &str = "lab/netlab/smoke.toml";

/// A transport with its congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    peer: &'static str,
    cc: &'static str,
    /// Only where there are several links.
    several: bool,
}

impl Variant {
    const fn new(peer: &'static str, cc: &'static str, several: bool) -> Self {
        Self { peer, cc, several }
    }
}

/// Ours first, over all links and over the first; the kernel's beside it, pinned.
const VARIANTS: [Variant; 6] = [
    Variant::new("tq", "cubic", false),
    Variant::new("tq-one", "cubic", true),
    Variant::new("tcp", "cubic", false),
    Variant::new("tcp", "bbr", false),
    Variant::new("mptcp", "cubic", true),
    Variant::new("mptcp", "bbr", true),
];

/// Ours alone, as it is without being told anything, against each link alone.
const OURS: [Variant; 1] = [Variant::new("tq", "auto", false)];

/// What is read of a run's JSON.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    verdict: String,
    reasons: Vec<String>,
    figures: Figures,
    #[serde(default)]
    alone_bps: Vec<f64>,
    bars: Vec<Bar>,
    health: Health,
}

impl Run {
    /// One line for who watches: what many runs say together comes long after.
    fn tell(&self, file: &str, variant: Variant) {
        let (rate, why) = (self.figures.goodput_bps / 1e6, self.reasons.join("; "));
        eprintln!("    {file} {} {}: {} {rate:.2} Mbit/s {why}", variant.peer, variant.cc, self.verdict);
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Figures {
    goodput_bps: f64,
    gap_s: f64,
    completion_s: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Bar {
    bar: String,
    measured: Option<String>,
    value: Option<f64>,
    holds: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct Health {
    cpu: f64,
    load: f64,
    late_ms: [f64; 3],
}

/// How a run ended.
enum Ended {
    Valid(Run),
    Invalid(Run),
    /// The lab cannot play it, in its own words.
    Cannot(String),
}

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    /// Files whose path contains one of them; none: all.
    filters: Vec<String>,
    report: Option<PathBuf>,
    rounds: Option<usize>,
    /// Ours and MPTCP side by side, without bars.
    beside: bool,
    /// Only ours, with its own choice of controller.
    ours: bool,
    /// The scheduler of ours; its own if none.
    scheduler: Option<String>,
    /// How long a warm window is at most.
    window: Option<String>,
    /// So many files are played at a time, each in a lab of its own; one if not told.
    jobs: Option<usize>,
}

/// How long a warm window is side by side unless told: long enough for five to be one figure.
const WINDOW: &str = "8s";

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--report" => options.report = Some(words.next().context("--report FILE")?.into()),
                "--beside" => options.beside = true,
                "--ours" => options.ours = true,
                "--scheduler" => {
                    options.scheduler = Some((*words.next().context("--scheduler NAME")?).to_owned())
                }
                "--window" => options.window = Some((*words.next().context("--window TIME")?).to_owned()),
                "--rounds" | "--jobs" => {
                    let number =
                        words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                    let number = number.with_context(|| format!("{word} N: a whole number above 0"))?;
                    *(if word == "--jobs" { &mut options.jobs } else { &mut options.rounds }) = Some(number);
                }
                _ if word.starts_with('-') => {
                    bail!(
                        "`{word}`: lab takes FILTER..., --report FILE, --rounds N, --jobs N, --ours, --beside, --scheduler NAME, --window TIME"
                    )
                }
                _ => options.filters.push(word.to_owned()),
            }
        }
        ensure!(!(options.ours && options.beside), "--ours is without MPTCP beside it: one of them");
        Ok(options)
    }
}

/// The command of its own: whether no bar failed.
pub(crate) fn command(words: &[&str]) -> Result<bool> {
    if let ["bond", words @ ..] = words {
        return bond::command(words);
    }
    let options = Options::parse(words)?;
    let folder = run::root().join("lab/scenarios");
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    let wanted = |file: &PathBuf| {
        let name = file.strip_prefix(&folder).unwrap_or(file).to_string_lossy();
        let all = options.filters.is_empty() && (!options.beside || name.contains("bonding/"));
        all || options.filters.iter().any(|filter| name.contains(filter))
    };
    files.retain(wanted);
    ensure!(!files.is_empty(), "no scenario's path has {} in it", options.filters.join(" or "));
    files.sort();
    setup::lab()?;
    say("building the lab (release)");
    run::must(run::cargo("build").args(["--release", "--package", "tq-netlab"]))?;
    let tool = run::target_dir().join("release/tq-netlab");
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let watch = Watch::start();
    let results = play_all(&tool, &files, rounds, &options)?;
    say(&format!("lab: {} scenarios took {:.0} s", files.len(), watch.elapsed().as_secs_f64()));
    if options.beside {
        return beside::tell(&results, rounds, options.report.as_deref());
    }
    if let Some(path) = &options.report {
        report::write(path, &results, rounds)?;
    }
    let mut sum = Summary::default();
    results.iter().for_each(|result| sum += result.summary());
    println!("{sum}");
    Ok(sum.failed == 0)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// What many runs of one scenario say.
#[derive(Clone, Debug, Serialize)]
struct Scenario {
    file: String,
    /// Whether all links are the same.
    alike: bool,
    /// Why it was not played.
    skipped: Option<String>,
    variants: Vec<Outcome>,
}

/// What many runs with one transport say. Medians of the valid ones.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    peer: &'static str,
    cc: &'static str,
    valid: usize,
    /// Runs that said nothing, and why the last of them did.
    invalid: usize,
    why_invalid: Vec<String>,
    goodput_mbps: Option<f64>,
    /// Of each link alone, where a bar asks for it.
    alone_mbps: Vec<f64>,
    gap_ms: Option<f64>,
    completion_s: Option<f64>,
    cpu: Option<f64>,
    load: Option<f64>,
    late_p99_ms: Option<f64>,
    bars: Vec<Verdict>,
    /// `pass`, `fail` or `skipped`.
    verdict: &'static str,
}

/// What a bar's median says.
#[derive(Clone, Debug, Serialize)]
struct Verdict {
    bar: String,
    median: Option<String>,
    holds: Option<bool>,
}

/// Plays files, so many at a time as the options say, and tells each result when it is there.
fn play_all(tool: &Path, files: &[PathBuf], rounds: usize, options: &Options) -> Result<Vec<Scenario>> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let job = || -> Result<()> {
        let bench = Bench { tool, lab: Slot::take()?, options };
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(place) else { return Ok(()) };
            let result = bench.play(file, rounds)?;
            result.tell();
            results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..options.jobs.unwrap_or(1)).map(|_| scope.spawn(job)).collect();
        jobs.into_iter().try_for_each(|job| job.join().map_err(|_| anyhow!("a job panicked"))?)
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Where runs are played, and how.
struct Bench<'a> {
    tool: &'a Path,
    lab: Slot,
    options: &'a Options,
}

impl Bench<'_> {
    /// All transports in turn, round after round, so that whatever the machine does meanwhile happens to all of them.
    fn play(&self, file: &Path, rounds: usize) -> Result<Scenario> {
        let text = fs::read_to_string(file)?;
        let links = text.lines().filter(|line| line.trim() == "[[link]]").count();
        let all: &[Variant] = match self.options {
            Options { beside: true, .. } => &beside::VARIANTS,
            Options { ours: true, .. } => &OURS,
            _ => &VARIANTS,
        };
        let variants: Vec<_> = all.iter().copied().filter(|variant| links > 1 || !variant.several).collect();
        let name = file.strip_prefix(run::root()).unwrap_or(file).display().to_string();
        say(&format!("{name}: {rounds} rounds of {} transports", variants.len()));
        let mut runs: Vec<(Vec<Run>, Vec<Run>)> = vec![Default::default(); variants.len()];
        for _ in 0..rounds {
            for (variant, (valid, invalid)) in variants.iter().zip(&mut runs) {
                for _ in 0..=AGAIN {
                    match self.once(file, *variant)? {
                        Ended::Cannot(why) => {
                            let (skipped, variants) = (Some(why), Vec::new());
                            return Ok(Scenario { file: name, alike: false, skipped, variants });
                        }
                        Ended::Invalid(run) => {
                            run.tell(&name, *variant);
                            invalid.push(run);
                        }
                        Ended::Valid(run) => {
                            run.tell(&name, *variant);
                            valid.push(run);
                            break;
                        }
                    }
                }
            }
        }
        let variants =
            variants.iter().zip(runs).map(|(variant, (valid, invalid))| sum(*variant, &valid, &invalid));
        Ok(Scenario { file: name, alike: beside::alike(&text), skipped: None, variants: variants.collect() })
    }

    /// One run, in a lab of our own.
    fn once(&self, file: &Path, variant: Variant) -> Result<Ended> {
        let Self { tool, lab, options } = self;
        // What an interrupted run has left.
        run::quietly(Command::new(tool).args(["down", "--lab", &lab.name]));
        let mut command = Command::new(tool);
        command
            .args(["run", "--lab", &lab.name, "--json", "--peer", variant.peer, "--cc", variant.cc])
            .arg(file);
        if let Some(scheduler) = options.scheduler.as_ref().filter(|_| variant.peer.starts_with("tq")) {
            command.args(["--scheduler", scheduler]);
        }
        if options.beside {
            command.arg("--without-bars");
        }
        if let Some(window) = options.window.as_deref().or(options.beside.then_some(WINDOW)) {
            command.args(["--window", window]);
        }
        let output = command.stdin(Stdio::null()).output().context("cannot start tq-netlab")?;
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(4) => return Ok(Ended::Cannot(told)),
            Some(0 | 1 | 3) if !output.stdout.is_empty() => {}
            _ => bail!("{}: {told}", run::shown(&command)),
        }
        let run: Run = serde_json::from_slice(&output.stdout).context("tq-netlab tells no JSON")?;
        Ok(if run.verdict == "invalid" { Ended::Invalid(run) } else { Ended::Valid(run) })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// The median of each figure and bar; a bar holds if that of the run in the middle does.
fn sum(variant: Variant, valid: &[Run], invalid: &[Run]) -> Outcome {
    let names = valid.first().map(|run| run.bars.len()).unwrap_or_default();
    let bars = (0..names).map(|i| {
        let mut all: Vec<&Bar> = valid.iter().filter_map(|run| run.bars.get(i)).collect();
        all.sort_by(|a, b| a.value.unwrap_or(f64::NAN).total_cmp(&b.value.unwrap_or(f64::NAN)));
        let middle = all[(all.len() - 1) / 2];
        Verdict { bar: middle.bar.clone(), median: middle.measured.clone(), holds: middle.holds }
    });
    let bars: Vec<_> = bars.collect();
    let links = valid.iter().map(|run| run.alone_bps.len()).min().unwrap_or_default();
    let alone = (0..links).filter_map(|link| median(valid.iter().map(|run| run.alone_bps[link] / 1e6)));
    let of = |figure: fn(&Run) -> f64| median(valid.iter().map(figure));
    // Without a bar to miss, a transfer that breaks more often than not has failed.
    let broken =
        valid.iter().filter(|run| run.verdict == "fail" && run.bars.iter().all(|b| b.holds != Some(false)));
    let fails = bars.iter().any(|bar| bar.holds == Some(false)) || broken.count() * 2 > valid.len();
    Outcome {
        peer: variant.peer,
        cc: variant.cc,
        valid: valid.len(),
        invalid: invalid.len(),
        why_invalid: invalid.last().map(|run| run.reasons.clone()).unwrap_or_default(),
        goodput_mbps: of(|run| run.figures.goodput_bps / 1e6),
        alone_mbps: alone.collect(),
        gap_ms: of(|run| run.figures.gap_s * 1e3),
        completion_s: median(valid.iter().filter_map(|run| run.figures.completion_s)),
        cpu: of(|run| run.health.cpu),
        load: of(|run| run.health.load),
        late_p99_ms: of(|run| run.health.late_ms[1]),
        bars,
        verdict: if valid.is_empty() {
            "skipped"
        } else if fails {
            "fail"
        } else {
            "pass"
        },
    }
}

impl Scenario {
    fn tell(&self) {
        if let Some(why) = &self.skipped {
            println!("skipped  {}: {why}", self.file);
        }
        if !self.variants.is_empty() {
            println!("{}:", self.file);
        }
        for result in &self.variants {
            let goodput = result.goodput_mbps.map_or("-".into(), |rate| format!("{rate:.2} Mbit/s"));
            println!(
                "{:8} {} {}: {goodput}, {} valid, {} invalid",
                result.verdict, result.peer, result.cc, result.valid, result.invalid
            );
        }
    }

    /// Bars are ours to hold: what the kernel's transports do is told beside them and counts for nothing.
    fn summary(&self) -> Summary {
        let Some(ours) = self.variants.iter().find(|result| result.peer == "tq") else {
            return Summary { skipped: 1, ..Summary::default() };
        };
        match ours.verdict {
            "pass" => Summary { passed: 1, ..Summary::default() },
            "fail" => Summary { failed: 1, ..Summary::default() },
            _ => Summary { skipped: 1, ..Summary::default() },
        }
    }
}

/// For `cargo xtask test`: every transport once over two small links. A busy machine makes a run say nothing; then
/// it is skipped, as all are without root or namespaces.
pub(crate) fn smoke() -> Summary {
    let skipped = |why: &str| {
        println!("lab: skipped, {why}");
        Summary { skipped: 3, ..Summary::default() }
    };
    if let Some(why) = setup::no_lab() {
        return skipped(&why);
    }
    if let Err(error) = run::must(run::cargo("build").args(["--package", "tq-netlab"])) {
        println!("lab: {error:#}");
        return Summary { failed: 1, ..Summary::default() };
    }
    let (tool, file) = (run::target_dir().join("debug/tq-netlab"), run::root().join(SMOKE));
    say("lab: three transports over two links");
    let mut sum = Summary::default();
    for variant in [VARIANTS[0], VARIANTS[2], VARIANTS[4]] {
        let options = Options::default();
        let ended =
            Slot::take().and_then(|lab| Bench { tool: &tool, lab, options: &options }.once(&file, variant));
        let (word, text) = match &ended {
            Ok(Ended::Valid(run)) if run.verdict == "pass" => ("pass", String::new()),
            Ok(Ended::Valid(run)) => ("fail", run.reasons.join("; ")),
            Ok(Ended::Invalid(run)) => ("skipped", run.reasons.join("; ")),
            Ok(Ended::Cannot(why)) => ("fail", why.clone()),
            Err(error) => ("fail", format!("{error:#}")),
        };
        println!("{word:8} lab {} {text}", variant.peer);
        match word {
            "pass" => sum.passed += 1,
            "skipped" => sum.skipped += 1,
            _ => sum.failed += 1,
        }
    }
    sum
}
