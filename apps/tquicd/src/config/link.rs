//! Links as they are configured: where they begin, and on what terms they are used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tq::PathPolicy;
use tq_identity::Name;

use super::rate::Rate;
use super::raw;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: Name,
    /// Where it begins.
    pub begins: Begins,
    /// How it is used.
    pub terms: Terms,
}

/// How interfaces are used that were found to be links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which devices, with `*` for any text.
    pub pattern: String,
    /// How they are used.
    pub terms: Terms,
}

/// On what terms a link is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What its bytes cost; none: what its kind is guessed to cost.
    pub cost: Option<Cost>,
    /// Which is filled first, from 0, of those that cost the same.
    pub priority: u8,
    /// Its share with the weighted scheduler; none: by what it is measured to carry.
    pub weight: Option<u16>,
    /// The most it is used for, each way.
    pub cap: Option<Rate>,
    /// Whether it is used only if no other can be.
    pub backup: bool,
}

/// Where a link begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begins {
    /// At a network device.
    Device(String),
    /// At an address of this host.
    Address(IpAddr),
}

/// What a link's bytes cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing.
    Flat,
    /// Something.
    Metered,
}

impl Cost {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Metered => "metered",
        }
    }
}

impl std::str::FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Flat, Self::Metered]
            .into_iter()
            .find(|cost| cost.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no cost, expected `flat` or `metered`"))
    }
}

impl Terms {
    /// Priorities there are.
    pub const PRIORITIES: u8 = PathPolicy::METERED;
    /// The largest weight.
    pub const MOST_WEIGHT: u16 = 1000;

    /// What a path over such a link is to be, either way; `guess` is what it costs if that is not said. What is metered
    /// comes after everything that is not.
    pub fn policy(&self, guess: Cost) -> PathPolicy {
        let metered = self.cost.unwrap_or(guess) == Cost::Metered;
        let mut policy = PathPolicy::default();
        policy.cost = self.priority + if metered { PathPolicy::METERED } else { 0 };
        policy.weight = self.weight;
        policy.max_rate = self.cap.map(Rate::bytes);
        policy
    }

    /// Checks a priority.
    ///
    /// # Errors
    /// Says which there are.
    pub fn set_priority(&mut self, priority: u64) -> Result<(), String> {
        let right = u8::try_from(priority).ok().filter(|priority| *priority < Self::PRIORITIES);
        self.priority = right.ok_or_else(|| format!("{priority} is no priority, expected 0 (first) to 9"))?;
        Ok(())
    }

    /// Checks a weight.
    ///
    /// # Errors
    /// Says which there are.
    pub fn set_weight(&mut self, weight: u64) -> Result<(), String> {
        let right = u16::try_from(weight).ok().filter(|weight| (1..=Self::MOST_WEIGHT).contains(weight));
        self.weight = Some(right.ok_or_else(|| format!("{weight} is no weight, expected 1 to 1000"))?);
        Ok(())
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cost.map_or("cost as guessed", Cost::as_str))?;
        if self.priority > 0 {
            write!(f, ", priority {}", self.priority)?;
        }
        if let Some(weight) = self.weight {
            write!(f, ", weight {weight}")?;
        }
        if let Some(cap) = self.cap {
            write!(f, ", at most {cap}")?;
        }
        f.write_str(if self.backup { ", backup" } else { "" })
    }
}

impl fmt::Display for Begins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "device {device}"),
            Self::Address(address) => write!(f, "address {address}"),
        }
    }
}

impl Begins {
    /// Where a socket on it is bound: a device's carries both families, if this host has both.
    pub(crate) fn bound(&self) -> (Option<&str>, Vec<SocketAddr>) {
        match self {
            Self::Device(device) => {
                let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
                (Some(device), any.map(|ip| (ip, 0).into()).to_vec())
            }
            Self::Address(address) => (None, vec![(*address, 0).into()]),
        }
    }
}

/// What was typed, as links and patterns.
pub(super) fn links(typed: Vec<raw::Link>) -> Result<(Vec<Link>, Vec<Match>), String> {
    let (mut links, mut matches) = (Vec::<Link>::new(), Vec::<Match>::new());
    for raw in typed {
        let terms = terms(&raw)?;
        let begins = match (raw.device, raw.address, raw.matches) {
            (Some(device), None, None) => Begins::Device(device),
            (None, Some(address), None) => Begins::Address(address.0),
            (None, None, Some(pattern)) => {
                if raw.name.is_some() {
                    return Err(format!(
                        "[[link]] match = {pattern:?}: has no name, its links have those of their devices"
                    ));
                }
                matches.push(Match { pattern, terms });
                continue;
            }
            _ => return Err("[[link]]: say one of device, address or match".into()),
        };
        let name = match (&raw.name, &begins) {
            (Some(name), _) => name.0.clone(),
            (None, Begins::Device(device)) => {
                device.parse().map_err(|why| format!("[[link]]: {why}; add a name"))?
            }
            (None, Begins::Address(address)) => {
                return Err(format!("[[link]] address {address}: add a name"));
            }
        };
        if links.iter().any(|other| other.name == name || other.begins == begins) {
            return Err(format!("[[link]] {name}: another has the same name, device or address"));
        }
        links.push(Link { name, begins, terms });
    }
    Ok((links, matches))
}

fn terms(raw: &raw::Link) -> Result<Terms, String> {
    let said = |why| format!("[[link]]: {why}");
    let mut terms = Terms {
        cost: raw.cost.as_ref().map(|cost| cost.0),
        cap: raw.cap.as_ref().map(|cap| cap.0),
        backup: raw.backup,
        ..Terms::default()
    };
    raw.priority.map_or(Ok(()), |priority| terms.set_priority(priority)).map_err(said)?;
    raw.weight.map_or(Ok(()), |weight| terms.set_weight(weight)).map_err(said)?;
    Ok(terms)
}
