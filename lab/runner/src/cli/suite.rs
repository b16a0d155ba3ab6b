//! `suite`: scenarios of other projects whose bar is a time, ours beside theirs and beside the fluid ceiling.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tq_quic::sched::Kind as Scheduler;
use tq_runner::fluid;
use tq_runner::report::{Report, Scenario as Entry, Verdict};
use tq_runner::run::tell::Runs as Played;
use tq_runner::run::{self as runner, Plan, tell};
use tq_runner::suite::{self, Case, Runs};
use tq_runner::svg::{BarGroup, BarPlot};
use tq_scenario::{Bar, Metric, Scenario};
use tq_time::Duration;

use super::{Control, jobs};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only scenarios whose id contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Everything random comes from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this congestion control; all if left out.
    #[arg(long)]
    cc: Option<Control>,
    /// Scheduler of both ends where there are several links; the stack's own if left out.
    #[arg(long, value_parser = super::scheduler)]
    scheduler: Option<Scheduler>,
    /// Only scenarios with several links, or only those with one.
    #[arg(long)]
    several: Option<bool>,
    /// A JSON document instead of a table.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// A table for documents.
    #[arg(long)]
    markdown: bool,
    /// Times beside their bars, as a plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where scenarios are; lab/scenarios if left out.
    #[arg(long)]
    scenarios: Option<PathBuf>,
}

/// Virtual time after which a transfer is given up.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A scenario with a congestion control.
struct Item {
    case: Case,
    scenario: Scenario,
    control: Control,
}

pub(super) fn run(args: &Args) -> Result<bool> {
    let folder = super::folder(args.scenarios.as_deref()).join("published");
    let (mut items, mut others) = (Vec::new(), Vec::new());
    for case in suite::all()? {
        if args.filter.as_ref().is_some_and(|filter| !case.id.contains(filter.as_str())) {
            continue;
        }
        let path = folder.join(format!("{}.toml", case.id));
        let scenario = path.exists().then(|| tq_scenario::load(&path)).transpose()?;
        let several = case.runs == Runs::Together;
        let wanted = args.several.is_none_or(|only| only == several);
        let plays = wanted && !matches!(case.runs, Runs::Elsewhere(_));
        match scenario.filter(|scenario| plays && is_judged(&case, scenario)) {
            Some(scenario) => {
                for control in [Control::Cubic, Control::Reno, Control::Bbr] {
                    // with several links the stack's own controller unless one is asked for
                    let skipped = several && args.cc.is_none() && control != Control::Cubic;
                    if args.cc.is_none_or(|only| only == control) && !skipped {
                        items.push(Item { case: case.clone(), scenario: scenario.clone(), control });
                    }
                }
            }
            None if wanted => others.push(case),
            None => {}
        }
    }
    let name = |item: &Item| format!("{} with {:?}", item.case.id, item.control);
    let entries = jobs::each(&items, args.jobs, name, |item| one(item, args));
    let mut report = Report::new("suite", args.seed);
    report.scenarios = entries.into_iter().collect::<Result<_>>()?;
    let explained =
        report.scenarios.iter().all(|entry| entry.verdict != Verdict::Fail || !entry.note.is_empty());
    let sound = report.scenarios.iter().all(|entry| entry.violations.is_empty());
    report.scenarios.extend(others.iter().map(not_run));
    if let Some(path) = &args.svg {
        super::write(path, &plot(&report).svg())?;
    }
    match (args.json, args.markdown) {
        (true, _) => print!("{}", report.json()?),
        (_, true) => print!("{}", markdown(&report)),
        _ => print!("{}", table(&report)),
    }
    Ok(sound && explained)
}

/// Whether something can be met: a time, a rate, or that it completes.
fn is_judged(case: &Case, scenario: &Scenario) -> bool {
    let judged = |bar: &Bar| matches!(bar.metric, Metric::Completion | Metric::Completed | Metric::Goodput);
    case.has_completion_bar() || scenario.bars.iter().any(judged)
}

