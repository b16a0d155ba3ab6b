//! From text to [`Scenario`]: the tables, their fields, and what a whole file must be.
//!
//! Decides what a file says and tells all that is wrong with it; the modules beside it read one kind of table each.

mod check;
mod events;
mod links;
mod loads;
mod marks;
mod read;

use std::path::Path;

use toml::de::DeTable;
use tq_time::Duration;

use crate::errors::{Errors, Problem};
use crate::scenario::Scenario;
use read::{Log, Reader, is_name};

/// Every table of the language with its fields, as they are written.
pub const TABLES: &[(&str, &[&str])] = &[
    ("top", TOP),
    ("link", links::LINK),
    ("link.up, link.down", links::WAY),
    ("link.burst", links::BURST),
    ("link.codel", links::CODEL),
    ("link.policer", links::POLICER),
    ("link.generator", links::GENERATOR),
    ("link.nat", links::NAT),
    ("bottleneck", links::BOTTLENECK),
    ("bottleneck.up, bottleneck.down", links::BOTTLENECK_WAY),
    ("event", events::EVENT),
    ("traffic", loads::TRAFFIC),
    ("host", marks::HOST),
    ("host.client, host.server", marks::HOST_SIDE),
    ("measure", marks::MEASURE),
    ("measure.warm", marks::WARM),
];

const TOP: &[&str] = &[
    "name",
    "about",
    "source",
    "seed",
    "time",
    "link",
    "bottleneck",
    "event",
    "traffic",
    "host",
    "measure",
    "bars",
];

/// What can happen, as it is written in the field `what` of an event.
pub const EVENTS: &[&str] = events::WHATS;

/// Reads other files, such as traces, by the path in the scenario; the text, or why not.
pub(super) type ReadFile<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// Reads a scenario that names no other files. `file` is for messages.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Errors> {
    parse_with(file, text, &mut |_| Err("no other files can be read here".to_owned()))
}

/// Reads a scenario; other files it names are asked of `read`, by their path as written.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_with(
    file: &str,
    text: &str,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Scenario, Errors> {
    let log = Log::new(text);
    let (document, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        let at = fault.span().map_or(0, |span| span.start);
        log.add(at, "", "", format!("not TOML: {}", fault.message().trim()), String::new());
    }
    let scenario = match faults.is_empty() {
        true => whole(&Reader::new(&log, String::new(), TOP, document.get_ref(), 0), read),
        false => None,
    };
    match scenario {
        Some(scenario) if log.is_empty() => Ok(scenario),
        _ => Err(Errors { file: file.to_owned(), problems: log.finish() }),
    }
}

/// Reads a scenario from a file; traces are looked for beside it.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn load(path: impl AsRef<Path>) -> Result<Scenario, Errors> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let (table, field, allowed) = (String::new(), String::new(), String::new());
        let what = format!("cannot be read: {error}");
        Errors {
            file: file.clone(),
            problems: vec![Problem { line: 1, column: 1, table, field, what, allowed }],
        }
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_with(&file, &text, &mut |name| {
        std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
    })
}

/// The whole file. `None` only if something was wrong.
fn whole(top: &Reader<'_>, read: ReadFile<'_>) -> Option<Scenario> {
    let name = top.text("name");
    match name {
        None if !top.has("name") => top.missing("name", "write name = \"…\""),
        Some(name) if !is_name(name) => {
            top.wrong("name", format!("\"{name}\" is no name"), "write 1 to 64 of a-z, A-Z, 0-9, -, ., _");
        }
        _ => {}
    }
    let about = top.text("about").unwrap_or_default();
    let source = top.text("source");
    let seed = if top.has("seed") { top.whole("seed", 0..=i64::MAX as u64) } else { Some(1) };
    let time = top.some_time("time");
    if !top.has("time") {
        top.missing("time", "write how long it runs at most, such as time = \"60s\"");
    }
    // A file without a time is still checked for everything else.
    let end = time.unwrap_or(Duration::MAX);
    let bottlenecks = links::bottlenecks(top);
    let links = links::links(top, &bottlenecks, read);
    let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
    let traffic = loads::traffic(top, &names, end);
    let loads: Vec<&str> = traffic.iter().map(|traffic| traffic.name.as_str()).collect();
    let events = events::events(top, &names, &loads, end);
    let bars = marks::bars(top, &names, &loads);
    let hosts = marks::hosts(top);
    let measure = marks::measure(top, end);
    let events: Vec<_> = events.into_iter().collect();
    if top.log.is_empty() {
        check::contradictions(top.log, &events, &names, seed?, end);
    }
    Some(Scenario {
        name: name?.to_owned(),
        about: about.to_owned(),
        source: source.map(str::to_owned),
        seed: seed?,
        time: time?,
        bottlenecks,
        events: events.into_iter().map(|(event, _)| event).collect(),
        links,
        traffic,
        hosts,
        measure,
        bars,
    })
}
