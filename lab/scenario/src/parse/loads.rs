//! The table `[[traffic]]`.
//!
//! Decides which fields each kind needs, and refuses loads that do nothing.

use tq_time::Duration;

use super::read::Reader;
use crate::errors::listed;
use crate::host::Cc;
use crate::traffic::{Flow, Kind, Sizes, Traffic};

pub(super) const TRAFFIC: &[&str] = &[
    "name",
    "kind",
    "direction",
    "over",
    "link",
    "start",
    "stop",
    "class",
    "bytes",
    "streams",
    "order",
    "count",
    "request",
    "response",
    "outstanding",
    "think",
    "size",
    "rate",
    "interval",
    "pages",
    "objects",
    "mix",
    "cc",
    "connections",
];

/// Fields of certain kinds only, with the kinds.
const OWN: &[(&str, &[&str])] = &[
    ("over", &["bulk", "requests", "datagrams", "web"]),
    ("link", &["competing"]),
    ("class", &["bulk", "requests", "datagrams", "web"]),
    ("bytes", &["bulk", "competing"]),
    ("streams", &["bulk"]),
    ("order", &["bulk"]),
    ("count", &["requests", "datagrams"]),
    ("request", &["requests"]),
    ("response", &["requests"]),
    ("outstanding", &["requests", "web"]),
    ("think", &["requests", "web"]),
    ("size", &["datagrams", "web"]),
    ("rate", &["datagrams"]),
    ("interval", &["datagrams"]),
    ("pages", &["web"]),
    ("objects", &["web"]),
    ("mix", &["web"]),
    ("cc", &["competing"]),
    ("connections", &["competing"]),
];

const CLASSES: &[&str] = &["realtime", "interactive", "bulk", "background"];
const MOST: u64 = 1_000_000_000;

/// All traffic that could be read.
pub(super) fn traffic(top: &Reader<'_>, links: &[&str], end: Duration) -> Vec<Traffic> {
    let mut all: Vec<Traffic> = Vec::new();
    for (index, table) in top.tables("traffic", TRAFFIC).iter().enumerate() {
        let known: Vec<&str> = all.iter().map(|traffic| traffic.name.as_str()).collect();
        let name = if table.has("name") { table.own_name(&known) } else { None };
        if let Some(mut traffic) = load(table, links, end) {
            traffic.name = name.unwrap_or_else(|| format!("{}{}", traffic.kind.name(), index + 1));
            all.push(traffic);
        }
    }
    if !top.has("traffic") {
        top.missing("traffic", "write at least one [[traffic]]");
    }
    all
}

fn load(table: &Reader<'_>, links: &[&str], end: Duration) -> Option<Traffic> {
    if !table.has("kind") {
        table.missing("kind", &format!("one of {}", listed(Kind::NAMES)));
    }
    let index = table.choice("kind", &Kind::NAMES);
    let direction = match table.choice("direction", &["down", "up", "both"]) {
        Some(1) => Flow::Up,
        Some(2) => Flow::Both,
        _ => Flow::Down,
    };
    let (start, stop) = times(table, end)?;
    let name = Kind::NAMES[index?];
    for (field, kinds) in OWN.iter().filter(|(_, kinds)| !kinds.contains(&name)) {
        table.out_of_place(&[field], &format!("it goes with kind = {}", listed(kinds.iter().copied())));
    }
    let over = match table.has("over") {
        true => table.references("over", links, "the links are")?,
        false => (0..links.len()).collect(),
    };
    let class = table.choice("class", CLASSES).map(|index| CLASSES[index].to_owned());
    let kind = match name {
        "bulk" => bulk(table)?,
        "requests" => requests(table)?,
        "datagrams" => datagrams(table)?,
        "web" => web(table)?,
        _ => competing(table, links)?,
    };
    let over = if let Kind::Competing { link, .. } = kind { vec![link] } else { over };
    Some(Traffic { name: String::new(), kind, direction, start, stop, over, class })
}

fn times(table: &Reader<'_>, end: Duration) -> Option<(Duration, Option<Duration>)> {
    let start = if table.has("start") { table.time("start")? } else { Duration::ZERO };
    if start >= end {
        table.wrong("start", "is after the end of the scenario", "write a moment before its time");
    }
    let stop = table.time("stop");
    if stop.is_some_and(|stop| stop <= start) {
        table.wrong("stop", "is not after the start, so there is nothing to do", "write a later moment");
    }
    if stop.is_some_and(|stop| stop > end) {
        table.wrong("stop", "is after the end of the scenario", "leave it out to go on to the end");
    }
    Some((start, stop))
}