fn one(item: &Item, args: &Args) -> Result<Entry> {
    let mut scenario = item.scenario.clone();
    let several = scenario.links.len() > 1;
    if !several {
        scenario.time = scenario.time.max(PATIENCE);
    }
    let play = || {
        let runs = (0..u64::from(scenario.measure.runs)).map(|run| {
            let seed = args.seed.wrapping_add(run);
            let plan = if several { Plan::together(&scenario, seed) } else { Plan::new(&scenario, 0, seed) };
            let plan = plan.with_cc(Some(item.control.cc())).with_scheduler(args.scheduler);
            runner::run(plan).with_context(|| item.case.id.clone())
        });
        runs.collect::<Result<Vec<_>>>()
    };
    let played = match several {
        true => Played { alone: Vec::new(), together: play()? },
        false => Played::single(play()?),
    };
    let mut entry = tell::entry(&scenario, &played);
    entry.id = format!("{} {}", item.case.id, item.control.cc().name());
    entry.theirs = Some(item.case.bar_text.clone());
    entry.bar_s = item.case.bar_for(item.control.cc().name()).map(|bar| bar.seconds);
    entry.verdict = match entry.bar_s {
        _ if !entry.violations.is_empty() => Verdict::Fail,
        // what is asked of paths counts as well; a bar that cannot be measured is no miss
        _ if several && entry.verdict == Verdict::Skipped => Verdict::Report,
        _ if several => entry.verdict,
        Some(_) => Verdict::of(entry.completion_s, entry.bar_s),
        None if entry.bars.iter().all(|bar| bar.holds != Some(false)) => Verdict::Pass,
        None => Verdict::Fail,
    };
    let left_out = std::mem::take(&mut entry.note);
    entry.note = explanation(item, &entry);
    if several && !left_out.is_empty() {
        entry.note = [entry.note, left_out].join("; ");
    }
    Ok(entry)
}

/// Why a bar was missed, or what is to be known of one that was met.
fn explanation(item: &Item, entry: &Entry) -> String {
    let mut words = Vec::new();
    let ceiling = entry.ceiling.as_ref();
    if let (Some(bar), Some(best)) = (entry.bar_s, ceiling.and_then(|ceiling| ceiling.completion_s))
        && best > bar
    {
        words.push(format!(
            "the fluid ceiling is {best:.2} s: a cold start without a remembered capacity cannot do it"
        ));
    }
    if entry.verdict == Verdict::Fail && item.scenario.links.len() > 1 {
        words.push(missed(entry));
    } else if entry.verdict == Verdict::Fail {
        let bound = ceiling.and_then(|ceiling| match item.control {
            Control::Cubic => ceiling.cubic_mbps,
            Control::Reno => ceiling.reno_mbps,
            // These do not answer each loss, or not alone: there is no formula.
            Control::Bbr | Control::Auto | Control::Olia => None,
        });
        let bytes = item.case.load.and_then(suite::Load::bytes);
        if let (Some(bound), Some(bytes)) = (bound, bytes) {
            let seconds = bytes as f64 / (bound * 125_000.0);
            words.push(format!(
                "every loss counts as congestion: theory gives {bound:.2} Mbit/s, {seconds:.0} s, at this loss"
            ));
        } else if entry.completion_s.is_none() {
            words.push("did not complete".to_owned());
        } else if item.control == Control::Reno {
            words.push("no bar of theirs is for Reno, which adds one packet a round trip".to_owned());
        }
        let plain = fluid::Mode { growth: fluid::Growth::Plain, ..fluid::Mode::default() };
        let jitters = item.scenario.links[0].down.jitter != tq_linkmodel::Jitter::NONE;
        if let (true, Some(links), Some(load)) =
            (jitters, tell::fluid_links(&item.scenario), tell::fluid_load(&item.scenario))
            && let Some(best) = fluid::single(links[0], load, plain).and_then(|single| single.completion_s)
        {
            words.push(format!(
                "jitter probably hides how closely packets of a train arrive, so that slow start does not jump; without that the ceiling \
                 is {best:.2} s"
            ));
        }
        if words.is_empty() {
            let goodput = entry.alone_mbps.first().copied().flatten();
            words.push(format!(
                "{} Mbit/s of {:.2} possible",
                goodput.map_or("-".into(), |value| format!("{value:.2}")),
                entry.links.first().map_or(0.0, |link| link.down_mbps * fluid::PAYLOAD_SHARE)
            ));
        }
    }
    if !item.case.note.is_empty() && entry.bar_s.is_some() {
        words.push(item.case.note.to_owned());
    }
    words.join("; ")
}

