//! The tables `[host]` and `[measure]`, and the bars.
//!
//! Decides names and ranges of options, and the little grammar of bars: `figure [.pNN] [(name)] comparison value`.

use tq_time::Duration;

use super::read::Reader;
use crate::bar::{Bar, Comparison, Dimension, Metric, Percentile, Target, Value};
use crate::errors::{listed, nearest};
use crate::host::{Cc, Host, Hosts, SCHEDULERS};
use crate::measure::{Figure, Measure, Window};
use crate::unit::{Size, Speed, Time};

pub(super) const HOST: &[&str] = &[
    "client",
    "server",
    "cc",
    "scheduler",
    "stream_window",
    "connection_window",
    "max_segments",
    "initial_window",
    "max_datagram",
    "idle_timeout",
    "keep_alive",
    "ack_delay",
    "ack_frequency",
    "multipath",
    "ecn",
    "pacing",
    "governor",
    "mtu_discovery",
    "timer_tick",
];
/// What each end may say for itself: all of these from `cc` on.
pub(super) const HOST_SIDE: &[&str] = HOST.split_at(2).1;
pub(super) const MEASURE: &[&str] = &["cold", "warm", "bin", "figures", "runs"];
pub(super) const WARM: &[&str] = &["from", "for"];

/// Both ends: what `[host]` says, with the tables of each over it.
pub(super) fn hosts(top: &Reader<'_>) -> Hosts {
    let Some(table) = top.table("host", HOST) else { return Hosts::default() };
    let both = host(&table, Host::default());
    let side = |field: &str| match table.table(field, HOST_SIDE) {
        Some(below) => host(&below, both.clone()),
        None => both.clone(),
    };
    Hosts { client: side("client"), server: side("server") }
}

fn host(table: &Reader<'_>, below: Host) -> Host {
    let ccs: Vec<&str> = Cc::ALL.iter().map(|cc| cc.name()).collect();
    let scheduler = table.choice("scheduler", &SCHEDULERS).map(|index| SCHEDULERS[index].to_owned());
    let max_datagram = table.some_size("max_datagram");
    if max_datagram.is_some_and(|size| !(1200..=65_527).contains(&size)) {
        table.wrong(
            "max_datagram",
            "is out of range",
            "write a size from \"1200B\" to \"65527B\" of UDP payload",
        );
    }
    Host {
        cc: table.choice("cc", &ccs).map_or(below.cc, |index| Cc::ALL[index]),
        scheduler: scheduler.or(below.scheduler),
        stream_window: table.some_size("stream_window").or(below.stream_window),
        connection_window: table.some_size("connection_window").or(below.connection_window),
        max_segments: table.small("max_segments", 1..=64).or(below.max_segments),
        initial_window: table.small("initial_window", 1..=10_000).or(below.initial_window),
        max_datagram: max_datagram.or(below.max_datagram),
        idle_timeout: table.some_time("idle_timeout").or(below.idle_timeout),
        keep_alive: table.some_time("keep_alive").or(below.keep_alive),
        ack_delay: table.time("ack_delay").or(below.ack_delay),
        ack_frequency: table.flag("ack_frequency").or(below.ack_frequency),
        multipath: table.flag("multipath").or(below.multipath),
        ecn: table.flag("ecn").or(below.ecn),
        pacing: table.flag("pacing").or(below.pacing),
        governor: table.flag("governor").or(below.governor),
        mtu_discovery: table.flag("mtu_discovery").or(below.mtu_discovery),
        timer_tick: table.some_time("timer_tick").or(below.timer_tick),
    }
}

/// What is measured.
pub(super) fn measure(top: &Reader<'_>, end: Duration) -> Measure {
    let default = Measure::default();
    let Some(table) = top.table("measure", MEASURE) else { return default };
    table.at_most_one(&["cold", "warm"]);
    if table.flag("cold") == Some(false) {
        table.wrong("cold", "is false", "leave it out and write warm = { from = \"…\", for = \"…\" }");
    }
    let names: Vec<&str> = Figure::ALL.iter().map(|figure| figure.name()).collect();
    let mut figures: Vec<Figure> = Vec::new();
    if table.has("figures") {
        let found = table.references("figures", &names, "figures are").unwrap_or_default();
        figures.extend(found.into_iter().map(|index| Figure::ALL[index]));
    } else {
        figures = default.figures;
    }
    Measure {
        window: warm(&table, end).unwrap_or_default(),
        bin: table.some_time("bin").unwrap_or(default.bin),
        figures,
        runs: table.small("runs", 1..=100_000).unwrap_or(default.runs),
    }
}

fn warm(table: &Reader<'_>, end: Duration) -> Option<Window> {
    let table = table.table("warm", WARM)?;
    for field in WARM {
        if !table.has(field) {
            table.missing(field, "write warm = { from = \"5s\", for = \"30s\" }");
        }
    }
    let (from, length) = (table.time("from")?, table.some_time("for")?);
    if from.saturating_add(length) > end {
        table.wrong(
            "for",
            "goes on after the end of the scenario",
            "from and for together must fit in its time",
        );
    }
    Some(Window::Warm { from, length })
}