/// Bytes, or `None` for endless.
fn bytes(table: &Reader<'_>) -> Option<Option<u64>> {
    if !table.has("bytes") {
        table.missing("bytes", "write a size, or bytes = \"endless\"");
    }
    if table.text_is("bytes", "endless") { Some(None) } else { table.some_size("bytes").map(Some) }
}

/// A count, or `None` for no end.
fn count(table: &Reader<'_>, field: &str) -> Option<Option<u64>> {
    if table.has(field) { table.whole(field, 1..=MOST).map(Some) } else { Some(None) }
}

fn needed(table: &Reader<'_>, field: &str) -> Option<Sizes> {
    if !table.has(field) {
        table.missing(field, "write a size such as \"10KiB\", or a range such as \"10KiB..1MiB\"");
    }
    table.sizes(field)
}

fn bulk(table: &Reader<'_>) -> Option<Kind> {
    let streams = if table.has("streams") { table.small("streams", 1..=1_000_000)? } else { 1 };
    let sequential = table.choice("order", &["parallel", "sequential"]) == Some(1);
    let bytes = bytes(table)?;
    if sequential && bytes.is_none() && streams > 1 {
        table.wrong("order", "the second stream would never begin", "write bytes, or order = \"parallel\"");
    }
    Some(Kind::Bulk { bytes, streams, sequential })
}

fn requests(table: &Reader<'_>) -> Option<Kind> {
    let outstanding = if table.has("outstanding") { table.small("outstanding", 1..=1_000_000)? } else { 1 };
    let request = if table.has("request") { table.sizes("request")? } else { Sizes { low: 100, high: 100 } };
    let think = table.time("think").unwrap_or_default();
    let response = needed(table, "response");
    Some(Kind::Requests { count: count(table, "count")?, request, response: response?, outstanding, think })
}

fn datagrams(table: &Reader<'_>) -> Option<Kind> {
    let size = needed(table, "size");
    if table.at_most_one(&["rate", "interval"]) && !table.has("interval") && !table.has("rate") {
        table.missing("interval", "write the time from one to the next, or a rate");
    }
    let count = count(table, "count")?;
    let (rate, interval) = (table.some_speed("rate"), table.some_time("interval"));
    let size = size?;
    let interval = match (interval, rate) {
        (Some(interval), _) => interval,
        (None, rate) => {
            let mean = u128::from(size.low).midpoint(u128::from(size.high));
            let nanos = mean * 1_000_000_000 / u128::from(rate?);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
        }
    };
    if size.high > 65_000 {
        table.wrong("size", "is longer than a datagram can be", "write at most \"65000B\"");
    }
    Some(Kind::Datagrams { size, interval, count })
}

fn web(table: &Reader<'_>) -> Option<Kind> {
    let mixed = table.choice("mix", &["even", "today"]) == Some(1);
    let (objects, size) = if mixed {
        table.out_of_place(&["objects", "size"], "mix = \"today\" brings its own");
        (Some(1), Some(Sizes { low: 1, high: 1 }))
    } else {
        if !table.has("objects") {
            table.missing("objects", "write how many objects a page has");
        }
        (table.small("objects", 1..=100_000), needed(table, "size"))
    };
    let outstanding = if table.has("outstanding") { table.small("outstanding", 1..=1_000_000)? } else { 6 };
    let think = table.time("think").unwrap_or_default();
    let pages = count(table, "pages")?;
    Some(Kind::Web { pages, objects: objects?, size: size?, outstanding, think, mixed })
}

fn competing(table: &Reader<'_>, links: &[&str]) -> Option<Kind> {
    if !table.has("link") {
        table.missing("link", &format!("the links are {}", listed(links.iter().copied())));
    }
    let link = table.reference("link", links, "the links are");
    let names: Vec<&str> = Cc::ALL.iter().map(|cc| cc.name()).collect();
    let cc = table.choice("cc", &names).map_or(Cc::Cubic, |index| Cc::ALL[index]);
    let connections = if table.has("connections") { table.small("connections", 1..=10_000)? } else { 1 };
    let bytes = bytes(table)?;
    Some(Kind::Competing { link: link?, cc, bytes, connections })
}
