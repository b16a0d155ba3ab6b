//! The table `[[event]]`.
//!
//! Decides what each kind of event needs and what it cannot have; contradictions between events are for
//! [`super::check`].

use std::net::IpAddr;

use tq_linkmodel::{Direction, State};
use tq_time::Duration;

use super::links::mtu;
use super::read::Reader;
use crate::changes::{nanos, undone};
use crate::event::{Action, Event, Pattern, Side, Span, What};
use crate::unit::Speed;

pub(super) const EVENT: &[&str] = &[
    "at",
    "what",
    "link",
    "links",
    "direction",
    "to",
    "add",
    "for",
    "every",
    "poisson",
    "count",
    "until",
    "icmp",
    "first",
    "last",
    "address",
    "side",
    "traffic",
];

/// Everything that can happen, as it is written.
pub(super) const WHATS: &[&str] = &[
    "down",
    "silent",
    "up",
    "rate",
    "pause",
    "delay",
    "loss",
    "mtu",
    "rebind",
    "address",
    "unreachable",
    "drop-packets",
    "abandon",
    "open",
    "standby",
    "available",
    "key-update",
    "stall",
    "pause-reader",
];

/// Fields of certain kinds only, with the kinds.
const OWN: &[(&str, &[&str])] = &[
    ("to", &["rate", "delay", "loss", "mtu"]),
    ("add", &["delay"]),
    ("icmp", &["mtu"]),
    ("first", &["drop-packets"]),
    ("last", &["drop-packets"]),
    ("address", &["address"]),
    ("side", &["key-update", "stall", "pause-reader"]),
    ("traffic", &["pause-reader"]),
];

/// An event and where it stands in the file.
pub(super) type Placed = (Event, usize);

/// All events that could be read, with their places.
pub(super) fn events(top: &Reader<'_>, links: &[&str], loads: &[&str], end: Duration) -> Vec<Placed> {
    let tables = top.tables("event", EVENT);
    tables.iter().filter_map(|table| Some((event(table, links, loads, end)?, table.place("what")))).collect()
}

fn event(table: &Reader<'_>, names: &[&str], loads: &[&str], end: Duration) -> Option<Event> {
    if !table.has("what") {
        table.missing("what", &format!("one of {}", crate::errors::listed(WHATS.iter().copied())));
    }
    let kind = table.choice("what", WHATS).map(|index| WHATS[index]);
    let at = at(table, end);
    let links = kind.and_then(|kind| links(table, kind, names));
    let direction = table.choice("direction", &["up", "down", "both"]).and_then(|index| match index {
        0 => Some(Direction::Up),
        1 => Some(Direction::Down),
        _ => None,
    });
    let lasts = table.span("for");
    let what = kind.and_then(|kind| what(table, kind, lasts, loads));
    let pattern = pattern(table, at.unwrap_or_default(), lasts, end);
    let (what, pattern) = (what?, pattern?);
    fits(table, kind?, &what, pattern);
    Some(Event { what, links: links?, direction, at: at?, lasts, pattern })
}

fn at(table: &Reader<'_>, end: Duration) -> Option<Duration> {
    if !table.has("at") {
        table.missing("at", "write when it happens, such as at = \"5s\"");
    }
    let at = table.time("at")?;
    if at >= end {
        table.wrong("at", "is after the end of the scenario", "write a moment before its time");
        return None;
    }
    Some(at)
}

/// The links an event is about; none for the kinds that are about a host.
fn links(table: &Reader<'_>, kind: &str, names: &[&str]) -> Option<Vec<usize>> {
    if matches!(kind, "key-update" | "stall" | "pause-reader") {
        table.out_of_place(&["link", "links", "direction"], "this is about a host, not about a link");
        return Some(Vec::new());
    }
    if !table.at_most_one(&["link", "links"]) {
        return None;
    }
    if table.has("link") {
        return table.reference("link", names, "the links are").map(|link| vec![link]);
    }
    if !table.has("links") {
        table.missing("link", &format!("the links are {}", crate::errors::listed(names.iter().copied())));
    }
    table.references("links", names, "the links are")
}