/// All bars that could be read.
pub(super) fn bars(top: &Reader<'_>, links: &[&str], loads: &[&str]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (text, at) in top.texts("bars").unwrap_or_default() {
        match bar(text, links, loads) {
            Ok(bar) => bars.push(bar),
            Err((what, allowed)) => top.log.add(at, "", "bars", what, allowed),
        }
    }
    bars
}

type Wrong = (String, String);

fn bar(text: &str, links: &[&str], loads: &[&str]) -> Result<Bar, Wrong> {
    let example = || "write one such as \"completion <= 1.06s\" or \"latency.p99(calls) < 50ms\"".to_owned();
    let found =
        Comparison::ALL.iter().filter_map(|(sign, comparison)| Some((text.find(sign)?, *sign, *comparison)));
    let Some((at, sign, comparison)) = found.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()))
    else {
        return Err((format!("\"{text}\" has no comparison (<, <=, ==, >=, >)"), example()));
    };
    let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
    let (figure, target) = match left.strip_suffix(')').and_then(|left| left.split_once('(')) {
        Some((figure, name)) => (figure.trim(), Some(target(name.trim(), links, loads)?)),
        None => (left, None),
    };
    let (name, percentile) = match figure.split_once('.') {
        Some((name, part)) => (name, Some(percentile(part)?)),
        None => (figure, None),
    };
    let Some(metric) = Metric::ALL.iter().copied().find(|metric| metric.name() == name) else {
        let names = || Metric::ALL.iter().map(|metric| metric.name());
        let near =
            nearest(name, names()).map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
        return Err((format!("\"{name}\" is no figure"), format!("{near}figures are {}", listed(names()))));
    };
    if percentile.is_some() && !matches!(metric, Metric::Latency | Metric::QueueDelay | Metric::Gap) {
        return Err((
            format!("\"{name}\" has no percentiles"),
            "latency, queue-delay and gap have".to_owned(),
        ));
    }
    if matches!(metric, Metric::Share | Metric::Bytes) && !matches!(target, Some(Target::Link(_))) {
        let known = listed(links.iter().copied());
        return Err((
            format!("\"{name}\" is of one link"),
            format!("write {name}(link); the links are {known}"),
        ));
    }
    let value = value(right, metric.dimension())?;
    Ok(Bar { metric, percentile, target, comparison, value, text: text.to_owned() })
}

fn target(name: &str, links: &[&str], loads: &[&str]) -> Result<Target, Wrong> {
    if let Some(index) = links.iter().position(|link| *link == name) {
        return Ok(Target::Link(index));
    }
    if let Some(index) = loads.iter().position(|load| *load == name) {
        return Ok(Target::Traffic(index));
    }
    let names = || links.iter().chain(loads).copied();
    Err((format!("\"{name}\" is no link and no traffic"), format!("there are {}", listed(names()))))
}

fn percentile(part: &str) -> Result<Percentile, Wrong> {
    let wrong = || (format!("\"{part}\" is no percentile"), "write p50, p99, p99.9 or max".to_owned());
    if part == "max" {
        return Ok(Percentile(1000));
    }
    let (whole, tenth) =
        part.strip_prefix('p').ok_or_else(wrong)?.split_once('.').unwrap_or((&part[1..], "0"));
    let plain = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(tenth) || tenth.len() != 1 {
        return Err(wrong());
    }
    let tenths = format!("{whole}{tenth}").parse::<u16>().ok().filter(|tenths| *tenths <= 1000);
    tenths.map(Percentile).ok_or_else(wrong)
}

fn value(text: &str, dimension: Dimension) -> Result<Value, Wrong> {
    let told = |error: crate::unit::UnitError| (error.what, error.allowed);
    match dimension {
        Dimension::Time => text.parse::<Time>().map(|time| Value::Time(time.0)).map_err(told),
        Dimension::Rate => text.parse::<Speed>().map(|rate| Value::Rate(rate.0)).map_err(told),
        Dimension::Bytes => text.parse::<Size>().map(|size| Value::Bytes(size.0)).map_err(told),
        Dimension::Count => text.parse().map(Value::Count).map_err(|_| {
            (format!("\"{text}\" is no count"), "write a whole number without a unit".to_owned())
        }),
        Dimension::Ratio => ratio(text).map(Value::Ratio).ok_or_else(|| {
            let allowed = "write a plain number such as 0.95 or a percentage such as 95%".to_owned();
            (format!("\"{text}\" is no ratio"), allowed)
        }),
    }
}

/// Millionths of a plain number or a percentage; may be negative.
fn ratio(text: &str) -> Option<i64> {
    let (digits, places) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 4),
        None => (text, 6),
    };
    let (sign, digits) = digits.strip_prefix('-').map_or((1, digits), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > places || whole.len() > 9 {
        return None;
    }
    let number: i64 = format!("{whole}{part:0<places$}").parse().ok()?;
    Some(sign * number)
}