/// The bars of a bond that were missed.
fn missed(entry: &Entry) -> String {
    let missed = entry.bars.iter().filter(|bar| bar.holds == Some(false));
    let words =
        missed.map(|bar| format!("{}: {}", bar.text, bar.measured.as_deref().unwrap_or("did not complete")));
    words.collect::<Vec<_>>().join(", ")
}

fn not_run(case: &Case) -> Entry {
    let (verdict, note) = match case.runs {
        Runs::Elsewhere(why) => (Verdict::Skipped, why.to_owned()),
        Runs::SinglePath | Runs::Together => (Verdict::Skipped, "has no bar that is a number".to_owned()),
    };
    let theirs = Some(case.bar_text.clone());
    Entry { id: case.id.clone(), theirs, verdict, note, ..Entry::default() }
}

fn was_run(entry: &&Entry) -> bool {
    entry.verdict != Verdict::Skipped
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "met",
        Verdict::Fail => "missed",
        other => other.word(),
    }
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

/// What is judged: ours, theirs, the ceiling.
fn row(entry: &Entry) -> [String; 6] {
    let ceiling = entry.ceiling.as_ref();
    let theirs = entry.bar_s.map_or_else(
        || entry.bars.first().map_or_else(String::new, |bar| bar.text.clone()),
        |bar| format!("<= {bar} s"),
    );
    [
        entry.id.clone(),
        seconds(entry.completion_s),
        theirs,
        seconds(ceiling.and_then(|ceiling| ceiling.completion_s)),
        seconds(entry.together_mbps.or(entry.alone_mbps.first().copied().flatten())),
        word(entry.verdict).to_owned(),
    ]
}

fn table(report: &Report) -> String {
    let mut out = format!(
        "suites of other projects, seed {}; seconds from the first packet to the last byte\n\n{:24} {:>9} {:>22} \
         {:>9} {:>8}  verdict\n",
        report.seed, "scenario, control", "ours", "theirs", "ceiling", "Mbit/s"
    );
    for entry in report.scenarios.iter().filter(was_run) {
        let [id, ours, theirs, ceiling, goodput, verdict] = row(entry);
        let _ = writeln!(out, "{id:24} {ours:>9} {theirs:>22} {ceiling:>9} {goodput:>8}  {verdict}");
        if entry.verdict == Verdict::Fail {
            let _ = writeln!(out, "    {}", entry.note);
        }
    }
    out.push_str("\nnot run:\n");
    for entry in report.scenarios.iter().filter(|entry| !was_run(entry)) {
        let _ = writeln!(out, "{:24} {}: {}", entry.id, entry.verdict.word(), entry.note);
    }
    out
}

fn markdown(report: &Report) -> String {
    let mut out =
        "| scenario, control | ours, s | theirs | ceiling, s | Mbit/s | | what to know |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for entry in report.scenarios.iter().filter(was_run) {
        let _ = writeln!(out, "| {} | {} |", row(entry).join(" | "), entry.note);
    }
    out
}

/// Times in shares of their bars, so that one plot holds them all.
fn plot(report: &Report) -> BarPlot {
    let judged = report.scenarios.iter().filter(was_run).filter_map(|entry| Some((entry, entry.bar_s?)));
    let group = |(entry, bar): (&Entry, f64)| BarGroup {
        name: entry.id.clone(),
        values: vec![
            entry.completion_s.map(|took| (took / bar).min(2.0)),
            entry.ceiling.as_ref().and_then(|ceiling| ceiling.completion_s).map(|best| best / bar),
        ],
        limit: Some(1.0),
    };
    BarPlot {
        title: "Published scenarios: time as a share of the bar".into(),
        y: "time / bar (cut at 2)".into(),
        series: vec!["ours".into(), "fluid ceiling".into()],
        limit: "the bar".into(),
        groups: judged.map(group).collect(),
    }
}