fn what(table: &Reader<'_>, kind: &str, lasts: Option<Span>, loads: &[&str]) -> Option<What> {
    for (field, kinds) in OWN.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
        table.out_of_place(
            &[field],
            &format!("it goes with what = {}", crate::errors::listed(kinds.iter().copied())),
        );
    }
    let needs = |field: &str, allowed: &str| {
        if !table.has(field) {
            table.missing(field, allowed);
        }
    };
    Some(match kind {
        "down" => What::State(State::Down),
        "silent" => What::State(State::Silent),
        "up" => What::State(State::Up),
        "pause" => What::Rate(0),
        "rate" => {
            needs("to", "write the new rate, such as to = \"4Mbit/s\"");
            What::Rate(table.unit::<Speed>("to")?.0)
        }
        "delay" => {
            if table.at_most_one(&["to", "add"]) && !table.has("add") {
                needs("to", "write the new one-way delay, to = \"…\", or what comes on top, add = \"…\"");
            }
            match table.some_time("add") {
                Some(more) => What::DelayMore(more),
                None => What::Delay(table.time("to")?),
            }
        }
        "loss" => {
            needs("to", "write the new loss, such as to = \"2%\"");
            What::Loss(table.part("to")?)
        }
        "mtu" => {
            needs("to", "write the new MTU, such as to = \"1280B\"");
            What::Mtu(mtu(table, "to")?)
        }
        _ => What::Act(action(table, kind, lasts, loads)?),
    })
}

fn action(table: &Reader<'_>, kind: &str, lasts: Option<Span>, loads: &[&str]) -> Option<Action> {
    let side = || match table.choice("side", &["client", "server"]) {
        Some(1) => Side::Server,
        _ => Side::Client,
    };
    Some(match kind {
        "rebind" => Action::Rebind,
        "address" => Action::Address(address(table)),
        "unreachable" => Action::Unreachable(true),
        "drop-packets" => drop_packets(table)?,
        "abandon" => Action::Abandon,
        "open" => Action::Open,
        "standby" => Action::Standby,
        "available" => Action::Available,
        "key-update" => Action::KeyUpdate(side()),
        "stall" => {
            if lasts.is_none() && !table.has("for") {
                table.missing("for", "write how long the process does not run");
            }
            Action::Stall(side(), lasts?.high)
        }
        _ => {
            if !table.has("traffic") {
                table.missing("traffic", "name the traffic that is not read");
            }
            Action::Reader { traffic: table.reference("traffic", loads, "the traffic is")?, reads: false }
        }
    })
}

fn address(table: &Reader<'_>) -> Option<IpAddr> {
    let text = table.text("address")?;
    let address = text.parse().ok();
    if address.is_none() {
        table.wrong(
            "address",
            format!("\"{text}\" is no IP address"),
            "write one, or leave it out for any other",
        );
    }
    address
}

fn drop_packets(table: &Reader<'_>) -> Option<Action> {
    let range = 1..=1_000_000_000;
    if !table.has("first") {
        table.missing("first", "write the first packet to lose, counted from 1");
    }
    let first = table.whole("first", range.clone())?;
    let last = if table.has("last") { table.whole("last", range)? } else { first };
    if last < first {
        table.wrong("last", "is before the first", "write the last packet to lose");
    }
    Some(Action::DropPackets { first, last })
}

fn pattern(table: &Reader<'_>, at: Duration, lasts: Option<Span>, end: Duration) -> Option<Pattern> {
    let repeated = table.has("every") || table.has("poisson");
    if !repeated {
        table.out_of_place(&["count", "until"], "it goes with every or poisson");
        return Some(Pattern::Once);
    }
    if !table.at_most_one(&["every", "poisson"]) {
        return None;
    }
    let count = if table.has("count") { table.whole("count", 1..=Event::MOST as u64)? } else { u64::MAX };
    let until = if table.has("until") { table.time("until")? } else { end };
    if until <= at {
        table.wrong("until", "is not after at", "write a later moment");
        return None;
    }
    let until = until.min(end);
    let field = if table.has("every") { "every" } else { "poisson" };
    let period = table.some_time(field)?;
    // A file without a time has no end; that is told elsewhere.
    let times = nanos(until.saturating_sub(at)) / nanos(period).max(1);
    if times.min(count) > Event::MOST as u64 && end != Duration::MAX {
        table.wrong(field, "is too often", format!("an event may come {} times", Event::MOST));
        return None;
    }
    if field == "poisson" {
        return Some(Pattern::Poisson { mean: period, count, until });
    }
    if lasts.is_some_and(|lasts| lasts.high > period) {
        table.wrong("for", "is longer than the time to the next one", "write less than every");
        return None;
    }
    Some(Pattern::Every { period, count, until })
}

/// Whether kind, `for` and repetition go together.
fn fits(table: &Reader<'_>, kind: &str, what: &What, pattern: Pattern) {
    let can_end = match what {
        What::State(State::Up) => false,
        What::Act(Action::Stall(..)) => true,
        What::Act(action) => undone(action).is_some() && *action != Action::Open,
        _ => true,
    };
    if table.has("for") && !can_end {
        table.wrong("for", "is out of place", format!("\"{kind}\" is nothing that could be undone"));
    }
    if pattern != Pattern::Once && can_end && !table.has("for") {
        table.missing("for", "a change that comes again has to end in between");
    }
}
