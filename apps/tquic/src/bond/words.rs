//! The words behind an object, in the grammar of `ip`: a verb, which may be shortened, then names and pairs.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::Result;
use tq_control::model::{AddLink, SetLink};

use crate::exit::Usage;

#[cfg(test)]
mod tests;

/// Words not read yet.
pub(super) struct Words(std::vec::IntoIter<String>);

fn usage(why: impl Display) -> anyhow::Error {
    Usage(why.to_string()).into()
}

impl Words {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self(words.into_iter())
    }

    fn peek(&self) -> Option<&str> {
        self.0.as_slice().first().map(String::as_str)
    }

    /// What to do: one of these or its beginning, the first if nothing is said.
    pub(super) fn verb(&mut self, verbs: &[&'static str]) -> Result<&'static str> {
        let Some(word) = self.0.next() else { return Ok(verbs[0]) };
        let meant = verbs.iter().find(|verb| verb.starts_with(&word) && !word.is_empty());
        meant.copied().ok_or_else(|| usage(format_args!("{word:?}: expected {}", verbs.join(", "))))
    }

    /// The next word if it is one of these.
    pub(super) fn next_if(&mut self, known: &[&'static str]) -> Option<&'static str> {
        let found = known.iter().find(|known| self.peek() == Some(**known))?;
        self.0.next();
        Some(found)
    }

    pub(super) fn one_of(&mut self, known: &[&'static str]) -> Result<&'static str> {
        let said = self.peek().unwrap_or("nothing").to_owned();
        self.next_if(known).ok_or_else(|| usage(format_args!("{said:?}: expected {}", known.join(" or "))))
    }

    fn text(&mut self, what: &str) -> Result<String> {
        self.0.next().ok_or_else(|| usage(format_args!("{what} is missing")))
    }

    /// A name, which goes into the path of a request.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let name = self.text(what)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        match !name.is_empty() && name.chars().all(plain) {
            true => Ok(name),
            false => Err(usage(format_args!("{name:?} is no {what}: letters, digits, dots, dashes"))),
        }
    }

    pub(super) fn number<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let text = self.text(what)?;
        text.parse().map_err(|_| usage(format_args!("{text:?} is no {what}")))
    }

    /// Nothing more may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        self.0.next().map_or(Ok(()), |word| Err(usage(format_args!("{word:?} is one word too many"))))
    }

    /// `dev DEVICE|local ADDRESS [cost flat|metered] [cap RATE] [weight N] [priority N] [backup]`.
    pub(super) fn link(&mut self) -> Result<AddLink> {
        let mut link = AddLink::default();
        while let Some(word) = self.next_if(&["dev", "local", "cost", "cap", "weight", "priority", "backup"])
        {
            match word {
                "cap" => link.cap = Some(self.rate()?),
                "weight" => link.weight = Some(self.number("weight, 1 to 1000")?),
                "priority" => link.priority = Some(self.number("priority, 0 (first) to 9")?),
                "dev" => link.device = Some(self.name("DEVICE")?),
                "local" => link.address = Some(self.name("ADDRESS")?),
                "cost" => link.cost = Some(self.one_of(&["flat", "metered"])?.to_owned()),
                _ => link.backup = true,
            }
        }
        match (&link.device, &link.address) {
            (Some(_), None) | (None, Some(_)) => Ok(link),
            _ => Err(usage("say where it begins: dev DEVICE or local ADDRESS")),
        }
    }

    /// A rate, in one word (`20mbit`) or two (`20 Mbit/s`); the daemon knows which there are.
    fn rate(&mut self) -> Result<String> {
        let mut rate = self.text("RATE")?;
        if rate.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && let Some(unit) = self.0.next()
        {
            rate = format!("{rate} {unit}");
        }
        Ok(rate)
    }

    /// `[up|down] [cost flat|metered] [cap RATE|nocap] [weight N|noweight] [priority N] [backup|nobackup]`.
    pub(super) fn change(&mut self) -> Result<SetLink> {
        let mut change = SetLink::default();
        const WORDS: [&str; 10] =
            ["up", "down", "cost", "cap", "nocap", "weight", "noweight", "priority", "backup", "nobackup"];
        while let Some(word) = self.next_if(&WORDS) {
            match word {
                "cap" => change.cap = Some(self.rate()?),
                "nocap" => change.cap = Some("none".into()),
                "weight" => change.weight = Some(self.number("weight, 1 to 1000")?),
                "noweight" => change.weight = Some(0),
                "priority" => change.priority = Some(self.number("priority, 0 (first) to 9")?),
                "up" | "down" => change.up = Some(word == "up"),
                "cost" => change.cost = Some(self.one_of(&["flat", "metered"])?.to_owned()),
                _ => change.backup = Some(word == "backup"),
            }
        }
        match change == SetLink::default() {
            true => Err(usage(
                "say what to change: up, down, cost flat|metered, cap RATE, nocap, weight N, noweight, priority N, backup, nobackup",
            )),
            false => Ok(change),
        }
    }

    /// `[dev DEVICE] [expires TIME]`; the time in seconds.
    pub(super) fn device(&mut self) -> Result<(Option<String>, Option<u64>)> {
        let (mut device, mut expires) = (None, None);
        while let Some(word) = self.next_if(&["dev", "expires"]) {
            match word {
                "dev" => device = Some(self.name("DEVICE")?),
                _ => {
                    let text = self.text("TIME")?;
                    let seconds = seconds(&text);
                    expires = Some(
                        seconds
                            .ok_or_else(|| usage(format_args!("{text:?}: expected 90s, 15m, 12h or 7d")))?,
                    );
                }
            }
        }
        Ok((device, expires))
    }
}

/// `90s`, `15m`, `12h`, `7d`.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let times = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(times)
}
