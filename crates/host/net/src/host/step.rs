//! One change to the machine, and how it is undone: as values, as commands to read, as lines of the journal.
//!
//! Decides the journal's format. A line says enough to undo a change without knowing the plan it came from.

use std::fmt;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// Marks use the lowest byte; the others are somebody else's.
pub(super) const MASK: u32 = 0xff;
/// Of the route that says no: after all others.
pub(super) const LAST: u32 = 32_767;

/// A rule of policy routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) v6: bool,
    pub(super) priority: u32,
    /// Under [`MASK`].
    pub(super) mark: u32,
    pub(super) table: u32,
    /// Default routes of the table do not count.
    pub(super) no_default: bool,
}

/// A default route in a table of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) v6: bool,
    pub(super) table: u32,
    pub(super) to: To,
}

/// Where a default route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// To this machine.
    Local,
    /// Out through an interface.
    Device(String),
    /// Nowhere, and the sender is told.
    Nowhere,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Rule(Rule),
    Route(Route),
    /// A whole table of nft, in one go.
    Nft {
        table: String,
        script: String,
    },
    /// Below `/proc/sys`.
    Sysctl {
        key: String,
        was: String,
        now: String,
    },
    /// Nothing is changed, but undoing a later step would: it must come before that.
    Keep {
        key: String,
        was: String,
        then: String,
    },
}

/// How a change is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    Rule(Rule),
    Route(Route),
    Nft(String),
    /// Back to `was`, if it is still `now`.
    Sysctl {
        key: String,
        was: String,
        now: String,
    },
}

impl Step {
    pub(super) fn undo(&self) -> Undo {
        match self {
            Self::Rule(rule) => Undo::Rule(*rule),
            Self::Route(route) => Undo::Route(route.clone()),
            Self::Nft { table, .. } => Undo::Nft(table.clone()),
            Self::Sysctl { key, was, now } | Self::Keep { key, was, then: now } => {
                Undo::Sysctl { key: key.clone(), was: was.clone(), now: now.clone() }
            }
        }
    }
}

fn family(v6: bool) -> char {
    if v6 { '6' } else { '4' }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { v6, priority, mark, table, no_default } = self;
        let suppress = if *no_default { " suppress_prefixlength 0" } else { "" };
        let family = family(*v6);
        write!(
            f,
            "ip -{family} rule add priority {priority} fwmark {mark:#x}/{MASK:#x} lookup {table}{suppress}"
        )
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, table) = (family(self.v6), self.table);
        match &self.to {
            To::Local => write!(f, "ip -{family} route add local default dev lo table {table}"),
            To::Device(device) => write!(f, "ip -{family} route add default dev {device} table {table}"),
            To::Nowhere => {
                write!(f, "ip -{family} route add unreachable default metric {LAST} table {table}")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Route(route) => route.fmt(f),
            Self::Nft { script, .. } => write!(f, "nft -f - <<'end'\n{script}end"),
            Self::Sysctl { key, was, now } => write!(f, "sysctl -w {key}={now}    # was {was}"),
            Self::Keep { key, was, .. } => write!(f, "# {key} stays {was}"),
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(Rule { v6, priority, mark, table, no_default }) => {
                let family = family(*v6);
                write!(f, "rule {family} {priority} {mark} {table} {}", u8::from(*no_default))
            }
            Self::Route(Route { v6, table, to }) => {
                let family = family(*v6);
                match to {
                    To::Local => write!(f, "route {family} {table} local"),
                    To::Device(device) => write!(f, "route {family} {table} device {device}"),
                    To::Nowhere => write!(f, "route {family} {table} nowhere"),
                }
            }
            Self::Nft(table) => write!(f, "nft {table}"),
            Self::Sysctl { key, was, now } => write!(f, "sysctl {key} {was} {now}"),
        }
    }
}

/// A line that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

impl FromStr for Undo {
    type Err = NotOurs;

    fn from_str(line: &str) -> Result<Self, NotOurs> {
        let words: Vec<&str> = line.split(' ').collect();
        let v6 = |word: &str| match word {
            "4" => Ok(false),
            "6" => Ok(true),
            _ => Err(NotOurs),
        };
        let number = |word: &str| word.parse::<u32>().map_err(|_| NotOurs);
        Ok(match words[..] {
            ["rule", family, priority, mark, table, no_default] => Self::Rule(Rule {
                v6: v6(family)?,
                priority: number(priority)?,
                mark: number(mark)?,
                table: number(table)?,
                no_default: number(no_default)? == 1,
            }),
            ["route", family, table, ref to @ ..] => {
                let to = match *to {
                    ["local"] => To::Local,
                    ["device", device] => To::Device(device.to_owned()),
                    ["nowhere"] => To::Nowhere,
                    _ => return Err(NotOurs),
                };
                Self::Route(Route { v6: v6(family)?, table: number(table)?, to })
            }
            ["nft", table] if own_table(table) => Self::Nft(table.to_owned()),
            ["sysctl", key, was, now] if key.starts_with("net/") && !key.contains("..") => {
                let [key, was, now] = [key, was, now].map(str::to_owned);
                Self::Sysctl { key, was, now }
            }
            _ => return Err(NotOurs),
        })
    }
}

/// Whether a table of nft has a name of ours.
fn own_table(name: &str) -> bool {
    name.strip_prefix("tquic").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}
