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

    /// `dev DEVICE|local ADDRESS [cost flat|metered] [backup]`.
    pub(super) fn link(&mut self) -> Result<AddLink> {
        let mut link = AddLink { device: None, address: None, cost: None, backup: false };
        while let Some(word) = self.next_if(&["dev", "local", "cost", "backup"]) {
            match word {
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

    /// `[up|down] [cost flat|metered] [backup|nobackup]`.
    pub(super) fn change(&mut self) -> Result<SetLink> {
        let mut change = SetLink::default();
        while let Some(word) = self.next_if(&["up", "down", "cost", "backup", "nobackup"]) {
            match word {
                "up" | "down" => change.up = Some(word == "up"),
                "cost" => change.cost = Some(self.one_of(&["flat", "metered"])?.to_owned()),
                _ => change.backup = Some(word == "backup"),
            }
        }
        match change == SetLink::default() {
            true => Err(usage("say what to change: up, down, cost flat|metered, backup, nobackup")),
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
